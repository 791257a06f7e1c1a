-- Edits that waited until another one came, which waits in their place: if that is taken back, the newest of these is
-- what the message says.
CREATE TABLE overtaken_edit (
    id      INTEGER PRIMARY KEY,
    message INTEGER NOT NULL REFERENCES waiting_edit ON DELETE CASCADE,
    edit    TEXT NOT NULL,             -- by which id the network means it
    payload BLOB NOT NULL              -- the event
);
CREATE INDEX overtaken_edit_message ON overtaken_edit (message, id);
ALTER TABLE waiting_edit DROP COLUMN overwrote;
