-- In shared rooms: what a session has told of another one's account, which is in the room as far as
-- that one's session has told.
CREATE TABLE told_gone (
    room    INTEGER NOT NULL REFERENCES room ON DELETE CASCADE,
    told_by INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
    account INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
    place   INTEGER NOT NULL,               -- in the archive, after which that was told
    PRIMARY KEY (room, told_by, account)
) WITHOUT ROWID;
CREATE INDEX told_gone_told_by ON told_gone (told_by);
CREATE INDEX told_gone_account ON told_gone (account);

-- Another one's session has told that the account is out; its own is still to tell that.
ALTER TABLE account_room ADD COLUMN put_out INTEGER NOT NULL DEFAULT 0;
