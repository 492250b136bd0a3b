-- A directory has been given a copy of an archive, or of a file that others refer to.
-- params: 1 id, 2 destination
-- rows: none
WITH next AS (UPDATE expunge.key_tree t SET key_seq = t.key_seq + 1 RETURNING t.key_seq)
UPDATE expunge.archive a SET destinations = array_append(array_remove(a.destinations, $2), $2), damaged = array_remove(a.damaged, $2),
       seq = next.key_seq
  FROM next
 WHERE a.id = $1 AND a.state <> 'naming'
