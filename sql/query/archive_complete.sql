-- An archive has its name in these destinations, and is on its way to those that are commands.
-- params: 1 id, 2 destinations, 3 commands
-- rows: none
WITH next AS (UPDATE expunge.key_tree t SET key_seq = t.key_seq + 1 RETURNING t.key_seq)
UPDATE expunge.archive a SET state = 'complete', destinations = $2::text[], sending = $3::text[], finished_at = now(), seq = next.key_seq
  FROM next
 WHERE a.id = $1 AND a.state = 'naming'
