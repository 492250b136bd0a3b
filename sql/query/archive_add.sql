-- An archive that is about to get its name in these destinations.
-- params: 1 id, 2 tenant, 3 generation, 4 seconds since 1970, 5 LSN as a number, 6 SHA-256, 7 size, 8 frames, 9 rows, 10 withheld, 11 destinations, 12 archives that it refers to, 13 the closure that makes its account dormant or null
-- rows: none
WITH next AS (UPDATE expunge.key_tree t SET key_seq = t.key_seq + 1 RETURNING t.key_seq), dormant AS (
     INSERT INTO expunge.dormancy_archive (archive_id, closure_id) SELECT $1, $13::uuid WHERE $13::text IS NOT NULL)
INSERT INTO expunge.archive (id, tenant, generation, created_at, lsn, sha256, size, n_frames, n_rows, n_withheld, destinations, needs, kind, seq)
SELECT $1, $2, $3::bigint, to_timestamp($4::bigint), '0/0'::pg_lsn + $5::numeric, $6, $7::bigint, $8::bigint, $9::bigint,
       $10::bigint, $11::text[], $12::text[], CASE WHEN $13::text IS NULL THEN 'backup' ELSE 'dormant' END, next.key_seq
  FROM next
