/*
 * config: the settings table, and the only file that speaks libconfig.
 *
 * Every setting is a row of one table (settings.c): name, type, default, limits, help. The sample
 * file, the man page and `expunge check` are held against that table by a test. Destructive
 * parameters have no default. All errors of a file are reported at once, with line numbers.
 */
#ifndef EXPUNGE_SVC_CONFIG_H
#define EXPUNGE_SVC_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

enum setting_type {
	SETTING_TEXT, /* plain text (parse_is_plain_text) */
	SETTING_PATH, /* absolute */
	SETTING_INT,
	SETTING_BOOL,
	SETTING_CHOICE, /* one of `choices`, separated by '|' */
	SETTING_LIST    /* a list of groups, read through conf_* below */
};

struct setting {
	const char *name; /* dotted path in the file: "database.conninfo" */
	enum setting_type type;
	const char *preset; /* default as text; NULL: must be given; "" for a list: may be absent */
	int64_t min, max;   /* SETTING_INT: the value; SETTING_TEXT: the length in bytes */
	const char *choices;
	const char *help; /* one sentence for the manual and the sample file */
	bool secret;      /* never shown */
	bool word;        /* SETTING_TEXT: printable ASCII without spaces and '+' (the name of a key) */
};

enum setting_id {
	SET_DATABASE_CONNINFO,
	SET_DATABASE_CONNECT_TIMEOUT_SECONDS,
	SET_DATABASE_NETWORK_TIMEOUT_SECONDS,
	SET_DATABASE_LOCK_TIMEOUT_MS,
	SET_DATABASE_STATEMENT_TIMEOUT_MS,
	SET_MAP,
	SET_STATE_DIRECTORY,
	SET_LEDGER_DIRECTORY,
	SET_CERTIFICATE_DIRECTORY,
	SET_ISSUER_NAME,
	SET_ISSUER_KEY,
	SET_PROCESSOR,
	SET_POLICY_ZONE,
	SET_POLICY_CALENDAR,
	SET_POLICY_UNDO_DAYS,
	SET_POLICY_TARGET_DAYS,
	SET_POLICY_OPENING_DAYS,
	SET_CAP_SUBJECTS_PER_RUN,
	SET_CAP_TENANTS_PER_RUN,
	SET_CAP_ROWS_PER_RUN,
	SET_CAP_TENANT_SHARE_PERCENT,
	SET_BATCH_SUBJECTS,
	SET_BATCH_ROWS,
	SET_BATCH_SECONDS,
	SET_BATCH_WORKERS,
	SET_BATCH_ROWS_PER_SECOND,
	SET_SUPPORT_REQUEST_HOURS,
	SET_SUPPORT_SESSION_HOURS,
	SET_SUPPORT_CONSENT_DAYS,
	SET_SUPPORT_TEST_SUBJECT_DAYS,
	SET_SUPPORT_OVERRIDE,
	SET_SUPPORT_OFFICE_FROM_HOUR,
	SET_SUPPORT_OFFICE_UNTIL_HOUR,
	SET_SUPPORT_TENANTS_PER_DAY,
	SET_VERIFY_CONTROL_SUBJECTS,
	SET_VERIFY_WAIT_SECONDS,
	SET_CLOCK_MAX_SKEW_SECONDS,
	SET_CLOCK_MAX_JUMP_DAYS,
	SET_STORES,
	SET_DOCUMENTS,
	SET_KEYS_SHARES,
	SET_KEYS_ANCHOR,
	SET_KEYS_BARRIERS,
	SET_ARCHIVES_DESTINATIONS,
	SET_ARCHIVES_KEY,
	SET_ARCHIVES_WORKERS,
	SET_ARCHIVES_MAX_AGE_HOURS,
	SET_ARCHIVES_KEEP_HOURLY,
	SET_ARCHIVES_KEEP_DAILY,
	SET_ARCHIVES_KEEP_WEEKLY,
	SET_ARCHIVES_KEEP_MONTHLY,
	SET_ARCHIVES_REUSE_DAYS,
	SET_CLOSURE_RULES,
	SET_CLOSURE_SUBSCRIPTIONS,
	SET_CLOSURE_DRILL_MAX_AGE_HOURS,
	SET_CLOSURE_PAUSE_SECONDS,
	SET_CLOSURE_OPENED_PER_RUN,
	SET_MAIL_SERVER,
	SET_MAIL_TLS,
	SET_MAIL_CA_FILE,
	SET_MAIL_FROM,
	SET_MAIL_FROM_NAME,
	SET_MAIL_USER,
	SET_MAIL_PASSWORD_FILE,
	SET_MAIL_PASSWORD_CREDENTIAL,
	SET_MAIL_TIMEOUT_SECONDS,
	SET_NOTICES_DIRECTORY,
	SET_NOTICES_RETRY_MINUTES,
	SET_NOTICES_GIVE_UP_HOURS,
	SET_NOTICES_KEEP_DAYS,
	SET_LOG_LEVEL,
	SETTING_COUNT
};

struct config;

/* The table itself, SETTING_COUNT rows in the order of enum setting_id. */
const struct setting *config_settings(void);

/* Reads and checks a file. On failure (ERR_USAGE) the message names file and number of problems and
 * `problems` (may be NULL) gets one line each, "file:line: what is wrong". Unknown settings are
 * errors. Refuses a file that others can write. */
int config_load(struct config **ret, const char *path, struct str *problems, struct err *err);
void config_free(struct config *config);
void config_freep(struct config **config);

const char *config_text(const struct config *config, enum setting_id id);
int64_t config_int(const struct config *config, enum setting_id id);
bool config_bool(const struct config *config, enum setting_id id);
const char *config_path(const struct config *config); /* the file it was read from */

/*
 * The tree below a setting, and whole other files (the data map) as such a tree. Nodes belong to
 * the document. Wrong types are reported by the caller with conf_line().
 */
struct conf_document;
struct conf_node;

/* ERR_USAGE with file:line: reason. Besides what libconfig refuses: @include (one file is what a hash
 * of it speaks of), text that is not UTF-8, and integers that libconfig would silently cut to 32 bits. */
int conf_read(struct conf_document **ret, const char *path, struct err *err);
/* The same of a text that was read already; path: what errors call it. */
int conf_read_text(struct conf_document **ret, const char *path, const char *text, struct err *err);
void conf_free(struct conf_document *document);
void conf_freep(struct conf_document **document);
const struct conf_node *conf_root(const struct conf_document *document);
const struct conf_node *config_list(const struct config *config, enum setting_id id); /* NULL when absent */

enum conf_type { CONF_GROUP, CONF_LIST, CONF_TEXT, CONF_INT, CONF_BOOL, CONF_OTHER };
enum conf_type conf_type(const struct conf_node *node); /* arrays and lists are both CONF_LIST; what is not there is CONF_OTHER */
int conf_line(const struct conf_node *node);
const char *conf_name(const struct conf_node *node); /* NULL in a list */
size_t conf_count(const struct conf_node *node);     /* members of a group or list, else 0 */
const struct conf_node *conf_at(const struct conf_node *node, size_t i);
const struct conf_node *conf_member(const struct conf_node *node, const char *name); /* NULL when absent */
const char *conf_text(const struct conf_node *node); /* NULL unless CONF_TEXT */
int64_t conf_int(const struct conf_node *node);
bool conf_bool(const struct conf_node *node);

#endif
