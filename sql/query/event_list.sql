-- What happened to a request.
-- params: 1 request
-- rows: many
SELECT to_char(e.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS at, e.actor, e.kind, e.detail
  FROM expunge.event e WHERE e.request_id = $1::uuid ORDER BY e.number
