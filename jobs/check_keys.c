/* check_keys: the key tree: places of its root, destinations of its journal, and whether they fit the database. */
#include <string.h>
#include <unistd.h>

#include "archive/expire.h"
#include "archive/receiver.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "erasure/guard.h"
#include "jobs/check.h"
#include "keys/barrier.h"
#include "keys/lineage.h"
#include "query.h"
#include "sys/place.h"

#define WHAT_ROOT "root shares"
#define WHAT_LINEAGE "history"
#define WHAT_DESTINATION "destinations"
#define WHAT_JOURNAL "key journal"
#define WHAT_ARCHIVES "archives"
#define WHAT_BARRIER "barriers"

/* columns of status_archives */
enum { STATUS_ARCHIVES, STATUS_TENANTS, STATUS_AGE, STATUS_CHANGE_WAITS = 8 };

/* One row a line of a text. */
static void
add_lines(struct checks *checks, enum check_level level, const char *what, const struct str *text, const char *remedy)
{
	for (const char *line = str_cstr(text); *line != '\0';) {
		size_t n = strcspn(line, "\n");

		check_add(checks, level, what, mem_copy_n(line, n), mem_copy(remedy));
		line += n + (line[n] == '\0' ? 0 : 1);
	}
}

static void
check_undeclared(struct checks *checks, struct db *db)
{
	CLEANUP(db_result_freep) struct db_result *there = NULL;
	struct err err = { 0 };

	if (db_query(db, &QUERY_KEY_TREE_EXISTS, NULL, &there, &err) != 0) {
		check_err(checks, WHAT_ROOT, &err);
	} else if (db_get_bool(there, 0, 0)) {
		checks->refused = true;
		check_add(checks, CHECK_ERROR, WHAT_ROOT, mem_copy("this database has a key tree, and the configuration declares no keys.shares"),
			mem_copy("put keys.shares back: without them no key is shredded, and archives would keep what is erased"));
	} else {
		check_add(checks, CHECK_SKIPPED, WHAT_ROOT, mem_copy("none declared: there is no key tree"), NULL);
	}
}

static void
check_root(struct checks *checks, const struct keys *keys, struct db *db)
{
	CLEANUP(keyring_state_release) struct keyring_state state = { 0 };
	CLEANUP(root_report_release) struct root_report report = { 0 };
	CLEANUP(secret_erase) struct secret unused = SECRET_INIT;
	CLEANUP(str_release) struct str bad = STR_INIT;
	CLEANUP(str_release) struct str devices = STR_INIT;
	enum root_verdict verdict;
	struct err err = { 0 };

	if (keyring_state(db, &state, &err) != 0) {
		check_err(checks, WHAT_ROOT, &err);
		return;
	}
	if (state.root.epoch == 0) {
		check_add(checks, CHECK_ERROR, WHAT_ROOT, mem_copy("declared, and this database has no key tree"), mem_copy("expunge init"));
		return;
	}
	/* no leaf is made meanwhile, and an archive needs one for its generation */
	if (state.change.attempt[0] != '\0')
		check_add(checks, CHECK_ERROR, WHAT_ROOT, mem_printf("a change of the root has not ended, it is in state %s: backups wait for it", state.change_state),
			mem_copy("if no run is under way: see that every place and destination is there, then expunge keys rotate"));
	if (root_read(keys->store, &state.root, &unused, &verdict, &report, &err) != 0)
		check_err(checks, WHAT_ROOT, &err);
	else
		check_add(checks, CHECK_OK, WHAT_ROOT, mem_printf("epoch %lld, %u shares", (long long)state.root.epoch, (unsigned)root_shares(keys->store)), NULL);
	root_report_add_text(&report, &bad);
	add_lines(checks, CHECK_WARNING, WHAT_ROOT, &bad, "see doc/keys.md, \"Root shares\"; keys status shows each place");
	root_device_warnings(keys->store, &devices);
	add_lines(checks, CHECK_WARNING, WHAT_ROOT, &devices, "replicas of a share belong on different disks, shares in different hands");
}

/* A change that has waited at a barrier in vain. */
static void
check_waiting(struct checks *checks, struct db *db)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	struct err err = { 0 };

	if (db_query(db, &QUERY_STATUS_ARCHIVES, NULL, &res, &err) != 0)
		check_err(checks, WHAT_BARRIER, &err);
	else if (db_get(res, 0, STATUS_CHANGE_WAITS) != NULL)
		check_add(checks, CHECK_ERROR, WHAT_BARRIER, mem_printf("a change of the root has waited in vain: %s", db_get_text(res, 0, STATUS_CHANGE_WAITS)),
			mem_copy("mend what is named; the next night, or expunge keys rotate, goes on with it, and until then nothing is destroyed"));
}

/* What the next change of the root will wait for, and whether it could. */
static void
check_barriers(struct checks *checks, const struct job *job)
{
	struct err err = { 0 };
	bool any = true;

	for (size_t i = 0; any; i++) {
		CLEANUP(barrier_look_release) struct barrier_look look = { 0 };

		if (barrier_look(job->config, job->db, i, &look, &any, &err) != 0) {
			check_err(checks, WHAT_BARRIER, &err);
			return;
		}
		if (any && !look.there)
			check_add(checks, CHECK_ERROR, WHAT_BARRIER, mem_copy(str_cstr(&look.standing)),
				mem_copy("no change of the root begins, so nothing is shredded: bring it back, or take it out of keys.barriers"));
		else if (any && look.warning.len > 0)
			check_add(checks, CHECK_WARNING, WHAT_BARRIER, mem_copy(str_cstr(&look.warning)), mem_copy(str_cstr(&look.remedy)));
		else if (any)
			check_add(checks, CHECK_OK, WHAT_BARRIER, mem_copy(str_cstr(&look.standing)), NULL);
	}
}

static void
check_destinations(struct checks *checks, const struct keys *keys)
{
	dev_t first = 0;

	for (size_t i = 0; i < keys->n_journals; i++) {
		const char *path = keys->journals[i].directory;
		struct place place;
		struct err err = { 0 };
		bool missing;
		int fd;

		if (place_open(path, &fd, &missing, &err) != 0) {
			check_err(checks, WHAT_DESTINATION, &err);
			continue;
		}
		if (place_of(fd, &place, &err) != 0) {
			check_err(checks, WHAT_DESTINATION, &err);
			(void)close(fd);
			continue;
		}
		first = i == 0 ? place.device : first;
		if (i > 0 && place.device == first)
			check_add(checks, CHECK_WARNING, WHAT_DESTINATION, mem_printf("%s is on the device of %s", path, keys->journals[0].directory),
				mem_copy("one lost disk takes both: move one elsewhere"));
		else
			check_add(checks, CHECK_OK, WHAT_DESTINATION, mem_copy(path), NULL);
		(void)close(fd);
	}
	if (keys->n_journals < 2)
		check_add(checks, CHECK_WARNING, WHAT_DESTINATION, mem_copy("there is one directory only"),
			mem_copy("when it is lost, so are its archives, and with the database every key, for commands have no key journal: declare a "
				 "second one"));
}

static void
check_receivers(struct checks *checks, const struct config *config)
{
	const struct receiver *receiver;

	for (size_t i = 0; (receiver = receiver_at(config, i)) != NULL; i++) {
		bool removes = receiver_program(receiver, RECEIVER_REMOVE) != NULL;
		struct err err = { 0 };

		if (receiver_check(receiver, &err) != 0) {
			(void)err_prefix(&err, "%s", receiver_name(receiver));
			check_err(checks, WHAT_DESTINATION, &err);
		} else if (receiver_program(receiver, RECEIVER_FETCH) == NULL)
			check_add(checks, CHECK_WARNING, WHAT_DESTINATION,
				mem_printf("%s: a command that nothing can be read back from", receiver_name(receiver)),
				mem_copy("its copies are neither verified nor restored: declare fetch, or see to them yourself"));
		else
			check_add(checks, CHECK_OK, WHAT_DESTINATION, mem_printf("%s: a command%s", receiver_name(receiver),
				removes ? "" : "; expired archives stay there, and open for nobody"), NULL);
	}
}

static void
check_journals(struct checks *checks, const struct keys *keys)
{
	for (size_t i = 0; i < keys->n_journals; i++) {
		struct err err = { 0 };
		int64_t base, last;

		if (journal_verify(&keys->journals[i], &base, &last, &err) != 0)
			check_err(checks, WHAT_JOURNAL, &err);
		else
			check_add(checks, CHECK_OK, WHAT_JOURNAL, mem_printf("%s: whole, segments %lld to %lld", keys->journals[i].directory, (long long)base, (long long)last), NULL);
	}
}

static void
check_age(struct checks *checks, const struct job *job)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	int64_t hours = config_int(job->config, SET_ARCHIVES_MAX_AGE_HOURS);
	struct err err = { 0 };

	if (db_query(job->db, &QUERY_STATUS_ARCHIVES, NULL, &res, &err) != 0)
		check_err(checks, WHAT_ARCHIVES, &err);
	else if (db_get_int(res, 0, STATUS_ARCHIVES) == 0)
		check_add(checks, CHECK_WARNING, WHAT_ARCHIVES, mem_copy("there is none yet"), mem_copy("expunge backup, every hour, by cron or a timer"));
	else if (db_get_int(res, 0, STATUS_AGE) > hours * 3600)
		check_add(checks, CHECK_WARNING, WHAT_ARCHIVES, mem_printf("the newest one of a tenant is %lld hours old", (long long)db_get_int(res, 0, STATUS_AGE) / 3600),
			mem_copy("expunge backup says what stands in the way; archives.max_age_hours is the limit"));
	else
		check_add(checks, CHECK_OK, WHAT_ARCHIVES, mem_printf("the newest ones of %lld tenants are at most %lld minutes old",
			(long long)db_get_int(res, 0, STATUS_TENANTS), (long long)db_get_int(res, 0, STATUS_AGE) / 60), NULL);
}

static void
check_expiry(struct checks *checks, const struct config *config)
{
	const struct expiry_keep keep = expire_keep(config);

	if (expiry_has_rule(&keep))
		check_add(checks, CHECK_OK, WHAT_ARCHIVES, mem_printf("kept are the last of %lld hours, %lld days, %lld weeks, %lld months",
			(long long)keep.hourly, (long long)keep.daily, (long long)keep.weekly, (long long)keep.monthly), NULL);
	else
		check_add(checks, CHECK_WARNING, WHAT_ARCHIVES, mem_copy("nothing says how long they are kept: none ever expires"),
			mem_copy("set archives.keep_hourly, _daily, _weekly or _monthly"));
}

/* A restored database, or a copy: whatever else is wrong comes of it. */
static void
check_lineage(struct checks *checks, const struct keys *keys, struct db *db)
{
	CLEANUP(str_release) struct str notes = STR_INIT;
	struct err err = { 0 };

	if (lineage_ask(keys, db, &notes, &err) == 0)
		check_add(checks, CHECK_OK, WHAT_LINEAGE, mem_copy("database, anchor and key journals are of one history"), NULL);
	else
		check_err(checks, WHAT_LINEAGE, &err);
	checks->refused = checks->refused || err.code == ERR_REFUSED;
	add_lines(checks, CHECK_WARNING, WHAT_LINEAGE, &notes, "bring the place back; the next run writes what it lacks");
}

void
check_keys(struct checks *checks, const struct job *job)
{
	CLEANUP(str_release) struct str problems = STR_INIT;
	CLEANUP(keys_close) struct keys keys = { 0 };
	struct instance instance;
	struct err err = { 0 };

	if (job->db == NULL)
		return;
	if (!keys_declared(job->config)) {
		check_undeclared(checks, job->db);
		return;
	}
	if (guard_instance(job->db, &instance, &err) != 0 ||
	    keys_open(&keys, job->config, instance.id, false, &problems, &err) != 0) {
		add_lines(checks, CHECK_ERROR, WHAT_ROOT, &problems, "see keys.shares in expunge(1)");
		check_err(checks, WHAT_ROOT, &err);
		return;
	}
	check_lineage(checks, &keys, job->db);
	check_root(checks, &keys, job->db);
	check_waiting(checks, job->db);
	check_barriers(checks, job);
	check_destinations(checks, &keys);
	check_receivers(checks, job->config);
	check_journals(checks, &keys);
	check_age(checks, job);
	check_expiry(checks, job->config);
}
