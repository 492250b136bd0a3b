#include "account/dormancy_keep.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive/fill.h"
#include "archive/numbered.h"
#include "base/array.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "query.h"

#define SEALED "pg_temp.expunge_sealed"

/* ---- what is in the archive ---------------------------------------------------------------------- */

struct staging {
	const struct dormancy *dormancy;
	const struct archive *archive;
	struct db *db;
	struct str objects; /* oid[] */
};

/* "0011...": as the server reads a uuid. */
static int
digest_text(const struct dormancy *dormancy, const char *table, const char *row, size_t n, char ret[2 * DORMANCY_DIGEST + 1], struct err *err)
{
	uint8_t digest[SHA256_SIZE];

	if (dormancy_digest(dormancy, table, row, n, digest, err) != 0)
		return -1;
	bytes_to_hex(digest, DORMANCY_DIGEST, ret);
	return 0;
}

static int
stage_row(void *ctx, uint32_t table, int64_t place, const char *row, size_t n, struct err *err)
{
	struct staging *staging = ctx;
	char digest[2 * DORMANCY_DIGEST + 1], line[120];
	int length;

	if (digest_text(staging->dormancy, archive_table(staging->archive, table)->name, row, n, digest, err) != 0)
		return -1;
	if (strcmp(archive_table(staging->archive, table)->name, FILL_LO) == 0)
		array_add_int(&staging->objects, strtoll(row, NULL, 10));
	length = snprintf(line, sizeof(line), "%" PRIu32 "\t%" PRId64 "\t%s\n", table, place, digest);
	return db_copy_in_put(staging->db, line, (size_t)length, err);
}

/* The archive has their bytes and numbers; they would come back as the login's own. */
static int
check_objects(struct staging *staging, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	if (staging->objects.len == 0)
		return 0;
	if (db_text(staging->db, DB_ONE, "SELECT count(*) FROM pg_catalog.pg_largeobject_metadata m WHERE m.oid = ANY ($1::oid[])"
		" AND (m.lomacl IS NOT NULL OR pg_get_userbyid(m.lomowner) <> current_user)", 1, DB_PARAMS(array_end(&staging->objects)), &res, err) != 0)
		return -1;
	if (db_get_int(res, 0, 0) == 0)
		return 0;
	(void)err_set(err, ERR_REFUSED, "%s of its large objects have another owner than the login of the data map, or privileges of their own, which "
		"would be lost", db_get_text(res, 0, 0));
	return err_hint(err, "ALTER LARGE OBJECT ... OWNER TO that login, and revoke what was granted on them; nothing was removed");
}

static void
copy_tables(struct dormancy_keep *keep, const struct archive *archive)
{
	keep->n_tables = archive_tables(archive);
	keep->tables = mem_zero(keep->n_tables + 1, sizeof(*keep->tables));
	for (size_t i = 0; i < keep->n_tables; i++) {
		const struct archive_table *from = archive_table(archive, i);
		struct archive_table *to = &keep->tables[i];

		to->name = mem_copy(from->name);
		to->columns = mem_zero(from->n_columns + 1, sizeof(*to->columns));
		for (size_t c = 0; c < from->n_columns; c++)
			to->columns[to->n_columns++] = (struct archive_column){ mem_copy(from->columns[c].name), mem_copy(from->columns[c].type) };
	}
}

static int
stage(struct dormancy_keep *keep, struct archive *archive, const struct dormancy_keys *keys, struct err *err)
{
	struct staging staging = { .dormancy = keep->dormancy, .archive = archive, .db = keep->dormancy->reader };
	struct archive_tally tally;
	int failed;

	if (db_script(staging.db, "making room for what is sealed", "DROP TABLE IF EXISTS " SEALED ";"
		" CREATE TEMPORARY TABLE expunge_sealed (number integer NOT NULL, place bigint NOT NULL, digest uuid NOT NULL)", err) != 0 ||
	    db_begin(staging.db, err) != 0)
		return -1;
	if (db_copy_in_begin(staging.db, "COPY " SEALED " FROM STDIN", err) != 0 ||
	    numbered_read(archive, ARCHIVE_SEVERAL, &keys->leaves, stage_row, &staging, &tally, err) != 0 ||
	    db_copy_in_end(staging.db, NULL, err) != 0 || db_commit(staging.db, err) != 0) {
		str_release(&staging.objects);
		db_rollback(staging.db);
		return -1;
	}
	failed = check_objects(&staging, err);
	str_release(&staging.objects);
	if (failed != 0)
		return -1;
	if (tally.withheld > 0)
		return err_set(err, ERR_FAILED, "%" PRIu64 " rows of its archive do not open: their keys are shredded", tally.withheld_rows);
	return db_script(staging.db, "making room for what is sealed", "CREATE INDEX ON " SEALED " (digest); ANALYZE " SEALED, err);
}

/* ---- the steps of a chunk ------------------------------------------------------------------------ */

static void
forget_taken(struct dormancy_keep *keep)
{
	for (size_t i = 0; i < keep->n_taken; i++) {
		free(keep->taken[i].firsts);
		free(keep->taken[i].lasts);
	}
	free(keep->taken);
	keep->taken = NULL;
	keep->n_taken = 0;
	str_clear(&keep->row_hashes);
	str_clear(&keep->birth_hashes);
}

/* Rows that an earlier chunk took are taken when that has committed, and else are there again. */
static int
settle(struct dormancy_keep *keep, struct err *err)
{
	struct db *reader = keep->dormancy->reader;
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	forget_taken(keep);
	if (keep->pending[0] == '\0')
		return 0;
	if (db_query(keep->dormancy->run->db, &QUERY_PURGE_CHUNK_FIND, DB_PARAMS(keep->pending), &res, err) != 0)
		return -1;
	keep->pending[0] = '\0';
	if (db_get_bool(res, 0, 0))
		return db_commit(reader, err);
	db_rollback(reader);
	return 0;
}

static int
again(void *ctx, struct err *err)
{
	struct dormancy_keep *keep = ctx;
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	if (db_query(keep->dormancy->run->db, &QUERY_DORMANCY_AGAIN, DB_PARAMS(keep->closure), &res, err) != 0)
		return -1;
	if (db_rows(res) == 1 && db_get_bool(res, 0, 0))
		return 0;
	(void)err_set(err, ERR_REFUSED, "it came back, or is being purged: no more of it is taken out");
	return err_hint(err, "what has left is loaded again");
}

/* The live rows of one table as digests. */
struct live {
	const struct dormancy *dormancy;
	const char *table;
	struct str digests; /* uuid[] */
	int64_t n;
};

static int
take_live(void *ctx, const char *row, size_t n, struct err *err)
{
	struct live *live = ctx;
	char digest[2 * DORMANCY_DIGEST + 1];

	if (digest_text(live->dormancy, live->table, row, n, digest, err) != 0)
		return -1;
	str_add(&live->digests, live->n++ == 0 ? "{" : ",");
	str_add(&live->digests, digest);
	return 0;
}

static int
refuse_changed(struct dormancy_keep *keep, const char *table, int64_t missing, struct err *err)
{
	keep->changed = true;
	(void)err_set(err, ERR_FAILED, "%s: %" PRId64 " rows are not as they were sealed", table, missing);
	return err_hint(err, "they were written to meanwhile, and nothing of them was removed; the next run seals the account again");
}

/* Each live row is one of the archive, that no other row is. */
static int
compare(struct dormancy_keep *keep, uint32_t number, int table, struct live *live, struct err *err)
{
	struct dormancy_taking *taking;
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	char text[16];

	(void)snprintf(text, sizeof(text), "%" PRIu32, number);
	str_add(&live->digests, live->n == 0 ? "{}" : "}");
	if (db_text(keep->dormancy->reader, DB_ONE,
		    "WITH live AS MATERIALIZED (SELECT d.digest, row_number() OVER (PARTITION BY d.digest) AS nth FROM unnest($1::uuid[]) AS d(digest)),"
		    " kept AS (SELECT s.digest, s.place, s.ctid AS at, row_number() OVER (PARTITION BY s.digest ORDER BY s.place) AS nth"
		    "  FROM (SELECT DISTINCT l.digest FROM live l) w JOIN " SEALED " s ON s.digest = w.digest WHERE s.number = $2::integer),"
		    " taken AS (DELETE FROM " SEALED " s USING live l JOIN kept k ON k.digest = l.digest AND k.nth = l.nth WHERE s.ctid = k.at"
		    "  RETURNING s.place),"
		    " run AS (SELECT min(x.place) AS first, max(x.place) AS last FROM (SELECT t.place, t.place - row_number() OVER (ORDER BY t.place) AS n"
		    "  FROM taken t) x GROUP BY x.n)"
		    " SELECT (SELECT count(*) FROM taken), array_agg(r.first ORDER BY r.first), array_agg(r.last ORDER BY r.first) FROM run r",
		    2, DB_PARAMS(live->digests.s, text), &res, err) != 0)
		return -1;
	if (db_get_int(res, 0, 0) != live->n)
		return refuse_changed(keep, live->table, live->n - db_get_int(res, 0, 0), err);
	if (live->n == 0)
		return 0;
	taking = MEM_PUSH(keep->taken, keep->n_taken);
	*taking = (struct dormancy_taking){ .number = number, .table = table, .rows = live->n, .firsts = mem_copy(db_get_text(res, 0, 1)),
		.lasts = mem_copy(db_get_text(res, 0, 2)) };
	return 0;
}

static int
number_of(const struct dormancy_keep *keep, const char *name)
{
	for (size_t i = 0; i < keep->n_tables; i++)
		if (strcmp(keep->tables[i].name, name) == 0)
			return (int)i;
	return -1;
}

static int
take_table(struct dormancy_keep *keep, const struct purge *purge, const char *chunk, int table, struct err *err)
{
	const struct cat_table *cat = program_cat(purge->program, table);
	struct live live = { .dormancy = keep->dormancy, .table = cat->full };
	CLEANUP(str_release) struct str sql = STR_INIT;
	int number = number_of(keep, cat->full), failed;

	if (number < 0)
		return err_set(err, ERR_FAILED, "%s is not in its archive: nothing of this chunk was removed", cat->full);
	str_add(&sql, "COPY (SELECT ");
	dormancy_add_columns(&sql, &keep->tables[number], cat);
	str_add(&sql, " FROM expunge.key_set k JOIN ");
	sql_from(&sql, purge->program, table, "t");
	str_add(&sql, " ON ");
	sql_match(&sql, purge->program, table, 0, "t", "k");
	str_addf(&sql, " WHERE k.request_id = '%s'::uuid AND k.table_id = %d AND k.via = 0) TO STDOUT", chunk, purge->program->tables[table].id);
	failed = db_copy_out(purge->run->db, sql.s, take_live, &live, NULL, err) != 0 || compare(keep, (uint32_t)number, table, &live, err) != 0;
	str_release(&live.digests);
	return failed ? -1 : 0;
}

/* Large objects: each piece that is sealed, of those that go with the chunk. */
static int
take_objects(struct dormancy_keep *keep, const struct purge *purge, const char *chunk, struct err *err)
{
	struct live live = { .dormancy = keep->dormancy, .table = FILL_LO };
	CLEANUP(free_text) char *oids = mem_printf("SELECT DISTINCT m.oid FROM expunge.key_set k JOIN pg_catalog.pg_largeobject_metadata m"
		" ON m.oid::text = k.key[1] WHERE k.request_id = '%s'::uuid AND k.via >= %d AND k.via < %d", chunk, PROGRAM_VIA_LO, PROGRAM_VIA_DOCUMENT);
	CLEANUP(str_release) struct str sql = STR_INIT;
	int number = number_of(keep, FILL_LO), failed;

	if (number < 0)
		return 0;
	str_add(&sql, "COPY (");
	dormancy_add_objects(&sql, oids);
	str_add(&sql, ") TO STDOUT");
	failed = db_copy_out(purge->run->db, sql.s, take_live, &live, NULL, err) != 0 || compare(keep, (uint32_t)number, -1, &live, err) != 0;
	str_release(&live.digests);
	return failed ? -1 : 0;
}

static int
hash_subjects(struct dormancy_keep *keep, const struct purge_removal *removal, const struct purge_chunk *chunk, struct err *err)
{
	const struct purge *purge = removal->purge;
	CLEANUP(db_result_freep) struct db_result *subjects = NULL;
	char row[65], birth[65];

	if (purge_chunk_subjects(removal, chunk, &subjects, err) != 0)
		return -1;
	for (int i = 0; i < db_rows(subjects); i++) {
		if (ledger_row_hashes(purge->run->ledger, removal->tenant, purge->map->tables[purge->map->subject].name, db_get_text(subjects, i, 1),
			    db_get_text(subjects, i, 2), row, birth, err) != 0)
			return -1;
		array_add(&keep->row_hashes, row);
		array_add(&keep->birth_hashes, birth);
	}
	(void)array_end(&keep->row_hashes);
	(void)array_end(&keep->birth_hashes);
	return 0;
}

/* The tables that have rows in the chunk. */
static int
find_tables(const struct purge *purge, const char *chunk, struct db_result **ret, struct err *err)
{
	return db_text(purge->run->db, DB_MANY, "SELECT DISTINCT k.table_id FROM expunge.key_set k WHERE k.request_id = $1::uuid AND k.via = 0"
		" ORDER BY 1", 1, DB_PARAMS(chunk), ret, err);
}

static int
take(void *ctx, const struct purge_removal *removal, const struct purge_chunk *chunk, struct err *err)
{
	struct dormancy_keep *keep = ctx;
	CLEANUP(db_result_freep) struct db_result *tables = NULL;

	if (settle(keep, err) != 0 || find_tables(removal->purge, chunk->id, &tables, err) != 0 || db_begin(keep->dormancy->reader, err) != 0)
		return -1;
	(void)snprintf(keep->pending, sizeof(keep->pending), "%s", chunk->id);
	for (int i = 0; i < db_rows(tables); i++)
		if (take_table(keep, removal->purge, chunk->id, program_table_by_id(removal->purge->program, (int)db_get_int(tables, i, 0)), err) != 0)
			return -1;
	return take_objects(keep, removal->purge, chunk->id, err) != 0 ? -1 : hash_subjects(keep, removal, chunk, err);
}

static int
record_taken(const struct dormancy_keep *keep, const struct purge *purge, const struct purge_chunk *chunk, const struct dormancy_taking *taking,
	int64_t created, struct err *err)
{
	char number[16], table[16], rows[24], n_created[24];

	(void)snprintf(number, sizeof(number), "%" PRIu32, taking->number);
	(void)snprintf(table, sizeof(table), "%d", taking->table < 0 ? 0 : purge->program->tables[taking->table].id);
	(void)snprintf(rows, sizeof(rows), "%" PRId64, taking->rows);
	(void)snprintf(n_created, sizeof(n_created), "%" PRId64, created);
	return db_query(keep->dormancy->run->db, &QUERY_DORMANCY_TAKEN_ADD,
		DB_PARAMS(chunk->id, number, taking->table < 0 ? NULL : table, taking->table < 0 ? "" : purge->map->tables[taking->table].class, rows,
			n_created, taking->firsts, taking->lasts), NULL, err);
}

static int
record(void *ctx, const struct purge_removal *removal, const struct purge_chunk *chunk, const struct tallies *tallies, bool controlled,
	struct err *err)
{
	struct dormancy_keep *keep = ctx;
	char subjects[24], rows[24];

	(void)snprintf(subjects, sizeof(subjects), "%" PRId64, chunk->subjects);
	(void)snprintf(rows, sizeof(rows), "%" PRId64, chunk->rows);
	if (db_query(keep->dormancy->run->db, &QUERY_DORMANCY_CHUNK_ADD,
		    DB_PARAMS(chunk->id, keep->closure, keep->archive, subjects, rows, controlled ? "true" : "false", chunk->last ? "true" : "false",
			    keep->row_hashes.s, keep->birth_hashes.s), NULL, err) != 0)
		return -1;
	for (size_t i = 0; i < keep->n_taken; i++) {
		int table = keep->taken[i].table;

		if (record_taken(keep, removal->purge, chunk, &keep->taken[i], table < 0 ? 0 : tallies->cells[table].created, err) != 0)
			return -1;
	}
	return 0;
}

/* ---- opened and closed --------------------------------------------------------------------------- */

int
dormancy_keep_open(struct dormancy_keep *ret, struct dormancy *dormancy, const char *closure, const char *tenant,
	const struct archive_copy_name *name, int64_t generation, struct err *err)
{
	CLEANUP(dormancy_release_keys) struct dormancy_keys keys = { 0 };
	CLEANUP(archive_copy_close) struct archive_copy copy = ARCHIVE_COPY_INIT;

	ret->dormancy = dormancy;
	ret->closure = closure;
	ret->tenant = tenant;
	(void)snprintf(ret->archive, sizeof(ret->archive), "%s", name->id);
	ret->steps = (struct purge_keep){ .ctx = ret, .again = again, .take = take, .record = record };
	if (dormancy_take_keys(dormancy, tenant, &keys, err) != 0 ||
	    dormancy_open_archive(dormancy, &keys, name, generation, &copy, err) != 0)
		return -1;
	copy_tables(ret, copy.archive);
	return stage(ret, copy.archive, &keys, err);
}

void
dormancy_keep_release(struct dormancy_keep *keep)
{
	struct err unused = { 0 };

	if (keep->dormancy != NULL && db_in_transaction(keep->dormancy->reader))
		db_rollback(keep->dormancy->reader);
	if (keep->dormancy != NULL && !db_is_lost(keep->dormancy->reader))
		(void)db_script(keep->dormancy->reader, "forgetting what is sealed", "DROP TABLE IF EXISTS " SEALED, &unused);
	forget_taken(keep);
	str_release(&keep->row_hashes);
	str_release(&keep->birth_hashes);
	for (size_t i = 0; i < keep->n_tables; i++)
		archive_table_release(&keep->tables[i]);
	free(keep->tables);
}
