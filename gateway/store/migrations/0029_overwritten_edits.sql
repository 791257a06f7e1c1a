-- Whether another edit of the same message, which nobody was told, waited before this one did.
ALTER TABLE waiting_edit ADD COLUMN overwrote INTEGER NOT NULL DEFAULT 0;
