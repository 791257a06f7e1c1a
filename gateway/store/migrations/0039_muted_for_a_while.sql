-- Until when a chat or a group of an account is muted on the network, where its user has said so.
CREATE TABLE muted_until (
    account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    contact TEXT NOT NULL,
    room TEXT NOT NULL,
    until REAL NOT NULL,
    PRIMARY KEY (account, contact, room)
) WITHOUT ROWID;
CREATE INDEX muted_until_due ON muted_until (until);
