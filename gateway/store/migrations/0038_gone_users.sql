-- Since when the user's server has said that there is no such account on it, and whether that was long enough for theirs to rest.
ALTER TABLE account ADD COLUMN gone_since REAL;
ALTER TABLE account ADD COLUMN suspended INTEGER NOT NULL DEFAULT 0;
