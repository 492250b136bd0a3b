#include "archive/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive/handover_private.h"
#include "base/array.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "map/collect.h"
#include "map/tenant_rows.h"
#include "query.h"
#include "svc/crypt.h"
#include "svc/listing.h"
#include "sys/file.h"

#define OWNERS_AT_ONCE "1000" /* patients */
#define UNOWNED INT64_MAX /* the owner of what belongs to nobody */

/* ---- files --------------------------------------------------------------------------------------- */

FILE *
handover_open(struct handing *handing, const char *path, struct err *err)
{
	int root = dirfd(handing->place.there), fd;
	FILE *file;

	for (const char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		CLEANUP(free_text) char *directory = mem_copy_n(path, (size_t)(slash - path));

		if (mkdirat(root, directory, 0700) != 0 && errno != EEXIST) {
			(void)err_sys(err, "making a directory below %s", handing->handover->directory);
			return NULL;
		}
	}
	fd = openat(root, path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	file = fd < 0 ? NULL : fdopen(fd, "a");
	if (file == NULL) {
		(void)err_sys(err, "making a file below %s", handing->handover->directory);
		if (fd >= 0)
			(void)close(fd);
	}
	return file;
}

int
handover_close(struct handing *handing, FILE *file, const char *path, struct err *err)
{
	bool failed = ferror(file) != 0;

	if (fclose(file) == 0 && !failed)
		return 0;
	/* a document's path may hold a name */
	return err_sys(err, "writing %.*s below %s", (int)strcspn(path, "/"), path, handing->handover->directory);
}

/* As coreutils has it: a backslash in a name is doubled, and then one stands before the line. */
static void
add_name(FILE *sums, const char *path)
{
	for (; *path != '\0'; path++)
		(void)fprintf(sums, "%s%c", *path == '\\' ? "\\" : "", *path);
}

int
handover_sum(struct handing *handing, const char *path, struct err *err)
{
	CLEANUP(free_text) char *full = file_join(handing->handover->directory, path);
	uint8_t hash[SHA256_SIZE];
	char hex[2 * SHA256_SIZE + 1];

	if (crypt_sha256_file(full, hash, err) != 0)
		return -1;
	bytes_to_hex(hash, SHA256_SIZE, hex);
	(void)fprintf(handing->sums, "%s%s  ", strchr(path, '\\') != NULL ? "\\" : "", hex);
	add_name(handing->sums, path);
	(void)fputc('\n', handing->sums);
	handing->result->files++;
	return 0;
}

int
handover_count(struct handing *handing, int64_t rows, struct err *err)
{
	const struct handover *handover = handing->handover;

	handing->result->rows += rows;
	if (handover->progress != NULL)
		handover->progress(handing->result->rows);
	return handover->stop != NULL && handover->stop() ? err_set(err, ERR_FAILED, "stopped") : 0;
}

/* ---- tables -------------------------------------------------------------------------------------- */

static bool
is_given(const struct program *program, size_t table)
{
	return program->tables[table].owned || program->map->tables[table].action == MAP_TENANT;
}

/* "tables/app.note.csv"; a name that is no file's name has its number. */
static char *
table_path(const struct program *program, size_t table)
{
	const char *name = program->map->tables[table].name;

	return strpbrk(name, "/\\") == NULL && strlen(name) < 200 ? mem_printf("tables/%s.csv", name) : mem_printf("tables/%zu.csv", table + 1);
}

static int
put_row(void *ctx, const char *row, size_t n, struct err *err)
{
	return fwrite(row, 1, n, ctx) == n ? 0 : err_sys(err, "writing a table");
}

/* sql: " FROM ... t ..." and what is behind it. */
static int
copy_table(struct handing *handing, size_t table, const char *from, struct err *err)
{
	const struct cat_table *cat = program_cat(handing->handover->program, (int)table);
	CLEANUP(free_text) char *path = table_path(handing->handover->program, table);
	CLEANUP(str_release) struct str sql = STR_INIT;
	FILE *file = handover_open(handing, path, err);
	int64_t rows = 0;
	int failed;

	if (file == NULL)
		return -1;
	for (size_t c = 0; c < cat->n_columns; c++)
		str_addf(&sql, "%s t.%s", c == 0 ? "COPY (SELECT" : ",", cat->columns[c].quoted);
	/* the file's first rows bring the header with them */
	str_addf(&sql, "%s) TO STDOUT (FORMAT csv, HEADER %s)", from, lseek(fileno(file), 0, SEEK_END) == 0 ? "true" : "false");
	failed = db_copy_out(handing->handover->db, sql.s, put_row, file, &rows, err);
	if (failed == 0)
		failed = handover_close(handing, file, path, err);
	else
		(void)fclose(file);
	if (failed != 0)
		return err_prefix(err, "%s", handing->handover->program->map->tables[table].name);
	handing->rows[table] += rows;
	return handover_count(handing, rows, err);
}

static int
copy_own_tables(struct handing *handing, struct err *err)
{
	const struct program *program = handing->handover->program;

	for (size_t i = 0; i < program->map->n_tables; i++) {
		CLEANUP(str_release) struct str from = STR_INIT;

		if (program->map->tables[i].action == MAP_TENANT && fill_add_own(&from, &handing->fill, i) && copy_table(handing, i, from.s, err) != 0)
			return -1;
	}
	return handover_documents(handing, UNOWNED, err);
}

/* What is in the set. */
static int
copy_owned_tables(struct handing *handing, struct err *err)
{
	const struct program *program = handing->handover->program;

	for (size_t i = 0; i < program->collect.n; i++) {
		size_t table = (size_t)program->collect.tables[i];
		CLEANUP(str_release) struct str from = STR_INIT;

		fill_add_set(&from, program, table, "");
		str_add(&from, " ORDER BY k.request_id");
		if (copy_table(handing, table, from.s, err) != 0)
			return -1;
	}
	return handover_objects(handing, err) != 0 ? -1 : handover_documents(handing, 0, err);
}

/* ---- owners -------------------------------------------------------------------------------------- */

static int
take_owners(struct handing *handing, const struct db_result *subjects, struct err *err)
{
	const struct handover *handover = handing->handover;
	CLEANUP(str_release) struct str ids = STR_INIT;
	CLEANUP(str_release) struct str keys = STR_INIT;

	for (int i = 0; i < db_rows(subjects); i++) {
		array_add_int(&ids, ++handing->result->subjects);
		array_add(&keys, db_get_text(subjects, i, 0));
	}
	if (db_command(handover->db, "TRUNCATE pg_temp.seal_owner, pg_temp.seal_set", 0, NULL, NULL, err) != 0 ||
	    db_command(handover->db, "INSERT INTO pg_temp.seal_owner (id, tenant, subject) SELECT o.id, $3::text, o.subject"
		" FROM unnest($1::bigint[], $2::text[]) AS o (id, subject)", 3, DB_PARAMS(array_end(&ids), array_end(&keys), handover->tenant),
			NULL, err) != 0 ||
	    collect_subjects(handover->program, handover->db, COLLECT_SEAL, ids.s, 0, err) != 0)
		return -1;
	return copy_owned_tables(handing, err) != 0 ? -1 : handover_patients(handing, err);
}

static int
take_subjects(struct handing *handing, struct err *err)
{
	const struct program *program = handing->handover->program;
	const char *key = program_cat(program, program->map->subject)->columns[program->map->subject_key_column].quoted;
	struct db *db = handing->handover->db;
	CLEANUP(str_release) struct str sql = STR_INIT;

	str_addf(&sql, "DECLARE handover_subjects NO SCROLL CURSOR FOR SELECT t.%s::text", key);
	sql_subjects(&sql, program, handing->handover->tenant);
	str_addf(&sql, " ORDER BY t.%s", key);
	if (db_command(db, sql.s, 0, NULL, NULL, err) != 0)
		return -1;
	for (;;) {
		CLEANUP(db_result_freep) struct db_result *subjects = NULL;

		if (db_text(db, DB_MANY, "FETCH " OWNERS_AT_ONCE " FROM handover_subjects", 0, NULL, &subjects, err) != 0)
			return -1;
		if (db_rows(subjects) == 0)
			return db_command(db, "CLOSE handover_subjects", 0, NULL, NULL, err);
		if (take_owners(handing, subjects, err) != 0)
			return -1;
	}
}

/* ---- the whole ----------------------------------------------------------------------------------- */

static int
write_manifest(struct handing *handing, const char *lsn, struct err *err)
{
	const struct handover *handover = handing->handover;
	const struct program *program = handover->program;
	struct json *manifest = json_new_object(), *tables = json_new_array();
	FILE *file;

	json_set_text(manifest, "tenant", handover->tenant);
	json_set_text(manifest, "made_at", handing->result->made_at);
	json_set_text(manifest, "snapshot_lsn", lsn);
	json_set_text(manifest, "map", program->map->hash);
	json_set_int(manifest, "patients", handing->result->subjects);
	json_set_int(manifest, "missing_documents", handing->result->missing);
	for (size_t i = 0; i < program->map->n_tables; i++) {
		const struct cat_table *cat = program_cat(program, (int)i);
		struct json *table = json_new_object(), *columns = json_new_array();

		for (size_t c = 0; c < cat->n_columns; c++) {
			struct json *column = json_new_object();

			json_set_text(column, "name", cat->columns[c].name);
			json_set_text(column, "type", cat->columns[c].declared);
			json_push(columns, column);
		}
		if (is_given(program, i)) {
			CLEANUP(free_text) char *path = table_path(program, i);

			json_set_text(table, "file", path);
		}
		json_set_text(table, "name", program->map->tables[i].name);
		json_set_text(table, "action", map_action_text(program->map->tables[i].action));
		json_set_int(table, "rows", handing->rows[i]);
		json_set(table, "columns", columns);
		json_push(tables, table);
	}
	json_set(manifest, "tables", tables);
	file = handover_open(handing, "manifest.json", err);
	if (file == NULL) {
		json_free(manifest);
		return -1;
	}
	if (json_print(file, manifest, err) == 0)
		return handover_close(handing, file, "manifest.json", err) != 0 ? -1 : handover_sum(handing, "manifest.json", err);
	(void)fclose(file);
	return -1;
}

/* Sums of what was written piece by piece, and of the sums themselves. */
static int
finish(struct handing *handing, struct err *err)
{
	const struct handover *handover = handing->handover;
	CLEANUP(free_text) char *path = file_join(handover->directory, "SHA256SUMS");
	uint8_t hash[SHA256_SIZE];
	FILE *sums;

	for (size_t i = 0; i < handover->program->map->n_tables; i++) {
		CLEANUP(free_text) char *table = table_path(handover->program, i);

		if (faccessat(dirfd(handing->place.there), table, F_OK, AT_SYMLINK_NOFOLLOW) == 0 && handover_sum(handing, table, err) != 0)
			return -1;
	}
	sums = handing->sums;
	handing->sums = NULL;
	if (handover_close(handing, sums, "SHA256SUMS", err) != 0 || crypt_sha256_file(path, hash, err) != 0)
		return -1;
	bytes_to_hex(hash, SHA256_SIZE, handing->result->sha256);
	return syncfs(dirfd(handing->place.there)) == 0 ? 0 : err_sys(err, "syncing %s", handover->directory);
}

/* The locks come before the first query, which takes the snapshot. */
static int
write_all(struct handing *handing, struct err *err)
{
	const struct handover *handover = handing->handover;
	CLEANUP(db_result_freep) struct db_result *at = NULL;
	CLEANUP(db_result_freep) struct db_result *known = NULL;
	CLEANUP(str_release) struct str sql = STR_INIT;

	str_add(&sql, "SELECT ");
	sql_is_tenant(&sql, handover->program, "$1::text");
	if (collect_seal_tables(handover->db, err) != 0 || db_begin(handover->db, err) != 0 ||
	    db_command(handover->db, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", 0, NULL, NULL, err) != 0 ||
	    fill_lock(handover->program, handover->db, err) != 0 ||
	    db_text(handover->db, DB_ONE, sql.s, 1, DB_PARAMS(handover->tenant), &known, err) != 0)
		return -1;
	if (!db_get_bool(known, 0, 0)) {
		(void)err_set(err, ERR_FAILED, "there is no practice %.100s", handover->tenant);
		return err_hint(err, "nothing was written");
	}
	if (db_query(handover->db, &QUERY_HANDOVER_PLACE, NULL, &at, err) != 0 || copy_own_tables(handing, err) != 0 ||
	    take_subjects(handing, err) != 0)
		return -1;
	if (tenant_has_unowned(handover->program, handover->tenant) &&
	    (fill_collect_unowned(&handing->fill, UNOWNED, err) != 0 || copy_owned_tables(handing, err) != 0))
		return -1;
	(void)snprintf(handing->result->made_at, sizeof(handing->result->made_at), "%s", db_get_text(at, 0, 0));
	if (write_manifest(handing, db_get_text(at, 0, 1), err) != 0)
		return -1;
	return db_commit(handover->db, err) != 0 ? -1 : finish(handing, err);
}

int
handover_write(const struct handover *handover, struct handover_result *ret, struct err *err)
{
	struct handing handing = { .handover = handover, .result = ret };
	struct err why = { 0 };
	int failed;

	*ret = (struct handover_result){ 0 };
	if (unpack_prepare(handover->directory, &handing.place, err) != 0) {
		unpack_release(&handing.place);
		return -1;
	}
	handing.fill = (struct fill){ .program = handover->program, .db = handover->db, .tenant = handover->tenant };
	documents_init(&handing.fill.documents, handover->config, handover->instance);
	handing.rows = mem_zero(handover->program->map->n_tables, sizeof(*handing.rows));
	handing.sums = handover_open(&handing, "SHA256SUMS", err);
	failed = handing.sums == NULL || write_all(&handing, err) != 0;
	if (handing.sums != NULL)
		(void)fclose(handing.sums);
	if (failed) {
		db_rollback(handover->db);
		if (unpack_undo(handover->directory, &handing.place, &why) != 0)
			(void)err_hint(err, "%s: remove what is there", why.msg);
	}
	fill_release(&handing.fill);
	unpack_release(&handing.place);
	free(handing.rows);
	return failed ? -1 : 0;
}
