-- Requests of a tenant that still say whom they are about, and will not be certified.
-- params: 1 tenant
-- rows: many
SELECT r.id, r.subject FROM expunge.request r WHERE r.tenant = $1 AND r.subject IS NOT NULL AND r.removed_at IS NULL
