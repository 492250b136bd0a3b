/*
 * expiry: which backups of a tenant are kept, by the rules that restic and borg have made customary. Pure.
 *
 * Of each of the latest n hours, days, weeks and months that have a backup the last one is kept; what no rule keeps
 * expires. Times without a backup count for nothing: where backups have stopped, none goes.
 */
#ifndef EXPUNGE_ARCHIVE_EXPIRY_H
#define EXPUNGE_ARCHIVE_EXPIRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct expiry_keep {
	int64_t hourly, daily, weekly, monthly; /* 0: this rule keeps none */
};

/* A complete archive of one tenant. */
struct expiry_row {
	int64_t leaf;    /* of its generation */
	int64_t created; /* seconds since 1970-01-01 UTC; hours, days, weeks (from Monday) and months are of UTC */
	bool is_backup;  /* others expire by no schedule, and count for none */
	bool expires;    /* the answer */
};

/* Without any rule nothing ever expires. */
bool expiry_has_rule(const struct expiry_keep *keep);
/* Judges all complete archives of one tenant, and leaves them latest first. What is dated later than `now` was made while
 * the clock was wrong: it neither expires nor takes another's place. The latest that is not is kept in any case. */
void expiry_judge(const struct expiry_keep *keep, struct expiry_row *rows, size_t n, int64_t now);

#endif
