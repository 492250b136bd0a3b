-- The files of a chunk are taken away.
-- params: 1 chunk
-- rows: none
UPDATE expunge.closure_chunk c SET has_files = false WHERE c.id = $1::uuid
