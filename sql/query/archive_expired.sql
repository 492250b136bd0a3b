-- Expired archives whose files are still somewhere, and that no other refers to, behind an id.
-- params: 1 after this id
-- rows: many
SELECT a.id, array_to_string(a.destinations || a.sending, E'\n')
  FROM expunge.archive a
 WHERE a.state = 'expired' AND a.id > $1
   AND NOT EXISTS (SELECT FROM expunge.archive n WHERE n.needs @> ARRAY[a.id] AND n.state <> 'expired')
 ORDER BY a.id LIMIT 1000
