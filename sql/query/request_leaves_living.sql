-- The leaf keys that go with removed and recounted requests, and have not gone.
-- params: 1 requests to leave alone uuid[]
-- rows: many
SELECT DISTINCT l.id
  FROM expunge.request r
  JOIN expunge.request_leaf q ON q.request_id = r.id
  JOIN expunge.key_leaf l ON l.id = q.leaf_id
 WHERE r.state = 'removed' AND r.recounted_at IS NOT NULL AND r.id <> ALL ($1::uuid[]) AND l.shredded_epoch IS NULL
 ORDER BY l.id
