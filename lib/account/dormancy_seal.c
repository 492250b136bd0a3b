/* dormancy_seal: rows into an archive, and out of the live database. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account/dormancy_keep.h"
#include "account/dormancy_private.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "erasure/verify.h"
#include "query.h"

/* What changed while it was sealed is sealed again, so often in a night. */
#define PASSES 3

/* columns of dormancy_work */
enum { W_CLOSURE, W_TENANT, W_IS_SWEPT, W_IS_HELD };

/* A night's accounts. */
struct sealing {
	struct dormancy dormancy;
	struct purge purge;
	struct db_result *accounts; /* dormancy_work */
	struct dormancy_done *done;
	bool *ready;
};

static void
sealing_release(struct sealing *sealing)
{
	purge_release(&sealing->purge);
	dormancy_release(&sealing->dormancy);
	db_result_free(sealing->accounts);
	free(sealing->ready);
}

/* ---- whether it can be --------------------------------------------------------------------------- */

/* What would stop the removal, or be lost by it, is found before anything is sealed. */
static int
look_ahead(struct sealing *sealing, const char *closure, const char *tenant, struct caps_wanted *wanted, struct err *err)
{
	CLEANUP(purge_plan_release) struct purge_plan plan = { 0 };

	if (purge_check_holds(&sealing->purge, tenant, err) != 0 || purge_plan(&sealing->purge, closure, tenant, &plan, err) != 0)
		return -1;
	if (plan.obstacles.len > 0) {
		(void)err_set(err, ERR_REFUSED, "it cannot be sealed and taken out: %.*s", (int)strcspn(plan.obstacles.s, "\n"), plan.obstacles.s);
		return err_hint(err, "the same would stop its purge: expunge account plan %s and account show list all of it", tenant);
	}
	if (strstr(plan.document.s, "\nfiles: ") != NULL) {
		(void)err_set(err, ERR_REFUSED, "its rows name document files, which are not sealed away: it stays as it is until its purge");
		return err_hint(err, "its purge takes them; copies of them in stores outlast the promise, unless these keep them for less long");
	}
	wanted->tenants++;
	wanted->rows += plan.n_rows;
	return 0;
}

/* ---- into an archive ----------------------------------------------------------------------------- */

static int
check_sealed(const struct backup_result *result, struct err *err)
{
	if (result->n_failed > 0) {
		(void)err_set(err, ERR_FAILED, "its archive is not in every destination: %.*s", (int)strcspn(str_cstr(&result->failures), "\n"),
			str_cstr(&result->failures));
		return err_hint(err, "nothing of it was removed; the next run seals it again");
	}
	if (result->withheld > 0) {
		(void)err_set(err, ERR_FAILED, "the keys of %" PRId64 " of its patients are shredded, and their rows are there", result->withheld);
		return err_hint(err, "see why they came back (expunge request list); nothing of the account was removed");
	}
	return 0;
}

/* Written, read back, catalogued, in every place. */
static int
seal(struct sealing *sealing, const char *closure, const char *tenant, struct archive_copy_name *ret, char hash[2 * SHA256_SIZE + 1],
	struct backup_result *result, struct err *err)
{
	struct dormancy *d = &sealing->dormancy;
	struct run *run = d->run;
	const struct backup backup = { .program = run->program, .schema_version = run->schema_version, .db = d->reader, .keys_db = d->keys_db, .keys = &d->keys, .config = run->config,
		.full = true, .closure = closure, .hash = dormancy_hash_name, .hash_ctx = run->ledger,
		.system_identifier = strtoull(run->instance.system_identifier, NULL, 10), .stop = run->stop };

	if (backup_tenant(&backup, tenant, result, err) != 0)
		return -1;
	bytes_to_hex(result->summary.hash, SHA256_SIZE, hash);
	*ret = (struct archive_copy_name){ .id = result->id, .hash = hash, .size = result->summary.size };
	return check_sealed(result, err);
}

static int
names_of(struct sealing *sealing, const char *closure, const char *id, struct db_result **ret, int64_t *ret_generation,
	const char **ret_destinations, struct err *err)
{
	if (db_query(sealing->dormancy.run->db, &QUERY_DORMANCY_ARCHIVE, DB_PARAMS(closure, id), ret, err) != 0)
		return -1;
	if (db_rows(*ret) == 0)
		return err_set(err, ERR_FAILED, "archive %.16s is not in the catalogue", id);
	*ret_generation = db_get_int(*ret, 0, 0);
	*ret_destinations = db_get_text(*ret, 0, 1);
	return 0;
}

/* ---- out of the database ------------------------------------------------------------------------- */

/* One archive, and what of it is still so. *ret_again: something was not. */
static int
pass(struct sealing *sealing, int row, bool *ret_again, bool *ret_stopped, struct err *err)
{
	const char *closure = db_get_text(sealing->accounts, row, W_CLOSURE), *tenant = db_get_text(sealing->accounts, row, W_TENANT);
	CLEANUP(backup_result_release) struct backup_result result = { 0 };
	CLEANUP(db_result_freep) struct db_result *catalogued = NULL;
	CLEANUP(dormancy_keep_release) struct dormancy_keep keep = DORMANCY_KEEP_INIT;
	struct purge_removal removal = { .purge = &sealing->purge, .closure = closure, .tenant = tenant,
		.is_swept = db_get_bool(sealing->accounts, row, W_IS_SWEPT) };
	struct archive_copy_name name;
	char hash[2 * SHA256_SIZE + 1];
	int64_t generation = 0;
	int failed;

	if (seal(sealing, closure, tenant, &name, hash, &result, err) != 0 ||
	    names_of(sealing, closure, result.id, &catalogued, &generation, &name.destinations, err) != 0 ||
	    dormancy_keep_open(&keep, &sealing->dormancy, closure, tenant, &name, generation, err) != 0)
		return -1;
	removal.keep = &keep.steps;
	failed = purge_take_all(&removal, ret_stopped, err);
	sealing->done->n_rows += removal.done;
	*ret_again = failed != 0 && keep.changed;
	return failed;
}

static int
check_empty(struct sealing *sealing, const char *closure, const char *tenant, struct err *err)
{
	CLEANUP(recount_release) struct recount recount = { 0 };

	if (purge_count(&sealing->purge, closure, tenant, &recount, err) != 0)
		return -1;
	if (recount.n_left == 0)
		return 0;
	(void)err_set(err, ERR_FAILED, "rows of it are left or have come: %s %" PRId64, recount.left[0].name, recount.left[0].rows);
	return err_hint(err, "the next run seals and takes them; if there are more each time, the application still writes for this tenant");
}

/* Dead rows would be in the next physical backup. */
static int
vacuum(struct sealing *sealing, const char *closure, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *touched = NULL;
	struct run view = purge_view(&sealing->purge);
	bool clean = false;

	if (db_query(view.db, &QUERY_DORMANCY_TABLES, DB_PARAMS(closure), &touched, err) != 0 || verify_vacuum(&view, touched, &clean, err) != 0)
		return -1;
	if (!clean)
		run_note(sealing->dormancy.run, NOTE_WARNING, "account %s: some tables could not be vacuumed (not their owner, or locked): copies may "
			"have its rows for longer", closure);
	return 0;
}

static int
finish(struct sealing *sealing, const char *closure, const char *tenant, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *done = NULL;
	struct run *run = sealing->dormancy.run;

	if (check_empty(sealing, closure, tenant, err) != 0 || vacuum(sealing, closure, err) != 0 ||
	    db_query(run->db, &QUERY_DORMANCY_DONE, DB_PARAMS(closure), &done, err) != 0)
		return -1;
	if (db_rows(done) == 0)
		return 0; /* it came back meanwhile */
	sealing->done->n_sealed++;
	run_note(run, NOTE_INFO, "account %s: dormant, %s rows are sealed and have left the live database", tenant, db_get_text(done, 0, 0));
	return 0;
}

static int
make_dormant(struct sealing *sealing, int row, struct err *err)
{
	const char *closure = db_get_text(sealing->accounts, row, W_CLOSURE), *tenant = db_get_text(sealing->accounts, row, W_TENANT);
	bool again = true, stopped = false;

	if (db_query(sealing->dormancy.run->db, &QUERY_DORMANCY_BEGIN, DB_PARAMS(closure, tenant), NULL, err) != 0)
		return -1;
	for (int n = 0; again && n < PASSES; n++) {
		again = false;
		err_clear(err);
		if (pass(sealing, row, &again, &stopped, err) != 0 && !again)
			return -1;
	}
	if (again)
		return -1;
	return stopped ? 0 : finish(sealing, closure, tenant, err);
}

/* ---- all of them --------------------------------------------------------------------------------- */

static int
keep_problem(struct sealing *sealing, int row, struct err *why, struct err *err)
{
	return dormancy_keep_problem(&sealing->dormancy, db_get_text(sealing->accounts, row, W_CLOSURE),
		db_get_text(sealing->accounts, row, W_TENANT), why, err);
}

static int
find_ready(struct sealing *sealing, struct caps_wanted *wanted, struct err *err)
{
	sealing->ready = mem_zero((size_t)db_rows(sealing->accounts) + 1, sizeof(bool));
	for (int i = 0; i < db_rows(sealing->accounts); i++) {
		struct err why = { 0 };
		/* of one whose own row has left, there may be no more than that */
		bool swept = db_get_bool(sealing->accounts, i, W_IS_SWEPT);

		if (db_get_bool(sealing->accounts, i, W_IS_HELD)) {
			run_note(sealing->dormancy.run, NOTE_INFO, "account %s: under a hold, and not sealed away", db_get_text(sealing->accounts, i, W_TENANT));
			continue;
		}
		sealing->ready[i] = swept ||
			look_ahead(sealing, db_get_text(sealing->accounts, i, W_CLOSURE), db_get_text(sealing->accounts, i, W_TENANT), wanted, &why) == 0;
		if (!sealing->ready[i] && keep_problem(sealing, i, &why, err) != 0)
			return -1;
	}
	return 0;
}

static int
seal_ready(struct sealing *sealing, struct err *err)
{
	for (int i = 0; i < db_rows(sealing->accounts) && !run_stop_asked(sealing->dormancy.run); i++) {
		struct err why = { 0 };

		if (sealing->ready[i] && make_dormant(sealing, i, &why) != 0 && keep_problem(sealing, i, &why, err) != 0)
			return -1;
	}
	return 0;
}

int
dormancy_seal(struct run *run, struct dormancy_done *ret, struct err *err)
{
	CLEANUP(sealing_release) struct sealing sealing = { .done = ret };
	struct caps_wanted wanted = { 0 };
	struct err why = { 0 };

	sealing.dormancy.run = run;
	if (db_query(run->db, &QUERY_DORMANCY_WORK, NULL, &sealing.accounts, err) != 0)
		return -1;
	/* without a key tree nothing is ever sealed: expunge check says what that means for the promise */
	if (db_rows(sealing.accounts) == 0 || !keys_declared(run->config))
		return 0;
	if (dormancy_open(&sealing.dormancy, run, &why) != 0 || purge_open(&sealing.purge, run, &why) != 0)
		return keep_problem(&sealing, 0, &why, err);
	/* every row is compared by itself */
	purge_save_all_keys(&sealing.purge);
	if (find_ready(&sealing, &wanted, err) != 0)
		return -1;
	if (wanted.tenants > 0 && guard_caps(run->db, run->config, &wanted, run->id, err) != 0)
		return run_keep_refusal(run, "no account is sealed away", err); /* all of them wait; the rest of the night goes on */
	return seal_ready(&sealing, err);
}
