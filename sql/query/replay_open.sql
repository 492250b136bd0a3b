-- Erasures that are to be carried out again and are not yet, and why.
-- params: none
-- rows: many
SELECT r.id, r.tenant, r.state, coalesce(r.reason, p.blockers, '')
  FROM expunge.replay_request y
  JOIN expunge.request r ON r.id = y.request
  LEFT JOIN expunge.plan p ON p.request_id = r.id
 WHERE r.removed_at IS NULL AND r.state NOT IN ('certified', 'withdrawn', 'refused')
 ORDER BY r.id
