-- The message with which the thread began that a message of a chat was said in, as the network calls it.
ALTER TABLE chat_text ADD COLUMN thread TEXT;
CREATE INDEX chat_text_thread ON chat_text (conversation, thread, message) WHERE thread IS NOT NULL;
