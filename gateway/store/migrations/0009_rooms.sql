-- Rooms: who is there, which sessions of XMPP users are in, and what was said.
-- The account whose room it is, where the realm is one account; NULL where it is shared.
ALTER TABLE room ADD COLUMN account INTEGER REFERENCES account ON DELETE CASCADE;
ALTER TABLE room ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE room ADD COLUMN topic TEXT NOT NULL DEFAULT '';
ALTER TABLE room ADD COLUMN topic_by TEXT;  -- a remote id
ALTER TABLE room ADD COLUMN topic_at REAL;
ALTER TABLE room ADD COLUMN private INTEGER NOT NULL DEFAULT 1;
ALTER TABLE room ADD COLUMN secret BLOB;    -- of its occupant ids
CREATE INDEX room_account ON room (account);

CREATE TABLE member (
    room        INTEGER NOT NULL REFERENCES room ON DELETE CASCADE,
    remote_id   TEXT NOT NULL,
    name        TEXT NOT NULL,
    nick        TEXT NOT NULL,              -- as shown in the room
    folded      TEXT NOT NULL,              -- by which two nicks are the same
    affiliation TEXT NOT NULL,
    may_speak   INTEGER NOT NULL,
    PRIMARY KEY (room, remote_id),
    UNIQUE (room, folded)
) WITHOUT ROWID;

-- Sessions of XMPP users that are in a room. They outlive a restart.
CREATE TABLE occupant (
    room      INTEGER NOT NULL REFERENCES room ON DELETE CASCADE,
    jid       TEXT NOT NULL,                -- full, as it came
    user      TEXT NOT NULL,                -- bare
    joined_at REAL NOT NULL,
    PRIMARY KEY (room, jid)
) WITHOUT ROWID;
CREATE INDEX occupant_user ON occupant (user);

-- What was said, in the order in which it was committed, for ever the same.
CREATE TABLE archived (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    room       INTEGER NOT NULL REFERENCES room ON DELETE CASCADE,
    archive_id TEXT NOT NULL,
    sender     TEXT NOT NULL,               -- a remote id
    sent_at    REAL NOT NULL,               -- as the sender says, but not after stored_at
    stored_at  REAL NOT NULL,               -- by our clock, but never less than of the one before
    payload    BLOB NOT NULL,
    UNIQUE (room, archive_id)
);
CREATE INDEX archived_order ON archived (room, id);
CREATE INDEX archived_time ON archived (room, stored_at);
CREATE INDEX archived_sender ON archived (room, sender, id);
CREATE INDEX archived_stored_at ON archived (stored_at);

-- Who has said in a room what cannot be read yet; empty in a chat.
ALTER TABLE held ADD COLUMN sender TEXT NOT NULL DEFAULT '';
