#include "base/parse.h"

#include <stdlib.h>
#include <string.h>

int
parse_int64(const char *text, int64_t min, int64_t max, int64_t *ret)
{
	const char *digits = text[0] == '-' ? text + 1 : text;
	bool negative = digits != text;
	uint64_t limit = negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
	uint64_t v = 0;
	int64_t value;

	if (digits[0] == '\0' || (digits[0] == '0' && (digits[1] != '\0' || negative)))
		return -1;
	for (const char *c = digits; *c != '\0'; c++) {
		if (*c < '0' || *c > '9')
			return -1;
		if (v > (limit - (uint64_t)(*c - '0')) / 10)
			return -1;
		v = v * 10 + (uint64_t)(*c - '0');
	}
	if (!negative)
		value = (int64_t)v;
	else
		value = v == (uint64_t)INT64_MAX + 1 ? INT64_MIN : -(int64_t)v;
	if (value < min || value > max)
		return -1;
	*ret = value;
	return 0;
}

/* n digits at text as a number, or -1 */
static int
digits(const char *text, int n)
{
	int v = 0;

	for (int i = 0; i < n; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		v = v * 10 + (text[i] - '0');
	}
	return v;
}

static int
days_in(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return month == 2 && leap ? 29 : days[month - 1];
}

/* the date in the first ten characters, whatever follows */
static int
date_prefix(const char *text, int *ret_year, int *ret_month, int *ret_day)
{
	int year, month, day;

	if (strnlen(text, 10) < 10 || text[4] != '-' || text[7] != '-')
		return -1;
	year = digits(text, 4);
	month = digits(text + 5, 2);
	day = digits(text + 8, 2);
	if (year < 1900 || year > 2199 || month < 1 || month > 12 || day < 1 ||
	    day > days_in(year, month))
		return -1;
	*ret_year = year;
	*ret_month = month;
	*ret_day = day;
	return 0;
}

int
parse_date(const char *text, int *ret_year, int *ret_month, int *ret_day)
{
	return strlen(text) == 10 ? date_prefix(text, ret_year, ret_month, ret_day) : -1;
}

bool
parse_is_utc_time(const char *text)
{
	int year, month, day, hour, minute, second;

	if (strlen(text) != 20 || date_prefix(text, &year, &month, &day) != 0)
		return false;
	if (text[10] != 'T' || text[13] != ':' || text[16] != ':' || text[19] != 'Z')
		return false;
	hour = digits(text + 11, 2);
	minute = digits(text + 14, 2);
	second = digits(text + 17, 2);
	return hour >= 0 && hour < 24 && minute >= 0 && minute < 60 && second >= 0 && second < 60;
}

static bool
is_hex(char c, bool upper_too)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ||
		(upper_too && c >= 'A' && c <= 'F');
}

bool
parse_is_uuid(const char *text)
{
	if (strlen(text) != 36)
		return false;
	for (int i = 0; i < 36; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? text[i] != '-' : !is_hex(text[i], true))
			return false;
	}
	return true;
}

bool
parse_is_sha256(const char *text)
{
	if (strlen(text) != 71 || strncmp(text, "sha256:", 7) != 0)
		return false;
	for (int i = 7; i < 71; i++)
		if (!is_hex(text[i], false))
			return false;
	return true;
}

size_t
parse_utf8_next(const char *bytes, size_t n, uint32_t *ret)
{
	const unsigned char *p = (const unsigned char *)bytes;
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;
	uint32_t v;

	if (len == 0 || len > n)
		return 0;
	v = len == 1 ? p[0] : p[0] & (0xffU >> (len + 1));
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		v = v << 6 | (p[i] & 0x3f);
	}
	if (v < least[len] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
		return 0;
	*ret = v;
	return len;
}

bool
parse_is_utf8(const char *bytes, size_t n)
{
	for (size_t i = 0; i < n;) {
		uint32_t v = 0;
		size_t len = parse_utf8_next(bytes + i, n - i, &v);

		if (len == 0 || v == 0)
			return false;
		i += len;
	}
	return true;
}

bool
parse_is_hidden(uint32_t v)
{
	return v < 0x20 || (v >= 0x7f && v <= 0x9f) || v == 0x61c || v == 0x200e || v == 0x200f ||
		(v >= 0x2028 && v <= 0x202e) || (v >= 0x2066 && v <= 0x2069) || v == 0xfeff;
}

bool
parse_is_plain_text(const char *text, size_t max)
{
	size_t n = strnlen(text, max + 1);

	if (n == 0 || n > max)
		return false;
	for (size_t i = 0; i < n;) {
		uint32_t v = 0;
		size_t len = parse_utf8_next(text + i, n - i, &v);

		if (len == 0 || parse_is_hidden(v))
			return false;
		i += len;
	}
	return true;
}

bool
parse_is_kind(const char *text)
{
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-_");

	return n >= 1 && n <= 40 && text[n] == '\0';
}
