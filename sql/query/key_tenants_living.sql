-- Which of these tenants are not gone, or have keys again.
-- params: 1 tenants text[]
-- rows: many
SELECT DISTINCT t.tenant
  FROM unnest($1::text[]) t(tenant)
 WHERE NOT EXISTS (SELECT FROM expunge.key_gone g WHERE g.tenant = t.tenant)
    OR EXISTS (SELECT FROM expunge.key_page p WHERE p.tenant = t.tenant)
 ORDER BY 1
