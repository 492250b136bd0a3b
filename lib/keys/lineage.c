#include "keys/lineage.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "keys/anchor.h"
#include "query.h"
#include "svc/crypt.h"

#define HINT_RESTORED "the database was restored from an older copy: expunge restore --adopt"
#define HINT_COPY \
	"if this is a copy, give it a configuration and places of its own; if it is the one that counts: expunge keys adopt " \
	"--this-is-primary; if it was restored from an older copy: expunge restore --adopt"

/* columns of key_lineage */
enum { L_STRANGERS, L_TIMELINE, L_TIMELINE_NOW, L_ADOPTING };

/* ---- what the places show ----------------------------------------------------------------------- */

static int
check_anchor(const struct keys *keys, struct db *db, struct err *err)
{
	CLEANUP(keyring_state_release) struct keyring_state state = { 0 };
	CLEANUP(anchor_release) struct anchor anchor = ANCHOR_INIT;
	enum anchor_verdict verdict;

	if (anchor_read(keys->roots.anchor, keys->instance, &anchor, &verdict, err) != 0) {
		if (verdict == ANCHOR_FOREIGN)
			err->code = ERR_REFUSED;
		return -1;
	}
	if (keyring_state(db, &state, err) != 0)
		return -1;
	if (anchor.epoch < state.root.epoch || (anchor.epoch == state.root.epoch && anchor.key_seq <= state.key_seq))
		return 0;
	(void)err_set(err, ERR_REFUSED, "the anchor has come to epoch %" PRId64 ", key_seq %" PRId64 ", and the database is at epoch %" PRId64
		", key_seq %" PRId64, anchor.epoch, anchor.key_seq, state.root.epoch, state.key_seq);
	return err_hint(err, HINT_RESTORED);
}

void
lineage_nonces(const struct keys *keys, struct str *ret)
{
	CLEANUP(anchor_release) struct anchor anchor = ANCHOR_INIT;
	enum anchor_verdict verdict;
	struct err unused = { 0 };

	if (anchor_read(keys->roots.anchor, keys->instance, &anchor, &verdict, &unused) == 0)
		array_add(ret, anchor.nonce);
	for (size_t i = 0; i < keys->n_journals; i++) {
		struct journal_head head;
		bool found = false;

		if (journal_head(&keys->journals[i], &head, &found, &unused) == 0 && found)
			array_add(ret, head.header.nonce);
	}
	(void)array_end(ret);
}

/* Nonces, timeline, and whether an adoption is under way. */
static int
check_history(const struct keys *keys, struct db *db, bool entering, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	CLEANUP(str_release) struct str nonces = STR_INIT;

	lineage_nonces(keys, &nonces);
	if (db_query(db, &QUERY_KEY_LINEAGE, DB_PARAMS(nonces.s), &res, err) != 0)
		return -1;
	if (entering && db_get_bool(res, 0, L_ADOPTING)) {
		(void)err_set(err, ERR_REFUSED, "the adoption of this restored database has not ended");
		return err_hint(err, "expunge restore --adopt goes on with it");
	}
	if (db_get_int(res, 0, L_STRANGERS) > 0) {
		(void)err_set(err, ERR_REFUSED, "anchor or key journals were last written by another copy of this database");
		return err_hint(err, HINT_COPY);
	}
	if (db_get_int(res, 0, L_TIMELINE) == 0 || db_get_int(res, 0, L_TIMELINE) == db_get_int(res, 0, L_TIMELINE_NOW))
		return 0;
	(void)err_set(err, ERR_REFUSED, "the server is on timeline %" PRId64 ", and the last run saw timeline %" PRId64,
		db_get_int(res, 0, L_TIMELINE_NOW), db_get_int(res, 0, L_TIMELINE));
	return err_hint(err, "it was promoted or restored. " HINT_COPY);
}

/* None of them has come further than the database. */
static int
check_places(const struct keys *keys, struct db *db, struct err *err)
{
	for (size_t i = 0; i < keys->n_journals; i++)
		if (journal_check(&keys->journals[i], db, NULL, err) != 0)
			return -1;
	if (check_anchor(keys, db, err) != 0 && err->code == ERR_REFUSED)
		return -1;
	/* an anchor that says nothing is told by keys status, and written anew by each run */
	err_clear(err);
	return 0;
}

int
lineage_check(const struct keys *keys, struct db *db, struct err *err)
{
	return check_places(keys, db, err) != 0 ? -1 : check_history(keys, db, false, err);
}

/* ---- the beginning of a run --------------------------------------------------------------------- */

/* A place that could not be read: a note, and on. -1 if it was read, and is of another history. */
static int
note_place(struct str *notes, struct err *err)
{
	if (err->code == ERR_REFUSED || err->code == ERR_LOST)
		return -1;
	str_addf(notes, "%s%s%s\n", err->msg, err->hint[0] == '\0' ? "" : "; ", err->hint);
	err_clear(err);
	return 0;
}

static int
first_line(const struct str *notes)
{
	return (int)strcspn(str_cstr(notes), "\n");
}

static int
check_readable(const struct keys *keys, struct db *db, struct str *notes, struct err *err)
{
	CLEANUP(keyring_state_release) struct keyring_state state = { 0 };
	size_t n_read = 0;

	for (size_t i = 0; i < keys->n_journals; i++) {
		bool found = false;

		if (journal_check(&keys->journals[i], db, &found, err) == 0)
			n_read += found;
		else if (note_place(notes, err) != 0)
			return -1;
	}
	if (check_anchor(keys, db, err) == 0)
		n_read++;
	else if (note_place(notes, err) != 0)
		return -1;
	if (n_read > 0)
		return 0;
	if (keyring_state(db, &state, err) != 0)
		return -1;
	if (state.root.epoch == 0) {
		(void)err_set(err, ERR_FAILED, "keys.shares are declared, and there is no key tree in this database");
		return err_hint(err, "expunge init makes it");
	}
	(void)err_set(err, ERR_REFUSED, "neither anchor nor any key journal can be read: %.*s", first_line(notes), str_cstr(notes));
	return err_hint(err, "whether this database was restored cannot be known: bring one of them back");
}

int
lineage_draw(struct db *db, struct err *err)
{
	char nonce[33];

	return crypt_token(nonce, err) != 0 ? -1 : db_query(db, &QUERY_KEY_NONCE_DRAW, DB_PARAMS(nonce), NULL, err);
}

int
lineage_write_anchor(const struct keys *keys, struct db *db, struct err *err)
{
	CLEANUP(keyring_state_release) struct keyring_state state = { 0 };
	CLEANUP(db_result_freep) struct db_result *timeline = NULL;
	struct anchor anchor = ANCHOR_INIT;

	if (keyring_state(db, &state, err) != 0 || db_query(db, &QUERY_KEY_TIMELINE, NULL, &timeline, err) != 0)
		return -1;
	(void)snprintf(anchor.instance, sizeof(anchor.instance), "%s", keys->instance);
	(void)snprintf(anchor.nonce, sizeof(anchor.nonce), "%s", state.nonce);
	anchor.epoch = state.root.epoch;
	anchor.key_seq = state.key_seq;
	anchor.timeline = db_get_int(timeline, 0, 0);
	return anchor_write(keys->roots.anchor, &anchor, err);
}

/* The database has the nonce first: killed here, the places show an older one of its own. */
static int
show(const struct keys *keys, struct db *db, struct str *notes, struct err *err)
{
	if (lineage_draw(db, err) != 0 || (lineage_write_anchor(keys, db, err) != 0 && note_place(notes, err) != 0))
		return -1;
	for (size_t i = 0; i < keys->n_journals; i++)
		if (journal_write(&keys->journals[i], db, false, err) != 0 && note_place(notes, err) != 0)
			return -1;
	return 0;
}

int
lineage_ask(const struct keys *keys, struct db *db, struct str *notes, struct err *err)
{
	/* who is behind is told so first: it says more */
	return check_readable(keys, db, notes, err) != 0 ? -1 : check_history(keys, db, true, err);
}

int
lineage_enter(const struct keys *keys, struct db *db, struct str *notes, struct err *err)
{
	CLEANUP(str_release) struct str unused = STR_INIT;

	/* what cannot be read is written to all the same, and that says why not */
	return lineage_ask(keys, db, &unused, err) != 0 ? -1 : show(keys, db, notes, err);
}

int
lineage_claim(const struct keys *keys, struct db *db, struct err *err)
{
	CLEANUP(str_release) struct str nonces = STR_INIT;
	CLEANUP(str_release) struct str notes = STR_INIT;

	if (check_places(keys, db, err) != 0)
		return -1;
	lineage_nonces(keys, &nonces);
	if (db_query(db, &QUERY_KEY_NONCE_TAKE, DB_PARAMS(nonces.s), NULL, err) != 0 || show(keys, db, &notes, err) != 0)
		return -1;
	return notes.len == 0 ? 0 : err_set(err, ERR_FAILED, "not every place was written: %.*s", first_line(&notes), notes.s);
}
