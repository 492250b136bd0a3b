#include "account/outbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account/message.h"
#include "account/notice.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "query.h"
#include "sys/file.h"

enum claim_column { CLAIM_ID, CLAIM_TEMPLATE, CLAIM_TENANT, CLAIM_ADDRESS, CLAIM_ATTEMPTS, CLAIM_QUEUED, CLAIM_AUDIENCE };

/* ---- the settings -------------------------------------------------------------------------- */

bool
outbox_is_configured(const struct config *config)
{
	return config_text(config, SET_MAIL_SERVER)[0] != '\0';
}

static int
read_password(const struct config *config, struct secret *ret, struct err *err)
{
	const char *file = config_text(config, SET_MAIL_PASSWORD_FILE), *credential = config_text(config, SET_MAIL_PASSWORD_CREDENTIAL);
	const char *directory = getenv("CREDENTIALS_DIRECTORY");
	CLEANUP(free_text) char *path = NULL;
	int failed;

	if ((file[0] == '\0') == (credential[0] == '\0'))
		return err_set(err, ERR_USAGE, "mail.user needs either mail.password_file or mail.password_credential");
	if (file[0] == '\0' && strchr(credential, '/') != NULL)
		return err_set(err, ERR_USAGE, "mail.password_credential is a name, not a path");
	if (file[0] == '\0' && directory == NULL) {
		(void)err_set(err, ERR_FAILED, "there is no CREDENTIALS_DIRECTORY to read the credential %s in", credential);
		return err_hint(err, "LoadCredential=%s:/path in the systemd unit gives it; by hand: mail.password_file", credential);
	}
	path = file[0] != '\0' ? mem_copy(file) : file_join(directory, credential);
	failed = file[0] != '\0' ? file_read_secret(path, MAIL_PASSWORD_MAX, ret, err) : file_read_credential(path, MAIL_PASSWORD_MAX, ret, err);
	if (failed != 0)
		return err_prefix(err, "password of the mail server");
	while (ret->n > 0 && (ret->bytes[ret->n - 1] == '\n' || ret->bytes[ret->n - 1] == '\r')) /* as an editor ends a line */
		ret->n--;
	return ret->n > 0 ? 0 : err_set(err, ERR_FAILED, "password of the mail server: %s holds none", path);
}

int
outbox_mailer(const struct config *config, struct mailer **ret, struct err *err)
{
	CLEANUP(secret_erase) struct secret password = SECRET_INIT;
	struct mail_options options = {
		.server = config_text(config, SET_MAIL_SERVER),
		.tls = strcmp(config_text(config, SET_MAIL_TLS), "off") != 0,
		.ca_file = config_text(config, SET_MAIL_CA_FILE),
		.user = config_text(config, SET_MAIL_USER),
		.password = &password,
		.timeout_s = (int)config_int(config, SET_MAIL_TIMEOUT_SECONDS),
	};

	if (!mail_is_address(config_text(config, SET_MAIL_FROM))) {
		(void)err_set(err, ERR_USAGE, "mail.from is not one plain e-mail address");
		return err_hint(err, "mail.from = \"privacy@software.example\"; a name beside it is mail.from_name");
	}
	if (options.user[0] != '\0' && read_password(config, &password, err) != 0)
		return -1;
	return mailer_open(ret, &options, err);
}

/* ---- one notice ---------------------------------------------------------------------------- */

static void __attribute__((format(printf, 4, 5)))
tell(const struct outbox *o, bool bad, const struct db_result *claim, const char *fmt, ...)
{
	const char *tenant = db_get(claim, 0, CLAIM_TENANT);
	CLEANUP(free_text) char *text = NULL;
	char what[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	text = mem_printf("notice %s (%s%s%s, to %s): %s", db_get_text(claim, 0, CLAIM_ID), db_get_text(claim, 0, CLAIM_TEMPLATE),
		tenant != NULL ? " of tenant " : "", tenant != NULL ? tenant : "", db_get_text(claim, 0, CLAIM_AUDIENCE), what);
	o->note(bad, text);
}

static void
facts_freep(struct fact **facts)
{
	free(*facts);
	*facts = NULL;
}

/* Subject and texts, then the message as it is sent. */
static int
write_message(const struct outbox *o, const struct db_result *claim, struct str *ret, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *rows = NULL;
	CLEANUP(notice_release) struct notice notice = NOTICE_INIT;
	CLEANUP(facts_freep) struct fact *facts = NULL;
	size_t n = 0;

	if (db_query(o->db, &QUERY_NOTICE_FACTS, DB_PARAMS(db_get_text(claim, 0, CLAIM_ID)), &rows, err) != 0)
		return -1;
	facts = mem_zero((size_t)db_rows(rows) + 3, sizeof(*facts));
	/* the first of a name counts: what the row and the configuration say is not overruled */
	facts[n++] = (struct fact){ "tenant", db_get_text(claim, 0, CLAIM_TENANT) };
	facts[n++] = (struct fact){ "notice_id", db_get_text(claim, 0, CLAIM_ID) };
	facts[n++] = (struct fact){ "processor", config_text(o->config, SET_PROCESSOR) };
	for (int i = 0; i < db_rows(rows); i++)
		facts[n++] = (struct fact){ db_get_text(rows, i, 0), db_get_text(rows, i, 1) };
	if (notice_render(&notice, config_text(o->config, SET_NOTICES_DIRECTORY), db_get_text(claim, 0, CLAIM_TEMPLATE), facts, n, err) != 0)
		return -1;
	struct message message = {
		.id = db_get_text(claim, 0, CLAIM_ID),
		.from = config_text(o->config, SET_MAIL_FROM),
		.from_name = config_text(o->config, SET_MAIL_FROM_NAME),
		.to = db_get_text(claim, 0, CLAIM_ADDRESS),
		.subject = str_cstr(&notice.subject),
		.date = db_get_int(claim, 0, CLAIM_QUEUED),
		.text = str_cstr(&notice.text),
		.html = str_cstr(&notice.html),
	};
	return message_compose(ret, &message, err);
}

/* Writes down what the server said, and says so. */
static int
settle(struct outbox *o, const struct db_result *claim, const struct mail_answer *answer, const char *detail, struct err *err)
{
	const char *wanted = answer->verdict == MAIL_SENT ? "sent" : answer->verdict == MAIL_REFUSED ? "bounced" : "queued";
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	CLEANUP(free_text) char *minutes = mem_printf("%lld", (long long)config_int(o->config, SET_NOTICES_RETRY_MINUTES));
	CLEANUP(free_text) char *hours = mem_printf("%lld", (long long)config_int(o->config, SET_NOTICES_GIVE_UP_HOURS));
	CLEANUP(free_text) char *id = message_id(db_get_text(claim, 0, CLAIM_ID), config_text(o->config, SET_MAIL_FROM));
	const char *state;

	if (db_query(o->db, &QUERY_NOTICE_TRIED, DB_PARAMS(db_get_text(claim, 0, CLAIM_ID), wanted, answer->code, id, minutes, hours), &res,
		    err) != 0)
		return -1;
	state = db_get_text(res, 0, 0);
	if (strcmp(state, "sent") == 0) {
		o->n_sent++;
		tell(o, false, claim, "sent (%s)", answer->code);
	} else if (strcmp(state, "bounced") == 0) {
		o->n_bounced++;
		tell(o, true, claim, "refused for good (%s)", answer->code);
	} else if (strcmp(state, "given-up") == 0) {
		o->n_given_up++;
		tell(o, true, claim, "given up after %lld attempts (%s: %s)", (long long)db_get_int(claim, 0, CLAIM_ATTEMPTS) + 1, answer->code, detail);
	} else {
		o->n_failed++;
		tell(o, answer->verdict == MAIL_DOWN, claim, "not sent, to be tried again (%s: %s)", answer->code, detail);
	}
	return 0;
}

/* A template that does not fit is mended by a person: the notice waits, and the others go on. */
static int
send_claimed(struct outbox *o, const struct db_result *claim, struct err *err)
{
	CLEANUP(str_release) struct str message = STR_INIT;
	struct mail_answer answer = { MAIL_LATER, "template" };
	const char *detail = "";
	struct err why = { 0 };

	if (write_message(o, claim, &message, &why) != 0) {
		if (db_is_lost(o->db) || why.sqlstate[0] != '\0') {
			*err = why;
			return -1;
		}
		detail = "the template did not fit";
		o->n_unfit++;
		tell(o, true, claim, "%s", why.msg);
	} else if (mailer_send(o->mailer, config_text(o->config, SET_MAIL_FROM), db_get_text(claim, 0, CLAIM_ADDRESS), message.s, message.len,
			   &answer, &detail, err) != 0)
		return -1;
	o->down = answer.verdict == MAIL_DOWN || answer.verdict == MAIL_UNKNOWN;
	return settle(o, claim, &answer, detail, err);
}

/* ---- all of them --------------------------------------------------------------------------- */

/* The next one, in a transaction of its own. *ret_none: there is none. */
static int
send_next(struct outbox *o, const char *began, bool *ret_none, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *claim = NULL;

	if (db_begin(o->db, err) != 0)
		return -1;
	if (db_query(o->db, &QUERY_NOTICE_CLAIM, DB_PARAMS(began), &claim, err) != 0)
		goto failed;
	*ret_none = db_rows(claim) == 0;
	if (!*ret_none && send_claimed(o, claim, err) != 0)
		goto failed;
	return db_commit(o->db, err);
failed:
	db_rollback(o->db);
	return -1;
}

int
outbox_send(struct outbox *outbox, struct err *err)
{
	struct outbox *o = outbox;
	CLEANUP(db_result_freep) struct db_result *due = NULL;
	CLEANUP(free_text) char *days = mem_printf("%lld", (long long)config_int(o->config, SET_NOTICES_KEEP_DAYS));
	bool none = false;

	if (db_query(o->db, &QUERY_NOTICE_FORGET, DB_PARAMS(days), NULL, err) != 0 ||
	    db_query(o->db, &QUERY_NOTICE_COUNT, NULL, &due, err) != 0)
		return -1;
	while (!none && !o->down && !o->stop()) {
		if (send_next(o, db_get_text(due, 0, 2), &none, err) != 0)
			return -1;
		o->progress(o->n_sent + o->n_bounced + o->n_given_up + o->n_failed, db_get_int(due, 0, 0));
	}
	return 0;
}
