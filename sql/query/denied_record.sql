-- Writes down an attempt that was refused.
-- params: 1 command, 2 request, 3 code
-- rows: one
SELECT expunge.record_denied($1, $2::uuid, $3)
