-- What is said about messages of chats. Chats have no archive: of each text is kept by what it is
-- known again, and of the newest ones how they begin.

-- The message that this one edits, reacts to or takes back; NULL if it is one in its own right.
ALTER TABLE message ADD COLUMN about INTEGER REFERENCES message ON DELETE CASCADE;
CREATE INDEX message_about ON message (about) WHERE about IS NOT NULL;

CREATE TABLE chat_text (
    message      INTEGER PRIMARY KEY REFERENCES message ON DELETE CASCADE,
    conversation INTEGER NOT NULL REFERENCES conversation ON DELETE CASCADE,
    digest       BLOB NOT NULL,             -- of what it says now; empty once it was taken back
    excerpt      TEXT NOT NULL,             -- how that begins; empty if it is too old for quotes
    gone         INTEGER NOT NULL DEFAULT 0, -- it was taken back
    edited_at    REAL NOT NULL DEFAULT 0    -- when an edit of it came last, by our clock
);
CREATE INDEX chat_text_excerpt ON chat_text (conversation, message) WHERE excerpt <> '';
CREATE INDEX chat_text_conversation ON chat_text (conversation);

-- Edits that wait, because the message may be edited again at once: the last one of each message.
CREATE TABLE waiting_edit (
    message      INTEGER PRIMARY KEY REFERENCES message ON DELETE CASCADE,
    conversation INTEGER NOT NULL REFERENCES conversation ON DELETE CASCADE,
    since        REAL NOT NULL,             -- when the first of them came
    due_at       REAL NOT NULL,
    payload      BLOB NOT NULL              -- the event
);
CREATE INDEX waiting_edit_conversation ON waiting_edit (conversation);
CREATE INDEX waiting_edit_due_at ON waiting_edit (due_at);
