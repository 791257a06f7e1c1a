-- What was said in rooms before all that is kept: fetched from the network when it is asked for.
-- Its places in the archive, and its messages, have numbers below zero that count down.
CREATE TABLE history (
    room    INTEGER PRIMARY KEY REFERENCES room ON DELETE CASCADE,
    cursor  TEXT,                           -- the adapter's; what comes next is before it
    fetched INTEGER NOT NULL,               -- events
    over    INTEGER NOT NULL                -- nothing more will be fetched
);

-- What was fetched about a message that is further back, until that is fetched too.
CREATE TABLE early (
    place   INTEGER PRIMARY KEY,            -- it would have had in the archive
    room    INTEGER NOT NULL REFERENCES room ON DELETE CASCADE,
    target  TEXT NOT NULL,                  -- the network's id of that message
    payload BLOB NOT NULL
);
CREATE INDEX early_target ON early (room, target);
