/* purge_attest: the certificate of a closed account. */
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
#include "erasure/purge_private.h"
#include "erasure/stores.h"
#include "evidence/lint.h"
#include "keys/root_config.h"
#include "map/documents.h"
#include "query.h"

/* columns of purge_to_certify */
enum {
	A_TENANT, A_STATE, A_COOLING_FROM, A_COOLING_UNTIL, A_EXECUTED, A_ZONE, A_PLAN, A_VACUUMED, A_CONTROLLED, A_N_KEYS, A_KEYS,
	A_N_ARCHIVES, A_EPOCH, A_N_SHARES, A_DRIVERS, A_KEYS_GONE
};
/* columns of purge_tallies */
enum { Y_TABLE, Y_CLASS, Y_BEFORE, Y_ARRIVED, Y_REMOVED, Y_CREATED };

/* One account under way. */
struct attest {
	const struct purge *purge;
	const char *closure;
	struct db_result *row; /* purge_to_certify */
	struct certify certify;
	struct recount recount;
	struct publish files;
};

static void
attest_release(struct attest *attest)
{
	db_result_free(attest->row);
	certify_release(&attest->certify);
	recount_release(&attest->recount);
	publish_release(&attest->files);
}

static const char *
field(const struct attest *attest, int column)
{
	return db_get_text(attest->row, 0, column);
}

/* ---- the certificate ----------------------------------------------------------------------------- */

/* Whether the map that recounts says that rows of this table go; a table that is gone holds nothing. */
static bool
is_recounted(const struct purge *purge, const char *name)
{
	int table = map_table(purge->map, name);

	if (strncmp(name, DOCUMENTS_CLASS, strlen(DOCUMENTS_CLASS)) == 0 || catalog_table(purge->program->catalog, name) < 0)
		return true;
	return table >= 0 && purge->program->tables[table].removed;
}

static int
add_live(const struct attest *attest, struct certificate *c, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *tallies = NULL;

	if (db_query(attest->purge->run->db, &QUERY_PURGE_TALLIES, DB_PARAMS(attest->closure), &tallies, err) != 0)
		return -1;
	for (int i = 0; i < db_rows(tallies); i++) {
		struct certificate_live *live = MEM_PUSH(c->live, c->n_live);

		live->table = mem_copy(db_get_text(tallies, i, Y_TABLE));
		live->before = db_get_int(tallies, i, Y_BEFORE);
		live->arrived = db_get_int(tallies, i, Y_ARRIVED);
		live->removed = db_get_int(tallies, i, Y_REMOVED);
		live->created = db_get_int(tallies, i, Y_CREATED);
		if (!is_recounted(attest->purge, live->table))
			return err_set(err, ERR_FAILED, "%s is not in the data map as it was at the removal: no recount speaks of it", live->table);
	}
	certificate_sort(c);
	return 0;
}

static int
add_approvers(const struct attest *attest, struct certificate *c, struct err *err)
{
	const struct run *run = attest->purge->run;
	CLEANUP(db_result_freep) struct db_result *approvers = NULL;

	if (db_query(run->db, &QUERY_PURGE_APPROVERS, DB_PARAMS(attest->closure), &approvers, err) != 0)
		return -1;
	for (int i = 0; i < db_rows(approvers); i++)
		if (certify_add_approver(run, c, db_get_text(approvers, i, 0), NULL, err) != 0)
			return -1;
	return 0;
}

static int
add_recipients(const struct attest *attest, struct certificate *c, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *told = NULL;

	if (db_query(attest->purge->run->db, &QUERY_CLOSURE_TOLD, DB_PARAMS(attest->closure), &told, err) != 0)
		return -1;
	c->told = db_get_int(told, 0, 0);
	c->acknowledged = db_get_int(told, 0, 1);
	c->pending = db_get_int(told, 0, 2);
	if (db_get(told, 0, 3) != NULL)
		return err_set(err, ERR_FAILED, "external store %s was not told of the account", db_get_text(told, 0, 3));
	return 0;
}

/* All keys of the tenant went at once; some of them are named. No change of the root is done before both drills have passed. */
static void
add_keys(const struct attest *attest, struct certificate *c)
{
	struct certificate_keys *keys = &c->keys;
	const char *checks = field(attest, A_KEYS);

	c->negative_drill = c->positive_drill = CERTIFICATE_NOT_RUN;
	keys->destroyed = db_get_int(attest->row, 0, A_N_KEYS);
	if (keys->destroyed == 0)
		return;
	while (*checks != '\0') {
		size_t n = strcspn(checks, " ");

		*MEM_PUSH(keys->fingerprints, keys->n_fingerprints) = mem_copy_n(checks, n);
		checks += n + (checks[n] == '\0' ? 0 : 1);
	}
	keys->epoch_after = db_get_int(attest->row, 0, A_EPOCH);
	keys->epoch_before = keys->epoch_after - 1;
	keys->shares = db_get_int(attest->row, 0, A_N_SHARES);
	certify_set_drivers(keys, field(attest, A_DRIVERS));
	keys->shares_destroyed = (int64_t)keys->n_drivers;
	c->generations_unreadable = db_get_int(attest->row, 0, A_N_ARCHIVES);
	c->negative_drill = c->positive_drill = CERTIFICATE_PASS;
	if (c->level == CERTIFICATE_VACUUMED)
		c->level = CERTIFICATE_KEYS_DESTROYED;
}

static void
add_scope(const struct attest *attest, struct certificate *c)
{
	const struct run *run = attest->purge->run;
	bool documents = documents_are_named(run->map);

	for (size_t i = 0; certificate_standard_scope(i, documents) != NULL; i++)
		*MEM_PUSH(c->out_of_scope, c->n_out_of_scope) = mem_copy(certificate_standard_scope(i, documents));
	*MEM_PUSH(c->out_of_scope, c->n_out_of_scope) = mem_copy("rows that no owner path of the data map leads from to the practice or its patients");
	if (root_config_names_token(run->config))
		*MEM_PUSH(c->out_of_scope, c->n_out_of_scope) = mem_copy(certificate_token_scope);
}

static int
compose(struct attest *attest, int64_t serial, struct certificate *c, struct err *err)
{
	const struct run *run = attest->purge->run;
	uint8_t id[16];

	if (crypt_random(id, sizeof(id), err) != 0)
		return -1;
	c->serial = serial;
	c->id = mem_zero(33, 1);
	bytes_to_hex(id, sizeof(id), c->id);
	c->kind = CERTIFICATE_ACCOUNT_CLOSURE;
	c->outcome = CERTIFICATE_COMPLETED;
	c->controller = mem_copy(field(attest, A_TENANT));
	c->processor = mem_copy(config_text(run->config, SET_PROCESSOR));
	c->ground = mem_copy("UK-GDPR-28(3)(g)");
	c->cooling_off_from = mem_copy(field(attest, A_COOLING_FROM));
	c->cooling_off_until = mem_copy(field(attest, A_COOLING_UNTIL));
	c->executed = mem_copy(field(attest, A_EXECUTED));
	c->holds_at = mem_copy(field(attest, A_EXECUTED));
	c->zone = mem_copy(field(attest, A_ZONE));
	c->plan = mem_copy(field(attest, A_PLAN));
	c->as_of = mem_copy(attest->recount.as_of);
	c->as_of_lsn = mem_copy(attest->recount.lsn);
	c->recount = CERTIFICATE_PASS;
	c->control = db_get_bool(attest->row, 0, A_CONTROLLED) ? CERTIFICATE_PASS : CERTIFICATE_NOT_RUN;
	c->closure = CERTIFICATE_NOT_RUN;
	c->level = db_get_bool(attest->row, 0, A_VACUUMED) ? CERTIFICATE_VACUUMED : CERTIFICATE_LOGICAL;
	if (add_approvers(attest, c, err) != 0 || add_live(attest, c, err) != 0 || add_recipients(attest, c, err) != 0)
		return -1;
	stores_add(c, attest->certify.stores);
	add_keys(attest, c);
	add_scope(attest, c);
	certify_set_tool(&attest->certify, c);
	c->tool.map = mem_copy(run->map->hash);
	return 0;
}

/* ---- one transaction ----------------------------------------------------------------------------- */

/* What is stored with it: the requests of its subjects, which forget who they were. */
static int
store(struct attest *attest, const struct certificate *c, const char *note, struct err *err)
{
	const struct run *run = attest->purge->run;
	const char *tenant = field(attest, A_TENANT);
	CLEANUP(db_result_freep) struct db_result *named = NULL;
	CLEANUP(str_release) struct str requests = STR_INIT;
	CLEANUP(str_release) struct str hashes = STR_INIT;
	char serial[24], hash[80];

	if (db_query(run->db, &QUERY_PURGE_REQUESTS, DB_PARAMS(tenant), &named, err) != 0)
		return -1;
	for (int i = 0; i < db_rows(named); i++) {
		if (ledger_subject_hash(run->ledger, tenant, db_get_text(named, i, 1), hash, err) != 0)
			return -1;
		array_add(&requests, db_get_text(named, i, 0));
		array_add(&hashes, hash);
	}
	if (ledger_subject_hash(run->ledger, tenant, "", hash, err) != 0)
		return -1;
	(void)snprintf(serial, sizeof(serial), "%" PRId64, c->serial);
	return db_query(run->db, &QUERY_PURGE_CERTIFY,
		DB_PARAMS(attest->closure, serial, c->id, certificate_stage_text(c->stage), note, hash, attest->recount.as_of,
			attest->recount.lsn, array_end(&requests), array_end(&hashes)), NULL, err);
}

static int
issue(struct attest *attest, struct err *err)
{
	CLEANUP(certificate_release) struct certificate c = CERTIFICATE_INIT;
	CLEANUP(str_release) struct str text = STR_INIT;
	CLEANUP(str_release) struct str note = STR_INIT;
	CLEANUP(free_text) char *closures = mem_printf("{%s}", attest->closure);
	const struct run *run = attest->purge->run;
	int64_t serial;

	if (certify_take_serials(run, &serial, 1, err) != 0 || compose(attest, serial, &c, err) != 0 ||
	    certificate_encode(&c, &text, err) != 0 || lint_text(text.s, NULL, 0, err) != 0 ||
	    issuer_sign(&run->issuer, &note, text.s, text.len, err) != 0 || store(attest, &c, note.s, err) != 0 ||
	    stores_bind(run, closures, attest->certify.stores, err) != 0)
		return -1;
	publish_add(&attest->files, c.serial, c.id, &note, text.len);
	return 0;
}

static int
read_row(struct attest *attest, struct err *err)
{
	const struct run *run = attest->purge->run;

	if (db_query(run->db, &QUERY_PURGE_TO_CERTIFY, DB_PARAMS(attest->closure), &attest->row, err) != 0)
		return -1;
	if (db_rows(attest->row) == 0 || strcmp(field(attest, A_STATE), "shredded") != 0)
		return err_set(err, ERR_REFUSED, "closure %.40s is %s: no certificate before its keys are shredded", attest->closure,
			db_rows(attest->row) == 0 ? "not removed" : field(attest, A_STATE));
	if (db_get_int(attest->row, 0, A_N_KEYS) > 0 && !db_get_bool(attest->row, 0, A_KEYS_GONE))
		return err_set(err, ERR_REFUSED, "closure %.40s: keys of its tenant live, or the root that they went by does", attest->closure);
	return 0;
}

/* The account's keys are gone, and whoever wrote these rows since was not to. No run takes what nobody has planned. */
static int
refuse_left(const struct attest *attest, struct err *err)
{
	CLEANUP(str_release) struct str names = STR_INIT;

	for (size_t i = 0; i < attest->recount.n_left; i++)
		str_addf(&names, "%s%s %" PRId64, i == 0 ? "" : ", ", attest->recount.left[i].name, attest->recount.left[i].rows);
	(void)err_set(err, ERR_FAILED, "account of tenant %s: rows came back between recount and signing: %s", field(attest, A_TENANT), names.s);
	return err_hint(err, "find what writes for this tenant, stop it and take its rows away (expunge map explain); "
		"the next nightly counts again, and certifies when nothing is left");
}

/* Everything between BEGIN and COMMIT. */
static int
certify_one(struct attest *attest, struct err *err)
{
	const struct purge *purge = attest->purge;
	struct recount *recount = &attest->recount;

	if (read_row(attest, err) != 0 || run_check_schema(purge->run, purge->run->recount, err) != 0 ||
	    purge_count(purge, attest->closure, field(attest, A_TENANT), recount, err) != 0)
		return -1;
	if (recount->n_left > 0)
		return refuse_left(attest, err);
	return certify_stores(&attest->certify, recount->as_of, err) != 0 ? -1 : issue(attest, err);
}

int
purge_attest(const struct purge *purge, const char *closure, struct err *err)
{
	CLEANUP(attest_release) struct attest attest = { .purge = purge, .closure = closure };
	struct run *run = purge->run;

	if (certify_open(&attest.certify, run, err) != 0 || db_begin(run->db, err) != 0)
		return -1;
	/* a COMMIT that was not answered is settled by the next run, which finds the state */
	if (certify_one(&attest, err) != 0 || db_commit(run->db, err) != 0) {
		db_rollback(run->db);
		return -1;
	}
	run->n_certified++;
	return publish_signed(run, &attest.files, err);
}
