-- What was said in a room and was not told to an account: before all that it was told, and in the
-- middle. It is fetched from the network when it is asked for.
CREATE TABLE gap (
    room    INTEGER NOT NULL REFERENCES room ON DELETE CASCADE,
    account INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
    top     INTEGER NOT NULL,               -- the place before which it lies; 0: before all
    floor   INTEGER,                        -- the place after which it lies; NULL: nothing is
    known   TEXT,                           -- the network's id of what comes after it, if it was told
    low     INTEGER,                        -- the place of the oldest that was fetched
    cursor  TEXT,                           -- the adapter's; what comes next is before it
    fetched INTEGER NOT NULL,               -- events
    over    INTEGER NOT NULL,               -- nothing more will be fetched
    PRIMARY KEY (room, account, top)
) WITHOUT ROWID;
CREATE INDEX gap_account ON gap (account);
-- Until now it was fetched for rooms of one account alone, which may be shared since: then that one
-- may read all that there is.
CREATE TEMP TABLE fetcher AS
    SELECT room.id AS room, coalesce(room.account, stay.account) AS account FROM room
    LEFT JOIN stay ON stay.room = room.id AND stay.after = -4611686018427387904
    WHERE coalesce(room.account, stay.account) IS NOT NULL;
INSERT INTO gap
    SELECT history.room, fetcher.account, 0, NULL, NULL,
        (SELECT min(archived.id) FROM archived WHERE archived.room = history.room),
        history.cursor, history.fetched, history.over
    FROM history JOIN fetcher ON fetcher.room = history.room;
DROP TABLE history;

-- It comes from the network's history, and was told to nobody.
ALTER TABLE archived ADD COLUMN fetched INTEGER NOT NULL DEFAULT 0;
UPDATE archived SET fetched = 1 WHERE id < 0;

-- Of a shared room: what the network has told an account of the past.
CREATE TABLE due (
    account INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
    place   INTEGER NOT NULL REFERENCES archived ON DELETE CASCADE,
    PRIMARY KEY (account, place)
) WITHOUT ROWID;
CREATE INDEX due_place ON due (place);
INSERT INTO due
    SELECT fetcher.account, archived.id FROM archived
    JOIN room ON room.id = archived.room AND room.account IS NULL
    JOIN fetcher ON fetcher.room = room.id WHERE archived.fetched;

ALTER TABLE early RENAME TO early_before;
CREATE TABLE early (
    place   INTEGER PRIMARY KEY,            -- it would have had in the archive
    room    INTEGER NOT NULL REFERENCES room ON DELETE CASCADE,
    account INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
    target  TEXT NOT NULL,                  -- the network's id of that message
    payload BLOB NOT NULL
);
INSERT INTO early
    SELECT early_before.place, early_before.room, fetcher.account, early_before.target,
        early_before.payload
    FROM early_before JOIN fetcher ON fetcher.room = early_before.room;
DROP TABLE early_before;
DROP TABLE fetcher;
CREATE INDEX early_target ON early (room, account, target);
CREATE INDEX early_account ON early (account);
