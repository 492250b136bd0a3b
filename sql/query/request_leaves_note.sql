-- Notes which leaf keys go with removed and recounted requests: those of the subject, under all its keys.
-- params: 1 number of the subject's table, 2 via of the subject's key, 3 requests to leave alone uuid[]
-- rows: none
INSERT INTO expunge.request_leaf (request_id, leaf_id)
SELECT DISTINCT r.id, l.id
  FROM expunge.request r
  JOIN expunge.key_set k ON k.request_id = r.id AND k.table_id = $1::smallint AND k.via = $2::smallint
  JOIN expunge.key_leaf l ON l.tenant = r.tenant AND l.kind = 'subject' AND l.name = k.key[1] AND l.shredded_epoch IS NULL
 WHERE r.state = 'removed' AND r.recounted_at IS NOT NULL AND r.id <> ALL ($3::uuid[])
ON CONFLICT DO NOTHING
