-- Views for operators and for monitoring. Applied by every `expunge init`; idempotent.

SET LOCAL ROLE expunge_owner;

-- dropped rather than replaced, because a later release may change their columns
DROP VIEW IF EXISTS expunge.status, expunge.status_blocked, expunge.status_job, expunge.status_archive, expunge.status_copy,
	expunge.request_list;

CREATE VIEW expunge.request_list AS
	SELECT r.id, r.tenant, r.subject, r.ground, r.channel, r.state, r.reason, r.decision, r.basis,
		r.received_at, r.identified_at, r.due_on, r.extended_on, r.decided_at, r.not_before, r.removed_at, r.certified_at, r.final_at,
		r.filed_by, r.decided_by, r.attempts,
		o.open,
		CASE WHEN o.open THEN r.due_on - o.today END AS days_left,
		o.open AND o.today > r.due_on AS late,
		o.open AND o.today > expunge.civil_date(r.received_at) + o.target_days AS past_target,
		expunge.is_held(r.tenant, r.subject) AND o.open AS held,
		p.hash AS plan_hash, p.n_rows AS plan_rows, p.n_new_rows AS plan_new_rows, p.blockers AS plan_blockers,
		(SELECT max(c.serial) FROM expunge.certificate c WHERE c.request_id = r.id) AS certificate_serial,
		CASE
			WHEN r.state = 'certified' AND r.final_at IS NULL THEN 'certified, interim: ' || coalesce((
				SELECT string_agg(s.name || CASE WHEN s.declared THEN ' until ' || s.until ELSE ' is not declared' END, ', '
					ORDER BY s.until DESC, s.name)
				FROM expunge.request_store s WHERE s.request_id = r.id AND s.ended_at IS NULL), 'its final certificate is due')
			WHEN NOT o.open THEN NULL
			WHEN r.state = 'received' THEN 'waits to be identified'
			WHEN r.state IN ('identified', 'scheduled') AND expunge.is_held(r.tenant, r.subject) THEN 'under hold'
			WHEN r.state = 'identified' AND p.hash IS NULL THEN 'waits for a plan'
			WHEN r.state = 'identified' AND coalesce(p.blockers, '') <> '' THEN 'waits for a decision: the plan has blockers'
			WHEN r.state = 'identified' THEN 'waits for a decision'
			WHEN r.state = 'scheduled' AND EXISTS (SELECT FROM expunge.freeze) THEN 'everything is frozen'
			WHEN r.state = 'scheduled' AND r.not_before > now()
				THEN 'undo window until ' || to_char(r.not_before AT TIME ZONE o.zone, 'YYYY-MM-DD HH24:MI')
			WHEN r.state = 'scheduled' THEN 'waits for the next run'
			WHEN r.state = 'running' THEN 'is being removed, or a run broke off and the next one goes on'
			WHEN r.state = 'removed' AND r.reason IS NOT NULL THEN 'removed; ' || r.reason
			WHEN r.state = 'removed' THEN 'waits for the recount, for external stores if there are any, and for the certificate'
			ELSE r.state || ': ' || coalesce(r.reason, 'no reason given')
		END AS why_not_yet
	FROM expunge.request r
	CROSS JOIN LATERAL (
		SELECT r.state NOT IN ('certified', 'refused', 'withdrawn') AS open, i.zone, i.target_days,
			expunge.civil_date(now()) AS today
		FROM expunge.instance i
	) o
	LEFT JOIN expunge.plan p ON p.request_id = r.id;
COMMENT ON VIEW expunge.request_list IS 'every request with its days left, whether it is late, and why it is not done yet';

-- Counts only: monitoring sees no identifier of a subject.
CREATE VIEW expunge.status AS
	SELECT count(*) FILTER (WHERE r.open) AS open,
		count(*) FILTER (WHERE r.open AND r.days_left BETWEEN 0 AND 7) AS due_soon,
		count(*) FILTER (WHERE r.late) AS overdue,
		count(*) FILTER (WHERE r.past_target) AS past_target,
		count(*) FILTER (WHERE r.state = 'blocked') AS blocked,
		count(*) FILTER (WHERE r.state = 'failed' OR (r.state = 'removed' AND r.reason IS NOT NULL)) AS failed,
		count(*) FILTER (WHERE r.open AND r.decided_by IS NULL) AS undecided,
		coalesce(max(expunge.civil_date(now()) - expunge.civil_date(r.received_at)) FILTER (WHERE r.open), 0) AS oldest_days,
		(SELECT count(*) FROM expunge.hold_list) AS holds,
		(SELECT count(*) FROM expunge.hold_list h WHERE h.past_review) AS holds_past_review,
		(SELECT count(*) FROM expunge.certificate) AS certificates,
		(SELECT count(*) FROM expunge.certificate c WHERE c.published_at IS NULL) AS certificates_unpublished,
		count(*) FILTER (WHERE r.state = 'certified' AND r.final_at IS NULL) AS interim,
		-- a night has had its chance since the last day of the last store
		count(*) FILTER (WHERE r.state = 'certified' AND r.final_at IS NULL AND expunge.civil_date(now()) - 1 >
			(SELECT max(s.until) FROM expunge.request_store s WHERE s.request_id = r.id)) AS finals_overdue,
		(SELECT count(*) FROM expunge.opening) AS openings,
		(SELECT count(*) FROM expunge.recipient t WHERE t.acknowledged_at IS NULL)
			+ (SELECT count(*) FROM expunge.closure_recipient t WHERE t.acknowledged_at IS NULL) AS unacknowledged,
		-- a run has come to its end since, and left it: what it waits for is away, or does not end
		count(*) FILTER (WHERE r.state = 'removed' AND r.reason IS NULL AND (r.removed_at < now() - interval '1 day' OR
			EXISTS (SELECT FROM expunge.run n WHERE n.job IN ('nightly', 'erase') AND n.finished_at > r.removed_at))) AS uncertified,
		EXISTS (SELECT FROM expunge.freeze) AS frozen
	FROM expunge.request_list r;
COMMENT ON VIEW expunge.status IS 'one row of counts: what is open, due within 7 days, overdue, blocked, failed, held, removed but not certified, unpublished';

CREATE VIEW expunge.status_blocked AS
	SELECT CASE r.state WHEN 'blocked' THEN r.state ELSE 'failed' END AS state,
		coalesce(nullif(split_part(r.reason, ':', 1), ''), 'unknown') AS reason, count(*) AS n,
		expunge.civil_date(now()) - expunge.civil_date(min(r.received_at)) AS oldest_days
	FROM expunge.request r
	WHERE r.state IN ('blocked', 'failed') OR (r.state = 'removed' AND r.reason IS NOT NULL) -- an external store
	GROUP BY 1, 2;
COMMENT ON VIEW expunge.status_blocked IS 'blocked and failed requests by the code of their reason (what stands before a colon)';

CREATE VIEW expunge.status_job AS
	SELECT n.job, n.started_at AS last_start, n.finished_at AS last_finish, n.exit_code AS last_exit_code,
		(SELECT max(s.finished_at) FROM expunge.run s WHERE s.job = n.job AND s.exit_code = 0) AS last_success
	FROM (SELECT DISTINCT ON (r.job) r.job, r.started_at, r.finished_at, r.exit_code
		FROM expunge.run r ORDER BY r.job, r.started_at DESC) n;
COMMENT ON VIEW expunge.status_job IS 'the last start and the last success of each job';

CREATE VIEW expunge.status_archive AS
	SELECT (SELECT count(*) FROM expunge.archive a WHERE a.state = 'complete') AS archives,
		n.tenants, n.newest_age_seconds,
		(SELECT count(*) FROM expunge.archive a WHERE a.state = 'naming') AS unnamed,
		(SELECT count(*) FROM expunge.archive a WHERE a.state = 'expired'
			AND NOT EXISTS (SELECT FROM expunge.archive n WHERE n.needs @> ARRAY[a.id] AND n.state <> 'expired')) AS expired,
		d.at AS last_drill, d.kind = 'drill-passed' AS last_drill_passed,
		(SELECT c.barrier FROM expunge.key_change c WHERE c.state = 'journalled') AS change_waits_for
	FROM (SELECT count(*) FILTER (WHERE t.tenant <> '@nobody') AS tenants, floor(extract(epoch FROM now() - min(t.newest)))::bigint AS newest_age_seconds
		FROM (SELECT a.tenant, max(a.created_at) AS newest FROM expunge.archive a WHERE a.state = 'complete'
			AND NOT EXISTS (SELECT FROM expunge.dormancy y WHERE y.tenant = a.tenant AND y.phase <> 'awake' AND y.n_rows > 0) GROUP BY a.tenant) t) n
	LEFT JOIN (SELECT e.at, e.kind FROM expunge.event e WHERE e.kind IN ('drill-passed', 'drill-failed')
		ORDER BY e.number DESC LIMIT 1) d ON true;
COMMENT ON VIEW expunge.status_archive IS 'one row: how old the newest backup of a tenant is at worst, archives that are not named or not removed yet, the last drill, and the barrier that a change of the root waits for in vain';

CREATE VIEW expunge.status_copy AS
	SELECT c.destination, count(*) FILTER (WHERE c.how = 'there') AS there, count(*) FILTER (WHERE c.how = 'sending') AS sending,
		count(*) FILTER (WHERE c.how = 'damaged') AS damaged
	FROM expunge.archive a
	CROSS JOIN LATERAL (
		SELECT unnest(a.destinations) AS destination, 'there' AS how
		UNION ALL SELECT unnest(a.sending), 'sending'
		UNION ALL SELECT unnest(a.damaged), 'damaged') c
	WHERE a.state = 'complete'
	GROUP BY c.destination;
COMMENT ON VIEW expunge.status_copy IS 'for each destination that an archive names: how many are there, are on their way to it, and were found bad there';

RESET ROLE;
