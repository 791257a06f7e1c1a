-- Groups that are linked for people without an account: the house has one, and for each of these
-- people there is one by which they are in rooms. Beside it they may have their own.
CREATE TABLE account_of_a_kind (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    network      TEXT NOT NULL,
    kind         TEXT NOT NULL,             -- own | house | virtual
    user         TEXT NOT NULL,             -- bare JID
    realm        TEXT NOT NULL,
    remote_id    TEXT NOT NULL,
    secret       BLOB,                      -- encrypted; NULL after a log-out
    cursor       TEXT,
    status       TEXT NOT NULL,             -- linked | expired | logged-out
    created_at   REAL NOT NULL,
    active_at    REAL NOT NULL,
    settings     TEXT NOT NULL DEFAULT '',
    room_realm   TEXT NOT NULL DEFAULT '',
    rooms_untold INTEGER NOT NULL DEFAULT 0,
    language     TEXT NOT NULL DEFAULT '',
    gone_since   REAL,
    suspended    INTEGER NOT NULL DEFAULT 0,
    UNIQUE (network, kind, user),
    UNIQUE (network, realm, remote_id)
);
INSERT INTO account_of_a_kind
    SELECT id, network, 'own', user, realm, remote_id, secret, cursor, status, created_at, active_at,
        settings, room_realm, rooms_untold, language, gone_since, suspended
    FROM account;
-- Ids are never used twice, those of accounts neither that are gone.
DELETE FROM sqlite_sequence WHERE name = 'account_of_a_kind';
INSERT INTO sqlite_sequence SELECT 'account_of_a_kind', seq FROM sqlite_sequence
    WHERE name = 'account';
DROP TABLE account;
ALTER TABLE account_of_a_kind RENAME TO account;

CREATE TABLE portal (
    network      TEXT NOT NULL,
    remote_id    TEXT NOT NULL,             -- of the group
    members_only INTEGER NOT NULL,          -- only who is named in portal_user comes in
    linked_by    TEXT NOT NULL,             -- bare JID
    linked_at    REAL NOT NULL,
    PRIMARY KEY (network, remote_id)
) WITHOUT ROWID;

-- What XMPP users are there who are more than anybody, or may not come in.
CREATE TABLE portal_user (
    network     TEXT NOT NULL,
    remote_id   TEXT NOT NULL,
    user        TEXT NOT NULL,              -- bare JID
    affiliation TEXT NOT NULL,              -- owner | admin | member | outcast
    PRIMARY KEY (network, remote_id, user),
    FOREIGN KEY (network, remote_id) REFERENCES portal ON DELETE CASCADE
) WITHOUT ROWID;

-- Sent in a group, it links that.
CREATE TABLE link_code (
    network      TEXT NOT NULL,
    code         TEXT NOT NULL,
    user         TEXT NOT NULL,             -- bare JID of who wants that
    by_admin     INTEGER NOT NULL,          -- of the gateway: the group need not be theirs
    members_only INTEGER NOT NULL,
    until        REAL NOT NULL,
    PRIMARY KEY (network, code)
) WITHOUT ROWID;
