-- The state of the key tree, the change that is under way, and the last certificate.
-- params: none
-- rows: one
SELECT t.epoch, t.attempt, t.key_seq, (SELECT k.nonce FROM expunge.key_nonce k ORDER BY k.number DESC LIMIT 1), c.attempt, c.epoch, c.state, array_to_string(c.leaves, ' '), c.leaves_hash,
       (SELECT n.last FROM expunge.certificate_counter n)
  FROM (SELECT) one
  LEFT JOIN expunge.key_tree t ON true
  LEFT JOIN expunge.key_change c ON c.state NOT IN ('done', 'abandoned')
