-- Messages of a network that keeps nothing, cut because too much waited for the user. Told, and
-- removed, when there is room again.
CREATE TABLE cut (
    conversation INTEGER PRIMARY KEY REFERENCES conversation ON DELETE CASCADE,
    messages     INTEGER NOT NULL
);
