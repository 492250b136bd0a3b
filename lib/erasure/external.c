#include "erasure/external.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "erasure/batch.h"
#include "erasure/external_private.h"
#include "map/plan.h"
#include "query.h"
#include "sys/command.h"

/* sysexits.h */
#define EXIT_ACKNOWLEDGED 0
#define EXIT_TOLD 75

int
external_check(const struct map *map, struct err *err)
{
	for (size_t i = 0; i < map->n_externals; i++)
		if (command_check(map->externals[i].command.names[0], err) != 0 ||
		    (map->externals[i].account.n > 0 && command_check(map->externals[i].account.names[0], err) != 0)) {
			err->code = ERR_REFUSED;
			return err_prefix(err, "external store %s", map->externals[i].name);
		}
	return 0;
}

void
external_names(const struct map *map, struct str *array)
{
	str_add(array, "{");
	for (size_t i = 0; i < map->n_externals; i++) {
		str_add(array, i == 0 ? "\"" : ",\"");
		for (const char *p = map->externals[i].name; *p != '\0'; p++)
			str_addf(array, "%s%c", *p == '"' || *p == '\\' ? "\\" : "", *p);
		str_add(array, "\"");
	}
	str_add(array, "}");
}

/* One request in the hands of external_tell, its row locked. */
struct told {
	const char *request, *tenant;
	struct db_result *keys;
	bool stopped;      /* asked to stop between two calls: the next run tells the rest */
	char reason[1000]; /* why a store was not told; codes and names, never values */
};

/* A value in front of an argument could be read as an option; argv is wiped by the caller. */
static int
make_arguments(const struct map_names *command, const struct external_case *about, char **argv, struct err *err)
{
	for (size_t i = 0; i < command->n; i++) {
		const char *argument = command->names[i];

		argv[i] = map_external_argument(argument, about->tenant, about->subject, about->request);
		if (argument[0] == '{' && argv[i][0] == '-')
			return err_set(err, ERR_FAILED, "argument %zu would begin with a dash; write it as --name={subject}", i);
	}
	return 0;
}

int
external_call(const struct map_external *store, const struct map_names *command, const struct external_case *about,
	bool *ret_acknowledged, struct err *err)
{
	char **argv = mem_zero(command->n + 1, sizeof(*argv));
	int exit_code = 0;
	int failed = make_arguments(command, about, argv, err) != 0 ||
		command_run((const char *const *)argv, store->timeout_seconds, &exit_code, err) != 0;

	for (size_t i = 0; i < command->n && argv[i] != NULL; i++) {
		secret_wipe(argv[i], strlen(argv[i]));
		free(argv[i]);
	}
	free(argv);
	if (failed)
		return -1;
	if (exit_code != EXIT_ACKNOWLEDGED && exit_code != EXIT_TOLD)
		return err_set(err, ERR_FAILED, "exit code %d", exit_code);
	*ret_acknowledged = *ret_acknowledged && exit_code == EXIT_ACKNOWLEDGED;
	return 0;
}

/* One store, all keys. What went wrong outside is the request's reason, not an error of the run. */
static int
tell_store(struct run *run, const struct map_external *store, struct told *told, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *untold = NULL;
	struct external_case about = { .request = told->request, .tenant = told->tenant };
	struct err why = { 0 };
	bool acknowledged = true;

	if (db_query(run->db, &QUERY_EXTERNAL_UNTOLD, DB_PARAMS(told->request, store->name), &untold, err) != 0)
		return -1;
	if (!db_get_bool(untold, 0, 0))
		return 0;
	for (int i = 0; i < db_rows(told->keys); i++) {
		told->stopped = told->stopped || run_stop_asked(run);
		if (told->stopped)
			return 0;
		about.subject = db_get_text(told->keys, i, 0);
		if (external_call(store, &store->command, &about, &acknowledged, &why) != 0) {
			(void)snprintf(told->reason, sizeof(told->reason), "external store %s was not told: %s", store->name, why.msg);
			return 0;
		}
	}
	return db_query(run->db, &QUERY_EXTERNAL_TOLD, DB_PARAMS(told->request, store->name, acknowledged ? "true" : "false"),
		NULL, err);
}

/* What a hold came for must not go from the stores either. Without the tenant's lock, for a store may take long, and
 * whoever places a hold by then hears that the rows were gone before it. */
static int
check_hold(struct run *run, struct told *told, struct err *err)
{
	const char *held = NULL;

	if (batch_find_late_hold(run, told->request, &held, err) != 0)
		return -1;
	if (held != NULL)
		(void)snprintf(told->reason, sizeof(told->reason), "external stores were not told: %s", held);
	return 0;
}

/* Saved keys carry the number of their columns in the map of the removal: under a map that has changed, it may stand
 * for others, and a store would erase whoever has such a key. */
static int
check_keys(struct run *run, struct told *told, const char *table, const char *via, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *known = NULL;
	CLEANUP(str_release) struct str sql = STR_INIT;

	str_add(&sql, "SELECT EXISTS (SELECT FROM expunge.key_set k JOIN expunge.request r ON r.id = k.request_id"
		" WHERE r.id = $1::uuid AND k.table_id = $2::smallint AND k.via = $3::smallint AND k.key[1] = r.subject::");
	sql_type(&sql, program_cat(run->program, run->map->subject)->columns[run->map->subject_key_column].type);
	str_add(&sql, "::text)");
	if (db_text(run->db, DB_ONE, sql.s, 3, DB_PARAMS(told->request, table, via), &known, err) != 0)
		return -1;
	if (!db_get_bool(known, 0, 0) && told->reason[0] == '\0')
		(void)snprintf(told->reason, sizeof(told->reason),
			"external stores were not told: the subject is not among the saved keys; has the map changed since the removal?");
	return 0;
}

/* Everything of one request between BEGIN and COMMIT. */
static int
tell_request(struct run *run, struct told *told, struct err *err)
{
	int subject = run->map->subject;
	char table[16], via[16];

	(void)snprintf(table, sizeof(table), "%d", run->program->tables[subject].id);
	(void)snprintf(via, sizeof(via), "%d", program_via(run->program, subject, &run->map->subject_key_column, 1));
	if (check_hold(run, told, err) != 0 || check_keys(run, told, table, via, err) != 0 ||
	    db_query(run->db, &QUERY_EXTERNAL_KEYS, DB_PARAMS(told->request, table, via), &told->keys, err) != 0)
		return -1;
	for (size_t i = 0; i < run->map->n_externals && told->reason[0] == '\0'; i++)
		if (tell_store(run, &run->map->externals[i], told, err) != 0)
			return -1;
	return db_query(run->db, &QUERY_EXTERNAL_REASON, DB_PARAMS(told->request, told->reason[0] == '\0' ? NULL : told->reason), NULL,
		err);
}

/* The next request, whose id is left in `request`; "" when there is none. */
static int
tell_next(struct run *run, const char *names, char request[37], struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *claimed = NULL;
	struct told told = { 0 };
	int failed;

	request[0] = '\0';
	if (guard_freeze(run->db, run->config, err) != 0 ||
	    db_query(run->db, &QUERY_EXTERNAL_CLAIM, DB_PARAMS(names, run->skip), &claimed, err) != 0)
		return -1;
	if (db_rows(claimed) == 0)
		return 0;
	(void)snprintf(request, 37, "%s", db_get_text(claimed, 0, 0));
	told.request = db_get_text(claimed, 0, 0);
	told.tenant = db_get_text(claimed, 0, 1);
	failed = tell_request(run, &told, err);
	db_result_free(told.keys);
	if (failed != 0)
		return -1;
	if (told.reason[0] != '\0') {
		run->n_failed++;
		run_note(run, NOTE_ERROR, "request %s: %s", request, told.reason);
		run_skip(run, request);
	}
	return 0;
}

/* A store that the approval named does not drop out of the map unnoticed. */
static int
note_lost(struct run *run, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *lost = NULL;

	if (db_query(run->db, &QUERY_EXTERNAL_LOST, DB_PARAMS(run->skip), &lost, err) != 0)
		return -1;
	for (int i = 0; i < db_rows(lost); i++) {
		const char *request = db_get_text(lost, i, 0);
		CLEANUP(free_text) char *reason = mem_printf("external store %s was not told: the map does not have it any more",
			db_get_text(lost, i, 1));

		if (db_query(run->db, &QUERY_EXTERNAL_REASON, DB_PARAMS(request, reason), NULL, err) != 0)
			return -1;
		run->n_failed++;
		run_note(run, NOTE_ERROR, "request %s: %s", request, reason);
		run_skip(run, request);
	}
	return 0;
}

static int
tell_all(struct run *run, struct err *err)
{
	CLEANUP(str_release) struct str names = STR_INIT;
	char request[37] = "-";

	external_names(run->map, &names);
	while (run->map->n_externals > 0 && request[0] != '\0' && !run_stop_asked(run)) {
		if (db_begin(run->db, err) != 0)
			return -1;
		if (tell_next(run, names.s, request, err) != 0 || db_commit(run->db, err) != 0) {
			db_rollback(run->db);
			if (err->code != ERR_RETRY || request[0] == '\0')
				return -1;
			/* somebody holds this tenant's lock: the next run goes on, and the others do now */
			run->n_waiting++;
			run_note(run, NOTE_WARNING, "request %s: external stores were not told: %s", request, err->msg);
			err_clear(err);
			run_skip(run, request);
		}
	}
	return 0;
}

int
external_tell(struct run *run, struct err *err)
{
	if (tell_all(run, err) != 0)
		return -1;
	/* a run that was asked to stop has not told all that it could */
	if (run_stop_asked(run))
		return 0;
	if (db_begin(run->db, err) != 0)
		return -1;
	if (note_lost(run, err) == 0 && db_commit(run->db, err) == 0)
		return 0;
	db_rollback(run->db);
	return -1;
}
