/* adopt: a database that was restored gets what the journals have, and loses again what was erased. */
#include "jobs/adopt.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "erasure/draft.h"
#include "erasure/replay.h"
#include "jobs/person.h"
#include "jobs/removal.h"
#include "keys/adopt.h"
#include "keys/lineage.h"
#include "query.h"
#include "sys/log.h"

/* columns of replay_open */
enum { O_ID, O_TENANT, O_STATE, O_REASON };

/* The longest of the ledgers: this host may be a new one. */
static int
recover_ledger(const struct keys *keys, struct run *run, struct err *err)
{
	int64_t entries;

	for (size_t i = 0; i < keys->n_journals; i++) {
		CLEANUP(free_text) char *directory = journal_directory(&keys->journals[i]);

		if (ledger_recover(run->ledger, directory, err) != 0)
			return -1;
	}
	return ledger_verify(run->ledger, &entries, err);
}

static int
show(struct run *run, const struct keys *keys, const struct adopted *adopted, struct err *err)
{
	CLEANUP(keyring_state_release) struct keyring_state state = { 0 };
	struct replay_result found;

	if (keyring_state(run->db, &state, err) != 0 || replay_find(run, keys, &found, err) != 0)
		return -1;
	printf("database: epoch %" PRId64 ", key_seq %" PRId64 ", certificate %" PRId64 "\n", state.root.epoch, state.key_seq, state.serial);
	printf("journal:  epoch %" PRId64 ", key_seq %" PRId64 ", certificate %" PRId64 ", of %s\n", adopted->head.root.epoch,
		adopted->head.key_seq, adopted->head.serial, adopted->head.made);
	printf("would put the journal's keys, catalogue and certificates in the place of the database's\n");
	printf("erasures that this database does not know yet: %" PRId64 " in the ledger, %" PRId64 " subjects are back\n", found.unknown,
		found.back);
	return 0;
}

/* A place that was away, or is new, has the journal before anything is erased again. One that cannot be written is no reason to
 * wait: the drill tells of it. */
static void
write_journals(const struct keys *keys, struct db *db)
{
	for (size_t i = 0; i < keys->n_journals; i++) {
		struct err why = { 0 };

		if (journal_write(&keys->journals[i], db, false, &why) != 0)
			log_warning("%s", why.msg);
	}
}

static int
take_journal(struct job *job, const struct keys *keys, struct run *run, struct adopted *adopted, struct err *err)
{
	int64_t n_retired = 0;

	if (person_asks(job, &QUERY_ADOPTION_BEGIN, NULL, NULL, NULL, err) != 0 || recover_ledger(keys, run, err) != 0 ||
	    adopt_journal(keys, run->db, adopted, err) != 0 || replay_retire(run, &n_retired, err) != 0)
		return -1;
	log_info("adopted the key journal in %s: epoch %" PRId64 ", key_seq %" PRId64 ", %" PRId64 " living keys, each of them opened",
		adopted->journal->directory, adopted->head.root.epoch, adopted->head.key_seq, adopted->leaves);
	if (n_retired > 0)
		log_info("keys retired, of subjects that this database does not have: %" PRId64, n_retired);
	write_journals(keys, run->db);
	return 0;
}

/* Planned as the restored rows are, approved as it was. */
static int
erase_again(struct job *job, struct run *run, struct err *err)
{
	struct err unused;

	if (draft_all(run, err) != 0 || person_asks(job, &QUERY_REPLAY_SCHEDULE, NULL, NULL, NULL, err) != 0 ||
	    run_begin(run, "adopt", err) != 0)
		return -1;
	if (removal_carry_out(run, err) == 0 && removal_publish(run, err) == 0 && replay_end(run, err) == 0)
		return run_end(run, run_exit_code(run), err);
	(void)run_end(run, err_exit_code(err), &unused);
	return -1;
}

/* Until nobody is back: duplicates that were merged after the copy was made are there as persons of their own. *ret:
 * what is left that nothing more can be done about now. */
static int
replay(struct job *job, const struct keys *keys, struct run *run, struct replay_result *ret, struct err *err)
{
	int64_t before = INT64_MAX;

	for (;;) {
		if (replay_file(run, keys, ret, err) != 0)
			return -1;
		/* nor is another ledger begun */
		if (ret->missing > 0)
			return 0;
		log_info("erasures that this database did not know: %" PRId64 "; subjects that came back: %" PRId64, ret->unknown, ret->back);
		if (before != INT64_MAX && (ret->back == 0 || ret->back >= before))
			return 0;
		before = ret->back;
		/* once in any case: what the last change of the root has left to do is done here */
		if (erase_again(job, run, err) != 0)
			return -1;
	}
}

/* *ret_open: how many are not carried out again. */
static int
tell_open(struct run *run, int *ret_open, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *open = NULL;

	if (db_query(run->db, &QUERY_REPLAY_OPEN, NULL, &open, err) != 0)
		return -1;
	*ret_open = db_rows(open);
	for (int i = 0; i < db_rows(open); i++)
		log_error("request %s of tenant %s is not carried out again: %s %s", db_get_text(open, i, O_ID), db_get_text(open, i, O_TENANT),
			db_get_text(open, i, O_STATE), db_get_text(open, i, O_REASON));
	return 0;
}

/* Of the root: what it has left to do is a part of this. */
static int
find_change(struct run *run, bool *ret_open, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *tree = NULL;

	if (db_query(run->db, &QUERY_KEY_TREE_EXISTS, NULL, &tree, err) != 0)
		return -1;
	*ret_open = db_get_bool(tree, 0, 1);
	if (*ret_open)
		log_error("the change of the root has not ended: see above what was in its way");
	return 0;
}

static int
finish(struct job *job, const struct keys *keys, struct run *run, const struct replay_result *left, struct err *err)
{
	CLEANUP(str_release) struct str notes = STR_INIT;
	bool in_change;
	int n_open;

	if (tell_open(run, &n_open, err) != 0 || find_change(run, &in_change, err) != 0)
		return -1;
	if (left->missing > 0)
		log_error("%" PRId64 " certified erasures are not in the ledger, and nobody knows whether their subjects are back: bring its newest "
			"copy, which is beside each key journal", left->missing);
	if (n_open > 0 || left->back > 0 || left->missing > 0 || in_change) {
		if (left->back > 0)
			log_error("%" PRId64 " subjects that were erased are there again", left->back);
		log_error("the adoption has not ended, and nothing else runs: clear what stands in the way, then expunge restore --adopt again");
		job->exit_code = 3;
		return 0;
	}
	if (person_asks(job, &QUERY_ADOPTION_END, NULL, NULL, NULL, err) != 0 || lineage_enter(keys, run->db, &notes, err) != 0)
		return -1;
	run_note_lines(run, NOTE_WARNING, "", &notes);
	job->exit_code = run_exit_code(run);
	log_info("the adoption has ended: the application may write again");
	return 0;
}

static int
adopt(struct job *job, struct run *run, struct err *err)
{
	CLEANUP(str_release) struct str problems = STR_INIT;
	CLEANUP(keys_close) struct keys keys = { 0 };
	struct err why = { 0 };
	struct adopted adopted;
	struct replay_result left;

	if (keys_open(&keys, job->config, run->instance.id, false, &problems, err) != 0) {
		(void)fputs(str_cstr(&problems), stderr);
		return -1;
	}
	if (adopt_choose(&keys, &adopted, err) != 0)
		return -1;
	if (lineage_ask(&keys, run->db, &problems, &why) == 0) {
		printf("database, anchor and key journals are of one history: there is nothing to adopt\n");
		return 0;
	}
	if (job_flag(job, "dry-run"))
		return show(run, &keys, &adopted, err);
	if (take_journal(job, &keys, run, &adopted, err) != 0 || replay(job, &keys, run, &left, err) != 0)
		return -1;
	return finish(job, &keys, run, &left, err);
}

int
adopt_run(struct job *job, struct err *err)
{
	struct run run = { 0 };
	int failed;

	if (!keys_declared(job->config))
		return err_set(err, ERR_USAGE, "keys.shares are not declared: without a key tree there is no journal to adopt");
	failed = removal_open(job, &run, job_flag(job, "dry-run") ? REMOVAL_LOOK : REMOVAL_ADOPT, err) != 0 || adopt(job, &run, err) != 0;
	removal_close(&run);
	return failed ? -1 : 0;
}
