#include "erasure/attest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "erasure/certify.h"
#include "erasure/documents.h"
#include "erasure/external.h"
#include "erasure/pace.h"
#include "erasure/publish.h"
#include "erasure/stores.h"
#include "erasure/verify.h"
#include "erasure/workers.h"
#include "keys/keys.h"
#include "query.h"
#include "svc/crypt.h"
#include "sys/clock.h"

/* Certificates of one transaction. */
#define BATCH 250
/* Where rows_per_second is set: a transaction's worth of small steps. */
#define PACED_BATCH 20
#define TRIES 5

static int
batch_size(const struct run *run)
{
	return config_int(run->config, SET_BATCH_ROWS_PER_SECOND) > 0 ? PACED_BATCH : BATCH;
}

/* The signed certificates of one batch: a column of certificate_store each, and what becomes of them as files. */
struct signed_batch {
	struct str serials, ids, kinds, stages, tenants, requests, notes, salts, subjects, hashes;
	struct publish files;
	int64_t since; /* the serials were taken */
};

static void
signed_release(struct signed_batch *batch)
{
	str_release(&batch->serials);
	str_release(&batch->ids);
	str_release(&batch->kinds);
	str_release(&batch->stages);
	str_release(&batch->tenants);
	str_release(&batch->requests);
	str_release(&batch->notes);
	if (batch->salts.len > 0)
		secret_wipe(batch->salts.s, batch->salts.len);
	str_release(&batch->salts);
	str_release(&batch->subjects);
	str_release(&batch->hashes);
	publish_release(&batch->files);
}

static int
add_signed(struct run *run, struct signed_batch *batch, const struct certificate *c, const struct db_result *rows,
	int row, const char *note, const char *salt, struct err *err)
{
	const char *tenant = db_get_text(rows, row, CERTIFY_TENANT), *subject = db_get_text(rows, row, CERTIFY_SUBJECT);
	char hash[80];

	if (ledger_subject_hash(run->ledger, tenant, subject, hash, err) != 0)
		return -1;
	array_add_int(&batch->serials, c->serial);
	array_add(&batch->ids, c->id);
	array_add(&batch->kinds, certificate_kind_text(c->kind));
	array_add(&batch->stages, certificate_stage_text(c->stage));
	array_add(&batch->tenants, tenant);
	array_add(&batch->requests, db_get_text(rows, row, CERTIFY_ID));
	array_add(&batch->notes, note);
	array_add(&batch->salts, salt);
	array_add(&batch->subjects, subject);
	array_add(&batch->hashes, hash);
	return 0;
}

/* Composes and signs the certificate of one request. */
static int
issue(struct run *run, struct certify *certify, struct signed_batch *batch, const struct db_result *rows, int row,
	int64_t serial, const struct recount *recount, struct err *err)
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
		add_signed(run, batch, &c, rows, row, note.s, salt_hex, err) != 0;
	secret_wipe(salt, sizeof(salt));
	secret_wipe(salt_hex, sizeof(salt_hex));
	if (!failed)
		publish_add(&batch->files, c.serial, c.id, &note, text.len);
	else
		(void)snprintf(certify->unfit, sizeof(certify->unfit), "%s", db_get_text(rows, row, CERTIFY_ID));
	return failed ? err_prefix(err, "certificate of request %s", db_get_text(rows, row, CERTIFY_ID)) : 0;
}

/* The counter's row stays locked from here to the commit, and another worker waits for it. */
static int
issue_all(struct run *run, struct certify *certify, struct signed_batch *batch, const struct db_result *rows,
	const struct recount *recount, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *stored = NULL;
	int64_t first = 0;

	if (certify_take_serials(run, &first, db_rows(rows), err) != 0)
		return -1;
	batch->since = clock_ms();
	for (int i = 0; i < db_rows(rows); i++)
		if (issue(run, certify, batch, rows, i, first + i, recount, err) != 0)
			return -1;
	if (db_query(run->db, &QUERY_CERTIFICATE_STORE,
		    DB_PARAMS(array_end(&batch->serials), array_end(&batch->ids), array_end(&batch->kinds),
			    array_end(&batch->stages), array_end(&batch->tenants), array_end(&batch->requests),
			    array_end(&batch->notes), array_end(&batch->salts), array_end(&batch->subjects),
			    array_end(&batch->hashes), recount->as_of, recount->lsn),
		    &stored, err) != 0)
		return -1;
	for (int c = 0; c < db_columns(stored); c++)
		if (db_get_int(stored, 0, c) != db_rows(rows))
			return err_set(err, ERR_FAILED, "storing certificates: %s of %d were stored", db_get_text(stored, 0, c),
				db_rows(rows));
	return 0;
}

/* Rows that are left, or that came back since the first recount. */
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
certify_batch(struct run *run, struct certify *certify, struct signed_batch *batch, struct recount *recount, int *ret_n, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *rows = NULL;
	CLEANUP(str_release) struct str array = STR_INIT;
	CLEANUP(str_release) struct str stores = STR_INIT;
	int subject = run->map->subject;
	char limit[16], table[16], via[16];

	(void)snprintf(limit, sizeof(limit), "%d", batch_size(run));
	(void)snprintf(table, sizeof(table), "%d", run->program->tables[subject].id);
	(void)snprintf(via, sizeof(via), "%d", program_via(run->program, subject, &run->map->subject_key_column, 1));
	external_names(run->map, &stores);
	if (db_query(run->db, &QUERY_CERTIFY_CLAIM, DB_PARAMS(limit, run->skip, stores.s, table, via, verify_at_signing(run) ? "true" : "false"), &rows, err) != 0)
		return -1;
	*ret_n = db_rows(rows);
	if (*ret_n == 0)
		return 0;
	for (int i = 0; i < *ret_n; i++)
		str_addf(&array, "%s%s", i == 0 ? "{" : ",", db_get_text(rows, i, CERTIFY_ID));
	str_add(&array, "}");
	if (run_check_schema(run, run->recount, err) != 0 || verify_recount(run, run->recount, array.s, recount, err) != 0 ||
	    documents_recount(run, run->recount, array.s, recount, err) != 0 ||
	    refuse_left_over(certify, recount, err) != 0 || certify_tallies(certify, array.s, err) != 0 ||
	    certify_stores(certify, recount->as_of, err) != 0 ||
	    db_query(run->db, &QUERY_CERTIFIED_FORGET, DB_PARAMS(array.s), NULL, err) != 0 ||
	    issue_all(run, certify, batch, rows, recount, err) != 0)
		return -1;
	return stores_bind(run, array.s, certify->stores, err);
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

/* What keeps a batch from being certified is set aside, after its transaction: the batch comes again without it. */
static int
pass_over(struct run *run, struct certify *certify, const struct recount *recount, struct err *err)
{
	bool known = certify->unfit[0] != '\0';
	CLEANUP(free_text) char *request = mem_copy(certify->unfit);

	certify->unfit[0] = '\0';
	if (!known)
		return -1;
	if (recount->n_left == 0 || !verify_at_signing(run))
		return set_aside(run, request, err);
	err_clear(err);
	return verify_note_left(run, recount, err);
}

/* A transaction of certificates after the other; *ret_n of the last: fewer than a batch when there are no more. */
static int
certify_batches(struct run *run, void *ctx, struct err *err)
{
	CLEANUP(certify_release) struct certify certify = { 0 };
	int n, tries = 0;

	(void)ctx;
	if (certify_open(&certify, run, err) != 0)
		return -1;
	do {
		CLEANUP(signed_release) struct signed_batch batch = { 0 };
		CLEANUP(recount_release) struct recount recount = { 0 };
		int64_t start = clock_ms();

		if (db_begin(run->db, err) != 0)
			return -1;
		if (certify_batch(run, &certify, &batch, &recount, &n, err) != 0 || db_commit(run->db, err) != 0) {
			db_rollback(run->db);
			n = batch_size(run);
			/* another worker was slow with the counter's row */
			if (err->code == ERR_RETRY && ++tries < TRIES) {
				err_clear(err);
				continue;
			}
			/* a COMMIT that was not answered is settled by the next run, which finds the states */
			if (pass_over(run, &certify, &recount, err) != 0)
				return -1;
			continue;
		}
		tries = 0;
		run->n_certified += n;
		run->ms_issuing += n == 0 ? 0 : clock_ms() - batch.since;
		if (publish_signed(run, &batch.files, err) != 0)
			return -1;
		pace_wait(run, n == 0 ? 0 : certify_rows(&certify), start);
	} while (n == batch_size(run) && !run_stop_asked(run));
	return 0;
}

int
attest_recounted(struct run *run, struct err *err)
{
	return workers_run(run, (run->n_recounted + BATCH - 1) / BATCH, certify_batches, NULL, err);
}
