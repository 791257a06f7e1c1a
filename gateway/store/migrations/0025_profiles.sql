-- Pictures of contacts, by what the network calls them: empty if they have none, NULL until it has
-- said so.
ALTER TABLE contact ADD COLUMN avatar TEXT;
CREATE INDEX contact_avatar ON contact (avatar) WHERE avatar <> '';
