-- A command has taken an archive, or a directory has been given a copy; no row: it has expired meanwhile, and no
-- other refers to it.
-- params: 1 id, 2 destination
-- rows: maybe
WITH next AS (UPDATE expunge.key_tree t SET key_seq = t.key_seq + 1 RETURNING t.key_seq)
UPDATE expunge.archive a SET destinations = array_append(array_remove(a.destinations, $2), $2), sending = array_remove(a.sending, $2),
       damaged = array_remove(a.damaged, $2), seq = next.key_seq
  FROM next
 WHERE a.id = $1 AND (a.state = 'complete' OR
       a.state = 'expired' AND EXISTS (SELECT FROM expunge.archive n WHERE n.needs @> ARRAY[a.id] AND n.state <> 'expired'))
RETURNING a.id
