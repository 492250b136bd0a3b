-- The last serial given, 0 when there is none.
-- params: none
-- rows: one
SELECT coalesce(max(c.last), 0) FROM expunge.certificate_counter c
