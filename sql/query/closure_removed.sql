-- Accounts whose rows are gone, and whose keys are to go.
-- params: none
-- rows: many
SELECT c.tenant FROM expunge.closure c WHERE c.state = 'removed' ORDER BY c.tenant
