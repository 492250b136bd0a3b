#include "erasure/publish.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "evidence/certificate.h"
#include "evidence/note.h"
#include "evidence/sshsig.h"
#include "keys/keys.h"
#include "query.h"
#include "sys/files.h"

/* Certificates that are read from the database at once. */
#define PAGE 250

/* columns of certificate_unpublished */
enum { U_SERIAL, U_ID, U_NOTE, U_TENANT };

void
publish_add(struct publish *publish, int64_t serial, const char *id, struct str *note, size_t n_text)
{
	struct publish_note *added = MEM_PUSH(publish->notes, publish->n);

	added->serial = serial;
	(void)snprintf(added->id, sizeof(added->id), "%s", id);
	added->n = note->len;
	added->n_text = n_text;
	added->note = str_take(note);
}

void
publish_release(struct publish *publish)
{
	for (size_t i = 0; i < publish->n; i++)
		free(publish->notes[i].note);
	free(publish->notes);
	*publish = (struct publish){ 0 };
}

/* A note and its sidecar. */
static int
add_files(const struct run *run, struct files *files, const struct publish_note *note, struct err *err)
{
	CLEANUP(str_release) struct str armored = STR_INIT;
	CLEANUP(free_text) char *sidecar = NULL;
	char name[CERTIFICATE_FILE_NAME_SIZE];

	certificate_file_name(note->serial, note->id, name);
	sidecar = mem_printf("%s.sig", name);
	if (sshsig_sign(&armored, note->note, note->n_text, run->issuer.signer, err) != 0)
		return -1;
	return files_add(files, sidecar, armored.s, armored.len, 0644, err) != 0 ? -1
	     : files_add(files, name, note->note, note->n, 0644, err);
}

static int
write_files(const struct run *run, const struct publish *publish, struct err *err)
{
	CLEANUP(files_endp) struct files *files = NULL;

	if (files_begin(&files, config_text(run->config, SET_CERTIFICATE_DIRECTORY), err) != 0)
		return -1;
	for (size_t i = 0; i < publish->n; i++)
		if (add_files(run, files, &publish->notes[i], err) != 0)
			return -1;
	if (files_publish(files, err) != 0)
		return -1;
	return 0;
}

/* Between BEGIN and COMMIT: the database's word that the files are there, and then the files, so that nobody else writes
 * the same ones, and the word counts only once they are durable. The word itself need not be: where a crash loses it, the
 * next run finds the same files and says it again. */
static int
mark_and_write(struct run *run, const struct publish *publish, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *marked = NULL;
	CLEANUP(str_release) struct str serials = STR_INIT;

	if (publish->n == 0)
		return 0;
	for (size_t i = 0; i < publish->n; i++)
		array_add_int(&serials, publish->notes[i].serial);
	if (db_command(run->db, "SET LOCAL synchronous_commit = off", 0, NULL, NULL, err) != 0 ||
	    db_query(run->db, &QUERY_CERTIFICATE_PUBLISHED, DB_PARAMS(array_end(&serials)), &marked, err) != 0)
		return -1;
	if ((size_t)db_rows(marked) != publish->n)
		return err_set(err, ERR_FAILED, "another run has written some of them");
	return write_files(run, publish, err);
}

int
publish_signed(struct run *run, const struct publish *publish, struct err *err)
{
	if (publish->n == 0 || keys_declared(run->config))
		return 0;
	if (db_begin(run->db, err) != 0)
		return -1;
	if (mark_and_write(run, publish, err) == 0 && db_commit(run->db, err) == 0)
		return 0;
	db_rollback(run->db);
	if (err->code == ERR_LOST || err->code == ERR_UNKNOWN)
		return -1;
	err_clear(err);
	return 0;
}

/* Only what this issuer signed, as this row's certificate, gets our name on a file. */
static int
check_stored(const struct run *run, const struct db_result *rows, int row, size_t *ret_n_text, struct err *err)
{
	CLEANUP(certificate_release) struct certificate c = CERTIFICATE_INIT;
	CLEANUP(note_release) struct note note = NOTE_INIT;
	const char *bytes = db_get_text(rows, row, U_NOTE);

	if (note_open(&note, bytes, strlen(bytes), &run->issuer.key, 1, err) != 0 ||
	    certificate_parse(note.text, note.n, &c, err) != 0)
		return err_prefix(err, "the stored certificate %s is not one that we signed", db_get_text(rows, row, U_SERIAL));
	if (c.serial != db_get_int(rows, row, U_SERIAL) || strcmp(c.id, db_get_text(rows, row, U_ID)) != 0 ||
	    strcmp(c.controller, db_get_text(rows, row, U_TENANT)) != 0)
		return err_set(err, ERR_FAILED, "the stored certificate %s belongs to another row",
			db_get_text(rows, row, U_SERIAL));
	*ret_n_text = note.n;
	return 0;
}

/* Those of a page that are ours; the others are told each night, and never in the way. */
static int
write_page(struct run *run, const struct db_result *rows, struct err *err)
{
	CLEANUP(publish_release) struct publish publish = { 0 };

	for (int i = 0; i < db_rows(rows); i++) {
		CLEANUP(str_release) struct str note = STR_INIT;
		size_t n_text = 0;

		if (check_stored(run, rows, i, &n_text, err) != 0) {
			run->n_failed++;
			run_note(run, NOTE_ERROR, "%s", err->msg);
			err_clear(err);
			continue;
		}
		str_add(&note, db_get_text(rows, i, U_NOTE));
		publish_add(&publish, db_get_int(rows, i, U_SERIAL), db_get_text(rows, i, U_ID), &note, n_text);
	}
	return mark_and_write(run, &publish, err);
}

int
publish_rest(struct run *run, int64_t serial, struct err *err)
{
	char limit[16], after[24] = "0", last[24];
	int n;

	(void)snprintf(limit, sizeof(limit), "%d", PAGE);
	(void)snprintf(last, sizeof(last), "%" PRId64, serial);
	do {
		CLEANUP(db_result_freep) struct db_result *rows = NULL;

		if (db_begin(run->db, err) != 0 ||
		    db_query(run->db, &QUERY_CERTIFICATE_UNPUBLISHED, DB_PARAMS(limit, after, last), &rows, err) != 0)
			return -1;
		n = db_rows(rows);
		if (n > 0)
			(void)snprintf(after, sizeof(after), "%s", db_get_text(rows, n - 1, U_SERIAL));
		if ((n == 0 || write_page(run, rows, err) == 0) && db_commit(run->db, err) == 0)
			continue;
		db_rollback(run->db);
		if (err->code == ERR_LOST || err->code == ERR_UNKNOWN)
			return -1;
		run->n_failed += n;
		run_note(run, NOTE_ERROR, "%d certificates (from serial %s) are signed and stored, but not written to files: %s", n,
			db_get_text(rows, 0, U_SERIAL), err->msg);
		err_clear(err);
		return 0;
	} while (n == PAGE);
	return 0;
}
