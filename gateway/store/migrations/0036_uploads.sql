-- Files that are at the upload service of the server: where, so that the same file is put there once.
ALTER TABLE file ADD COLUMN url TEXT;
ALTER TABLE file ADD COLUMN source BLOB; -- hash of network and reference
ALTER TABLE file ADD COLUMN sha256 BLOB; -- of its content
ALTER TABLE file ADD COLUMN size INTEGER; -- in bytes
ALTER TABLE file ADD COLUMN uploaded_at REAL; -- when url was told for the first time
CREATE INDEX file_source ON file (source) WHERE source IS NOT NULL;
CREATE INDEX file_content ON file (sha256) WHERE sha256 IS NOT NULL;
