-- Rows of the key tree that were written after a key_seq, as lines of the journal.
-- params: 1 after this key_seq
-- rows: many
SELECT 'page ' || p.id || ' ' || coalesce(nullif(encode(convert_to(p.tenant, 'UTF8'), 'hex'), ''), '-') || ' ' || p.parent || ' ' ||
       p.slot || ' ' || p.level || ' ' || p.epoch || ' ' || encode(p.kcv, 'hex') || ' ' || p.live || ' ' ||
       translate(encode(p.sealed, 'base64'), E'\n', '')
  FROM expunge.key_page p WHERE p.seq > $1::bigint
UNION ALL
SELECT 'leaf ' || l.id || ' ' || encode(convert_to(l.tenant, 'UTF8'), 'hex') || ' ' || l.kind || ' ' || l.incarnation || ' ' ||
       encode(l.kcv, 'hex') || ' ' || l.made_epoch || ' ' || l.page || ' ' || l.slot || ' ' ||
       translate(encode(l.sealed_name, 'base64'), E'\n', '')
  FROM expunge.key_leaf l WHERE l.seq > $1::bigint AND l.shredded_epoch IS NULL
UNION ALL
SELECT 'dead ' || l.id || ' ' || encode(convert_to(l.tenant, 'UTF8'), 'hex') || ' ' || l.kind || ' ' || l.incarnation || ' ' ||
       encode(l.kcv, 'hex') || ' ' || l.made_epoch || ' ' || l.shredded_epoch || ' ' ||
       coalesce(nullif(encode(convert_to(l.name_hash, 'UTF8'), 'hex'), ''), '-')
  FROM expunge.key_leaf l WHERE l.seq > $1::bigint AND l.shredded_epoch IS NOT NULL
