#!/usr/bin/env bash
# Who may do what in the control schema: the matrix as the catalogue has it, and real attempts by
# logins of each role.
. "$(dirname "$0")/../lib.sh"

sql postgres 'CREATE DATABASE ctl'
"$ROOT/tests/sql/apply.sh" ctl
for role in intake approver operator job dpo monitor support; do
	mkrole "t_$role" "expunge_$role"
done
mkrole t_nobody

# ---------------------------------------------------------------- the matrix
# r SELECT, a INSERT, w UPDATE, d DELETE; upper case: on some columns only; x EXECUTE; u USAGE
cat >"$T/want" <<'MATRIX'
object                                   public intake approver operator job dpo monitor support
expunge.accept_clock()                   -     -     -     x     -     x     -
expunge.account_list                     -     -     r     r     r     r     -
expunge.acknowledge_recipient()          -     -     -     x     -     x     -
expunge.add_contact()                    -     -     -     x     x     -     -
expunge.adopt_approvals()                -     -     -     -     -     -     -
expunge.adopt_certificates()             -     -     -     -     -     -     -
expunge.adopt_changes()                  -     -     -     -     -     -     -
expunge.adopt_journal()                  -     -     -     -     x     -     -
expunge.adopt_keys()                     -     -     -     -     -     -     -
expunge.adopt_stores()                   -     -     -     -     -     -     -
expunge.adopted()                        -     -     -     -     -     -     -
expunge.adopted_line                     -     -     -     -     a     -     -
expunge.adoption                         -     -     -     r     r     r     -
expunge.adoption_begin()                 -     -     -     x     -     -     -
expunge.adoption_end()                   -     -     -     x     -     -     -
expunge.adoption_id_seq                  -     -     -     -     -     -     -
expunge.advance_closures()               -     -     -     -     x     -     -
expunge.approve_closure()                -     -     x     -     -     -     -
expunge.approve_test_subject()           -     -     -     -     x     -     -
expunge.archive                          -     -     r     r     Wadr  r     -
expunge.article()                        -     -     -     -     -     -     -
expunge.bank_holidays()                  -     x     x     x     x     x     x     x
expunge.bounce_notice()                  -     -     -     x     -     x     -
expunge.cancel_account()                 -     -     -     x     -     x     -
expunge.cap_raise                        -     -     r     r     Wr    r     -
expunge.cap_raise_id_seq                 -     -     -     -     -     -     -
expunge.certificate                      -     -     r     r     War   r     -
expunge.certificate_counter              -     -     r     r     Wr    r     -
expunge.certificate_name()               -     -     -     -     -     -     -
expunge.certify_closure()                -     -     -     -     x     -     -
expunge.check_address()                  -     -     -     -     -     -     -
expunge.check_approval()                 -     -     -     -     -     -     -
expunge.check_audience()                 -     -     -     -     -     -     -
expunge.check_basis()                    -     -     -     -     -     -     -
expunge.check_calendar()                 -     x     x     x     x     x     x     x
expunge.check_closure()                  -     -     -     -     -     -     -
expunge.check_facts()                    -     -     -     -     -     -     -
expunge.check_hold()                     -     -     -     -     -     -     -
expunge.check_not_erased()               -     -     -     -     -     -     -
expunge.check_open()                     -     -     -     -     -     -     -
expunge.check_override()                 -     -     -     -     -     -     -
expunge.check_own_tenant()               -     -     -     -     -     -     -
expunge.check_receipt()                  -     -     -     -     -     -     -
expunge.check_request()                  -     -     -     -     -     -     -
expunge.check_staff()                    -     -     -     -     -     -     -
expunge.check_support()                  -     -     -     -     -     -     -
expunge.check_text()                     -     -     -     -     -     -     -
expunge.check_unanswered()               -     -     -     -     -     -     -
expunge.check_zone()                     -     -     -     -     -     -     -
expunge.civil_date()                     -     x     x     x     x     x     x     x
expunge.civil_date_in()                  -     x     x     x     x     x     -
expunge.claim_closure()                  -     -     -     -     x     -     -
expunge.closure                          -     -     r     r     Wr    r     -
expunge.closure_approval                 -     -     r     r     r     r     -
expunge.closure_approvers()              -     -     -     -     -     -     -
expunge.closure_chunk                    -     -     r     r     adrw  r     -
expunge.closure_clock()                  -     -     -     -     -     -     -
expunge.closure_notices()                -     -     -     -     -     -     -
expunge.closure_obstacles()              -     -     x     x     x     x     -
expunge.closure_plan                     -     -     r     r     adrw  r     -
expunge.closure_recipient                -     -     r     r     arw   r     -
expunge.closure_removal                  -     -     r     r     adrw  r     -
expunge.closure_rule                     -     -     r     r     r     r     -
expunge.closure_tally                    -     -     r     r     adrw  r     -
expunge.closure_transition               -     -     r     r     r     r     -
expunge.contact                          -     -     -     r     r     r     -
expunge.contact_id_seq                   -     -     -     -     -     -     -
expunge.control_set                      -     -     -     -     adrw  -     -
expunge.copies_seen()                    -     -     -     x     x     -     -
expunge.count_dormant()                  -     -     -     -     -     -     -
expunge.decide_request()                 -     -     x     -     -     -     -
expunge.dormancy                         -     -     r     r     arw   r     -
expunge.dormancy_archive                 -     -     r     r     War   r     -
expunge.dormancy_chunk                   -     -     r     r     ar    r     -
expunge.dormancy_subject                 -     -     -     -     ar    -     -
expunge.dormancy_taken                   -     -     -     -     ar    -     -
expunge.due_date()                       -     x     x     x     x     x     x     x
expunge.easter()                         -     x     x     x     x     x     x     x
expunge.end_closure()                    -     -     -     -     -     -     -
expunge.end_store()                      -     -     x     -     -     x     -
expunge.event                            -     -     r     r     Ar    r     -
expunge.event_number_seq                 -     -     -     -     -     -     -
expunge.extend_request()                 -     -     -     x     -     x     -
expunge.file_test_subject()              -     -     -     -     x     -     -
expunge.forget_closed_contacts()         -     -     -     x     x     -     -
expunge.forget_expired_openings()        -     -     -     x     x     -     -
expunge.forget_notices()                 -     -     -     -     x     -     -
expunge.forget_support_subject()         -     -     -     -     -     -     -
expunge.forget_test_subject()            -     -     -     -     x     -     -
expunge.freeze                           -     -     r     r     r     r     r
expunge.freeze_off()                     -     -     -     x     -     x     -
expunge.freeze_on()                      -     -     -     x     x     x     -
expunge.guard_closure()                  -     -     -     -     -     -     -
expunge.guard_event()                    -     -     -     -     -     -     -
expunge.guard_notice()                   -     -     -     -     -     -     -
expunge.guard_transition()               -     -     -     -     -     -     -
expunge.hold                             -     -     r     r     r     r     -
expunge.hold_list                        -     -     r     r     r     r     -
expunge.identify_request()               -     x     -     x     -     -     -
expunge.instance                         -     -     r     r     r     r     r
expunge.instance_zone()                  -     x     x     x     x     x     x     x
expunge.is_dormant()                     -     -     -     -     -     -     -
expunge.is_held()                        -     -     x     x     x     x     -
expunge.key_change                       -     -     r     r     War   r     -
expunge.key_gone                         -     -     -     -     War   -     -
expunge.key_id                           -     -     -     -     u     -     -
expunge.key_leaf                         -     -     -     -     War   -     -
expunge.key_nonce                        -     -     -     -     Ar    -     -
expunge.key_nonce_number_seq             -     -     -     -     -     -     -
expunge.key_page                         -     -     -     -     adrw  -     -
expunge.key_set                          -     -     -     -     adrw  -     -
expunge.key_tree                         -     -     r     r     War   r     -
expunge.lock_closure()                   -     -     -     -     -     -     -
expunge.lock_request()                   -     -     -     -     -     -     -
expunge.lock_support()                   -     -     -     -     -     -     -
expunge.lock_tenant()                    -     -     -     -     -     -     -
expunge.log_event()                      -     -     -     -     -     -     -
expunge.mapped_table                     -     -     r     r     ar    r     -
expunge.mapped_table_id_seq              -     -     -     -     -     -     -
expunge.mapped_via                       -     -     -     -     arw   -     -
expunge.migration                        -     -     r     r     r     r     r
expunge.no_request()                     -     -     -     -     -     -     -
expunge.no_support()                     -     -     -     -     -     -     -
expunge.notice_bounced_all()             -     -     x     x     x     x     -
expunge.notice_id()                      -     -     -     -     -     -     -
expunge.notice_list                      -     -     r     r     r     r     -
expunge.notice_put()                     -     -     -     -     x     -     -
expunge.notice_reached()                 -     -     x     x     x     x     -
expunge.oldest_xmin()                    -     -     -     x     x     -     -
expunge.one_off_holiday                  -     -     r     r     r     r     -
expunge.open_adoption()                  -     -     -     -     -     -     -
expunge.open_closure()                   -     -     -     -     -     -     -
expunge.opening                          -     -     -     -     Rad   -     -
expunge.outbox                           -     -     -     -     Wr    -     -
expunge.own_request()                    -     -     -     -     -     -     -
expunge.own_session()                    -     -     -     -     -     -     -
expunge.place_hold()                     -     -     -     x     -     x     -
expunge.plan                             -     -     r     r     adrw  r     -
expunge.purge_window()                   -     -     -     -     -     -     -
expunge.quarantine_test_subject()        -     -     -     -     x     -     -
expunge.raise_cap()                      -     -     x     -     -     x     -
expunge.reactivate_account()             -     -     -     x     -     x     -
expunge.recipient                        -     -     r     r     arw   r     -
expunge.reconcile_account()              -     -     -     -     x     -     -
expunge.record_closure()                 -     -     -     -     -     -     -
expunge.record_closure_recipient()       -     -     -     -     -     -     -
expunge.record_denied()                  -     x     x     x     x     x     x     x
expunge.record_dormancy()                -     -     -     -     -     -     -
expunge.record_export()                  -     -     -     -     x     -     -
expunge.record_notice()                  -     -     -     -     -     -     -
expunge.record_recipient()               -     -     -     -     -     -     -
expunge.record_state()                   -     -     -     -     -     -     -
expunge.refuse_request()                 -     -     -     -     -     -     -
expunge.release_hold()                   -     -     -     x     -     x     -
expunge.remove_contact()                 -     -     -     x     x     -     -
expunge.replay                           -     -     -     r     r     r     -
expunge.replay_file()                    -     -     -     -     x     -     -
expunge.replay_request                   -     -     -     r     r     r     -
expunge.replay_schedule()                -     -     -     x     -     -     -
expunge.request                          -     -     r     r     Wr    r     -
expunge.request_leaf                     -     -     -     -     ar    -     -
expunge.request_list                     -     -     r     r     r     r     -
expunge.request_store                    -     -     r     r     AWr   r     -
expunge.retry_notice()                   -     -     -     x     -     x     -
expunge.run                              -     -     r     r     AWr   r     r
expunge.run_number_seq                   -     -     -     -     -     -     -
expunge.same_closure()                   -     -     -     -     -     -     -
expunge.same_request()                   -     -     -     -     -     -     -
expunge.seal_day()                       -     -     -     -     -     -     -
expunge.session_is_staff()               -     x     x     x     x     x     x     x
expunge.session_sees_all()               -     x     x     x     x     x     x     x
expunge.session_staff()                  -     x     x     x     x     x     x     x
expunge.session_tenants()                -     x     x     x     x     x     x     x
expunge.staff_login                      -     -     r     r     -     r     -
expunge.standbys_seen()                  -     -     -     x     x     -     -
expunge.start_of_day()                   -     -     -     -     -     -     -
expunge.status                           -     -     r     r     r     r     r
expunge.status_account                   -     -     r     r     r     r     r
expunge.status_archive                   -     -     r     r     r     r     r
expunge.status_blocked                   -     -     r     r     r     r     r
expunge.status_copy                      -     -     r     r     r     r     r
expunge.status_job                       -     -     r     r     r     r     r
expunge.status_notice                    -     -     r     r     r     r     r
expunge.status_support                   -     -     r     r     r     r     r
expunge.support_anomaly                  -     -     -     -     -     -     -
expunge.support_answer()                 -     -     -     -     -     -     -
expunge.support_ask()                    -     -     -     -     -     -     -
expunge.support_confirm()                -     -     -     -     -     -     -
expunge.support_consent                  -     -     -     -     -     -     -
expunge.support_entry()                  -     x     x     x     -     x     -     x
expunge.support_event                    -     -     -     -     -     -     -
expunge.support_event_number_seq         -     -     -     -     -     -     -
expunge.support_grant()                  -     -     -     -     -     -     -
expunge.support_list                     -     r     r     r     -     r     -     r
expunge.support_night()                  -     -     -     -     x     -     -
expunge.support_open()                   -     -     -     -     -     -     -
expunge.support_policy                   -     -     r     r     -     r     -
expunge.support_put()                    -     -     -     -     -     -     -
expunge.support_refuse()                 -     -     -     -     -     -     -
expunge.support_register                 -     r     r     r     -     r     -     r
expunge.support_register()               -     -     -     -     -     -     -
expunge.support_request                  -     -     -     -     -     -     -
expunge.support_revoke()                 -     -     -     -     -     -     -
expunge.support_same()                   -     -     -     -     -     -     -
expunge.support_session                  -     -     -     -     -     -     -
expunge.support_subject                  -     -     -     -     -     -     -
expunge.support_test_subject             -     -     -     -     r     -     -
expunge.support_tidy()                   -     -     -     -     -     -     -
expunge.support_verdict()                -     -     -     -     -     -     -
expunge.support_withdraw()               -     -     -     -     -     -     -
expunge.sweep_gone()                     -     -     -     -     x     -     -
expunge.switch_wal()                     -     -     -     -     x     -     -
expunge.tally                            -     -     r     r     adrw  r     -
expunge.tell_controller()                -     -     -     -     -     -     -
expunge.tell_override()                  -     -     -     -     -     -     -
expunge.tenant_login                     -     -     r     r     -     r     -
expunge.terminate_account()              -     -     -     x     -     x     -
expunge.told_otherwise()                 -     -     -     x     -     x     -
expunge.transition                       -     -     r     r     r     r     -
expunge.undo_until()                     -     -     -     -     -     -     -
expunge.unhex()                          -     -     -     -     -     -     -
expunge.waive_export()                   -     -     -     x     -     x     -
expunge.wake_account()                   -     -     -     -     -     -     -
expunge.weekday_of_month()               -     x     x     x     x     x     x     x
expunge.withdraw_request()               -     x     x     x     -     x     -
expunge.working_day_on_or_after()        -     x     x     x     x     x     x     x
expunge_api.account_status               -     r     -     -     -     -     -
expunge_api.cancel_subscription()        -     x     -     -     -     -     -
expunge_api.certificate_note()           -     x     -     -     -     -     -
expunge_api.close_support_session()      -     -     -     -     -     -     -     x
expunge_api.collect_opening()            -     x     -     -     -     -     -
expunge_api.confirm_support_override()   -     -     -     -     -     -     -     x
expunge_api.decide_test_subject()        -     x     -     -     -     -     -
expunge_api.grant_support_consent()      -     x     -     -     -     -     -
expunge_api.no_export_needed()           -     x     -     -     -     -     -
expunge_api.note_support_activity()      -     -     -     -     -     -     -     x
expunge_api.open_support_session()       -     -     -     -     -     -     -     x
expunge_api.place_hold()                 -     x     -     -     -     -     -
expunge_api.reactivate_subscription()    -     x     -     -     -     -     -
expunge_api.register_test_subject()      -     -     -     -     -     -     -     x
expunge_api.request_erasure()            -     x     -     -     -     -     -
expunge_api.request_status               -     r     -     -     -     -     -
expunge_api.request_support()            -     -     -     -     -     -     -     x
expunge_api.request_support_override()   -     -     -     -     -     -     -     x
expunge_api.revoke_support_consent()     -     x     -     -     -     -     -
expunge_api.set_contact()                -     x     -     -     -     -     -
expunge_api.support_register             -     r     -     -     -     -     -     r
expunge_api.withdraw_request()           -     x     -     -     -     -     -
schema expunge                           -     u     u     u     u     u     u     u
schema expunge_api                       -     u     -     -     -     -     -     u
MATRIX
{
	echo 'object                                   public intake approver operator job dpo monitor support'
	psql -XAtq -v ON_ERROR_STOP=1 -d ctl -f "$ROOT/tests/sql/privileges.sql" | sed 's/ *$//'
} >"$T/got"
is "$(diff "$T/want" "$T/got")" "" "the matrix of privileges is exactly the one written here"

columns() { # columns ROLE TABLE VERB
	sql ctl "SELECT string_agg(a.attname, ' ' ORDER BY a.attnum) FROM pg_attribute a
		WHERE a.attrelid = '$2'::regclass AND a.attnum > 0 AND has_column_privilege('$1', a.attrelid, a.attnum, '$3')"
}
is "$(columns expunge_job expunge.request UPDATE)" \
	"subject subject_hash state reason reason_at attempts removed_at removed_xid removed_lsn waits_for controlled vacuumed recounted_at recounted_lsn certified_at final_at" \
	"the run changes the state of a request, never who asked, who decided, which plan or when"
is "$(columns expunge_job expunge.opening SELECT)" "request_id tenant expires_at" "the run cannot read a salt back"
is "$(columns expunge_job expunge.event INSERT)" "kind tenant request_id detail" "an event's actor and time are the server's"
is "$(columns expunge_job expunge.run INSERT)" "id job host" "a run's login and start are the server's"
is "$(columns expunge_job expunge.request_store UPDATE)" "kind declared until ended_at ended_how" "what a person stated of a store is a person's"
is "$(columns expunge_job expunge.outbox UPDATE)" "state attempts last_code message_id next_at settled_at" "the run never changes what a notice says, or to whom"
is "$(columns expunge_job expunge.certificate UPDATE)" "published_at" "a certificate stays as it was issued"

# ---------------------------------------------------------------- the objects themselves
is "$(sql ctl "SELECT c.oid::regclass::text FROM pg_class c WHERE c.relnamespace IN ('expunge'::regnamespace, 'expunge_api'::regnamespace)
	AND c.relowner <> 'expunge_owner'::regrole
	UNION ALL SELECT p.oid::regprocedure::text FROM pg_proc p
	WHERE p.pronamespace IN ('expunge'::regnamespace, 'expunge_api'::regnamespace) AND p.proowner <> 'expunge_owner'::regrole")" \
	"" "everything belongs to expunge_owner"
is "$(sql ctl "SELECT p.oid::regprocedure FROM pg_proc p
	WHERE p.pronamespace IN ('expunge'::regnamespace, 'expunge_api'::regnamespace)
	AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (p.proconfig), false)")" "" "every function pins its search_path"
is "$(sql ctl "SELECT p.oid::regprocedure FROM pg_proc p
	WHERE p.pronamespace IN ('expunge'::regnamespace, 'expunge_api'::regnamespace) AND obj_description(p.oid, 'pg_proc') IS NULL")" \
	"" "every function has a comment"
is "$(sql ctl "SELECT rolname FROM pg_roles WHERE rolname LIKE 'expunge%' AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication OR rolcanlogin)")" \
	"" "no role of ours logs in or has attributes"
is "$(sql ctl "SELECT g.rolname FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = 'expunge_owner'::regrole")" \
	"pg_read_all_stats" "the owner is a member of pg_read_all_stats alone"
is "$(sql ctl "SELECT relname FROM pg_class WHERE relnamespace = 'expunge'::regnamespace AND relrowsecurity AND relforcerowsecurity ORDER BY 1" | tr '\n' ' ')" \
	"certificate closure closure_approval closure_chunk closure_plan closure_recipient closure_removal closure_tally contact dormancy dormancy_archive dormancy_chunk dormancy_subject dormancy_taken hold opening outbox request support_event support_subject " "row-level security is forced on whatever names tenants"

is "$(sql ctl "SELECT reloptions FROM pg_class WHERE oid = 'expunge_api.request_status'::regclass")" "{security_barrier=true}" \
	"the application's view is a security barrier"

# ---------------------------------------------------------------- attempts
# A request of tenant 1 with everything that hangs on it, and one of tenant 2.
sql ctl "INSERT INTO expunge.tenant_login VALUES ('t_intake', '1')"
ID=$(sql -U t_intake ctl "SELECT expunge_api.request_erasure('1', '42', '17-1-b')")
sql ctl "SET ROLE expunge_owner" \
	"INSERT INTO expunge.request (tenant, subject, ground, received_at) VALUES ('2', '43', '17-1-b', now())" \
	"INSERT INTO expunge.hold (tenant, subject, kind, reason, review_on) VALUES ('2', '43', 'complaint', 'x', current_date)" \
	"INSERT INTO expunge.opening VALUES ('$ID', '1', 'salt', '42', now() + interval '1 day')" \
	"INSERT INTO expunge.plan (request_id, hash, document, n_rows, n_new_rows) VALUES ('$ID', 'sha256:$(printf '%064d' 0)', '', 1, 0)"

# attempt ROLE SQLSTATE STATEMENT: as a login of that role, rolled back afterwards. 42501 is "denied".
attempt() {
	local got
	got=$(psql -XAtq -U "t_$1" -d ctl -v VERBOSITY=sqlstate <<-SQL 2>/dev/null | tail -n 1
		BEGIN;
		$3;
		\echo :SQLSTATE
		ROLLBACK;
	SQL
	)
	is "$got" "$2" "$1: $3"
}
denied=42501 allowed=00000

while IFS='|' read -r role code statement; do
	attempt "$role" "$code" "${statement//ID/\'$ID\'}"
done <<LIST
nobody|$denied|SELECT expunge.due_date('2026-01-31', 'scotland')
nobody|$denied|SELECT expunge_api.request_erasure('1', '1', '17-1-b')
nobody|$denied|SELECT * FROM expunge.request
intake|$allowed|SELECT * FROM expunge_api.request_status
intake|$denied|SELECT * FROM expunge.request
intake|$denied|SELECT * FROM expunge.request_list
intake|$denied|SELECT * FROM expunge.opening
intake|$denied|SELECT * FROM expunge.tenant_login
intake|$denied|INSERT INTO expunge.tenant_login VALUES ('t_intake', '*')
intake|$denied|INSERT INTO expunge.request (tenant, subject, ground, received_at) VALUES ('1', '1', '17-1-b', now())
intake|$denied|UPDATE expunge_api.request_status SET due_on = due_on + 1
intake|$denied|DELETE FROM expunge_api.request_status
intake|$denied|SELECT expunge.decide_request(ID, 'accept', NULL, 'sha256:$(printf '%064d' 0)')
intake|$denied|SELECT expunge.place_hold('1', '42', 'complaint', 'x', current_date)
intake|$denied|SELECT expunge.freeze_off()
intake|$denied|SELECT expunge.log_event('x', NULL, NULL, NULL)
intake|$allowed|SELECT expunge.identify_request(ID)
intake|$allowed|SELECT expunge_api.set_contact('1', 'manager@practice.example')
intake|$denied|SELECT expunge.notice_put('done', '1', 'controller', '{}', 'x')
intake|$denied|SELECT address FROM expunge.contact
intake|$allowed|SELECT expunge.record_denied('request decide', ID, 'EX501')
intake|$denied|SET ROLE expunge_owner
approver|$allowed|SELECT * FROM expunge.request_list
approver|$denied|SELECT expunge.identify_request(ID)
approver|EX420|SELECT expunge.decide_request(ID, 'accept', NULL, 'sha256:$(printf '%064d' 0)')
approver|$denied|UPDATE expunge.request SET approved_plan = 'x'
approver|$denied|UPDATE expunge.plan SET hash = hash
approver|$denied|SELECT expunge.place_hold('1', '42', 'complaint', 'x', current_date)
approver|$denied|SELECT expunge.release_hold(ID)
approver|$denied|SELECT expunge.freeze_off()
approver|$allowed|SELECT expunge.raise_cap('x')
approver|$denied|SELECT expunge_api.request_erasure('1', '1', '17-1-b')
operator|$allowed|SELECT expunge.identify_request(ID)
operator|$allowed|SELECT expunge.extend_request(ID, 'many records')
operator|$allowed|SELECT expunge.place_hold('1', NULL, 'complaint', 'x', current_date)
operator|$allowed|SELECT expunge.freeze_on('x')
operator|$allowed|SELECT expunge.freeze_off()
operator|$allowed|SELECT expunge.accept_clock('x')
operator|$denied|SELECT expunge.raise_cap('x')
operator|$denied|SELECT expunge.decide_request(ID, 'refuse', '17-3-b')
operator|$denied|SELECT * FROM expunge.opening
operator|$denied|SELECT * FROM expunge.key_set
operator|$denied|INSERT INTO expunge.tenant_login VALUES ('t_operator', '*')
operator|$denied|DELETE FROM expunge.hold
operator|$denied|SELECT address FROM expunge.outbox
operator|$denied|UPDATE expunge.hold SET released_at = now()
job|$allowed|SELECT * FROM expunge.request FOR UPDATE SKIP LOCKED
job|$allowed|UPDATE expunge.request SET attempts = attempts + 1
job|$denied|UPDATE expunge.request SET approved_plan = 'x'
job|$denied|UPDATE expunge.request SET decided_by = 'x'
job|$denied|UPDATE expunge.request SET not_before = now()
job|$denied|UPDATE expunge.request SET tenant = '2'
job|EX432|UPDATE expunge.request SET state = 'identified'
job|EX430|UPDATE expunge.request SET state = 'removed'
job|$denied|INSERT INTO expunge.request (tenant, subject, ground, received_at) VALUES ('1', '1', '17-1-b', now())
job|$denied|DELETE FROM expunge.request
job|$denied|UPDATE expunge.hold SET released_at = now()
job|$denied|SELECT expunge.release_hold(ID)
job|$denied|SELECT expunge.raise_cap('x')
job|$denied|SELECT expunge.freeze_off()
job|$allowed|SELECT expunge.freeze_on('x')
job|$denied|DELETE FROM expunge.freeze
job|$denied|INSERT INTO expunge.cap_raise (reason) VALUES ('x')
job|$denied|SELECT salt FROM expunge.opening
job|$allowed|INSERT INTO expunge.opening VALUES (gen_random_uuid(), '1', 's', '1', now())
job|$allowed|DELETE FROM expunge.opening WHERE expires_at < now()
job|$allowed|INSERT INTO expunge.run (job, host) VALUES ('erase', 'h') RETURNING id
job|$denied|INSERT INTO expunge.run (job, host, started_by) VALUES ('erase', 'h', 'x')
job|$allowed|INSERT INTO expunge.event (kind) VALUES ('drill') RETURNING number
job|$denied|INSERT INTO expunge.event (kind, actor) VALUES ('drill', 'x')
job|$denied|UPDATE expunge.event SET kind = 'x'
job|$denied|DELETE FROM expunge.event
job|$denied|UPDATE expunge.certificate SET note = 'x'
job|$denied|DELETE FROM expunge.certificate
job|$denied|UPDATE expunge.instance SET undo_days = 0
job|$denied|INSERT INTO expunge.transition VALUES ('received', 'scheduled', true)
job|$allowed|SELECT expunge.notice_put('done', '1', 'controller', '{}', 'x')
job|$allowed|SELECT * FROM expunge.outbox FOR UPDATE SKIP LOCKED
job|$denied|UPDATE expunge.outbox SET address = 'x@y.example'
job|$denied|DELETE FROM expunge.outbox
job|$denied|INSERT INTO expunge.outbox (id, template, audience, once) VALUES (gen_random_uuid(), 'done', 'operator', 'x')
job|$denied|SELECT expunge.retry_notice(ID)
job|$denied|SELECT expunge.decide_request(ID, 'accept', NULL, 'sha256:$(printf '%064d' 0)')
job|$denied|SELECT expunge.withdraw_request(ID)
job|$allowed|SELECT * FROM expunge.oldest_xmin()
job|$allowed|SELECT * FROM expunge.standbys_seen()
job|$denied|SELECT pg_switch_wal()
job|$allowed|SELECT expunge.forget_expired_openings()
job|$allowed|SELECT * FROM expunge.status
dpo|$allowed|SELECT note FROM expunge.certificate
dpo|$allowed|SELECT expunge.raise_cap('x')
dpo|$allowed|SELECT expunge.freeze_off()
dpo|$denied|SELECT expunge.identify_request(ID)
dpo|$denied|SELECT expunge.decide_request(ID, 'refuse', '17-3-b')
dpo|$denied|SELECT * FROM expunge.opening
monitor|$allowed|SELECT * FROM expunge.status
monitor|$allowed|SELECT * FROM expunge.status_blocked
monitor|$allowed|SELECT * FROM expunge.status_job
monitor|$denied|SELECT * FROM expunge.request_list
monitor|$denied|SELECT * FROM expunge.request
monitor|$denied|SELECT * FROM expunge.event
monitor|$denied|SELECT note FROM expunge.certificate
monitor|$allowed|SELECT * FROM expunge.status_notice
monitor|$denied|SELECT * FROM expunge.notice_list
monitor|$denied|SELECT * FROM expunge.contact
monitor|$denied|SELECT expunge.freeze_on('x')
monitor|$allowed|SELECT * FROM expunge.status_support
monitor|$denied|SELECT * FROM expunge.support_list
support|$allowed|SELECT * FROM expunge.support_list
support|$allowed|SELECT * FROM expunge_api.support_register
support|$allowed|SELECT expunge_api.request_support('1', '4711', 'records', 'x')
support|$denied|SELECT * FROM expunge.support_event
support|$denied|SELECT * FROM expunge.support_subject
support|$denied|SELECT * FROM expunge.support_consent
support|$denied|SELECT * FROM expunge.request
support|$denied|SELECT * FROM expunge.event
support|$denied|SELECT * FROM expunge.outbox
support|$denied|SELECT * FROM expunge_api.request_status
support|$denied|SELECT expunge_api.request_erasure('1', '1', '17-1-b')
support|$denied|SELECT expunge_api.grant_support_consent('1', now() + interval '1 hour', '1', 'records')
support|$denied|SELECT expunge.approve_test_subject(gen_random_uuid(), 'x')
support|$denied|SELECT expunge.quarantine_test_subject(gen_random_uuid(), 'x')
intake|$denied|SELECT expunge_api.open_support_session('1', '1', 'records', 'x')
intake|$denied|SELECT expunge_api.register_test_subject(gen_random_uuid(), '1', '1')
intake|$denied|SELECT * FROM expunge.support_session
operator|$denied|SELECT expunge_api.open_support_session('1', '1', 'records', 'x')
job|$allowed|SELECT * FROM expunge.support_night()
job|$allowed|SELECT * FROM expunge.support_test_subject
job|$denied|SELECT * FROM expunge.support_event
job|$denied|INSERT INTO expunge.request (kind, tenant, subject, ground, received_at) VALUES ('test-subject', '1', '1', '17-1-a', now())
job|EX404|SELECT expunge.file_test_subject(gen_random_uuid())
job|$denied|SELECT expunge_api.open_support_session('1', '1', 'records', 'x')
dpo|$allowed|SELECT * FROM expunge.support_register
dpo|$denied|SELECT expunge.quarantine_test_subject(gen_random_uuid(), 'x')
LIST

is "$(sql -U t_monitor ctl 'SELECT open, holds FROM expunge.status')" "2|1" "monitoring counts over all tenants"

# ---------------------------------------------------------------- events stay
nok "a superuser does not change events by mistake" sql ctl "UPDATE expunge.event SET kind = 'x'"
nok "nor delete them" sql ctl 'DELETE FROM expunge.event'
nok "nor truncate them" sql ctl 'TRUNCATE expunge.event'

# ---------------------------------------------------------------- tenants are apart
# As the owner with the application's session_user, which is what a SECURITY DEFINER function is.
is "$(sql ctl "SET SESSION AUTHORIZATION t_intake" "SELECT count(*) FROM expunge_api.request_status")" "1" \
	"the application sees the requests of its own tenant"
sql ctl "CREATE FUNCTION public.leak() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS
	'SELECT count(*) FROM expunge.request'" "ALTER FUNCTION public.leak() OWNER TO expunge_owner"
is "$(sql -U t_intake ctl 'SELECT public.leak()')" "1" "a careless function of the owner shows it no more than that"
is "$(sql -U t_operator ctl 'SELECT public.leak()')" "2" "an operator sees all tenants"
is "$(sql -U t_intake ctl "SET expunge.tenant = '2'" "SELECT count(*) FROM expunge_api.request_status WHERE tenant = '2'")" "0" \
	"expunge.tenant counts for nothing where the login is not mapped to *"
sql ctl "CREATE FUNCTION public.peek(t text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS
	'BEGIN RAISE NOTICE ''saw %'', t; RETURN true; END'"
run psql -XAtq -U t_intake -d ctl -c 'SELECT count(*) FROM expunge_api.request_status WHERE public.peek(tenant)'
err_unlike 'saw 2' "a cheap function in WHERE sees no foreign row"

# ---------------------------------------------------------------- applying again
sql ctl "GRANT DELETE ON expunge.event TO expunge_job" "GRANT EXECUTE ON FUNCTION expunge.freeze_off() TO PUBLIC" \
	"GRANT UPDATE (approved_plan) ON expunge.request TO expunge_job"
"$ROOT/tests/sql/apply.sh" ctl
psql -XAtq -d ctl -f "$ROOT/tests/sql/privileges.sql" | sed 's/ *$//' >"$T/got"
is "$(diff <(tail -n +2 "$T/want") "$T/got")" "" "applying again takes away what was granted by hand"
sql ctl 'ALTER ROLE expunge_job BYPASSRLS'
run "$ROOT/tests/sql/apply.sh" ctl
sql ctl 'ALTER ROLE expunge_job NOBYPASSRLS'
nok "a role that bypasses row-level security is refused" test "$RC" = 0
err_like 'role expunge_job exists with attributes that bypass the safeguards' "by name"

# ---------------------------------------------------------------- staff and practices try everything there is
for role in support intake; do
	psql -XAtq -U "t_$role" -d ctl >"$T/tried" <<-'SQL'
		CREATE TEMPORARY TABLE tried (what text, done boolean, may boolean);
		DO $$
		DECLARE
			t record;
			done boolean;
		BEGIN
			FOR t IN SELECT c.oid, format(s.text, c.oid::regclass) AS statement, s.privilege
				FROM pg_class c, (VALUES ('SELECT 1 FROM %s LIMIT 0', 'SELECT'), ('DELETE FROM %s WHERE false', 'DELETE'), ('TRUNCATE %s', 'TRUNCATE'),
					('INSERT INTO %1$s SELECT * FROM %1$s LIMIT 0', 'INSERT')) s(text, privilege)
				WHERE c.relnamespace IN ('expunge'::regnamespace, 'expunge_api'::regnamespace) AND c.relkind IN ('r', 'v')
			LOOP
				BEGIN
					EXECUTE t.statement;
					done := true;
				EXCEPTION WHEN insufficient_privilege THEN done := false;
				WHEN OTHERS THEN done := NULL; -- what no view can do
				END;
				INSERT INTO tried VALUES (t.statement, done, has_table_privilege(t.oid, t.privilege)
					AND (t.privilege <> 'INSERT' OR has_table_privilege(t.oid, 'SELECT')));
			END LOOP;
			FOR t IN SELECT p.oid, format('SELECT %s.%I(%s)', p.pronamespace::regnamespace, p.proname,
					(SELECT string_agg('NULL::' || format_type(a, NULL), ', ' ORDER BY n) FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY u(a, n))) AS statement
				FROM pg_proc p WHERE p.pronamespace IN ('expunge'::regnamespace, 'expunge_api'::regnamespace)
				  AND NOT p.proisstrict -- of a NULL the planner makes a NULL, without a call
			LOOP
				BEGIN
					EXECUTE t.statement;
					done := true;
				EXCEPTION WHEN insufficient_privilege THEN done := false;
				WHEN OTHERS THEN done := true; -- it was called, and refused what it was given
				END;
				INSERT INTO tried VALUES (t.statement, done, has_function_privilege(t.oid, 'EXECUTE'));
			END LOOP;
		END
		$$;
		SELECT count(*) FILTER (WHERE NOT may) FROM tried;
		SELECT what FROM tried WHERE done AND NOT may ORDER BY 1;
	SQL
	ok "$role tries $(head -n 1 "$T/tried") things that it may not do" test "$(head -n 1 "$T/tried")" -gt 300
	is "$(tail -n +2 "$T/tried")" "" "... and is refused each"
done
done_testing
