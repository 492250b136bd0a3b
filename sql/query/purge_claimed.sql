-- A claimed account, its closure locked against every change, its tenant's lock taken shared: a hold is placed under the
-- exclusive form, before or after this transaction.
-- params: 1 closure
-- rows: maybe
SELECT c.tenant, c.state, c.claimed_plan, p.document,
       EXISTS (SELECT FROM expunge.closure_removal r WHERE r.closure_id = c.id),
       EXISTS (SELECT FROM expunge.closure_chunk k WHERE k.closure_id = c.id AND k.is_last) OR EXISTS (SELECT FROM expunge.dormancy d WHERE d.closure_id = c.id AND d.phase = 'dormant'),
       pg_advisory_xact_lock_shared(hashtextextended('expunge/tenant/' || c.tenant, 0))
  FROM expunge.closure c
  LEFT JOIN expunge.closure_plan p ON p.closure_id = c.id
 WHERE c.id = $1::uuid
   FOR SHARE OF c
