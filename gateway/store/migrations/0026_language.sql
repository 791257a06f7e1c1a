-- Which language the user spoke last; empty if they have spoken none.
ALTER TABLE account ADD COLUMN language TEXT NOT NULL DEFAULT '';
