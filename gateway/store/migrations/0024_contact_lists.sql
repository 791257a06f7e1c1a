-- What was done for a contact in the user's own contact list (roster), so that what the user does
-- there is respected. At most one row for each contact.
CREATE TABLE roster_item (
    account  INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
    contact  TEXT NOT NULL,
    state    INTEGER NOT NULL,          -- gateway.store.roster.State
    name     TEXT NOT NULL DEFAULT '',  -- as we have put it there last
    label    TEXT NOT NULL DEFAULT '',  -- the group, likewise
    writing  TEXT,                      -- a name that we may have put there: no answer has come yet
    asked_at REAL,                      -- when the contact has asked instead
    PRIMARY KEY (account, contact)
) WITHOUT ROWID;
