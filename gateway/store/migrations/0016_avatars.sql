-- Pictures of rooms and of the people in them. What the network calls a picture is opaque, and
-- empty where there is none.
ALTER TABLE room ADD COLUMN avatar TEXT NOT NULL DEFAULT '';
ALTER TABLE member ADD COLUMN avatar TEXT NOT NULL DEFAULT '';
CREATE INDEX room_avatar ON room (avatar) WHERE avatar <> '';
CREATE INDEX member_avatar ON member (avatar) WHERE avatar <> '';

-- What is known of each, within the realm of the room.
CREATE TABLE avatar (
    network    TEXT NOT NULL,
    realm      TEXT NOT NULL,
    reference  TEXT NOT NULL,
    hash       TEXT,             -- of the picture; empty if there is none that can be shown; NULL until it is fetched
    tries      INTEGER NOT NULL, -- that have failed
    due_at     REAL NOT NULL,    -- it is not fetched before
    checked_at REAL NOT NULL,    -- when somebody had it last
    PRIMARY KEY (network, realm, reference)
) WITHOUT ROWID;
CREATE INDEX avatar_hash ON avatar (hash);
CREATE INDEX avatar_checked_at ON avatar (checked_at);

CREATE TABLE picture (
    hash   TEXT NOT NULL UNIQUE,
    type   TEXT NOT NULL,
    width  INTEGER NOT NULL,
    height INTEGER NOT NULL,
    data   BLOB NOT NULL
);
