/* backup --expire: shreds the keys of archives that no archives.keep_ setting keeps, and removes their files. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive/expire.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "erasure/guard.h"
#include "erasure/ledger.h"
#include "jobs/backup.h"
#include "keys/lineage.h"
#include "svc/listing.h"
#include "sys/clock.h"
#include "sys/log.h"

struct expiring {
	struct job *job;
	struct keys keys;
	struct ledger *ledger;
	struct expire expire;
	struct expire_removed removed;
	struct root_id root;
	size_t n_shredded;
};

static void
expiring_release(struct expiring *s)
{
	expire_removed_release(&s->removed);
	expire_release(&s->expire);
	ledger_close(s->ledger);
	keys_close(&s->keys);
}

static int
hash_name(void *ctx, const char *tenant, const char *name, char ret[SHRED_HASH_SIZE], struct err *err)
{
	return ledger_subject_hash(ctx, tenant, name, ret, err);
}

static int
expiring_open(struct expiring *s, struct err *err)
{
	CLEANUP(str_release) struct str problems = STR_INIT;
	const struct config *config = s->job->config;
	const struct expiry_keep keep = expire_keep(config);
	struct instance instance;

	if (!keys_declared(config))
		return err_set(err, ERR_USAGE, "keys.shares are not declared: without a key tree there are no archives");
	if (!expiry_has_rule(&keep)) {
		(void)err_set(err, ERR_USAGE, "no archives.keep_ setting says what is kept: nothing ever expires");
		return err_hint(err, "set archives.keep_hourly, _daily, _weekly or _monthly in %s", config_path(config));
	}
	if (guard_freeze(s->job->db, config, err) != 0 || guard_clock(s->job->db, config, err) != 0 ||
	    guard_instance(s->job->db, &instance, err) != 0)
		return -1;
	if (keys_open(&s->keys, config, instance.id, false, &problems, err) == 0)
		return ledger_open(&s->ledger, config, err);
	(void)fputs(str_cstr(&problems), stderr);
	return -1;
}

static void
tell_lines(const struct str *lines, void (*tell)(const char *fmt, ...))
{
	for (const char *line = str_cstr(lines); *line != '\0'; line += strcspn(line, "\n") + 1)
		tell("destination %.*s", (int)strcspn(line, "\n"), line);
}

/* ---- what would go ------------------------------------------------------------------------------- */

static int
show(const struct expiring *s, struct err *err)
{
	struct json *array = json_new_array();

	for (size_t i = 0; i < s->expire.n; i++) {
		const struct expire_item *item = &s->expire.items[i];
		struct json *object;
		char created[21];

		clock_text(item->created, created);
		if (!job_flag(s->job, "json")) {
			printf("would expire archive %s of tenant %s, of %s\n", item->id, item->tenant, created);
			continue;
		}
		object = json_new_object();
		json_set_text(object, "id", item->id);
		json_set_text(object, "tenant", item->tenant);
		json_set_text(object, "created", created);
		json_push(array, object);
	}
	if (job_flag(s->job, "json"))
		return json_print(stdout, array, err);
	json_free(array);
	printf("%zu archives would expire, and the keys of %zu attempts at one\n", s->expire.n, s->expire.n == 0 ? 0 : s->expire.n_attempts);
	return 0;
}

/* ---- the end of them ----------------------------------------------------------------------------- */

static int
shred(struct expiring *s, struct err *err)
{
	size_t n = s->expire.n;
	CLEANUP(free_text) char *memory = mem_zero(n + s->expire.n_attempts + 1, sizeof(int64_t));
	int64_t *leaves = (int64_t *)(void *)memory;

	if (n == 0)
		return keys_resume(&s->keys, s->job->db, hash_name, s->ledger, err);
	for (size_t i = 0; i < n; i++)
		leaves[i] = s->expire.items[i].leaf;
	for (size_t i = 0; i < s->expire.n_attempts; i++)
		leaves[n + i] = s->expire.attempts[i];
	s->n_shredded = n + s->expire.n_attempts;
	return keys_shred(&s->keys, s->job->db, &(struct shred_set){ .leaves = leaves, .n = s->n_shredded }, hash_name, s->ledger, &s->root,
		err);
}

/* No archive is on its way while it is found out which leaves have none. */
static int
find_and_shred(struct expiring *s, struct err *err)
{
	bool dry_run = job_flag(s->job, "dry-run");
	int failed;

	if (keyring_lock(s->job->db, !dry_run, err) != 0)
		return err_prefix(err, "waiting until nobody holds keys");
	failed = expire_find(&s->keys, s->job->db, &s->expire, err) != 0 || (!dry_run && shred(s, err) != 0);
	keyring_unlock(s->job->db, !dry_run);
	return failed ? -1 : 0;
}

static int
tell_result(const struct expiring *s, struct err *err)
{
	const struct expire_removed *removed = &s->removed;
	struct json *object;

	tell_lines(&removed->failures, log_error);
	tell_lines(&removed->notes, log_info);
	if (!job_flag(s->job, "json")) {
		printf("%" PRId64 " archives expired, %zu keys shredded, %" PRId64 " files removed, %" PRId64 " still there",
			removed->n_expired, s->n_shredded, removed->n_files, removed->n_left);
		if (removed->n_stay > 0)
			printf(", %" PRId64 " stay for good", removed->n_stay);
		printf("\n");
		return 0;
	}
	object = json_new_object();
	json_set_int(object, "archives", removed->n_expired);
	json_set_int(object, "keys", (int64_t)s->n_shredded);
	json_set_int(object, "epoch", s->root.epoch);
	json_set_int(object, "files_removed", removed->n_files);
	json_set_int(object, "files_left", removed->n_left);
	json_set_int(object, "files_staying", removed->n_stay);
	return json_print(stdout, object, err);
}

static int
enter(struct expiring *s, struct err *err)
{
	CLEANUP(str_release) struct str notes = STR_INIT; /* the change of the root says which place is away */

	return job_flag(s->job, "dry-run") ? lineage_ask(&s->keys, s->job->db, &notes, err)
					   : lineage_enter(&s->keys, s->job->db, &notes, err);
}

int
backup_expire(struct job *job, struct err *err)
{
	CLEANUP(expiring_release) struct expiring s = { .job = job };

	if (job_option(job, "tenant") != NULL || job_flag(job, "verify"))
		return err_set(err, ERR_USAGE, "--expire is for all tenants, and goes without --verify");
	if (expiring_open(&s, err) != 0 || enter(&s, err) != 0 || find_and_shred(&s, err) != 0)
		return -1;
	tell_lines(&s.expire.strangers, log_warning);
	if (job_flag(job, "dry-run"))
		return show(&s, err);
	if (expire_remove(&s.keys, job->db, &s.removed, err) != 0)
		return -1;
	job->exit_code = s.removed.failures.len > 0 ? 3 : 0;
	return tell_result(&s, err);
}
