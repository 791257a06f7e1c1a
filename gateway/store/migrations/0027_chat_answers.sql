-- What a message of a chat answers, which is said again with each edit of it; and the network's id
-- of the edit of which this is the text, if it was edited.
ALTER TABLE chat_text ADD COLUMN answers INTEGER REFERENCES message ON DELETE SET NULL;
CREATE INDEX chat_text_answers ON chat_text (answers) WHERE answers IS NOT NULL;
ALTER TABLE chat_text ADD COLUMN edit TEXT;
