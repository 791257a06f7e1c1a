-- Reactions to a message that cannot be read yet, in the order in which they came.
ALTER TABLE held ADD COLUMN reactions BLOB;
CREATE INDEX held_reactions ON held (conversation) WHERE reactions IS NOT NULL;
