#include "erasure/stores.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "query.h"
#include "sys/clock.h"

/* columns of stores_foresee */
enum { F_NAME, F_KIND, F_DECLARED, F_UNTIL };
/* columns of final_stores */
enum { E_REQUEST, E_NAME, E_HOW, E_DATE };

/* The declared stores, a column each. */
struct declared {
	struct str names, kinds, days;
};

static void
declared_release(struct declared *declared)
{
	str_release(&declared->names);
	str_release(&declared->kinds);
	str_release(&declared->days);
}

static void
read_declared(const struct run *run, struct declared *ret)
{
	const struct conf_node *stores = config_list(run->config, SET_STORES);

	for (size_t i = 0; stores != NULL && i < conf_count(stores); i++) {
		const struct conf_node *store = conf_at(stores, i);

		array_add(&ret->names, conf_text(conf_member(store, "name")));
		array_add(&ret->kinds, conf_text(conf_member(store, "kind")));
		array_add_int(&ret->days, conf_int(conf_member(store, "retention_days")));
	}
	(void)array_end(&ret->names);
	(void)array_end(&ret->kinds);
	(void)array_end(&ret->days);
}

int
stores_foresee(const struct run *run, const char *as_of, struct db_result **ret, struct err *err)
{
	CLEANUP(declared_release) struct declared declared = { 0 };

	read_declared(run, &declared);
	return db_query(run->db, &QUERY_STORES_FORESEE, DB_PARAMS(declared.names.s, declared.kinds.s, declared.days.s, as_of), ret,
		err);
}

/* What the server reports on is asked for before the final certificate. */
static bool
is_reported(const char *kind)
{
	return strcmp(kind, "standby") == 0 || strcmp(kind, "replication-slot") == 0;
}

static void
add_undeclared(struct certificate *c, const char *kind)
{
	struct certificate_undeclared *u;

	for (size_t i = 0; i < c->n_undeclared; i++)
		if (strcmp(c->undeclared[i].kind, kind) == 0) {
			c->undeclared[i].n++;
			return;
		}
	u = MEM_PUSH(c->undeclared, c->n_undeclared);
	u->kind = mem_copy(kind);
	u->n = 1;
}

void
stores_add(struct certificate *c, const struct db_result *stores)
{
	c->stage = db_rows(stores) == 0 ? CERTIFICATE_FINAL : CERTIFICATE_INTERIM;
	for (int i = 0; i < db_rows(stores); i++) {
		const char *kind = db_get_text(stores, i, F_KIND);
		struct certificate_store *s;

		if (!db_get_bool(stores, i, F_DECLARED)) {
			add_undeclared(c, kind);
			continue;
		}
		s = MEM_PUSH(c->residuals, c->n_residuals);
		s->name = mem_copy(db_get_text(stores, i, F_NAME));
		s->until = mem_copy(db_get_text(stores, i, F_UNTIL));
		s->basis = is_reported(kind) ? CERTIFICATE_REPORTED : CERTIFICATE_DECLARED;
	}
}

int
stores_bind(const struct run *run, const char *requests, const struct db_result *stores, struct err *err)
{
	CLEANUP(str_release) struct str names = STR_INIT;
	CLEANUP(str_release) struct str kinds = STR_INIT;
	CLEANUP(str_release) struct str declared = STR_INIT;
	CLEANUP(str_release) struct str untils = STR_INIT;

	if (db_rows(stores) == 0)
		return 0;
	for (int i = 0; i < db_rows(stores); i++) {
		array_add(&names, db_get_text(stores, i, F_NAME));
		array_add(&kinds, db_get_text(stores, i, F_KIND));
		array_add(&declared, db_get_bool(stores, i, F_DECLARED) ? "true" : "false");
		array_add(&untils, db_get_text(stores, i, F_UNTIL));
	}
	return db_query(run->db, &QUERY_STORES_BIND, DB_PARAMS(requests, array_end(&names), array_end(&kinds), array_end(&declared),
		array_end(&untils)), NULL, err);
}

int
stores_age(const struct run *run, struct err *err)
{
	CLEANUP(declared_release) struct declared declared = { 0 };
	char now[24];

	read_declared(run, &declared);
	(void)snprintf(now, sizeof(now), "%" PRId64, clock_now());
	if (db_begin(run->db, err) != 0)
		return -1;
	if (db_query(run->db, &QUERY_STORES_EXTEND, DB_PARAMS(declared.names.s, declared.kinds.s, declared.days.s), NULL, err) == 0 &&
	    db_query(run->db, &QUERY_STORES_COVER, NULL, NULL, err) == 0 &&
	    db_query(run->db, &QUERY_STORES_END, DB_PARAMS(now), NULL, err) == 0 && db_commit(run->db, err) == 0)
		return 0;
	db_rollback(run->db);
	return err_prefix(err, "looking which stores have aged out");
}

static enum certificate_basis
basis_of(const char *how)
{
	return strcmp(how, "stated") == 0 ? CERTIFICATE_STATED : strcmp(how, "reported") == 0 ? CERTIFICATE_REPORTED : CERTIFICATE_DECLARED;
}

/* The signed promise counts, whatever the table says by now. */
static int
check_kept(const struct certificate *c, const struct certificate_store *residual, struct err *err)
{
	for (size_t i = 0; i < c->n_aged_out; i++) {
		const struct certificate_store *aged = &c->aged_out[i];

		if (strcmp(aged->name, residual->name) != 0)
			continue;
		if (aged->basis == CERTIFICATE_STATED || (aged->basis >= residual->basis && strcmp(aged->until, residual->until) >= 0))
			return 0;
		return err_set(err, ERR_FAILED, "store %s has ended earlier, or in a weaker way, than its interim certificate says",
			residual->name);
	}
	return err_set(err, ERR_FAILED, "store %s, which the interim certificate names, is not on record", residual->name);
}

int
stores_account(struct certificate *c, const struct db_result *rows, int row, struct err *err)
{
	const char *request = db_get_text(rows, row, E_REQUEST);
	int64_t undeclared = 0, recorded = 0;

	for (int i = row; i < db_rows(rows) && strcmp(db_get_text(rows, i, E_REQUEST), request) == 0; i++) {
		struct certificate_store *aged = MEM_PUSH(c->aged_out, c->n_aged_out);

		if (db_get(rows, i, E_HOW) == NULL)
			return err_set(err, ERR_FAILED, "store %s has not ended", db_get_text(rows, i, E_NAME));
		aged->name = mem_copy(db_get_text(rows, i, E_NAME));
		aged->until = mem_copy(db_get_text(rows, i, E_DATE));
		aged->basis = basis_of(db_get_text(rows, i, E_HOW));
		recorded++;
	}
	for (size_t i = 0; i < c->n_residuals; i++)
		if (check_kept(c, &c->residuals[i], err) != 0)
			return -1;
	for (size_t i = 0; i < c->n_undeclared; i++)
		undeclared += c->undeclared[i].n;
	if (recorded < undeclared + (int64_t)c->n_residuals)
		return err_set(err, ERR_FAILED, "of %" PRId64 " stores that the interim certificate counts, %" PRId64 " are on record",
			undeclared + (int64_t)c->n_residuals, recorded);
	return 0;
}
