/* dormancy: what sealing and loading share. */
#include "account/dormancy_private.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/secret.h"
#include "map/collect.h"
#include "query.h"

#define LO_PIECE "262144"

int
dormancy_hash_name(void *ctx, const char *tenant, const char *name, char ret[SHRED_HASH_SIZE], struct err *err)
{
	return ledger_subject_hash(ctx, tenant, name, ret, err);
}

int
dormancy_open(struct dormancy *ret, struct run *run, struct err *err)
{
	*ret = (struct dormancy){ .run = run };
	if (!keys_declared(run->config)) {
		(void)err_set(err, ERR_REFUSED, "keys.shares are not declared: without a key tree no account can be sealed or loaded");
		return err_hint(err, "declare them, and run expunge init");
	}
	if (crypt_random(ret->secret, sizeof(ret->secret), err) != 0 ||
	    keys_open(&ret->keys, run->config, run->instance.id, false, NULL, err) != 0 ||
	    run->connect(run->connect_ctx, run->map->login, &ret->keys_db, err) != 0 ||
	    run->connect(run->connect_ctx, run->map->login, &ret->reader, err) != 0)
		return -1;
	/* rows that a policy hides would be missed without a word; who owns what stays in memory */
	if (db_script(ret->reader, "setting the session up", "SET row_security = off; SET temp_buffers = '64MB'; SET work_mem = '32MB'", err) != 0)
		return -1;
	return collect_seal_tables(ret->reader, err) == 0 ? 0
		: err_hint(err, "the login of the data map needs the right to make temporary tables: GRANT TEMPORARY ON DATABASE");
}

void
dormancy_release(struct dormancy *dormancy)
{
	keys_close(&dormancy->keys);
	db_close(dormancy->keys_db);
	db_close(dormancy->reader);
	secret_wipe(dormancy->secret, sizeof(dormancy->secret));
}

int
dormancy_digest(const struct dormancy *dormancy, const char *table, const char *row, size_t n, uint8_t ret[SHA256_SIZE], struct err *err)
{
	struct digest *digest = NULL;
	int failed = crypt_digest_begin(&digest, err);

	/* a name has no NUL in it */
	if (failed == 0)
		failed = crypt_digest_add(digest, dormancy->secret, sizeof(dormancy->secret), err) != 0 ||
			crypt_digest_add(digest, table, strlen(table) + 1, err) != 0 || crypt_digest_add(digest, row, n, err) != 0 ||
			crypt_digest_end(digest, ret, err) != 0;
	crypt_digest_free(digest);
	return failed ? -1 : 0;
}

int
dormancy_keep_problem(struct dormancy *dormancy, const char *closure, const char *tenant, struct err *why, struct err *err)
{
	struct run *run = dormancy->run;

	if (why->code == ERR_LOST || why->code == ERR_UNKNOWN || db_is_lost(run->db)) {
		*err = *why;
		return -1;
	}
	if (db_in_transaction(run->db))
		db_rollback(run->db);
	run->n_failed++;
	run->refused = run->refused || why->code == ERR_REFUSED;
	run_note(run, NOTE_ERROR, "account %s: %s", tenant, why->msg);
	if (why->hint[0] != '\0')
		run_note(run, NOTE_ERROR, "%s", why->hint);
	return db_query(run->db, &QUERY_DORMANCY_PROBLEM, DB_PARAMS(closure, tenant, why->msg), NULL, err);
}

void
dormancy_add_columns(struct str *sql, const struct archive_table *table, const struct cat_table *cat)
{
	for (size_t c = 0; c < table->n_columns; c++)
		str_addf(sql, "%st.%s", c == 0 ? "" : ", ", cat->columns[catalog_column(cat, table->columns[c].name)].quoted);
}

void
dormancy_add_objects(struct str *sql, const char *oids)
{
	str_addf(sql, "WITH RECURSIVE piece (oid, start, data) AS (SELECT o.oid, 0::bigint, lo_get(o.oid, 0, " LO_PIECE ") FROM (%s) o (oid)"
		" UNION ALL SELECT p.oid, p.start + " LO_PIECE ", lo_get(p.oid, p.start + " LO_PIECE ", " LO_PIECE ") FROM piece p"
		" WHERE length(p.data) = " LO_PIECE ") SELECT p.oid, p.start, p.data FROM piece p", oids);
}

int
dormancy_take_keys(struct dormancy *dormancy, const char *tenant, struct dormancy_keys *ret, struct err *err)
{
	return keyring_open(&ret->ring, dormancy->keys_db, dormancy->keys.store, dormancy->keys.instance, err) != 0 ? -1
		: leaf_keys_load(&ret->leaves, &ret->ring, tenant, err);
}

void
dormancy_release_keys(struct dormancy_keys *keys)
{
	leaf_keys_release(&keys->leaves);
	if (keys->ring.locked)
		keyring_close(&keys->ring);
	*keys = (struct dormancy_keys){ 0 };
}

int
dormancy_open_archive(struct dormancy *dormancy, const struct dormancy_keys *keys, const struct archive_copy_name *name,
	int64_t generation, struct archive_copy *ret, struct err *err)
{
	const struct leaf *key = leaf_keys_find(&keys->leaves, generation);
	CLEANUP(str_release) struct str notes = STR_INIT;
	int failed;

	if (key == NULL)
		return err_set(err, ERR_FAILED, "archive %.16s: its key is shredded", name->id);
	failed = archive_copy_open(ret, &dormancy->keys, name, key->key, dormancy->run->stop, &notes, err);
	run_note_lines(dormancy->run, NOTE_WARNING, "", &notes);
	if (failed == 0)
		return 0;
	(void)err_prefix(err, "archive %.16s", name->id);
	return err_hint(err, "expunge backup --verify --repair says where it is whole, and copies it from there");
}
