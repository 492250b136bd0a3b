/* backup: one sealed archive a tenant to every destination; --verify reads what there is again; backup list. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "archive/receiver.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "jobs/backup.h"
#include "jobs/job.h"
#include "keys/lineage.h"
#include "map/tenant_rows.h"
#include "query.h"
#include "svc/listing.h"
#include "sys/log.h"
#include "sys/progress.h"
#include "sys/stop.h"

/* A tenant of that name could not be told from nobody. */
static int
check_names(const struct backup_session *s, const struct db_result *tenants, struct err *err)
{
	int n = 0;

	for (int i = 0; i < db_rows(tenants); i++)
		n += tenant_is_nobody(s->program, db_get_text(tenants, i, 0));
	return n < 2 ? 0 : err_set(err, ERR_FAILED, "a tenant has the key " TENANT_NOBODY ", which means rows that are no tenant's");
}

static int
read_tenants(struct backup_session *s, struct db_result **ret, struct err *err)
{
	CLEANUP(str_release) struct str sql = STR_INIT;
	const char *one = job_option(s->job, "tenant");

	if (one == NULL)
		sql_tenants(&sql, s->program);
	else if (job_flag(s->job, "verify"))
		str_add(&sql, "SELECT DISTINCT a.tenant FROM expunge.archive a WHERE a.tenant = $1");
	else {
		str_add(&sql, "SELECT $1::text WHERE ");
		sql_is_tenant(&sql, s->program, "$1::text");
		if (tenant_is_nobody(s->program, one))
			str_add(&sql, " UNION ALL SELECT $1::text");
	}
	if (db_text(s->workers[0].db, DB_MANY, sql.s, one != NULL, DB_PARAMS(one), ret, err) != 0)
		return -1;
	if (one != NULL && db_rows(*ret) == 0) {
		(void)err_set(err, ERR_FAILED, "there is no tenant \"%.200s\"", one);
		return err_hint(err, "expunge backup --dry-run lists them");
	}
	return check_names(s, *ret, err);
}

/* ---- backup ------------------------------------------------------------------------------------- */

static void
tell_result(const char *tenant, const struct backup_result *result)
{
	log_info("tenant %s: archive %.16s, %" PRId64 " subjects, %" PRIu64 " rows in %" PRIu64 " frames, %" PRIu64 " of them unchanged, %" PRIu64
		" bytes", tenant, result->id, result->subjects, result->summary.rows, result->summary.frames, result->summary.referred,
		result->summary.size);
	if (result->whole.code != ERR_NONE)
		log_warning("tenant %s: everything is written again: %s", tenant, result->whole.msg);
	if (result->withheld > 0)
		log_info("tenant %s: %" PRId64 " withheld, their keys are shredded", tenant, result->withheld);
	/* no failure: a row may be there before its file is, or after it */
	if (result->n_missing > 0)
		log_warning("tenant %s: %" PRId64 " document files that rows name are not there", tenant, result->n_missing);
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
tell_end(void *ctx, const struct backup *worker, const char *tenant, const struct backup_result *result, const struct err *why,
	struct err *err)
{
	struct backup_session *s = ctx;
	struct err told;

	tell_lines(tenant, &result->failures);
	if (why == NULL) {
		tell_result(tenant, result);
		s->n_done++;
		s->n_failed += result->n_failed > 0;
		return 0;
	}
	told = *why;
	(void)err_prefix(&told, "tenant %s", tenant);
	if (why->code == ERR_REFUSED || db_is_lost(worker->db) || db_is_lost(worker->keys_db)) {
		*err = told;
		return -1;
	}
	log_err(&told);
	s->n_failed += why->code != ERR_LOCKED;
	s->n_locked += why->code == ERR_LOCKED;
	return 0;
}

static int
seal_list(struct backup_session *s, const char *const *names, size_t n, struct err *err)
{
	const struct backup_all all = { .workers = s->workers, .n_workers = s->n_workers, .tenants = names, .n = n, .ended = tell_end,
		.ctx = s };

	return backup_all(&all, err);
}

/* Nobody's rows when everybody else's are sealed: what an erasure leaves behind is in one of both then, and not in neither. */
static int
seal_all(struct backup_session *s, const struct db_result *tenants, struct err *err)
{
	size_t n = (size_t)db_rows(tenants), n_real = n;
	CLEANUP(free_text) char *memory = mem_zero(n + 1, sizeof(const char *));
	const char **names = (const char **)(void *)memory;
	int failed;

	for (size_t i = 0; i < n; i++)
		names[i] = db_get_text(tenants, (int)i, 0);
	if (n > 0 && tenant_is_nobody(s->program, names[n - 1]))
		n_real--;
	progress_start("sealing", 0);
	failed = seal_list(s, names, n_real, err) != 0 || (!stop_asked() && seal_list(s, names + n_real, n - n_real, err) != 0);
	progress_end();
	return failed ? -1 : 0;
}

/* That the archives have their names; and the anchor, that leaves were made: journals without them are older copies. A
 * destination that is away has been told, and gets it when it is back. */
static void
tell_journals(const struct backup_session *s)
{
	struct err ignored = { 0 };
	bool written = false;

	for (size_t i = 0; i < s->own[0].keys.n_journals; i++) {
		struct err unused = { 0 };

		written = journal_write(&s->own[0].keys.journals[i], s->own[0].keys_db, false, &unused) == 0 || written;
	}
	if (written)
		(void)lineage_write_anchor(&s->own[0].keys, s->own[0].keys_db, &ignored);
}

static int
back_all_up(struct backup_session *s, const struct db_result *tenants, struct err *err)
{
	if (backup_session_grow(s, (size_t)db_rows(tenants), err) != 0 || seal_all(s, tenants, err) != 0)
		return -1;
	tell_journals(s);
	return stop_asked() ? err_set(err, ERR_FAILED, "stopped before the last tenant") : 0;
}

static int
preview(struct backup_session *s, const struct db_result *tenants, struct err *err)
{
	for (int i = 0; i < db_rows(tenants); i++) {
		CLEANUP(db_result_freep) struct db_result *res = NULL;
		CLEANUP(str_release) struct str sql = STR_INIT;
		const struct receiver *receiver;

		if (tenant_is_nobody(s->program, db_get_text(tenants, i, 0)))
			str_add(&sql, "SELECT 0");
		else {
			str_add(&sql, "SELECT count(*)");
			sql_subjects(&sql, s->program, db_get_text(tenants, i, 0));
		}
		if (db_text(s->workers[0].db, DB_ONE, sql.s, 0, NULL, &res, err) != 0)
			return -1;
		printf("would seal tenant %s, %s subjects, to", db_get_text(tenants, i, 0), db_get_text(res, 0, 0));
		for (size_t d = 0; d < s->own[0].keys.n_journals; d++)
			printf(" %s", s->own[0].keys.journals[d].directory);
		for (size_t d = 0; (receiver = receiver_at(s->job->config, d)) != NULL; d++)
			printf(" %s", receiver_program(receiver, RECEIVER_STORE));
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
	else if (tally == NULL)
		log_warning("tenant %s: archive %.16s in %s: cannot be read back, there is no fetch command", tenant, id, destination);
	else
		log_info("tenant %s: archive %.16s in %s: good, %" PRIu64 " rows, %" PRIu64 " withheld", tenant, id, destination, tally->rows,
			tally->withheld_rows);
}

static void
tell_repaired(const char *tenant, const char *id, const char *destination, bool later, const struct err *why)
{
	if (why != NULL)
		log_error("tenant %s: archive %.16s in %s: not repaired: %s", tenant, id, destination, why->msg);
	else
		log_info("tenant %s: archive %.16s in %s: %s", tenant, id, destination,
			later ? "the next backup sends it" : "repaired, from a good copy");
}

/* No hint of an error: the run has come to its end. */
static void
say_what_to_do(const struct backup_session *s, const struct backup_check *check)
{
	if (check->n_bad + check->n_missing > 0 && !check->repair)
		log_warning("hint: expunge backup --verify --repair copies what is bad or missing from a good copy, where there is one");
	else if (check->n_bad + check->n_missing > 0)
		log_warning("hint: an archive that is good nowhere stays bad until it expires: expunge backup makes a newer one; "
			"where a place could not be written to, repair again when it is back");
	if (check->n_repaired > 0)
		tell_journals(s);
}

static int
verify_list(struct backup_session *s, const struct db_result *tenants, struct backup_check *check, struct err *err)
{
	for (int i = 0; i < db_rows(tenants); i++)
		if (backup_verify(&s->workers[0], db_get_text(tenants, i, 0), check, err) != 0)
			return -1;
	return 0;
}

/* Those that are dormant are no tenants of the live database, and have nothing but their archives. */
static int
verify_all(struct backup_session *s, const struct db_result *tenants, struct err *err)
{
	struct backup_check check = { .tell = tell_copy, .repair = job_flag(s->job, "repair"), .repaired = tell_repaired };
	CLEANUP(db_result_freep) struct db_result *dormant = NULL;
	CLEANUP(str_release) struct str sql = STR_INIT;

	str_add(&sql, "SELECT d.tenant FROM expunge.dormancy d WHERE d.phase <> 'awake' AND NOT ");
	sql_is_tenant(&sql, s->program, "d.tenant");
	str_add(&sql, " ORDER BY d.tenant");
	if (verify_list(s, tenants, &check, err) != 0)
		return -1;
	if (job_option(s->job, "tenant") == NULL &&
	    (db_text(s->own[0].keys_db, DB_MANY, sql.s, 0, NULL, &dormant, err) != 0 || verify_list(s, dormant, &check, err) != 0))
		return -1;
	printf("%" PRId64 " good, %" PRId64 " bad", check.n_good, check.n_bad);
	if (check.n_unread > 0)
		printf(", %" PRId64 " that cannot be read back", check.n_unread);
	if (check.n_missing > 0)
		printf(", %" PRId64 " missing", check.n_missing);
	if (check.repair)
		printf(", %" PRId64 " repaired", check.n_repaired);
	printf("\n");
	say_what_to_do(s, &check);
	s->n_failed += check.n_bad;
	return 0;
}

/* ---- commands ----------------------------------------------------------------------------------- */

static int
carry_out(struct backup_session *s, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *tenants = NULL;

	if (backup_session_open(s, s->job, err) != 0 || read_tenants(s, &tenants, err) != 0)
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
end_run(const struct backup_session *s, const char *run, int exit_code)
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
	if (job_flag(job, "full") && (job_flag(job, "verify") || job_flag(job, "expire")))
		return err_set(err, ERR_USAGE, "--full makes archives: it goes without --verify and --expire");
	if (job_flag(job, "dry-run") && job_flag(job, "verify"))
		return err_set(err, ERR_USAGE, "--verify makes no archive: it goes without --dry-run");
	if (job_flag(job, "repair") && !job_flag(job, "verify"))
		return err_set(err, ERR_USAGE, "--repair goes with --verify");
	if (job_flag(job, "json") && !job_flag(job, "expire"))
		return err_set(err, ERR_USAGE, "--json goes with --expire");
	return 0;
}

static int
run_backup(struct job *job, struct err *err)
{
	CLEANUP(backup_session_release) struct backup_session s = { .job = job };
	bool is_run = !job_flag(job, "dry-run") && !job_flag(job, "verify") && job_option(job, "tenant") == NULL;
	char run[37] = "";
	int failed;

	if (check_options(job, err) != 0)
		return -1;
	if (job_flag(job, "if-declared") && !keys_declared(job->config))
		return 0;
	if (job_bind(job, err) != 0)
		return -1;
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
	{ "full", NULL, "write everything, and refer to no earlier archive", NULL },
	{ "verify", NULL, "make nothing: read every archive again, to its last frame", NULL },
	{ "repair", NULL, "with --verify: copy what is bad or missing in one destination from a good copy", NULL },
	{ "expire", NULL, "make nothing: shred and remove what no archives.keep_ setting keeps", NULL },
	OPTION_JSON,
	{ "if-declared", NULL, "do nothing where keys.shares are not declared: for cron", NULL },
	OPTION_END,
};
static const struct option_row list_options[] = { OPTION_TENANT, OPTION_JSON, OPTION_END };

const struct command backup_commands[] = {
	{ "backup", "one sealed archive a tenant to every destination", "", 0, 0, NEEDS_CONFIG, backup_options, run_backup,
	  "Each archive is one snapshot, is read back from each destination, and gets its name when the key journal\n"
	  "there knows its keys. A destination that fails does not hold the others up; exit code 3 says so.\n"
	  "Destinations that are commands are given it after that." },
	{ "backup list", "which archives there are, and where", "", 0, 0, NEEDS_BINDING, list_options, run_list, NULL },
	{ 0 }
};
