#include "erasure/attest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "erasure/certify.h"
#include "erasure/external.h"
#include "erasure/verify.h"
#include "evidence/sshsig.h"
#include "query.h"
#include "svc/crypt.h"
#include "sys/files.h"

/* Certificates of one transaction. */
#define BATCH 500

/* The counter row, locked: no serial is given twice and none is lost. */
static int
take_serials(struct run *run, int64_t *ret_first, int n, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	char text[16];

	(void)snprintf(text, sizeof(text), "%d", n);
	if (db_query(run->db, &QUERY_CERTIFICATE_SERIALS, DB_PARAMS(text), &res, err) != 0)
		return -1;
	*ret_first = db_get_int(res, 0, 0);
	return 0;
}

static int
store(struct run *run, const struct certificate *c, const char *request, const char *tenant, const char *note,
	const char *salt, const char *subject, struct err *err)
{
	char serial[24], hash[80];

	(void)snprintf(serial, sizeof(serial), "%lld", (long long)c->serial);
	if (ledger_subject_hash(run->ledger, tenant, subject, hash, err) != 0)
		return -1;
	if (db_send(run->db, QUERY_CERTIFICATE_STORE.sql, QUERY_CERTIFICATE_STORE.n_params,
		    DB_PARAMS(serial, c->id, certificate_kind_text(c->kind), certificate_stage_text(c->stage), tenant, request,
			    note), err) != 0)
		return -1;
	if (db_send(run->db, QUERY_OPENING_STORE.sql, QUERY_OPENING_STORE.n_params,
		    DB_PARAMS(request, tenant, salt, subject), err) != 0)
		return -1;
	return db_send(run->db, QUERY_REQUEST_CERTIFIED.sql, QUERY_REQUEST_CERTIFIED.n_params, DB_PARAMS(request, hash), err);
}

#define STATEMENTS_EACH 3

/* Composes, signs and sends the statements of one request. */
static int
issue(struct run *run, struct certify *certify, const struct db_result *rows, int row, int64_t serial,
	const struct recount *recount, struct err *err)
{
	CLEANUP(certificate_release) struct certificate c = CERTIFICATE_INIT;
	CLEANUP(str_release) struct str text = STR_INIT;
	CLEANUP(str_release) struct str note = STR_INIT;
	uint8_t salt[ISSUER_SALT_SIZE];
	char salt_hex[2 * ISSUER_SALT_SIZE + 1];
	int failed;

	if (crypt_random(salt, sizeof(salt), err) != 0)
		return -1;
	bytes_to_hex(salt, sizeof(salt), salt_hex);
	failed = certify_compose(certify, &c, rows, row, serial, salt, recount, err) != 0 ||
	         certificate_encode(&c, &text, err) != 0 ||
	         issuer_sign(&run->issuer, &note, text.s, text.len, err) != 0 ||
	         store(run, &c, db_get_text(rows, row, CERTIFY_ID), db_get_text(rows, row, CERTIFY_TENANT), note.s, salt_hex,
			 db_get_text(rows, row, CERTIFY_SUBJECT), err) != 0;
	secret_wipe(salt, sizeof(salt));
	secret_wipe(salt_hex, sizeof(salt_hex));
	if (failed)
		(void)snprintf(certify->unfit, sizeof(certify->unfit), "%s", db_get_text(rows, row, CERTIFY_ID));
	return failed ? err_prefix(err, "certificate of request %s", db_get_text(rows, row, CERTIFY_ID)) : 0;
}

static int
issue_all(struct run *run, struct certify *certify, const struct db_result *rows, const struct recount *recount,
	struct err *err)
{
	int64_t first = 0;
	int failed = 0, sent = 0;
	struct err unused;

	if (take_serials(run, &first, db_rows(rows), err) != 0 || db_pipeline_begin(run->db, err) != 0)
		return -1;
	for (int i = 0; i < db_rows(rows) && failed == 0; i++, sent++)
		failed = issue(run, certify, rows, i, first + i, recount, err);
	for (int i = 0; i < STATEMENTS_EACH * sent && failed == 0; i++)
		failed = db_receive(run->db, DB_NONE, NULL, NULL, err);
	if (failed != 0) {
		(void)db_pipeline_end(run->db, &unused);
		return -1;
	}
	return db_pipeline_end(run->db, err);
}

/* Rows that came back since the first recount. */
static int
refuse_left_over(struct certify *certify, const struct recount *recount, struct err *err)
{
	if (recount->n_left == 0)
		return 0;
	(void)snprintf(certify->unfit, sizeof(certify->unfit), "%s", recount->left[0].request);
	return err_set(err, ERR_FAILED, "rows of %s came back between recount and signing", recount->left[0].name);
}

/* Everything of one batch of certificates between BEGIN and COMMIT; *ret_n: how many. */
static int
certify_batch(struct run *run, struct certify *certify, int *ret_n, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *rows = NULL;
	CLEANUP(recount_release) struct recount recount = { 0 };
	CLEANUP(str_release) struct str array = STR_INIT;
	CLEANUP(str_release) struct str stores = STR_INIT;
	char limit[16];

	(void)snprintf(limit, sizeof(limit), "%d", BATCH);
	external_names(run->map, &stores);
	if (db_query(run->db, &QUERY_CERTIFY_CLAIM, DB_PARAMS(limit, run->skip, stores.s), &rows, err) != 0)
		return -1;
	*ret_n = db_rows(rows);
	if (*ret_n == 0)
		return 0;
	for (int i = 0; i < *ret_n; i++)
		str_addf(&array, "%s%s", i == 0 ? "{" : ",", db_get_text(rows, i, CERTIFY_ID));
	str_add(&array, "}");
	if (run_check_schema(run, run->recount, err) != 0 || verify_recount(run, run->recount, array.s, &recount, err) != 0 || refuse_left_over(certify, &recount, err) != 0)
		return -1;
	if (certify_tallies(certify, array.s, err) != 0 || issue_all(run, certify, rows, &recount, err) != 0)
		return -1;
	return db_query(run->db, &QUERY_CERTIFIED_FORGET, DB_PARAMS(array.s), NULL, err);
}

/* One request that cannot be certified never stops the others. */
static int
set_aside(struct run *run, const char *request, struct err *err)
{
	CLEANUP(str_release) struct str one = STR_INIT;
	CLEANUP(free_text) char *reason = mem_printf("not certified: %s", err->msg);

	run->n_failed++;
	run_note(run, NOTE_ERROR, "request %s: %s", request, err->msg);
	run_skip(run, request);
	err_clear(err);
	plan_id_array(&one, &request, 1);
	return db_query(run->db, &QUERY_REQUEST_SET_STATE, DB_PARAMS(one.s, "failed", reason, "removed"), NULL, err);
}

int
attest_recounted(struct run *run, struct err *err)
{
	CLEANUP(certify_release) struct certify certify = { 0 };
	int n;

	if (certify_open(&certify, run, err) != 0)
		return -1;
	do {
		if (db_begin(run->db, err) != 0)
			return -1;
		if (certify_batch(run, &certify, &n, err) != 0 || db_commit(run->db, err) != 0) {
			db_rollback(run->db);
			/* a COMMIT that was not answered is settled by the next run, which finds the states */
			if (certify.unfit[0] == '\0' || set_aside(run, certify.unfit, err) != 0)
				return -1;
			certify.unfit[0] = '\0';
			n = BATCH;
			continue;
		}
		run->n_certified += n;
	} while (n == BATCH && !run_stop_asked(run));
	return 0;
}

/* Only what this issuer signed, as this row's certificate, gets our name on a file. */
static int
check_stored(const struct run *run, const struct db_result *rows, int row, struct note *ret, struct err *err)
{
	CLEANUP(certificate_release) struct certificate c = CERTIFICATE_INIT;
	const char *note = db_get_text(rows, row, 2);

	if (note_open(ret, note, strlen(note), &run->issuer.key, 1, err) != 0 ||
	    certificate_parse(ret->text, ret->n, &c, err) != 0)
		return err_prefix(err, "the stored certificate %s is not one that we signed", db_get_text(rows, row, 0));
	if (c.serial != db_get_int(rows, row, 0) || strcmp(c.id, db_get_text(rows, row, 1)) != 0 ||
	    strcmp(c.controller, db_get_text(rows, row, 3)) != 0)
		return err_set(err, ERR_FAILED, "the stored certificate %s belongs to another row", db_get_text(rows, row, 0));
	return 0;
}

/* A note and its sidecar. */
static int
add_files(struct run *run, struct files *files, const struct db_result *rows, int row, struct err *err)
{
	const char *note = db_get_text(rows, row, 2);
	CLEANUP(note_release) struct note parsed = { 0 };
	CLEANUP(str_release) struct str armored = STR_INIT;
	CLEANUP(free_text) char *sidecar = NULL;
	char name[CERTIFICATE_FILE_NAME_SIZE];

	certificate_file_name(db_get_int(rows, row, 0), db_get_text(rows, row, 1), name);
	sidecar = mem_printf("%s.sig", name);
	if (check_stored(run, rows, row, &parsed, err) != 0 ||
	    sshsig_sign(&armored, parsed.text, parsed.n, run->issuer.signer, err) != 0)
		return -1;
	return files_add(files, sidecar, armored.s, armored.len, 0644, err) != 0 ? -1
	     : files_add(files, name, note, strlen(note), 0644, err);
}

/* Files of one batch, durable before the database says that they are published. */
static int
publish(struct run *run, const struct db_result *rows, struct err *err)
{
	CLEANUP(files_endp) struct files *files = NULL;
	CLEANUP(str_release) struct str serials = STR_INIT;

	if (files_begin(&files, config_text(run->config, SET_CERTIFICATE_DIRECTORY), err) != 0)
		return -1;
	for (int i = 0; i < db_rows(rows); i++) {
		struct note unused = { 0 };
		bool ours = check_stored(run, rows, i, &unused, err) == 0;

		note_release(&unused);
		if (!ours) {
			/* told each night, and never in the way of the others */
			run->n_failed++;
			run_note(run, NOTE_ERROR, "%s", err->msg);
			err_clear(err);
			continue;
		}
		if (add_files(run, files, rows, i, err) != 0)
			return -1;
		str_addf(&serials, "%s%s", serials.len == 0 ? "{" : ",", db_get_text(rows, i, 0));
	}
	str_add(&serials, serials.len == 0 ? "{}" : "}");
	if (files_publish(files, err) != 0)
		return -1;
	return db_query(run->db, &QUERY_CERTIFICATE_PUBLISHED, DB_PARAMS(serials.s), NULL, err);
}

int
attest_publish(struct run *run, struct err *err)
{
	char limit[16], after[24] = "0";
	int n;

	(void)snprintf(limit, sizeof(limit), "%d", BATCH);
	do {
		CLEANUP(db_result_freep) struct db_result *rows = NULL;

		if (db_begin(run->db, err) != 0 || db_query(run->db, &QUERY_CERTIFICATE_UNPUBLISHED, DB_PARAMS(limit, after), &rows, err) != 0)
			return -1;
		n = db_rows(rows);
		if (n > 0)
			(void)snprintf(after, sizeof(after), "%s", db_get_text(rows, n - 1, 0));
		if ((n == 0 || publish(run, rows, err) == 0) && db_commit(run->db, err) == 0)
			continue;
		db_rollback(run->db);
		if (err->code == ERR_LOST || err->code == ERR_UNKNOWN)
			return -1;
		run->n_failed += n;
		run_note(run, NOTE_ERROR, "%d certificates (from serial %s) are signed and stored, but not written to files: %s", n,
			db_get_text(rows, 0, 0), err->msg);
		err_clear(err);
		return 0;
	} while (n == BATCH);
	return 0;
}
