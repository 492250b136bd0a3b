-- Which rows of an archive are to be loaded: from which place to which, table by table.
-- params: 1 archive
-- rows: many
SELECT t.number, r.first, r.last
  FROM expunge.dormancy_chunk k
  JOIN expunge.dormancy_taken t ON t.chunk_id = k.id
 CROSS JOIN LATERAL unnest(t.firsts, t.lasts) AS r(first, last)
 WHERE k.archive_id = $1
 ORDER BY t.number, r.first
