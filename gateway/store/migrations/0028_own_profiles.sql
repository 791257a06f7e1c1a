-- What the network was told last of how a user is called and looks, for those who want that.
CREATE TABLE own_profile (
    account INTEGER PRIMARY KEY REFERENCES account ON DELETE CASCADE,
    name    TEXT NOT NULL,
    picture TEXT NOT NULL  -- its id on XMPP; empty if none was told
) WITHOUT ROWID;
