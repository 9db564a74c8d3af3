-- lock: let one caller migrate at a time, until its transaction ends
-- An advisory lock, because at the first migration there is no table yet that could be locked.
SELECT pg_advisory_xact_lock(hashtext('hpcobs migrations'))

-- prepare: create the list of applied migrations
CREATE TABLE IF NOT EXISTS schema_migrations (
    name        text PRIMARY KEY,
    applied_at  timestamptz NOT NULL DEFAULT now()
)

-- applied: list the migrations that the database has
SELECT name FROM schema_migrations

-- note: record that a migration was applied
INSERT INTO schema_migrations (name) VALUES (%(name)s)
