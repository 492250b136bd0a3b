/*
 * subscriptions: what the application says of its practices' subscriptions (closure.subscriptions of the configuration), read
 * from its own table or view. Names are quoted by the catalogue, values are parameters.
 */
#ifndef EXPUNGE_ACCOUNT_SUBSCRIPTIONS_H
#define EXPUNGE_ACCOUNT_SUBSCRIPTIONS_H

#include "svc/config.h"
#include "svc/db.h"

struct subscriptions {
	bool declared;
	bool is_table;  /* its row can be held until a claim has committed; not so that of a view */
	bool may_hold;  /* this login has the right to (UPDATE on some column) */
	struct str all;    /* SELECT of those that matter to a night: tenant, says, cancelled_at, paid_until, reason, zone */
	struct str opening; /* SELECT of how many closings they would open */
	struct str one;    /* SELECT of what it says of tenant $4, locked where that is a table */
	struct str open, closed, expired; /* $1 to $3: statuses, as text arrays */
};

/* Looks the names up. Not declared: all is empty, and that is no error. ERR_USAGE names what the database does not have. */
int subscriptions_open(struct subscriptions *ret, const struct config *config, struct db *db, struct err *err);
void subscriptions_release(struct subscriptions *subscriptions);
/* What the application says of one tenant: open, closed, expired, paid (closed, but paid for
 * beyond the day that is counted from), unknown, several or missing, a constant; NULL when no table is
 * declared. In the transaction that claims: a row of a table stays as it was read until that ends. */
int subscriptions_say(const struct subscriptions *subscriptions, struct db *db, const char *tenant, const char **ret, struct err *err);

#endif
