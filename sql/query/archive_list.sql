-- Archives, the latest first.
-- params: 1 tenant or null
-- rows: many
SELECT a.id AS id, a.tenant AS tenant, a.kind AS kind,
       CASE WHEN a.state = 'expired' AND EXISTS (SELECT FROM expunge.archive n WHERE n.needs @> ARRAY[a.id] AND n.state <> 'expired')
            THEN 'needed' ELSE a.state END AS state,
       to_char(a.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS created, a.n_rows AS n_rows,
       a.n_frames AS n_frames, a.size AS size, a.n_withheld AS n_withheld, array_to_string(a.destinations, ' ') AS destinations,
       array_to_string(a.sending, ' ') AS sending, array_to_string(a.damaged, ' ') AS damaged
  FROM expunge.archive a WHERE $1::text IS NULL OR a.tenant = $1
 ORDER BY a.created_at DESC, a.tenant, a.id
