-- What contacts were last known to be, saved now and then, so that a restart changes nothing to see.
-- The contact '' is there while all contacts of the account are shown as unavailable.
CREATE TABLE contact_presence (
    account      INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
    remote_id    TEXT NOT NULL,
    availability TEXT NOT NULL,
    status       TEXT NOT NULL,
    idle_since   REAL,
    PRIMARY KEY (account, remote_id)
) WITHOUT ROWID;
