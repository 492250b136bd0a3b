#include "support/night.h"

#include <string.h>

#include "base/cleanup.h"
#include "erasure/contact.h"
#include "erasure/draft.h"
#include "map/collect.h"
#include "map/plan.h"
#include "query.h"

/* One call of a function with a test subject; its answer as text. */
static int
ask(struct run *run, const struct query *query, const char *const *params, struct db_result **ret, struct err *err)
{
	if (db_begin(run->db, err) != 0)
		return -1;
	if (db_query(run->db, query, params, ret, err) == 0 && db_commit(run->db, err) == 0)
		return 0;
	db_rollback(run->db);
	return -1;
}

static int
close_over(struct run *run, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *over = NULL;

	if (ask(run, &QUERY_SUPPORT_NIGHT, NULL, &over, err) != 0)
		return -1;
	for (int i = 0; i < db_rows(over); i++) {
		bool session = strcmp(db_get_text(over, i, 0), "session") == 0;

		run_note(run, session ? NOTE_WARNING : NOTE_INFO, "support %s %s of tenant %s, staff %s: %s at %s", db_get_text(over, i, 0),
			db_get_text(over, i, 1), db_get_text(over, i, 2), db_get_text(over, i, 3),
			session ? "left open, ended" : "unanswered, lapsed", db_get_text(over, i, 4));
	}
	return 0;
}

static int
quarantine(struct run *run, const char *id, const char *why, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	if (ask(run, &QUERY_SUPPORT_QUARANTINE, DB_PARAMS(id, why), &res, err) != 0)
		return -1;
	if (db_get_bool(res, 0, 0))
		run_note(run, NOTE_WARNING, "test subject %s: in quarantine (%s); a person of the practice decides", id, why);
	return 0;
}

/* Whether somebody has used it: what is there now, as it was committed. */
static int
find_contact(struct run *run, const char *id, struct db_result **ret, struct err *err)
{
	CLEANUP(str_release) struct str one = STR_INIT;
	int failed;

	plan_id_array(&one, &id, 1);
	if (db_begin(run->db, err) != 0)
		return -1;
	failed = collect_subjects(run->program, run->db, COLLECT_PLAN, one.s, 0, err) != 0 ||
		contact_find(run, run->db, one.s, ret, err) != 0;
	db_rollback(run->db);
	return failed ? -1 : 0;
}

/* The plan that nobody looks at is approved only if it takes nothing but what was collected: nothing that stays holds on to it. */
static int
plan_and_approve(struct run *run, const char *id, struct err *err)
{
	CLEANUP(draft_release) struct draft draft = { 0 };
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	if (draft_plan(run, id, true, &draft, err) != 0)
		return -1;
	if (draft.obstacles.len > 0) {
		run_note_lines(run, NOTE_WARNING, "test subject: ", &draft.obstacles);
		return quarantine(run, id, "touched: the plan has obstacles", err);
	}
	if (ask(run, &QUERY_SUPPORT_APPROVE, DB_PARAMS(id, draft.hash), &res, err) != 0)
		return -1;
	if (!db_get_bool(res, 0, 0))
		run_note(run, NOTE_INFO, "test subject %s: stays for now, under a hold or without consent", id);
	return 0;
}

static int
prepare_one(struct run *run, const char *id, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *filed = NULL;
	CLEANUP(db_result_freep) struct db_result *touched = NULL;
	CLEANUP(db_result_freep) struct db_result *gone = NULL;
	const char *answer;

	if (ask(run, &QUERY_SUPPORT_FILE, DB_PARAMS(id), &filed, err) != 0)
		return -1;
	answer = db_get_text(filed, 0, 0);
	if (strcmp(answer, "quarantined") == 0)
		run_note(run, NOTE_WARNING, "test subject %s: in quarantine; a person of the practice decides", id);
	if (strcmp(answer, "plan") != 0)
		return 0;
	if (find_contact(run, id, &touched, err) != 0)
		return -1;
	if (db_rows(touched) == 0)
		return plan_and_approve(run, id, err);
	if (strcmp(db_get_text(touched, 0, 1), "gone") != 0)
		return quarantine(run, id, db_get_text(touched, 0, 1), err);
	run_note(run, NOTE_INFO, "test subject %s: not there any more", id);
	return ask(run, &QUERY_SUPPORT_FORGET, DB_PARAMS(id), &gone, err);
}

static int
for_each_due(struct run *run, int (*each)(struct run *run, const char *id, struct err *err), struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *due = NULL;

	if (db_query(run->db, &QUERY_SUPPORT_DUE, NULL, &due, err) != 0)
		return -1;
	for (int i = 0; i < db_rows(due) && !run_stop_asked(run); i++) {
		const char *id = db_get_text(due, i, 0);

		if (each(run, id, err) == 0)
			continue;
		if (err->code == ERR_LOST || err->code == ERR_UNKNOWN)
			return -1;
		run_note(run, NOTE_ERROR, "test subject %s: %s%s%s", id, err->msg, err->hint[0] == '\0' ? "" : "; ", err->hint);
		run->n_failed++;
		err_clear(err);
	}
	return 0;
}

int
support_prepare(struct run *run, struct err *err)
{
	return close_over(run, err) != 0 ? -1 : for_each_due(run, prepare_one, err);
}

/* What was blocked in its batch; the others wait for the next night. */
static int
settle_one(struct run *run, const char *id, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *filed = NULL;

	if (ask(run, &QUERY_SUPPORT_FILE, DB_PARAMS(id), &filed, err) != 0)
		return -1;
	if (strcmp(db_get_text(filed, 0, 0), "quarantined") == 0)
		run_note(run, NOTE_WARNING, "test subject %s: in quarantine; a person of the practice decides", id);
	return 0;
}

int
support_settle(struct run *run, struct err *err)
{
	return for_each_due(run, settle_one, err);
}
