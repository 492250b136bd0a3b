#include "evidence/lint.h"

#include <pthread.h>
#include <regex.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "evidence/certificate.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define LETTERS_MIN 4

/* a digit inside a hash or an identifier is no word */
#define BEFORE "(^|[^A-Za-z0-9_])"
#define AFTER "($|[^A-Za-z0-9_])"
#define DAY "(0?[1-9]|[12][0-9]|3[01])"
#define MONTH_NAME "(jan(uary)?|feb(ruary)?|mar(ch)?|apr(il)?|may|june?|july?|aug(ust)?|sept?(ember)?|" \
	"oct(ober)?|nov(ember)?|dec(ember)?)"
#define YEAR "(19|20|21)[0-9][0-9]"

static bool is_nhs_number(const char *text, size_t n);

/* group 2 is what was found */
static struct pattern {
	const char *what; /* NULL: harmless, and hidden from the patterns after it */
	const char *expression;
	int flags;
	bool (*confirm)(const char *text, size_t n);
	regex_t compiled;
} patterns[] = {
	{ .expression = BEFORE "([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})" AFTER, .flags = REG_ICASE },
	{ .expression = BEFORE "(" YEAR "-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9.]+)?(Z|[+-][0-9:]+)?)?)" AFTER },
	{ .expression = "(^|[^A-Za-z0-9_/])([0-9A-F]{1,8}/[0-9A-F]{1,8})($|[^A-Za-z0-9_/])" },
	{ .what = "an e-mail address", .flags = REG_ICASE,
	  .expression = "()([^][ \t<>()@:;,\"]+@[a-z0-9-]+(\\.[a-z0-9-]+)+)" },
	{ .what = "a telephone number",
		.expression = "(^|[^A-Za-z0-9_])((\\+|00)44[ -]?(\\(0\\))?[ -]?[1-35789]([ -]?[0-9]){8,9})" AFTER },
	{ .what = "a telephone number",
		.expression = BEFORE "(0[1-35789]([ ()-]{0,2}[0-9]){8,9})" AFTER },
	{ .what = "an NHS number", .confirm = is_nhs_number,
	  .expression = BEFORE "([0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{4})" AFTER },
	{ .what = "a date of birth",
		.expression = BEFORE "(" DAY "[/.-](0?[1-9]|1[0-2])[/.-]" YEAR ")" AFTER },
	{ .what = "a date of birth", .flags = REG_ICASE,
	  .expression = BEFORE "(" DAY "(st|nd|rd|th)?( of)? " MONTH_NAME ",? " YEAR ")" AFTER },
	{ .what = "a date of birth", .flags = REG_ICASE,
	  .expression = BEFORE "(" MONTH_NAME " " DAY "(st|nd|rd|th)?,? " YEAR ")" AFTER },
	{ .what = "a postcode",
		.expression = BEFORE "([A-PR-UWYZ][A-HK-Y]?[0-9][0-9A-HJKPS-UW-Y]? ?[0-9][ABD-HJLNP-UW-Z]{2})" AFTER },
	/* without the space, lower case is how short hashes look */
	{ .what = "a postcode",
		.expression = BEFORE "([a-pr-uwyz][a-hk-y]?[0-9][0-9a-hjkps-uw-y]? [0-9][abd-hjlnp-uw-z]{2})" AFTER },
};

static pthread_once_t compiled_once = PTHREAD_ONCE_INIT;
static bool compiled;

static void
compile(void)
{
	compiled = true;
	for (size_t i = 0; i < COUNT(patterns); i++)
		if (regcomp(&patterns[i].compiled, patterns[i].expression, REG_EXTENDED | patterns[i].flags) != 0)
			compiled = false;
}

/* ten digits whose last is the check digit by modulus 11 */
static bool
is_nhs_number(const char *text, size_t n)
{
	unsigned int sum = 0, weight = 10, digit = 0;

	for (size_t i = 0; i < n; i++) {
		if (text[i] < '0' || text[i] > '9')
			continue;
		digit = (unsigned int)(text[i] - '0');
		sum += weight > 1 ? digit * weight : 0;
		weight--;
	}
	return (11 - sum % 11) % 11 == digit;
}

/* What the line holds, or NULL. Harmless shapes in it are overwritten. */
static const char *
find_pattern(char *line)
{
	for (size_t i = 0; i < COUNT(patterns); i++) {
		const struct pattern *p = &patterns[i];
		char *at = line;
		regmatch_t m[3];

		while (regexec(&p->compiled, at, COUNT(m), m, at == line ? 0 : REG_NOTBOL) == 0) {
			char *found = at + m[2].rm_so;
			size_t n = (size_t)(m[2].rm_eo - m[2].rm_so);

			if (p->what == NULL)
				(void)memset(found, '|', n);
			else if (p->confirm == NULL || p->confirm(found, n))
				return p->what;
			at = found;
			/* the character before a word belongs to its match: resume on the first that can be one */
			if (p->what != NULL)
				at++;
		}
	}
	return NULL;
}

/* Lower case for the alphabets of European names; other characters stay. */
static uint32_t
fold(uint32_t c)
{
	if ((c >= 'A' && c <= 'Z') || (c >= 0xc0 && c <= 0xde && c != 0xd7) || (c >= 0x391 && c <= 0x3a9) ||
	    (c >= 0x410 && c <= 0x42f))
		return c + 0x20;
	if (c >= 0x400 && c <= 0x40f)
		return c + 0x50;
	if ((c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17e))
		return c + (c & 1);
	if (c == 0x178)
		return 0xff;
	if (c >= 0x100 && c <= 0x17f && c != 0x130 && c != 0x138 && c != 0x149 && c != 0x17f)
		return c | 1;
	return c;
}

static bool
is_space(uint32_t c)
{
	return c == ' ' || (c >= 0x09 && c <= 0x0d) || c == 0xa0 || (c >= 0x2000 && c <= 0x200a) ||
		c == 0x202f || c == 0x3000;
}

static bool
is_word(uint32_t c)
{
	if (c < 0x80)
		return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
	return c > 0xbf && !(c >= 0x2000 && c <= 0x206f) && !(c >= 0x3000 && c <= 0x303f);
}

/* one character; a byte that is no UTF-8 stands for itself */
static size_t
next_char(const unsigned char *p, uint32_t *ret)
{
	size_t n = p[0] < 0xc2 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 1;
	uint32_t v = n == 1 ? p[0] : p[0] & (0xffU >> (n + 1));

	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80) {
			*ret = p[0];
			return 1;
		}
		v = v << 6 | (p[i] & 0x3f);
	}
	*ret = v;
	return n;
}

struct folded {
	uint32_t *chars;
	size_t n;
};

static void
release_folded(struct folded *f)
{
	if (f->chars != NULL)
		explicit_bzero(f->chars, f->n * sizeof(*f->chars));
	free(f->chars);
}

/* lower case, runs of white space one space, none at the ends; no more than max characters */
static struct folded
fold_text(const char *text, size_t max)
{
	struct folded f = { mem_zero(max, sizeof(uint32_t)), 0 };
	const unsigned char *p = (const unsigned char *)text;

	while (*p != '\0' && f.n < max) {
		uint32_t c;

		p += next_char(p, &c);
		if (!is_space(c))
			f.chars[f.n++] = fold(c);
		else if (f.n > 0 && f.chars[f.n - 1] != ' ')
			f.chars[f.n++] = ' ';
	}
	if (f.n > 0 && f.chars[f.n - 1] == ' ')
		f.n--;
	return f;
}

static bool
has_words(const struct folded *line, const struct folded *value)
{
	for (size_t i = 0; i + value->n <= line->n; i++) {
		size_t end = i + value->n;

		if (memcmp(line->chars + i, value->chars, value->n * sizeof(*value->chars)) != 0)
			continue;
		if ((i == 0 || !is_word(line->chars[i - 1]) || !is_word(line->chars[i])) &&
		    (end == line->n || !is_word(line->chars[end]) || !is_word(line->chars[end - 1])))
			return true;
	}
	return false;
}

static bool
find_value(const char *line, const char *const *values, size_t n_values)
{
	CLEANUP(release_folded) struct folded in = fold_text(line, strlen(line));

	for (size_t i = 0; i < n_values; i++) {
		CLEANUP(release_folded) struct folded value = { NULL, 0 };

		if (values[i] == NULL)
			continue;
		/* more characters than the line's, and a space to be cut off, need no reading: they are not in it */
		value = fold_text(values[i], in.n + 2);
		if (value.n >= LETTERS_MIN && has_words(&in, &value))
			return true;
	}
	return false;
}

static bool
has_key(const char *line, const char *key)
{
	size_t n = strlen(key);

	return strncmp(line, key, n) == 0 && strncmp(line + n, ": ", 2) == 0;
}

/* what a certificate composes; all other lines have a fixed form that its encoder checks */
static bool
is_composed(const char *line)
{
	static const char *const keys[] = { "controller", "processor", "approver", "retained", "archives", "out-of-scope" };

	for (size_t i = 0; i < COUNT(keys); i++)
		if (has_key(line, keys[i]))
			return true;
	return false;
}

/* Words that are the same whoever the subject is. */
static bool
is_fixed(const char *line, bool certificate)
{
	if (has_key(line, "out-of-scope"))
		return certificate_scope_is_fixed(strchr(line, ' ') + 1);
	return certificate && (has_key(line, "processor") || strcmp(line, "retained: none") == 0 ||
				      strcmp(line, "archives: none") == 0);
}

/* "%20" of a name (doc/certificate.md, "Names") is what it stands for, or words would not end at it */
static void
unescape(char *name)
{
	char *to = name;

	for (const char *from = name; *from != '\0'; to++) {
		const char digits[3] = { from[0] == '%' ? from[1] : '\0', from[0] == '%' && from[1] != '\0' ? from[2] : '\0', '\0' };
		uint8_t byte;

		if (bytes_from_hex(digits, &byte, 1) == 0 && byte != 0) {
			*to = (char)byte;
			from += 3;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
}

/* line is overwritten */
static int
lint_line(char *line, bool certificate, size_t number, const char *const *values, size_t n_values, struct err *err)
{
	const char *what = NULL;
	char *content = line;
	int key = 0;

	if (certificate) {
		if (!is_composed(line))
			return 0;
		key = (int)strcspn(line, ":");
		content = line + key + 2;
		if (has_key(line, "approver") || has_key(line, "retained") || has_key(line, "archives"))
			unescape(content);
	}
	if (!is_fixed(line, certificate) && find_value(content, values, n_values))
		what = "one of the subject's own values";
	else
		what = find_pattern(content);
	if (what == NULL)
		return 0;
	if (certificate)
		(void)err_set(err, ERR_REFUSED, "certificate field %.*s (line %zu) holds %s", key, line, number, what);
	else
		(void)err_set(err, ERR_REFUSED, "line %zu holds %s", number, what);
	return err_hint(err, "a certificate is kept for ever and names nobody: change the text where it comes from, "
		"the configuration, the data map or the tenant's reference");
}

int
lint_text(const char *text, const char *const *values, size_t n_values, struct err *err)
{
	bool certificate = strncmp(text, CERTIFICATE_HEADER "\n", strlen(CERTIFICATE_HEADER) + 1) == 0;
	size_t number = 0;

	if (pthread_once(&compiled_once, compile) != 0 || !compiled)
		return err_set(err, ERR_FAILED, "look for personal data: a pattern of this program does not compile");
	while (*text != '\0') {
		size_t n = strcspn(text, "\n");
		CLEANUP(free_text) char *line = mem_copy_n(text, n);

		if (lint_line(line, certificate, ++number, values, n_values, err) != 0)
			return -1;
		text += n + (text[n] == '\n' ? 1 : 0);
	}
	return 0;
}
