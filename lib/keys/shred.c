#include "keys/shred.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "keys/shred_rows.h"
#include "query.h"
#include "svc/crypt.h"

void
shred_release(struct shred *shred)
{
	root_report_release(&shred->report);
}

/* ---- the change's row --------------------------------------------------------------------------- */

/* A new attempt, committed. */
static int
intend(const struct shred *shred, struct shred_change *change, struct err *err)
{
	CLEANUP(str_release) struct str leaves = STR_INIT;
	CLEANUP(str_release) struct str tenants = STR_INIT;
	CLEANUP(str_release) struct str both = STR_INIT;
	char epoch[24], hash[72];

	for (size_t i = 0; i < change->set.n; i++)
		array_add_int(&leaves, change->set.leaves[i]);
	for (size_t i = 0; i < change->set.n_tenants; i++)
		array_add(&tenants, change->set.tenants[i]);
	str_addf(&both, "%s%s", array_end(&leaves), array_end(&tenants));
	(void)snprintf(epoch, sizeof(epoch), "%" PRId64, change->ends.epoch);
	if (crypt_token(change->ends.attempt, err) != 0 || crypt_sha256_text(both.s, both.len, hash, err) != 0)
		return -1;
	return db_query(shred->db, &QUERY_KEY_CHANGE_BEGIN, DB_PARAMS(change->ends.attempt, epoch, leaves.s, tenants.s, hash), NULL, err);
}

static int
step(const struct shred *shred, const struct shred_change *change, const char *from, const char *to, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	if (db_query(shred->db, &QUERY_KEY_CHANGE_STATE, DB_PARAMS(change->ends.attempt, from, to), &res, err) != 0)
		return -1;
	return db_rows(res) == 1 ? 0 : err_set(err, ERR_FAILED, "change of the root %s is not in state %s", change->ends.attempt, from);
}

/* ---- the steps ---------------------------------------------------------------------------------- */

static struct root_id
new_root_of(const struct shred_change *change)
{
	struct root_id id = change->ends;

	id.epoch++;
	return id;
}

/* An attempt whose root was not written whole loses: its row first, its records after that has committed. */
static int
abandon(struct shred *shred, struct shred_change *change, struct err *err)
{
	struct root_id dead = new_root_of(change);

	if (db_begin(shred->db, err) != 0)
		return -1;
	if (step(shred, change, "intent", "abandoned", err) != 0 || intend(shred, change, err) != 0 ||
	    db_commit(shred->db, err) != 0) {
		db_rollback(shred->db);
		return -1;
	}
	return root_destroy(shred->store, &dead, NULL, err);
}

/* The root of this attempt: as an earlier run has written it, or a fresh one. */
static int
have_root(struct shred *shred, struct shred_change *change, struct secret *ret, struct err *err)
{
	CLEANUP(root_ids_release) struct root_ids there = { 0 };
	struct root_id id = new_root_of(change);
	enum root_verdict verdict;
	bool complete, whole = false;

	if (root_list(shred->store, &there, &complete, NULL, err) != 0)
		return -1;
	if (root_ids_have(&there, &id)) {
		if (root_is_whole(shred->store, &id, &whole, err) != 0)
			return -1;
		if (whole)
			return root_read(shred->store, &id, ret, &verdict, NULL, err);
		if (abandon(shred, change, err) != 0)
			return -1;
		id = new_root_of(change);
	}
	return root_create(shred->store, &id, ret, err);
}

static int
commit(struct shred *shred, struct shred_change *change, const struct root_id *old, struct err *err)
{
	CLEANUP(secret_erase) struct secret old_root = SECRET_INIT;
	CLEANUP(secret_erase) struct secret new_root = SECRET_INIT;
	enum root_verdict verdict;

	if (old->epoch > 0 && root_read(shred->store, old, &old_root, &verdict, NULL, err) != 0)
		return -1;
	if (have_root(shred, change, &new_root, err) != 0)
		return -1;
	return shred_rows_commit(shred, change, &old_root, &new_root, err);
}

static int
verify(struct shred *shred, const struct shred_change *change, struct err *err)
{
	CLEANUP(secret_erase) struct secret root = SECRET_INIT;
	const struct root_id id = new_root_of(change);
	enum root_verdict verdict;

	if (root_read(shred->store, &id, &root, &verdict, NULL, err) != 0 || shred_rows_verify(shred, change, &root, err) != 0)
		return -1;
	return step(shred, change, "committed", "verified", err);
}

static int
journal(struct shred *shred, const struct shred_change *change, struct err *err)
{
	const struct root_id id = new_root_of(change);

	if (shred->journal(shred->ctx, &id, err) != 0)
		return -1;
	return step(shred, change, "verified", "journalled", err);
}

/* What was destroyed of this share of roots that a change has ended: "pkcs11", a token's key; "file:ext4", what was written
 * over; "file" if that was gone before. */
static char *
driver_text(const struct shred *shred, int64_t epoch, uint32_t share)
{
	const char *driver = root_share_driver(shred->store, share);

	for (size_t i = 0; i < shred->report.n && strcmp(driver, "file") == 0; i++) {
		const struct root_replica *replica = &shred->report.replicas[i];

		if (replica->share == share && replica->id.epoch == epoch && replica->state == ROOT_GONE)
			return mem_printf("file:%s", replica->place.file_system);
	}
	return mem_copy(driver);
}

/* Every root but the new one: the retired one, abandoned ones, and whichever of them has come back. */
static int
destroy(struct shred *shred, const struct shred_change *change, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	CLEANUP(str_release) struct str drivers = STR_INIT;
	const struct root_id id = new_root_of(change);
	char shares[16];

	/* the first change has nothing to destroy, and is made before anybody has a standby */
	if (change->ends.epoch > 0 && shred->barrier != NULL && shred->barrier(shred->ctx, change->ends.attempt, err) != 0)
		return -1;
	if (root_destroy_others(shred->store, &id, 1, NULL, &shred->report, err) != 0)
		return -1;
	for (uint32_t share = 1; change->ends.epoch > 0 && share <= root_shares(shred->store); share++) {
		CLEANUP(free_text) char *driver = driver_text(shred, change->ends.epoch, share);

		array_add(&drivers, driver);
	}
	(void)snprintf(shares, sizeof(shares), "%" PRIu32, root_shares(shred->store));
	if (db_query(shred->db, &QUERY_KEY_CHANGE_DESTROYED, DB_PARAMS(change->ends.attempt, shares, array_end(&drivers)), &res,
		    err) != 0)
		return -1;
	return db_rows(res) == 1 ? 0 : err_set(err, ERR_FAILED, "change of the root %s is not in state journalled", change->ends.attempt);
}

static int
drill(struct shred *shred, const struct shred_change *change, struct err *err)
{
	const struct root_id id = new_root_of(change);

	/* what came back since would fail the drill in every run */
	if (root_destroy_others(shred->store, &id, 1, NULL, NULL, err) != 0 || shred->drill(shred->ctx, &id, err) != 0)
		return -1;
	return step(shred, change, "destroyed", "drilled", err);
}

/* From the state that it is in to the end. */
static int
carry_out(struct shred *shred, struct shred_change *change, const struct root_id *old, const char *state, struct err *err)
{
	static const char *const states[] = { "intent", "committed", "verified", "journalled", "destroyed", "drilled" };
	size_t at = 0;

	while (at < sizeof(states) / sizeof(states[0]) && strcmp(states[at], state) != 0)
		at++;
	if (at == sizeof(states) / sizeof(states[0]))
		return err_set(err, ERR_FAILED, "change of the root %s is in an unknown state", change->ends.attempt);
	if ((at == 0 && commit(shred, change, old, err) != 0) || (at <= 1 && verify(shred, change, err) != 0) ||
	    (at <= 2 && journal(shred, change, err) != 0) || (at <= 3 && destroy(shred, change, err) != 0) ||
	    (at <= 4 && drill(shred, change, err) != 0) || shred_rows_sweep(shred, change, err) != 0)
		return -1;
	return step(shred, change, "drilled", "done", err);
}

/* ---- what a change takes ------------------------------------------------------------------------ */

/* As a change keeps it. */
struct taken {
	int64_t *leaves;
	size_t n;
	struct db_result *tenants; /* a row each */
	const char **names;
};

static void
taken_release(struct taken *taken)
{
	free(taken->leaves);
	db_result_free(taken->tenants);
	free((void *)taken->names);
}

static struct shred_set
set_of(struct taken *taken)
{
	size_t n = (size_t)db_rows(taken->tenants);

	taken->names = mem_zero(n + 1, sizeof(*taken->names));
	for (size_t i = 0; i < n; i++)
		taken->names[i] = db_get_text(taken->tenants, (int)i, 0);
	return (struct shred_set){ taken->leaves, taken->n, taken->names, n };
}

/* Of what is asked for that which still lives: leaves of none of the tenants, in order, and tenants. */
static int
find_living(const struct shred *shred, const struct shred_set *wanted, struct taken *ret, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *places = NULL;
	CLEANUP(str_release) struct str ids = STR_INIT;
	CLEANUP(str_release) struct str tenants = STR_INIT;

	for (size_t i = 0; i < wanted->n; i++)
		array_add_int(&ids, wanted->leaves[i]);
	for (size_t i = 0; i < wanted->n_tenants; i++)
		array_add(&tenants, wanted->tenants[i]);
	(void)array_end(&tenants);
	if (db_query(shred->db, &QUERY_KEY_LEAVES_PLACE, DB_PARAMS(array_end(&ids), tenants.s), &places, err) != 0 ||
	    db_query(shred->db, &QUERY_KEY_TENANTS_LIVING, DB_PARAMS(tenants.s), &ret->tenants, err) != 0)
		return -1;
	ret->n = (size_t)db_rows(places);
	ret->leaves = mem_zero(ret->n + 1, sizeof(*ret->leaves));
	for (size_t i = 0; i < ret->n; i++)
		ret->leaves[i] = db_get_int(places, (int)i, 0);
	return 0;
}

/* ---- alone with the keys ------------------------------------------------------------------------ */

static int
lock(const struct shred *shred, struct err *err)
{
	if (keyring_lock(shred->db, true, err) == 0)
		return 0;
	(void)err_prefix(err, "waiting until nobody holds keys");
	return err_hint(err, "a backup, restore or other run is at work; try again when it has ended");
}

static void
unlock(const struct shred *shred)
{
	keyring_unlock(shred->db, true);
}

static int
resume(struct shred *shred, bool *ret_any, struct err *err)
{
	CLEANUP(keyring_state_release) struct keyring_state state = { 0 };
	CLEANUP(taken_release) struct taken taken = { 0 };
	struct shred_change change = { 0 };

	*ret_any = false;
	if (keyring_state(shred->db, &state, err) != 0)
		return -1;
	if (state.change.attempt[0] == '\0')
		return 0;
	*ret_any = true;
	if (db_query(shred->db, &QUERY_KEY_CHANGE_TENANTS, DB_PARAMS(state.change.attempt), &taken.tenants, err) != 0)
		return -1;
	change.ends = state.change;
	taken.leaves = TAKE_PTR(state.leaves);
	taken.n = state.n_leaves;
	change.set = set_of(&taken);
	return carry_out(shred, &change, &state.root, state.change_state, err);
}

int
shred_resume(struct shred *shred, bool *ret_any, struct err *err)
{
	bool any = false;
	int failed;

	if (lock(shred, err) != 0)
		return -1;
	failed = resume(shred, &any, err);
	unlock(shred);
	if (ret_any != NULL)
		*ret_any = any;
	return failed;
}

static int
first_root(struct shred *shred, struct err *err)
{
	CLEANUP(keyring_state_release) struct keyring_state state = { 0 };
	CLEANUP(root_ids_release) struct root_ids there = { 0 };
	struct shred_change change = { 0 };
	bool complete;

	if (keyring_state(shred->db, &state, err) != 0)
		return -1;
	/* a later change may shred leaves: it waits for a run that can hash their names */
	change.ends = state.change;
	if (state.change.attempt[0] != '\0' && state.change.epoch == 0)
		return carry_out(shred, &change, &state.root, state.change_state, err);
	if (state.root.epoch > 0)
		return 0;
	if (root_list(shred->store, &there, &complete, NULL, err) != 0)
		return -1;
	if (there.n > 0) {
		(void)err_set(err, ERR_REFUSED, "the places of keys.shares hold roots, and this database has no key tree");
		return err_hint(err, "if it was restored from before the tree was made: expunge restore --adopt");
	}
	change.ends = (struct root_id){ 0 };
	if (intend(shred, &change, err) != 0)
		return -1;
	return carry_out(shred, &change, &state.root, "intent", err);
}

int
shred_first_root(struct shred *shred, struct err *err)
{
	int failed;

	if (lock(shred, err) != 0)
		return -1;
	failed = first_root(shred, err);
	unlock(shred);
	return failed;
}

static int
shred_now(struct shred *shred, const struct shred_set *wanted, struct root_id *ret_root, struct err *err)
{
	CLEANUP(keyring_state_release) struct keyring_state state = { 0 };
	CLEANUP(taken_release) struct taken taken = { 0 };
	struct shred_change change = { 0 };
	bool any;

	if (resume(shred, &any, err) != 0 || keyring_state(shred->db, &state, err) != 0 ||
	    find_living(shred, wanted, &taken, err) != 0)
		return -1;
	change.set = set_of(&taken);
	change.ends.epoch = state.root.epoch;
	if (ret_root != NULL)
		*ret_root = state.root;
	if (state.root.epoch == 0)
		return err_set(err, ERR_FAILED, "there is no key tree in this database");
	if (wanted->n + wanted->n_tenants > 0 && change.set.n + change.set.n_tenants == 0)
		return 0;
	if ((shred->ready != NULL && shred->ready(shred->ctx, err) != 0) || intend(shred, &change, err) != 0 ||
	    carry_out(shred, &change, &state.root, "intent", err) != 0)
		return -1;
	if (ret_root != NULL)
		*ret_root = new_root_of(&change);
	return 0;
}

int
shred_all(struct shred *shred, const struct shred_set *set, struct root_id *ret_root, struct err *err)
{
	int failed;

	if (lock(shred, err) != 0)
		return -1;
	failed = shred_now(shred, set, ret_root, err);
	unlock(shred);
	return failed;
}
