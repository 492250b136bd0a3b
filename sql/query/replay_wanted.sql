-- Erasures that the ledger knows, of which this database does not know that they were carried out, or did not before this
-- adoption. Where no certificate says so, the ledger must say that it was done.
-- params: 1 requests of the ledger uuid[], 2 whether the ledger says that it was done boolean[]
-- rows: many
SELECT DISTINCT g.id::text COLLATE "C" AS id
  FROM unnest($1::uuid[], $2::boolean[]) g(id, done)
  LEFT JOIN expunge.request r ON r.id = g.id
  LEFT JOIN expunge.replay y ON y.original = g.id
   AND y.adoption = (SELECT a.id FROM expunge.adoption a WHERE a.ended_at IS NULL)
 WHERE y.original IS NOT NULL OR g.done AND (r.id IS NULL OR (r.state <> 'certified' AND r.removed_at IS NULL))
 ORDER BY 1
