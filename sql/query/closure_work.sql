-- Closing accounts that a run has something to do for, the smallest first. A plan is made in the last week, and only once: what the
-- practice adds after that is its own, and an approval stands.
-- params: 1 tenant or null, 2 map hash, 3 schema hash
-- rows: many
SELECT c.id, c.tenant, c.state, coalesce(p.n_rows, 0),
       c.state IN ('cooling-off', 'due') AND (p.hash IS NULL OR p.blockers IS NOT NULL
           OR position(E'\nmap: ' || $2::text || E'\n' IN p.document) = 0 OR position(E'\nschema: ' || $3::text || E'\n' IN p.document) = 0) AS to_plan,
       p.hash
  FROM expunge.closure c
  LEFT JOIN expunge.closure_plan p ON p.closure_id = c.id
 WHERE CASE WHEN $1::text IS NOT NULL THEN c.tenant = $1 AND c.state IN ('cooling-off', 'due')
            ELSE c.state IN ('due', 'claimed') OR (c.state = 'cooling-off' AND c.purge_on - expunge.civil_date_in(now(), c.zone) <= 7) END
 ORDER BY c.state <> 'claimed', p.n_rows, c.purge_on, c.tenant
