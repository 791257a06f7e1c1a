-- Files of the network that users were told of, under an address of the gateway: what is asked for
-- there is fetched from the network. `facts` is an encoded RemoteFile.
CREATE TABLE file (
    id INTEGER PRIMARY KEY,
    conversation INTEGER NOT NULL REFERENCES conversation ON DELETE CASCADE,
    account INTEGER REFERENCES account ON DELETE SET NULL, -- that was told of it
    remote_id TEXT NOT NULL, -- of the message
    number INTEGER NOT NULL, -- of the file in it
    facts BLOB NOT NULL,
    stored_at REAL NOT NULL,
    UNIQUE (conversation, remote_id, number)
) STRICT;
CREATE INDEX file_account ON file (account) WHERE account IS NOT NULL;
CREATE INDEX file_age ON file (stored_at);
