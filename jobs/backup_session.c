/* backup_session: what backups are made with: the data map, keys, and for each worker connections of its own. */
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "erasure/guard.h"
#include "jobs/backup.h"
#include "keys/lineage.h"
#include "map/check.h"
#include "map/collect.h"
#include "sys/log.h"
#include "sys/progress.h"
#include "sys/stop.h"
#include "sys/tasks.h"

static struct backup_session *running; /* progress_at takes no context */

void
backup_session_release(struct backup_session *s)
{
	stop_on_second(NULL, NULL);
	running = NULL;
	for (size_t i = 0; i < BACKUP_WORKERS_MAX; i++) {
		db_close(s->workers[i].db);
		db_close(s->own[i].keys_db);
		keys_close(&s->own[i].keys);
		ledger_close(s->own[i].ledger);
	}
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
	tasks_lock();
	running->rows += rows;
	progress_at(running->rows);
	tasks_unlock();
}

static void
cancel(void *ctx)
{
	const struct backup_session *s = ctx;

	for (size_t i = 0; i < s->n_workers; i++)
		db_cancel(s->workers[i].db);
}

/* A table that the map does not know is in no archive; that is no reason to have no archive at all. */
static int
check_map(struct backup_session *s, struct err *err)
{
	struct findings findings = { 0 };

	if (map_check(&findings, s->map, s->workers[0].db, err) != 0)
		return -1;
	if (findings.n_errors > 0) {
		log_warning("the data map and the database disagree in %zu places, and a table without a line is in no archive: "
			"expunge map check lists them", findings.n_errors);
		s->n_incomplete++;
	}
	findings_release(&findings);
	return 0;
}

/* The connection that rows are read over. */
static int
connect_reader(const struct backup_session *s, struct db **ret, struct err *err)
{
	if (job_connect(s->job, s->map->login, ret, err) != 0)
		return -1;
	/* rows that a policy hides would be missed without a word; who owns what stays in memory */
	return db_script(*ret, "setting the session up",
		"SET row_security = off; SET temp_buffers = '64MB'; SET work_mem = '32MB'", err);
}

static int
make_tables(struct db *db, struct err *err)
{
	if (collect_seal_tables(db, err) == 0)
		return 0;
	return err_hint(err, "the login of the data map needs the right to make temporary tables: GRANT TEMPORARY ON DATABASE");
}

static int
open_map(struct backup_session *s, struct str *problems, struct err *err)
{
	struct db **db = &s->workers[0].db;

	if (connect_reader(s, db, err) != 0 || guard_binding(*db, s->job->config, err) != 0 ||
	    catalog_version(*db, s->schema_version, err) != 0 || catalog_read(&s->catalog, *db, err) != 0 ||
	    map_bind(s->map, s->catalog, problems, err) != 0 || check_map(s, err) != 0 ||
	    program_make(&s->program, s->map, *db, err) != 0)
		return -1;
	return make_tables(*db, err);
}

/* The connection that journals are written over: the map's login sees how far the application's sequences have come, without
 * which a number that is in an archive could be given again in a restored database. */
static int
connect_keys(const struct backup_session *s, struct db **ret, struct err *err)
{
	return job_connect(s->job, s->map->login, ret, err);
}

/* No leaf is made in a database that was restored. A place that is away is its destination's own trouble. */
static int
enter(struct backup_session *s, struct err *err)
{
	CLEANUP(str_release) struct str notes = STR_INIT;
	bool looks = (job_flag(s->job, "verify") && !job_flag(s->job, "repair")) || job_flag(s->job, "dry-run");

	if (connect_keys(s, &s->own[0].keys_db, err) != 0)
		return -1;
	return looks ? lineage_ask(&s->own[0].keys, s->own[0].keys_db, &notes, err)
		     : lineage_enter(&s->own[0].keys, s->own[0].keys_db, &notes, err);
}

int
backup_session_open(struct backup_session *s, struct job *job, struct err *err)
{
	CLEANUP(str_release) struct str problems = STR_INIT;
	struct instance instance;

	s->job = job;
	if (!keys_declared(job->config)) {
		(void)err_set(err, ERR_USAGE, "keys.shares are not declared: without a key tree there are no archives");
		return err_hint(err, "see keys.shares and archives.destinations in %s, then run expunge init", config_path(job->config));
	}
	if (guard_instance(job->db, &instance, err) != 0 ||
	    keys_open(&s->own[0].keys, job->config, instance.id, false, &problems, err) != 0 ||
	    map_read(&s->map, config_text(job->config, SET_MAP), &problems, err) != 0 || enter(s, err) != 0 ||
	    ledger_open(&s->own[0].ledger, job->config, err) != 0 || open_map(s, &problems, err) != 0) {
		(void)fputs(str_cstr(&problems), stderr);
		return -1;
	}
	s->workers[0] = (struct backup){ .program = s->program, .schema_version = s->schema_version, .db = s->workers[0].db, .keys_db = s->own[0].keys_db, .keys = &s->own[0].keys, .config = job->config,
		.hash = hash_name, .hash_ctx = s->own[0].ledger, .system_identifier = strtoull(instance.system_identifier, NULL, 10),
		.full = job_flag(job, "full"), .progress = show_rows, .stop = stop_asked };
	s->n_workers = 1;
	running = s;
	stop_on_second(cancel, s);
	return 0;
}

static int
open_worker(struct backup_session *s, size_t i, struct err *err)
{
	struct backup_worker *own = &s->own[i];
	struct backup *worker = &s->workers[i];

	*worker = s->workers[0];
	worker->db = NULL;
	if (connect_reader(s, &worker->db, err) != 0 || make_tables(worker->db, err) != 0 ||
	    connect_keys(s, &own->keys_db, err) != 0 ||
	    keys_open(&own->keys, s->job->config, s->own[0].keys.instance, false, NULL, err) != 0 ||
	    ledger_open(&own->ledger, s->job->config, err) != 0)
		return -1;
	worker->keys_db = own->keys_db;
	worker->keys = &own->keys;
	worker->hash_ctx = own->ledger;
	return 0;
}

int
backup_session_grow(struct backup_session *s, size_t n_tenants, struct err *err)
{
	size_t n = (size_t)config_int(s->job->config, SET_ARCHIVES_WORKERS);

	while (s->n_workers < n && s->n_workers < n_tenants) {
		if (open_worker(s, s->n_workers, err) != 0)
			return -1;
		s->n_workers++;
	}
	return 0;
}
