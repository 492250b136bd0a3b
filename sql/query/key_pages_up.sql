-- Pages and all their ancestors.
-- params: 1 pages bigint[]
-- rows: many
WITH RECURSIVE up(id, parent) AS (
    SELECT p.id, p.parent FROM expunge.key_page p WHERE p.id = ANY ($1::bigint[])
    UNION
    SELECT p.id, p.parent FROM up u JOIN expunge.key_page p ON p.id = u.parent
)
SELECT p.id, p.tenant, p.parent, p.slot, p.level, p.epoch, encode(p.kcv, 'hex'), p.live, encode(p.sealed, 'hex')
  FROM expunge.key_page p JOIN up ON up.id = p.id
 ORDER BY p.level DESC, p.id
