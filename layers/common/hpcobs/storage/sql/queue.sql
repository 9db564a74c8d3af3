-- send: put messages on the queue
INSERT INTO sample_queue (body) SELECT * FROM unnest(%(bodies)s::bytea[])

-- receive: take visible messages and hide them from other receivers
WITH visible AS (
    SELECT id FROM sample_queue
    WHERE visible_at <= now() AND receive_count < %(max_receives)s
    ORDER BY visible_at, id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
UPDATE sample_queue AS message
SET visible_at = now() + %(hidden)s, receive_count = receive_count + 1,
    receipt = gen_random_uuid()
FROM visible
WHERE message.id = visible.id
RETURNING message.id, receipt, body, sent_at, receive_count

-- bury_worn_out: move messages that were received too often without being deleted
WITH worn_out AS (
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

-- delete: remove the deliveries that were dealt with
DELETE FROM sample_queue USING unnest(%(ids)s::bigint[], %(receipts)s::uuid[]) AS done (id, receipt)
WHERE sample_queue.id = done.id AND sample_queue.receipt = done.receipt

-- extend: hide deliveries for longer
UPDATE sample_queue SET visible_at = now() + %(hidden)s
FROM unnest(%(ids)s::bigint[], %(receipts)s::uuid[]) AS held (id, receipt)
WHERE sample_queue.id = held.id AND sample_queue.receipt = held.receipt

-- bury: move a message that can never be read
WITH gone AS (
    DELETE FROM sample_queue WHERE id = %(id)s AND receipt = %(receipt)s
    RETURNING id, body, sent_at, receive_count
)
INSERT INTO sample_queue_dead (id, body, sent_at, receive_count, reason)
SELECT id, body, sent_at, receive_count, %(reason)s FROM gone

-- redrive: put dead letters back on the queue, as if they had just come
WITH risen AS (
    DELETE FROM sample_queue_dead RETURNING body, sent_at
), queued AS (
    INSERT INTO sample_queue (body, sent_at) SELECT body, sent_at FROM risen RETURNING 1
)
SELECT count(*) FROM queued

-- depth: how many messages wait, are being worked on and are dead
SELECT count(*) FILTER (WHERE visible_at <= now()),
       count(*) FILTER (WHERE visible_at > now()),
       (SELECT count(*) FROM sample_queue_dead)
FROM sample_queue
