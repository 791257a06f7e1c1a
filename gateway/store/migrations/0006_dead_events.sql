-- Events of a network that could not be stored or read, as they came, for the admin.
CREATE TABLE dead_event (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    account   INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
    remote_id TEXT,                       -- of an event that may come again
    kind      TEXT NOT NULL,
    content   TEXT NOT NULL,
    reason    TEXT NOT NULL,
    again     INTEGER NOT NULL DEFAULT 0, -- to be tried again at the next start of its session
    stored_at REAL NOT NULL
);
CREATE UNIQUE INDEX dead_event_remote ON dead_event (account, remote_id)
    WHERE remote_id IS NOT NULL;
CREATE INDEX dead_event_account ON dead_event (account, again);
CREATE INDEX dead_event_stored_at ON dead_event (stored_at);
-- When a notice was given that is forgotten one day (of a gap); 0 for those that are kept.
ALTER TABLE told ADD COLUMN told_at REAL NOT NULL DEFAULT 0;
UPDATE told SET told_at = CAST(strftime('%s', 'now') AS REAL) WHERE notice LIKE 'gap %';
CREATE INDEX told_at ON told (told_at) WHERE told_at > 0;
