-- An archive has its name in these destinations.
-- params: 1 id, 2 destinations
-- rows: none
WITH next AS (UPDATE expunge.key_tree t SET key_seq = t.key_seq + 1 RETURNING t.key_seq)
UPDATE expunge.archive a SET state = 'complete', destinations = $2::text[], finished_at = now(), seq = next.key_seq
  FROM next
 WHERE a.id = $1 AND a.state = 'naming'
