-- What a user has set, as JSON; empty until they change something.
ALTER TABLE account ADD COLUMN settings TEXT NOT NULL DEFAULT '';
