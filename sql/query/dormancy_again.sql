-- Whether rows of an account may leave: it is still closing. Its closure stays as it is, and no hold comes, until the transaction ends.
-- params: 1 closure
-- rows: maybe
SELECT c.state IN ('cooling-off', 'due') AND d.phase = 'sealed',
       pg_advisory_xact_lock_shared(hashtextextended('expunge/tenant/' || c.tenant, 0))
  FROM expunge.closure c JOIN expunge.dormancy d ON d.closure_id = c.id
 WHERE c.id = $1::uuid
   FOR SHARE OF c
