#include "clinic.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define HOLD_TEXT "SELECT already_removed FROM expunge.place_hold('%d', %s%ld%s, 'litigation', 'race', current_date + 30)"

const char *
clinic_ask(PGconn *conn, const char *fmt, ...)
{
	static char answers[16][256];
	static int turn;
	char *sql, *answer = answers[turn++ % 16];
	PGresult *res;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&sql, fmt, ap) < 0)
		die("out of memory");
	va_end(ap);
	res = PQexec(conn, sql);
	if (PQresultStatus(res) != PGRES_TUPLES_OK && PQresultStatus(res) != PGRES_COMMAND_OK)
		die("%s: %s", sql, PQerrorMessage(conn));
	(void)snprintf(answer, sizeof(answers[0]), "%s", PQntuples(res) > 0 && PQnfields(res) > 0 ? PQgetvalue(res, 0, 0) : "");
	PQclear(res);
	free(sql);
	return answer;
}

PGconn *
clinic_connect(const char *role)
{
	const char *const keywords[] = { "user", "application_name", NULL }, *const values[] = { role, "race", NULL };
	PGconn *conn = PQconnectdbParams(keywords, values, 0);

	if (PQstatus(conn) != CONNECTION_OK)
		die("%s: %s", role, PQerrorMessage(conn));
	(void)clinic_ask(conn, "SET client_min_messages = error; SET jit = off");
	return conn;
}

static bool
needs_beside(enum deed deed)
{
	return deed == MOVE_MESSAGE || deed == MOVE_VISIT || deed == MERGE || deed == LINK;
}

void
clinic_make(PGconn *control, struct subject *s, long partner)
{
	char shared[24] = "NULL";

	if (partner > 0)
		(void)snprintf(shared, sizeof(shared), "%ld", partner);
	(void)clinic_ask(control, "SELECT race.make(%ld, %d, %s)", s->id, s->tenant, shared);
	if (s->stubborn)
		(void)clinic_ask(control, "UPDATE app.invoice SET total = 13 WHERE id = 'R%ld'", s->id);
	if (s->deed == HOLD_ALIAS)
		(void)clinic_ask(control, "SELECT race.make(%ld, %d, NULL); UPDATE app.patient SET merged_into = %ld WHERE id = %ld",
			s->id + 1, s->tenant, s->id, s->id + 1);
	if (needs_beside(s->deed))
		(void)clinic_ask(control, "SELECT race.make(%ld, %d, NULL)", s->id + 2, s->tenant);
	if (s->deed == MOVE_MESSAGE)
		(void)clinic_ask(control, "INSERT INTO app.message (thread, body, ref_type, ref_id) VALUES ('t', 'raced', 'patient', '%ld')",
			s->id + 2);
	if (s->deed == MOVE_VISIT)
		(void)clinic_ask(control, "INSERT INTO app.appointment (patient_id, starts_at, reason) VALUES (%ld, now(), 'raced')", s->id + 2);
}

void
clinic_approve(PGconn *control, struct subject *s)
{
	static PGconn *approver;

	if (approver == NULL)
		approver = clinic_connect("ruth");
	(void)snprintf(s->before, sizeof(s->before), "%s", clinic_ask(control, "SELECT race.print('{%ld,%ld}')", s->id, s->id + 1));
	(void)snprintf(s->counts, sizeof(s->counts), "%s", clinic_ask(control, "SELECT race.counts('{%ld,%ld}')", s->id, s->id + 1));
	(void)snprintf(s->beside, sizeof(s->beside), "%s", clinic_ask(control, "SELECT race.print('{%ld}')", s->id + 2));
	if (s->deed == DECIDE) /* a row that came after the plan: the next one will be another */
		(void)clinic_ask(control, "INSERT INTO app.message (thread, body, ref_type, ref_id) VALUES ('t', 'raced', 'patient', '%ld')", s->id);
	else
		(void)clinic_ask(approver, "SELECT expunge.decide_request('%s', 'accept', NULL, '%s')", s->request,
			clinic_ask(control, "SELECT hash FROM expunge.plan WHERE request_id = '%s'", s->request));
}

const char *
clinic_ids(const struct subject *subjects, int n)
{
	static char text[512];
	size_t length = 0;

	for (int i = 0; i < n; i++)
		length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%ld,%ld,%ld", i == 0 ? "{" : ",", subjects[i].id,
			subjects[i].id + 1, subjects[i].id + 2);
	(void)snprintf(text + length, sizeof(text) - length, "}");
	return text;
}

const char *
clinic_role(enum deed deed)
{
	switch (deed) {
	case HOLD:
	case HOLD_ALIAS:
	case HOLD_PRACTICE:
		return "oscar";
	case WITHDRAW:
		return "clinic_app";
	case DECIDE:
		return "ruth";
	default:
		return "app_owner";
	}
}

const char *
clinic_deed_name(enum deed deed)
{
	static const char *const names[] = { "idle", "hold", "hold on a duplicate", "hold on the practice", "withdrawal", "message",
		"visit", "message moved", "visit moved", "merge", "update", "shared guarantor", "approval", "arrival" };

	return names[deed];
}

void
clinic_instruct(const struct subject *s, struct thread *actor, const long *when)
{
	static PGconn *control;

	if (s->in_transaction)
		thread_add(actor, when[0], "BEGIN");
	switch (s->deed) {
	case HOLD:
		thread_add(actor, when[1], HOLD_TEXT, s->tenant, "'", s->id, "'");
		break;
	case HOLD_ALIAS:
		thread_add(actor, when[1], HOLD_TEXT, s->tenant, "'", s->id + 1, "'");
		break;
	case HOLD_PRACTICE:
		thread_add(actor, when[1], HOLD_TEXT, s->tenant, "NULL -- ", s->id, "\n");
		break;
	case WITHDRAW:
		thread_add(actor, when[1], "SELECT expunge_api.withdraw_request('%s')", s->request);
		break;
	case MESSAGE:
		thread_add(actor, when[1], "INSERT INTO app.message (thread, body, ref_type, ref_id) VALUES ('t', 'raced', 'patient', '%ld')", s->id);
		break;
	case VISIT:
		thread_add(actor, when[1], "INSERT INTO app.appointment (patient_id, starts_at, reason) VALUES (%ld, now(), 'raced')", s->id);
		break;
	case MOVE_MESSAGE:
		thread_add(actor, when[1], "UPDATE app.message SET ref_id = '%ld' WHERE ref_type = 'patient' AND ref_id = '%ld' AND body = 'raced'",
			s->id, s->id + 2);
		break;
	case MOVE_VISIT:
		thread_add(actor, when[1], "UPDATE app.appointment SET patient_id = %ld WHERE patient_id = %ld AND reason = 'raced'", s->id, s->id + 2);
		break;
	case MERGE:
		thread_add(actor, when[1], "UPDATE app.patient SET merged_into = %ld WHERE id = %ld", s->id, s->id + 2);
		break;
	case UPDATE:
		thread_add(actor, when[1], "UPDATE app.patient SET phone = '07700 raced' WHERE id = %ld", s->id);
		break;
	case LINK:
		thread_add(actor, when[1], "INSERT INTO app.patient_guarantor (patient_id, guarantor_id) VALUES (%ld, %ld)", s->id + 2, s->id);
		break;
	case DECIDE:
		if (control == NULL)
			control = clinic_connect("postgres");
		thread_add(actor, when[1], "SELECT expunge.decide_request('%s', 'accept', NULL, '%s')", s->request,
			clinic_ask(control, "SELECT hash FROM expunge.plan WHERE request_id = '%s'", s->request));
		break;
	case ARRIVE:
		thread_add(actor, when[1], "INSERT INTO app.patient (id, practice_id, given_name, family_name, born)"
			" VALUES (%ld, %d, 'Race', 'Arrived', '1970-01-01')", s->id + 2, s->tenant);
		break;
	case IDLE:
	case DEEDS:
		break;
	}
	if (s->in_transaction)
		thread_add(actor, when[2], "COMMIT");
}

void
clinic_note_deed(PGconn *control, struct subject *s)
{
	(void)snprintf(s->state_then, sizeof(s->state_then), "%s", clinic_ask(control, "SELECT state FROM expunge.request WHERE id = '%s'", s->request));
	if (s->deed == DECIDE && s->actor->sqlstate[0] == '\0' && clinic_ask(control, "SELECT 1 FROM expunge.request r"
		" JOIN expunge.plan p ON p.request_id = r.id AND p.hash = r.approved_plan WHERE r.id = '%s'", s->request)[0] == '\0')
		(void)snprintf(s->state_then, sizeof(s->state_then), "under an old plan");
	(void)snprintf(s->lsn_then, sizeof(s->lsn_then), "%s", clinic_ask(control, "SELECT pg_current_wal_lsn()"));
}

/* ---- what must hold ------------------------------------------------------------------------ */

static bool
is_one_of(const char *text, const char *words)
{
	const char *found = text[0] == '\0' ? NULL : strstr(words, text);

	return found != NULL;
}

/* A hold was first, and everything is there; or the batch was, and the hold says so. */
static void
judge_hold(const struct subject *s, bool gone, FILE *wrong)
{
	const struct thread *a = s->actor;

	if (a->sqlstate[0] != '\0') {
		if (!is_one_of(a->sqlstate, "EX409"))
			fprintf(wrong, "the hold was refused (%s)\n", a->sqlstate);
		return;
	}
	if (gone && a->answer[0] != 't' && s->deed != HOLD_ALIAS && strcmp(s->state_then, "certified") != 0)
		fprintf(wrong, "the hold was placed in time (then %s), and the rows are gone\n", s->state_then);
	if (gone && s->deed == HOLD_ALIAS && !is_one_of(s->state_then, "removed certified failed"))
		fprintf(wrong, "the hold on the duplicate was placed in time (then %s), and the rows are gone\n", s->state_then);
	if (!gone && a->answer[0] == 't' && s->deed != HOLD_PRACTICE)
		fprintf(wrong, "the hold says that the rows were gone, and they are not\n");
}

static void
judge_withdrawal(const struct subject *s, const char *state, FILE *wrong)
{
	bool done = s->actor->sqlstate[0] == '\0';

	if (!done && !is_one_of(s->actor->sqlstate, "EX409 EX422"))
		fprintf(wrong, "the withdrawal was refused (%s)\n", s->actor->sqlstate);
	if (done != (strcmp(state, "withdrawn") == 0))
		fprintf(wrong, "the withdrawal %s, and the request is %s\n", done ? "was accepted" : "was refused", state);
}

/* Nobody approved the row that came: it is there for ever. And no certificate speaks of a time after it. */
static void
judge_arrival(PGconn *control, const struct subject *s, bool gone, FILE *wrong)
{
	bool done = s->actor->sqlstate[0] == '\0', visit = s->deed == VISIT || s->deed == MOVE_VISIT;
	const char *there;

	if (!done) {
		if (!is_one_of(s->actor->sqlstate, "23503 40P01 55P03"))
			fprintf(wrong, "the application was refused (%s)\n", s->actor->sqlstate);
		return;
	}
	there = visit ? clinic_ask(control, "SELECT count(*) FROM app.appointment WHERE reason = 'raced' AND patient_id = %ld", s->id)
	              : clinic_ask(control, "SELECT count(*) FROM app.message WHERE body = 'raced' AND ref_id = '%ld'", s->id);
	if (strcmp(there, "1") != 0)
		fprintf(wrong, "the row that came is gone\n");
	if (gone && visit)
		fprintf(wrong, "a visit without its patient\n");
	if (clinic_ask(control, "SELECT c.serial FROM expunge.certificate c WHERE c.request_id = '%s' AND '%s'::pg_lsn <="
		"substring(c.note FROM 'as-of: [^ ]+ ([0-9A-F]+/[0-9A-F]+)')::pg_lsn", s->request, s->lsn_then)[0] != '\0')
		fprintf(wrong, "a certificate that was counted after the row came\n");
}

/* Who was merged, or shares the guarantor, is whole. */
static void
judge_other_deed(PGconn *control, const struct subject *s, bool gone, FILE *wrong)
{
	bool done = s->actor->sqlstate[0] == '\0';

	if (!done && !is_one_of(s->actor->sqlstate, "23503 40P01 55P03 EX409 EX420 EX503 EX504"))
		fprintf(wrong, "%s was refused (%s)\n", clinic_deed_name(s->deed), s->actor->sqlstate);
	if (s->deed == MERGE && done && gone)
		fprintf(wrong, "merged into a patient who is gone\n");
	if (strcmp(s->state_then, "under an old plan") == 0)
		fprintf(wrong, "approved was a plan that is not the present one\n");
	if (s->deed == DECIDE && gone)
		fprintf(wrong, "removed under an old plan\n");
	if (s->deed == LINK && done && clinic_ask(control, "SELECT 1 FROM app.guarantor WHERE id = %ld", s->id)[0] == '\0')
		fprintf(wrong, "the guarantor of another patient is gone\n");
}

static void
judge_deed(PGconn *control, const struct subject *s, const char *state, bool gone, FILE *wrong)
{
	switch (s->deed) {
	case HOLD:
	case HOLD_ALIAS:
	case HOLD_PRACTICE:
		judge_hold(s, gone, wrong);
		break;
	case WITHDRAW:
		judge_withdrawal(s, state, wrong);
		break;
	case MESSAGE:
	case VISIT:
	case MOVE_MESSAGE:
	case MOVE_VISIT:
		judge_arrival(control, s, gone, wrong);
		break;
	default:
		judge_other_deed(control, s, gone, wrong);
		break;
	}
}

void
clinic_judge(PGconn *control, const struct subject *s, FILE *wrong)
{
	const char *state = clinic_ask(control, "SELECT state FROM expunge.request WHERE id = '%s'", s->request);
	bool removed = clinic_ask(control, "SELECT 1 FROM expunge.request WHERE id = '%s' AND removed_at IS NOT NULL", s->request)[0] != '\0';
	const char *now = clinic_ask(control, "SELECT race.print('{%ld,%ld}')", s->id, s->id + 1);
	bool gone = strcmp(now, "0") == 0;
	const char *traces;

	if (!gone && strcmp(now, s->before) != 0)
		fprintf(wrong, "half of the rows are gone: %s of %s\n", now, s->before);
	if (gone != removed)
		fprintf(wrong, "the request is %s, and the rows are %s\n", state, gone ? "gone" : "there");
	if (s->deed != ARRIVE && strcmp(clinic_ask(control, "SELECT race.print('{%ld}')", s->id + 2), s->beside) != 0)
		fprintf(wrong, "rows of a patient beside were changed\n");
	if (removed) {
		traces = clinic_ask(control, "SELECT race.traces(%ld)", s->id);
		if (traces[0] != '\0')
			fprintf(wrong, "what is left: %s\n", traces);
		now = clinic_ask(control, "SELECT race.tallies('%s')", s->request);
		if (strcmp(now, s->counts) != 0)
			fprintf(wrong, "tallies: %s; there were: %s\n", now, s->counts);
	}
	if (s->actor != NULL)
		judge_deed(control, s, state, gone, wrong);
}

void
clinic_let_go(PGconn *control, const struct subject *subjects, int n)
{
	(void)clinic_ask(control, "SELECT expunge.release_hold(id) FROM expunge.hold WHERE released_at IS NULL");
	for (int i = 0; i < n; i++) {
		(void)clinic_ask(control, "DELETE FROM app.message WHERE body = 'raced' AND ref_id IN ('%ld', '%ld')", subjects[i].id, subjects[i].id + 2);
		(void)clinic_ask(control, "SELECT expunge.withdraw_request(id) FROM expunge.request WHERE id = '%s' AND removed_at IS NULL"
			" AND state NOT IN ('withdrawn', 'certified')", subjects[i].request);
	}
}
