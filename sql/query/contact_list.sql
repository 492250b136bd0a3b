-- Contacts, of all or of one tenant.
-- params: 1 tenant or NULL
-- rows: many
SELECT c.audience, c.tenant, c.address, c.added_by, c.added_at
  FROM expunge.contact c
 WHERE $1::text IS NULL OR c.tenant = $1
 ORDER BY c.tenant NULLS FIRST, c.audience, lower(c.address)
