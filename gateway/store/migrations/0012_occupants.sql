-- Large groups: which of their members are occupants of the room.
ALTER TABLE member ADD COLUMN shown INTEGER NOT NULL DEFAULT 1;
ALTER TABLE member ADD COLUMN spoke_at REAL NOT NULL DEFAULT 0;
CREATE INDEX member_shown ON member (room) WHERE shown;

-- Private messages: the room and the nick by which the user addressed the contact last.
ALTER TABLE conversation ADD COLUMN through INTEGER REFERENCES room ON DELETE SET NULL;
CREATE INDEX conversation_through ON conversation (through) WHERE through IS NOT NULL;

-- What the network calls somebody beside their name.
ALTER TABLE member ADD COLUMN title TEXT NOT NULL DEFAULT '';
