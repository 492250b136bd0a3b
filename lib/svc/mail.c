#include "svc/mail.h"

#include <ctype.h>
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/parse.h"

/* How far a message has come: the last command that was sent for it. */
enum stage { STAGE_GREETING, STAGE_RECIPIENT, STAGE_DATA, STAGE_WHOLE };

struct mailer {
	CURL *curl;
	const char *message;
	size_t left;
	enum stage stage;
	bool quitting; /* what is said from here on is not of the message */
	char code[MAIL_CODE_MAX]; /* of the last answer; "" when none has come since the last command */
};

/* ---- what there is to read and write ------------------------------------------------------- */

static bool
is_atom(const char *text, size_t n)
{
	static const char others[] = "!#$%&'*+/=?^_{|}~-";
	bool dot = true;

	for (size_t i = 0; i < n; i++) {
		char c = text[i];

		if (c == '.' && dot)
			return false;
		dot = c == '.';
		if (!dot && (c < '0' || c > '9') && ((c | 32) < 'a' || (c | 32) > 'z') && (c == '\0' || strchr(others, c) == NULL))
			return false;
	}
	return n > 0 && !dot;
}

static bool
is_domain(const char *text, size_t n)
{
	size_t label = 0;

	for (size_t i = 0; i <= n; i++) {
		char c = i < n ? text[i] : '.';

		if (c == '.') {
			if (label == 0 || text[i - 1] == '-' || text[i - label] == '-')
				return false;
			label = 0;
		} else if ((c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '-')
			label++;
		else
			return false;
	}
	return n > 0;
}

bool
mail_is_address(const char *text)
{
	const char *at = text == NULL ? NULL : strchr(text, '@');

	return at != NULL && strlen(text) <= MAIL_ADDRESS_MAX && at - text <= 64 && is_atom(text, (size_t)(at - text)) &&
		is_domain(at + 1, strlen(at + 1));
}

/* digits '.' digits '.' digits: its length, or 0 */
static size_t
enhanced_length(const char *text, size_t n)
{
	size_t at = 0;

	for (int part = 0; part < 3; part++) {
		size_t digits = 0;

		while (at < n && digits < 4 && text[at] >= '0' && text[at] <= '9')
			at++, digits++;
		if (digits == 0 || digits > 3)
			return 0;
		if (part < 2 && (at == n || text[at++] != '.'))
			return 0;
	}
	return at == n || text[at] == ' ' || text[at] == '\r' || text[at] == '\n' ? at : 0;
}

void
mail_code_of(const char *line, size_t n, char code[MAIL_CODE_MAX])
{
	size_t more = 0;

	code[0] = '\0';
	if (n < 3 || line[0] < '2' || line[0] > '5' || !isdigit((unsigned char)line[1]) || !isdigit((unsigned char)line[2]))
		return;
	if (n > 4 && (line[3] == ' ' || line[3] == '-'))
		more = enhanced_length(line + 4, n - 4);
	(void)snprintf(code, MAIL_CODE_MAX, "%.3s%s%.*s", line, more > 0 ? " " : "", (int)more, more > 0 ? line + 4 : "");
}

/* ---- the server's name --------------------------------------------------------------------- */

struct server {
	bool smtps;
	const char *host; /* within the text */
	size_t n_host;
};

static int
parse_server(const char *text, struct server *ret)
{
	struct server s = { .smtps = strncmp(text, "smtps://", 8) == 0 };
	const char *end, *port;
	int64_t number;

	if (!s.smtps && strncmp(text, "smtp://", 7) != 0)
		return -1;
	s.host = text + (s.smtps ? 8 : 7);
	end = s.host[0] == '[' ? strchr(s.host, ']') : s.host + strcspn(s.host, ":");
	if (end == NULL)
		return -1;
	port = s.host[0] == '[' ? end + 1 : end;
	s.n_host = (size_t)(port - s.host);
	if (s.host[0] == '[' ? strspn(s.host + 1, "0123456789abcdefABCDEF:.") != s.n_host - 2 : !is_domain(s.host, s.n_host))
		return -1;
	if (port[0] != '\0' && (port[0] != ':' || parse_int64(port + 1, 1, 65535, &number) != 0))
		return -1;
	*ret = s;
	return 0;
}

/* What cannot leave this host needs no TLS. */
static bool
is_loopback(const struct server *s)
{
	static const char *const names[] = { "localhost", "[::1]" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strlen(names[i]) == s->n_host && strncmp(names[i], s->host, s->n_host) == 0)
			return true;
	return strncmp(s->host, "127.", 4) == 0 && strspn(s->host, "0123456789.") == s->n_host;
}

/* ---- libcurl ------------------------------------------------------------------------------- */

/* Sees every command and every answer; tells nobody. */
static int
watch(CURL *curl, curl_infotype type, char *text, size_t n, void *ctx)
{
	struct mailer *m = ctx;

	(void)curl;
	if (type == CURLINFO_HEADER_OUT) {
		m->quitting = n >= 4 && strncmp(text, "QUIT", 4) == 0;
		if (m->quitting)
			return 0;
		if (n >= 5 && strncmp(text, "RCPT ", 5) == 0)
			m->stage = STAGE_RECIPIENT;
		else if (n >= 4 && strncmp(text, "DATA", 4) == 0)
			m->stage = STAGE_DATA;
		m->code[0] = '\0';
	} else if (type == CURLINFO_HEADER_IN && !m->quitting)
		mail_code_of(text, n, m->code);
	return 0;
}

static size_t
give(char *to, size_t size, size_t n, void *ctx)
{
	struct mailer *m = ctx;
	size_t take = size * n < m->left ? size * n : m->left;

	memcpy(to, m->message, take);
	m->message += take;
	m->left -= take;
	if (m->left == 0) { /* from here on it may be with the server */
		m->stage = STAGE_WHOLE;
		m->code[0] = '\0';
	}
	return take;
}

/* A server's answer to what ends the connection, and the like. */
static size_t
ignore(char *from, size_t size, size_t n, void *ctx)
{
	(void)from;
	(void)ctx;
	return size * n;
}

#define SET(OPTION, VALUE) ((result = result == CURLE_OK ? curl_easy_setopt(m->curl, OPTION, VALUE) : result))

static CURLcode
set_up(struct mailer *m, const struct mail_options *o, const char *url)
{
	CURLcode result = CURLE_OK;

	SET(CURLOPT_URL, url);
	SET(CURLOPT_PROTOCOLS_STR, "smtp,smtps");
	SET(CURLOPT_PROXY, ""); /* whatever the environment says */
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_UPLOAD, 1L);
	SET(CURLOPT_CONNECTTIMEOUT, (long)o->timeout_s);
	SET(CURLOPT_TIMEOUT, 2L * o->timeout_s);
	SET(CURLOPT_VERBOSE, 1L); /* asks for what watch() sees, and prints nothing */
	SET(CURLOPT_DEBUGFUNCTION, watch);
	SET(CURLOPT_DEBUGDATA, m);
	SET(CURLOPT_READFUNCTION, give);
	SET(CURLOPT_READDATA, m);
	SET(CURLOPT_WRITEFUNCTION, ignore);
	SET(CURLOPT_USE_SSL, o->tls ? (long)CURLUSESSL_ALL : (long)CURLUSESSL_NONE);
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	if (o->ca_file != NULL && o->ca_file[0] != '\0') {
		SET(CURLOPT_CAINFO, o->ca_file);
		SET(CURLOPT_CAPATH, (const char *)NULL); /* no other authority's word counts */
	}
	return result;
}

static CURLcode
set_login(struct mailer *m, const struct mail_options *o)
{
	CURLcode result = CURLE_OK;
	struct secret password = SECRET_INIT;

	if (o->user == NULL || o->user[0] == '\0')
		return CURLE_OK;
	secret_new(&password, o->password == NULL ? 1 : o->password->n + 1);
	if (o->password != NULL)
		memcpy(password.bytes, o->password->bytes, o->password->n);
	SET(CURLOPT_USERNAME, o->user);
	SET(CURLOPT_PASSWORD, (const char *)password.bytes);
	secret_erase(&password);
	return result;
}

int
mailer_open(struct mailer **ret, const struct mail_options *options, struct err *err)
{
	CLEANUP(mailer_closep) struct mailer *m = mem_zero(1, sizeof(*m));
	CLEANUP(free_text) char *url = NULL;
	struct server server;
	const char *port;

	if (parse_server(options->server, &server) != 0) {
		(void)err_set(err, ERR_USAGE, "the mail server is not written as smtp://host, smtps://host or either with :port");
		return err_hint(err, "mail.server = \"smtp://mail.example.org:587\"; user and password have settings of their own");
	}
	if (!options->tls && (server.smtps || !is_loopback(&server))) {
		(void)err_set(err, ERR_USAGE, "mail without TLS goes to this host itself only, by smtp://");
		return err_hint(err, "leave mail.tls out, or have a mail server on 127.0.0.1 pass everything on");
	}
	port = server.host + server.n_host;
	url = mem_printf("%s%s", options->server, port[0] != '\0' ? "" : server.smtps ? ":465" : options->tls ? ":587" : ":25");
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || (m->curl = curl_easy_init()) == NULL ||
	    set_up(m, options, url) != CURLE_OK || set_login(m, options) != CURLE_OK)
		return err_set(err, ERR_FAILED, "setting up libcurl for mail failed");
	*ret = TAKE_PTR(m);
	return 0;
}

void
mailer_close(struct mailer *mailer)
{
	if (mailer == NULL)
		return;
	if (mailer->curl != NULL)
		curl_easy_cleanup(mailer->curl);
	free(mailer);
}

void
mailer_closep(struct mailer **mailer)
{
	mailer_close(*mailer);
	*mailer = NULL;
}

/* ---- what became of a message -------------------------------------------------------------- */

static const char *
cause_of(CURLcode result)
{
	switch (result) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_CONNECT:
		return "unreachable";
	case CURLE_USE_SSL_FAILED:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_ISSUER_ERROR:
		return "tls";
	case CURLE_OPERATION_TIMEDOUT:
		return "timeout";
	default:
		return "lost";
	}
}

/* Before RCPT it is the server or our settings that an answer speaks of; 421 ends the connection at any moment. */
static enum mail_verdict
verdict_of(const struct mailer *m)
{
	if (m->stage < STAGE_RECIPIENT || strncmp(m->code, "421", 3) == 0)
		return MAIL_DOWN;
	return m->code[0] == '5' ? MAIL_REFUSED : m->code[0] == '4' ? MAIL_LATER : MAIL_DOWN;
}

static void
judge(const struct mailer *m, CURLcode result, struct mail_answer *ret)
{
	if (result == CURLE_OK) {
		ret->verdict = MAIL_SENT;
		memcpy(ret->code, m->code[0] != '\0' ? m->code : "250", m->code[0] != '\0' ? sizeof(ret->code) : 4);
		return;
	}
	if (m->code[0] == '4' || m->code[0] == '5') {
		ret->verdict = verdict_of(m);
		memcpy(ret->code, m->code, sizeof(ret->code));
		return;
	}
	ret->verdict = m->stage == STAGE_WHOLE ? MAIL_UNKNOWN : MAIL_DOWN;
	(void)snprintf(ret->code, sizeof(ret->code), "%s", ret->verdict == MAIL_UNKNOWN ? "lost" : cause_of(result));
}

int
mailer_send(struct mailer *mailer, const char *from, const char *to, const char *message, size_t n, struct mail_answer *ret,
	const char **ret_detail, struct err *err)
{
	struct mailer *m = mailer;
	struct curl_slist *recipients = NULL;
	CURLcode result = CURLE_OK;

	if (!mail_is_address(from) || !mail_is_address(to))
		return err_set(err, ERR_FAILED, "the %s is not one plain e-mail address", mail_is_address(from) ? "recipient" : "sender");
	m->message = message;
	m->left = n;
	m->stage = STAGE_GREETING;
	m->quitting = false;
	m->code[0] = '\0';
	recipients = curl_slist_append(NULL, to);
	if (recipients == NULL)
		result = CURLE_OUT_OF_MEMORY;
	SET(CURLOPT_MAIL_FROM, from);
	SET(CURLOPT_MAIL_RCPT, recipients);
	SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)n);
	if (result == CURLE_OK)
		result = curl_easy_perform(m->curl);
	judge(m, result, ret);
	if (ret_detail != NULL)
		*ret_detail = curl_easy_strerror(result);
	(void)curl_easy_setopt(m->curl, CURLOPT_MAIL_RCPT, (struct curl_slist *)NULL);
	curl_slist_free_all(recipients);
	return 0;
}

void
mailer_greet(struct mailer *mailer, struct mail_answer *ret, const char **ret_detail)
{
	struct mailer *m = mailer;
	CURLcode result = CURLE_OK;

	m->stage = STAGE_GREETING;
	m->quitting = false;
	m->code[0] = '\0';
	SET(CURLOPT_UPLOAD, 0L);
	SET(CURLOPT_CUSTOMREQUEST, "NOOP");
	if (result == CURLE_OK)
		result = curl_easy_perform(m->curl);
	judge(m, result, ret);
	*ret_detail = curl_easy_strerror(result);
}
