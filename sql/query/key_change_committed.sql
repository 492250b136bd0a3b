-- A change whose pages are written, in the transaction that writes them.
-- params: 1 attempt, 2 pages, 3 keys left in them, 4 key_seq
-- rows: maybe
UPDATE expunge.key_change c
   SET state = 'committed', n_pages = $2::bigint, n_live = $3::bigint, seq = $4::bigint, changed_at = clock_timestamp()
 WHERE c.attempt = $1 AND c.state = 'intent'
RETURNING c.attempt
