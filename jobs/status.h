/* status: what was read and judged, for its three forms. */
#ifndef EXPUNGE_JOBS_STATUS_H
#define EXPUNGE_JOBS_STATUS_H

#include "base/str.h"
#include "jobs/job.h"

/* columns of status_counts */
enum count {
	OPEN, DUE_SOON, OVERDUE, PAST_TARGET, BLOCKED, FAILED, UNDECIDED, OLDEST_DAYS, HOLDS, HOLDS_PAST_REVIEW,
	CERTIFICATES, UNPUBLISHED, INTERIM, FINALS_OVERDUE, OPENINGS, UNACKNOWLEDGED, UNCERTIFIED, FROZEN, N_COUNTS
};
enum reason_column { REASON_STATE, REASON_CODE, REASON_N, REASON_OLDEST };
enum job_column { JOB_NAME, JOB_STARTED, JOB_SUCCEEDED, JOB_EXIT, JOB_STARTED_S, JOB_SUCCEEDED_S, JOB_HOURS };
enum archive_column {
	ARCHIVES, ARCHIVE_TENANTS, ARCHIVE_AGE, ARCHIVE_UNNAMED, ARCHIVE_EXPIRED, DRILL_AT, DRILL_PASSED, DRILL_AT_S,
	CHANGE_WAITS
};
enum notice_column {
	NOTICES_QUEUED, NOTICES_LATE, NOTICES_BOUNCED, NOTICES_GIVEN_UP, NOTICES_UNREACHED, NOTICES_SENT, NOTICES_LAST_SENT
};

enum account_column { ACCOUNTS_CLOSING, ACCOUNTS_DUE, ACCOUNTS_UNDER_WAY, ACCOUNTS_OVERDUE, ACCOUNTS_DISAGREEING, ACCOUNTS_FAILED,
	ACCOUNTS_DORMANT, ACCOUNTS_UNSEALED, ACCOUNTS_WAKING };
enum support_column { SUPPORT_OPEN, SUPPORT_SUBJECTS, SUPPORT_OVERDUE, SUPPORT_QUARANTINED };

/* Something that is not as it should be, and what to do about it. */
struct finding {
	char *what;
	const char *remedy;
	bool red; /* overdue or failed: the exit code says so too */
};

struct status {
	const struct config *config;
	struct db_result *counts, *reasons, *jobs;
	struct db_result *notices;
	struct db_result *support;
	struct db_result *accounts;
	struct db_result *archives; /* NULL: there is no key tree */
	int64_t n_missing, n_sending, n_damaged; /* copies of archives, in the destinations of the configuration */
	bool sentinel;       /* the freeze file of the state directory */
	bool red;            /* a finding is */
	struct finding *findings;
	size_t n_findings;
	struct str wrong;    /* all of them in one line; empty when all is well */
};

int64_t status_count(const struct status *s, enum count column);
int64_t status_account_count(const struct status *s, enum account_column column);
int64_t status_support_count(const struct status *s, enum support_column column);
int64_t status_notice_count(const struct status *s, enum notice_column column);
int64_t status_archive_count(const struct status *s, enum archive_column column);
bool status_is_frozen(const struct status *s);
const char *status_verdict(const struct status *s);

int status_print_json(const struct status *s, struct err *err);
/* Text format 0.0.4. */
void status_print_prometheus(const struct status *s);

#endif
