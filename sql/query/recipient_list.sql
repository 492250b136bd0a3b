-- The external stores that were told of erasures, and what they said.
-- params: 1 request or NULL, 2 only those that have not acknowledged
-- rows: many
SELECT t.request_id AS request, r.tenant, t.name AS store,
       to_char(t.told_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS told,
       to_char(t.acknowledged_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS acknowledged,
       CASE WHEN t.acknowledged_at IS NOT NULL THEN coalesce(t.acknowledged_by, 'its program') END AS by
  FROM expunge.recipient t
  JOIN expunge.request r ON r.id = t.request_id
 WHERE ($1::uuid IS NULL OR t.request_id = $1::uuid) AND (NOT $2::boolean OR t.acknowledged_at IS NULL)
 ORDER BY t.told_at, t.request_id, t.name
