-- How many holds there are on a tenant or on subjects of it.
-- params: 1 tenant
-- rows: one
SELECT count(*) FROM expunge.hold h WHERE h.tenant = $1 AND h.released_at IS NULL
