/*
 * str: a growing string. `struct str s = STR_INIT;` is an empty one; s.s is always a C string
 * (never NULL once something was added; use str_cstr() to read one that may be empty).
 * Not for secrets: see secret.h.
 */
#ifndef EXPUNGE_BASE_STR_H
#define EXPUNGE_BASE_STR_H

#include <stddef.h>

struct str {
	char *s;
	size_t len;
	size_t cap;
};

#define STR_INIT { NULL, 0, 0 }

void str_add(struct str *str, const char *text);
void str_add_n(struct str *str, const char *bytes, size_t n);
void str_addf(struct str *str, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Adds text that is safe to show: control and bidirectional characters and malformed bytes become
 * \n, \r, \t, \u00ab and \xab escapes. */
void str_add_visible(struct str *str, const char *text);
/* "" for a string to which nothing was added. Owned by str. */
const char *str_cstr(const struct str *str);
/* Hands the buffer over (the caller frees) and leaves an empty string behind. Never NULL. */
char *str_take(struct str *str);
/* Empties, keeps the buffer. */
void str_clear(struct str *str);
/* Frees; the struct may be used again as an empty string. */
void str_release(struct str *str);

#endif
