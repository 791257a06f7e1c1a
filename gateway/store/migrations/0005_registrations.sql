-- Logins asked for in a form (XEP-0077) that are not carried out yet; what was typed is sealed.
CREATE TABLE registration (
  network  TEXT NOT NULL,
  user     TEXT NOT NULL,
  secret   BLOB NOT NULL,
  asked_at REAL NOT NULL,
  PRIMARY KEY (network, user)
) WITHOUT ROWID;
