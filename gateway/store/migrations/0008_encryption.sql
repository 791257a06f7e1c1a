-- What an adapter keeps for an account and nobody else may read: keys. Each value is sealed.
CREATE TABLE account_sealed (
    account INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
    key     TEXT NOT NULL,
    value   BLOB NOT NULL,
    PRIMARY KEY (account, key)
);
-- What an encrypted event waits for, in words of the adapter, empty if nothing is known that would
-- help; why it cannot be read, for the user; and whether the user was given a line in its place.
ALTER TABLE held ADD COLUMN needs TEXT NOT NULL DEFAULT '';
ALTER TABLE held ADD COLUMN reason TEXT NOT NULL DEFAULT '';
ALTER TABLE held ADD COLUMN told INTEGER NOT NULL DEFAULT 0;
UPDATE held SET told = 1; -- they had one line for the whole conversation
CREATE INDEX held_needs ON held (needs);
CREATE INDEX held_untold ON held (stored_at) WHERE told = 0 AND needs > '';
