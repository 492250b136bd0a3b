/* Addresses, codes of answers, servers; messages; templates. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "account/message.h"
#include "account/notice.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "svc/mail.h"

#define UUID "7fe34a12-8616-0494-e57b-f1a1bd1b66c1"
#define LOOP(tests, test, table) tcase_add_loop_test(tests, test, 0, (int)(sizeof(table) / sizeof(table[0])))
#define LONG "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" /* 64 */

/* ---- addresses ----------------------------------------------------------------------------- */

static const struct {
	const char *text;
	bool good;
} addresses[] = {
	{ "ann@practice.example", true },
	{ "a.b+c_d'e@x-1.co.uk", true },
	{ "root@localhost", true },
	{ LONG "@x.example", true },
	{ LONG "a@x.example", false },
	{ "", false },
	{ "ann", false },
	{ "@x.example", false },
	{ "ann@", false },
	{ "ann@x.example.", false },
	{ "ann@.x.example", false },
	{ "ann@x..example", false },
	{ "ann@-x.example", false },
	{ "ann@x-.example", false },
	{ "ann@x_y.example", false },
	{ ".ann@x.example", false },
	{ "ann.@x.example", false },
	{ "a..n@x.example", false },
	{ "a@b@x.example", false },
	{ "\"ann\"@x.example", false },
	{ "ann @x.example", false },
	{ "<ann@x.example>", false },
	{ "ann@[127.0.0.1]", false },
	{ "ann@x.example\r\nDATA", false },
	{ "ann\n@x.example", false },
	{ "ann@x.example, ben@x.example", false },
	{ "\xc3\xa4nn@x.example", false },
	{ "ann@x.example\x7f", false },
};

START_TEST(address)
{
	ck_assert_msg(mail_is_address(addresses[_i].text) == addresses[_i].good, "%s", addresses[_i].text);
}
END_TEST

START_TEST(no_address)
{
	ck_assert(!mail_is_address(NULL));
}
END_TEST

/* ---- codes --------------------------------------------------------------------------------- */

static const struct {
	const char *line, *code;
} codes[] = {
	{ "250 2.0.0 taken\r\n", "250 2.0.0" },
	{ "550-5.1.1 no such user\r\n", "550 5.1.1" },
	{ "550 no such user 5.1.1", "550" },
	{ "354\r\n", "354" },
	{ "421", "421" },
	{ "550 5.1.1\r\n", "550 5.1.1" },
	{ "550 5.1.1", "550 5.1.1" },
	{ "550 5.123.456 x", "550 5.123.456" },
	{ "550 5.1234.1 x", "550" },
	{ "550 5.1.1x", "550" },
	{ "550 5.1. x", "550" },
	{ "550 5.1", "550" },
	{ "550 ", "550" },
	{ "550\t5.1.1 x", "550" },
	{ "55", "" },
	{ "", "" },
	{ "5x0 5.1.1", "" },
	{ "650 5.1.1", "" },
	{ "<ann@x.example>", "" },
};

START_TEST(code)
{
	char got[MAIL_CODE_MAX] = "unset";

	mail_code_of(codes[_i].line, strlen(codes[_i].line), got);
	ck_assert_str_eq(got, codes[_i].code);
}
END_TEST

/* ---- servers ------------------------------------------------------------------------------- */

static const struct {
	const char *server;
	bool tls, good;
} servers[] = {
	{ "smtp://mail.example.org", true, true },
	{ "smtps://mail.example.org:465", true, true },
	{ "smtp://[2001:db8::1]:587", true, true },
	{ "smtp://localhost", false, true },
	{ "smtp://localhost:2525", false, true },
	{ "smtp://127.0.0.1", false, true },
	{ "smtp://127.8.8.8:25", false, true },
	{ "smtp://[::1]", false, true },
	{ "smtps://localhost", false, false },
	{ "smtp://mail.example.org", false, false },
	{ "smtp://localhost.example.org", false, false },
	{ "smtp://127.0.0.1.example.org", false, false },
	{ "smtp://[::2]", false, false },
	{ "", true, false },
	{ "mail.example.org", true, false },
	{ "http://mail.example.org", true, false },
	{ "smtp://", true, false },
	{ "smtp://user:password@mail.example.org", true, false },
	{ "smtp://mail.example.org/helo", true, false },
	{ "smtp://mail.example.org:", true, false },
	{ "smtp://mail.example.org:0", true, false },
	{ "smtp://mail.example.org:65536", true, false },
	{ "smtp://mail.example.org:25x", true, false },
	{ "smtp://[::1", true, false },
	{ "smtp://[::1]x", true, false },
	{ "smtp://[x]", true, false },
	{ "smtp://mail example", true, false },
};

START_TEST(server)
{
	struct mail_options options = { .server = servers[_i].server, .tls = servers[_i].tls, .timeout_s = 1 };
	CLEANUP(mailer_closep) struct mailer *mailer = NULL;
	struct err err = { 0 };

	ck_assert_msg((mailer_open(&mailer, &options, &err) == 0) == servers[_i].good, "%s", servers[_i].server);
	if (!servers[_i].good) {
		ck_assert_int_eq(err.code, ERR_USAGE);
		ck_assert_ptr_null(strstr(err.msg, "password"));
	}
}
END_TEST

START_TEST(addresses_are_looked_at_before_anything_is_sent)
{
	struct mail_options options = { .server = "smtp://localhost:1", .tls = false, .timeout_s = 1 };
	CLEANUP(mailer_closep) struct mailer *mailer = NULL;
	struct mail_answer answer;
	struct err err = { 0 };

	ck_assert_int_eq(mailer_open(&mailer, &options, &err), 0);
	ck_assert_int_eq(mailer_send(mailer, "a@x.example", "b@x.example>\r\nDATA", "x", 1, &answer, NULL, &err), -1);
	ck_assert_int_eq(mailer_send(mailer, "a@x.example\r\n", "b@x.example", "x", 1, &answer, NULL, &err), -1);
	ck_assert_int_eq(mailer_send(mailer, "a@x.example", "b@x.example", "x", 1, &answer, NULL, &err), 0);
	ck_assert_int_eq(answer.verdict, MAIL_DOWN);
	ck_assert_str_eq(answer.code, "unreachable");
}
END_TEST

/* ---- messages ------------------------------------------------------------------------------ */

static struct message
plain_message(void)
{
	return (struct message){ .id = UUID, .from = "privacy@software.example", .to = "ann@practice.example", .subject = "Hello",
		.date = 1772323200, .text = "One.\nTwo.\n", .html = "<p>One.</p>\n" };
}

START_TEST(message_is_what_it_was)
{
	struct message m = plain_message();
	CLEANUP(str_release) struct str got = STR_INIT;

	ck_assert_int_eq(message_compose(&got, &m, NULL), 0);
	ck_assert_str_eq(got.s, "Date: Sun, 1 Mar 2026 00:00:00 +0000\r\nFrom: privacy@software.example\r\nTo: <ann@practice.example>\r\n"
		"Subject: Hello\r\nMessage-ID: <" UUID "@software.example>\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
		"Content-Type: multipart/alternative;\r\n boundary=\"=_" UUID "\"\r\n\r\n"
		"--=_" UUID "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nOne.\r\nTwo.\r\n"
		"--=_" UUID "\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>One.</p>\r\n"
		"--=_" UUID "--\r\n");
}
END_TEST

static const struct {
	const char *text, *wire;
} bodies[] = {
	{ "plain", "plain\r\n" },
	{ "a = b", "a =3D b\r\n" },
	{ ".\n", "=2E\r\n" },
	{ "..x\nFrom here\n", "=2E.x\r\n=46rom here\r\n" },
	{ "end \nend\t\n", "end=20\r\nend=09\r\n" },
	{ "\xc3\xa4", "=C3=A4\r\n" },
	{ LONG "bbbbbbbbbbbbbbb", LONG "bbbbbbbbbbb=\r\nbbbb\r\n" },
	{ LONG "bbbbbbbbbbb.", LONG "bbbbbbbbbbb=\r\n=2E\r\n" },
	{ LONG "bbbbbbbbb\xc3\xa4", LONG "bbbbbbbbb=\r\n=C3=A4\r\n" },
	{ "", "" },
};

START_TEST(body_is_quoted)
{
	struct message m = plain_message();
	CLEANUP(str_release) struct str got = STR_INIT;
	CLEANUP(free_text) char *wanted = mem_printf("quoted-printable\r\n\r\n%s--=_", bodies[_i].wire);

	m.text = bodies[_i].text;
	ck_assert_int_eq(message_compose(&got, &m, NULL), 0);
	ck_assert_msg(strstr(got.s, wanted) != NULL, "%s", got.s);
}
END_TEST

static const struct {
	const char *subject, *field;
} subjects[] = {
	{ "=?UTF-8?Q?x?=", "Subject: =?UTF-8?B?PT9VVEYtOD9RP3g/PQ==?=\r\n" },
	{ " x", "Subject: =?UTF-8?B?IHg=?=\r\n" },
	{ "x ", "Subject: =?UTF-8?B?eCA=?=\r\n" },
	{ LONG " " LONG " a  b", "Subject: " LONG "\r\n " LONG " a  b\r\n" },
	{ LONG "bbb x", "Subject: =?UTF-8?B?" },
	{ "\xd0\x96", "Subject: =?UTF-8?B?0JY=?=\r\n" },
	/* 40 characters of two bytes: no character is cut in two */
	{ "\xd0\x96\xd0\x96\xd0\x96\xd0\x96\xd0\x96\xd0\x96\xd0\x96\xd0\x96\xd0\x96\xd0\x96\xd0\x96\xd0\x96\xd0\x96\xd0\x96\xd0\x96\xd0\x96\xd0\x96\xd0\x96\xd0\x96\xd0\x96",
	  "Subject: =?UTF-8?B?0JbQltCW0JbQltCW0JbQltCW0JbQltCW0JbQltCW0JbQltCW0JY=?=\r\n =?UTF-8?B?0JY=?=\r\n" },
};

START_TEST(subject_is_encoded)
{
	struct message m = plain_message();
	CLEANUP(str_release) struct str got = STR_INIT;

	m.subject = subjects[_i].subject;
	ck_assert_int_eq(message_compose(&got, &m, NULL), 0);
	ck_assert_msg(strstr(got.s, subjects[_i].field) != NULL, "%s", got.s);
}
END_TEST

START_TEST(what_would_begin_another_line_is_refused)
{
	static const char *const bad[] = { "x\r\nBcc: y@z.example", "x\nBcc: y@z.example", "x\ry", "", "\xff", "x\xe2\x80\xaey" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct message subject = plain_message(), name = plain_message(), from = plain_message(), to = plain_message();
		CLEANUP(str_release) struct str got = STR_INIT;

		subject.subject = name.from_name = from.from = to.to = bad[i];
		ck_assert_int_eq(message_compose(&got, &subject, NULL), -1);
		ck_assert_int_eq(message_compose(&got, &from, NULL), -1);
		ck_assert_int_eq(message_compose(&got, &to, NULL), -1);
		ck_assert_int_eq(message_compose(&got, &name, NULL), bad[i][0] == '\0' ? 0 : -1);
	}
}
END_TEST

START_TEST(texts_are_text)
{
	static const char *const bad[] = { "\xff", "x\ry", "x\x01y", "x\x7fy" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct message text = plain_message(), html = plain_message(), id = plain_message();
		CLEANUP(str_release) struct str got = STR_INIT;

		text.text = html.html = id.id = bad[i];
		ck_assert_int_eq(message_compose(&got, &text, NULL), -1);
		ck_assert_int_eq(message_compose(&got, &html, NULL), -1);
		ck_assert_int_eq(message_compose(&got, &id, NULL), -1);
	}
}
END_TEST

/* ---- templates ----------------------------------------------------------------------------- */

static const struct fact facts[] = { { "name", "A & <B> \"c\" 'd' {day}" }, { "day", "2026-03-09" }, { "empty", "" }, { "n", "5" },
	{ "no_day", "2026-02-30" }, { "bad", "x\r\ny" } };

static const struct {
	const char *text;
	bool escape;
	const char *wanted; /* NULL: refused */
	const char *problem;
} fills[] = {
	{ "", false, "", NULL },
	{ "plain } text", false, "plain } text", NULL },
	{ "{name}|{day}|{empty}|{n}|{no_day}", false, "A & <B> \"c\" 'd' {day}|9 March 2026||5|2026-02-30", NULL },
	{ "{name}", true, "A &amp; &lt;B&gt; &quot;c&quot; &#39;d&#39; {day}", NULL },
	{ "a {{day}} b {{{n}", false, "a {day}} b {5", NULL },
	{ "x\ny {other} z", false, NULL, "T:8: {other} is not among the facts" },
	{ "{day", false, NULL, "T:7: a brace without a name" },
	{ "{}", false, NULL, "T:7: a brace without a name" },
	{ "\n{ day}", false, NULL, "T:8: a brace without a name" },
	{ "{Day}", false, NULL, "T:7: a brace without a name" },
	{ "{", false, NULL, "T:7: a brace without a name" },
	{ "{bad}", false, NULL, "T:7: the fact bad has characters" },
};

START_TEST(fill)
{
	CLEANUP(str_release) struct str got = STR_INIT;
	struct err err = { 0 };
	int rc = notice_fill(&got, "T", 7, fills[_i].text, facts, sizeof(facts) / sizeof(facts[0]), fills[_i].escape, &err);

	if (fills[_i].wanted != NULL) {
		ck_assert_msg(rc == 0, "%s", err.msg);
		ck_assert_str_eq(str_cstr(&got), fills[_i].wanted);
	} else {
		ck_assert_int_eq(rc, -1);
		ck_assert_msg(strncmp(err.msg, fills[_i].problem, strlen(fills[_i].problem)) == 0, "%s", err.msg);
	}
}
END_TEST

START_TEST(templates_that_come_with_the_program_fit)
{
	struct err err = { 0 };
	int n = 0;

	for (const struct notice_kind *kind = notice_kinds; kind->name != NULL; kind++, n++)
		ck_assert_msg(notice_rehearse("etc/notices", kind, &err) == 0, "%s", err.msg);
	ck_assert_int_eq(n, 12);
}
END_TEST

START_TEST(a_name_is_no_path)
{
	CLEANUP(notice_release) struct notice notice = NOTICE_INIT;
	struct err err = { 0 };

	ck_assert_int_eq(notice_render(&notice, "etc/notices", "../notices/done", NULL, 0, &err), -1);
	ck_assert_str_eq(err.msg, "the name of a template is malformed");
}
END_TEST

int
main(void)
{
	TCase *tests = tcase_create("mail");
	Suite *suite = suite_create("mail");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tests);
	LOOP(tests, address, addresses);
	tcase_add_test(tests, no_address);
	LOOP(tests, code, codes);
	LOOP(tests, server, servers);
	tcase_add_test(tests, addresses_are_looked_at_before_anything_is_sent);
	tcase_add_test(tests, message_is_what_it_was);
	LOOP(tests, body_is_quoted, bodies);
	LOOP(tests, subject_is_encoded, subjects);
	tcase_add_test(tests, what_would_begin_another_line_is_refused);
	tcase_add_test(tests, texts_are_text);
	LOOP(tests, fill, fills);
	tcase_add_test(tests, templates_that_come_with_the_program_fit);
	tcase_add_test(tests, a_name_is_no_path);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
