-- Removed requests whose removal the present map cannot recount: rows went from, or stayed in, a table that it says
-- something else about by now. Each gets that reason, or loses it when the map is right again;
-- those that somebody is working on are listed all the same.
-- params: 1 tables whose rows go text[], 2 tables whose rows stay or may stay text[], 3 all tables there are text[]
-- rows: many
WITH removed AS (
    SELECT q.id, q.reason,
           (SELECT min(m.name)
              FROM expunge.tally t
              JOIN expunge.mapped_table m ON m.id = t.table_id
             WHERE t.request_id = q.id AND m.name = ANY ($3::text[])
               AND (t.n_removed > 0 AND m.name <> ALL ($1::text[])
                    OR t.n_masked + t.n_retained > 0 AND m.name <> ALL ($2::text[]))) AS odd
      FROM expunge.request q
     WHERE q.state = 'removed'
), told AS (
    UPDATE expunge.request r
       SET reason = 'map: ' || e.odd || ' is not in the data map as it was at the removal; put its line back until the certificate',
           reason_at = CASE WHEN e.odd IS NULL THEN NULL ELSE now() END
      FROM removed e
     WHERE r.id = e.id AND (e.odd IS NOT NULL OR starts_with(e.reason, 'map: '))
       AND r.id IN (SELECT f.id FROM expunge.request f WHERE f.state = 'removed' FOR UPDATE SKIP LOCKED)
)
SELECT e.id, e.odd FROM removed e WHERE e.odd IS NOT NULL ORDER BY e.id
