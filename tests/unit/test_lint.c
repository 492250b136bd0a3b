/* What looks like a person's data and what does not. */
#include "evidence.h"

#include "base/cleanup.h"
#include "evidence/lint.h"

static const struct {
	const char *text;
	const char *what; /* NULL: nothing */
} patterns[] = {
	{ "write to j.kirk@example.org now", "e-mail" },
	{ "J.Kirk+x@Mail.Example.CO.UK", "e-mail" },
	{ "<a@b.example>", "e-mail" },
	{ "user@localhost", NULL },
	{ "a @ b.example", NULL },
	{ "07700 900123", "telephone" },
	{ "call 07700900123.", "telephone" },
	{ "(020) 7946 0018", "telephone" },
	{ "0131-496-0123", "telephone" },
	{ "01632 960 123", "telephone" },
	{ "rows 3 07700 900 123", "telephone" },
	{ "+44 7700 900123", "telephone" },
	{ "tel:+447700900123", "telephone" },
	{ "+44 (0)20 7946 0018", "telephone" },
	{ "0044 7700 900123", "telephone" },
	{ "077009001234", NULL },
	{ "x07700900123", NULL },
	{ "07700900123f", NULL },
	{ "_07700900123", NULL },
	{ "9434765919", "NHS" },
	{ "943 476 5919", "NHS" },
	{ "(943-476-5919)", "NHS" },
	{ "9434765918", NULL },
	{ "9434765918 9434765919", "NHS" },
	{ "19434765919", NULL },
	{ "a9434765919", NULL },
	{ "94347659190", NULL },
	{ "born 12/03/1961", "birth" },
	{ "1.3.1961", "birth" },
	{ "12-03-1961", "birth" },
	{ "12 March 1961", "birth" },
	{ "3rd of mar 1961", "birth" },
	{ "March 12, 1961", "birth" },
	{ "32/03/1961", NULL },
	{ "12/13/1961", NULL },
	{ "2026-09-03", NULL },
	{ "2026-09-03T10:00:00Z", NULL },
	{ "2026-09-03 10:00:00.123456+01:00", NULL },
	{ "SW1A 1AA", "postcode" },
	{ "sw1a 1aa", "postcode" },
	{ "M11AE", "postcode" },
	{ "at EC1A 1BB.", "postcode" },
	{ "e19ab", NULL },
	{ "XSW1A 1AA", NULL },
	{ "0/E19AB", NULL },
	{ "0/3A7F2C8", NULL },
	{ "sha256:0770090012394347659190770090012394347659190770090012394347659190", NULL },
	{ "sha256:ab07700900123cd9434765919ab07700900123cd9434765919ab07700900123c", NULL },
	{ "07700900-1234-4567-8901-943476591912", NULL },
	{ "9434765a-0770-0900-0123-00000000000a", NULL },
	{ "system 7443985601234567890", NULL },
	{ "app.t_0770 before 0 removed 0 masked 0 retained 0", NULL },
	{ "version 3.0.19, 1.2.3", NULL },
	{ "ICO registration ZA000000", NULL },
	{ "UK-GDPR-17(1)(b)", NULL },
	{ "root shares destroyed 2/2", NULL },
	{ "", NULL },
};

START_TEST(pattern)
{
	struct err err = { 0 };
	int rc = lint_text(patterns[_i].text, NULL, 0, &err);

	ck_assert_msg(rc == (patterns[_i].what == NULL ? 0 : -1), "%s: %s", patterns[_i].text, err.msg);
	if (patterns[_i].what != NULL) {
		ck_assert_msg(strstr(err.msg, patterns[_i].what) != NULL, "%s: %s", patterns[_i].text, err.msg);
		ck_assert_ptr_null(strstr(err.msg, patterns[_i].text));
	}
}
END_TEST

static const char *const values[] = { "Kirk", "Bo", "James  T. Kirk", NULL, "", "O'Neill-\xc3\x89mile", "\xd0\x9a\xd0\xb8\xd1\x80\xd0\xba",
	"1961-03-12", "padded        ", "\xc5\xbdi\xc5\xbeka", "    ", "A4711" };

static const struct {
	const char *text;
	bool found;
} own[] = {
	{ "rows of Kirk here", true }, { "KIRK", true }, { "kirk's", true }, { "(kirk)", true },
	{ "kirk\xe2\x80\x94", true }, { "Kirkby", false }, { "Selkirk", false }, { "app.kirk_log", false },
	{ "Bo", false }, { "james t. kirk", true }, { "o'neill-\xc3\xa9mile", true }, { "O'Neill-Emile", false },
	{ "\xd0\x9a\xd0\x98\xd0\xa0\xd0\x9a", true }, { "\xd0\x9a\xd0\xb8\xd1\x80\xd0\xba\xd0\xb0", false },
	{ "1961-03-12", true }, { "1961-03-123", false }, { "is padded", true }, { "\xc5\xbeI\xc5\xbdKA", true },
	{ "a4711", true }, { "a47112", false }, { "", false }, { "nothing", false },
};

START_TEST(own_value)
{
	struct err err = { 0 };
	int rc = lint_text(own[_i].text, values, sizeof(values) / sizeof(values[0]), &err);

	ck_assert_msg(rc == (own[_i].found ? -1 : 0), "%s: %s", own[_i].text, err.msg);
	ck_assert(!own[_i].found || strstr(err.msg, "own values") != NULL);
	ck_assert(!own[_i].found || (err.code == ERR_REFUSED && strcasestr(err.msg, "kirk") == NULL));
}
END_TEST

START_TEST(huge_value_is_no_match)
{
	CLEANUP(free_text) char *huge = mem_zero(10 * 1024 * 1024 + 1, 1);
	const char *const one[] = { huge };

	(void)memset(huge, 'x', 10 * 1024 * 1024);
	ck_assert_int_eq(lint_text("xxxx\nxxxxx xx\n", one, 1, NULL), 0);
	(void)memset(huge + 4, ' ', 10 * 1024 * 1024 - 4);
	ck_assert_int_eq(lint_text("y\nof xxxx\n", one, 1, NULL), -1);
}
END_TEST

/* the words of a plan, before there is a certificate */
START_TEST(fixed_scope_is_nobodys)
{
	static const char *const free_paper[] = { "Free", "Paper", "Message" };
	CLEANUP(str_release) struct str text = STR_INIT;

	str_addf(&text, "out-of-scope: %s\nout-of-scope: ", certificate_standard_scope(3, false));
	certificate_add_mention(&text, "app.message.my body", 2);
	ck_assert_ptr_nonnull(strstr(text.s, "free text in app.message.my%20body names the subject without a key: 2 rows"));
	ck_assert_int_eq(lint_text(text.s, free_paper, 3, NULL), 0);
	str_add(&text, " of paper");
	ck_assert_int_eq(lint_text(text.s, free_paper, 3, NULL), -1);
	ck_assert_int_eq(lint_text("out-of-scope: free text in x\n", free_paper, 3, NULL), -1);
	ck_assert_int_eq(lint_text("free text\n", free_paper, 3, NULL), -1);
}
END_TEST

/* every word of the format is somebody's name */
START_TEST(fixed_words_are_nobodys)
{
	static const char *const words[] = { "London", "Pass", "None", "final", "removed", "app.appointment", "paper",
		"Practice", "Example", "statement", "2026-09-14", "5b1f0c9d27e84a6fb3a2c81e90d7f645", "vacuumed" };
	size_t n;
	CLEANUP(free_text) char *note = slurp(EXAMPLE, &n);
	struct err err = { 0 };

	*strstr(note, "\n\n") = '\0';
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		bool in_controller = strcmp(words[i], "Practice") == 0;

		ck_assert_msg(lint_text(note, &words[i], 1, &err) == (in_controller ? -1 : 0), "%s: %s", words[i], err.msg);
		if (in_controller)
			ck_assert_ptr_nonnull(strstr(err.msg, "certificate field controller (line 7)"));
	}
}
END_TEST

START_TEST(composed_fields_are_linted)
{
	static const char *const kirk[] = { "Kirk" };
	CLEANUP(certificate_release) struct certificate c = sample_certificate();
	char **fields[] = { &c.controller, &c.processor, &c.approvers[0].role, &c.retained[0].class, &c.residuals[0].name,
		&c.out_of_scope[2] };

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		char *kept = *fields[i];

		for (int j = 0; j < 3; j++) {
			CLEANUP(str_release) struct str text = STR_INIT;
			/* a space is written %20 in some of them */
			CLEANUP(free_text) char *probe = mem_copy(j == 0 ? "+44 7700 900123" : j == 1 ? "of kirk x" : "fine");

			*fields[i] = probe;
			ck_assert_int_eq(certificate_encode(&c, &text, NULL), 0);
			*fields[i] = kept;
			ck_assert_msg(lint_text(text.s, kirk, 1, NULL) == (j == 0 || (j == 1 && i != 1) ? -1 : 0), "%zu %d", i, j);
		}
	}
}
END_TEST

#define LOOP(tests, test, table) tcase_add_loop_test(tests, test, 0, (int)(sizeof(table) / sizeof(table[0])))

int
main(void)
{
	TCase *tests = tcase_create("lint");

	LOOP(tests, pattern, patterns);
	LOOP(tests, own_value, own);
	tcase_add_test(tests, huge_value_is_no_match);
	tcase_add_test(tests, fixed_scope_is_nobodys);
	tcase_add_test(tests, fixed_words_are_nobodys);
	tcase_add_test(tests, composed_fields_are_linted);
	return run_suite("lint", tests);
}
