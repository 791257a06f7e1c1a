-- What the account may do in a room where its affiliation does not say it; NULL where that does.
ALTER TABLE room ADD COLUMN may TEXT;
