/* Notices: the first line is a fact's value, a server's answer and an address; the rest a template, whose first line is the subject. */
#include <string.h>

#include "account/message.h"
#include "account/notice.h"
#include "base/cleanup.h"
#include "fuzz.h"
#include "svc/mail.h"

#define UUID "7fe34a12-8616-0494-e57b-f1a1bd1b66c1"

static int
digit(char c)
{
	return c <= '9' ? c - '0' : c - 'A' + 10;
}

/* What a reader sees of the first part: quoted-printable taken back. */
static void
decode(struct str *out, const char *wire, const char *end)
{
	for (const char *c = wire; c < end; c++) {
		if (c[0] == '=' && c[1] == '\r') {
			c += 2;
		} else if (c[0] == '=') {
			char byte = (char)(digit(c[1]) * 16 + digit(c[2]));

			str_add_n(out, &byte, 1);
			c += 2;
		} else if (c[0] != '\r')
			str_add_n(out, c, 1);
	}
}

/* Nine fields in their order, folded ones aside, and nothing on the wire that a server could take for something else. */
static void
look_at(const struct str *wire, const char *text)
{
	static const char *const fields[] = { "Date: ", "From: ", "To: ", "Subject: ", "Message-ID: ", "Auto-Submitted: ", "MIME-Version: ",
		"Content-Type: " };
	const char *head = strstr(wire->s, "\r\n\r\n"), *body, *end;
	CLEANUP(str_release) struct str seen = STR_INIT;
	size_t n = 0;

	for (const char *line = wire->s; line < head; line = strstr(line, "\r\n") + 2)
		if (line[0] != ' ') {
			REQUIRE(n < sizeof(fields) / sizeof(fields[0]) && strncmp(line, fields[n], strlen(fields[n])) == 0);
			n++;
		}
	REQUIRE(n == sizeof(fields) / sizeof(fields[0]));
	for (size_t i = 0, column = 0; i < wire->len; i++) {
		char c = wire->s[i];

		REQUIRE((c >= ' ' && c <= '~') || c == '\t' || (c == '\r' && wire->s[i + 1] == '\n') || (c == '\n' && wire->s[i - 1] == '\r'));
		REQUIRE(column > 0 || c != '.');
		column = c == '\n' ? 0 : column + 1;
		REQUIRE(column <= 78);
	}
	body = strstr(head + 4, "\r\n\r\n") + 4;
	end = strstr(body, "--=_" UUID);
	REQUIRE(end != NULL);
	decode(&seen, body, end);
	/* a last line without an end gets one */
	REQUIRE(strncmp(str_cstr(&seen), text, strlen(text)) == 0 && seen.len - strlen(text) <= 1);
}

int
fuzz_mail(const uint8_t *data, size_t n)
{
	CLEANUP(free_text) char *input = fuzz_text(data, n);
	CLEANUP(str_release) struct str subject = STR_INIT, text = STR_INIT, html = STR_INIT, wire = STR_INIT;
	char *rest = input, code[MAIL_CODE_MAX];
	const char *value = fuzz_piece(&rest, '\n'), *title = rest == NULL ? "" : fuzz_piece(&rest, '\n'), *body = rest == NULL ? "" : rest;
	const struct fact facts[] = { { "value", value }, { "day", "2026-03-09" } };
	struct err err = { 0 };

	mail_code_of(value, strlen(value), code);
	REQUIRE(strspn(code, "0123456789. ") == strlen(code) && strncmp(code, value, strlen(code) < 3 ? strlen(code) : 3) == 0);
	if (mail_is_address(value))
		REQUIRE(strpbrk(value, " \t\r\n<>()[],;:\"\\") == NULL && strchr(value, '@') == strrchr(value, '@'));
	if (notice_fill(&subject, "T", 1, title, facts, 2, false, &err) != 0 || notice_fill(&text, "T", 3, body, facts, 2, false, &err) != 0) {
		REQUIRE(strncmp(err.msg, "T:", 2) == 0);
		return 0;
	}
	REQUIRE(notice_fill(&html, "T", 3, body, facts, 2, true, &err) == 0);
	REQUIRE(strpbrk(body, "<>\"'") != NULL || strpbrk(str_cstr(&html), "<>\"'") == NULL);
	struct message message = { .id = UUID, .from = "privacy@software.example", .from_name = value, .to = "ann@practice.example",
		.subject = str_cstr(&subject), .date = 1772323200, .text = str_cstr(&text), .html = str_cstr(&html) };
	if (message_compose(&wire, &message, &err) != 0)
		REQUIRE(err.msg[0] != '\0');
	else
		look_at(&wire, str_cstr(&text));
	return 0;
}
