-- Leaves by name, living or dead, in the order of the names: of each the living one that is in use, else the last incarnation
-- of those that were retired or shredded, else nothing; and whether the tenant is gone as a whole, and all that it had with it.
-- params: 1 tenant, 2 kind, 3 names, 4 keyed hashes of the names
-- rows: many
SELECT l.id, l.page, l.slot, encode(l.kcv, 'hex'), l.incarnation, l.shredded_epoch, l.retired, o.epoch IS NOT NULL
  FROM unnest($3::text[], $4::text[]) WITH ORDINALITY AS g(name, hash, n)
  LEFT JOIN expunge.key_gone o ON o.tenant = $1
  LEFT JOIN LATERAL (
       SELECT x.*
         FROM (SELECT a.id, a.page, a.slot, a.kcv, a.incarnation, a.shredded_epoch, a.retired FROM expunge.key_leaf a
                WHERE a.tenant = $1 AND a.kind = $2 AND a.name = g.name AND a.shredded_epoch IS NULL
                  AND (o.epoch IS NULL OR a.made_epoch >= o.epoch)
               UNION ALL
               (SELECT d.id, d.page, d.slot, d.kcv, d.incarnation, d.shredded_epoch, false FROM expunge.key_leaf d
                 WHERE d.tenant = $1 AND d.kind = $2 AND d.name_hash = g.hash AND d.shredded_epoch IS NOT NULL
                 ORDER BY d.incarnation DESC LIMIT 1)) x
        ORDER BY x.shredded_epoch IS NOT NULL OR x.retired, x.incarnation DESC
        LIMIT 1) l ON true
 ORDER BY g.n
