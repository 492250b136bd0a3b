-- What this session has done to each table and not reported yet, this transaction included.
-- params: none
-- rows: many
SELECT s.relid, s.n_tup_ins, s.n_tup_upd, s.n_tup_del
  FROM pg_catalog.pg_stat_xact_user_tables s
 WHERE s.n_tup_ins + s.n_tup_upd + s.n_tup_del > 0
   AND s.schemaname NOT IN ('expunge', 'expunge_api')
