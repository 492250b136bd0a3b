-- What was collected: per request and table the number of rows and a salted hash of their sorted keys.
-- params: 1 requests uuid[], 2 round
-- rows: many
SELECT k.request_id, k.table_id, count(*) FILTER (WHERE k.via = 0), count(*) FILTER (WHERE k.arrived AND k.via = 0),
       'sha256:' || encode(sha256(convert_to(k.request_id::text || chr(10)
           || string_agg(k.via::text || k.key::text, chr(10) ORDER BY k.via, k.key::text COLLATE "C"), 'UTF8')), 'hex')
  FROM expunge.key_set k
  JOIN expunge.mapped_table m ON m.id = k.table_id
 WHERE k.request_id = ANY($1::uuid[]) AND (k.via = 0 OR k.via BETWEEN 100 AND 1999) AND k.round = $2::smallint
 GROUP BY k.request_id, k.table_id, m.name
 ORDER BY k.request_id, m.name COLLATE "C"
