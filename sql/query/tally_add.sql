-- Adds counts to the tallies of requests: one element of each array a row.
-- params: 1 requests uuid[], 2 tables, 3 classes, 4 planned, 5 arrived, 6 removed, 7 masked, 8 retained, 9 created, 10 again
-- rows: none
INSERT INTO expunge.tally AS t (request_id, table_id, class, n_before, n_arrived, n_removed, n_masked, n_retained, n_created)
SELECT x.request, x.tab, x.class, CASE WHEN $10::boolean THEN 0 ELSE x.planned - x.arrived END,
       CASE WHEN $10::boolean THEN x.planned ELSE x.arrived END, x.removed, x.masked, x.retained, x.created
  FROM unnest($1::uuid[], $2::smallint[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
              $8::bigint[], $9::bigint[]) x(request, tab, class, planned, arrived, removed, masked, retained, created)
ON CONFLICT (request_id, table_id) DO UPDATE
   SET n_before = t.n_before + EXCLUDED.n_before, n_arrived = t.n_arrived + EXCLUDED.n_arrived,
       n_removed = t.n_removed + EXCLUDED.n_removed, n_masked = t.n_masked + EXCLUDED.n_masked,
       n_retained = t.n_retained + EXCLUDED.n_retained, n_created = t.n_created + EXCLUDED.n_created
