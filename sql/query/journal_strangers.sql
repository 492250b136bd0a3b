-- How many leaves of the journal this database does not have, or has with another key.
-- params: 1 ids bigint[], 2 check values in hex
-- rows: one
SELECT count(*)
  FROM unnest($1::bigint[], $2::text[]) g(id, kcv)
  LEFT JOIN expunge.key_leaf l ON l.id = g.id AND l.kcv = decode(g.kcv, 'hex')
 WHERE l.id IS NULL
