/* init: creates or upgrades roles, control schema and API; makes keys and directories; binds them together. */
#include <stdio.h>
#include <string.h>

#include "account/rules.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "erasure/guard.h"
#include "erasure/ledger.h"
#include "evidence/issuer.h"
#include "jobs/init_support.h"
#include "jobs/job.h"
#include "keys/keys.h"
#include "map/documents.h"
#include "map/map.h"
#include "query.h"
#include "svc/crypt.h"
#include "sys/file.h"
#include "sys/log.h"

static bool
is_in(const char *path, const char *folder)
{
	return strncmp(path, folder, strlen(folder)) == 0;
}

/* 1: this file was applied before; 0: not yet; -1: error, also when its text was changed since. */
static int
applied(struct db *db, bool fresh, const char *number, const struct schema_file *file, const char *hash, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	if (fresh)
		return 0;
	if (db_query(db, &QUERY_MIGRATION_SHOW, DB_PARAMS(number), &res, err) != 0)
		return -1;
	if (db_rows(res) == 0)
		return 0;
	if (strcmp(db_get_text(res, 0, 0), hash) == 0)
		return 1;
	(void)err_set(err, ERR_REFUSED, "%s is not the file that this database was made with", file->path);
	return err_hint(err, "use the program that belongs to the database, or a newer one; a released file is never edited");
}

static int
apply(struct job *job, const struct schema_file *file, bool *fresh, struct err *err)
{
	char number[4], hash[72];
	const char *name = strrchr(file->path, '/') + 1;
	int before;

	if (!is_in(file->path, "sql/schema/"))
		return db_script(job->db, file->path, file->sql, err);
	(void)snprintf(number, sizeof(number), "%.3s", name);
	/* roles are of the cluster, not of the database: looked at each time */
	if (strcmp(number, "000") == 0)
		return db_script(job->db, file->path, file->sql, err);
	if (crypt_sha256_text(file->sql, strlen(file->sql), hash, err) != 0)
		return -1;
	before = applied(job->db, *fresh, number, file, hash, err);
	if (before != 0)
		return before < 0 ? -1 : 0;
	log_info("applying %s", file->path);
	if (job_flag(job, "dry-run"))
		return 0;
	if (db_script(job->db, file->path, file->sql, err) != 0)
		return -1;
	*fresh = false;
	return db_query(job->db, &QUERY_MIGRATION_RECORD, DB_PARAMS(number, name, hash), NULL, err);
}

/* The policy settings that SQL functions need, and the one row each of instance and counter. */
static int
store_policy(const struct job *job, struct err *err)
{
	CLEANUP(closure_rules_release) struct closure_rules rules = { 0 };
	char undo[24], target[24], opening[24], drill[24], store[24];
	int64_t store_days = closure_store_days(job->config, NULL);

	(void)snprintf(undo, sizeof(undo), "%lld", (long long)config_int(job->config, SET_POLICY_UNDO_DAYS));
	(void)snprintf(target, sizeof(target), "%lld", (long long)config_int(job->config, SET_POLICY_TARGET_DAYS));
	(void)snprintf(opening, sizeof(opening), "%lld", (long long)config_int(job->config, SET_POLICY_OPENING_DAYS));
	(void)snprintf(drill, sizeof(drill), "%lld", (long long)config_int(job->config, SET_CLOSURE_DRILL_MAX_AGE_HOURS));
	(void)snprintf(store, sizeof(store), "%lld", (long long)store_days);
	if (db_query(job->db, &QUERY_INSTANCE_POLICY, DB_PARAMS(config_text(job->config, SET_POLICY_ZONE),
		    config_text(job->config, SET_POLICY_CALENDAR), undo, target, opening, drill,
		    store_days > 0 ? store : NULL), NULL, err) != 0)
		return -1;
	closure_rules_read(job->config, &rules);
	return db_query(job->db, &QUERY_CLOSURE_RULES, DB_PARAMS(rules.triggers.s, rules.anchors.s, rules.days.s, rules.meanings.s,
		rules.within_days.s), NULL, err);
}

/* The removing connection's login works as the job. */
static int
grant_login(const struct job *job, struct err *err)
{
	CLEANUP(map_freep) struct map *map = NULL;
	CLEANUP(str_release) struct str problems = STR_INIT;
	CLEANUP(free_text) char *login = NULL;
	CLEANUP(free_text) char *sql = NULL;

	if (map_read(&map, config_text(job->config, SET_MAP), &problems, err) != 0) {
		(void)fputs(str_cstr(&problems), stderr);
		if (file_exists(config_text(job->config, SET_MAP)))
			return err_hint(err, "put the map right, or move it away until it is: init needs its session.login");
		log_warning("%s: %s; once the map is there, run init again", config_text(job->config, SET_MAP), err->msg);
		err_clear(err);
		return 0;
	}
	if (map->login == NULL)
		return 0;
	login = db_quote_name(job->db, map->login);
	if (login == NULL)
		return err_set(err, ERR_USAGE, "session.login of the map is not a name");
	sql = mem_printf("GRANT expunge_job TO %s", login);
	return db_command(job->db, sql, 0, NULL, NULL, err);
}

static int
upgrade_database(struct job *job, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	bool fresh;

	if (db_text(job->db, DB_ONE, "SELECT pg_catalog.to_regclass('expunge.migration') IS NULL, "
		"(SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname = current_user)", 0, NULL, &res, err) != 0)
		return -1;
	fresh = db_get_bool(res, 0, 0);
	if (!db_get_bool(res, 0, 1)) {
		(void)err_set(err, ERR_FAILED, "init makes roles and needs a superuser");
		return err_hint(err, "expunge -U postgres init, by a person allowed to log in as that role");
	}
	for (int i = 0; i < n_schema_files; i++)
		if ((!job_flag(job, "dry-run") || is_in(schema_files[i].path, "sql/schema/")) &&
		    apply(job, &schema_files[i], &fresh, err) != 0)
			return -1;
	if (job_flag(job, "dry-run"))
		return 0;
	return store_policy(job, err) != 0 || grant_login(job, err) != 0 ? -1 : init_support(job, err);
}

/* The public half beside the certificates, for whoever verifies them. */
static int
publish_key(const struct job *job, struct err *err)
{
	const char *directory = config_text(job->config, SET_CERTIFICATE_DIRECTORY);
	CLEANUP(free_text) char *path = file_join(directory, "issuer.pem");
	CLEANUP(free_text) char *pem = NULL;
	CLEANUP(free_text) char *there = NULL;
	struct issuer issuer = ISSUER_INIT;
	int failed;

	failed = issuer_open(&issuer, config_text(job->config, SET_ISSUER_KEY), config_text(job->config, SET_ISSUER_NAME), err) != 0 ||
		issuer_public_pem(&issuer, &pem, err) != 0;
	issuer_release(&issuer);
	if (failed)
		return -1;
	log_info("public key: %s", path);
	if (!file_exists(path))
		return file_write(path, pem, strlen(pem), 0644, true, err);
	if (file_read(path, 4096, &there, NULL, err) != 0)
		return -1;
	if (strcmp(there, pem) == 0)
		return 0;
	(void)err_set(err, ERR_REFUSED, "%s is the public half of another key", path);
	return err_hint(err, "keep it for the certificates signed with that key, under another name, and run init again");
}

/* A key is made where there never was one. One that is missing is lost, or its disk is not mounted. */
static int
refuse_second_key(const struct job *job, struct err *err)
{
	CLEANUP(free_text) char *public_key = file_join(config_text(job->config, SET_CERTIFICATE_DIRECTORY), "issuer.pem");
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	bool issued;

	if (db_query(job->db, &QUERY_CERTIFICATE_LAST, NULL, &res, err) != 0)
		return -1;
	issued = db_get_int(res, 0, 0) > 0;
	if (!issued && !file_exists(public_key))
		return 0;
	(void)err_set(err, ERR_REFUSED, "the issuer key %s is missing, and %s", config_text(job->config, SET_ISSUER_KEY),
		issued ? "certificates were signed with it" : "its public half is published");
	return err_hint(err, "restore it from its backup; if it is lost for good, give issuer.name and issuer.key new values%s",
		issued ? "" : " or move issuer.pem away");
}

static int
make_files(const struct job *job, struct err *err)
{
	const char *key = config_text(job->config, SET_ISSUER_KEY);
	CLEANUP(free_text) char *ledger = file_join(config_text(job->config, SET_LEDGER_DIRECTORY), "key");
	bool had_ledger = file_exists(ledger);

	if (file_make_directory(config_text(job->config, SET_STATE_DIRECTORY), 0755, err) != 0 ||
	    file_make_directory(config_text(job->config, SET_CERTIFICATE_DIRECTORY), 0755, err) != 0 ||
	    ledger_create(job->config, err) != 0)
		return -1;
	if (!had_ledger)
		log_info("ledger key made: %s; back it up now (README, \"Keys\"): without it nobody can tell what to erase again after a restore", ledger);
	if (!file_exists(key)) {
		if (refuse_second_key(job, err) != 0 || issuer_create(key, err) != 0)
			return -1;
		log_info("issuer key made: %s; back it up now (README, \"Keys\")", key);
	}
	return publish_key(job, err);
}

/* The key tree's first root; where none is declared, none is made. */
static int
make_keys(struct job *job, struct err *err)
{
	CLEANUP(str_release) struct str problems = STR_INIT;
	CLEANUP(keys_close) struct keys keys = { 0 };
	CLEANUP(db_result_freep) struct db_result *tree = NULL;
	const char *key = config_text(job->config, SET_ARCHIVES_KEY);
	bool had_key = file_exists(key);
	struct instance instance;

	if (!keys_declared(job->config))
		return 0;
	if (guard_instance(job->db, &instance, err) != 0 || db_query(job->db, &QUERY_KEY_TREE_EXISTS, NULL, &tree, err) != 0 ||
	    keys_open(&keys, job->config, instance.id, true, &problems, err) != 0) {
		(void)fputs(str_cstr(&problems), stderr);
		return -1;
	}
	if (!had_key)
		log_info("archive key made: %s; back it up now (README, \"Keys\")", key);
	if (keys_first_root(&keys, job->db, err) != 0)
		return -1;
	if (!db_get_bool(tree, 0, 0))
		log_info("key tree made: its root in %zu shares, of which no backup may ever be made; its journal in %zu destinations", keys.roots.n,
			keys.n_journals);
	return 0;
}

/* What a dry run has not done. */
static void
foretell_files(const struct job *job)
{
	if (!file_exists(config_text(job->config, SET_ISSUER_KEY)))
		log_info("would make the issuer key %s, beside it the ledger's, and the directories of both", config_text(job->config, SET_ISSUER_KEY));
	if (keys_declared(job->config) && !file_exists(config_text(job->config, SET_ARCHIVES_KEY)))
		log_info("would make the archive key %s, and, where there is none, the key tree: its root's shares and its journals",
			config_text(job->config, SET_ARCHIVES_KEY));
}

/* What the data map calls documents lies where the configuration says; init makes no such directory, it marks it. */
static int
mark_documents(const struct job *job, struct err *err)
{
	struct instance instance;

	return guard_instance(job->db, &instance, err) != 0 ? -1 : documents_mark(job->config, job->db, instance.id, err);
}

static int
run_init(struct job *job, struct err *err)
{
	if (db_begin(job->db, err) != 0)
		return -1;
	if (upgrade_database(job, err) != 0) {
		db_rollback(job->db);
		return -1;
	}
	if (job_flag(job, "dry-run")) {
		db_rollback(job->db);
		foretell_files(job);
		return 0;
	}
	if (db_commit(job->db, err) != 0 || make_files(job, err) != 0)
		return -1;
	return guard_bind(job->db, job->config, err) != 0 || mark_documents(job, err) != 0 ? -1 : make_keys(job, err);
}

static const struct option_row init_options[] = { OPTION_DRY_RUN, OPTION_END };

const struct command init_commands[] = {
	{ "init", "create or upgrade control schema, roles, keys and directories", "", 0, 0, NEEDS_DB, init_options, run_init,
	  "Run once by a database superuser (-U postgres), as the operating system user that runs the nightly\n"
	  "job, and again after every upgrade; it changes only what is not yet as it should be." },
	{ 0 }
};
