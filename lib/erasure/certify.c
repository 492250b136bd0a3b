#include "erasure/certify.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "erasure/stores.h"
#include "map/documents.h"
#include "query.h"
#include "svc/crypt.h"

/* columns of certify_tallies */
enum { T_REQUEST, T_TABLE, T_CLASS, T_BEFORE, T_ARRIVED, T_REMOVED, T_MASKED, T_RETAINED, T_CREATED };
/* columns of certify_keys */
enum { K_REQUEST, K_CHECK, K_EPOCH, K_SHARES, K_DRIVERS, K_ARCHIVES };

static int
hash_file(const char *path, char text[72], struct err *err)
{
	uint8_t hash[SHA256_SIZE];

	if (crypt_sha256_file(path, hash, err) != 0)
		return -1;
	(void)memcpy(text, "sha256:", 7);
	bytes_to_hex(hash, sizeof(hash), text + 7);
	return 0;
}

int
certify_open(struct certify *ret, struct run *run, struct err *err)
{
	ret->run = run;
	/* once a run: the program and its configuration are those that it began with */
	if (run->tool_hash[0] == '\0' && hash_file("/proc/self/exe", run->tool_hash, err) != 0)
		return -1;
	return run->config_hash[0] != '\0' ? 0 : hash_file(config_path(run->config), run->config_hash, err);
}

void
certify_release(struct certify *certify)
{
	db_result_free(certify->tallies);
	db_result_free(certify->keys);
	db_result_free(certify->stores);
	*certify = (struct certify){ 0 };
}

int
certify_tallies(struct certify *certify, const char *requests, struct err *err)
{
	db_result_free(certify->tallies);
	db_result_free(certify->keys);
	certify->tallies = certify->keys = NULL;
	if (db_query(certify->run->db, &QUERY_CERTIFY_TALLIES, DB_PARAMS(requests), &certify->tallies, err) != 0)
		return -1;
	return db_query(certify->run->db, &QUERY_CERTIFY_KEYS, DB_PARAMS(requests), &certify->keys, err);
}

int
certify_stores(struct certify *certify, const char *as_of, struct err *err)
{
	db_result_free(certify->stores);
	certify->stores = NULL;
	return stores_foresee(certify->run, as_of, &certify->stores, err);
}

int
certify_take_serials(const struct run *run, int64_t *ret_first, int n, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	char text[16];

	(void)snprintf(text, sizeof(text), "%d", n);
	if (db_query(run->db, &QUERY_CERTIFICATE_SERIALS, DB_PARAMS(text), &res, err) != 0)
		return -1;
	*ret_first = db_get_int(res, 0, 0);
	return 0;
}

int64_t
certify_rows(const struct certify *certify)
{
	int64_t rows = 0;

	for (int i = 0; i < db_rows(certify->tallies); i++)
		rows += db_get_int(certify->tallies, i, T_BEFORE) + db_get_int(certify->tallies, i, T_ARRIVED);
	return rows;
}

static void
add_retained(struct certificate *c, const struct map_table *table, const char *name)
{
	const char *class = table != NULL && table->class[0] != '\0' ? table->class : name;
	const char *basis = table != NULL && table->action == MAP_SHARED ? "shared-with-another-subject" : "UK-GDPR-17(3)(b)";
	struct certificate_retained *r;

	for (size_t i = 0; i < c->n_retained; i++)
		if (strcmp(c->retained[i].class, class) == 0 && strcmp(c->retained[i].basis, basis) == 0)
			return;
	r = MEM_PUSH(c->retained, c->n_retained);
	r->class = mem_copy(class);
	r->basis = mem_copy(basis);
}

/* The first row of a request, which is the first column, and the order. */
static int
first_row(const struct db_result *rows, const char *request)
{
	int from = 0, to = db_rows(rows);

	while (from < to) {
		int middle = from + (to - from) / 2;

		if (strcmp(db_get_text(rows, middle, 0), request) < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

/* Whether the map that recounts says of this table what the removal did there; a table that is gone holds nothing. */
static bool
is_recounted(const struct run *run, const struct certificate_live *live)
{
	int table = map_table(run->map, live->table);

	if (catalog_table(run->catalog, live->table) < 0)
		return true;
	if (table < 0)
		return live->removed + live->masked + live->retained == 0;
	return (live->removed == 0 || run->program->tables[table].removed) &&
		(live->masked + live->retained == 0 || run->program->tables[table].updated ||
			run->map->tables[table].action == MAP_SHARED);
}

static int
add_live(struct certify *certify, struct certificate *c, const char *request, struct err *err)
{
	const struct db_result *t = certify->tallies;

	for (int i = first_row(t, request); i < db_rows(t) && strcmp(db_get_text(t, i, T_REQUEST), request) == 0; i++) {
		struct certificate_live *live;
		int table;

		table = map_table(certify->run->map, db_get_text(t, i, T_TABLE));
		live = MEM_PUSH(c->live, c->n_live);
		live->table = mem_copy(db_get_text(t, i, T_TABLE));
		live->before = db_get_int(t, i, T_BEFORE);
		live->arrived = db_get_int(t, i, T_ARRIVED);
		live->removed = db_get_int(t, i, T_REMOVED);
		live->masked = db_get_int(t, i, T_MASKED);
		live->retained = db_get_int(t, i, T_RETAINED);
		live->created = db_get_int(t, i, T_CREATED);
		if (!is_recounted(certify->run, live))
			return err_set(err, ERR_FAILED, "%s is not in the data map as it was at the removal: no recount speaks of it",
				live->table);
		if (live->retained > 0)
			add_retained(c, table < 0 ? NULL : &certify->run->map->tables[table], live->table);
		if (live->retained + live->masked > 0)
			c->outcome = CERTIFICATE_WITH_EXCLUSIONS;
	}
	certificate_sort(c);
	return 0;
}

void
certify_set_drivers(struct certificate_keys *keys, const char *text)
{
	for (size_t i = 0; i < keys->n_drivers; i++)
		free(keys->drivers[i]);
	keys->n_drivers = 0;
	while (*text != '\0') {
		size_t n = strcspn(text, "\x1f");

		*MEM_PUSH(keys->drivers, keys->n_drivers) = mem_copy_n(text, n);
		text += n + (text[n] == '\0' ? 0 : 1);
	}
}

/* Leaf keys of the subject that are gone with the roots that they went by; the claim lets no other request through. */
static void
add_keys(const struct certify *certify, struct certificate *c, const char *request)
{
	const struct db_result *k = certify->keys;
	struct certificate_keys *keys = &c->keys;

	c->negative_drill = c->positive_drill = CERTIFICATE_NOT_RUN;
	if (k == NULL)
		return;
	for (int i = first_row(k, request); i < db_rows(k) && strcmp(db_get_text(k, i, K_REQUEST), request) == 0; i++) {
		int64_t epoch = db_get_int(k, i, K_EPOCH);

		*MEM_PUSH(keys->fingerprints, keys->n_fingerprints) = mem_copy(db_get_text(k, i, K_CHECK));
		/* merged duplicates are in the same archives */
		if (db_get_int(k, i, K_ARCHIVES) > c->generations_unreadable)
			c->generations_unreadable = db_get_int(k, i, K_ARCHIVES);
		if (keys->destroyed++ == 0 || epoch - 1 < keys->epoch_before)
			keys->epoch_before = epoch - 1;
		if (epoch < keys->epoch_after)
			continue;
		keys->epoch_after = epoch;
		keys->shares = db_get_int(k, i, K_SHARES);
		certify_set_drivers(keys, db_get_text(k, i, K_DRIVERS));
		keys->shares_destroyed = (int64_t)keys->n_drivers;
	}
	if (keys->destroyed == 0)
		return;
	/* no change of the root is done before both have passed */
	c->negative_drill = c->positive_drill = CERTIFICATE_PASS;
	if (c->level == CERTIFICATE_VACUUMED)
		c->level = CERTIFICATE_KEYS_DESTROYED;
}

/* The frozen lines of the approved plan. */
static void
add_scope(struct certificate *c, const char *document)
{
	static const char key[] = "out-of-scope: ";

	for (const char *line = document; *line != '\0';) {
		const char *end = strchr(line, '\n');
		size_t n = end == NULL ? strlen(line) : (size_t)(end - line);

		if (strncmp(line, key, sizeof(key) - 1) == 0)
			*MEM_PUSH(c->out_of_scope, c->n_out_of_scope) = mem_copy_n(line + sizeof(key) - 1, n - (sizeof(key) - 1));
		line += end == NULL ? n : n + 1;
	}
}

int
certify_add_approver(const struct run *run, struct certificate *c, const char *login, const char *consent, struct err *err)
{
	struct certificate_approver *approver = MEM_PUSH(c->approvers, c->n_approvers);

	approver->role = consent == NULL ? mem_copy("expunge_approver") : mem_printf("support-consent:%s", consent);
	approver->key_check = mem_zero(ISSUER_CHECK_SIZE, 1);
	return issuer_approver_check(ledger_key(run->ledger), run->instance.id, login, approver->key_check, err);
}

void
certify_set_tool(const struct certify *certify, struct certificate *c)
{
	struct certificate_tool *tool = &c->tool;
	char *const before[] = { tool->version, tool->commit, tool->program, tool->openssl, tool->config };

	for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++)
		free(before[i]);
	tool->version = mem_copy(certify->run->tool.version);
	tool->commit = mem_copy(certify->run->tool.commit);
	tool->program = mem_copy(certify->run->tool_hash);
	tool->openssl = certificate_openssl_version(crypt_version());
	tool->config = mem_copy(certify->run->config_hash);
	tool->database = strtoll(certify->run->instance.system_identifier, NULL, 10);
}

int
certify_compose(struct certify *certify, struct certificate *ret, const struct db_result *rows, int row,
	int64_t serial, const uint8_t *salt, const struct recount *recount, struct err *err)
{
	const struct run *run = certify->run;
	const char *document = db_get_text(rows, row, CERTIFY_DOCUMENT);
	uint8_t id[16];
	char hash[72];

	if (crypt_random(id, sizeof(id), err) != 0 || crypt_sha256_text(document, strlen(document), hash, err) != 0)
		return -1;
	if (strcmp(hash, db_get_text(rows, row, CERTIFY_PLAN)) != 0)
		return err_set(err, ERR_FAILED, "the stored plan is not the one that was approved");
	ret->serial = serial;
	ret->id = mem_zero(33, 1);
	bytes_to_hex(id, sizeof(id), ret->id);
	ret->kind = db_get(rows, row, CERTIFY_CONSENT) == NULL ? CERTIFICATE_SUBJECT_ERASURE : CERTIFICATE_TEST_SUBJECT;
	ret->outcome = CERTIFICATE_COMPLETED;
	ret->controller = mem_copy(db_get_text(rows, row, CERTIFY_TENANT));
	ret->processor = mem_copy(config_text(run->config, SET_PROCESSOR));
	ret->subject_ref = mem_zero(ISSUER_REF_SIZE, 1);
	if (issuer_subject_ref(salt, run->instance.id, db_get_text(rows, row, CERTIFY_TENANT),
		    db_get_text(rows, row, CERTIFY_ID), db_get_text(rows, row, CERTIFY_SUBJECT), ret->subject_ref, err) != 0)
		return -1;
	ret->ground = certificate_ground(db_get_text(rows, row, CERTIFY_GROUND));
	ret->received = mem_copy(db_get(rows, row, CERTIFY_RECEIVED));
	ret->identified = mem_copy(db_get(rows, row, CERTIFY_IDENTIFIED));
	ret->due = mem_copy(db_get(rows, row, CERTIFY_DUE));
	ret->decided = mem_copy(db_get(rows, row, CERTIFY_DECIDED));
	ret->executed = mem_copy(db_get(rows, row, CERTIFY_EXECUTED));
	ret->zone = mem_copy(run->instance.zone);
	if (certify_add_approver(run, ret, db_get_text(rows, row, CERTIFY_DECIDED_BY), db_get(rows, row, CERTIFY_CONSENT), err) != 0)
		return -1;
	ret->plan = mem_copy(db_get(rows, row, CERTIFY_PLAN));
	ret->holds_at = mem_copy(db_get(rows, row, CERTIFY_EXECUTED));
	if (add_live(certify, ret, db_get_text(rows, row, CERTIFY_ID), err) != 0)
		return -1;
	ret->as_of = mem_copy(recount->as_of);
	ret->as_of_lsn = mem_copy(recount->lsn);
	stores_add(ret, certify->stores);
	ret->told = db_get_int(rows, row, CERTIFY_TOLD);
	ret->acknowledged = db_get_int(rows, row, CERTIFY_ACKNOWLEDGED);
	ret->recount = CERTIFICATE_PASS;
	ret->control = db_get_bool(rows, row, CERTIFY_CONTROLLED) ? CERTIFICATE_PASS : CERTIFICATE_NOT_RUN;
	ret->closure = CERTIFICATE_NOT_RUN;
	ret->level = db_get_bool(rows, row, CERTIFY_VACUUMED) ? CERTIFICATE_VACUUMED : CERTIFICATE_LOGICAL;
	add_keys(certify, ret, db_get_text(rows, row, CERTIFY_ID));
	add_scope(ret, document);
	certify_set_tool(certify, ret);
	ret->tool.map = mem_copy(run->map->hash);
	return 0;
}

/* The tallies of a plan, as if it had been carried out. */
static struct db_result *
foreseen_tallies(const struct run *run, const struct plan *plan)
{
	static const char *const names[] = { "request", "table", "class", "before", "arrived", "removed", "masked", "retained",
		"created" };
	static const enum db_type types[] = { DB_TYPE_TEXT, DB_TYPE_TEXT, DB_TYPE_TEXT, DB_TYPE_INTEGER, DB_TYPE_INTEGER,
		DB_TYPE_INTEGER, DB_TYPE_INTEGER, DB_TYPE_INTEGER, DB_TYPE_INTEGER };
	struct db_result *res = db_result_make(9, names, types);

	for (size_t i = 0; i < plan->n_tables; i++) {
		const struct plan_table *pt = &plan->tables[i];
		const struct map_table *t = &run->map->tables[pt->table];
		bool retained = t->action == MAP_RETAIN, removed = map_action_removes(t->action);
		char before[24], arrived[24], n[24];

		(void)snprintf(before, sizeof(before), "%" PRId64, pt->n - pt->n_arrived);
		(void)snprintf(arrived, sizeof(arrived), "%" PRId64, pt->n_arrived);
		(void)snprintf(n, sizeof(n), "%" PRId64, pt->n);
		db_result_add(res, DB_PARAMS(plan->request, t->name, t->class, before, arrived, removed ? n : "0",
			!removed && !retained ? n : "0", retained ? n : "0", "0"));
	}
	for (size_t i = 0; i < plan->n_files; i++) {
		CLEANUP(free_text) char *name = mem_printf(DOCUMENTS_CLASS "%s", plan->files[i].kind);
		char n[24];

		(void)snprintf(n, sizeof(n), "%" PRId64, plan->files[i].n);
		db_result_add(res, DB_PARAMS(plan->request, name, "", n, "0", n, "0", "0", "0"));
	}
	return res;
}

int
certify_foresee(struct run *run, const struct plan *plan, const char *document, struct str *ret, struct err *err)
{
	static const uint8_t salt[ISSUER_SALT_SIZE] = { 0 };
	CLEANUP(certify_release) struct certify certify = { 0 };
	CLEANUP(certificate_release) struct certificate c = CERTIFICATE_INIT;
	CLEANUP(db_result_freep) struct db_result *row = NULL;
	struct recount recount = { .lsn = "0/0" };

	if (db_query(run->db, &QUERY_CERTIFY_FORESEE, DB_PARAMS(plan->request, document), &row, err) != 0 ||
	    certify_open(&certify, run, err) != 0)
		return -1;
	(void)snprintf(recount.as_of, sizeof(recount.as_of), "%s", db_get_text(row, 0, CERTIFY_EXECUTED));
	certify.tallies = foreseen_tallies(run, plan);
	if (certify_stores(&certify, recount.as_of, err) != 0 ||
	    certify_compose(&certify, &c, row, 0, 1, salt, &recount, err) != 0 || certificate_encode(&c, ret, err) != 0)
		return err_prefix(err, "the certificate that this plan would lead to");
	return 0;
}
