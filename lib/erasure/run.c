#include "erasure/run.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "erasure/workers.h"
#include "map/check.h"
#include "query.h"
#include "sys/tasks.h"

/* Errors of the check refuse the run; its warnings are the business of `map check`. */
static int
check_map(struct run *run, struct str *problems, struct err *err)
{
	struct findings findings = { 0 };

	if (map_check(&findings, run->map, run->db, err) != 0)
		return -1;
	for (size_t i = 0; i < findings.n; i++)
		if (findings.items[i].level == FINDING_ERROR)
			str_addf(problems, "%s: %s; %s\n", findings.items[i].table, findings.items[i].message,
				findings.items[i].remedy);
	if (findings.n_errors > 0) {
		(void)err_set(err, ERR_REFUSED, "the data map and the database disagree in %zu places: nothing was done",
			findings.n_errors);
		(void)err_hint(err, "expunge map check lists them with their remedies");
	}
	findings_release(&findings);
	return err->code == ERR_REFUSED ? -1 : 0;
}

/* Nothing is removed on top of a ledger that somebody changed. */
static int
check_ledger(struct run *run, struct err *err)
{
	int64_t n;

	if (ledger_verify(run->ledger, &n, err) == 0)
		return 0;
	err->code = ERR_REFUSED;
	return err_hint(err, "expunge check tells more; restore the ledger and its key from their copies");
}

int
run_open(struct run *run, const struct config *config, run_connect *connect, void *ctx, struct str *problems,
	struct err *err)
{
	run->config = config;
	run->connect = connect;
	run->connect_ctx = ctx;
	run->skip = mem_copy("{}");
	/* parsed before the first connection: a malformed map is told without one */
	if (map_read(&run->map, config_text(config, SET_MAP), problems, err) != 0)
		return -1;
	if (connect(ctx, run->map->login, &run->db, err) != 0 || guard_binding(run->db, config, err) != 0 ||
	    guard_instance(run->db, &run->instance, err) != 0)
		return -1;
	/* the version first: what is written between the two is found by the next look */
	if (catalog_version(run->db, run->schema_version, err) != 0 || catalog_read(&run->catalog, run->db, err) != 0 ||
	    map_bind(run->map, run->catalog, problems, err) != 0 ||
	    check_map(run, problems, err) != 0)
		return -1;
	if (guard_directories(config, err) != 0 || program_make(&run->program, run->map, run->db, err) != 0 ||
	    ledger_open(&run->ledger, config, err) != 0 ||
	    check_ledger(run, err) != 0 ||
	    issuer_open(&run->issuer, config_text(config, SET_ISSUER_KEY), config_text(config, SET_ISSUER_NAME), err) != 0)
		return -1;
	return connect(ctx, run->map->login, &run->recount, err);
}

void
run_close(struct run *run)
{
	workers_close(run);
	program_free(run->program);
	map_free(run->map);
	catalog_free(run->catalog);
	ledger_close(run->ledger);
	issuer_release(&run->issuer);
	db_close(run->db);
	db_close(run->recount);
	free(run->skip);
	*run = (struct run){ 0 };
}

int
run_check_schema(struct run *run, struct db *db, struct err *err)
{
	CLEANUP(catalog_freep) struct catalog *now = NULL;
	char hash[72], version[CATALOG_VERSION_SIZE];

	if (catalog_version(db, version, err) != 0)
		return -1;
	if (strcmp(version, run->schema_version) == 0)
		return 0;
	if (catalog_read(&now, db, err) != 0 || catalog_hash(now, hash, err) != 0)
		return -1;
	if (strcmp(hash, run->program->schema_hash) == 0) {
		(void)memcpy(run->schema_version, version, sizeof(version));
		return 0;
	}
	(void)err_set(err, ERR_REFUSED, "the schema changed while the run was under way");
	return err_hint(err, "nothing of this batch was done; run expunge map check, then the run again");
}

int
run_lock_schema(const struct run *run, struct err *err)
{
	CLEANUP(str_release) struct str sql = STR_INIT;

	for (size_t i = 0; i < run->map->n_tables; i++) {
		const struct cat_table *cat = program_cat(run->program, (int)i);

		if (run->program->tables[i].owned)
			str_addf(&sql, "%s%s%s", sql.len == 0 ? "LOCK TABLE " : ", ", cat->kind == 'p' ? "" : "ONLY ", cat->quoted);
	}
	str_add(&sql, " IN ROW EXCLUSIVE MODE");
	return db_command(run->db, sql.s, 0, NULL, NULL, err);
}

int
run_begin(struct run *run, const char *job, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	char host[256] = "";

	if (gethostname(host, sizeof(host) - 1) != 0)
		return err_sys(err, "reading the host's name");
	if (db_query(run->db, &QUERY_RUN_BEGIN, DB_PARAMS(job, host), &res, err) != 0)
		return -1;
	(void)snprintf(run->id, sizeof(run->id), "%s", db_get_text(res, 0, 0));
	return 0;
}

int
run_end(struct run *run, int exit_code, struct err *err)
{
	char code[16], done[24], blocked[24], failed[24], rows[24];

	(void)snprintf(code, sizeof(code), "%d", exit_code);
	(void)snprintf(done, sizeof(done), "%lld", (long long)run->n_certified);
	(void)snprintf(blocked, sizeof(blocked), "%lld", (long long)run->n_blocked);
	(void)snprintf(failed, sizeof(failed), "%lld", (long long)run->n_failed);
	(void)snprintf(rows, sizeof(rows), "%lld", (long long)run->n_rows);
	return db_query(run->db, &QUERY_RUN_END, DB_PARAMS(run->id, code, done, blocked, failed, rows), NULL, err);
}

void
run_note(const struct run *run, enum note_level level, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	if (run->note == NULL)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	tasks_lock();
	run->note(level, text);
	tasks_unlock();
}

void
run_progress(const struct run *run, int64_t done, int64_t total)
{
	if (run->progress == NULL)
		return;
	tasks_lock();
	run->progress(done, total);
	tasks_unlock();
}

void
run_cancel(struct run *run)
{
	db_cancel(run->db);
	for (size_t i = 0; i < run->n_workers; i++)
		if (run->workers[i].db != NULL)
			db_cancel(run->workers[i].db);
}

void
run_note_lines(const struct run *run, enum note_level level, const char *prefix, const struct str *lines)
{
	for (const char *line = str_cstr(lines); *line != '\0';) {
		size_t n = strcspn(line, "\n");

		run_note(run, level, "%s%.*s", prefix, (int)n, line);
		line += n + (line[n] == '\0' ? 0 : 1);
	}
}

int
run_keep_refusal(struct run *run, const char *what, struct err *err)
{
	if (err->code != ERR_REFUSED)
		return -1;
	run->refused = true;
	run_note(run, NOTE_ERROR, "%s: %s", what, err->msg);
	if (err->hint[0] != '\0')
		run_note(run, NOTE_ERROR, "%s", err->hint);
	err_clear(err);
	return 0;
}

bool
run_stop_asked(const struct run *run)
{
	return run->stop != NULL && run->stop();
}

void
run_skip(struct run *run, const char *request)
{
	size_t n = strlen(run->skip);
	char *longer = mem_printf("%.*s%s%s}", (int)(n - 1), run->skip, n > 2 ? "," : "", request);

	free(run->skip);
	run->skip = longer;
}

void
run_skip_all(struct run *run, const char *requests)
{
	for (const char *at = requests + 1; *at != '\0' && *at != '}';) {
		size_t n = strcspn(at, ",}");
		CLEANUP(free_text) char *request = mem_copy_n(at, n);

		if (strstr(run->skip, request) == NULL)
			run_skip(run, request);
		at += n + (at[n] == ',' ? 1 : 0);
	}
}

int
run_exit_code(const struct run *run)
{
	if (run->refused)
		return 5;
	return run->n_failed > 0 || run->n_waiting > 0 ? 3 : 0;
}
