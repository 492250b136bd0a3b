#include "account/notice.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/parse.h"
#include "sys/file.h"

#define TEMPLATE_MAX 65536
#define NAME_MAX_BYTES 40
#define CLOSURE "practice closure ends_on purge_on complete_by zone"

const struct notice_kind notice_kinds[] = {
	{ "cancelled", CLOSURE },
	{ "ends", CLOSURE },
	{ "days-30", CLOSURE },
	{ "days-14", CLOSURE },
	{ "days-7", CLOSURE },
	{ "days-1", CLOSURE },
	{ "done", "practice closure complete_by" },
	{ "reactivated", "practice closure reactivated_on" },
	{ "approval-wanted", "practice closure purge_on complete_by plan rows approvals" },
	{ "purge-paused", "practice closure purge_on complete_by cause" },
	{ "failure", "job run exit_code day" },
	{ "support-override", "session staff ticket reason opened_at ends_at" },
	{ NULL, NULL }
};
static const char always[] = "tenant processor notice_id";

void
notice_release(struct notice *notice)
{
	str_release(&notice->subject);
	str_release(&notice->text);
	str_release(&notice->html);
}

/* ---- facts --------------------------------------------------------------------------------- */

static const char *
find_fact(const struct fact *facts, size_t n, const char *name, size_t n_name)
{
	for (size_t i = 0; i < n; i++)
		if (strlen(facts[i].name) == n_name && strncmp(facts[i].name, name, n_name) == 0)
			return facts[i].value;
	return NULL;
}

static void
add_escaped(struct str *out, const char *value)
{
	for (const char *c = value; *c != '\0'; c++) {
		switch (*c) {
		case '&': str_add(out, "&amp;"); break;
		case '<': str_add(out, "&lt;"); break;
		case '>': str_add(out, "&gt;"); break;
		case '"': str_add(out, "&quot;"); break;
		case '\'': str_add(out, "&#39;"); break;
		default: str_add_n(out, c, 1); break;
		}
	}
}

static void
add_value(struct str *out, const char *value, bool escape)
{
	static const char *const months[] = { "January", "February", "March", "April", "May", "June", "July", "August", "September",
		"October", "November", "December" };
	int year, month, day;

	if (parse_date(value, &year, &month, &day) == 0)
		str_addf(out, "%d %s %d", day, months[month - 1], year);
	else if (escape)
		add_escaped(out, value);
	else
		str_add(out, value);
}

/* ---- templates ----------------------------------------------------------------------------- */

/* Behind an opening brace: the length of a name that ends with a closing one, or 0. */
static size_t
name_length(const char *text)
{
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_");

	return n <= NAME_MAX_BYTES && text[n] == '}' ? n : 0;
}

int
notice_fill(struct str *ret, const char *path, int line, const char *text, const struct fact *facts, size_t n, bool escape,
	struct err *err)
{
	for (const char *c = text; *c != '\0'; c++) {
		size_t length;
		const char *value;

		line += *c == '\n';
		if (*c != '{') {
			str_add_n(ret, c, 1);
			continue;
		}
		if (c[1] == '{') {
			str_add(ret, "{");
			c++;
			continue;
		}
		length = name_length(c + 1);
		if (length == 0) {
			(void)err_set(err, ERR_USAGE, "%s:%d: a brace without a name behind it", path, line);
			return err_hint(err, "{name} stands for a fact, {{ for a brace");
		}
		value = find_fact(facts, n, c + 1, length);
		if (value == NULL) {
			(void)err_set(err, ERR_USAGE, "%s:%d: {%.*s} is not among the facts of this notice", path, line, (int)length, c + 1);
			return err_hint(err, "expunge(1), NOTICES, lists the facts of each");
		}
		if (value[0] != '\0' && !parse_is_plain_text(value, TEMPLATE_MAX))
			return err_set(err, ERR_FAILED, "%s:%d: the fact %.*s has characters that cannot be shown", path, line, (int)length, c + 1);
		add_value(ret, value, escape);
		c += length + 1;
	}
	return 0;
}

static int
read_template(const char *directory, const char *name, const char *suffix, char **ret_path, char **ret, struct err *err)
{
	CLEANUP(free_text) char *file = mem_printf("%s.%s", name, suffix);
	size_t n = 0;

	*ret_path = file_join(directory, file);
	if (!parse_is_kind(name))
		return err_set(err, ERR_FAILED, "the name of a template is malformed");
	if (file_check_writers(*ret_path, err) != 0 || file_read(*ret_path, TEMPLATE_MAX, ret, &n, err) != 0) {
		if (err != NULL)
			err->code = ERR_USAGE;
		return err_hint(err, "the texts that come with this program are in its etc/notices");
	}
	if (!parse_is_utf8(*ret, n) || strlen(*ret) != n)
		return err_set(err, ERR_USAGE, "%s is not UTF-8 text", *ret_path);
	return 0;
}

/* "Subject: ...", an empty line; *ret_body is what follows. */
static int
take_subject(const char *path, char *text, char **ret_body, struct err *err)
{
	static const char field[] = "Subject: ";
	char *end = strchr(text, '\n');

	if (strncmp(text, field, sizeof(field) - 1) != 0 || end == NULL || end[1] != '\n')
		return err_set(err, ERR_USAGE, "%s:1: must be \"Subject: ...\", and line 2 empty", path);
	*end = '\0';
	*ret_body = end + 2;
	(void)memmove(text, text + sizeof(field) - 1, strlen(text + sizeof(field) - 1) + 1);
	return 0;
}

int
notice_render(struct notice *ret, const char *directory, const char *name, const struct fact *facts, size_t n, struct err *err)
{
	CLEANUP(free_text) char *path = NULL, *text = NULL, *path_html = NULL, *html = NULL;
	char *body = NULL;

	if (read_template(directory, name, "txt", &path, &text, err) != 0 || read_template(directory, name, "html", &path_html, &html, err) != 0 ||
	    take_subject(path, text, &body, err) != 0)
		return -1;
	if (notice_fill(&ret->subject, path, 1, text, facts, n, false, err) != 0 || notice_fill(&ret->text, path, 3, body, facts, n, false, err) != 0)
		return -1;
	return notice_fill(&ret->html, path_html, 1, html, facts, n, true, err);
}

/* ---- all there are ------------------------------------------------------------------------- */

/* Splits `words` (a copy, changed) at spaces into facts that are all "x". */
static void
add_facts(struct fact **facts, size_t *n, char *words)
{
	for (char *word = words; *word != '\0';) {
		size_t length = strcspn(word, " ");
		bool last = word[length] == '\0';

		word[length] = '\0';
		*MEM_PUSH(*facts, *n) = (struct fact){ word, "x" };
		word += length + !last;
	}
}

int
notice_rehearse(const char *directory, const struct notice_kind *kind, struct err *err)
{
	CLEANUP(free_text) char *own = mem_copy(kind->facts), *others = mem_copy(always);
	CLEANUP(notice_release) struct notice unwanted = NOTICE_INIT;
	struct fact *facts = NULL;
	size_t n = 0;
	int failed;

	add_facts(&facts, &n, own);
	add_facts(&facts, &n, others);
	failed = notice_render(&unwanted, directory, kind->name, facts, n, err);
	free(facts);
	return failed;
}
