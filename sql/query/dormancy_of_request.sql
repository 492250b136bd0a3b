-- Whether the rows of a request's account are sealed.
-- params: 1 request
-- rows: maybe
SELECT d.phase, c.purge_on
  FROM expunge.request r
  JOIN expunge.dormancy d ON d.tenant = r.tenant AND d.phase <> 'awake' AND d.n_rows > 0
  JOIN expunge.closure c ON c.id = d.closure_id
 WHERE r.id = $1::uuid
