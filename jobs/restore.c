/* restore: the rows of an archive into a database of one's choice. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "archive/copy.h"
#include "archive/restore.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "erasure/guard.h"
#include "jobs/adopt.h"
#include "keys/lineage.h"
#include "query.h"
#include "sys/log.h"
#include "sys/progress.h"
#include "sys/stop.h"

/* columns of archive_to_restore */
enum { A_ID, A_HASH, A_GENERATION, A_DESTINATIONS, A_CREATED, A_SIZE };

static int64_t shown; /* progress_at takes no context */

static void
show_rows(int64_t rows)
{
	shown += rows;
	progress_at(shown);
}

#define ID_SHOWN 16 /* what messages show of an id, and 64 bits of chance */

/* The archive's whole id from the beginning that is shown everywhere. *ret: in *rows; NULL without a beginning. */
static int
find_id(struct job *job, const char *beginning, struct db_result **rows, const char **ret, struct err *err)
{
	*ret = beginning;
	if (beginning == NULL)
		return 0;
	if (strlen(beginning) < ID_SHOWN) {
		(void)err_set(err, ERR_USAGE, "%.64s is too short for an archive's id", beginning);
		return err_hint(err, "give the %d characters that messages show, or all that expunge backup list prints", ID_SHOWN);
	}
	if (db_query(job->db, &QUERY_ARCHIVE_FIND, DB_PARAMS(job_option(job, "tenant"), beginning), rows, err) != 0)
		return -1;
	if (db_rows(*rows) > 1)
		return err_set(err, ERR_USAGE, "several archives have ids that begin with %.64s: give more of it", beginning);
	if (db_rows(*rows) == 1)
		*ret = db_get_text(*rows, 0, 0);
	return 0;
}

static int
find_archive(struct job *job, struct db_result **ret, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *found = NULL;
	const char *tenant = job_option(job, "tenant"), *id;

	if (find_id(job, job_option(job, "generation"), &found, &id, err) != 0 ||
	    db_query(job->db, &QUERY_ARCHIVE_TO_RESTORE, DB_PARAMS(tenant, id), ret, err) != 0)
		return -1;
	if (db_rows(*ret) == 1)
		return 0;
	(void)err_set(err, ERR_FAILED, "tenant %.200s has no %sarchive%s%.64s", tenant, id == NULL ? "" : "such ", id == NULL ? "" : " ",
		id == NULL ? "" : id);
	return err_hint(err, "expunge backup list --tenant %.200s shows what there is", tenant);
}

/* Nothing is loaded into the database that it came from: what is there would be there twice. */
static int
connect_target(const struct job *job, struct db **ret, struct err *err)
{
	const struct db_options options = { .conninfo = job_option(job, "into"), .source = "--into", .name = "expunge restore",
		.connect_timeout_s = (int)config_int(job->config, SET_DATABASE_CONNECT_TIMEOUT_SECONDS), .read_write = true };
	CLEANUP(db_result_freep) struct db_result *here = NULL;
	CLEANUP(db_result_freep) struct db_result *there = NULL;
	static const char who[] = "SELECT (SELECT c.system_identifier FROM pg_catalog.pg_control_system() c) || '/' || d.oid"
		" FROM pg_catalog.pg_database d WHERE d.datname = current_database()";

	if (db_open(ret, &options, err) != 0)
		return err_prefix(err, "the target");
	if (db_text(job->db, DB_ONE, who, 0, NULL, &here, err) != 0 || db_text(*ret, DB_ONE, who, 0, NULL, &there, err) != 0)
		return -1;
	if (strcmp(db_get_text(here, 0, 0), db_get_text(there, 0, 0)) != 0)
		return 0;
	(void)err_set(err, ERR_REFUSED, "the target is the database that the archive was taken of");
	return err_hint(err, "make an empty database with the application's tables, and name that with --into");
}

/* What is wrong with copies that were passed over. */
static void
tell_notes(const struct str *notes)
{
	for (const char *line = str_cstr(notes); *line != '\0';) {
		size_t n = strcspn(line, "\n");

		log_warning("%.*s", (int)n, line);
		line += n + (line[n] == '\n');
	}
}

static int
load(struct job *job, const struct keys *keys, const struct db_result *row, const struct leaf_keys *leaves, struct db *target,
	struct err *err)
{
	const struct leaf *generation = leaf_keys_find(leaves, db_get_int(row, 0, A_GENERATION));
	const struct archive_copy_name name = { db_get_text(row, 0, A_ID), db_get_text(row, 0, A_HASH), db_get_text(row, 0, A_DESTINATIONS),
		(uint64_t)db_get_int(row, 0, A_SIZE) };
	CLEANUP(archive_copy_close) struct archive_copy copy = ARCHIVE_COPY_INIT;
	CLEANUP(str_release) struct str notes = STR_INIT;
	struct restore_result result;
	struct restore restore = { .db = target, .leaves = leaves, .disable_triggers = job_flag(job, "disable-triggers"),
		.documents = job_option(job, "documents"), .progress = show_rows };
	int failed;

	if (generation == NULL)
		return err_set(err, ERR_FAILED, "the key of its generation is shredded: nobody can open it any more");
	failed = archive_copy_open(&copy, keys, &name, generation->key, stop_asked, &notes, err);
	tell_notes(&notes);
	if (failed != 0)
		return -1;
	restore.archive = copy.archive;
	progress_start("restoring", 0);
	failed = restore_load(&restore, &result, err);
	progress_end();
	if (failed != 0)
		return -1;
	printf("archive %.16s of %s: %" PRId64 " rows restored, %" PRIu64 " rows withheld, whose keys are shredded\n",
		db_get_text(row, 0, A_ID), db_get_text(row, 0, A_CREATED), result.rows, result.tally.withheld_rows);
	if (result.has_documents)
		printf("document files: %" PRId64 " in %s, %" PRId64 " were missing when the archive was made\n", result.documents.files,
			restore.documents, result.documents.missing);
	return 0;
}

static int
run_restore(struct job *job, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *row = NULL;
	CLEANUP(leaf_keys_release) struct leaf_keys leaves = { 0 };
	CLEANUP(str_release) struct str problems = STR_INIT;
	CLEANUP(keyring_close) struct keyring ring = { 0 };
	CLEANUP(keys_close) struct keys keys = { 0 };
	CLEANUP(db_closep) struct db *target = NULL;
	struct instance instance;

	if (job_flag(job, "adopt"))
		return job_option(job, "tenant") == NULL && job_option(job, "into") == NULL ? adopt_run(job, err)
			: err_set(err, ERR_USAGE, "--adopt is about the whole database: give neither --tenant nor --into");
	if (job_option(job, "tenant") == NULL || job_option(job, "into") == NULL)
		return err_set(err, ERR_USAGE, "restore needs --tenant and --into, or --adopt");
	if (job_flag(job, "dry-run"))
		return err_set(err, ERR_USAGE, "--dry-run goes with --adopt");
	if (!keys_declared(job->config))
		return err_set(err, ERR_USAGE, "keys.shares are not declared: without a key tree there are no archives");
	if (guard_instance(job->db, &instance, err) != 0 ||
	    keys_open(&keys, job->config, instance.id, false, &problems, err) != 0) {
		(void)fputs(str_cstr(&problems), stderr);
		return -1;
	}
	if (lineage_ask(&keys, job->db, &problems, err) != 0 || find_archive(job, &row, err) != 0 || connect_target(job, &target, err) != 0 ||
	    keyring_open(&ring, job->db, keys.store, instance.id, err) != 0 ||
	    leaf_keys_load(&leaves, &ring, job_option(job, "tenant"), err) != 0)
		return -1;
	return load(job, &keys, row, &leaves, target, err) == 0 ? 0 : err_prefix(err, "archive %.16s", db_get_text(row, 0, A_ID));
}

static const struct option_row restore_options[] = {
	{ "tenant", "T", "whose archive", NULL },
	{ "generation", "ID", "this archive: its id, or the first 16 characters, as messages show it; else the latest", NULL },
	{ "into", "DSN", "the database to load it into, as libpq understands it; not the one it came from", NULL },
	{ "documents", "DIRECTORY", "where document files go: a new directory, below it one for each kind", NULL },
	{ "disable-triggers", NULL, "switch the application's triggers off for the time of the restore", NULL },
	{ "adopt", NULL, "this database was restored: bring it to where the key journals end, and erase again", NULL },
	OPTION_DRY_RUN,
	OPTION_END,
};

const struct command restore_commands[] = {
	{ "restore", "load a tenant's archive into another database; adopt a restored one", "", 0, 0, NEEDS_BINDING, restore_options, run_restore,
	  "The target has the application's tables, and none of the tenant's rows. All goes in by one transaction, or\n"
	  "nothing. Patients whose keys are shredded stay out, and their rows are counted.\n"
	  "With --adopt, after the whole database was restored from a backup of the server, and before the\n"
	  "application writes to it: keys, catalogue and certificates become those of the key journals, and\n"
	  "erasures that the backup does not know are carried out again. Until then nothing else runs." },
	{ 0 }
};
