#include "keys/keyring.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "query.h"

#define LOCK_ATTEMPTS 60 /* of database.lock_timeout_ms each */

/* columns of key_tree_show */
enum { S_EPOCH, S_ATTEMPT, S_SEQ, S_NONCE, S_CHANGE, S_CHANGE_EPOCH, S_STATE, S_LEAVES, S_LEAVES_HASH, S_SERIAL };

static void
read_leaves(struct keyring_state *ret, const char *text)
{
	for (char *end; *text != '\0'; text = *end == ' ' ? end + 1 : end)
		*MEM_PUSH(ret->leaves, ret->n_leaves) = strtoll(text, &end, 10);
}

int
keyring_state(struct db *db, struct keyring_state *ret, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	*ret = (struct keyring_state){ 0 };
	if (db_query(db, &QUERY_KEY_TREE_SHOW, NULL, &res, err) != 0)
		return -1;
	ret->root.epoch = db_get_int(res, 0, S_EPOCH);
	ret->key_seq = db_get_int(res, 0, S_SEQ);
	ret->serial = db_get_int(res, 0, S_SERIAL);
	ret->change.epoch = db_get_int(res, 0, S_CHANGE_EPOCH);
	(void)snprintf(ret->root.attempt, sizeof(ret->root.attempt), "%s", db_get_text(res, 0, S_ATTEMPT));
	(void)snprintf(ret->nonce, sizeof(ret->nonce), "%s", db_get_text(res, 0, S_NONCE));
	(void)snprintf(ret->change.attempt, sizeof(ret->change.attempt), "%s", db_get_text(res, 0, S_CHANGE));
	(void)snprintf(ret->change_state, sizeof(ret->change_state), "%s", db_get_text(res, 0, S_STATE));
	read_leaves(ret, db_get_text(res, 0, S_LEAVES));
	return 0;
}

void
keyring_state_release(struct keyring_state *state)
{
	free(state->leaves);
	*state = (struct keyring_state){ 0 };
}

int
keyring_lock(struct db *db, bool alone, struct err *err)
{
	for (int attempt = 1;; attempt++) {
		if (db_query(db, &QUERY_KEY_LOCK, DB_PARAMS(alone ? "true" : "false"), NULL, err) == 0)
			return 0;
		if (err->code != ERR_RETRY || attempt == LOCK_ATTEMPTS)
			return -1;
		err_clear(err);
	}
}

void
keyring_unlock(struct db *db, bool alone)
{
	struct err unused = { 0 };

	/* the lock ends with the session in any case */
	(void)db_query(db, &QUERY_KEY_UNLOCK, DB_PARAMS(alone ? "true" : "false"), NULL, &unused);
}

static int
read_root(struct keyring *ring, struct root_store *store, struct err *err)
{
	CLEANUP(keyring_state_release) struct keyring_state state = { 0 };
	enum root_verdict verdict;

	if (keyring_state(ring->db, &state, err) != 0)
		return -1;
	if (state.root.epoch == 0) {
		(void)err_set(err, ERR_FAILED, "there is no key tree in this database");
		return err_hint(err, "declare keys.shares in the configuration and run: expunge init");
	}
	ring->epoch = state.root.epoch;
	return root_read(store, &state.root, &ring->root, &verdict, NULL, err);
}

int
keyring_open(struct keyring *ret, struct db *db, struct root_store *store, const char *instance, struct err *err)
{
	*ret = (struct keyring){ .db = db };
	(void)snprintf(ret->instance, sizeof(ret->instance), "%s", instance);
	if (keyring_lock(db, false, err) != 0)
		return err_prefix(err, "waiting for the keys");
	ret->locked = true;
	if (read_root(ret, store, err) == 0)
		return 0;
	keyring_close(ret);
	return -1;
}

void
keyring_close(struct keyring *ring)
{
	secret_erase(&ring->root);
	if (ring->locked)
		keyring_unlock(ring->db, false);
	*ring = (struct keyring){ 0 };
}
