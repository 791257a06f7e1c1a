-- The first schema. Never edited once it is on main; changes come as the next file.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- The link between an XMPP user and an identity on a network.
-- Ids are never used twice: a late unit of a removed account must not meet another one.
CREATE TABLE account (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    network     TEXT NOT NULL,
    user        TEXT NOT NULL,              -- bare JID
    realm       TEXT NOT NULL,
    remote_id   TEXT NOT NULL,
    secret      BLOB,                       -- encrypted; NULL after a log-out
    cursor      TEXT,
    status      TEXT NOT NULL,              -- linked | expired | logged-out
    created_at  REAL NOT NULL,
    active_at   REAL NOT NULL,
    UNIQUE (network, user),
    UNIQUE (network, realm, remote_id)
);

CREATE TABLE account_state (
    account INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
    key     TEXT NOT NULL,
    value   TEXT NOT NULL,
    PRIMARY KEY (account, key)
) WITHOUT ROWID;

-- Localparts of puppets. Kept for ever once assigned: people have them in their rosters.
CREATE TABLE address (
    network   TEXT NOT NULL,
    localpart TEXT NOT NULL,
    remote_id TEXT NOT NULL,
    PRIMARY KEY (network, localpart),
    UNIQUE (network, remote_id)
) WITHOUT ROWID;

CREATE TABLE contact (
    account   INTEGER NOT NULL REFERENCES account ON DELETE CASCADE,
    remote_id TEXT NOT NULL,
    name      TEXT NOT NULL DEFAULT '',
    to_user   INTEGER NOT NULL DEFAULT 0,   -- the user receives the puppet's presence: 0 no, 2 yes
    from_user INTEGER NOT NULL DEFAULT 0,   -- and the other way: 0 no, 1 asked, 2 yes, 3 refused
    invited   INTEGER NOT NULL DEFAULT 0,   -- an invitation of the contact waits for an answer
    PRIMARY KEY (account, remote_id)
) WITHOUT ROWID;

CREATE TABLE room (
    id      INTEGER PRIMARY KEY,
    network TEXT NOT NULL,
    realm   TEXT NOT NULL
);

-- A room has one home remote and may be linked to others.
CREATE TABLE room_link (
    room      INTEGER NOT NULL REFERENCES room ON DELETE CASCADE,
    network   TEXT NOT NULL,
    realm     TEXT NOT NULL,
    remote_id TEXT NOT NULL,
    home      INTEGER NOT NULL,
    PRIMARY KEY (network, realm, remote_id)
) WITHOUT ROWID;
CREATE INDEX room_link_room ON room_link (room);
CREATE UNIQUE INDEX room_link_home ON room_link (room) WHERE home;

-- A chat (account and contact; the contact '' is the gateway itself) or a room.
CREATE TABLE conversation (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    account INTEGER REFERENCES account ON DELETE CASCADE,
    contact TEXT,
    room    INTEGER UNIQUE REFERENCES room ON DELETE CASCADE,
    read_by_contact INTEGER NOT NULL DEFAULT 0, -- the newest message each side has read;
    read_by_user    INTEGER NOT NULL DEFAULT 0, -- marks only move forward
    UNIQUE (account, contact),
    CHECK ((room IS NULL) = (account IS NOT NULL AND contact IS NOT NULL))
);

-- Notices that are given once.
CREATE TABLE told (
    conversation INTEGER NOT NULL REFERENCES conversation ON DELETE CASCADE,
    notice       TEXT NOT NULL,
    PRIMARY KEY (conversation, notice)
) WITHOUT ROWID;

CREATE TABLE message (
    id           INTEGER PRIMARY KEY,
    conversation INTEGER NOT NULL REFERENCES conversation ON DELETE CASCADE,
    stanza_id    TEXT NOT NULL,
    remote_id    TEXT,                      -- NULL until the network has taken it
    part         INTEGER NOT NULL DEFAULT 0,
    origin       INTEGER NOT NULL,          -- 0 the contact, 1 the user, 2 the user's other clients
    sent_at      REAL NOT NULL,             -- as the sender says
    stored_at    REAL NOT NULL              -- by our clock
);
CREATE UNIQUE INDEX message_remote ON message (conversation, remote_id, part)
    WHERE remote_id IS NOT NULL;
CREATE INDEX message_order ON message (conversation, id);
CREATE INDEX message_stored_at ON message (stored_at);

-- Every id by which an XMPP client may refer to a message.
CREATE TABLE alias (
    conversation INTEGER NOT NULL REFERENCES conversation ON DELETE CASCADE,
    value        TEXT NOT NULL,
    message      INTEGER NOT NULL REFERENCES message ON DELETE CASCADE,
    PRIMARY KEY (conversation, value)
) WITHOUT ROWID;
CREATE INDEX alias_message ON alias (message);

CREATE TABLE reaction (
    message INTEGER NOT NULL REFERENCES message ON DELETE CASCADE,
    sender  TEXT NOT NULL,
    emoji   TEXT NOT NULL,
    PRIMARY KEY (message, sender, emoji)
) WITHOUT ROWID;

-- The inbound journal: network to XMPP. A row is one stanza.
CREATE TABLE inbound (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    conversation INTEGER NOT NULL REFERENCES conversation ON DELETE CASCADE,
    stanza_id    TEXT NOT NULL,
    payload      BLOB NOT NULL,
    state        INTEGER NOT NULL DEFAULT 0, -- 0 committed, 1 taken over, 2 settled, 3 dead letter
    bounces      INTEGER NOT NULL DEFAULT 0,
    committed_at REAL NOT NULL,
    changed_at   REAL NOT NULL
);
CREATE INDEX inbound_open ON inbound (conversation, id) WHERE state < 2;
-- For the removal of an account.
CREATE INDEX inbound_conversation ON inbound (conversation);
CREATE INDEX inbound_stanza ON inbound (stanza_id);
CREATE INDEX inbound_done ON inbound (changed_at) WHERE state >= 2;

-- The outbound journal: XMPP to network. The id is the network's idempotency key.
CREATE TABLE outbound (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    conversation INTEGER NOT NULL REFERENCES conversation ON DELETE CASCADE,
    message      INTEGER REFERENCES message ON DELETE SET NULL,
    stanza_id    TEXT NOT NULL,             -- '' for commands that no stanza waits for
    sender       TEXT NOT NULL,             -- full JID of the device
    digest       BLOB NOT NULL,             -- of the content, to tell a repetition from a reused id
    receipt      INTEGER NOT NULL,          -- the sender asked for one
    payload      BLOB,                      -- NULL once settled
    state        INTEGER NOT NULL DEFAULT 0, -- 0 committed, 2 accepted, 3 failed
    attempted_at REAL,
    committed_at REAL NOT NULL,
    changed_at   REAL NOT NULL
);
CREATE INDEX outbound_open ON outbound (conversation, id) WHERE state = 0;
-- For the removal of messages.
CREATE INDEX outbound_message ON outbound (message);
CREATE INDEX outbound_stanza ON outbound (conversation, stanza_id);
CREATE INDEX outbound_done ON outbound (changed_at) WHERE state > 0;

-- Encrypted events, kept as they came until a version can read them.
CREATE TABLE held (
    conversation INTEGER NOT NULL REFERENCES conversation ON DELETE CASCADE,
    remote_id    TEXT NOT NULL,
    own          INTEGER NOT NULL,
    sent_at      REAL NOT NULL,             -- as the sender says
    stored_at    REAL NOT NULL,             -- by our clock
    content      TEXT NOT NULL,
    PRIMARY KEY (conversation, remote_id)
);
CREATE INDEX held_stored_at ON held (stored_at);
