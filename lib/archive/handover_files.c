/* A handover's patients, large objects and documents. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "archive/handover_private.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "base/secret.h"
#include "sys/file.h"

/* ---- patients ------------------------------------------------------------------------------------ */

/* columns of the query below */
enum { P_OWNER, P_SUBJECT, P_TABLE, P_NAME, P_ROW };

/* The file of one patient, as rows come. */
struct patient {
	struct handing *handing;
	FILE *file; /* NULL: none begun */
	char path[64];
	int64_t owner, table;
};

static int
end_patient(struct patient *patient, struct err *err)
{
	FILE *file = patient->file;

	if (file == NULL)
		return 0;
	patient->file = NULL;
	(void)fputs("\n]}}\n", file);
	return handover_close(patient->handing, file, patient->path, err) != 0 ? -1 : handover_sum(patient->handing, patient->path, err);
}

/* Keys, names and rows come as JSON from the server. */
static int
put_patient_row(void *ctx, const struct db_result *row, struct err *err)
{
	struct patient *patient = ctx;
	int64_t owner = db_get_int(row, 0, P_OWNER), table = db_get_int(row, 0, P_TABLE);
	bool another = patient->file == NULL || owner != patient->owner;

	if (another) {
		if (end_patient(patient, err) != 0)
			return -1;
		(void)snprintf(patient->path, sizeof(patient->path), "patients/%08" PRId64 ".json", owner);
		patient->file = handover_open(patient->handing, patient->path, err);
		if (patient->file == NULL)
			return -1;
		(void)fprintf(patient->file, "{\"subject\": %s, \"tables\": {", db_get_text(row, 0, P_SUBJECT));
	}
	if (another || table != patient->table)
		(void)fprintf(patient->file, "%s\n%s: [\n", another ? "" : "\n],", db_get_text(row, 0, P_NAME));
	else
		(void)fputs(",\n", patient->file);
	(void)fputs(db_get_text(row, 0, P_ROW), patient->file);
	patient->owner = owner;
	patient->table = table;
	return handover_count(patient->handing, 0, err);
}

int
handover_patients(struct handing *handing, struct err *err)
{
	const struct program *program = handing->handover->program;
	struct patient patient = { .handing = handing };
	CLEANUP(str_release) struct str sql = STR_INIT;
	int failed;

	str_add(&sql, "SELECT o.id, to_json(o.subject)::text, r.number, r.name, r.row FROM (");
	for (size_t i = 0; i < program->collect.n; i++) {
		size_t table = (size_t)program->collect.tables[i];

		str_addf(&sql, "%sSELECT k.request_id AS owner, %zu AS number, to_json(", i == 0 ? "" : " UNION ALL ", i);
		sql_literal(&sql, program->map->tables[table].name);
		str_add(&sql, "::text)::text AS name, row_to_json(t)::text AS row");
		fill_add_set(&sql, program, table, "");
	}
	str_add(&sql, ") r JOIN pg_temp.seal_owner o ON o.id = r.owner ORDER BY 1, 3");
	failed = db_each(handing->handover->db, sql.s, 0, NULL, put_patient_row, &patient, err);
	if (failed == 0)
		failed = end_patient(&patient, err);
	if (patient.file != NULL)
		(void)fclose(patient.file);
	return failed;
}

/* ---- large objects ------------------------------------------------------------------------------- */

#define PIECE 262144

/* In pieces, because one value of the server takes its memory. */
static int
copy_object(struct handing *handing, const char *oid, uint8_t *bytes, struct err *err)
{
	CLEANUP(free_text) char *path = mem_printf("objects/%s", oid);
	FILE *file = handover_open(handing, path, err);
	size_t n = PIECE;
	int failed = 0;

	if (file == NULL)
		return -1;
	for (int64_t at = 0; n == PIECE && failed == 0; at += PIECE) {
		CLEANUP(db_result_freep) struct db_result *piece = NULL;
		CLEANUP(free_text) char *offset = mem_printf("%" PRId64, at);

		failed = db_text(handing->handover->db, DB_ONE, "SELECT encode(lo_get($1::oid, $2::bigint, 262144), 'hex')", 2,
			DB_PARAMS(oid, offset), &piece, err);
		if (failed != 0)
			break;
		n = strlen(db_get_text(piece, 0, 0)) / 2;
		if (bytes_from_hex(db_get_text(piece, 0, 0), bytes, n) != 0 || fwrite(bytes, 1, n, file) != n)
			failed = err_sys(err, "writing a large object below %s", handing->handover->directory);
	}
	if (failed == 0)
		return handover_close(handing, file, path, err) != 0 ? -1 : handover_sum(handing, path, err);
	(void)fclose(file);
	return -1;
}

/* One that two patients share has one file. */
static bool
is_there(const struct handing *handing, const char *directory, const char *name)
{
	CLEANUP(free_text) char *path = mem_printf("%s/%s/%s", handing->handover->directory, directory, name);

	return access(path, F_OK) == 0;
}

int
handover_objects(struct handing *handing, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *oids = NULL;
	CLEANUP(str_release) struct str held = STR_INIT;
	CLEANUP(free_text) char *sql = NULL;
	uint8_t *bytes;
	int failed = 0;

	fill_add_held(&held, handing->handover->program);
	if (held.len == 0)
		return 0;
	sql = mem_printf("SELECT DISTINCT h.oid::text FROM (%s) h (owner, oid) ORDER BY 1", held.s);
	if (db_text(handing->handover->db, DB_MANY, sql, 0, NULL, &oids, err) != 0)
		return -1;
	bytes = mem_zero(PIECE, 1);
	for (int i = 0; i < db_rows(oids) && failed == 0; i++)
		if (!is_there(handing, "objects", db_get_text(oids, i, 0)))
			failed = copy_object(handing, db_get_text(oids, i, 0), bytes, err);
	secret_wipe(bytes, PIECE);
	free(bytes);
	return failed;
}

/* ---- documents ----------------------------------------------------------------------------------- */

static int
copy_bytes(FILE *to, int from, const char *kind, struct err *err)
{
	char bytes[65536];
	ssize_t n;

	do {
		n = file_read_all(from, bytes, sizeof(bytes));
		if (n < 0)
			return err_sys(err, "reading a file of documents %s", kind);
		if (fwrite(bytes, 1, (size_t)n, to) != (size_t)n)
			return err_sys(err, "writing a file of documents %s", kind);
	} while (n == (ssize_t)sizeof(bytes));
	return 0;
}

static int
copy_document(struct handing *handing, const char *kind, const char *path, struct err *err)
{
	CLEANUP(free_text) char *to = mem_printf("documents/%s/%s", kind, path);
	enum beneath_verdict verdict;
	struct beneath *beneath;
	int from = -1, failed;
	FILE *file;

	if (documents_find(&handing->fill.documents, kind, &beneath, err) != 0 || beneath_read(beneath, path, &from, &verdict, err) != 0)
		return -1;
	if (verdict == BENEATH_MISSING) {
		handing->result->missing++;
		return 0;
	}
	if (verdict == BENEATH_UNFIT)
		return err_set(err, ERR_FAILED, "a document of kind %s is no regular file in its directory", kind);
	file = handover_open(handing, to, err);
	failed = file == NULL ? -1 : copy_bytes(file, from, kind, err);
	(void)close(from);
	if (failed == 0)
		return handover_close(handing, file, to, err) != 0 ? -1 : handover_sum(handing, to, err);
	if (file != NULL)
		(void)fclose(file);
	return -1;
}

int
handover_documents(struct handing *handing, int64_t owner, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *named = NULL;
	CLEANUP(str_release) struct str list = STR_INIT;
	CLEANUP(free_text) char *sql = NULL;

	fill_add_named(&list, &handing->fill, owner);
	if (list.len == 0)
		return 0;
	sql = mem_printf("SELECT DISTINCT n.kind, n.path FROM (%s) n (owner, kind, path, name) WHERE n.path <> '' ORDER BY 1, 2", list.s);
	if (db_text(handing->handover->db, DB_MANY, sql, 0, NULL, &named, err) != 0)
		return -1;
	for (int i = 0; i < db_rows(named); i++) {
		const char *kind = db_get_text(named, i, 0), *path = db_get_text(named, i, 1);
		CLEANUP(free_text) char *directory = mem_printf("documents/%s", kind);

		if (!is_there(handing, directory, path) && copy_document(handing, kind, path, err) != 0)
			return -1;
	}
	return 0;
}
