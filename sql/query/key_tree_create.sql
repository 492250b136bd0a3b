-- The first epoch.
-- params: 1 attempt, 2 run nonce
-- rows: none
INSERT INTO expunge.key_tree (epoch, attempt, run_nonce) VALUES (1, $1, $2)
