-- Where new leaves of a tenant can go: its pages with free slots (of level 0 no more than are needed), its top page,
-- those of the directory, and all their ancestors.
-- params: 1 tenant, 2 how many pages of level 0
-- rows: many
WITH RECURSIVE wanted(id) AS (
    (SELECT p.id FROM expunge.key_page p WHERE p.tenant = $1 AND p.level = 0 AND p.live <> -1 ORDER BY p.id LIMIT $2::bigint)
    UNION ALL
    SELECT p.id FROM expunge.key_page p WHERE p.tenant = $1 AND p.level > 0 AND p.live <> -1
    UNION ALL
    (SELECT p.id FROM expunge.key_page p WHERE p.tenant = $1 ORDER BY p.level DESC LIMIT 1)
    UNION ALL
    SELECT p.id FROM expunge.key_page p WHERE p.tenant = '' AND p.live <> -1
    UNION ALL
    (SELECT p.id FROM expunge.key_page p WHERE p.tenant = '' ORDER BY p.level DESC LIMIT 1)
), up(id, parent) AS (
    SELECT p.id, p.parent FROM expunge.key_page p WHERE p.id IN (SELECT w.id FROM wanted w)
    UNION
    SELECT p.id, p.parent FROM up u JOIN expunge.key_page p ON p.id = u.parent
)
SELECT p.id, p.tenant, p.parent, p.slot, p.level, p.epoch, encode(p.kcv, 'hex'), p.live, encode(p.sealed, 'hex')
  FROM expunge.key_page p JOIN up ON up.id = p.id
 ORDER BY p.level DESC, p.id
