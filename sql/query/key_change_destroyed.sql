-- A change whose old root is gone, and what was destroyed of it.
-- params: 1 attempt, 2 number of shares, 3 driver and file system of each destroyed share text[]
-- rows: maybe
UPDATE expunge.key_change c
   SET state = 'destroyed', n_shares = $2::integer, drivers = $3::text[], barrier = NULL, changed_at = clock_timestamp()
 WHERE c.attempt = $1 AND c.state = 'journalled'
RETURNING c.attempt
