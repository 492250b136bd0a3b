/*
 * db_error: from what a server reports to one struct err, without a single value of a row.
 *
 * DETAIL is never looked at. The primary message is copied only for classes of SQLSTATE that speak
 * of names and states; those that may quote data (22, 23, what triggers raise, unknown ones) are
 * replaced by the condition and the names of table, column and constraint; these, too, are left out where an
 * application's function may have made them up (RAISE ... USING TABLE = ...).
 */
#ifndef EXPUNGE_SVC_DB_ERROR_H
#define EXPUNGE_SVC_DB_ERROR_H

#include <stdbool.h>

#include "base/err.h"

/* As in the protocol; each may be NULL. */
struct db_report {
	const char *severity; /* not localized */
	const char *sqlstate;
	const char *primary;
	const char *hint;
	const char *schema, *table, *column, *constraint;
	const char *context;
};

/* what: the statement, for the message. Returns -1. */
int db_error_set(struct err *err, const char *what, const struct db_report *report);

#endif
