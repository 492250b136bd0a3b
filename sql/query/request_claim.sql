-- Approved requests whose time has come, locked for this transaction; those of other workers are passed over.
-- Those tried before come last: what cannot be done must not be the canary of every night. OFFSET 0: plans are looked up for
-- those that the index of what is due hands out, not joined to all requests first.
-- params: 1 how many, 2 requests to leave alone uuid[], 3 run: only what was approved before it began
-- rows: many
WITH chosen AS MATERIALIZED (
    SELECT r.id, r.kind, r.tenant, r.subject, r.approved_plan, r.attempts > 0 AS tried, r.due_on, r.received_at
      FROM expunge.request r
     WHERE r.state = 'scheduled' AND r.not_before <= now()
       AND r.decided_at <= (SELECT n.started_at FROM expunge.run n WHERE n.id = $3::uuid) AND r.id <> ALL ($2::uuid[])
       AND EXISTS (SELECT FROM expunge.plan p WHERE p.request_id = r.id OFFSET 0)
     ORDER BY r.attempts > 0, r.due_on, r.received_at, r.id
     LIMIT $1::integer
       FOR UPDATE OF r SKIP LOCKED
)
SELECT c.id, c.tenant, c.subject, c.approved_plan, p.hash, p.document, p.n_rows,
       coalesce((SELECT max(k.round) + 1 FROM expunge.key_set k WHERE k.request_id = c.id), 0) AS round, c.kind
  FROM chosen c
  JOIN expunge.plan p ON p.request_id = c.id
 ORDER BY c.tried, c.due_on, c.received_at, c.id
