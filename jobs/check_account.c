/* check_account: whether what is promised to practices that leave can be kept. */
#include "account/rules.h"
#include "account/subscriptions.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "jobs/check.h"
#include "keys/keys.h"
#include "query.h"

/* A store that keeps copies longer than the promise takes. */
static void
check_promise(struct checks *checks, const struct config *config, size_t i)
{
	struct closure_promise p;
	bool in_time;
	long long promise;

	if (!closure_promise_of(config, i, &p, &in_time))
		return;
	promise = (long long)(p.leave_by + p.retention_days);
	if (p.leave_by < 0)
		check_add(checks, CHECK_ERROR, "closure",
			mem_printf("%s are kept %lld days and the promise on %s is day %lld: an account would have to leave the live database %lld days "
				"before its last paid day", p.store, (long long)p.retention_days, p.trigger, promise, (long long)-p.leave_by),
			mem_copy("shorten the retention of that store, or promise a later day in closure.rules"));
	else if (!in_time && keys_declared(config))
		check_add(checks, CHECK_OK, "closure",
			mem_printf("%s are kept %lld days: an account closed by %s is dormant from day %lld on, sealed and out of the live database", p.store,
				(long long)p.retention_days, p.trigger, (long long)p.leave_by), NULL);
	else if (!in_time)
		check_add(checks, CHECK_WARNING, "closure",
			mem_printf("%s are kept %lld days: what is purged on the first day for it after %s is in them until day %lld, and the promise is "
				"day %lld; the certificate is interim until then", p.store, (long long)p.retention_days, p.trigger,
				(long long)(p.retention_days + promise - p.within_days + 1), promise),
			mem_printf("declare keys.shares, and its rows are sealed before; or keep them %lld days at most, or say so to the practices",
				(long long)(p.within_days - 1)));
}

static void
check_rules_in_force(struct checks *checks, const struct job *job)
{
	CLEANUP(closure_rules_release) struct closure_rules rules = { 0 };
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	struct err err = { 0 };

	closure_rules_read(job->config, &rules);
	if (db_query(job->db, &QUERY_CHECK_CLOSURE_RULES, DB_PARAMS(rules.triggers.s, rules.anchors.s, rules.days.s, rules.meanings.s,
		    rules.within_days.s), &res, &err) != 0)
		check_err(checks, "closure", &err);
	else if (!db_get_bool(res, 0, 0))
		check_add(checks, CHECK_WARNING, "closure", mem_copy("the closure.rules of the configuration are not those in force"),
			mem_copy("a superuser runs expunge init, which puts them into force"));
}

static void
check_subscriptions(struct checks *checks, const struct job *job)
{
	CLEANUP(subscriptions_release) struct subscriptions subscriptions = { 0 };
	struct err err = { 0 };

	if (subscriptions_open(&subscriptions, job->config, job->db, &err) != 0)
		check_err(checks, "closure", &err);
	else if (subscriptions.declared && !subscriptions.is_table)
		check_add(checks, CHECK_WARNING, "closure", mem_copy("the application's subscriptions are a view: its rows cannot be held while a purge is claimed"),
			mem_copy("declare the table under it in closure.subscriptions, or have the application call expunge_api.reactivate_subscription"));
	else if (subscriptions.declared && !subscriptions.may_hold)
		check_add(checks, CHECK_ERROR, "closure",
			mem_copy("this login may not hold rows of the application's subscriptions: no purge could be claimed"),
			mem_copy("grant UPDATE on its column of the status, or on any one, to expunge_job: SELECT ... FOR SHARE wants it, and nothing is written"));
}

void
check_account(struct checks *checks, const struct job *job)
{
	size_t n = checks->n, n_rules = conf_count(config_list(job->config, SET_CLOSURE_RULES));

	for (size_t i = 0; i < n_rules; i++)
		check_promise(checks, job->config, i);
	check_rules_in_force(checks, job);
	check_subscriptions(checks, job);
	if (checks->n == n && n_rules > 0)
		check_add(checks, CHECK_OK, "closure", mem_printf("%zu rules, as configured, and no store keeps copies past their promise", n_rules), NULL);
}
