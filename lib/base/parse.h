/*
 * parse: strict readers of text from people and servers. All of the text must be of the form,
 * nothing is trimmed, nothing is guessed. They return 0 and write *ret, or -1 and leave it alone.
 */
#ifndef EXPUNGE_BASE_PARSE_H
#define EXPUNGE_BASE_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decimal, optional leading '-', no '+', no leading zeros but "0" itself, within [min, max]. */
int parse_int64(const char *text, int64_t min, int64_t max, int64_t *ret);
/* YYYY-MM-DD of the proleptic Gregorian calendar, years 1900 to 2199, the day existing. */
int parse_date(const char *text, int *ret_year, int *ret_month, int *ret_day);
/* RFC 3339 in UTC with a 'Z' and whole seconds: 2026-09-03T10:00:00Z. */
bool parse_is_utc_time(const char *text);
/* 8-4-4-4-12 lower- or upper-case hexadecimal digits. */
bool parse_is_uuid(const char *text);
/* Well-formed UTF-8 (RFC 3629: shortest form, no surrogates, at most U+10FFFF) and no NUL. */
bool parse_is_utf8(const char *bytes, size_t n);
/* Well-formed UTF-8, 1 to max bytes, no control characters (C0, DEL, C1, U+2028/9) and no bidirectional
 * formatting (U+200E/F, U+202A-E, U+2066-9, U+061C): text that a terminal or a certificate can show. */
bool parse_is_plain_text(const char *text, size_t max);
/* The code point that n > 0 bytes of well-formed UTF-8 start with (RFC 3629); its length, or 0 when malformed. */
size_t parse_utf8_next(const char *bytes, size_t n, uint32_t *ret);
/* True for the control and bidirectional characters that plain text may not contain. */
bool parse_is_hidden(uint32_t code_point);
/* 1 to 40 of a-z, 0-9, '-' and '_': a word that can stand in a file name and in a certificate. */
bool parse_is_kind(const char *text);
/* "sha256:" and 64 lower-case hexadecimal digits. */
bool parse_is_sha256(const char *text);

#endif
