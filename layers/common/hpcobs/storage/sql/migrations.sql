-- lock: one migration at a time, until the transaction ends
SELECT pg_advisory_xact_lock(hashtext('hpcobs migrations'))

-- prepare: make the list of applied migrations
CREATE TABLE IF NOT EXISTS schema_migrations (
    name        text PRIMARY KEY,
    applied_at  timestamptz NOT NULL DEFAULT now()
)

-- applied: which migrations the database has
SELECT name FROM schema_migrations

-- note: remember that a migration was applied
INSERT INTO schema_migrations (name) VALUES (%(name)s)
