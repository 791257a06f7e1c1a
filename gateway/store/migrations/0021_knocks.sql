-- How an account has come out of a room, one of gateway.events.Departure; empty while it is in.
ALTER TABLE account_room ADD COLUMN gone TEXT NOT NULL DEFAULT '';
ALTER TABLE room ADD COLUMN listed INTEGER NOT NULL DEFAULT 0;        -- anybody can find it
ALTER TABLE room ADD COLUMN takes_private INTEGER NOT NULL DEFAULT 1; -- who is there can be written to alone
-- The account has asked to be let in, and is not invited yet.
ALTER TABLE invitation ADD COLUMN knocked INTEGER NOT NULL DEFAULT 0;
ALTER TABLE invitation ADD COLUMN own_name TEXT NOT NULL DEFAULT ''; -- of the account, there

-- Who asks to be let into a room of an account that may let them in.
CREATE TABLE knock (
    account    INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
    room       INTEGER NOT NULL REFERENCES room ON DELETE CASCADE,
    remote_id  TEXT NOT NULL,              -- of the person
    event      TEXT NOT NULL,              -- of the request
    name       TEXT NOT NULL,
    knocked_at REAL NOT NULL,
    PRIMARY KEY (account, room, remote_id)
) WITHOUT ROWID;
CREATE INDEX knock_room ON knock (room);
