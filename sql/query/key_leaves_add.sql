-- New leaves.
-- params: 1 ids bigint[], 2 tenant, 3 kind, 4 names, 5 sealed names in hex, 6 incarnations integer[], 7 pages bigint[], 8 slots smallint[], 9 check values in hex, 10 epoch, 11 key_seq
-- rows: none
INSERT INTO expunge.key_leaf (id, tenant, kind, name, sealed_name, incarnation, page, slot, kcv, made_epoch, seq)
SELECT g.id, $2, $3, g.name, decode(g.sealed, 'hex'), g.incarnation, g.page, g.slot, decode(g.kcv, 'hex'), $10::bigint, $11::bigint
  FROM unnest($1::bigint[], $4::text[], $5::text[], $6::integer[], $7::bigint[], $8::smallint[], $9::text[])
       g(id, name, sealed, incarnation, page, slot, kcv)
