-- Adds counts to the tallies of an account: one element of each array a row.
-- params: 1 closure, 2 tables, 3 classes, 4 removed, 5 created
-- rows: none
INSERT INTO expunge.closure_tally AS t (closure_id, table_id, class, n_removed, n_created)
SELECT $1::uuid, x.tab, x.class, x.removed, x.created
  FROM unnest($2::smallint[], $3::text[], $4::bigint[], $5::bigint[]) x(tab, class, removed, created)
ON CONFLICT (closure_id, table_id) DO UPDATE
   SET n_removed = t.n_removed + EXCLUDED.n_removed, n_created = t.n_created + EXCLUDED.n_created
