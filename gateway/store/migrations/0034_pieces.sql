-- Texts of users that are longer than the network takes: what is one message for XMPP is several
-- there. Only those of which there is more than one have rows here; the first piece is also the
-- message's own remote id.
CREATE TABLE piece (
    message   INTEGER NOT NULL REFERENCES message ON DELETE CASCADE,
    number    INTEGER NOT NULL,             -- their order
    remote_id TEXT NOT NULL,
    PRIMARY KEY (message, number)
) WITHOUT ROWID;

-- How many pieces of a text the network has, while the row is open.
ALTER TABLE outbound ADD COLUMN done INTEGER NOT NULL DEFAULT 0;
