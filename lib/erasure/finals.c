#include "erasure/finals.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "erasure/certify.h"
#include "erasure/publish.h"
#include "erasure/stores.h"
#include "evidence/lint.h"
#include "query.h"
#include "sys/clock.h"

/* Certificates of one transaction. */
#define BATCH 250
#define TRIES 5

/* columns of final_claim */
enum { C_REQUEST, C_TENANT, C_PLAN, C_SERIAL, C_ID, C_NOTE, C_TOLD, C_ACKNOWLEDGED };

/* What one transaction stores: a column of final_store each, and what becomes of it as files. */
struct finals {
	struct str serials, ids, kinds, tenants, requests, notes;
	struct publish files;
	char unfit[37]; /* the request on which it failed, or "" */
};

static void
finals_release(struct finals *finals)
{
	str_release(&finals->serials);
	str_release(&finals->ids);
	str_release(&finals->kinds);
	str_release(&finals->tenants);
	str_release(&finals->requests);
	str_release(&finals->notes);
	publish_release(&finals->files);
}

/* The interim certificate's fields, if it is the one that we signed for this request. */
static int
read_interim(const struct run *run, const struct db_result *rows, int row, struct certificate *ret, struct err *err)
{
	CLEANUP(note_release) struct note note = NOTE_INIT;
	const char *bytes = db_get_text(rows, row, C_NOTE);

	if (note_open(&note, bytes, strlen(bytes), &run->issuer.key, 1, err) != 0 ||
	    certificate_parse(note.text, note.n, ret, err) != 0)
		return err_prefix(err, "the stored certificate %s is not one that we signed", db_get_text(rows, row, C_SERIAL));
	if (ret->serial != db_get_int(rows, row, C_SERIAL) || strcmp(ret->id, db_get_text(rows, row, C_ID)) != 0 ||
	    strcmp(ret->controller, db_get_text(rows, row, C_TENANT)) != 0 ||
	    strcmp(ret->plan, db_get_text(rows, row, C_PLAN)) != 0 || ret->stage != CERTIFICATE_INTERIM)
		return err_set(err, ERR_FAILED, "the stored certificate %s belongs to another row", db_get_text(rows, row, C_SERIAL));
	return 0;
}

static void
forget_waiting(struct certificate *c)
{
	for (size_t i = 0; i < c->n_residuals; i++) {
		free(c->residuals[i].name);
		free(c->residuals[i].until);
	}
	for (size_t i = 0; i < c->n_undeclared; i++)
		free(c->undeclared[i].kind);
	c->n_residuals = c->n_undeclared = 0;
}

/* Dead versions that no vacuum is known to have removed are still in the live database, whatever became of copies. */
static int
make_final(const struct certify *certify, struct certificate *c, int64_t serial, int64_t told, int64_t acknowledged, struct err *err)
{
	uint8_t id[16];

	if (crypt_random(id, sizeof(id), err) != 0)
		return -1;
	bytes_to_hex(id, sizeof(id), c->id);
	c->interim_serial = c->serial;
	c->serial = serial;
	c->stage = CERTIFICATE_FINAL;
	forget_waiting(c);
	if (c->level != CERTIFICATE_LOGICAL)
		c->level = CERTIFICATE_AGED_OUT;
	/* those that were told since are no longer to be told */
	c->pending = c->told + c->pending > told ? c->told + c->pending - told : 0;
	c->told = told;
	c->acknowledged = acknowledged;
	certify_set_tool(certify, c);
	return 0;
}

static int
row_of(const struct db_result *stores, const char *request)
{
	for (int i = 0; i < db_rows(stores); i++)
		if (strcmp(db_get_text(stores, i, 0), request) == 0)
			return i;
	return -1;
}

static int
sign_final(const struct certify *certify, struct finals *finals, const struct db_result *rows, int row,
	const struct db_result *stores, int64_t serial, struct err *err)
{
	CLEANUP(certificate_release) struct certificate c = CERTIFICATE_INIT;
	CLEANUP(str_release) struct str text = STR_INIT;
	CLEANUP(str_release) struct str note = STR_INIT;
	int first = row_of(stores, db_get_text(rows, row, C_REQUEST));

	if (read_interim(certify->run, rows, row, &c, err) != 0)
		return -1;
	if (first < 0)
		return err_set(err, ERR_FAILED, "no store of the interim certificate is on record");
	if (stores_account(&c, stores, first, err) != 0 ||
	    make_final(certify, &c, serial, db_get_int(rows, row, C_TOLD), db_get_int(rows, row, C_ACKNOWLEDGED), err) != 0 ||
	    certificate_encode(&c, &text, err) != 0 || lint_text(text.s, NULL, 0, err) != 0 ||
	    issuer_sign(&certify->run->issuer, &note, text.s, text.len, err) != 0)
		return -1;
	array_add_int(&finals->serials, c.serial);
	array_add(&finals->ids, c.id);
	array_add(&finals->kinds, certificate_kind_text(c.kind));
	array_add(&finals->tenants, db_get_text(rows, row, C_TENANT));
	array_add(&finals->requests, db_get_text(rows, row, C_REQUEST));
	array_add(&finals->notes, note.s);
	publish_add(&finals->files, c.serial, c.id, &note, text.len);
	return 0;
}

/* The counter's row stays locked from here to the commit. */
static int
sign_all(const struct certify *certify, struct finals *finals, const struct db_result *rows, const struct db_result *stores,
	struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *stored = NULL;
	int64_t first = 0;
	int n = db_rows(rows);

	if (certify_take_serials(certify->run, &first, n, err) != 0)
		return -1;
	for (int i = 0; i < n; i++)
		if (sign_final(certify, finals, rows, i, stores, first + i, err) != 0) {
			(void)snprintf(finals->unfit, sizeof(finals->unfit), "%s", db_get_text(rows, i, C_REQUEST));
			return -1;
		}
	if (db_query(certify->run->db, &QUERY_FINAL_STORE,
		    DB_PARAMS(array_end(&finals->serials), array_end(&finals->ids), array_end(&finals->kinds),
			    array_end(&finals->tenants), array_end(&finals->requests), array_end(&finals->notes)),
		    &stored, err) != 0)
		return -1;
	if (db_get_int(stored, 0, 0) != n || db_get_int(stored, 0, 1) != n)
		return err_set(err, ERR_FAILED, "storing final certificates: %s of %d were stored", db_get_text(stored, 0, 0), n);
	return 0;
}

/* Everything of one batch between BEGIN and COMMIT; *ret_n: how many. */
static int
issue_batch(const struct certify *certify, struct finals *finals, int *ret_n, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *rows = NULL;
	CLEANUP(db_result_freep) struct db_result *stores = NULL;
	CLEANUP(str_release) struct str requests = STR_INIT;
	struct run *run = certify->run;
	char limit[16], now[24];

	(void)snprintf(limit, sizeof(limit), "%d", BATCH);
	(void)snprintf(now, sizeof(now), "%" PRId64, clock_now());
	if (db_query(run->db, &QUERY_FINAL_CLAIM, DB_PARAMS(limit, run->skip, now), &rows, err) != 0)
		return -1;
	*ret_n = db_rows(rows);
	for (int i = 0; i < *ret_n; i++)
		array_add(&requests, db_get_text(rows, i, C_REQUEST));
	if (*ret_n == 0)
		return 0;
	if (db_query(run->db, &QUERY_FINAL_STORES, DB_PARAMS(array_end(&requests)), &stores, err) != 0)
		return -1;
	return sign_all(certify, finals, rows, stores, err);
}

/* The erasure stands as certified; only its final certificate does not come until somebody has looked. */
static void
set_aside(struct run *run, const char *request, struct err *err)
{
	run->n_failed++;
	run_note(run, NOTE_ERROR, "no final certificate of request %s: %s", request, err->msg);
	run_skip(run, request);
	err_clear(err);
}

static int
issue_due(const struct certify *certify, int64_t *ret_n, struct err *err)
{
	struct run *run = certify->run;
	int n, tries = 0;

	do {
		CLEANUP(finals_release) struct finals finals = { 0 };

		if (db_begin(run->db, err) != 0)
			return -1;
		if (issue_batch(certify, &finals, &n, err) != 0 || db_commit(run->db, err) != 0) {
			db_rollback(run->db);
			n = BATCH;
			/* a run on another host was slow with the counter's row */
			if (err->code == ERR_RETRY && ++tries < TRIES) {
				err_clear(err);
				continue;
			}
			/* a COMMIT that was not answered is settled by the next run, which finds the states */
			if (finals.unfit[0] == '\0')
				return -1;
			set_aside(run, finals.unfit, err);
			continue;
		}
		tries = 0;
		*ret_n += n;
		if (publish_signed(run, &finals.files, err) != 0)
			return -1;
	} while (n == BATCH && !run_stop_asked(run));
	return 0;
}

int
finals_issue(struct run *run, int64_t *ret_n, struct err *err)
{
	CLEANUP(certify_release) struct certify certify = { 0 };

	*ret_n = 0;
	if (run_stop_asked(run) || run->drill_failed)
		return 0;
	if (stores_age(run, err) != 0 || certify_open(&certify, run, err) != 0)
		return -1;
	return issue_due(&certify, ret_n, err);
}
