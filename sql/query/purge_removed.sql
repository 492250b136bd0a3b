-- The last of an account's rows are going: in the transaction that takes them. Its keys are counted while they live.
-- params: 1 closure
-- rows: none
INSERT INTO expunge.closure_removal (closure_id, removed_xid, removed_lsn, n_keys, keys, n_archives)
SELECT c.id, pg_current_xact_id()::text, pg_current_wal_insert_lsn(),
       (SELECT count(*) FROM expunge.key_leaf l WHERE l.tenant = c.tenant AND l.shredded_epoch IS NULL),
       ARRAY(SELECT encode(l.kcv, 'hex') FROM expunge.key_leaf l
              WHERE l.tenant = c.tenant AND l.shredded_epoch IS NULL ORDER BY l.kind = 'subject', l.id LIMIT 32),
       (SELECT count(*) FROM expunge.archive a WHERE a.tenant = c.tenant AND a.state = 'complete')
  FROM expunge.closure c WHERE c.id = $1::uuid
