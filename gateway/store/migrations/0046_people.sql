-- How many are in a room, where the network tells that and not who all of them are.
ALTER TABLE room ADD COLUMN people INTEGER;
