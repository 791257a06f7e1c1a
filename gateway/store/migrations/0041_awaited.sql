-- What was said in rooms and is not told yet, because a file of it, or of what it is about, is on its way.
CREATE INDEX archived_awaited ON archived (room, id) WHERE level >= 3;
