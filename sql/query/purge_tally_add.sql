-- Adds counts to the tallies of an account: one element of each array a row.
-- params: 1 closure, 2 tables, 3 classes, 4 counted before, 5 arrived since, 6 removed, 7 created
-- rows: none
INSERT INTO expunge.closure_tally AS t (closure_id, table_id, class, n_before, n_arrived, n_removed, n_created)
SELECT $1::uuid, x.tab, x.class, x.before, x.arrived, x.removed, x.created
  FROM unnest($2::smallint[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[]) x(tab, class, before, arrived, removed, created)
ON CONFLICT (closure_id, table_id) DO UPDATE
   SET n_before = t.n_before + EXCLUDED.n_before, n_arrived = t.n_arrived + EXCLUDED.n_arrived,
       n_removed = t.n_removed + EXCLUDED.n_removed, n_created = t.n_created + EXCLUDED.n_created
