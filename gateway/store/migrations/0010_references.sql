-- What is said about what was said: replies, edits, reactions, and what was taken back.
-- The message whose text it is; NULL when that is not kept any more.
ALTER TABLE archived ADD COLUMN message INTEGER REFERENCES message ON DELETE SET NULL;
CREATE INDEX archived_message ON archived (message);
CREATE INDEX archived_texts ON archived (room, message) WHERE message IS NOT NULL;

-- The message that a command is about. The network may have it only when the command's turn comes.
ALTER TABLE outbound ADD COLUMN target INTEGER REFERENCES message ON DELETE SET NULL;
-- Also for the removal of messages: without it each of them looks through all of what was sent.
CREATE INDEX outbound_target ON outbound (target) WHERE target IS NOT NULL;

-- What a client calls what it has sent, beside its id (XEP-0359).
ALTER TABLE outbound ADD COLUMN origin_id TEXT NOT NULL DEFAULT '';

-- Of a reaction, by which the network takes it back.
ALTER TABLE reaction ADD COLUMN remote_id TEXT NOT NULL DEFAULT '';
CREATE INDEX reaction_remote_id ON reaction (remote_id);
