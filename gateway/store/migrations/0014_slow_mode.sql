-- Seconds between two messages of one person in a room; 0 where that does not matter.
ALTER TABLE room ADD COLUMN slow_mode INTEGER NOT NULL DEFAULT 0;
