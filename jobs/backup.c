/* backup: one sealed archive a tenant to every destination; --verify reads what there is again; backup list. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "archive/backup.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "erasure/guard.h"
#include "erasure/ledger.h"
#include "jobs/backup.h"
#include "jobs/job.h"
#include "map/check.h"
#include "map/collect.h"
#include "map/tenant_rows.h"
#include "query.h"
#include "svc/listing.h"
#include "sys/log.h"
#include "sys/progress.h"
#include "sys/stop.h"

struct session {
	struct job *job;
	struct map *map;
	struct catalog *catalog;
	struct program *program;
	struct ledger *ledger;
	struct keys keys;
	struct backup backup;
	int64_t rows;
	int64_t n_done, n_failed, n_locked, n_incomplete;
};

static struct session *running; /* progress_at takes no context */

static void
session_release(struct session *s)
{
	stop_on_second(NULL, NULL);
	running = NULL;
	db_close(s->backup.db);
	keys_close(&s->keys);
	ledger_close(s->ledger);
	program_free(s->program);
	map_free(s->map);
	catalog_free(s->catalog);
}

static int
hash_name(void *ctx, const char *tenant, const char *name, char ret[SHRED_HASH_SIZE], struct err *err)
{
	return ledger_subject_hash(ctx, tenant, name, ret, err);
}

static void
show_rows(int64_t rows)
{
	running->rows += rows;
	progress_at(running->rows);
}

static void
cancel(void *ctx)
{
	db_cancel(ctx);
}

/* A table that the map does not know is in no archive; that is no reason to have no archive at all. */
static int
check_map(struct session *s, struct err *err)
{
	struct findings findings = { 0 };

	if (map_check(&findings, s->map, s->backup.db, err) != 0)
		return -1;
	if (findings.n_errors > 0) {
		log_warning("the data map and the database disagree in %zu places, and a table without a line is in no archive: "
			"expunge map check lists them", findings.n_errors);
		s->n_incomplete++;
	}
	findings_release(&findings);
	return 0;
}

static int
open_map(struct session *s, struct str *problems, struct err *err)
{
	struct db **db = &s->backup.db;

	if (map_read(&s->map, config_text(s->job->config, SET_MAP), problems, err) != 0 ||
	    job_connect(s->job, s->map->login, db, err) != 0 || guard_binding(*db, s->job->config, err) != 0)
		return -1;
	/* rows that a policy hides would be missed without a word; who owns what stays in memory */
	if (db_script(*db, "setting the session up",
		    "SET row_security = off; SET temp_buffers = '64MB'; SET work_mem = '32MB'", err) != 0 ||
	    catalog_read(&s->catalog, *db, err) != 0 || map_bind(s->map, s->catalog, problems, err) != 0 || check_map(s, err) != 0 ||
	    program_make(&s->program, s->map, *db, err) != 0)
		return -1;
	if (collect_seal_tables(*db, err) != 0)
		return err_hint(err, "the login of the data map needs the right to make temporary tables: GRANT TEMPORARY ON DATABASE");
	return 0;
}

/* No leaf is made in a database that was restored. A journal that cannot be read is its destination's own trouble. */
static int
check_restored(struct session *s, struct err *err)
{
	if (keys_check(&s->keys, s->job->db, err) == 0)
		return 0;
	if (err->code == ERR_REFUSED)
		return -1;
	err_clear(err);
	return 0;
}

static int
session_open(struct session *s, struct job *job, struct err *err)
{
	CLEANUP(str_release) struct str problems = STR_INIT;
	struct instance instance;

	s->job = job;
	if (!keys_declared(job->config)) {
		(void)err_set(err, ERR_USAGE, "keys.shares are not declared: without a key tree there are no archives");
		return err_hint(err, "see keys.shares and archives.destinations in %s, then run expunge init", config_path(job->config));
	}
	if (guard_instance(job->db, &instance, err) != 0 || keys_open(&s->keys, job->config, instance.id, false, &problems, err) != 0 ||
	    check_restored(s, err) != 0 || ledger_open(&s->ledger, job->config, err) != 0 || open_map(s, &problems, err) != 0) {
		(void)fputs(str_cstr(&problems), stderr);
		return -1;
	}
	s->backup.program = s->program;
	s->backup.keys_db = job->db;
	s->backup.keys = &s->keys;
	s->backup.hash = hash_name;
	s->backup.hash_ctx = s->ledger;
	s->backup.system_identifier = strtoull(instance.system_identifier, NULL, 10);
	s->backup.progress = show_rows;
	s->backup.stop = stop_asked;
	running = s;
	stop_on_second(cancel, s->backup.db);
	return 0;
}

static int
read_tenants(struct session *s, struct db_result **ret, struct err *err)
{
	CLEANUP(str_release) struct str sql = STR_INIT;
	const char *one = job_option(s->job, "tenant");

	if (one == NULL) {
		sql_tenants(&sql, s->program);
		return db_text(s->backup.db, DB_MANY, sql.s, 0, NULL, ret, err);
	}
	str_add(&sql, "SELECT $1::text WHERE ");
	sql_is_tenant(&sql, s->program, "$1::text");
	if (db_text(s->backup.db, DB_MANY, sql.s, 1, DB_PARAMS(one), ret, err) != 0)
		return -1;
	return db_rows(*ret) == 1 ? 0 : err_set(err, ERR_FAILED, "there is no tenant %.200s", one);
}

/* ---- backup ------------------------------------------------------------------------------------- */

static void
tell_result(const char *tenant, const struct backup_result *result)
{
	log_info("tenant %s: archive %.16s, %" PRId64 " subjects, %" PRIu64 " rows in %" PRIu64 " frames, %" PRIu64 " bytes", tenant,
		result->id, result->subjects, result->summary.rows, result->summary.frames, result->summary.size);
	if (result->withheld > 0)
		log_info("tenant %s: %" PRId64 " withheld, their keys are shredded", tenant, result->withheld);
}

static void
tell_lines(const char *tenant, const struct str *lines)
{
	CLEANUP(free_text) char *text = mem_copy(str_cstr(lines));

	for (char *line = text, *end; *line != '\0'; line = end + 1) {
		end = strchr(line, '\n');
		*end = '\0';
		log_error("tenant %s: destination %s", tenant, line);
	}
}

/* One tenant that fails does not cost the others theirs, unless nothing can be read any more. */
static int
back_up(struct session *s, const char *tenant, struct err *err)
{
	CLEANUP(backup_result_release) struct backup_result result = { 0 };
	struct err why = { 0 };
	int failed = backup_tenant(&s->backup, tenant, &result, &why);

	tell_lines(tenant, &result.failures);
	if (failed == 0) {
		tell_result(tenant, &result);
		s->n_done++;
		s->n_failed += result.n_failed > 0;
		return 0;
	}
	if (why.code == ERR_REFUSED || db_is_lost(s->backup.db) || db_is_lost(s->job->db)) {
		*err = why;
		return err_prefix(err, "tenant %s", tenant);
	}
	(void)err_prefix(&why, "tenant %s", tenant);
	log_err(&why);
	s->n_failed += why.code != ERR_LOCKED;
	s->n_locked += why.code == ERR_LOCKED;
	return 0;
}

static void
tell_unowned(void *ctx, const char *table, int64_t rows)
{
	(void)ctx;
	log_warning("%s: %" PRId64 " rows belong to no subject of any tenant, and are in no archive", table, rows);
}

static int
look_for_unowned(struct session *s, struct err *err)
{
	struct db *db = s->backup.db;
	int failed;

	if (db_begin(db, err) != 0)
		return -1;
	failed = db_command(db, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", 0, NULL, NULL, err) != 0 ||
		fill_unowned(s->program, db, tell_unowned, s, err) != 0;
	db_rollback(db);
	return failed ? -1 : 0;
}

static int
back_all_up(struct session *s, const struct db_result *tenants, struct err *err)
{
	int failed = 0;

	progress_start("sealing", 0);
	for (int i = 0; i < db_rows(tenants) && failed == 0 && !stop_asked(); i++)
		failed = back_up(s, db_get_text(tenants, i, 0), err);
	progress_end();
	if (failed != 0)
		return -1;
	if (stop_asked())
		return err_set(err, ERR_FAILED, "stopped before the last tenant");
	return job_option(s->job, "tenant") != NULL ? 0 : look_for_unowned(s, err);
}

static int
preview(struct session *s, const struct db_result *tenants, struct err *err)
{
	for (int i = 0; i < db_rows(tenants); i++) {
		CLEANUP(db_result_freep) struct db_result *res = NULL;
		CLEANUP(str_release) struct str sql = STR_INIT;

		str_add(&sql, "SELECT count(*)");
		sql_subjects(&sql, s->program, db_get_text(tenants, i, 0));
		if (db_text(s->backup.db, DB_ONE, sql.s, 0, NULL, &res, err) != 0)
			return -1;
		printf("would seal tenant %s, %s subjects, to", db_get_text(tenants, i, 0), db_get_text(res, 0, 0));
		for (size_t d = 0; d < s->keys.n_journals; d++)
			printf(" %s", s->keys.journals[d].directory);
		printf("\n");
	}
	return 0;
}

/* ---- verify ------------------------------------------------------------------------------------- */

static void
tell_copy(const char *tenant, const char *id, const char *destination, const struct archive_tally *tally, const struct err *why)
{
	if (why != NULL)
		log_error("tenant %s: archive %.16s in %s: %s", tenant, id, destination, why->msg);
	else
		log_info("tenant %s: archive %.16s in %s: good, %" PRIu64 " rows, %" PRIu64 " withheld", tenant, id, destination, tally->rows,
			tally->withheld_rows);
}

static int
verify_all(struct session *s, const struct db_result *tenants, struct err *err)
{
	struct backup_check check = { .tell = tell_copy };

	for (int i = 0; i < db_rows(tenants); i++)
		if (backup_verify(&s->backup, db_get_text(tenants, i, 0), &check, err) != 0)
			return -1;
	printf("%" PRId64 " good, %" PRId64 " bad\n", check.n_good, check.n_bad);
	s->n_failed += check.n_bad;
	return 0;
}

/* ---- commands ----------------------------------------------------------------------------------- */

static int
carry_out(struct session *s, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *tenants = NULL;

	if (session_open(s, s->job, err) != 0 || read_tenants(s, &tenants, err) != 0)
		return -1;
	return job_flag(s->job, "dry-run")   ? preview(s, tenants, err)
	     : job_flag(s->job, "verify")  ? verify_all(s, tenants, err)
					   : back_all_up(s, tenants, err);
}

static int
begin_run(struct job *job, char ret[37], struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	char host[256] = "";

	if (gethostname(host, sizeof(host) - 1) != 0)
		return err_sys(err, "reading the host's name");
	if (db_query(job->db, &QUERY_RUN_BEGIN, DB_PARAMS("backup", host), &res, err) != 0)
		return -1;
	(void)snprintf(ret, 37, "%s", db_get_text(res, 0, 0));
	return 0;
}

/* For status: whether backups are taken at all. */
static void
end_run(const struct session *s, const char *run, int exit_code)
{
	char code[16], done[24], failed[24], rows[24];
	struct err unused = { 0 };

	(void)snprintf(code, sizeof(code), "%d", exit_code);
	(void)snprintf(done, sizeof(done), "%" PRId64, s->n_done);
	(void)snprintf(failed, sizeof(failed), "%" PRId64, s->n_failed);
	(void)snprintf(rows, sizeof(rows), "%" PRId64, s->rows);
	(void)db_query(s->job->db, &QUERY_RUN_END, DB_PARAMS(run, code, done, "0", failed, rows), NULL, &unused);
}

static int
check_options(const struct job *job, struct err *err)
{
	if (job_flag(job, "dry-run") && job_flag(job, "verify"))
		return err_set(err, ERR_USAGE, "--verify changes nothing: it goes without --dry-run");
	if (job_flag(job, "json") && !job_flag(job, "expire"))
		return err_set(err, ERR_USAGE, "--json goes with --expire");
	return 0;
}

static int
run_backup(struct job *job, struct err *err)
{
	CLEANUP(session_release) struct session s = { .job = job };
	bool is_run = !job_flag(job, "dry-run") && !job_flag(job, "verify") && job_option(job, "tenant") == NULL;
	char run[37] = "";
	int failed;

	if (check_options(job, err) != 0)
		return -1;
	if (job_flag(job, "if-declared") && !keys_declared(job->config))
		return 0;
	if (job_flag(job, "expire"))
		return backup_expire(job, err);
	if (is_run && keys_declared(job->config) && begin_run(job, run, err) != 0)
		return -1;
	failed = carry_out(&s, err);
	job->exit_code = s.n_locked > 0 ? 4 : s.n_failed + s.n_incomplete > 0 ? 3 : 0;
	if (run[0] != '\0')
		end_run(&s, run, failed != 0 ? err_exit_code(err) : job->exit_code);
	return failed;
}

static int
run_list(struct job *job, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	if (db_query(job->db, &QUERY_ARCHIVE_LIST, DB_PARAMS(job_option(job, "tenant")), &res, err) != 0)
		return -1;
	return listing_print(stdout, res, job_flag(job, "json"), err);
}

#define OPTION_TENANT { "tenant", "T", "of this tenant only", NULL }

static const struct option_row backup_options[] = {
	OPTION_TENANT,
	OPTION_DRY_RUN,
	{ "verify", NULL, "make nothing: read every archive again, to its last frame", NULL },
	{ "expire", NULL, "make nothing: shred and remove what no archives.keep_ setting keeps", NULL },
	OPTION_JSON,
	{ "if-declared", NULL, "do nothing where keys.shares are not declared: for cron", NULL },
	OPTION_END,
};
static const struct option_row list_options[] = { OPTION_TENANT, OPTION_JSON, OPTION_END };

const struct command backup_commands[] = {
	{ "backup", "one sealed archive a tenant to every destination", "", 0, 0, NEEDS_BINDING, backup_options, run_backup,
	  "Each archive is one snapshot, is read back from each destination, and gets its name when the key journal\n"
	  "there knows its keys. A destination that fails does not hold the others up; exit code 3 says so." },
	{ "backup list", "which archives there are, and where", "", 0, 0, NEEDS_BINDING, list_options, run_list, NULL },
	{ 0 }
};
