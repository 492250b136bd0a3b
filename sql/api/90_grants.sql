-- Who may do what: the whole privilege matrix, taken away and given anew at every `expunge init`, so
-- that what stands here is what holds. Held against the catalogue by tests/integration/20-privileges.sh.

SET LOCAL ROLE expunge_owner;

REVOKE ALL ON SCHEMA expunge, expunge_api
	FROM PUBLIC, expunge_intake, expunge_approver, expunge_operator, expunge_job, expunge_dpo, expunge_monitor, expunge_support;
REVOKE ALL ON ALL TABLES IN SCHEMA expunge, expunge_api
	FROM PUBLIC, expunge_intake, expunge_approver, expunge_operator, expunge_job, expunge_dpo, expunge_monitor, expunge_support;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA expunge, expunge_api
	FROM PUBLIC, expunge_intake, expunge_approver, expunge_operator, expunge_job, expunge_dpo, expunge_monitor, expunge_support;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA expunge, expunge_api
	FROM PUBLIC, expunge_intake, expunge_approver, expunge_operator, expunge_job, expunge_dpo, expunge_monitor, expunge_support;

GRANT USAGE ON SCHEMA expunge_api TO expunge_intake, expunge_support;
GRANT USAGE ON SCHEMA expunge
	TO expunge_intake, expunge_approver, expunge_operator, expunge_job, expunge_dpo, expunge_monitor, expunge_support;

-- the application
GRANT SELECT ON expunge_api.request_status TO expunge_intake;
GRANT EXECUTE ON FUNCTION
	expunge_api.request_erasure(text, text, text, text, text, timestamptz, text),
	expunge_api.withdraw_request(uuid),
	expunge_api.place_hold(text, text, text, text, date),
	expunge_api.collect_opening(uuid),
	expunge_api.certificate_note(uuid),
	expunge_api.set_contact(text, text, boolean)
TO expunge_intake;

-- row-level security calls these with the rights of whoever asks
GRANT EXECUTE ON FUNCTION expunge.session_tenants(), expunge.session_sees_all(), expunge.session_is_staff(), expunge.session_staff()
	TO expunge_intake, expunge_approver, expunge_operator, expunge_job, expunge_dpo, expunge_monitor, expunge_support;

-- people
GRANT EXECUTE ON FUNCTION expunge.identify_request(uuid, timestamptz) TO expunge_intake, expunge_operator;
GRANT EXECUTE ON FUNCTION expunge.decide_request(uuid, text, text, text) TO expunge_approver;
GRANT EXECUTE ON FUNCTION expunge.withdraw_request(uuid)
	TO expunge_intake, expunge_approver, expunge_operator, expunge_dpo;
GRANT EXECUTE ON FUNCTION expunge.acknowledge_recipient(uuid, text) TO expunge_operator, expunge_dpo;
GRANT EXECUTE ON FUNCTION expunge.extend_request(uuid, text) TO expunge_operator, expunge_dpo;
GRANT EXECUTE ON FUNCTION expunge.place_hold(text, text, text, text, date), expunge.release_hold(uuid)
	TO expunge_operator, expunge_dpo;
GRANT EXECUTE ON FUNCTION expunge.freeze_on(text) TO expunge_operator, expunge_dpo, expunge_job;
GRANT EXECUTE ON FUNCTION expunge.freeze_off() TO expunge_operator, expunge_dpo;
GRANT EXECUTE ON FUNCTION expunge.raise_cap(text) TO expunge_approver, expunge_dpo;
GRANT EXECUTE ON FUNCTION expunge.end_store(text, text) TO expunge_approver, expunge_dpo;
GRANT EXECUTE ON FUNCTION expunge.accept_clock(text) TO expunge_operator, expunge_dpo;
GRANT EXECUTE ON FUNCTION expunge.record_denied(text, uuid, text)
	TO expunge_intake, expunge_approver, expunge_operator, expunge_job, expunge_dpo, expunge_monitor, expunge_support;
GRANT EXECUTE ON FUNCTION expunge.forget_expired_openings(), expunge.forget_closed_contacts() TO expunge_job, expunge_operator;
GRANT EXECUTE ON FUNCTION expunge.oldest_xmin(), expunge.copies_seen(), expunge.standbys_seen() TO expunge_job, expunge_operator;
GRANT EXECUTE ON FUNCTION
	expunge.check_calendar(text), expunge.easter(integer), expunge.weekday_of_month(integer, integer, integer, integer),
	expunge.bank_holidays(text, integer), expunge.working_day_on_or_after(text, date), expunge.due_date(date, text, integer),
	expunge.instance_zone(), expunge.civil_date(timestamptz)
TO expunge_intake, expunge_approver, expunge_operator, expunge_job, expunge_dpo, expunge_monitor, expunge_support;
-- request_list calls it with the rights of whoever reads the view
GRANT EXECUTE ON FUNCTION expunge.is_held(text, text) TO expunge_approver, expunge_operator, expunge_job, expunge_dpo;

GRANT SELECT ON expunge.migration, expunge.instance, expunge.mapped_table, expunge.one_off_holiday, expunge.transition,
	expunge.request, expunge.plan, expunge.tally, expunge.recipient, expunge.request_store, expunge.hold, expunge.freeze, expunge.cap_raise, expunge.run,
	expunge.certificate, expunge.certificate_counter, expunge.event, expunge.tenant_login,
	expunge.request_list, expunge.hold_list
TO expunge_operator, expunge_approver, expunge_dpo;

-- monitoring: counts and ages, no identifiers
GRANT SELECT ON expunge.status, expunge.status_blocked, expunge.status_job, expunge.status_archive, expunge.status_copy
	TO expunge_monitor, expunge_operator, expunge_approver, expunge_dpo, expunge_job;
GRANT SELECT ON expunge.migration, expunge.instance, expunge.run, expunge.freeze TO expunge_monitor;

-- the run. It cannot write who asked, who decided, which plan was approved, or when it may begin.
GRANT SELECT ON expunge.migration, expunge.instance, expunge.one_off_holiday, expunge.transition, expunge.request,
	expunge.hold, expunge.freeze, expunge.request_list, expunge.hold_list
TO expunge_job;
GRANT UPDATE (state, reason, reason_at, attempts, removed_at, removed_xid, removed_lsn, waits_for, controlled, vacuumed, recounted_at,
	recounted_lsn, certified_at, final_at, subject, subject_hash) ON expunge.request TO expunge_job;
GRANT SELECT, INSERT, UPDATE, DELETE ON expunge.plan, expunge.key_set, expunge.control_set, expunge.tally TO expunge_job;
GRANT SELECT, INSERT ON expunge.mapped_table TO expunge_job;
GRANT SELECT, INSERT, UPDATE ON expunge.mapped_via TO expunge_job;
GRANT SELECT, INSERT, UPDATE ON expunge.recipient TO expunge_job;
GRANT SELECT, INSERT (request_id, name, kind, declared, until, bound_until), UPDATE (declared, until, ended_at, ended_how, kind)
	ON expunge.request_store TO expunge_job; -- what a person states is a person's
GRANT INSERT, DELETE, SELECT (request_id, tenant, expires_at) ON expunge.opening TO expunge_job; -- never the salt again
GRANT SELECT, UPDATE (used_by) ON expunge.cap_raise TO expunge_job;
GRANT SELECT, INSERT (id, job, host), UPDATE (finished_at, exit_code, n_done, n_blocked, n_failed, n_rows) ON expunge.run TO expunge_job;
GRANT SELECT, INSERT, UPDATE (published_at) ON expunge.certificate TO expunge_job;
GRANT SELECT, UPDATE (last) ON expunge.certificate_counter TO expunge_job;
GRANT SELECT, INSERT (kind, tenant, request_id, detail) ON expunge.event TO expunge_job; -- who and when are the server's

-- support mode: the practice lets in, the staff enters, the run tidies up; events are only ever added, by functions
GRANT EXECUTE ON FUNCTION
	expunge_api.grant_support_consent(text, timestamptz, text, text, text, text, uuid, text),
	expunge_api.revoke_support_consent(uuid),
	expunge_api.decide_test_subject(uuid, text)
TO expunge_intake;
GRANT EXECUTE ON FUNCTION
	expunge_api.request_support(text, text, text, text, text, text),
	expunge_api.request_support_override(text, text, text, text, text, text),
	expunge_api.confirm_support_override(uuid),
	expunge_api.open_support_session(text, text, text, text, text, text),
	expunge_api.close_support_session(uuid),
	expunge_api.note_support_activity(uuid, text),
	expunge_api.register_test_subject(uuid, text, text)
TO expunge_support;
GRANT SELECT ON expunge_api.support_register TO expunge_intake, expunge_support;
GRANT SELECT ON expunge.support_list, expunge.support_register
	TO expunge_intake, expunge_support, expunge_operator, expunge_approver, expunge_dpo;
-- the views call it with the rights of whoever reads them
GRANT EXECUTE ON FUNCTION expunge.support_entry(expunge.support_event)
	TO expunge_intake, expunge_support, expunge_operator, expunge_approver, expunge_dpo;
GRANT EXECUTE ON FUNCTION
	expunge.support_night(), expunge.file_test_subject(uuid), expunge.approve_test_subject(uuid, text),
	expunge.quarantine_test_subject(uuid, text), expunge.forget_test_subject(uuid)
TO expunge_job;
GRANT SELECT ON expunge.support_test_subject TO expunge_job;
GRANT SELECT ON expunge.support_policy, expunge.staff_login TO expunge_operator, expunge_approver, expunge_dpo;
GRANT SELECT ON expunge.status_support TO expunge_monitor, expunge_operator, expunge_approver, expunge_dpo, expunge_job;

-- which epoch, and how far a change has come
GRANT SELECT ON expunge.key_tree, expunge.key_change TO expunge_operator, expunge_approver, expunge_dpo;

-- the key tree: sealed rows; a tombstone is never taken away again
GRANT SELECT, INSERT, UPDATE (epoch, attempt, key_seq, changed_at) ON expunge.key_tree TO expunge_job;
GRANT SELECT, INSERT (nonce, timeline) ON expunge.key_nonce TO expunge_job;
GRANT USAGE ON SEQUENCE expunge.key_id TO expunge_job;
GRANT SELECT, INSERT, UPDATE, DELETE ON expunge.key_page TO expunge_job;
GRANT SELECT, INSERT, UPDATE (name, name_hash, sealed_name, page, slot, shredded_epoch, retired, seq) ON expunge.key_leaf TO expunge_job;
GRANT SELECT, INSERT ON expunge.request_leaf TO expunge_job;
GRANT SELECT, INSERT, UPDATE (epoch, seq) ON expunge.key_gone TO expunge_job;
GRANT EXECUTE ON FUNCTION expunge.sweep_gone(text) TO expunge_job;
GRANT SELECT, INSERT, UPDATE (state, n_pages, n_live, seq, n_shares, drivers, barrier_lsn, barrier_timeline, barrier, changed_at) ON expunge.key_change TO expunge_job;
GRANT EXECUTE ON FUNCTION expunge.switch_wal() TO expunge_job;

-- a restored database: a person says so, the job carries the journal over
GRANT SELECT ON expunge.adoption, expunge.replay, expunge.replay_request TO expunge_operator, expunge_dpo, expunge_job;
GRANT EXECUTE ON FUNCTION expunge.adoption_begin(), expunge.adoption_end(), expunge.replay_schedule()
TO expunge_operator;
-- who comes back is what the ledger says, and its key is the job's: nobody approves a request of his own making
GRANT EXECUTE ON FUNCTION expunge.adopt_journal(bigint, text, bigint),
	expunge.replay_file(uuid[], text[], text[], timestamptz[])
TO expunge_job;
GRANT INSERT ON expunge.adopted_line TO expunge_job;

-- archives: what one is stays as it was written
GRANT SELECT ON expunge.archive TO expunge_operator, expunge_approver, expunge_dpo;
GRANT SELECT, INSERT, UPDATE (state, destinations, sending, damaged, finished_at, seq), DELETE ON expunge.archive TO expunge_job;

-- notices: the run says what became of one, and never changes what it says or to whom it goes
GRANT SELECT ON expunge.contact TO expunge_operator, expunge_dpo, expunge_job;
GRANT SELECT ON expunge.notice_list TO expunge_operator, expunge_approver, expunge_dpo, expunge_job;
GRANT SELECT ON expunge.status_notice TO expunge_monitor, expunge_operator, expunge_approver, expunge_dpo, expunge_job;
GRANT SELECT, UPDATE (state, attempts, last_code, message_id, next_at, settled_at) ON expunge.outbox TO expunge_job;
GRANT EXECUTE ON FUNCTION expunge.add_contact(text, text, text), expunge.remove_contact(text, text, text) TO expunge_operator, expunge_job;
GRANT EXECUTE ON FUNCTION expunge.notice_put(text, text, text, jsonb, text), expunge.forget_notices(integer) TO expunge_job;
GRANT EXECUTE ON FUNCTION expunge.notice_bounced_all(text, text), expunge.notice_reached(text, text)
TO expunge_operator, expunge_approver, expunge_dpo, expunge_job;
GRANT EXECUTE ON FUNCTION expunge.bounce_notice(uuid), expunge.retry_notice(uuid) TO expunge_operator, expunge_dpo;

-- accounts that are closed: who asked, what was promised and who approved stays as it was written
GRANT SELECT ON expunge.closure, expunge.closure_rule, expunge.closure_plan, expunge.closure_approval, expunge.closure_transition
TO expunge_operator, expunge_approver, expunge_dpo, expunge_job;
GRANT UPDATE (state, problem, problem_at, removed_at, final_at) ON expunge.closure TO expunge_job;
GRANT INSERT, UPDATE, DELETE ON expunge.closure_plan TO expunge_job;
GRANT SELECT ON expunge.account_list TO expunge_operator, expunge_approver, expunge_dpo, expunge_job;
GRANT SELECT ON expunge_api.account_status TO expunge_intake;
GRANT SELECT ON expunge.status_account TO expunge_monitor, expunge_operator, expunge_approver, expunge_dpo, expunge_job;
GRANT EXECUTE ON FUNCTION
	expunge_api.cancel_subscription(text, date, text, text, text),
	expunge_api.reactivate_subscription(text),
	expunge_api.no_export_needed(text)
TO expunge_intake;
GRANT EXECUTE ON FUNCTION expunge.cancel_account(text, date, text, text), expunge.terminate_account(text, text, date, text),
	expunge.reactivate_account(text, text), expunge.waive_export(text, text), expunge.told_otherwise(text, text)
TO expunge_operator, expunge_dpo;
GRANT EXECUTE ON FUNCTION expunge.approve_closure(text, text) TO expunge_approver;
GRANT EXECUTE ON FUNCTION expunge.claim_closure(text, uuid, text, text), expunge.advance_closures(),
	expunge.reconcile_account(text, text, timestamptz, date, text, text), expunge.record_export(text, timestamptz, text)
TO expunge_job;
-- the views call them with the rights of whoever reads the view
GRANT EXECUTE ON FUNCTION expunge.civil_date_in(timestamptz, text)
TO expunge_intake, expunge_operator, expunge_approver, expunge_dpo, expunge_job;
GRANT EXECUTE ON FUNCTION expunge.closure_obstacles(uuid, timestamptz) TO expunge_operator, expunge_approver, expunge_dpo, expunge_job;

-- what became of a claimed account's rows
GRANT SELECT ON expunge.closure_chunk, expunge.closure_tally, expunge.closure_removal, expunge.closure_recipient TO expunge_operator, expunge_approver, expunge_dpo;
GRANT SELECT, INSERT, UPDATE, DELETE ON expunge.closure_chunk, expunge.closure_tally, expunge.closure_removal TO expunge_job;
GRANT SELECT, INSERT, UPDATE ON expunge.closure_recipient TO expunge_job;
GRANT EXECUTE ON FUNCTION expunge.certify_closure(uuid, bigint, text, text, text, text, timestamptz, pg_lsn, uuid[], text[]) TO expunge_job;

-- accounts whose rows are sealed
GRANT SELECT ON expunge.dormancy, expunge.dormancy_archive, expunge.dormancy_chunk TO expunge_operator, expunge_approver, expunge_dpo, expunge_job;
GRANT INSERT, UPDATE ON expunge.dormancy TO expunge_job;
GRANT INSERT ON expunge.dormancy_archive TO expunge_job;
GRANT UPDATE (given_up) ON expunge.dormancy_archive TO expunge_job;
GRANT INSERT ON expunge.dormancy_chunk TO expunge_job;
GRANT SELECT, INSERT ON expunge.dormancy_taken, expunge.dormancy_subject TO expunge_job;

RESET ROLE;
