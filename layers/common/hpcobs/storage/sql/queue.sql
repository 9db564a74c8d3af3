-- send: put messages on the queue
INSERT INTO sample_queue (body) SELECT * FROM unnest(%(bodies)s::bytea[])

-- receive: return visible messages and hide them from other receivers
WITH visible AS (
    SELECT id FROM sample_queue
    WHERE visible_at <= now() AND receive_count < %(max_receives)s
    ORDER BY visible_at, id
    LIMIT %(limit)s
    -- Receivers side by side take different messages, and none waits for another.
    FOR UPDATE SKIP LOCKED
)
UPDATE sample_queue AS message
SET visible_at = now() + %(hidden)s, receive_count = receive_count + 1,
    -- A new receipt for each delivery: a late receiver must not delete another's delivery.
    receipt = gen_random_uuid()
FROM visible
WHERE message.id = visible.id
RETURNING message.id, receipt, body, sent_at, receive_count

-- bury_worn_out: move messages to the dead letters that were received too often
-- Nobody hides a message for an hour. One that is hidden for longer was sent or received while the
-- clock was ahead: it is visible again from now on.
WITH from_future AS (
    UPDATE sample_queue SET visible_at = now(), sent_at = least(sent_at, now())
    WHERE id IN (
        SELECT id FROM sample_queue
        WHERE visible_at > now() + interval '1 hour'
        FOR UPDATE SKIP LOCKED
    )
), worn_out AS (
    DELETE FROM sample_queue
    WHERE id IN (
        SELECT id FROM sample_queue
        WHERE visible_at <= now() AND receive_count >= %(max_receives)s
        FOR UPDATE SKIP LOCKED
    )
    RETURNING id, body, sent_at, receive_count
)
INSERT INTO sample_queue_dead (id, body, sent_at, receive_count, reason)
SELECT id, body, sent_at, receive_count, 'received too often' FROM worn_out

-- delete: remove messages by the receipts of their deliveries
DELETE FROM sample_queue USING unnest(%(ids)s::bigint[], %(receipts)s::uuid[]) AS done (id, receipt)
WHERE sample_queue.id = done.id AND sample_queue.receipt = done.receipt

-- extend: hide deliveries for longer
UPDATE sample_queue SET visible_at = now() + %(hidden)s
FROM unnest(%(ids)s::bigint[], %(receipts)s::uuid[]) AS held (id, receipt)
WHERE sample_queue.id = held.id AND sample_queue.receipt = held.receipt

-- bury: move a message that cannot be read to the dead letters
WITH gone AS (
    DELETE FROM sample_queue WHERE id = %(id)s AND receipt = %(receipt)s
    RETURNING id, body, sent_at, receive_count
)
INSERT INTO sample_queue_dead (id, body, sent_at, receive_count, reason)
SELECT id, body, sent_at, receive_count, %(reason)s FROM gone

-- redrive: put dead letters back on the queue, as if they had never been received
WITH redriven AS (
    DELETE FROM sample_queue_dead RETURNING body, sent_at
), queued AS (
    INSERT INTO sample_queue (body, sent_at) SELECT body, sent_at FROM redriven RETURNING 1
)
SELECT count(*) FROM queued

-- depth: count the messages that are visible, in flight and dead
SELECT count(*) FILTER (WHERE visible_at <= now()),
       count(*) FILTER (WHERE visible_at > now()),
       (SELECT count(*) FROM sample_queue_dead)
FROM sample_queue
