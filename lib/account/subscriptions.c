#include "account/subscriptions.h"

#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "map/name.h"
#include "query.h"

/* columns of subscription_columns */
enum { S_NAME, S_QUOTED, S_RELATION, S_LOCKABLE, S_MAY_LOCK };

static void
read_statuses(const struct conf_node *declared, const char *name, struct str *array)
{
	const struct conf_node *list = conf_member(declared, name);

	for (size_t i = 0; i < conf_count(list); i++)
		array_add(array, conf_text(conf_at(list, i)));
	(void)array_end(array);
}

/* The quoted name of a declared column; NULL when none is declared. */
static int
find_column(const struct conf_node *declared, const char *member, const struct db_result *columns, const char **ret, struct err *err)
{
	const struct conf_node *node = conf_member(declared, member);

	*ret = NULL;
	if (node == NULL)
		return 0;
	for (int i = 0; i < db_rows(columns); i++)
		if (strcmp(db_get_text(columns, i, S_NAME), conf_text(node)) == 0) {
			*ret = db_get_text(columns, i, S_QUOTED);
			return 0;
		}
	(void)err_set(err, ERR_USAGE, "%s has no column %s", conf_text(conf_member(declared, "table")), conf_text(node));
	return err_hint(err, "closure.subscriptions, line %d: put %s right", conf_line(node), member);
}

static int
find_relation(const struct conf_node *declared, struct db *db, struct db_result **ret, struct err *err)
{
	const char *text = conf_text(conf_member(declared, "table")), *p = text;
	CLEANUP(free_text) char *schema = name_read(&p);
	CLEANUP(free_text) char *name = NULL;

	if (schema != NULL && *p == '.') {
		p++;
		name = name_read(&p);
	}
	if (name == NULL || *p != '\0') {
		(void)err_set(err, ERR_USAGE, "%s is not schema.name", text);
		return err_hint(err, "closure.subscriptions: name the schema, too");
	}
	if (db_query(db, &QUERY_SUBSCRIPTION_COLUMNS, DB_PARAMS(schema, name), ret, err) != 0)
		return -1;
	if (db_rows(*ret) > 0)
		return 0;
	(void)err_set(err, ERR_USAGE, "there is no table or view %s", text);
	return err_hint(err, "closure.subscriptions: put its name right");
}

/* A column or NULL, as a type. */
static void
add_column(struct str *sql, const char *quoted, const char *type, const char *name)
{
	if (quoted != NULL)
		str_addf(sql, ", s.%s::%s AS %s", quoted, type, name);
	else
		str_addf(sql, ", NULL::%s AS %s", type, name);
}

/* What a status says, by the arrays $1 to $3. */
static void
add_says(struct str *sql, const char *status)
{
	str_addf(sql, "CASE WHEN s.%s::text = ANY($1::text[]) THEN 'open' WHEN s.%s::text = ANY($2::text[]) THEN 'closed'"
		" WHEN s.%s::text = ANY($3::text[]) THEN 'expired' ELSE 'unknown' END", status, status, status);
}

static int
compose(struct subscriptions *ret, const struct conf_node *declared, const struct db_result *columns, struct err *err)
{
	static const char *const members[] = { "tenant", "status", "cancelled_at", "paid_until", "reason", "zone" };
	static const char *const types[] = { NULL, NULL, "timestamptz", "date", "text", "text" };
	const char *quoted[6], *relation = db_get_text(columns, 0, S_RELATION);

	for (size_t i = 0; i < 6; i++)
		if (find_column(declared, members[i], columns, &quoted[i], err) != 0)
			return -1;
	/* of several rows of one practice none is believed */
	str_addf(&ret->all, "WITH said AS (SELECT s.%s::text AS tenant, ", quoted[0]);
	add_says(&ret->all, quoted[1]);
	str_add(&ret->all, " AS says");
	for (size_t i = 2; i < 6; i++)
		add_column(&ret->all, quoted[i], types[i], members[i]);
	/* a full join, because it cannot become a loop over all subscriptions for each closing account when statistics are old */
	str_addf(&ret->all, " FROM %s s WHERE s.%s IS NOT NULL), a AS (SELECT tenant, CASE count(*) WHEN 1 THEN min(says) ELSE 'several' END AS says,"
		" max(cancelled_at) AS cancelled_at, max(paid_until) AS paid_until, min(reason) AS reason, min(zone) AS zone FROM said GROUP BY tenant),"
		" closing AS (SELECT c.tenant FROM expunge.closure c WHERE c.state IN ('cancelled', 'cooling-off', 'due'))"
		" SELECT coalesce(a.tenant, closing.tenant) AS tenant, coalesce(a.says, 'missing') AS says, a.cancelled_at, a.paid_until, a.reason, a.zone"
		" FROM a FULL JOIN closing ON closing.tenant = a.tenant WHERE closing.tenant IS NOT NULL"
		" OR (a.says <> 'open' AND NOT EXISTS (SELECT FROM expunge.closure c WHERE c.tenant = a.tenant AND c.state = 'certified'"
		" AND coalesce(a.cancelled_at <= c.certified_at, true)))", relation, quoted[0]);
	str_addf(&ret->opening, "SELECT count(*) FROM (%s) q WHERE q.says IN ('closed', 'expired') AND NOT EXISTS (SELECT FROM expunge.closure c"
		" WHERE c.tenant = q.tenant AND (c.state NOT IN ('certified', 'reactivated') OR coalesce(q.cancelled_at <= c.ended_at, true)))", ret->all.s);
	str_addf(&ret->one, "SELECT CASE WHEN s.%s::date > (SELECT max(c.anchor) FROM expunge.closure c WHERE c.tenant = $4 AND c.state = 'due')"
		" THEN 'paid' ELSE ", quoted[3]);
	add_says(&ret->one, quoted[1]);
	str_add(&ret->one, " END");
	str_addf(&ret->one, " FROM %s s WHERE s.%s::text = $4%s", relation, quoted[0], db_get_bool(columns, 0, S_LOCKABLE) ? " FOR SHARE OF s" : "");
	return 0;
}

int
subscriptions_open(struct subscriptions *ret, const struct config *config, struct db *db, struct err *err)
{
	const struct conf_node *declared = conf_at(config_list(config, SET_CLOSURE_SUBSCRIPTIONS), 0);
	CLEANUP(db_result_freep) struct db_result *columns = NULL;

	*ret = (struct subscriptions){ .declared = declared != NULL };
	if (declared == NULL)
		return 0;
	read_statuses(declared, "open", &ret->open);
	read_statuses(declared, "closed", &ret->closed);
	read_statuses(declared, "expired", &ret->expired);
	if (find_relation(declared, db, &columns, err) != 0)
		return -1;
	ret->is_table = db_get_bool(columns, 0, S_LOCKABLE);
	ret->may_hold = db_get_bool(columns, 0, S_MAY_LOCK);
	return compose(ret, declared, columns, err);
}

void
subscriptions_release(struct subscriptions *subscriptions)
{
	str_release(&subscriptions->all);
	str_release(&subscriptions->opening);
	str_release(&subscriptions->one);
	str_release(&subscriptions->open);
	str_release(&subscriptions->closed);
	str_release(&subscriptions->expired);
}

int
subscriptions_say(const struct subscriptions *subscriptions, struct db *db, const char *tenant, const char **ret, struct err *err)
{
	static const char *const words[] = { "open", "closed", "expired", "unknown", "paid" };
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	*ret = NULL;
	if (!subscriptions->declared)
		return 0;
	if (db_text(db, DB_MANY, subscriptions->one.s, 4, DB_PARAMS(subscriptions->open.s, subscriptions->closed.s,
		    subscriptions->expired.s, tenant), &res, err) != 0)
		return -1;
	*ret = db_rows(res) == 0 ? "missing" : "several";
	for (size_t i = 0; db_rows(res) == 1 && i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(db_get_text(res, 0, 0), words[i]) == 0)
			*ret = words[i];
	return 0;
}
