#include "account/message.h"

#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "base/parse.h"
#include "svc/mail.h"

#define LINE_MAX 76

char *
message_id(const char *id, const char *from)
{
	return mem_printf("<%s@%s>", id, strchr(from, '@') + 1);
}

/* ---- headers ------------------------------------------------------------------------------- */

static bool
is_ascii(const char *text)
{
	for (const char *c = text; *c != '\0'; c++)
		if (*c < ' ' || *c > '~')
			return false;
	return true;
}

/* Encoded words (RFC 2047), each of whole characters, folded: at most 64 columns, so that the field's name fits before them. */
static void
add_encoded(struct str *out, const char *text)
{
	size_t n = strlen(text);

	for (size_t at = 0; at < n;) {
		size_t end = at;
		uint32_t unused;

		while (end < n && end - at + parse_utf8_next(text + end, n - end, &unused) <= 39)
			end += parse_utf8_next(text + end, n - end, &unused);
		str_addf(out, "%s=?UTF-8?B?", at == 0 ? "" : "\r\n ");
		bytes_add_base64(out, (const uint8_t *)text + at, end - at);
		str_add(out, "?=");
		at = end;
	}
}

/* Printable ASCII that a reader takes for nothing else, and that can be folded: no long words, no white space around it. */
static bool
is_plain(const char *text)
{
	size_t n = strlen(text);

	for (const char *word = text; *word != '\0'; word += strcspn(word, " "), word += *word == ' ')
		if (strcspn(word, " ") > LINE_MAX - 10)
			return false;
	return is_ascii(text) && strstr(text, "=?") == NULL && n > 0 && text[0] != ' ' && text[n - 1] != ' ';
}

/* A new line before the space whose word would not fit: unfolded, it is the same text. */
static void
add_folded(struct str *out, const char *text, size_t column)
{
	for (const char *c = text; *c != '\0'; c++, column++) {
		if (*c == ' ' && column + 1 + strcspn(c + 1, " ") > LINE_MAX) {
			str_add(out, "\r\n");
			column = 0;
		}
		str_add_n(out, c, 1);
	}
}

static void
add_subject(struct str *out, const char *text)
{
	str_add(out, "Subject: ");
	if (is_plain(text))
		add_folded(out, text, 9);
	else
		add_encoded(out, text);
	str_add(out, "\r\n");
}

static void
add_from(struct str *out, const struct message *m)
{
	if (m->from_name == NULL || m->from_name[0] == '\0') {
		str_addf(out, "From: %s\r\n", m->from);
		return;
	}
	str_add(out, "From: ");
	if (is_ascii(m->from_name) && strlen(m->from_name) <= 60 && strpbrk(m->from_name, "\"\\") == NULL)
		str_addf(out, "\"%s\"", m->from_name);
	else
		add_encoded(out, m->from_name);
	str_addf(out, "\r\n <%s>\r\n", m->from);
}

/* In English whatever the locale: RFC 5322 knows no other. */
static void
add_date(struct str *out, int64_t seconds)
{
	static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t when = (time_t)seconds;
	struct tm tm;

	(void)gmtime_r(&when, &tm);
	str_addf(out, "Date: %s, %d %s %d %02d:%02d:%02d +0000\r\n", days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900,
		tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/* ---- bodies -------------------------------------------------------------------------------- */

/* Quoted-printable (RFC 2045): what a mail server could take for something else is quoted as well: a dot or "From" that
 * begins a line, white space that ends it. */
static void
add_quoted(struct str *out, const char *text)
{
	size_t column = 0;

	for (const char *c = text; *c != '\0'; c++) {
		unsigned char byte = (unsigned char)*c;
		bool last = c[1] == '\n' || c[1] == '\0', plain;

		if (byte == '\n') {
			str_add(out, "\r\n");
			column = 0;
			continue;
		}
		plain = (byte >= '!' && byte <= '~' && byte != '=') || ((byte == ' ' || byte == '\t') && !last);
		plain = plain && !(column == 0 && (byte == '.' || byte == 'F'));
		if (column + (plain ? 1 : 3) > LINE_MAX - 1) { /* one column is the soft break's own */
			str_add(out, "=\r\n");
			column = 0;
			plain = plain && byte != '.' && byte != 'F';
		}
		if (plain)
			str_add_n(out, c, 1);
		else
			str_addf(out, "=%02X", byte);
		column += plain ? 1 : 3;
	}
	if (column > 0)
		str_add(out, "\r\n");
}

static void
add_part(struct str *out, const char *boundary, const char *type, const char *text)
{
	str_addf(out, "--%s\r\nContent-Type: %s; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n", boundary, type);
	add_quoted(out, text);
}

/* ---- the whole ----------------------------------------------------------------------------- */

static bool
is_body(const char *text)
{
	if (!parse_is_utf8(text, strlen(text)))
		return false;
	for (const char *c = text; *c != '\0'; c++)
		if (((unsigned char)*c < ' ' && *c != '\n' && *c != '\t') || *c == 127)
			return false;
	return true;
}

static int
check(const struct message *m, struct err *err)
{
	if (!mail_is_address(m->from) || !mail_is_address(m->to))
		return err_set(err, ERR_FAILED, "the %s is not one plain e-mail address", mail_is_address(m->from) ? "recipient" : "sender");
	if (!parse_is_uuid(m->id))
		return err_set(err, ERR_FAILED, "the id of a message is not a uuid");
	if (!parse_is_plain_text(m->subject, MESSAGE_SUBJECT_MAX))
		return err_set(err, ERR_FAILED, "the subject is empty, longer than %d bytes, or has characters that a header cannot have",
			MESSAGE_SUBJECT_MAX);
	if (m->from_name != NULL && m->from_name[0] != '\0' && !parse_is_plain_text(m->from_name, MESSAGE_SUBJECT_MAX))
		return err_set(err, ERR_FAILED, "the sender's name has characters that a header cannot have");
	if (!is_body(m->text) || !is_body(m->html))
		return err_set(err, ERR_FAILED, "the text of a message is not UTF-8, or has control characters");
	return 0;
}

int
message_compose(struct str *ret, const struct message *message, struct err *err)
{
	const struct message *m = message;
	CLEANUP(free_text) char *id = NULL, *boundary = NULL;

	if (check(m, err) != 0)
		return -1;
	id = message_id(m->id, m->from);
	boundary = mem_printf("=_%s", m->id); /* quoted-printable has no "=_" */
	add_date(ret, m->date);
	add_from(ret, m);
	str_addf(ret, "To: <%s>\r\n", m->to);
	add_subject(ret, m->subject);
	str_addf(ret, "Message-ID: %s\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n", id);
	str_addf(ret, "Content-Type: multipart/alternative;\r\n boundary=\"%s\"\r\n\r\n", boundary);
	add_part(ret, boundary, "text/plain", m->text);
	add_part(ret, boundary, "text/html", m->html);
	str_addf(ret, "--%s--\r\n", boundary);
	return 0;
}
