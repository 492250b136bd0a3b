-- The newest closing of an account.
-- params: 1 tenant
-- rows: maybe
SELECT a.id, a.tenant, a.state, a.trigger, a.source, a.filed_by, a.filed_at, a.last_day, a.day, a.days, a.seal_on, a.purge_on, a.complete_on, a.zone,
       a.late, a.dormancy, a.dormant_at, a.sealed_rows, a.dormancy_problem, a.plan, a.n_rows, a.n_subjects, a.blockers, a.approved_by, a.export, a.claimed_at, a.certified_at, a.final_at, a.waits_for
  FROM expunge.account_list a WHERE a.tenant = $1 ORDER BY a.filed_at DESC, a.id LIMIT 1
