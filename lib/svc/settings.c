#include "svc/config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "sys/file.h"
#include "base/parse.h"
#include "svc/settings_private.h"

#define REQUIRED NULL
/* NOLINTBEGIN(bugprone-macro-parentheses): parts of initializers take none */
#define TEXT(NAME, PRESET, MAX, HELP, ...) \
	{ .name = NAME, .type = SETTING_TEXT, .preset = PRESET, .min = 1, .max = MAX, .help = HELP, __VA_ARGS__ }
#define PATH(NAME, PRESET, HELP) \
	{ .name = NAME, .type = SETTING_PATH, .preset = PRESET, .min = 1, .max = PATH_MAX_BYTES, .help = HELP }
#define INT(NAME, PRESET, MIN, MAX, HELP) \
	{ .name = NAME, .type = SETTING_INT, .preset = PRESET, .min = MIN, .max = MAX, .help = HELP }
#define BOOL(NAME, PRESET, HELP) \
	{ .name = NAME, .type = SETTING_BOOL, .preset = PRESET, .help = HELP }
#define CHOICE(NAME, PRESET, CHOICES, HELP) \
	{ .name = NAME, .type = SETTING_CHOICE, .preset = PRESET, .choices = CHOICES, .help = HELP }
#define LIST(NAME, HELP) \
	{ .name = NAME, .type = SETTING_LIST, .preset = "", .help = HELP }
/* NOLINTEND(bugprone-macro-parentheses) */

static const struct setting settings[SETTING_COUNT] = {
	[SET_DATABASE_CONNINFO] = TEXT("database.conninfo", REQUIRED, 4096,
		"How to reach the database, as libpq's connection string; keep the password in a password file. "
		"TLS is verify-full unless it says otherwise or the host is a local socket.", .secret = true),
	[SET_DATABASE_CONNECT_TIMEOUT_SECONDS] = INT("database.connect_timeout_seconds", "10", 2, 600,
		"How long to wait for a connection."),
	[SET_DATABASE_NETWORK_TIMEOUT_SECONDS] = INT("database.network_timeout_seconds", "120", 2, 3600,
		"After so long without a sign of life over the network each side gives the connection up; the server "
		"then lets go of what it had locked."),
	[SET_DATABASE_LOCK_TIMEOUT_MS] = INT("database.lock_timeout_ms", "5000", 1, 600000,
		"How long a statement waits for a lock of the application before its batch is tried again."),
	[SET_DATABASE_STATEMENT_TIMEOUT_MS] = INT("database.statement_timeout_ms", "0", 0, 86400000,
		"How long one statement may run; 0 is no limit."),
	[SET_MAP] = PATH("map", REQUIRED,
		"The data map: who owns each row, and what becomes of it."),
	[SET_STATE_DIRECTORY] = PATH("state_directory", REQUIRED,
		"Holds the binding to the database, the locks, and the sentinel file that freezes all erasure."),
	[SET_LEDGER_DIRECTORY] = PATH("ledger_directory", REQUIRED,
		"Holds the erasure ledger; must be in a place that a restore of the database does not touch."),
	[SET_CERTIFICATE_DIRECTORY] = PATH("certificate_directory", REQUIRED,
		"Where signed certificates are written."),
	[SET_ISSUER_NAME] = TEXT("issuer.name", REQUIRED, 255,
		"The name of the signing key, which every certificate carries; without spaces and '+'.", .word = true),
	[SET_ISSUER_KEY] = PATH("issuer.key", REQUIRED,
		"The signing key (PEM), made by expunge init, readable by its user only; keep a copy in a safe."),
	[SET_PROCESSOR] = TEXT("processor", REQUIRED, 200,
		"The operator and its ICO registration, as certificates show it.", .secret = false),
	[SET_POLICY_ZONE] = TEXT("policy.zone", "Europe/London", 64,
		"The IANA time zone in which days are counted.", .secret = false),
	[SET_POLICY_CALENDAR] = CHOICE("policy.calendar", "england-wales", "england-wales|scotland|northern-ireland",
		"Whose bank holidays move a due date."),
	[SET_POLICY_UNDO_DAYS] = INT("policy.undo_days", "7", 0, 28,
		"Days between the decision to erase and the first run that may; the request can still be withdrawn."),
	[SET_POLICY_TARGET_DAYS] = INT("policy.target_days", "28", 1, 90,
		"Days from receipt after which an open request is reported as late, ahead of the legal date."),
	[SET_POLICY_OPENING_DAYS] = INT("policy.opening_days", "30", 1, 365,
		"Days for which the opening of a certificate's subject reference is kept for the practice."),
	[SET_CAP_SUBJECTS_PER_RUN] = INT("caps.subjects_per_run", REQUIRED, 1, 1000000,
		"More subjects than this in one run, and nothing runs until a person raises the cap for that run."),
	[SET_CAP_TENANTS_PER_RUN] = INT("caps.tenants_per_run", REQUIRED, 1, 1000000,
		"More tenants than this in one run, and nothing runs until a person raises the cap for that run."),
	[SET_CAP_ROWS_PER_RUN] = INT("caps.rows_per_run", REQUIRED, 1, INT64_C(1000000000000),
		"More rows than this in one run, and nothing runs until a person raises the cap for that run."),
	[SET_CAP_TENANT_SHARE_PERCENT] = INT("caps.tenant_share_percent", REQUIRED, 1, 100,
		"A larger share than this of any tenant's subjects in one run, and nothing runs until a person raises the cap."),
	[SET_BATCH_SUBJECTS] = INT("batch.subjects", "500", 1, 10000,
		"At most so many subjects are removed in one transaction; of a whole account as many as batch.rows has room for."),
	[SET_BATCH_ROWS] = INT("batch.rows", "50000", 1, 10000000,
		"At most so many rows are removed in one transaction; a single subject is never split."),
	[SET_BATCH_SECONDS] = INT("batch.seconds", "30", 1, 3600,
		"A batch that took longer than this makes the next one smaller."),
	[SET_BATCH_WORKERS] = INT("batch.workers", "2", 1, 16,
		"So many connections work at once when more than one batch is due; one where the map disables rules or triggers."),
	[SET_BATCH_ROWS_PER_SECOND] = INT("batch.rows_per_second", "0", 0, INT64_C(1000000000),
		"Removes, counts and vacuums no faster than this, in small batches, one worker; 0 is as fast as it goes."),
	[SET_SUPPORT_REQUEST_HOURS] = INT("support.request_hours", "12", 1, 168,
		"A request of the support staff for a practice's consent that nobody has answered lapses after so many hours."),
	[SET_SUPPORT_SESSION_HOURS] = INT("support.session_hours", "4", 1, 24,
		"A session of the support staff ends after so many hours at the latest; so does what an override stands for."),
	[SET_SUPPORT_CONSENT_DAYS] = INT("support.consent_days", "31", 1, 366,
		"A practice consents for so many days at the longest."),
	[SET_SUPPORT_TEST_SUBJECT_DAYS] = INT("support.test_subject_days", "7", 1, 366,
		"A patient that the support staff made is deleted after so many days, if the practice has not used it."),
	[SET_SUPPORT_OVERRIDE] = BOOL("support.override", "false",
		"Whether two members of staff together may enter without consent; the practice and the data protection officer are told."),
	[SET_SUPPORT_OFFICE_FROM_HOUR] = INT("support.office_from_hour", "8", 0, 23,
		"A session opened before this hour, or on no working day, is reported as unusual."),
	[SET_SUPPORT_OFFICE_UNTIL_HOUR] = INT("support.office_until_hour", "18", 1, 24,
		"So is one opened from this hour on."),
	[SET_SUPPORT_TENANTS_PER_DAY] = INT("support.tenants_per_day", "5", 1, 1000,
		"And so are sessions in more practices than this in one day of one member of staff."),
	[SET_VERIFY_CONTROL_SUBJECTS] = INT("verify.control_subjects", "3", 1, 1000,
		"So many other subjects are compared row by row before and after each batch."),
	[SET_VERIFY_WAIT_SECONDS] = INT("verify.wait_seconds", "60", 0, 86400,
		"How long verification waits for older transactions to end before it is left to the next run."),
	[SET_CLOCK_MAX_SKEW_SECONDS] = INT("clock.max_skew_seconds", "60", 1, 3600,
		"A larger difference between the clocks of host and database refuses the run."),
	[SET_CLOCK_MAX_JUMP_DAYS] = INT("clock.max_jump_days", "40", 1, 3660,
		"A larger jump of the clock since the last run refuses the run."),
	[SET_STORES] = LIST("stores",
		"Other stores that hold copies of the rows: a name, a kind (physical-backup, wal-archive, standby, replication-slot, "
		"server-log, other), and the days after which a copy has aged out; until then certificates are interim."),
	[SET_DOCUMENTS] = LIST("documents",
		"Files outside the database that columns of the data map name: for each kind of them the word that the map uses, and the "
		"directory that the paths begin in."),
	[SET_KEYS_SHARES] = LIST("keys.shares",
		"Where the root key is kept, outside the database and its backups: the shares that together give it, and of each its "
		"copies (replicas); without any there is no key tree."),
	[SET_KEYS_ANCHOR] = PATH("keys.anchor", "/var/lib/expunge/anchor",
		"The file that remembers how far this installation has come; not in a place that is restored with the database."),
	[SET_KEYS_BARRIERS] = LIST("keys.barriers",
		"What a change of the root waits for, besides the key journals, before it destroys the old one: a kind (standby, wal-archive), "
		"how long (timeout_seconds), and for a standby its name on the server, or that of its slot; without a name every synchronous "
		"one."),
	[SET_ARCHIVES_DESTINATIONS] = LIST("archives.destinations",
		"Where sealed archives go: a name each, and a directory, which has the journal of their keys, too (two at least, in different "
		"places), or a command that is given each archive on standard input (store), perhaps others that give it back (fetch) and "
		"remove it (remove), and how long one may take (timeout_seconds, 3600); {id} in an argument is the archive's id."),
	[SET_ARCHIVES_KEY] = PATH("archives.key", "/etc/expunge/keys/archives.pem",
		"The private key that signs archives and the key journal."),
	[SET_ARCHIVES_WORKERS] = INT("archives.workers", "2", 1, 16,
		"So many practices are backed up at once, over two connections each."),
	[SET_ARCHIVES_MAX_AGE_HOURS] = INT("archives.max_age_hours", "3", 1, 87600,
		"When the newest backup of a practice is older than this, check and status say so."),
	[SET_ARCHIVES_KEEP_HOURLY] = INT("archives.keep_hourly", "0", 0, 100000,
		"Of so many hours that have a backup of the practice, the last one of each is kept. What none of the keep_ settings keeps "
		"expires: its key is shredded, and its files go. While all of them are 0, nothing ever does."),
	[SET_ARCHIVES_KEEP_DAILY] = INT("archives.keep_daily", "0", 0, 100000,
		"Of so many days (UTC) that have a backup, the last one of each is kept."),
	[SET_ARCHIVES_KEEP_WEEKLY] = INT("archives.keep_weekly", "0", 0, 100000,
		"Of so many weeks, from Monday, that have a backup, the last one of each is kept."),
	[SET_ARCHIVES_KEEP_MONTHLY] = INT("archives.keep_monthly", "0", 0, 100000,
		"Of so many months that have a backup, the last one of each is kept."),
	[SET_ARCHIVES_REUSE_DAYS] = INT("archives.reuse_days", "30", 0, 3650,
		"A backup does not write again what has not changed: it refers to the rows in earlier archives, as long as these are younger than "
		"so many days; then all is written anew. 0: every archive holds everything."),
	[SET_CLOSURE_RULES] = LIST("closure.rules",
		"How the time of a closing account is counted, for each way to close one (trigger: cancellation, expiry, termination): from which "
		"day (anchor: paid-until or told), how many days, what they mean (not-before or complete-by), and within how many days around "
		"that its purge is done. Without a rule no account is closed that way."),
	[SET_CLOSURE_SUBSCRIPTIONS] = LIST("closure.subscriptions",
		"The application's own table or view of subscriptions, compared each night: its table, the columns with the tenant, the status and "
		"the last paid day (perhaps cancelled_at, reason and zone), and which statuses are open, closed and expired; one that is "
		"in none of these is reported."),
	[SET_CLOSURE_DRILL_MAX_AGE_HOURS] = INT("closure.drill_max_age_hours", "168", 1, 87600,
		"No account is purged unless archives were opened with success, as a drill, and a backup was made, within so many hours."),
	[SET_CLOSURE_PAUSE_SECONDS] = INT("closure.pause_seconds", "600", 0, 86400,
		"Of several accounts the smallest is purged first; then the run waits so long, so that somebody may notice and freeze the rest."),
	[SET_CLOSURE_OPENED_PER_RUN] = INT("closure.opened_per_run", "100", 1, 1000000,
		"When the application's table of subscriptions says that more accounts than this have ended since the last run, none of them is "
		"closed until a person raises the cap for one run."),
	[SET_MAIL_SERVER] = TEXT("mail.server", "", 300,
		"The mail server that notices are handed to: smtp://host (STARTTLS, port 587 unless :port says otherwise) or smtps://host (465); "
		"without one they wait in the outbox, and status says so."),
	[SET_MAIL_TLS] = CHOICE("mail.tls", "verify-full", "verify-full|off",
		"Its certificate must be good for its name; off is for a mail server on this host itself (127.0.0.1, port 25)."),
	[SET_MAIL_CA_FILE] = PATH("mail.ca_file", "/etc/ssl/certs/ca-certificates.crt",
		"The authorities (PEM) whose word counts for the mail server's name."),
	[SET_MAIL_FROM] = TEXT("mail.from", "", 254,
		"The address that notices come from, and that a mail server sends back to what it could not deliver."),
	[SET_MAIL_FROM_NAME] = TEXT("mail.from_name", "", 100,
		"The name beside it."),
	[SET_MAIL_USER] = TEXT("mail.user", "", 254,
		"Who logs in at the mail server; without one nobody does."),
	[SET_MAIL_PASSWORD_FILE] = PATH("mail.password_file", "",
		"The file that holds the password, readable by its user only."),
	[SET_MAIL_PASSWORD_CREDENTIAL] = TEXT("mail.password_credential", "", 255,
		"Instead of a file: the name under which systemd's LoadCredential gives the password.", .word = true),
	[SET_MAIL_TIMEOUT_SECONDS] = INT("mail.timeout_seconds", "60", 1, 600,
		"How long to wait for the mail server to take the connection, and twice that for each notice."),
	[SET_NOTICES_DIRECTORY] = PATH("notices.directory", "/etc/expunge/notices",
		"The texts of the notices: NAME.txt, whose first line is the subject, and NAME.html."),
	[SET_NOTICES_RETRY_MINUTES] = INT("notices.retry_minutes", "60", 1, 1440,
		"A notice that could not be sent is tried again after so long, then after twice as long, and so on, at least once a day."),
	[SET_NOTICES_GIVE_UP_HOURS] = INT("notices.give_up_hours", "120", 1, 8760,
		"A notice that could not be sent for so long is given up."),
	[SET_NOTICES_KEEP_DAYS] = INT("notices.keep_days", "400", 1, 36500,
		"So long after it was sent or given up, a notice's address and facts are forgotten; that it was sent, and when, stays."),
	[SET_LOG_LEVEL] = CHOICE("log.level", "info", "error|warning|info|debug",
		"What a run says on standard error."),
};

const struct setting *
config_settings(void)
{
	return settings;
}

struct value {
	char *text;
	int64_t number;
};

struct config {
	char *path;
	struct conf_document *document;
	struct value values[SETTING_COUNT];
};

void
reading_complain(struct reading *r, const struct conf_node *node, const char *fmt, ...)
{
	CLEANUP(free_text) char *what = NULL;
	va_list ap;

	r->count++;
	va_start(ap, fmt);
	if (vasprintf(&what, fmt, ap) < 0)
		what = NULL;
	va_end(ap);
	if (what == NULL)
		return;
	str_addf(r->problems, "%s", r->path);
	if (node != NULL)
		str_addf(r->problems, ":%d", conf_line(node));
	str_add(r->problems, ": ");
	str_add_visible(r->problems, what);
	str_add(r->problems, "\n");
}

/* the node at a dotted name, or NULL */
static const struct conf_node *
find_node(const struct conf_document *document, const char *name)
{
	const struct conf_node *node = conf_root(document);

	while (node != NULL) {
		size_t n = strcspn(name, ".");
		CLEANUP(free_text) char *part = mem_copy_n(name, n);

		node = conf_member(node, part);
		if (name[n] == '\0')
			break;
		name += n + 1;
	}
	return node;
}

static bool
is_word(const char *text)
{
	for (const char *c = text; *c != '\0'; c++)
		if (*c <= ' ' || *c > '~' || *c == '+')
			return false;
	return true;
}

bool
settings_is_choice(const char *choices, const char *text)
{
	size_t n = strlen(text);

	for (const char *c = choices; n > 0; c++) {
		size_t len = strcspn(c, "|");

		if (len == n && strncmp(c, text, n) == 0)
			return true;
		c += len;
		if (*c == '\0')
			break;
	}
	return false;
}

static void
read_text(struct reading *r, const struct setting *s, const struct conf_node *node, struct value *value)
{
	const char *text = conf_text(node);

	if (text == NULL)
		reading_complain(r, node, "%s must be a text in quotes", s->name);
	else if (s->preset != NULL && strcmp(text, s->preset) == 0) /* the default, written out: it may be empty */
		value->text = mem_copy(text);
	else if (s->type == SETTING_CHOICE && !settings_is_choice(s->choices, text))
		reading_complain(r, node, "%s must be one of %s", s->name, s->choices);
	else if (s->type == SETTING_PATH && text[0] != '/')
		reading_complain(r, node, "%s must be an absolute path", s->name);
	else if (s->type != SETTING_CHOICE && (int64_t)strlen(text) < s->min)
		reading_complain(r, node, "%s must not be empty", s->name);
	else if (s->type != SETTING_CHOICE && !parse_is_plain_text(text, (size_t)s->max))
		reading_complain(r, node, "%s must be at most %lld bytes of plain text without control characters", s->name,
			(long long)s->max);
	else if (s->word && !is_word(text))
		reading_complain(r, node, "%s must be printable ASCII without spaces and '+'", s->name);
	else
		value->text = mem_copy(text);
}

static void
read_number(struct reading *r, const struct setting *s, const struct conf_node *node, struct value *value)
{
	value->number = conf_int(node);
	if (conf_type(node) != CONF_INT)
		reading_complain(r, node, "%s must be a whole number", s->name);
	else if (value->number < s->min || value->number > s->max)
		reading_complain(r, node, "%s must be between %lld and %lld", s->name, (long long)s->min, (long long)s->max);
}

static void
read_setting(struct reading *r, const struct config *config, const struct setting *s, struct value *value)
{
	const struct conf_node *node = find_node(config->document, s->name);

	if (node == NULL) {
		if (s->preset == NULL)
			reading_complain(r, NULL, "%s is missing: %s", s->name, s->help);
		else if (s->type == SETTING_INT)
			(void)parse_int64(s->preset, s->min, s->max, &value->number);
		else if (s->type == SETTING_BOOL)
			value->number = strcmp(s->preset, "true") == 0;
		else if (s->type != SETTING_LIST)
			value->text = mem_copy(s->preset);
		return;
	}
	switch (s->type) {
	case SETTING_TEXT:
	case SETTING_PATH:
	case SETTING_CHOICE:
		read_text(r, s, node, value);
		break;
	case SETTING_INT:
		read_number(r, s, node, value);
		break;
	case SETTING_BOOL:
		value->number = conf_bool(node);
		if (conf_type(node) != CONF_BOOL)
			reading_complain(r, node, "%s must be true or false", s->name);
		break;
	case SETTING_LIST:
		reading_list(r, s, node);
		break;
	}
}

enum match { MATCH_NONE, MATCH_GROUP, MATCH_SETTING };

static enum match
match_setting(const char *name)
{
	const struct setting *s = config_settings();
	size_t n = strlen(name);

	for (size_t i = 0; i < SETTING_COUNT; i++) {
		if (strcmp(s[i].name, name) == 0)
			return MATCH_SETTING;
		if (strncmp(s[i].name, name, n) == 0 && s[i].name[n] == '.')
			return MATCH_GROUP;
	}
	return MATCH_NONE;
}

/* Every name that a setting, or a group of them, has. */
static void
add_names(struct str *choices)
{
	const struct setting *s = config_settings();

	for (size_t i = 0; i < SETTING_COUNT; i++) {
		const char *dot = strchr(s[i].name, '.');

		str_addf(choices, "%s%s", i == 0 ? "" : "|", s[i].name);
		if (dot != NULL)
			str_addf(choices, "|%.*s", (int)(dot - s[i].name), s[i].name);
	}
}

/* A misspelt setting must not silently mean the default. */
static void
find_unknown(struct reading *r, const struct conf_node *group, const char *prefix)
{
	for (size_t i = 0; i < conf_count(group); i++) {
		const struct conf_node *node = conf_at(group, i);
		CLEANUP(free_text) char *name = mem_printf("%s%s%s", prefix, prefix[0] == '\0' ? "" : ".", conf_name(node));
		enum match match = match_setting(name);

		if (match == MATCH_NONE) {
			CLEANUP(str_release) struct str choices = STR_INIT;

			add_names(&choices);
			reading_unknown(r, node, name, choices.s, "");
		} else if (match == MATCH_GROUP && conf_type(node) == CONF_GROUP)
			find_unknown(r, node, name);
		else if (match == MATCH_GROUP)
			reading_complain(r, node, "%s must be a group in braces", name);
	}
}

/* Who can write the configuration decides what is erased. */
static int
check_writers(const char *path, struct err *err)
{
	if (file_check_writers(path, err) == 0)
		return 0;
	if (err != NULL)
		err->code = ERR_USAGE;
	return err_prefix(err, "reading configuration");
}

int
config_load(struct config **ret, const char *path, struct str *problems, struct err *err)
{
	CLEANUP(config_freep) struct config *config = mem_zero(1, sizeof(*config));
	CLEANUP(str_release) struct str unwanted = STR_INIT;
	struct reading r = { path, problems != NULL ? problems : &unwanted, 0 };

	config->path = mem_copy(path);
	if (check_writers(path, err) != 0 || conf_read(&config->document, path, err) != 0) {
		if (err != NULL)
			str_addf(r.problems, "%s\n", err->msg);
		return -1;
	}
	for (size_t i = 0; i < SETTING_COUNT; i++)
		read_setting(&r, config, &config_settings()[i], &config->values[i]);
	find_unknown(&r, conf_root(config->document), "");
	if (r.count > 0) {
		err_set(err, ERR_USAGE, "configuration %s has %d problem%s", path, r.count, r.count == 1 ? "" : "s");
		return problems == NULL ? err_hint(err, "%s", str_cstr(&unwanted)) : -1;
	}
	*ret = TAKE_PTR(config);
	return 0;
}

void
config_free(struct config *config)
{
	if (config == NULL)
		return;
	for (size_t i = 0; i < SETTING_COUNT; i++)
		free(config->values[i].text);
	conf_free(config->document);
	free(config->path);
	free(config);
}

void
config_freep(struct config **config)
{
	config_free(*config);
	*config = NULL;
}

const char *
config_text(const struct config *config, enum setting_id id)
{
	return config->values[id].text;
}

int64_t
config_int(const struct config *config, enum setting_id id)
{
	return config->values[id].number;
}

bool
config_bool(const struct config *config, enum setting_id id)
{
	return config->values[id].number != 0;
}

const char *
config_path(const struct config *config)
{
	return config->path;
}

const struct conf_node *
config_list(const struct config *config, enum setting_id id)
{
	return find_node(config->document, config_settings()[id].name);
}
