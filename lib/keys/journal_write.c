#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "keys/journal_private.h"
#include "keys/keyring.h"
#include "query.h"
#include "sys/clock.h"
#include "sys/file.h"

#define FLUSH_BYTES ((size_t)256 << 10)
#define BASE_SECONDS ((int64_t)7 * 86400)

/* A segment on its way to disk: nameless until it is whole. */
struct writer {
	const struct journal *journal;
	int fd;
	char *path, *temporary;
	struct str text; /* not written yet */
	struct digest *digest;
	int64_t rows;
};

static void
writer_release(struct writer *writer)
{
	if (writer->fd >= 0)
		(void)close(writer->fd);
	if (writer->temporary != NULL)
		(void)unlink(writer->temporary);
	free(writer->temporary);
	free(writer->path);
	str_release(&writer->text);
	crypt_digest_free(writer->digest);
}

static int
flush(struct writer *writer, struct err *err)
{
	if (crypt_digest_add(writer->digest, writer->text.s, writer->text.len, err) != 0)
		return -1;
	if (file_write_all(writer->fd, writer->text.s, writer->text.len) != 0)
		return err_sys(err, "writing %s", writer->path);
	str_clear(&writer->text);
	return 0;
}

static int
add_row(void *ctx, const struct db_result *row, struct err *err)
{
	struct writer *writer = ctx;

	str_add(&writer->text, db_get_text(row, 0, 0));
	str_add(&writer->text, "\n");
	writer->rows++;
	return writer->text.len < FLUSH_BYTES ? 0 : flush(writer, err);
}

static int
end_segment(struct writer *writer, struct journal_trailer *trailer, struct err *err)
{
	uint8_t bytes[22 + 2 * SHA256_SIZE];
	CLEANUP(str_release) struct str rest = STR_INIT;

	trailer->rows = writer->rows;
	journal_trailer_format_hashed(trailer, &writer->text);
	if (flush(writer, err) != 0 || crypt_digest_end(writer->digest, trailer->hash, err) != 0)
		return -1;
	journal_signed_bytes(trailer, bytes);
	if (crypt_sign(writer->journal->signer, bytes, sizeof(bytes), trailer->signature, err) != 0)
		return -1;
	journal_trailer_format_rest(trailer, &rest);
	if (file_write_all(writer->fd, rest.s, rest.len) != 0)
		return err_sys(err, "writing %s", writer->path);
	if (file_publish(writer->fd, writer->temporary, writer->path, 0600, err) == 0)
		return 0;
	return errno != EEXIST ? -1 : err_set(err, ERR_RETRY, "writing %s: another run was first", writer->path);
}

static int
write_segment(const struct journal *journal, struct db *db, const struct journal_header *header, int64_t after,
	int64_t after_serial, struct err *err)
{
	CLEANUP(writer_release) struct writer writer = { .journal = journal, .fd = -1 };
	struct journal_trailer trailer = { 0 };
	char seq[24], serial[24];

	(void)snprintf(seq, sizeof(seq), "%" PRId64, after);
	(void)snprintf(serial, sizeof(serial), "%" PRId64, after_serial);
	writer.path = journal_path(journal, header->segment);
	writer.fd = file_open_nameless(writer.path, &writer.temporary);
	if (writer.fd < 0)
		return err_sys(err, "creating a file for %s", writer.path);
	journal_header_format(header, &writer.text);
	if (crypt_digest_begin(&writer.digest, err) != 0 ||
	    crypt_sha256(writer.text.s, writer.text.len, trailer.head, err) != 0 || flush(&writer, err) != 0 ||
	    db_each(db, QUERY_JOURNAL_ROWS.sql, 2, DB_PARAMS(seq, serial), add_row, &writer, err) != 0)
		return -1;
	return end_segment(&writer, &trailer, err);
}

/* The journal must hold nothing that this database has never come to, or has lost. */
static int
check_behind(const struct journal *journal, const struct journal_head *head, const struct keyring_state *state, struct err *err)
{
	const struct journal_header *there = &head->header;

	if (there->key_seq > state->key_seq || there->root.epoch > state->root.epoch)
		(void)err_set(err, ERR_REFUSED, "the key journal in %s has come to key_seq %" PRId64 ", and the database is at %" PRId64,
			journal->directory, there->key_seq, state->key_seq);
	/* one attempt wins in each epoch: two are the ends of two histories */
	else if (there->root.epoch == state->root.epoch && !root_id_equal(&there->root, &state->root))
		(void)err_set(err, ERR_REFUSED, "the key journal in %s came to epoch %" PRId64 " by another change of the root than the database",
			journal->directory, there->root.epoch);
	else if (there->serial > state->serial)
		(void)err_set(err, ERR_REFUSED, "the key journal in %s has certificate %" PRId64 ", and the database has come to %" PRId64,
			journal->directory, there->serial, state->serial);
	else
		return 0;
	return err_hint(err, "the database was restored from an older copy: expunge restore --adopt");
}

#define LEAVES_AT_ONCE 10000

/* Leaves of the journal that the database has not. */
struct strangers {
	struct db *db;
	struct str ids, kcvs; /* not asked about yet */
	size_t n_asking;
	int64_t n;
};

static void
strangers_release(struct strangers *strangers)
{
	str_release(&strangers->ids);
	str_release(&strangers->kcvs);
}

static int
ask_for_strangers(struct strangers *strangers, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	if (db_query(strangers->db, &QUERY_JOURNAL_STRANGERS, DB_PARAMS(array_end(&strangers->ids), array_end(&strangers->kcvs)), &res,
		    err) != 0)
		return -1;
	strangers->n += db_get_int(res, 0, 0);
	strangers->n_asking = 0;
	str_clear(&strangers->ids);
	str_clear(&strangers->kcvs);
	return 0;
}

static int
add_leaf(void *ctx, struct journal_row *row, struct err *err)
{
	struct strangers *strangers = ctx;
	char hex[2 * KCV_SIZE + 1];

	if (row->kind != JOURNAL_LEAF)
		return 0;
	bytes_to_hex(row->leaf.kcv, KCV_SIZE, hex);
	array_add_int(&strangers->ids, row->leaf.id);
	array_add(&strangers->kcvs, hex);
	return ++strangers->n_asking < LEAVES_AT_ONCE ? 0 : ask_for_strangers(strangers, err);
}

/* A restored database that has gone on is not behind any more by its numbers: but the leaves that the journal ends with
 * are others. */
static int
check_leaves(const struct journal *journal, struct db *db, int64_t segment, struct err *err)
{
	CLEANUP(strangers_release) struct strangers strangers = { .db = db };
	struct journal_head head;

	if (journal_read(journal, segment, add_leaf, &strangers, &head, err) != 0 || ask_for_strangers(&strangers, err) != 0)
		return -1;
	if (strangers.n == 0)
		return 0;
	(void)err_set(err, ERR_REFUSED, "the key journal in %s ends with %" PRId64 " leaf keys that the database has not",
		journal->directory, strangers.n);
	return err_hint(err, "the database was restored from an older copy: expunge restore --adopt");
}

int
journal_check(const struct journal *journal, struct db *db, bool *ret_found, struct err *err)
{
	CLEANUP(keyring_state_release) struct keyring_state state = { 0 };
	struct journal_head head;
	bool found;

	/* in this order: what is written meanwhile makes the database newer, not the journal */
	if (journal_head(journal, &head, &found, err) != 0 || keyring_state(db, &state, err) != 0)
		return -1;
	if (ret_found != NULL)
		*ret_found = found;
	if (!found)
		return 0;
	return check_behind(journal, &head, &state, err) != 0 ? -1 : check_leaves(journal, db, head.header.segment, err);
}

/* A base is due each week: what is read to adopt the journal is bounded by that. */
static int
base_is_due(const struct journal *journal, const struct journal_head *head, bool *ret, struct err *err)
{
	CLEANUP(free_text) char *path = journal_path(journal, head->header.base_segment);
	struct journal_head base;
	char week_ago[21];

	if (journal_read_head(journal, head->header.base_segment, path, &base, err) != 0)
		return err_prefix(err, "key journal %s", path);
	clock_text(clock_now() - BASE_SECONDS, week_ago);
	*ret = strcmp(base.header.made, week_ago) < 0;
	return 0;
}

/* What the next segment says, and after what it begins; *ret_needed false: the journal has all that the database has. */
static int
next_header(const struct journal *journal, struct db *db, bool base, struct journal_header *ret, struct journal_head *ret_after,
	bool *ret_needed, struct err *err)
{
	CLEANUP(keyring_state_release) struct keyring_state state = { 0 };
	const struct journal_header *last = &ret_after->header;
	bool found, due = base;

	if (journal_head(journal, ret_after, &found, err) != 0 || keyring_state(db, &state, err) != 0)
		return -1;
	if (state.root.epoch == 0)
		return err_set(err, ERR_FAILED, "there is no key tree in this database");
	if (found && (check_behind(journal, ret_after, &state, err) != 0 || check_leaves(journal, db, last->segment, err) != 0 ||
			     (!base && base_is_due(journal, ret_after, &due, err) != 0)))
		return -1;
	*ret_needed = !found || due || last->key_seq < state.key_seq || last->root.epoch < state.root.epoch ||
		last->serial < state.serial || strcmp(last->nonce, state.nonce) != 0;
	*ret = (struct journal_header){ .segment = found ? last->segment + 1 : 1, .base = due || !found, .key_seq = state.key_seq,
		.serial = state.serial, .root = state.root };
	ret->base_segment = ret->base ? ret->segment : last->base_segment;
	if (found)
		(void)memcpy(ret->previous, ret_after->trailer.hash, SHA256_SIZE);
	(void)snprintf(ret->instance, sizeof(ret->instance), "%s", journal->instance);
	(void)snprintf(ret->nonce, sizeof(ret->nonce), "%s", state.nonce);
	clock_text(clock_now(), ret->made);
	return 0;
}

int
journal_mark(const struct journal *journal, struct err *err)
{
	CLEANUP(free_text) char *keys = file_join(journal->directory, "keys");
	CLEANUP(free_text) char *ours = file_join(keys, journal->instance);

	if (file_make_directory(keys, 0700, err) == 0 && file_make_directory(ours, 0700, err) == 0)
		return 0;
	return err_hint(err, "the destination must be there, on the disk that is meant, and ours");
}

static int
write_next(const struct journal *journal, struct db *db, bool base, int64_t *ret_segment, struct err *err)
{
	struct journal_header header;
	struct journal_head after;
	bool needed = false;

	/* one snapshot, so that the rows are those that the header speaks of */
	if (db_command(db, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY", 0, NULL, NULL, err) != 0 ||
	    next_header(journal, db, base, &header, &after, &needed, err) != 0)
		return -1;
	if (!needed)
		return 0;
	*ret_segment = header.segment;
	return write_segment(journal, db, &header, header.base ? -1 : after.header.key_seq, header.base ? 0 : after.header.serial, err);
}

/* *ret_segment: that was written; 0: none was needed. */
static int
try_write(const struct journal *journal, struct db *db, bool base, int64_t *ret_segment, struct err *err)
{
	*ret_segment = 0;
	if (db_begin(db, err) != 0)
		return -1;
	if (write_next(journal, db, base, ret_segment, err) == 0 && db_commit(db, err) == 0)
		return 0;
	db_rollback(db);
	return -1;
}

/* Whoever comes second reads what the first has written, and adds the rest: each loss is a segment more. */
static bool
is_overtaken(const struct err *err)
{
	return err->code == ERR_RETRY && err->sqlstate[0] == '\0';
}

int
journal_write(const struct journal *journal, struct db *db, bool base, struct err *err)
{
	struct journal_head read;
	int64_t segment;
	int failed;

	do
		failed = try_write(journal, db, base, &segment, err);
	while (failed != 0 && is_overtaken(err));
	if (failed != 0)
		return err_prefix(err, "key journal in %s", journal->directory);
	return segment == 0 ? 0 : journal_read(journal, segment, NULL, NULL, &read, err);
}
