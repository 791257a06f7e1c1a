-- Groups that wait for an account to come in: it was invited, or is on its way.
CREATE TABLE invitation (
    account    INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
    remote_id  TEXT NOT NULL,               -- of the group
    event      TEXT NOT NULL,               -- of the invitation; empty if there was none
    address    TEXT NOT NULL,               -- by which the account comes in
    localpart  TEXT NOT NULL DEFAULT '',    -- of the address that the user has asked for
    name       TEXT NOT NULL DEFAULT '',
    inviter    TEXT NOT NULL DEFAULT '',    -- a remote id
    joining    INTEGER NOT NULL DEFAULT 0,  -- a session of the user waits at its door
    invited_at REAL NOT NULL,
    PRIMARY KEY (account, remote_id)
) WITHOUT ROWID;

-- The group in which a group goes on, a remote id.
ALTER TABLE room ADD COLUMN moved_to TEXT;
