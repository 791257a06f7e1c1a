-- Whether the network lets in only who is invited to a linked group, as it told last.
ALTER TABLE portal ADD COLUMN is_private INTEGER NOT NULL DEFAULT 1;
