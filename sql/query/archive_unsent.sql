-- Archives of a tenant that are on their way to destinations that are commands: those whose generation's key lives, and what such
-- archives refer to, the latest first.
-- params: 1 tenant
-- rows: many
SELECT a.id, a.sha256, array_to_string(a.destinations, E'\n'), array_to_string(a.sending, E'\n')
  FROM expunge.archive a
  JOIN expunge.key_leaf l ON l.id = a.generation
 WHERE a.tenant = $1 AND cardinality(a.sending) > 0 AND (l.shredded_epoch IS NULL AND a.state = 'complete' OR l.shredded_epoch IS NOT NULL AND
       EXISTS (SELECT FROM expunge.archive n WHERE n.needs @> ARRAY[a.id] AND n.state <> 'expired'))
 ORDER BY a.created_at DESC, a.finished_at DESC, a.id
