/*
 * rules: how the time of a closing account is counted (closure.rules of the configuration), and whether the stores that hold
 * copies leave room for it.
 */
#ifndef EXPUNGE_ACCOUNT_RULES_H
#define EXPUNGE_ACCOUNT_RULES_H

#include "base/str.h"
#include "svc/config.h"

/* The rules as text arrays for a query, a column each, in one order. */
struct closure_rules {
	struct str triggers, anchors, days, meanings, within_days;
};

void closure_rules_read(const struct config *config, struct closure_rules *ret);
void closure_rules_release(struct closure_rules *rules);

/* How long the declared store that keeps copies longest keeps them; 0: none is declared. *ret_name (may be NULL): which. */
int64_t closure_store_days(const struct config *config, const char **ret_name);

/* A promise that stores outside break: rows are in their copies for some time after they have left the live database. */
struct closure_promise {
	const char *trigger, *store; /* owned by the configuration */
	int64_t days, within_days;
	int64_t retention_days;
	int64_t leave_by; /* the day, counted from the anchor, by which rows must have left the live database; may be negative */
};

/* The worst store of rule i (the one kept longest); false when no store is declared. *ret_in_time: rows that leave the live
 * database on the first day of the purge have aged out of it when the promise is due. */
bool closure_promise_of(const struct config *config, size_t i, struct closure_promise *ret, bool *ret_in_time);

#endif
