-- What stands in the way of a purge, with what a person does about it.
-- params: 1 closure
-- rows: many
SELECT o.code, o.what, o.remedy
  FROM expunge.closure c, expunge.closure_obstacles(c.id) o
 WHERE c.id = $1::uuid AND c.state IN ('cancelled', 'cooling-off', 'due') ORDER BY o.code
