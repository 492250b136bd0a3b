-- Drops the key sets and plans of certified requests.
-- params: 1 requests uuid[]
-- rows: none
WITH keys AS (
    DELETE FROM expunge.key_set k WHERE k.request_id = ANY($1::uuid[])
)
DELETE FROM expunge.plan p WHERE p.request_id = ANY($1::uuid[])
