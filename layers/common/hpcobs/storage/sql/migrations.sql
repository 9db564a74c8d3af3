-- lock: let one caller migrate at a time, until its transaction ends
-- An advisory lock, because at the first migration there is no table yet that could be locked.
SELECT pg_advisory_xact_lock(hashtext('hpcobs migrations'))

-- prepare: create the list of applied migrations
CREATE TABLE IF NOT EXISTS schema_migrations (
    name        text PRIMARY KEY,
    applied_at  timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE schema_migrations ADD COLUMN IF NOT EXISTS checksum text

-- applied: list the migrations that the database has
SELECT name, checksum FROM schema_migrations ORDER BY name

-- note: record that a migration was applied
INSERT INTO schema_migrations (name, checksum) VALUES (%(name)s, %(checksum)s)

-- note_checksum: record the checksum of a migration that an earlier version applied without one
UPDATE schema_migrations SET checksum = %(checksum)s WHERE name = %(name)s AND checksum IS NULL
