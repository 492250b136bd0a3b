-- The next number of a transaction that writes keys.
-- params: none
-- rows: one
UPDATE expunge.key_tree t SET key_seq = t.key_seq + 1 RETURNING t.key_seq
