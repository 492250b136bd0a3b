-- Closing accounts that should have been done by now, entered in the register once a day.
-- params: none
-- rows: many
WITH late AS (
    SELECT c.id, c.tenant, c.state, c.complete_on, a.waits_for
      FROM expunge.closure c JOIN expunge.account_list a ON a.id = c.id
     WHERE a.late
), told AS (
    INSERT INTO expunge.event (kind, tenant, request_id, detail)
    SELECT 'account-overdue', l.tenant, l.id, 'complete by ' || l.complete_on
      FROM late l
     WHERE NOT EXISTS (SELECT FROM expunge.event e
                        WHERE e.request_id = l.id AND e.kind = 'account-overdue' AND expunge.civil_date(e.at) = expunge.civil_date(now()))
)
SELECT l.tenant, l.state, l.complete_on, l.waits_for FROM late l ORDER BY l.complete_on, l.tenant
