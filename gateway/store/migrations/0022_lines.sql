-- What nobody has said, by who wants to hear of it: 0 everybody, as of what people say; 1 who wants
-- to hear what is important; 2 who wants to hear everything.
ALTER TABLE archived ADD COLUMN level INTEGER NOT NULL DEFAULT 0;
-- So that the archive is counted without a look at the messages.
DROP INDEX archived_order;
CREATE INDEX archived_order ON archived (room, id, level);
