-- Users who are admitted only when an admin has said so: 0 asked, 1 admitted, 2 refused.
CREATE TABLE approval (
  user       TEXT PRIMARY KEY,
  state      INTEGER NOT NULL,
  changed_at REAL NOT NULL
) WITHOUT ROWID;
