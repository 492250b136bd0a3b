/*
 * run: what one run of erase or nightly holds: connections, map, ledger, counters.
 *
 * `db` is the removing connection, logged in as the map's session.login; `recount` a second one of
 * the same login that only reads, so that verification sees what was committed and nothing else.
 */
#ifndef EXPUNGE_ERASURE_RUN_H
#define EXPUNGE_ERASURE_RUN_H

#include "erasure/guard.h"
#include "erasure/ledger.h"
#include "evidence/issuer.h"
#include "map/program.h"

enum note_level { NOTE_INFO, NOTE_WARNING, NOTE_ERROR };

/* What a certificate says of the program. */
struct run_tool {
	const char *version, *commit;
};

/* connect() opens a connection as a login */
typedef int run_connect(void *ctx, const char *login, struct db **ret, struct err *err);

struct run {
	const struct config *config;
	struct run_tool tool;
	char tool_hash[72], config_hash[72]; /* of the program and the configuration file; "" until they are needed */
	run_connect *connect;
	void *connect_ctx;
	struct db *db;
	struct db *recount;
	struct run *workers; /* that help this one, see workers.h */
	size_t n_workers;
	struct catalog *catalog;
	struct map *map;
	struct program *program;
	char schema_version[CATALOG_VERSION_SIZE]; /* of the system catalogues, when the schema was last seen to be the program's */
	struct ledger *ledger;
	struct issuer issuer;
	struct instance instance;
	char id[37];
	/* what became of requests; a run with failures exits 3 */
	int64_t n_removed, n_certified, n_blocked, n_failed, n_waiting, n_rows;
	int64_t n_recounted; /* that wait for a certificate */
	int64_t ms_issuing;  /* from taking serials to the commits of what was signed under them: one worker at a time */
	bool drill_failed; /* nothing is certified by this run */
	bool refused; /* an approval no longer fits the map or the schema: exit 5 */
	/* the job listens: progress and single failures, ids and counts only */
	void (*note)(enum note_level level, const char *text);
	void (*progress)(int64_t done, int64_t total);
	bool (*stop)(void);
	char *skip; /* uuid[] text of requests that this run leaves alone from now on */
};

/* Reads catalogue and map, binds and checks them (ERR_USAGE: the map does not fit; ERR_REFUSED: it
 * is incomplete), and opens ledger and issuer key: what is
 * missing is found before the first delete. */
int run_open(struct run *run, const struct config *config, run_connect *connect, void *ctx, struct str *problems,
	struct err *err);
void run_close(struct run *run);
/* Refuses when tables, columns, keys, triggers or rules are not those that the map was checked against. They are read
 * only if anything was written to the system catalogues since they last were. */
int run_check_schema(struct run *run, struct db *db, struct err *err);
/* Inside the removing transaction: no foreign key, trigger, rule or column can be added to a table that
 * rows are taken from, until it ends. */
int run_lock_schema(const struct run *run, struct err *err);
/* The run's row in expunge.run, for status and clock. */
int run_begin(struct run *run, const char *job, struct err *err);
int run_end(struct run *run, int exit_code, struct err *err);
void run_note(const struct run *run, enum note_level level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* One for each line of a text. */
void run_note_lines(const struct run *run, enum note_level level, const char *prefix, const struct str *lines);
/* A safeguard (ERR_REFUSED) keeps `what` from being done: told, with its remedy, and the rest of the run goes on, to end with 5. -1: it is
 * another error, left as it is. */
int run_keep_refusal(struct run *run, const char *what, struct err *err);
bool run_stop_asked(const struct run *run);
/* Leaves a request alone for the rest of this run. */
void run_skip(struct run *run, const char *request);
/* The same for a whole uuid[] text. */
void run_skip_all(struct run *run, const char *requests);
/* Ends the statements under way of this run and its workers; callable from a signal handler. */
void run_cancel(struct run *run);
/* How far the run is, for whoever watches. */
void run_progress(const struct run *run, int64_t done, int64_t total);
/* 0 or 3. */
int run_exit_code(const struct run *run);

#endif
