#include "erasure/erase.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "erasure/batch.h"
#include "erasure/contact.h"
#include "erasure/control.h"
#include "erasure/documents.h"
#include "erasure/draft.h"
#include "erasure/pace.h"
#include "erasure/remove.h"
#include "erasure/session.h"
#include "erasure/sql.h"
#include "erasure/verify.h"
#include "erasure/workers.h"
#include "query.h"
#include "svc/crypt.h"
#include "sys/clock.h"
#include "sys/tasks.h"

#define RETRIES 5
#define RETRY_PAUSE_US 200000

/* The subjects' own rows, hashed into the ledger before anything is deleted. */
static int
write_ledger(struct run *run, struct batch *batch, const char *requests, struct err *err)
{
	CLEANUP(str_release) struct str sql = STR_INIT;
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	const struct map *map = run->map;

	str_add(&sql, "SELECT r.id, r.tenant, array_to_string(k.key, chr(31)), ");
	sql_birth(&sql, run->program, "t");
	str_add(&sql, " FROM expunge.key_set k JOIN expunge.request r ON r.id = k.request_id JOIN ");
	sql_from(&sql, run->program, map->subject, "t");
	str_add(&sql, " ON ");
	sql_match(&sql, run->program, map->subject, 0, "t", "k");
	str_addf(&sql, " WHERE k.request_id = ANY($1) AND k.table_id = %d AND k.via = 0 ORDER BY r.id",
		run->program->tables[map->subject].id);
	if (db_text(run->db, DB_MANY, sql.s, 1, DB_PARAMS(requests), &res, err) != 0)
		return -1;
	ledger_forget(run->ledger);
	for (int i = 0; i < db_rows(res); i++)
		if (ledger_intent(run->ledger, db_get_text(res, i, 0), db_get_text(res, i, 1),
			    map->tables[map->subject].name, db_get_text(res, i, 2), db_get_text(res, i, 3), err) != 0)
			return -1;
	if (crypt_uuid(batch->id, err) != 0 || ledger_write(run->ledger, batch->id, err) != 0)
		return -1;
	batch->in_ledger = true;
	return 0;
}

/* Rules and triggers as declared, the removal, everything back, the neighbours unharmed. */
static int
carry_out(struct run *run, const char *requests, int round, struct control *control, struct tallies *tallies,
	struct err *err)
{
	char state[72];

	if (session_prepare(run->db, run->map, state, err) != 0 ||
	    remove_rows(run->program, run->db, requests, round, tallies, err) != 0 ||
	    session_restore(run->db, run->map, state, err) != 0)
		return -1;
	return control_compare(control, run->program, run->db, err);
}

static int64_t
rows_done(const struct tallies *tallies)
{
	int64_t n = 0;

	for (size_t i = 0; i < tallies->n_requests * tallies->n_tables; i++)
		n += tallies->cells[i].removed + tallies->cells[i].masked;
	return n;
}

/* Everything of a batch between BEGIN and COMMIT. */
static int
run_batch(struct run *run, struct batch *batch, size_t limit, struct tallies *tallies, struct err *err)
{
	CLEANUP(plans_release) struct plans plans = { 0 };
	CLEANUP(control_release) struct control control = { 0 };
	CLEANUP(str_release) struct str array = STR_INIT;

	if (guard_freeze(run->db, run->config, err) != 0 || batch_claim(run, batch, limit, err) != 0)
		return -1;
	if (batch->n == 0)
		return 0;
	if ((batch->test && contact_lock(run, err) != 0) || run_lock_schema(run, err) != 0 || run_check_schema(run, run->db, err) != 0 ||
	    batch_plan_again(run, batch, &plans, err) != 0)
		return -1;
	if (batch->n == 0)
		return 0;
	batch_id_array(batch, &array);
	tallies_make(tallies, batch->ids, batch->n, run->map->n_tables);
	tallies_plan(tallies, &plans);
	if (control_take(&control, run->program, run->db, array.s, NULL,
		    (int)config_int(run->config, SET_VERIFY_CONTROL_SUBJECTS), err) != 0 ||
	    write_ledger(run, batch, array.s, err) != 0)
		return -1;
	if (carry_out(run, array.s, batch->round, &control, tallies, err) != 0)
		return -1;
	/* a table that nothing referred to could still be made meanwhile */
	if (run_check_schema(run, run->db, err) != 0 ||
	    tallies_store(tallies, run->program, run->db, batch->round > 0, err) != 0 ||
	    documents_tally(run, &plans, batch->ids, batch->n, batch->round > 0, err) != 0)
		return -1;
	return db_query(run->db, &QUERY_REQUEST_REMOVED, DB_PARAMS(array.s, control.n_subjects > 0 ? "true" : "false"), NULL,
		err);
}

/* A COMMIT whose answer was lost: the rows' states say whether it happened. */
static int
find_out(struct run *run, const struct batch *batch, bool *ret_done, struct err *err)
{
	CLEANUP(str_release) struct str array = STR_INIT;
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	batch_id_array(batch, &array);
	if (db_reopen(run->db, err) != 0 ||
	    db_query(run->db, &QUERY_REQUEST_STATES, DB_PARAMS(array.s), &res, err) != 0)
		return -1;
	*ret_done = db_rows(res) > 0;
	for (int i = 0; i < db_rows(res); i++)
		*ret_done = *ret_done && (strcmp(db_get_text(res, i, 1), "removed") == 0 ||
			strcmp(db_get_text(res, i, 1), "certified") == 0);
	return 0;
}

/* One batch as a transaction; *ret_claimed: how many requests it dealt with, one way or another. */
static int
try_batch(struct run *run, size_t limit, struct batch *batch, int *ret_claimed, struct err *err)
{
	struct tallies tallies = { 0 };
	bool done = false;
	int64_t blocked = run->n_blocked;
	struct err unused = { 0 };

	*ret_claimed = 0;
	if (db_begin(run->db, err) != 0)
		return -1;
	if (run_batch(run, batch, limit, &tallies, err) == 0 && db_commit(run->db, err) == 0)
		done = true;
	else if (err->code == ERR_UNKNOWN && batch->n > 0 && find_out(run, batch, &done, &unused) != 0)
		*err = unused;
	if (!done) {
		db_rollback(run->db);
		run->n_blocked = blocked;
		/* an unanswered COMMIT is settled by the next run, which finds the request's state */
		if (batch->in_ledger && err->code != ERR_UNKNOWN)
			(void)ledger_end(run->ledger, batch->id, false, &unused);
	} else {
		*ret_claimed = (int)batch->n_chosen;
		run->n_removed += (int64_t)batch->n;
		run->n_rows += rows_done(&tallies);
		if (batch->in_ledger && ledger_end(run->ledger, batch->id, true, &unused) != 0)
			run_note(run, NOTE_WARNING, "%s", unused.msg);
		err_clear(err);
	}
	tallies_release(&tallies);
	return done ? 0 : -1;
}

/* Marks one request as failed, in a transaction of its own. */
static int
mark_failed(struct run *run, const char *request, const struct err *why, struct err *err)
{
	CLEANUP(str_release) struct str one = STR_INIT;
	CLEANUP(free_text) char *reason = mem_printf("%s%s%s", why->sqlstate, why->sqlstate[0] == '\0' ? "" : ": ", why->msg);

	run->n_failed++;
	run_note(run, NOTE_ERROR, "request %s: %s", request, reason);
	run_skip(run, request);
	plan_id_array(&one, &request, 1);
	return db_query(run->db, &QUERY_REQUEST_SET_STATE, DB_PARAMS(one.s, "failed", reason, "scheduled"), NULL, err);
}

/* A batch, again after what passes by itself; a request that fails alone is marked and passed over. */
static int
erase_batch(struct run *run, size_t limit, int *ret_claimed, bool *ret_locked, struct err *err)
{
	for (int attempt = 1;; attempt++) {
		CLEANUP(batch_release) struct batch batch = { 0 };
		struct err why;

		if (try_batch(run, limit, &batch, ret_claimed, err) == 0)
			return 0;
		if (err->code == ERR_REFUSED)
			return -1;
		if (err->code == ERR_LOST || err->code == ERR_UNKNOWN)
			return -1;
		if (err->code == ERR_RETRY && attempt < RETRIES) {
			(void)usleep((useconds_t)(RETRY_PAUSE_US * attempt));
			continue;
		}
		if (batch.n == 0)
			return -1;
		if (batch.n > 1) {
			/* somewhere in it is one that fails: narrow it down */
			limit = batch.n / 2;
			attempt = 0;
			continue;
		}
		why = *err;
		err_clear(err);
		*ret_claimed = 1;
		*ret_locked = why.code == ERR_RETRY;
		return mark_failed(run, batch.ids[0], &why, err);
	}
}

/* Per tenant: requests that are due, their rows, and how many subjects the tenant has; all of it in one pass over
 * the subjects, whose tenants' text no index need serve. */
static void
compose_due(struct str *sql, const struct program *program)
{
	str_addf(sql, "SELECT d.tenant, d.subjects, d.rows, coalesce(s.n, 0) FROM (%s) d (tenant, subjects, rows) LEFT JOIN (SELECT ",
		QUERY_REQUEST_DUE.sql);
	sql_tenant(sql, program, "t");
	str_add(sql, " AS tenant, count(*) AS n FROM ");
	sql_from(sql, program, program->map->subject, "t");
	str_add(sql, " GROUP BY 1) s ON s.tenant = d.tenant");
}

/* What the run is about to take, against the caps. */
static int
check_caps(struct run *run, int64_t *ret_total, struct err *err)
{
	CLEANUP(str_release) struct str sql = STR_INIT;
	CLEANUP(db_result_freep) struct db_result *due = NULL;
	struct caps_wanted wanted = { 0 };

	compose_due(&sql, run->program);
	if (db_text(run->db, DB_MANY, sql.s, 1, DB_PARAMS(run->id), &due, err) != 0)
		return -1;
	for (int i = 0; i < db_rows(due); i++) {
		int64_t subjects = db_get_int(due, i, 1), of = db_get_int(due, i, 3);
		int64_t share = of == 0 ? 0 : (subjects * 100 + of - 1) / of;

		wanted.tenants++;
		wanted.subjects += subjects;
		wanted.rows += db_get_int(due, i, 2);
		if (share > wanted.worst_share_percent)
			wanted.worst_share_percent = share;
	}
	*ret_total = wanted.subjects;
	return guard_caps(run->db, run->config, &wanted, run->id, err);
}

/* What the workers of one run share: no more is taken than the caps were asked about. */
struct share {
	int64_t total, done, taken; /* taken: claimed by some worker, and not done yet */
	bool ended;                 /* somebody failed, or was asked to stop */
};

/* How many requests the next batch may have; 0 when there is nothing left to do. */
static size_t
take_share(const struct run *run, struct share *share, size_t limit)
{
	bool stopped;
	int64_t left, n, done;

	tasks_lock();
	done = share->done;
	left = share->ended ? 0 : share->total - done - share->taken;
	stopped = left > 0 && run_stop_asked(run);
	share->ended = share->ended || stopped;
	n = stopped || left <= 0 ? 0 : left < (int64_t)limit ? left : (int64_t)limit;
	share->taken += n;
	tasks_unlock();
	if (stopped)
		run_note(run, NOTE_WARNING, "stopped on request after %" PRId64 " of %" PRId64 " requests", done, share->total);
	return (size_t)n;
}

static void
give_back(const struct run *run, struct share *share, size_t n, int claimed, bool failed)
{
	int64_t done;

	tasks_lock();
	share->taken -= (int64_t)n;
	share->done += claimed;
	share->ended = share->ended || failed;
	done = share->done;
	tasks_unlock();
	if (!failed)
		run_progress(run, done, share->total);
}

/* How many requests the next batch asks for, after one of n that took so many of them: batches are bounded by time, and
 * what a batch has no room for is not claimed each time anew. */
static size_t
next_limit(const struct run *run, size_t n, size_t taken, int64_t ms, size_t most)
{
	size_t limit = ms > config_int(run->config, SET_BATCH_SECONDS) * 1000 && n > 1 ? (n + 1) / 2 : taken < n ? 2 * taken : 2 * n;

	return limit < 1 ? 1 : limit < most ? limit : most;
}

/* Batch after batch, until nothing is left. */
static int
erase_rest(struct run *run, void *ctx, struct err *err)
{
	struct share *share = ctx;
	const size_t most = (size_t)config_int(run->config, SET_BATCH_SUBJECTS);
	size_t limit = most, n;
	bool locked = false;
	int claimed = 1;

	while (claimed > 0 && (n = take_share(run, share, limit)) > 0) {
		int64_t start = clock_ms(), rows = run->n_rows;
		int failed = erase_batch(run, n, &claimed, &locked, err);

		give_back(run, share, n, claimed, failed != 0);
		if (failed != 0)
			return -1;
		limit = next_limit(run, n, (size_t)claimed, clock_ms() - start, most);
		pace_wait(run, run->n_rows - rows, start);
	}
	return 0;
}

/* One request before all others; *ret_well: the rest may follow. A row that the application holds locked says nothing
 * about the others, and the next request is tried. */
static int
send_canary(struct run *run, struct share *share, bool *ret_well, struct err *err)
{
	for (bool locked = true; locked && take_share(run, share, 1) == 1;) {
		int64_t failures = run->n_failed;
		int claimed = 0, failed;

		locked = false;
		failed = erase_batch(run, 1, &claimed, &locked, err);
		give_back(run, share, 1, claimed, failed != 0);
		if (failed != 0)
			return -1;
		if (claimed == 0)
			break;
		*ret_well = run->n_failed == failures;
		/* whatever killed it would strike the rest too */
		if (!*ret_well && !locked && share->done < share->total)
			run_note(run, NOTE_ERROR, "the first request failed: the others wait for the next run");
	}
	return 0;
}

int
erase_due(struct run *run, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *held = NULL;
	struct share share = { 0 };
	bool well = false;
	int64_t batch = config_int(run->config, SET_BATCH_SUBJECTS);

	if (db_query(run->db, &QUERY_REQUEST_RETRY_FAILED, NULL, NULL, err) != 0 ||
	    db_query(run->db, &QUERY_REQUEST_BLOCK_HELD, NULL, &held, err) != 0)
		return -1;
	run->n_blocked += db_rows(held);
	if (check_caps(run, &share.total, err) != 0 || send_canary(run, &share, &well, err) != 0)
		return -1;
	return well ? workers_run(run, (share.total - share.done + batch - 1) / batch, erase_rest, &share, err) : 0;
}

/* Anything that the independent recount would find, inside the transaction. */
static int
rehearse_recount(struct run *run, const char *requests, struct err *err)
{
	CLEANUP(recount_release) struct recount recount = { 0 };

	if (verify_recount(run, run->db, requests, &recount, err) != 0)
		return -1;
	if (recount.n_left == 0)
		return 0;
	return err_set(err, ERR_FAILED, "the recount finds %lld rows left in %s", (long long)recount.left[0].rows,
		recount.left[0].name);
}

int
erase_rehearse(struct run *run, const char *request, struct tallies *tallies, struct plans *plans,
	struct str *residue, struct err *err)
{
	CLEANUP(control_release) struct control control = { 0 };
	CLEANUP(str_release) struct str array = STR_INIT;
	int failed;

	plan_id_array(&array, &request, 1);
	if (db_begin(run->db, err) != 0)
		return -1;
	failed = db_query(run->db, &QUERY_REQUEST_LOCK_TENANTS, DB_PARAMS(array.s), NULL, err) != 0 ||
		collect_subjects(run->program, run->db, COLLECT_LOCKED, array.s, 0, err) != 0 ||
		plan_read(run->program, run->db, &request, 1, 0, true, plans, err) != 0 ||
		documents_plan(run, array.s, 0, plans, err) != 0 ||
		draft_residue(run, request, residue, err) != 0;
	if (!failed && plans->items[0].n_rows == 0)
		str_add(&plans->items[0].obstacles, "blocker: there is no such subject in this tenant\n");
	if (!failed && plans->items[0].obstacles.len > 0)
		failed = err_set(err, ERR_FAILED, "obstacles stand in the way");
	if (!failed) {
		tallies_make(tallies, &request, 1, run->map->n_tables);
		tallies_plan(tallies, plans);
		failed = control_take(&control, run->program, run->db, array.s, NULL,
				 (int)config_int(run->config, SET_VERIFY_CONTROL_SUBJECTS), err) != 0 ||
			carry_out(run, array.s, 0, &control, tallies, err) != 0 ||
			rehearse_recount(run, array.s, err) != 0;
	}
	db_rollback(run->db);
	return failed ? -1 : 0;
}
