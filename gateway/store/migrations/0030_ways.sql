-- In a chat, the room by an occupant of which a message was told, or wanted (XEP-0045 §7.5): what is
-- said about it goes the same way. NULL if that was the contact's puppet.
ALTER TABLE message ADD COLUMN through INTEGER REFERENCES room ON DELETE SET NULL;
CREATE INDEX message_through ON message (through) WHERE through IS NOT NULL;
