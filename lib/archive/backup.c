#include "archive/backup.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive/backup_private.h"
#include "archive/sending.h"
#include "base/array.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "base/parse.h"
#include "map/tenant_rows.h"
#include "query.h"
#include "sys/clock.h"

/* columns of archive_unnamed */
enum { U_ID, U_HASH, U_DESTINATIONS };

/* One archive on its way. */
struct sealing {
	const struct backup *backup;
	const char *tenant;
	struct keyring ring;
	struct leaf generation;
	struct archive_header header;
	struct destinations places;
	struct archive_writer *writer;
	struct earlier *earlier;
	struct fill fill;
	struct backup_result *result;
};

void
backup_result_release(struct backup_result *result)
{
	str_release(&result->failures);
	*result = (struct backup_result){ 0 };
}

static void
release(struct sealing *sealing)
{
	archive_writer_free(sealing->writer);
	sealing->writer = NULL;
	earlier_free(TAKE_PTR(sealing->earlier));
	destinations_release(&sealing->places);
	fill_release(&sealing->fill);
	leaf_wipe(&sealing->generation, 1);
	if (sealing->ring.locked)
		keyring_close(&sealing->ring);
}

/* ---- leaves ------------------------------------------------------------------------------------- */

static int
take_leaves(struct sealing *sealing, const char *kind, const char *const *names, size_t n, struct leaf *ret, struct err *err)
{
	const struct backup *b = sealing->backup;
	CLEANUP(free_text) char *hashes = mem_zero(n, SHRED_HASH_SIZE);
	CLEANUP(free_text) char *memory = mem_zero(n, sizeof(const char *));
	const char **list = (const char **)(void *)memory;
	const struct leaf_names wanted = { .tenant = sealing->tenant, .kind = kind, .names = names, .hashes = list, .n = n };

	for (size_t i = 0; i < n; i++) {
		list[i] = hashes + i * SHRED_HASH_SIZE;
		if (b->hash(b->hash_ctx, sealing->tenant, names[i], hashes + i * SHRED_HASH_SIZE, err) != 0)
			return -1;
	}
	return leaf_take(&sealing->ring, &wanted, LEAF_MAKE, ret, err);
}

/* Of this archive and no other: the leaf's name is the archive's, so that a leaf whose archive never got into the
 * catalogue can be told from one whose file is somewhere. */
static int
take_generation(struct sealing *sealing, struct err *err)
{
	uint8_t *id = sealing->header.id;

	if (crypt_random(id, ARCHIVE_ID_SIZE, err) != 0)
		return -1;
	bytes_to_hex(id, ARCHIVE_ID_SIZE, sealing->result->id);
	if (take_leaves(sealing, "generation", DB_PARAMS(sealing->result->id), 1, &sealing->generation, err) != 0)
		return -1;
	if (sealing->generation.state == LEAF_LIVING)
		return 0;
	(void)err_set(err, ERR_FAILED, "the keys of this tenant were shredded as a whole, and nothing of it is sealed any more");
	return err_hint(err, "its rows should be gone: see why they are there, or came back");
}

/* ---- the snapshot ------------------------------------------------------------------------------- */

static int
check_schema(const struct backup *backup, struct err *err)
{
	CLEANUP(catalog_freep) struct catalog *now = NULL;
	char hash[72], version[CATALOG_VERSION_SIZE];

	if (catalog_version(backup->db, version, err) != 0)
		return -1;
	if (strcmp(version, backup->schema_version) == 0)
		return 0;
	if (catalog_read(&now, backup->db, err) != 0 || catalog_hash(now, hash, err) != 0)
		return -1;
	if (strcmp(hash, backup->program->schema_hash) == 0)
		return 0;
	(void)err_set(err, ERR_REFUSED, "the schema changed while the run was under way");
	return err_hint(err, "the next run reads it anew");
}

/* The locks come before the first query, which takes the snapshot. */
static int
begin_snapshot(const struct backup *backup, struct err *err)
{
	if (db_begin(backup->db, err) != 0)
		return -1;
	if (db_command(backup->db, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", 0, NULL, NULL, err) != 0)
		return -1;
	if (fill_lock(backup->program, backup->db, err) != 0 || check_schema(backup, err) != 0)
		return -1;
	/* the server sorts rows of a batch by their owners: on its disk that takes twice as long */
	return db_script(backup->db, "giving the server memory to sort",
		"SELECT set_config('work_mem', '32MB', true) WHERE pg_size_bytes(current_setting('work_mem')) < 33554432", err);
}

static int
hash_of(const char *text, uint8_t ret[SHA256_SIZE], struct err *err)
{
	const char *hex = strchr(text, ':');

	if (hex == NULL || bytes_from_hex(hex + 1, ret, SHA256_SIZE) != 0)
		return err_set(err, ERR_FAILED, "%.80s is no SHA-256", text);
	return 0;
}

static int
fill_header(struct sealing *sealing, struct err *err)
{
	const struct backup *b = sealing->backup;
	struct archive_header *header = &sealing->header;
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	header->kind = b->closure != NULL ? ARCHIVE_DORMANT : ARCHIVE_BACKUP;
	header->generation = sealing->generation.id;
	header->created = clock_now();
	header->system_identifier = b->system_identifier;
	(void)snprintf(header->instance, sizeof(header->instance), "%s", b->keys->instance);
	if (hash_of(b->program->map->hash, header->map_hash, err) != 0 ||
	    hash_of(b->program->schema_hash, header->schema_hash, err) != 0 ||
	    db_query(b->db, &QUERY_BACKUP_PLACE, NULL, &res, err) != 0)
		return -1;
	header->lsn = (uint64_t)db_get_int(res, 0, 0);
	return 0;
}

/* ---- rows --------------------------------------------------------------------------------------- */

static int
seal_tenant(struct sealing *sealing, struct err *err)
{
	struct leaf leaf;
	int failed = 0;

	if (take_leaves(sealing, "tenant", &sealing->tenant, 1, &leaf, err) != 0)
		return -1;
	if (leaf.state == LEAF_LIVING)
		failed = fill_tenant(&sealing->fill, &leaf, err);
	else
		sealing->result->withheld++;
	leaf_wipe(&leaf, 1);
	return failed;
}

static int
seal_batch(struct sealing *sealing, const struct db_result *rows, struct err *err)
{
	size_t n = (size_t)db_rows(rows), kept = 0;
	CLEANUP(free_text) char *memory = mem_zero(n, sizeof(const char *));
	const char **names = (const char **)(void *)memory;
	struct leaf *leaves = mem_zero(n, sizeof(*leaves));
	int failed;

	for (size_t i = 0; i < n; i++)
		names[i] = db_get_text(rows, (int)i, 0);
	failed = take_leaves(sealing, "subject", names, n, leaves, err);
	if (failed == 0) {
		for (size_t i = 0; i < n; i++)
			kept += leaves[i].state == LEAF_LIVING;
		sealing->result->subjects += (int64_t)kept;
		sealing->result->withheld += (int64_t)(n - kept);
		failed = fill_subjects(&sealing->fill, leaves, names, n, err);
	}
	leaf_wipe(leaves, n);
	free(leaves);
	return failed;
}

static int
seal_subjects(struct sealing *sealing, struct err *err)
{
	const struct program *program = sealing->backup->program;
	struct db *db = sealing->backup->db;
	CLEANUP(str_release) struct str sql = STR_INIT;
	CLEANUP(free_text) char *fetch = mem_printf("FETCH %d FROM seal_subjects", FILL_OWNERS_MAX);

	const char *key = program_cat(program, program->map->subject)->columns[program->map->subject_key_column].quoted;

	/* in the same order every time: an owner whose rows need several frames gets the same ones again */
	str_addf(&sql, "DECLARE seal_subjects NO SCROLL CURSOR FOR SELECT t.%s::text", key);
	sql_subjects(&sql, program, sealing->tenant);
	str_addf(&sql, " ORDER BY t.%s", key);
	if (db_command(db, sql.s, 0, NULL, NULL, err) != 0)
		return -1;
	for (;;) {
		CLEANUP(db_result_freep) struct db_result *rows = NULL;

		if (db_text(db, DB_MANY, fetch, 0, NULL, &rows, err) != 0)
			return -1;
		if (db_rows(rows) == 0)
			return 0;
		if (seal_batch(sealing, rows, err) != 0)
			return -1;
	}
}

/* The snapshot ends with the last row: what is behind it may take its time. */
static int
seal_rows(struct sealing *sealing, struct err *err)
{
	const struct backup *b = sealing->backup;
	struct archive_sink sink;

	if (!b->full && b->closure == NULL && earlier_open(&sealing->earlier, b->keys, &sealing->ring, sealing->tenant, clock_now(), &sealing->result->whole, err) != 0)
		return -1;
	if (begin_snapshot(b, err) != 0 || fill_header(sealing, err) != 0)
		return -1;
	destinations_init(&sealing->places, b->keys, sealing->header.id);
	if (destinations_open(&sealing->places, &sink, err) != 0 ||
	    archive_write_begin(&sealing->writer, &sealing->header, sealing->generation.key, &sink, 1, err) != 0)
		return -1;
	sealing->fill = (struct fill){ .program = b->program, .db = b->db, .writer = sealing->writer, .tenant = sealing->tenant,
		.progress = b->progress, .stop = b->stop };
	documents_init(&sealing->fill.documents, b->config, b->keys->instance);
	if (fill_tables(&sealing->fill, err) != 0)
		return -1;
	if (sealing->earlier != NULL && earlier_has_tables(sealing->earlier, sealing->writer))
		sealing->fill.earlier = sealing->earlier;
	if (seal_tenant(sealing, err) != 0 ||
	    (!tenant_is_nobody(b->program, sealing->tenant) && seal_subjects(sealing, err) != 0))
		return -1;
	sealing->result->n_missing = sealing->fill.n_missing;
	return archive_write_end(sealing->writer, b->keys->signer, &sealing->result->summary, err) != 0 ? -1
		: db_commit(b->db, err);
}

/* ---- names -------------------------------------------------------------------------------------- */

static void
add_names(struct str *array, const struct destinations *places, bool named)
{
	for (size_t i = 0; i < places->n; i++)
		if (!places->items[i].failed && (!named || places->items[i].named))
			array_add(array, places->items[i].name);
}

/* The archives that it refers to. */
static void
add_needs(struct str *array, const struct archive_writer *writer)
{
	char id[2 * ARCHIVE_ID_SIZE + 1];
	size_t n;
	const struct archive_file *files = archive_writer_files(writer, &n);

	for (size_t i = 0; i < n; i++) {
		bytes_to_hex(files[i].id, ARCHIVE_ID_SIZE, id);
		array_add(array, id);
	}
}

static int
announce(const struct sealing *sealing, struct err *err)
{
	const struct archive_summary *summary = &sealing->result->summary;
	CLEANUP(str_release) struct str names = STR_INIT;
	CLEANUP(str_release) struct str needs = STR_INIT;
	char generation[24], created[24], lsn[24], size[24], frames[24], rows[24], withheld[24], hash[2 * SHA256_SIZE + 1];

	(void)snprintf(generation, sizeof(generation), "%" PRId64, sealing->header.generation);
	(void)snprintf(created, sizeof(created), "%" PRId64, sealing->header.created);
	(void)snprintf(lsn, sizeof(lsn), "%" PRIu64, sealing->header.lsn);
	(void)snprintf(size, sizeof(size), "%" PRIu64, summary->size);
	(void)snprintf(frames, sizeof(frames), "%" PRIu64, summary->frames);
	(void)snprintf(rows, sizeof(rows), "%" PRIu64, summary->rows);
	(void)snprintf(withheld, sizeof(withheld), "%" PRId64, sealing->result->withheld);
	bytes_to_hex(summary->hash, SHA256_SIZE, hash);
	add_names(&names, &sealing->places, false);
	add_needs(&needs, sealing->writer);
	return db_query(sealing->backup->keys_db, &QUERY_ARCHIVE_ADD,
		DB_PARAMS(sealing->result->id, sealing->tenant, generation, created, lsn, hash, size, frames, rows, withheld,
			array_end(&names), array_end(&needs), sealing->backup->closure), NULL, err);
}

/* Commands are given what stands in a directory, and only after the catalogue says that something may be with them. */
static int
complete(struct db *db, const char *id, const struct destinations *places, struct err *err)
{
	CLEANUP(str_release) struct str names = STR_INIT;
	CLEANUP(str_release) struct str commands = STR_INIT;

	add_names(&names, places, true);
	if (names.len == 0)
		return db_query(db, &QUERY_ARCHIVE_DROP, DB_PARAMS(id), NULL, err);
	sending_names(places->keys->config, &commands);
	return db_query(db, &QUERY_ARCHIVE_COMPLETE, DB_PARAMS(id, array_end(&names), array_end(&commands)), NULL, err);
}

static int
publish(struct sealing *sealing, struct err *err)
{
	const struct backup *b = sealing->backup;
	struct err unused;

	if (destinations_verify(&sealing->places, &sealing->result->summary, sealing->generation.key, err) != 0 ||
	    announce(sealing, err) != 0 || destinations_journal(&sealing->places, b->keys_db, err) != 0)
		return -1;
	if (destinations_name(&sealing->places, err) == 0)
		return complete(b->keys_db, sealing->result->id, &sealing->places, err);
	(void)complete(b->keys_db, sealing->result->id, &sealing->places, &unused);
	return -1;
}

/* ---- what a killed run has left ----------------------------------------------------------------- */

bool
backup_is_listed(const char *name, const char *list)
{
	size_t n = strlen(name);

	for (const char *at = list; *at != '\0'; at += strcspn(at, "\n"), at += *at == '\n')
		if (strncmp(at, name, n) == 0 && (at[n] == '\n' || at[n] == '\0'))
			return true;
	return false;
}

void
backup_find(struct destinations *places, const char *names, const uint8_t hash[SHA256_SIZE])
{
	for (size_t i = 0; i < places->n; i++) {
		struct destination *place = &places->items[i];

		place->failed = true;
		if (backup_is_listed(place->name, names))
			destination_look(place, hash);
	}
}

static bool
is_unsure(const struct destinations *places)
{
	for (size_t i = 0; i < places->n; i++)
		if (places->items[i].unsure)
			return true;
	return false;
}

/* It was read back whole before it was announced. While one of its destinations cannot be looked at, it is left for the
 * next run. */
static int
finish_earlier(const struct backup *backup, const char *tenant, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *rows = NULL;

	if (db_query(backup->keys_db, &QUERY_ARCHIVE_UNNAMED, DB_PARAMS(tenant), &rows, err) != 0)
		return -1;
	for (int i = 0; i < db_rows(rows); i++) {
		CLEANUP(destinations_release) struct destinations places = { 0 };
		const char *id_text = db_get_text(rows, i, U_ID);
		uint8_t id[ARCHIVE_ID_SIZE], hash[SHA256_SIZE];

		if (bytes_from_hex(id_text, id, sizeof(id)) != 0 || bytes_from_hex(db_get_text(rows, i, U_HASH), hash, sizeof(hash)) != 0)
			return err_set(err, ERR_FAILED, "archive %.80s: its row is malformed", id_text);
		destinations_init(&places, backup->keys, id);
		backup_find(&places, db_get_text(rows, i, U_DESTINATIONS), hash);
		if (!is_unsure(&places) && complete(backup->keys_db, id_text, &places, err) != 0)
			return -1;
	}
	return 0;
}

/* ---- one tenant --------------------------------------------------------------------------------- */

static void
tell_failures(struct sealing *sealing)
{
	for (size_t i = 0; i < sealing->places.n; i++) {
		const struct destination *place = &sealing->places.items[i];

		if (!place->failed)
			continue;
		sealing->result->n_failed++;
		str_addf(&sealing->result->failures, "%s: %s%s%s\n", place->name, place->why.msg, place->why.hint[0] == '\0' ? "" : "; ",
			place->why.hint);
	}
}

/* The lock of keys is held from before the snapshot until the archive has its name: no key that it needs is shredded
 * meanwhile, and none that was is in it. */
static int
seal_one(struct sealing *sealing, struct err *err)
{
	const struct backup *b = sealing->backup;
	int failed;

	if (finish_earlier(b, sealing->tenant, err) != 0 ||
	    keyring_open(&sealing->ring, b->keys_db, b->keys->store, b->keys->instance, err) != 0)
		return -1;
	failed = take_generation(sealing, err) != 0 || seal_rows(sealing, err) != 0 || publish(sealing, err) != 0;
	if (failed)
		db_rollback(b->db);
	tell_failures(sealing);
	return failed ? -1 : 0;
}

int
backup_tenant(const struct backup *backup, const char *tenant, struct backup_result *ret, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *lock = NULL;
	CLEANUP(release) struct sealing sealing = { .backup = backup, .tenant = tenant, .result = ret };
	struct err unused = { 0 };
	int failed;

	*ret = (struct backup_result){ 0 };
	if (db_query(backup->keys_db, &QUERY_BACKUP_LOCK, DB_PARAMS(tenant), &lock, err) != 0)
		return -1;
	if (!db_get_bool(lock, 0, 0))
		return err_set(err, ERR_LOCKED, "another run backs tenant %.200s up", tenant);
	failed = seal_one(&sealing, err);
	/* a command may take its time: nobody waits for keys meanwhile */
	release(&sealing);
	if (failed == 0)
		failed = sending_run(backup, tenant, ret, err);
	(void)db_query(backup->keys_db, &QUERY_BACKUP_UNLOCK, DB_PARAMS(tenant), NULL, &unused);
	return failed;
}
