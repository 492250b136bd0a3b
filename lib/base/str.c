#include "base/str.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/parse.h"

static void
reserve(struct str *str, size_t extra)
{
	size_t need = str->len + extra + 1;

	if (need <= str->cap)
		return;
	str->cap = need < 64 ? 64 : need + need / 2;
	str->s = mem_resize(str->s, str->cap, 1);
}

void
str_add_n(struct str *str, const char *bytes, size_t n)
{
	reserve(str, n);
	if (n > 0)
		(void)memcpy(str->s + str->len, bytes, n);
	str->len += n;
	str->s[str->len] = '\0';
}

void
str_add(struct str *str, const char *text)
{
	str_add_n(str, text, strlen(text));
}

void
str_addf(struct str *str, const char *fmt, ...)
{
	char probe[1]; /* not NULL: gcc's sanitized build takes that for a null format */
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(probe, sizeof(probe), fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	reserve(str, (size_t)n);
	va_start(ap, fmt);
	(void)vsnprintf(str->s + str->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	str->len += (size_t)n;
}

void
str_add_visible(struct str *str, const char *text)
{
	size_t n = strlen(text);

	for (size_t i = 0; i < n;) {
		uint32_t v = 0;
		size_t len = parse_utf8_next(text + i, n - i, &v);

		if (len == 0)
			str_addf(str, "\\x%02x", (unsigned char)text[i]);
		else if (v == '\n' || v == '\r' || v == '\t')
			str_add(str, v == '\n' ? "\\n" : v == '\r' ? "\\r" : "\\t");
		else if (parse_is_hidden(v))
			str_addf(str, "\\u%04x", (unsigned)v);
		else
			str_add_n(str, text + i, len);
		i += len == 0 ? 1 : len;
	}
}

const char *
str_cstr(const struct str *str)
{
	return str->s == NULL ? "" : str->s;
}

char *
str_take(struct str *str)
{
	char *s = str->s == NULL ? mem_copy_n("", 0) : str->s;

	*str = (struct str)STR_INIT;
	return s;
}

void
str_clear(struct str *str)
{
	str->len = 0;
	if (str->s != NULL)
		str->s[0] = '\0';
}

void
str_release(struct str *str)
{
	free(str->s);
	*str = (struct str)STR_INIT;
}
