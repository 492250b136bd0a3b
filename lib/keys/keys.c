#include "keys/keys.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "keys/barrier.h"
#include "keys/lineage.h"
#include "keys/signer_file.h"
#include "query.h"
#include "sys/command.h"
#include "sys/file.h"

#define DRILL_SECONDS 3600
#define DRILL_PASSED 0
#define DRILL_SAYS 4096 /* bytes, that are listened to */

bool
keys_declared(const struct config *config)
{
	const struct conf_node *shares = config_list(config, SET_KEYS_SHARES);

	return shares != NULL && conf_count(shares) > 0;
}

static int
open_journals(struct keys *keys, struct err *err)
{
	const struct conf_node *list = config_list(keys->config, SET_ARCHIVES_DESTINATIONS);
	struct journal journal = { .instance = keys->instance, .signer = keys->signer };

	if (list == NULL || conf_count(list) == 0) {
		(void)err_set(err, ERR_USAGE, "keys.shares are declared, and no archives.destinations");
		return err_hint(err, "the journal of the keys needs a destination, better two, outside the database's machine");
	}
	if (crypt_signer_public(keys->signer, journal.public, err) != 0)
		return -1;
	for (size_t i = 0; i < conf_count(list); i++) {
		journal.name = conf_text(conf_member(conf_at(list, i), "name"));
		journal.directory = conf_text(conf_member(conf_at(list, i), "directory"));
		if (journal.directory != NULL)
			*MEM_PUSH(keys->journals, keys->n_journals) = journal;
	}
	return 0;
}

int
keys_open(struct keys *ret, const struct config *config, const char *instance, bool init, struct str *problems,
	struct err *err)
{
	const char *path = config_text(config, SET_ARCHIVES_KEY);

	*ret = (struct keys){ .config = config };
	(void)snprintf(ret->instance, sizeof(ret->instance), "%s", instance);
	if (root_config_read(&ret->roots, config, problems, err) == 0 &&
	    (!init || file_exists(path) || signer_file_create(path, "archive key", err) == 0) &&
	    signer_file_open(&ret->signer, path, "archive key", err) == 0 && open_journals(ret, err) == 0 &&
	    root_open(&ret->store, &ret->roots, ret->instance, err) == 0)
		return 0;
	keys_close(ret);
	return -1;
}

void
keys_close(struct keys *keys)
{
	root_closep(&keys->store);
	root_config_release(&keys->roots);
	crypt_signer_freep(&keys->signer);
	free(keys->journals);
	*keys = (struct keys){ 0 };
}

int
keys_journal(const struct keys *keys, struct db *db, bool base, struct err *err)
{
	for (size_t i = 0; i < keys->n_journals; i++)
		if (journal_write(&keys->journals[i], db, base, err) != 0)
			return -1;
	return 0;
}

/* ---- a change of the root ----------------------------------------------------------------------- */

struct changing {
	const struct keys *keys;
	struct db *db;
	keys_hash *hash;
	void *hash_ctx;
};

/* What the drill's own log says; *ret_hint likewise, or NULL. Both in the text, which is cut up. */
static const char *
find_reason(char *said, const char **ret_hint)
{
	static const char before[] = "error drill: ", hint[] = "hint: ";
	const char *reason = NULL;

	*ret_hint = NULL;
	for (char *line = said, *end; *line != '\0'; line = end) {
		const char *at;

		end = line + strcspn(line, "\n");
		if (*end != '\0')
			*end++ = '\0';
		at = strstr(line, before);
		if (at == NULL)
			continue;
		at += sizeof(before) - 1;
		if (strncmp(at, hint, sizeof(hint) - 1) == 0)
			*ret_hint = at + sizeof(hint) - 1;
		else if (reason == NULL)
			reason = at;
	}
	return reason != NULL ? reason : said;
}

/* which: NULL for both drills, and all that the journals hold; else one of them, for the change that is under way. */
static int
run_drill(const struct keys *keys, const char *which, bool *ret_opened, struct err *err)
{
	const char *const argv[] = { "/proc/self/exe", "-c", config_path(keys->config), "drill", "--unrecorded", which,
		which == NULL ? NULL : "--change", NULL };
	const char *reason, *hint;
	char said[DRILL_SAYS];
	int exit_code;

	if (command_hear(argv, DRILL_SECONDS, said, sizeof(said), &exit_code, err) != 0)
		return err_prefix(err, "drill");
	if (exit_code == DRILL_PASSED) {
		*ret_opened = strstr(said, KEYS_DRILL_UNTRIED) == NULL;
		return 0;
	}
	reason = find_reason(said, &hint);
	(void)err_set(err, ERR_FAILED, "drill failed (exit code %d): %s", exit_code, reason);
	if (hint != NULL)
		return err_hint(err, "%s", hint);
	return err_hint(err, "expunge -c %s drill shows it again", config_path(keys->config));
}

int
keys_run_drill(const struct keys *keys, bool *ret_opened, struct err *err)
{
	return run_drill(keys, NULL, ret_opened, err);
}

static int
hash_name(void *ctx, const char *tenant, const char *name, char ret[SHRED_HASH_SIZE], struct err *err)
{
	const struct changing *changing = ctx;

	return changing->hash(changing->hash_ctx, tenant, name, ret, err);
}

static int
write_journals(void *ctx, const struct root_id *root, struct err *err)
{
	const struct changing *changing = ctx;
	bool opened;

	(void)root;
	if (keys_journal(changing->keys, changing->db, false, err) != 0)
		return -1;
	return run_drill(changing->keys, "--positive", &opened, err);
}

static int
say_and_drill(void *ctx, const struct root_id *root, struct err *err)
{
	const struct changing *changing = ctx;
	bool opened;

	(void)root;
	if (lineage_write_anchor(changing->keys, changing->db, err) != 0)
		return -1;
	return run_drill(changing->keys, "--negative", &opened, err);
}

static int
ask_barriers(void *ctx, struct err *err)
{
	const struct changing *changing = ctx;

	return barrier_ready(changing->keys->config, changing->db, err);
}

static int
pass_barriers(void *ctx, const char *attempt, struct err *err)
{
	const struct changing *changing = ctx;

	return barrier_pass(changing->keys->config, changing->db, attempt, err);
}

static struct shred
change_of(struct changing *changing)
{
	return (struct shred){ .db = changing->db, .store = changing->keys->store, .instance = changing->keys->instance,
		.ctx = changing, .hash = hash_name, .journal = write_journals, .drill = say_and_drill,
		.ready = ask_barriers, .barrier = pass_barriers };
}

static int
mark_journals(const struct keys *keys, struct err *err)
{
	for (size_t i = 0; i < keys->n_journals; i++)
		if (journal_mark(&keys->journals[i], err) != 0)
			return -1;
	return 0;
}

int
keys_first_root(const struct keys *keys, struct db *db, struct err *err)
{
	struct changing changing = { .keys = keys, .db = db };
	CLEANUP(shred_release) struct shred shred = change_of(&changing);
	CLEANUP(keyring_state_release) struct keyring_state state = { 0 };

	if (keyring_state(db, &state, err) != 0)
		return -1;
	/* places of a tree that is there are marked: one that is not is not mounted, and must not look like an empty one */
	if (state.root.epoch == 0 && (root_init(keys->store, err) != 0 || mark_journals(keys, err) != 0))
		return -1;
	return shred_first_root(&shred, err);
}

int
keys_shred(const struct keys *keys, struct db *db, const struct shred_set *set, keys_hash *hash, void *hash_ctx,
	struct root_id *ret_root, struct err *err)
{
	struct changing changing = { keys, db, hash, hash_ctx };
	CLEANUP(shred_release) struct shred shred = change_of(&changing);

	return lineage_check(keys, db, err) != 0 ? -1 : shred_all(&shred, set, ret_root, err);
}

int
keys_resume(const struct keys *keys, struct db *db, keys_hash *hash, void *hash_ctx, struct err *err)
{
	struct changing changing = { keys, db, hash, hash_ctx };
	CLEANUP(shred_release) struct shred shred = change_of(&changing);

	return lineage_check(keys, db, err) != 0 ? -1 : shred_resume(&shred, NULL, err);
}

/* ---- places ------------------------------------------------------------------------------------- */

int
keys_heal(const struct keys *keys, struct db *db, size_t *ret_n, struct err *err)
{
	CLEANUP(keyring_state_release) struct keyring_state state = { 0 };
	int failed;

	*ret_n = 0;
	/* nobody destroys the root meanwhile: a record of it that is written again would bring it back */
	if (keyring_lock(db, false, err) != 0)
		return -1;
	failed = keyring_state(db, &state, err);
	if (failed == 0 && state.root.epoch > 0 && state.change.attempt[0] == '\0')
		failed = root_heal(keys->store, &state.root, ret_n, NULL, err);
	keyring_unlock(db, false);
	return failed;
}

int
keys_mark(const struct keys *keys, const char *directory, struct err *err)
{
	for (size_t share = 0; share < keys->roots.n; share++)
		for (size_t replica = 0; replica < keys->roots.shares[share].n; replica++)
			if (strcmp(keys->roots.shares[share].replicas[replica], directory) == 0)
				return root_mark(keys->store, (uint32_t)share + 1, (uint32_t)replica + 1, err);
	for (size_t i = 0; i < keys->n_journals; i++)
		if (strcmp(keys->journals[i].directory, directory) == 0)
			return journal_mark(&keys->journals[i], err);
	(void)err_set(err, ERR_USAGE, "%.300s is no replica of keys.shares, and no destination of archives", directory);
	return err_hint(err, "write it into the configuration first, as it is written here");
}

/* ---- drills ------------------------------------------------------------------------------------- */

/* The root that the journals speak of, and all that the places hold records of; every place must be there. */
static int
find_roots(const struct keys *keys, struct root_id *ret, struct root_ids *ret_held, struct err *err)
{
	CLEANUP(root_report_release) struct root_report report = { 0 };
	CLEANUP(str_release) struct str away = STR_INIT;
	struct journal_head head;
	bool found, complete;

	for (size_t i = 0; i < keys->n_journals; i++) {
		if (journal_head(&keys->journals[i], &head, &found, err) != 0)
			return -1;
		if (!found)
			return err_set(err, ERR_FAILED, "there is no key journal in %s", keys->journals[i].directory);
		if (i > 0 && !root_id_equal(ret, &head.header.root))
			return err_set(err, ERR_FAILED, "the key journals in %s and %s end with other roots", keys->journals[0].directory,
				keys->journals[i].directory);
		*ret = head.header.root;
	}
	if (root_list(keys->store, ret_held, &complete, &report, err) != 0)
		return -1;
	if (complete)
		return 0;
	root_report_add_text(&report, &away);
	return err_set(err, ERR_FAILED, "not every place of keys.shares is there: %s", str_cstr(&away));
}

int
keys_drill_positive(const struct keys *keys, enum keys_extent extent, struct err *err)
{
	CLEANUP(root_ids_release) struct root_ids held = { 0 };
	CLEANUP(secret_erase) struct secret key = SECRET_INIT;
	enum root_verdict verdict;
	struct root_id root = { 0 };

	if (find_roots(keys, &root, &held, err) != 0 || root_read(keys->store, &root, &key, &verdict, NULL, err) != 0)
		return -1;
	for (size_t i = 0; i < keys->n_journals; i++) {
		int64_t base = 0, last = 0;

		/* rewritten pages alone are not a tree: all that they hang together with must be there, too */
		if ((extent == KEYS_ALL ? journal_verify : journal_chain)(&keys->journals[i], &base, &last, err) != 0 ||
		    journal_barrier(&keys->journals[i], &root, &key, err) != 0)
			return -1;
	}
	return 0;
}

struct attempt {
	int64_t epoch;
	uint8_t kcv[KCV_SIZE]; /* of the one root that is held */
	int64_t n_pages;
};

static int
try_page(void *ctx, struct journal_row *row, struct err *err)
{
	struct attempt *attempt = ctx;

	if (row->kind != JOURNAL_PAGE || row->page.parent != 0 || row->page.epoch >= attempt->epoch)
		return 0;
	attempt->n_pages++;
	if (memcmp(attempt->kcv, row->page.kcv, KCV_SIZE) != 0)
		return 0;
	return err_set(err, ERR_FAILED, "the present root opens page %" PRId64 " of epoch %" PRId64, row->page.id, row->page.epoch);
}

/* From the newest segment back, of which each change leaves a top page. */
static int
try_journal(const struct journal *journal, enum keys_extent extent, struct attempt *attempt, struct err *err)
{
	int64_t base, last, before = attempt->n_pages;
	struct journal_head head;

	if (journal_chain(journal, &base, &last, err) != 0)
		return -1;
	for (int64_t segment = last; segment >= base && (extent == KEYS_ALL || attempt->n_pages == before); segment--)
		if (journal_read(journal, segment, try_page, attempt, &head, err) != 0)
			return -1;
	return 0;
}

int
keys_drill_negative(const struct keys *keys, enum keys_extent extent, int64_t *ret_pages, struct err *err)
{
	CLEANUP(root_ids_release) struct root_ids held = { 0 };
	CLEANUP(secret_erase) struct secret key = SECRET_INIT;
	struct attempt attempt = { 0 };
	enum root_verdict verdict;
	struct root_id root = { 0 };

	if (find_roots(keys, &root, &held, err) != 0)
		return -1;
	for (size_t i = 0; i < held.n; i++)
		if (!root_id_equal(&held.ids[i], &root)) {
			(void)err_set(err, ERR_FAILED, "root.%" PRId64 ".%s is there again, or still", held.ids[i].epoch, held.ids[i].attempt);
			return err_hint(err, "ask who put it back; the next change of the root destroys it: expunge keys rotate");
		}
	if (root_read(keys->store, &root, &key, &verdict, NULL, err) != 0 || kcv_of(key.bytes, attempt.kcv, err) != 0)
		return -1;
	attempt.epoch = root.epoch;
	for (size_t i = 0; i < keys->n_journals; i++)
		if (try_journal(&keys->journals[i], extent, &attempt, err) != 0)
			return -1;
	*ret_pages = attempt.n_pages;
	return 0;
}
