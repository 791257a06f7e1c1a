-- In whose name a file was put at the upload service: nobody else is told that address.
ALTER TABLE file ADD COLUMN uploader INTEGER; -- account; NULL is the component
UPDATE file SET source = NULL, sha256 = NULL; -- of these nobody knows it
