/* check: what `expunge check` found, one row for each thing looked at. */
#ifndef EXPUNGE_JOBS_CHECK_H
#define EXPUNGE_JOBS_CHECK_H

#include "base/str.h"
#include "jobs/job.h"
#include "map/catalog.h"
#include "map/map.h"

enum check_level { CHECK_OK, CHECK_SKIPPED, CHECK_WARNING, CHECK_ERROR };

struct check_row {
	enum check_level level;
	const char *what; /* static text */
	char *message, *remedy; /* remedy may be NULL */
};

struct checks {
	struct check_row *rows;
	size_t n;
	size_t n_errors, n_warnings;
	bool refused; /* a safeguard would stop the run: exit 5, not 1 */
};

/* Takes over message and remedy, which mem_printf() makes. */
void check_add(struct checks *checks, enum check_level level, const char *what, char *message, char *remedy);
/* The error as a row; ERR_REFUSED is a safeguard's. Clears it. */
void check_err(struct checks *checks, const char *what, struct err *err);

/* Directories, keys and ledger: needs the configuration only. */
void check_host(struct checks *checks, const struct config *config);
/* Everything that the database can tell, over job->db and a connection of the removing login. */
void check_database(struct checks *checks, const struct job *job);
/* Root shares, destinations and journals of the key tree. */
void check_keys(struct checks *checks, const struct job *job);
/* Whether the promise to practices that leave can be kept, with these stores. In a database that is initialised. */
void check_account(struct checks *checks, const struct job *job);
/* Mail server, templates and contacts. */
void check_notices(struct checks *checks, const struct job *job);
/* Reads the map, connects as its login, holds the map against the schema. *ret_map stays NULL when the file
 * is malformed. */
void check_data_map(struct checks *checks, const struct job *job, struct map **ret_map);

#endif
