-- What somebody is in linked groups is asked with each stanza of people whom nobody knows else.
CREATE INDEX portal_user_user ON portal_user (user);
