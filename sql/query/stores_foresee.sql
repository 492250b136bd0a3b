-- The stores that may hold copies of rows that were counted at a time: the declared ones with the last day of a copy, and what
-- the server shows and nobody declared. A base backup or archived WAL is declared by a store of its kind, anything else by
-- its name, or that of the slot that it uses.
-- params: 1 names of declared stores text[], 2 their kinds text[], 3 their days integer[], 4 as of
-- rows: many
SELECT d.name, d.kind, true, to_char(expunge.civil_date($4::timestamptz) + d.days, 'YYYY-MM-DD')
  FROM unnest($1::text[], $2::text[], $3::integer[]) AS d(name, kind, days)
UNION ALL
SELECT s.name, min(s.kind), false, to_char(expunge.civil_date($4::timestamptz), 'YYYY-MM-DD')
  FROM expunge.copies_seen() s
 WHERE NOT EXISTS (SELECT FROM unnest($1::text[], $2::text[]) AS d(name, kind)
                    WHERE d.name IN (s.name, s.other_name)
                       OR d.kind = s.kind AND s.kind IN ('wal-archive', 'physical-backup'))
 GROUP BY s.name
 ORDER BY 3 DESC, 2, 1
