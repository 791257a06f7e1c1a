-- Rooms that several accounts share: those of a homeserver that the admin trusts.

-- In which realm the rooms of an account are, and whether the network has to tell them anew because
-- that has changed.
ALTER TABLE account ADD COLUMN room_realm TEXT NOT NULL DEFAULT '';
UPDATE account SET room_realm = 'account ' || id;
ALTER TABLE account ADD COLUMN rooms_untold INTEGER NOT NULL DEFAULT 0;

-- What a room is to an account that is in it, or was.
CREATE TABLE account_room (
    room       INTEGER NOT NULL REFERENCES room ON DELETE CASCADE,
    account    INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
    may        TEXT,                        -- what it may do where its affiliation does not say it
    read_up_to INTEGER NOT NULL DEFAULT 0,  -- the newest message that its user has read
    PRIMARY KEY (room, account)
) WITHOUT ROWID;
CREATE INDEX account_room_account ON account_room (account);
INSERT INTO account_room SELECT room.id, room.account, room.may, conversation.read_by_user
    FROM room JOIN conversation ON conversation.room = room.id WHERE room.account IS NOT NULL;
ALTER TABLE room DROP COLUMN may;

-- The account whose session tells what a shared room is and who is there.
ALTER TABLE room ADD COLUMN leader INTEGER REFERENCES account ON DELETE SET NULL;
CREATE INDEX room_leader ON room (leader) WHERE leader IS NOT NULL;
-- Whether members may read what was said before they came.
ALTER TABLE room ADD COLUMN shows_past INTEGER NOT NULL DEFAULT 0;

-- When an account was in a shared room: what the archive has after a place, up to another one.
CREATE TABLE stay (
    room    INTEGER NOT NULL REFERENCES room ON DELETE CASCADE,
    account INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
    after   INTEGER NOT NULL,
    up_to   INTEGER,                        -- NULL as long as it is in
    since   REAL NOT NULL,                  -- by our clock
    PRIMARY KEY (room, account, after)
) WITHOUT ROWID;
CREATE INDEX stay_account ON stay (account);
ALTER TABLE archived ADD COLUMN for_later INTEGER NOT NULL DEFAULT 0; -- also for who came later
-- When it came, if it could not be read then.
ALTER TABLE archived ADD COLUMN came_at REAL;

-- Of whom an account wants to hear nothing.
CREATE TABLE ignored (
    account   INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
    remote_id TEXT NOT NULL,
    PRIMARY KEY (account, remote_id)
) WITHOUT ROWID;

-- Whose session it is.
ALTER TABLE occupant ADD COLUMN account INTEGER REFERENCES account ON DELETE CASCADE;
UPDATE occupant SET account = (SELECT room.account FROM room WHERE room.id = occupant.room);
CREATE INDEX ignored_remote_id ON ignored (remote_id);
CREATE INDEX occupant_account ON occupant (account);
