-- Test subjects whose time is over and whose removal has not begun.
-- params: none
-- rows: many
SELECT t.id, t.tenant
  FROM expunge.support_test_subject t
 WHERE t.expires_at <= now() AND t.ended_at IS NULL AND t.quarantined_at IS NULL AND t.subject IS NOT NULL
   AND coalesce(t.request_state NOT IN ('running', 'removed', 'certified'), true)
 ORDER BY t.expires_at, t.id
