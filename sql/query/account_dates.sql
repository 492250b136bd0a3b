-- The days of the account that is closing.
-- params: 1 tenant
-- rows: maybe
SELECT c.purge_on - 1 AS own_until, c.purge_on, c.complete_on, c.zone
  FROM expunge.closure c WHERE c.tenant = $1 AND c.state NOT IN ('certified', 'reactivated')
