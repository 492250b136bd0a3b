-- Rows of the key tree and of the catalogue that were written after a key_seq, certificates after a serial, and what the
-- application's sequences have come to, as lines of the journal.
-- params: 1 after this key_seq, 2 after this serial
-- rows: many
SELECT 'page ' || p.id || ' ' || coalesce(nullif(encode(convert_to(p.tenant, 'UTF8'), 'hex'), ''), '-') || ' ' || p.parent || ' ' ||
       p.slot || ' ' || p.level || ' ' || p.epoch || ' ' || encode(p.kcv, 'hex') || ' ' || p.live || ' ' ||
       translate(encode(p.sealed, 'base64'), E'\n', '')
  FROM expunge.key_page p
 WHERE p.seq > $1::bigint AND NOT EXISTS (SELECT FROM expunge.key_gone g WHERE g.tenant = p.tenant AND g.epoch > p.epoch)
UNION ALL
SELECT 'leaf ' || l.id || ' ' || encode(convert_to(l.tenant, 'UTF8'), 'hex') || ' ' || l.kind || ' ' || l.incarnation || ' ' ||
       encode(l.kcv, 'hex') || ' ' || l.made_epoch || ' ' || l.page || ' ' || l.slot || ' ' ||
       translate(encode(l.sealed_name, 'base64'), E'\n', '')
  FROM expunge.key_leaf l
 WHERE l.seq > $1::bigint AND l.shredded_epoch IS NULL
   AND NOT EXISTS (SELECT FROM expunge.key_gone g WHERE g.tenant = l.tenant AND g.epoch > l.made_epoch)
UNION ALL
SELECT 'dead ' || l.id || ' ' || encode(convert_to(l.tenant, 'UTF8'), 'hex') || ' ' || l.kind || ' ' || l.incarnation || ' ' ||
       encode(l.kcv, 'hex') || ' ' || l.made_epoch || ' ' || l.shredded_epoch || ' ' ||
       coalesce(nullif(encode(convert_to(l.name_hash, 'UTF8'), 'hex'), ''), '-')
  FROM expunge.key_leaf l WHERE l.seq > $1::bigint AND l.shredded_epoch IS NOT NULL
UNION ALL
SELECT 'gone ' || encode(convert_to(g.tenant, 'UTF8'), 'hex') || ' ' || g.epoch FROM expunge.key_gone g WHERE g.seq > $1::bigint
UNION ALL
SELECT 'archive ' || a.id || ' ' || encode(convert_to(a.tenant, 'UTF8'), 'hex') || ' ' || a.generation || ' ' || a.state || ' ' ||
       extract(epoch FROM a.created_at)::bigint || ' ' || (a.lsn - '0/0'::pg_lsn)::numeric || ' ' || a.sha256 || ' ' || a.size || ' ' ||
       a.n_frames || ' ' || a.n_rows || ' ' || a.n_withheld || ' ' ||
       encode(convert_to(array_to_string(a.destinations, E'\n'), 'UTF8'), 'hex') || ' ' || coalesce(nullif(array_to_string(a.needs, ','), ''), '-')
  FROM expunge.archive a WHERE a.seq > $1::bigint
UNION ALL
SELECT 'certificate ' || c.serial || ' ' || c.id || ' ' || c.kind || ' ' || c.stage || ' ' ||
       encode(convert_to(c.tenant, 'UTF8'), 'hex') || ' ' || c.request_id || ' ' || coalesce(r.subject_hash, '-') || ' ' || coalesce(r.ground, '-') || ' ' ||
       coalesce(extract(epoch FROM r.received_at), 0) || ' ' || extract(epoch FROM c.issued_at) || ' ' ||
       translate(encode(convert_to(c.note, 'UTF8'), 'base64'), E'\n', '')
  FROM expunge.certificate c
  LEFT JOIN expunge.request r ON r.id = c.request_id
 WHERE c.serial > $2::bigint
UNION ALL
SELECT 'sequence ' || encode(convert_to(s.schemaname, 'UTF8'), 'hex') || ' ' || encode(convert_to(s.sequencename, 'UTF8'), 'hex') || ' ' ||
       s.last_value
  FROM pg_catalog.pg_sequences s
 WHERE s.last_value IS NOT NULL AND s.schemaname NOT IN ('expunge', 'pg_catalog') AND NOT starts_with(s.schemaname::text, 'pg_temp')
