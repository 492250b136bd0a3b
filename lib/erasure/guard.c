#include "erasure/guard.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/parse.h"
#include "query.h"
#include "sys/clock.h"
#include "sys/file.h"

static char *
state_file(const struct config *config, const char *name)
{
	return file_join(config_text(config, SET_STATE_DIRECTORY), name);
}

static int
read_identity(struct db *db, struct db_result **ret, struct err *err)
{
	if (db_query(db, &QUERY_INSTANCE_IDENTITY, NULL, ret, err) != 0) {
		/* undefined table, or a schema that this role may not see */
		if (strcmp(err->sqlstate, "42P01") == 0 || strcmp(err->sqlstate, "42501") == 0) {
			(void)err_set(err, ERR_FAILED, "this database has no control schema that this role may read");
			return err_hint(err, "a superuser runs expunge init once; then GRANT one of the expunge_ roles to the login");
		}
		return -1;
	}
	if (db_rows(*ret) == 1)
		return 0;
	(void)err_set(err, ERR_FAILED, "the control schema has no instance row");
	return err_hint(err, "run expunge init");
}

/* The three lines that tell one database from every other. */
static int
identity(struct db *db, char **ret, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	if (read_identity(db, &res, err) != 0)
		return -1;
	*ret = mem_printf("instance %s\nsystem-identifier %s\ndatabase %s\n", db_get_text(res, 0, 0),
		db_get_text(res, 0, 1), db_get_text(res, 0, 2));
	if (db_get_bool(res, 0, 3))
		return 0;
	free(*ret);
	*ret = NULL;
	(void)err_set(err, ERR_REFUSED, "this control schema was made in another cluster or database (instance %s)",
		db_get_text(res, 0, 0));
	return err_hint(err, "this is a copy or a restored dump: point the configuration at the original; nothing runs here");
}

int
guard_bind(struct db *db, const struct config *config, struct err *err)
{
	CLEANUP(free_text) char *path = state_file(config, "instance");
	CLEANUP(free_text) char *text = NULL;

	if (file_exists(path))
		return guard_binding(db, config, err);
	if (identity(db, &text, err) != 0)
		return -1;
	return file_write(path, text, strlen(text), 0644, true, err);
}

int
guard_binding(struct db *db, const struct config *config, struct err *err)
{
	CLEANUP(free_text) char *path = state_file(config, "instance");
	CLEANUP(free_text) char *bound = NULL;
	CLEANUP(free_text) char *found = NULL;

	if (identity(db, &found, err) != 0)
		return -1;
	if (file_read(path, 4096, &bound, NULL, err) != 0) {
		if (errno != ENOENT)
			return err_hint(err, "whoever runs commands must be able to read the state directory");
		(void)err_set(err, ERR_REFUSED, "%s is missing: this configuration is bound to no database", path);
		return err_hint(err, "expunge init writes it; if it was lost, run expunge init again on the right database");
	}
	if (strcmp(bound, found) == 0)
		return 0;
	(void)err_set(err, ERR_REFUSED, "this is not the database that %s was made for", path);
	return err_hint(err, "compare database.conninfo with that file; a restored or cloned database needs a person's look");
}

int
guard_bound_instance(const struct config *config, char ret[37], struct err *err)
{
	static const char key[] = "instance ";
	CLEANUP(free_text) char *path = state_file(config, "instance");
	CLEANUP(free_text) char *bound = NULL;

	if (file_read(path, 4096, &bound, NULL, err) != 0)
		return err_hint(err, "expunge init writes it; if it was lost, run expunge init again on the right database");
	if (strncmp(bound, key, sizeof(key) - 1) == 0) {
		(void)snprintf(ret, 37, "%s", bound + sizeof(key) - 1);
		if (parse_is_uuid(ret))
			return 0;
	}
	return err_set(err, ERR_FAILED, "%s is not a binding file", path);
}

int
guard_instance(struct db *db, struct instance *ret, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	if (read_identity(db, &res, err) != 0)
		return -1;
	(void)snprintf(ret->id, sizeof(ret->id), "%s", db_get_text(res, 0, 0));
	(void)snprintf(ret->system_identifier, sizeof(ret->system_identifier), "%s", db_get_text(res, 0, 1));
	(void)snprintf(ret->zone, sizeof(ret->zone), "%s", db_get_text(res, 0, 4));
	return 0;
}

bool
guard_has_sentinel(const struct config *config)
{
	CLEANUP(free_text) char *path = state_file(config, "freeze");

	return file_exists(path);
}

int
guard_freeze(struct db *db, const struct config *config, struct err *err)
{
	CLEANUP(free_text) char *path = state_file(config, "freeze");
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	if (file_exists(path)) {
		(void)err_set(err, ERR_REFUSED, "frozen: %s exists", path);
		return err_hint(err, "when it is safe to go on: expunge freeze off");
	}
	if (db_query(db, &QUERY_FREEZE_SHOW, NULL, &res, err) != 0)
		return -1;
	if (db_rows(res) == 0)
		return 0;
	(void)err_set(err, ERR_REFUSED, "frozen by %s since %s", db_get_text(res, 0, 1), db_get_text(res, 0, 2));
	return err_hint(err, "expunge freeze show gives the reason; when it is safe to go on: expunge freeze off");
}

int
guard_directories(const struct config *config, struct err *err)
{
	static const enum setting_id needed[] = { SET_LEDGER_DIRECTORY, SET_CERTIFICATE_DIRECTORY };

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		const char *path = config_text(config, needed[i]);
		CLEANUP(free_text) char *inside = file_join(path, ".");

		if (access(inside, W_OK | X_OK) == 0)
			continue;
		(void)err_sys(err, "%s %s cannot be written to", config_settings()[needed[i]].name, path);
		return err_hint(err, "expunge check says what is wrong with it; nothing was done");
	}
	return 0;
}

int
guard_sentinel(const struct config *config, bool frozen, const char *reason, struct err *err)
{
	CLEANUP(free_text) char *path = state_file(config, "freeze");

	if (frozen)
		return file_write(path, reason, strlen(reason), 0644, false, err);
	if (unlink(path) != 0 && errno != ENOENT)
		return err_sys(err, "removing %s", path);
	return 0;
}

int
guard_clock(struct db *db, const struct config *config, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	int64_t max_skew = config_int(config, SET_CLOCK_MAX_SKEW_SECONDS);
	int64_t max_jump = config_int(config, SET_CLOCK_MAX_JUMP_DAYS) * 86400;
	int64_t before = clock_now(), after, server, last;

	if (db_query(db, &QUERY_CLOCK_READ, NULL, &res, err) != 0)
		return -1;
	after = clock_now();
	server = db_get_int(res, 0, 0);
	last = db_get_int(res, 0, 1);
	if (server < before - max_skew || server > after + max_skew) {
		(void)err_set(err, ERR_REFUSED, "host and database disagree on the time by %" PRId64 " seconds",
			server > after ? server - after : before - server);
		return err_hint(err, "set the clock that is wrong (NTP); clock.max_skew_seconds is the limit");
	}
	if (server < last - max_skew) {
		(void)err_set(err, ERR_REFUSED, "the clock stands %" PRId64 " seconds before the last run", last - server);
		return err_hint(err, "set the clock right; if the last run's time was the wrong one: expunge clock accept --reason ...");
	}
	if (server > last + max_jump) {
		(void)err_set(err, ERR_REFUSED, "the clock has jumped %" PRId64 " days since the last run",
			(server - last) / 86400);
		return err_hint(err, "if the time is right and there was no run for so long: expunge clock accept --reason ...");
	}
	return 0;
}

int
guard_caps(struct db *db, const struct config *config, const struct caps_wanted *wanted, const char *run_id,
	struct err *err)
{
	const struct {
		const char *what;
		int64_t wanted;
		enum setting_id cap;
	} rows[] = {
		{ "subjects", wanted->subjects, SET_CAP_SUBJECTS_PER_RUN },
		{ "tenants", wanted->tenants, SET_CAP_TENANTS_PER_RUN },
		{ "rows", wanted->rows, SET_CAP_ROWS_PER_RUN },
		{ "new closings of accounts", wanted->closings, SET_CLOSURE_OPENED_PER_RUN },
		{ "per cent of the subjects of one tenant", wanted->worst_share_percent, SET_CAP_TENANT_SHARE_PERCENT },
	};
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	size_t over = 0;

	while (over < sizeof(rows) / sizeof(rows[0]) && rows[over].wanted <= config_int(config, rows[over].cap))
		over++;
	if (over == sizeof(rows) / sizeof(rows[0]))
		return 0;
	if (run_id[0] != '\0' && db_query(db, &QUERY_CAP_USE, DB_PARAMS(run_id), &res, err) != 0)
		return -1;
	if (res != NULL && db_rows(res) == 1)
		return 0;
	(void)err_set(err, ERR_REFUSED, "this run would take %" PRId64 " %s, the cap (%s) is %" PRId64 ": nothing was done",
		rows[over].wanted, rows[over].what, config_settings()[rows[over].cap].name,
		config_int(config, rows[over].cap));
	return err_hint(err, "look at expunge request list and account list; if it is right: expunge cap raise --reason ... lifts the caps for one run");
}
