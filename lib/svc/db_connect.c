#include "svc/db.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "svc/db_private.h"

static const char *
option_value(const PQconninfoOption *options, const char *keyword)
{
	for (const PQconninfoOption *o = options; o != NULL && o->keyword != NULL; o++)
		if (strcmp(o->keyword, keyword) == 0)
			return o->val != NULL && o->val[0] != '\0' ? o->val : NULL;
	return NULL;
}

static const char *
option_or_environment(const PQconninfoOption *options, const char *keyword, const char *variable)
{
	const char *value = option_value(options, keyword);
	const char *set = getenv(variable);

	return value != NULL ? value : set != NULL && set[0] != '\0' ? set : NULL;
}

/* every host of the list is a directory (or abstract name) of a socket */
static bool
is_local(const char *host, const char *hostaddr)
{
	if (hostaddr != NULL)
		return false;
	for (const char *h = host; h != NULL; h = strchr(h, ',')) {
		h += *h == ',';
		if (*h != '/' && *h != '@' && *h != ',' && *h != '\0')
			return false;
	}
	return true;
}

static void
free_options(PQconninfoOption **options)
{
	PQconninfoFree(*options);
}

/* True when TLS must be asked for, because nobody has decided and the server is not on a socket. */
static int
needs_tls(const struct db *db, bool *ret, struct err *err)
{
	CLEANUP(free_options) PQconninfoOption *options = PQconninfoParse(db->conninfo, NULL);
	CLEANUP(free_options) PQconninfoOption *resolved = NULL;
	const PQconninfoOption *look = options;

	if (options == NULL) {
		err_set(err, ERR_USAGE, "the connection string in %s is malformed", db->options.source);
		return err_hint(err, "write \"host=... dbname=... user=...\" or \"postgresql://...\"");
	}
	*ret = false;
	if (option_or_environment(options, "sslmode", "PGSSLMODE") != NULL)
		return 0;
	if (option_or_environment(options, "service", "PGSERVICE") != NULL) {
		/* only a connection that was started knows what the service file says */
		PGconn *started = PQconnectStart(db->conninfo);
		const char *mode;

		look = resolved = PQconninfo(started);
		PQfinish(started);
		mode = option_value(look, "sslmode");
		if (mode != NULL && strcmp(mode, "prefer") != 0) /* which is what libpq says for "not given" */
			return 0;
	}
	*ret = !is_local(option_or_environment(look, "host", "PGHOST"),
		option_or_environment(look, "hostaddr", "PGHOSTADDR"));
	return 0;
}

static void
count_notice(void *ctx, const PGresult *res)
{
	struct db *db = ctx;

	(void)res;
	db->warnings++;
}

static int
fail_connect(struct db *db, struct err *err)
{
	CLEANUP(str_release) struct str text = STR_INIT;

	db_add_line(&text, PQerrorMessage(db->conn));
	db->lost = true;
	err_set(err, ERR_LOST, "connecting to the database: %s", str_cstr(&text));
	if (strstr(str_cstr(&text), "root certificate") != NULL)
		err_hint(err, "name the server's CA with sslrootcert=... in database.conninfo");
	return -1;
}

/*
 * How a dead network is noticed: probes while nothing is under way, and a limit for what was sent and not
 * acknowledged, where no probes are made. The same words serve libpq and, as settings, the server.
 */
struct patience {
	char idle[16], interval[16], count[16], unacknowledged[16];
};

static bool
patience(const struct db *db, struct patience *ret)
{
	int s = db->options.network_timeout_s, interval = s < 8 ? 1 : s / 8;

	(void)snprintf(ret->interval, sizeof(ret->interval), "%d", interval);
	(void)snprintf(ret->count, sizeof(ret->count), "%d", s < 8 ? 1 : 4);
	(void)snprintf(ret->idle, sizeof(ret->idle), "%d", s < 8 ? s - 1 : s - 4 * interval);
	(void)snprintf(ret->unacknowledged, sizeof(ret->unacknowledged), "%d", s * 1000);
	return s > 1;
}

/* Options before dbname yield to the conninfo, those after it override it. */
static int
start_connection(struct db *db, struct err *err)
{
	const char *keywords[12], *values[12];
	struct patience network;
	char timeout[16];
	bool tls = false;
	int n = 0;

	if (needs_tls(db, &tls, err) != 0)
		return -1;
	(void)snprintf(timeout, sizeof(timeout), "%d", db->options.connect_timeout_s);
#define OPTION(KEYWORD, VALUE) (keywords[n] = (KEYWORD), values[n++] = (VALUE))
	if (patience(db, &network)) {
		OPTION("keepalives_idle", network.idle);
		OPTION("keepalives_interval", network.interval);
		OPTION("keepalives_count", network.count);
		OPTION("tcp_user_timeout", network.unacknowledged);
	}
	if (tls)
		OPTION("sslmode", "verify-full");
	OPTION("dbname", db->conninfo);
	if (db->user != NULL)
		OPTION("user", db->user);
	OPTION("application_name", db->name);
	OPTION("connect_timeout", timeout);
	OPTION("client_encoding", "UTF8");
	OPTION(NULL, NULL);
#undef OPTION
	db->conn = PQconnectdbParams(keywords, values, 1);
	return PQstatus(db->conn) == CONNECTION_OK ? 0 : fail_connect(db, err);
}

static int
check_server(struct db *db, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;

	if (PQserverVersion(db->conn) < 130000)
		return err_set(err, ERR_FAILED, "the server is PostgreSQL %d; 13 or newer is needed",
			PQserverVersion(db->conn) / 10000);
	/* a certificate must not outlive the commit that it speaks of */
	if (db_text(db, DB_ONE,
		    "SELECT pg_catalog.pg_backend_pid(), CASE WHEN pg_catalog.current_setting('synchronous_commit') = 'off'"
		    " THEN pg_catalog.set_config('synchronous_commit', 'on', false) END",
		    0, NULL, &res, err) != 0)
		return -1;
	if (db_get_int(res, 0, 0) != PQbackendPID(db->conn)) {
		err_set(err, ERR_REFUSED, "the connection goes through a pooler that shares server sessions");
		err_hint(err, "let database.conninfo name the server itself");
		return -1;
	}
	return 0;
}

static int
set_session(struct db *db, struct err *err)
{
	CLEANUP(str_release) struct str sql = STR_INIT;
	struct patience network;

	str_addf(&sql,
		"SET search_path = pg_catalog, pg_temp; SET timezone = 'UTC'; SET datestyle = 'ISO, YMD';"
		"SET intervalstyle = 'postgres'; SET extra_float_digits = 1; SET bytea_output = 'hex';"
		"SET standard_conforming_strings = on; SET client_min_messages = warning;"
		"SET default_transaction_isolation = 'read committed'; SET default_transaction_deferrable = off;"
		/* short statements with far-fetched estimates: compiling them takes longer than running them */
		"SET jit = off;"
		"SET idle_in_transaction_session_timeout = 0; SET lock_timeout = %d; SET statement_timeout = %d;",
		db->options.lock_timeout_ms, db->options.statement_timeout_ms);
	if (db->options.read_write)
		str_add(&sql, "SET default_transaction_read_only = off;");
	if (db->options.all_rows)
		str_add(&sql, "SET row_security = off;");
	if (patience(db, &network))
		str_addf(&sql, "SET tcp_keepalives_idle = %s; SET tcp_keepalives_interval = %s; SET tcp_keepalives_count = %s;"
			"SET tcp_user_timeout = %s;", network.idle, network.interval, network.count, network.unacknowledged);
	/* a statement of ours that nobody waits for any more ends */
	if (PQserverVersion(db->conn) >= 140000)
		str_add(&sql, "SET idle_session_timeout = 0; SET client_connection_check_interval = '10s';");
	return db_script(db, "setting the session up", sql.s, err);
}

static void
disconnect(struct db *db)
{
	PGcancel *cancel = db->cancel;

	db->cancel = NULL; /* before it is freed: a signal may come in between */
	PQfreeCancel(cancel);
	PQfinish(db->conn);
	db->conn = NULL;
	free(db->sent);
	db->sent = NULL;
	db->piping = false;
}

static int
connect_server(struct db *db, struct err *err)
{
	db->lost = false;
	if (start_connection(db, err) != 0)
		return -1;
	db->cancel = PQgetCancel(db->conn);
	(void)PQsetErrorVerbosity(db->conn, PQERRORS_TERSE);
	(void)PQsetNoticeReceiver(db->conn, count_notice, db);
	if (check_server(db, err) != 0 || set_session(db, err) != 0) {
		db->lost = true;
		return -1;
	}
	return 0;
}

int
db_open(struct db **ret, const struct db_options *options, struct err *err)
{
	CLEANUP(db_closep) struct db *db = mem_zero(1, sizeof(*db));

	db->options = *options;
	if (db->options.source == NULL)
		db->options.source = "database.conninfo";
	db->options.conninfo = db->conninfo = mem_copy(options->conninfo);
	db->options.user = db->user = mem_copy(options->user);
	db->options.name = db->name = mem_copy(options->name);
	if (connect_server(db, err) != 0)
		return -1;
	*ret = TAKE_PTR(db);
	return 0;
}

int
db_reopen(struct db *db, struct err *err)
{
	disconnect(db);
	return connect_server(db, err);
}

void
db_close(struct db *db)
{
	if (db == NULL)
		return;
	disconnect(db);
	if (db->conninfo != NULL)
		explicit_bzero(db->conninfo, strlen(db->conninfo));
	free(db->conninfo);
	free(db->user);
	free(db->name);
	free(db);
}

void
db_closep(struct db **db)
{
	db_close(*db);
	*db = NULL;
}

void
db_cancel(struct db *db)
{
	char unused[64];

	if (db->cancel != NULL)
		(void)PQcancel(db->cancel, unused, sizeof(unused));
}
