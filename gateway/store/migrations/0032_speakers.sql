-- In a chat, by whom what the user has said in another app was told (XEP-0356, REQ-475): nobody (0), the
-- contact's puppet (1), the user (2). What is said about it goes the same way. NULL if that is not certain yet,
-- and of all other messages.
ALTER TABLE message ADD COLUMN speaker INTEGER;
