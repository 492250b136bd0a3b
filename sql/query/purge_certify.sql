-- Stores the certificate of a closed account, and forgets whose rows it had.
-- params: 1 closure, 2 serial, 3 id, 4 stage, 5 note, 6 keyed hash of the tenant, 7 as of, 8 lsn, 9 requests of its subjects uuid[], 10 their keyed hashes text[]
-- rows: one
SELECT expunge.certify_closure($1::uuid, $2::bigint, $3, $4, $5, $6, $7::timestamptz, $8::pg_lsn, $9::uuid[], $10::text[])
