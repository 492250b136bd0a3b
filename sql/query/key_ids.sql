-- Numbers for new pages and leaves.
-- params: 1 how many
-- rows: many
SELECT nextval('expunge.key_id') FROM generate_series(1, $1::bigint)
