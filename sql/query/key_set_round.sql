-- The round in which a request's rows are collected next: 0, or one more than the last.
-- params: 1 requests uuid[]
-- rows: one
SELECT coalesce(max(k.round) + 1, 0) FROM expunge.key_set k WHERE k.request_id = ANY($1::uuid[])
