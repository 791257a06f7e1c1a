-- Sessions in rooms: what they show of themselves, whether they are still there, and what they
-- have yet to be told of who comes and goes.

ALTER TABLE occupant ADD COLUMN show TEXT NOT NULL DEFAULT '';    -- of a presence; empty is available
ALTER TABLE occupant ADD COLUMN status TEXT NOT NULL DEFAULT '';
ALTER TABLE occupant ADD COLUMN caps TEXT NOT NULL DEFAULT '';    -- hash, node and ver, by spaces
ALTER TABLE occupant ADD COLUMN heard_at REAL NOT NULL DEFAULT 0; -- when it was heard of last
UPDATE occupant SET heard_at = joined_at;
CREATE INDEX occupant_jid ON occupant (jid);
CREATE INDEX occupant_heard_at ON occupant (heard_at);

-- Members of whom sessions know something else than what is so now.
CREATE TABLE untold (
    id        INTEGER PRIMARY KEY,          -- who waits for longest is first
    room      INTEGER NOT NULL REFERENCES room ON DELETE CASCADE,
    remote_id TEXT NOT NULL,
    nick      TEXT NOT NULL,                -- under which they are known; empty if they are not
    how       TEXT NOT NULL DEFAULT '',     -- they have gone; a Departure
    actor     TEXT NOT NULL DEFAULT '',     -- nick of who has removed them
    reason    TEXT NOT NULL DEFAULT '',
    UNIQUE (room, remote_id)
);
CREATE INDEX untold_nick ON untold (room, nick);
