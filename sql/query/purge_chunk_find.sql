-- Whether a chunk was committed.
-- params: 1 chunk
-- rows: one
SELECT EXISTS (SELECT FROM expunge.closure_chunk c WHERE c.id = $1::uuid)
    OR EXISTS (SELECT FROM expunge.dormancy_chunk c WHERE c.id = $1::uuid)
