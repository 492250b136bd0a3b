-- Where the top pages of tenants hang in the directory; nothing of a tenant that has no key.
-- params: 1 tenants text[]
-- rows: many
SELECT p.parent, p.slot
  FROM unnest($1::text[]) t(tenant)
 CROSS JOIN LATERAL (SELECT k.parent, k.slot FROM expunge.key_page k WHERE k.tenant = t.tenant ORDER BY k.level DESC LIMIT 1) p
