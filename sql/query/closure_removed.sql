-- Accounts whose rows are gone, and whose keys are to go, unless a hold has come.
-- params: none
-- rows: many
SELECT c.tenant FROM expunge.closure c WHERE c.state = 'removed'
   AND NOT EXISTS (SELECT FROM expunge.hold h WHERE h.tenant = c.tenant AND h.released_at IS NULL)
 ORDER BY c.tenant
