-- Whether who has linked a group was told its address.
ALTER TABLE portal ADD COLUMN is_told INTEGER NOT NULL DEFAULT 0;
