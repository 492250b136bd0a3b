/* check_database: binding, roles, safeguards, policy and the server's settings. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account/rules.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "erasure/guard.h"
#include "jobs/check.h"
#include "query.h"
#include "svc/crypt.h"

/* ---- the control schema -------------------------------------------------------------------- */

/* False when there is no control schema to look at, so that this is said once and not ten times. */
static bool
check_binding(struct checks *checks, const struct job *job)
{
	struct err err = { 0 };
	bool there = true;

	if (guard_binding(job->db, job->config, &err) == 0)
		check_add(checks, CHECK_OK, "binding", mem_copy("this is the database that the configuration is bound to"), NULL);
	else {
		there = err.code == ERR_REFUSED;
		check_err(checks, "binding", &err);
	}
	return there;
}

/* Every file of sql/schema but the roles' has been applied, and as this program knows it. */
static void
check_migrations(struct checks *checks, const struct job *job)
{
	size_t missing = 0, other = 0;
	struct err err = { 0 };

	for (int i = 0; i < n_schema_files; i++) {
		CLEANUP(db_result_freep) struct db_result *res = NULL;
		const struct schema_file *file = &schema_files[i];
		const char *name = strrchr(file->path, '/') + 1;
		char number[4], hash[72];

		(void)snprintf(number, sizeof(number), "%.3s", name);
		if (strncmp(file->path, "sql/schema/", 11) != 0 || strcmp(number, "000") == 0)
			continue;
		if (db_query(job->db, &QUERY_MIGRATION_SHOW, DB_PARAMS(number), &res, &err) != 0 ||
		    crypt_sha256_text(file->sql, strlen(file->sql), hash, &err) != 0) {
			check_err(checks, "control schema", &err);
			return;
		}
		missing += db_rows(res) == 0;
		other += db_rows(res) == 1 && strcmp(db_get_text(res, 0, 0), hash) != 0;
	}
	if (missing > 0)
		check_add(checks, CHECK_ERROR, "control schema", mem_printf("%zu upgrades are not applied", missing),
			mem_copy("a superuser runs expunge init"));
	if (other > 0)
		check_add(checks, CHECK_ERROR, "control schema", mem_printf("%zu files are not those that this database was made with", other),
			mem_copy("use the program that belongs to the database, or a newer one"));
	if (missing + other == 0)
		check_add(checks, CHECK_OK, "control schema", mem_copy("up to date"), NULL);
}

static void
check_row_security(struct checks *checks, const struct job *job)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	struct err err = { 0 };

	if (db_query(job->db, &QUERY_CHECK_ROW_SECURITY, NULL, &res, &err) != 0)
		check_err(checks, "row-level security", &err);
	for (int i = 0; i < db_rows(res); i++)
		check_add(checks, CHECK_ERROR, "row-level security",
			mem_printf("it is not forced on expunge.%s: practices would see each other's rows", db_get_text(res, i, 0)),
			mem_printf("ALTER TABLE expunge.%s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY", db_get_text(res, i, 0)));
	if (res != NULL && db_rows(res) == 0)
		check_add(checks, CHECK_OK, "row-level security", mem_copy("forced on all tables that name a subject"), NULL);
}

static void
check_policy(struct checks *checks, const struct job *job)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	CLEANUP(free_text) char *undo = mem_printf("%lld", (long long)config_int(job->config, SET_POLICY_UNDO_DAYS));
	CLEANUP(free_text) char *target = mem_printf("%lld", (long long)config_int(job->config, SET_POLICY_TARGET_DAYS));
	CLEANUP(free_text) char *opening = mem_printf("%lld", (long long)config_int(job->config, SET_POLICY_OPENING_DAYS));
	CLEANUP(free_text) char *drill = mem_printf("%lld", (long long)config_int(job->config, SET_CLOSURE_DRILL_MAX_AGE_HOURS));
	int64_t store_days = closure_store_days(job->config, NULL);
	CLEANUP(free_text) char *store = mem_printf("%lld", (long long)store_days);
	const char *zone = config_text(job->config, SET_POLICY_ZONE);
	struct err err = { 0 };

	if (db_query(job->db, &QUERY_CHECK_POLICY, DB_PARAMS(zone, config_text(job->config, SET_POLICY_CALENDAR), undo, target,
		    opening, drill, store_days > 0 ? store : NULL), &res, &err) != 0) {
		check_err(checks, "policy", &err);
		return;
	}
	if (!db_get_bool(res, 0, 1))
		check_add(checks, CHECK_ERROR, "policy", mem_printf("the server knows no time zone %s", zone),
			mem_copy("policy.zone takes a name such as Europe/London"));
	if (!db_get_bool(res, 0, 0))
		check_add(checks, CHECK_WARNING, "policy", mem_copy("the policy of the configuration is not the one in force"),
			mem_copy("a superuser runs expunge init, which puts the policy settings into force"));
	if (db_get_bool(res, 0, 0) && db_get_bool(res, 0, 1))
		check_add(checks, CHECK_OK, "policy", mem_copy("as configured"), NULL);
}

/* ---- who is who ---------------------------------------------------------------------------- */

static void
judge_login(struct checks *checks, const struct db_result *res, int row)
{
	const char *login = db_get_text(res, row, 0);

	if (!db_get_bool(res, row, 1))
		check_add(checks, CHECK_ERROR, "roles", mem_printf("%s may not log in", login), mem_printf("ALTER ROLE %s LOGIN", login));
	if (!db_get_bool(res, row, 4))
		check_add(checks, CHECK_ERROR, "roles", mem_printf("%s does not work as expunge_job", login),
			mem_printf("GRANT expunge_job TO %s; expunge init does so for session.login of the map", login));
	if (db_get_bool(res, row, 2))
		check_add(checks, CHECK_WARNING, "roles", mem_printf("%s is a superuser, whom no privilege stops", login),
			mem_copy("use an ordinary login for the job"));
	else if (db_get_bool(res, row, 5))
		check_add(checks, CHECK_WARNING, "roles", mem_printf("%s, which runs the job, may also file or decide requests", login),
			mem_copy("a login for the job, and others for people"));
	else if (db_get_bool(res, row, 4))
		check_add(checks, CHECK_OK, "roles", mem_printf("%s works as expunge_job", login), NULL);
}

static void
check_logins(struct checks *checks, const struct job *job, const struct map *map)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	struct err err = { 0 };

	if (db_query(job->db, &QUERY_CHECK_ROLES, DB_PARAMS(map == NULL ? NULL : map->login), &res, &err) != 0) {
		check_err(checks, "roles", &err);
		return;
	}
	if (!db_get_bool(res, 0, 3)) {
		check_add(checks, CHECK_ERROR, "roles", mem_copy("the roles of Expunge do not exist"), mem_copy("a superuser runs expunge init"));
		return;
	}
	for (int i = 0; i < db_rows(res); i++)
		judge_login(checks, res, i);
}

/* Nobody to ask, nobody to approve: the first request would wait for ever. */
static void
check_people(struct checks *checks, const struct job *job)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	struct err err = { 0 };

	if (db_query(job->db, &QUERY_CHECK_PEOPLE, NULL, &res, &err) != 0) {
		check_err(checks, "roles", &err);
		return;
	}
	for (int i = 0; i < db_rows(res); i++)
		if (db_get_int(res, i, 1) == 0)
			check_add(checks, CHECK_WARNING, "roles", mem_printf("no login is a member of %s", db_get_text(res, i, 0)),
				mem_printf("GRANT %s TO a login of its own", db_get_text(res, i, 0)));
}

/* ---- safeguards ---------------------------------------------------------------------------- */

static void
check_guards(struct checks *checks, const struct job *job)
{
	struct err err = { 0 };

	if (guard_clock(job->db, job->config, &err) != 0)
		check_err(checks, "clock", &err);
	else
		check_add(checks, CHECK_OK, "clock", mem_copy("host and database agree, no jump"), NULL);
	if (guard_freeze(job->db, job->config, &err) != 0)
		check_err(checks, "freeze", &err);
	else
		check_add(checks, CHECK_OK, "freeze", mem_copy("not frozen"), NULL);
}

static void
over_cap(struct checks *checks, const struct config *config, enum setting_id cap, const char *what, int64_t wanted)
{
	if (wanted > config_int(config, cap))
		check_add(checks, CHECK_WARNING, "caps", mem_printf("%lld %s are due, %s is %lld: the next run takes nothing", (long long)wanted,
			what, config_settings()[cap].name, (long long)config_int(config, cap)),
			mem_copy("if that is right: expunge cap raise --reason ... lifts the caps for one run"));
}

static void
check_caps(struct checks *checks, const struct job *job)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	int64_t subjects = 0, rows = 0;
	size_t before = checks->n;
	struct err err = { 0 };

	if (db_query(job->db, &QUERY_REQUEST_DUE, DB_PARAMS(NULL), &res, &err) != 0) {
		check_err(checks, "caps", &err);
		return;
	}
	for (int i = 0; i < db_rows(res); i++) {
		subjects += db_get_int(res, i, 1);
		rows += db_get_int(res, i, 2);
	}
	over_cap(checks, job->config, SET_CAP_TENANTS_PER_RUN, "tenants", db_rows(res));
	over_cap(checks, job->config, SET_CAP_SUBJECTS_PER_RUN, "subjects", subjects);
	over_cap(checks, job->config, SET_CAP_ROWS_PER_RUN, "rows", rows);
	if (config_int(job->config, SET_CAP_TENANT_SHARE_PERCENT) == 100)
		check_add(checks, CHECK_WARNING, "caps", mem_copy("caps.tenant_share_percent is 100: one run may take a whole practice"),
			mem_copy("choose a share that an ordinary night stays below"));
	if (checks->n == before)
		check_add(checks, CHECK_OK, "caps", mem_printf("%lld subjects are due, below every cap", (long long)subjects), NULL);
}

/* ---- the server ---------------------------------------------------------------------------- */

static const char *
setting(const struct db_result *res, const char *name)
{
	for (int i = 0; i < db_rows(res); i++)
		if (strcmp(db_get_text(res, i, 0), name) == 0)
			return db_get_text(res, i, 1);
	return NULL;
}

static bool
is_set_to(const struct db_result *res, const char *name, const char *value)
{
	const char *found = setting(res, name);

	return found != NULL && strcmp(found, value) == 0;
}

/* A restore puts the data directory back to an earlier day, and the ledger must not go along. */
static void
check_ledger_place(struct checks *checks, const struct config *config, const char *data)
{
	CLEANUP(free_text) char *ledger = realpath(config_text(config, SET_LEDGER_DIRECTORY), NULL);
	CLEANUP(free_text) char *real = data == NULL ? NULL : realpath(data, NULL);
	const char *folder = real != NULL ? real : data;

	if (data == NULL) {
		check_add(checks, CHECK_SKIPPED, "ledger place", mem_copy("this login may not see where the data directory is"),
			mem_copy("see yourself that ledger_directory is outside it, or GRANT pg_read_all_settings to the login"));
		return;
	}
	if (ledger == NULL)
		return; /* check_host has said so */
	if (strncmp(ledger, folder, strlen(folder)) == 0 && (ledger[strlen(folder)] == '/' || ledger[strlen(folder)] == '\0'))
		check_add(checks, CHECK_ERROR, "ledger place", mem_printf("%s lies in the data directory: a restore would take the ledger back, too",
			ledger), mem_copy("move it to another place and set ledger_directory"));
	else
		check_add(checks, CHECK_OK, "ledger place", mem_copy("outside the data directory"), NULL);
}

static void
check_settings(struct checks *checks, const struct job *job)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	struct err err = { 0 };
	size_t before = checks->n;

	if (db_query(job->db, &QUERY_CHECK_SETTINGS, NULL, &res, &err) != 0) {
		check_err(checks, "server", &err);
		return;
	}
	if (!is_set_to(res, "track_counts", "on"))
		check_add(checks, CHECK_ERROR, "server", mem_copy("track_counts is off: nothing can prove what a removal touched"),
			mem_copy("track_counts = on"));
	if (!is_set_to(res, "session_replication_role", "origin"))
		check_add(checks, CHECK_ERROR, "server", mem_copy("session_replication_role is not origin: foreign keys would not be checked"),
			mem_copy("ALTER ROLE ... RESET session_replication_role, for this login"));
	if (is_set_to(res, "fsync", "off") || is_set_to(res, "full_page_writes", "off"))
		check_add(checks, CHECK_WARNING, "server", mem_copy("fsync or full_page_writes is off: a crash may bring erased rows back"),
			mem_copy("set both to on"));
	if (checks->n == before)
		check_add(checks, CHECK_OK, "server", mem_printf("PostgreSQL %s, settings as needed", setting(res, "server_version")), NULL);
	check_ledger_place(checks, job->config, setting(res, "data_directory"));
}

/* columns of check_copies */
enum { COPY_WHAT, COPY_STORE, COPY_KIND, COPY_NAME, COPY_OTHER };

/* Whether a declared store stands for what the server shows: by its name, or the name of its slot, or by a kind that has no
 * name on the server. As stores_foresee.sql has it. */
static bool
stands_for(const struct conf_node *store, const struct db_result *copies, int row)
{
	const char *kind = db_get_text(copies, row, COPY_KIND), *name = conf_text(conf_member(store, "name"));

	if (strcmp(name, db_get_text(copies, row, COPY_NAME)) == 0 || strcmp(name, db_get_text(copies, row, COPY_OTHER)) == 0)
		return true;
	return strcmp(kind, conf_text(conf_member(store, "kind"))) == 0 &&
		(strcmp(kind, "wal-archive") == 0 || strcmp(kind, "physical-backup") == 0 || strcmp(kind, "server-log") == 0);
}

static bool
is_declared(const struct conf_node *stores, const struct db_result *copies, int row)
{
	for (size_t i = 0; stores != NULL && i < conf_count(stores); i++)
		if (stands_for(conf_at(stores, i), copies, row))
			return true;
	return false;
}

/* A final certificate waits for what a declared standby reports, and one that is not there reports nothing. */
static void
check_standby(struct checks *checks, const struct conf_node *store, const struct db_result *copies)
{
	const char *kind = conf_text(conf_member(store, "kind")), *name = conf_text(conf_member(store, "name"));

	if (strcmp(kind, "standby") != 0 && strcmp(kind, "replication-slot") != 0)
		return;
	for (int i = 0; i < db_rows(copies); i++)
		if (stands_for(store, copies, i)) {
			if (strcmp(db_get_text(copies, i, COPY_KIND), "other") == 0)
				check_add(checks, CHECK_WARNING, "stores", mem_printf("%s %s is a logical slot", kind, name),
					mem_copy("how far a subscriber is does not say what it keeps: declare it as kind other, with its retention"));
			return;
		}
	check_add(checks, CHECK_WARNING, "stores", mem_printf("the server knows no %s called %s", kind, name),
		mem_copy("the name of a standby is its application_name (cluster_name), or that of its slot; of one that is gone, take the "
			 "line away and use expunge store end"));
}

/* Copies that nobody declared keep certificates interim, and nobody knows until when. */
static void
check_copies(struct checks *checks, const struct job *job)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	const struct conf_node *stores = config_list(job->config, SET_STORES);
	size_t n = stores == NULL ? 0 : conf_count(stores);
	struct err err = { 0 };

	if (db_query(job->db, &QUERY_CHECK_COPIES, NULL, &res, &err) != 0) {
		check_err(checks, "stores", &err);
		return;
	}
	for (int i = 0; i < db_rows(res); i++)
		if (!is_declared(stores, res, i))
			check_add(checks, CHECK_WARNING, "stores", mem_printf("%s, and nobody has declared it", db_get_text(res, i, COPY_WHAT)),
				mem_printf("declare %s under stores, with the days until a copy has aged out", db_get_text(res, i, COPY_STORE)));
	for (size_t i = 0; i < n; i++)
		check_standby(checks, conf_at(stores, i), res);
	if (n > 0)
		check_add(checks, CHECK_OK, "stores", mem_printf("%zu declared: certificates are interim until they have aged out", n), NULL);
	else if (db_rows(res) == 0)
		check_add(checks, CHECK_SKIPPED, "stores", mem_copy("none is declared, and backups cannot be seen from here"),
			mem_copy("if the database is copied in any way, declare where and for how long"));
}

void
check_database(struct checks *checks, const struct job *job)
{
	CLEANUP(map_freep) struct map *map = NULL;

	check_data_map(checks, job, &map);
	if (job->db == NULL)
		return;
	check_logins(checks, job, map);
	check_people(checks, job);
	if (check_binding(checks, job)) {
		check_migrations(checks, job);
		check_row_security(checks, job);
		check_policy(checks, job);
		check_account(checks, job);
		check_guards(checks, job);
		check_caps(checks, job);
	}
	check_settings(checks, job);
	check_copies(checks, job);
}
