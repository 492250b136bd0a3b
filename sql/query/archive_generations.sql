-- Complete archives whose generation's key lives, tenant by tenant.
-- params: none
-- rows: many
SELECT a.tenant, a.generation, a.id, floor(extract(epoch FROM a.created_at))::bigint, a.kind = 'backup'
  FROM expunge.archive a
  JOIN expunge.key_leaf l ON l.id = a.generation AND l.shredded_epoch IS NULL
 WHERE a.state = 'complete'
 ORDER BY a.tenant
