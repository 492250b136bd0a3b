-- Forgets what was collected for requests, from a round on.
-- params: 1 requests uuid[], 2 round
-- rows: none
DELETE FROM expunge.key_set k WHERE k.request_id = ANY($1::uuid[]) AND k.round >= $2::smallint
