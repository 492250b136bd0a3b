-- What was collected: per request and table the number of rows and a salted hash of their sorted keys.
-- params: 1 requests uuid[], 2 round
-- rows: many
SELECT x.request_id, x.table_id, x.n, x.n_arrived, x.hash
  FROM (SELECT k.request_id, k.table_id, count(*) FILTER (WHERE k.via = 0) AS n,
               count(*) FILTER (WHERE k.arrived AND k.via = 0) AS n_arrived,
               'sha256:' || encode(sha256(convert_to(k.request_id::text || chr(10)
                   || string_agg(k.via::text || k.key::text, chr(10) ORDER BY k.via, k.key::text COLLATE "C"), 'UTF8')), 'hex') AS hash
          FROM expunge.key_set k
         WHERE k.request_id = ANY($1::uuid[]) AND (k.via = 0 OR k.via BETWEEN 100 AND 1999) AND k.round = $2::smallint
         GROUP BY k.request_id, k.table_id) x
  JOIN expunge.mapped_table m ON m.id = x.table_id
 ORDER BY x.request_id, m.name COLLATE "C"
