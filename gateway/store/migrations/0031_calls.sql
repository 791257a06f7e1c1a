-- Calls in chats that are not over, by what the network calls them.
CREATE TABLE call (
    conversation INTEGER NOT NULL REFERENCES conversation ON DELETE CASCADE,
    name         TEXT NOT NULL,
    message      INTEGER NOT NULL REFERENCES message ON DELETE CASCADE, -- by which it was told
    own          INTEGER NOT NULL,         -- the account has called
    video        INTEGER NOT NULL,
    invite       TEXT NOT NULL DEFAULT '', -- @id of where it can be joined, if that was told
    answered_at  REAL,
    PRIMARY KEY (conversation, name)
) WITHOUT ROWID;
CREATE INDEX call_message ON call (message);
