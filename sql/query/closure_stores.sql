-- The external stores that are to hear of a closed account, its row locked: those of the map, and those of the plan that was approved.
-- params: 1 closure, 2 names of the map's stores text[], 3 whether a program tells them of accounts boolean[]
-- rows: many
WITH closing AS MATERIALIZED (
    SELECT c.id, c.tenant, p.document
      FROM expunge.closure c LEFT JOIN expunge.closure_plan p ON p.closure_id = c.id AND p.hash = c.claimed_plan
     WHERE c.id = $1::uuid AND c.state = 'shredded'
       FOR UPDATE OF c
), named AS (
    SELECT g.name, g.by_program FROM unnest($2::text[], $3::boolean[]) g(name, by_program)
    UNION ALL
    SELECT split_part(split_part(line, ': ', 2), ': ', 1), starts_with(line, 'tells: ')
      FROM closing c, regexp_split_to_table(c.document, '\n') AS line
     WHERE line ~ '^(tells|to-tell): '
)
SELECT c.tenant, n.name, bool_or(n.by_program), bool_or(t.name IS NOT NULL), bool_or(t.told_at IS NOT NULL)
  FROM closing c CROSS JOIN named n
  LEFT JOIN expunge.closure_recipient t ON t.closure_id = c.id AND t.name = n.name
 GROUP BY c.tenant, n.name
 ORDER BY n.name COLLATE "C"
