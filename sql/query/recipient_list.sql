-- The external stores that were told of erasures and of closed accounts, or that a person is to tell, and what they said.
-- params: 1 request or closure or NULL, 2 only those that have not acknowledged
-- rows: many
WITH recipient AS (
    SELECT t.request_id, r.tenant, t.name, t.told_at, t.acknowledged_at, t.acknowledged_by
      FROM expunge.recipient t JOIN expunge.request r ON r.id = t.request_id
    UNION ALL
    SELECT t.closure_id, c.tenant, t.name, t.told_at, t.acknowledged_at, t.acknowledged_by
      FROM expunge.closure_recipient t JOIN expunge.closure c ON c.id = t.closure_id
)
SELECT t.request_id AS request, t.tenant, t.name AS store,
       to_char(t.told_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS told,
       to_char(t.acknowledged_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS acknowledged,
       CASE WHEN t.acknowledged_at IS NOT NULL THEN coalesce(t.acknowledged_by, 'its program') END AS by
  FROM recipient t
 WHERE ($1::uuid IS NULL OR t.request_id = $1::uuid) AND (NOT $2::boolean OR t.acknowledged_at IS NULL)
 ORDER BY t.told_at, t.request_id, t.name
