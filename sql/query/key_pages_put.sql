-- Writes pages, new ones or over those that are there.
-- params: 1 ids bigint[], 2 tenants, 3 parents bigint[], 4 slots smallint[], 5 levels smallint[], 6 epochs bigint[], 7 check values in hex, 8 live bigint[], 9 sealed in hex, 10 key_seq
-- rows: none
INSERT INTO expunge.key_page AS p (id, tenant, parent, slot, level, epoch, kcv, live, sealed, seq)
SELECT g.id, g.tenant, g.parent, g.slot, g.level, g.epoch, decode(g.kcv, 'hex'), g.live, decode(g.sealed, 'hex'), $10::bigint
  FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::smallint[], $5::smallint[], $6::bigint[], $7::text[], $8::bigint[],
              $9::text[]) g(id, tenant, parent, slot, level, epoch, kcv, live, sealed)
ON CONFLICT (id) DO UPDATE
   SET parent = EXCLUDED.parent, slot = EXCLUDED.slot, epoch = EXCLUDED.epoch, kcv = EXCLUDED.kcv, live = EXCLUDED.live,
       sealed = EXCLUDED.sealed, seq = EXCLUDED.seq
