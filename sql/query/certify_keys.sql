-- The leaf keys that went with requests, and the changes of the root that they went by.
-- params: 1 requests uuid[]
-- rows: many
SELECT q.request_id, encode(l.kcv, 'hex'), l.shredded_epoch, c.n_shares, array_to_string(c.drivers, chr(31))
  FROM expunge.request_leaf q
  JOIN expunge.key_leaf l ON l.id = q.leaf_id
  LEFT JOIN expunge.key_change c ON c.epoch = l.shredded_epoch - 1 AND c.state = 'done'
 WHERE q.request_id = ANY ($1::uuid[])
 ORDER BY q.request_id, l.id
