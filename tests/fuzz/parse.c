/* The strict readers of numbers, dates, identifiers, UTF-8, hexadecimal and base64. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "base/parse.h"
#include "base/str.h"
#include "fuzz.h"

/* Exactly the texts that printf writes are read, whatever the limits. */
static void
numbers(const char *text)
{
	char again[24];
	int64_t v = 7, w = 7;
	long long other;
	char *end;

	errno = 0;
	other = strtoll(text, &end, 10);
	(void)snprintf(again, sizeof(again), "%lld", other);
	if (parse_int64(text, INT64_MIN, INT64_MAX, &v) == 0)
		REQUIRE(errno == 0 && v == other && strcmp(again, text) == 0);
	else
		REQUIRE(v == 7 && (errno != 0 || *end != '\0' || strcmp(again, text) != 0));
	if (parse_int64(text, -5, 99, &w) == 0)
		REQUIRE(w == v && v >= -5 && v <= 99);
	else
		REQUIRE(w == 7);
}

static void
dates(const char *text)
{
	int year = 0, month = 0, day = 0;
	struct tm tm = { 0 };
	char again[32];

	if (parse_date(text, &year, &month, &day) == 0) {
		struct tm norm = { .tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day };

		(void)snprintf(again, sizeof(again), "%04d-%02d-%02d", year, month, day);
		REQUIRE(strcmp(again, text) == 0);
		(void)timegm(&norm);
		REQUIRE(norm.tm_mon == month - 1 && norm.tm_mday == day);
	} else
		REQUIRE(year == 0 && month == 0 && day == 0);
	if (parse_is_utc_time(text)) {
		const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
		time_t at;

		REQUIRE(end != NULL && *end == '\0');
		at = timegm(&tm);
		(void)strftime(again, sizeof(again), "%Y-%m-%dT%H:%M:%SZ", gmtime(&at));
		REQUIRE(strcmp(again, text) == 0);
	}
}

static void
identifiers(const char *text)
{
	uint8_t bytes[32];

	if (parse_is_sha256(text)) {
		char again[65];

		REQUIRE(bytes_from_hex(text + 7, bytes, 32) == 0);
		bytes_to_hex(bytes, 32, again);
		REQUIRE(strcmp(again, text + 7) == 0);
	}
	if (parse_is_uuid(text))
		REQUIRE(strlen(text) == 36 && strspn(text, "0123456789abcdefABCDEF-") == 36);
}

/* A code point as UTF-8, by the table of RFC 3629. */
static size_t
encode(uint32_t v, char *ret)
{
	static const unsigned char lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	size_t n = v < 0x80 ? 1 : v < 0x800 ? 2 : v < 0x10000 ? 3 : 4;

	for (size_t i = n; i-- > 1; v >>= 6)
		ret[i] = (char)(0x80 | (v & 0x3f));
	ret[0] = (char)(lead[n] | v);
	return n;
}

static void
characters(const char *bytes, size_t n)
{
	bool well_formed = true, hidden = false;
	CLEANUP(str_release) struct str shown = STR_INIT;
	size_t len = strlen(bytes);

	for (size_t i = 0; i < n && well_formed;) {
		uint32_t v = 0;
		char again[4];
		size_t taken = parse_utf8_next(bytes + i, n - i, &v);

		well_formed = taken > 0 && v != 0;
		hidden = hidden || parse_is_hidden(v);
		if (taken > 0)
			REQUIRE(encode(v, again) == taken && memcmp(again, bytes + i, taken) == 0);
		i += taken;
	}
	REQUIRE(parse_is_utf8(bytes, n) == well_formed);
	if (len == n)
		REQUIRE(parse_is_plain_text(bytes, 100) == (well_formed && !hidden && n > 0 && n <= 100));
	str_add_visible(&shown, bytes);
	if (len > 0)
		REQUIRE(parse_is_plain_text(shown.s, shown.len));
	if (parse_is_plain_text(bytes, n))
		REQUIRE(strcmp(shown.s, bytes) == 0);
}

static void
binary(const uint8_t *data, size_t n, const char *text)
{
	CLEANUP(str_release) struct str base64 = STR_INIT;
	CLEANUP(str_release) struct str again = STR_INIT;
	CLEANUP(free_text) char *hex = mem_zero(2 * n + 1, 1);
	uint8_t *back = mem_zero(n + 3, 1);
	long size;

	bytes_to_hex(data, n, hex);
	REQUIRE(bytes_from_hex(hex, back, n) == 0 && memcmp(back, data, n) == 0);
	bytes_add_base64(&base64, data, n);
	REQUIRE(bytes_from_base64(str_cstr(&base64), base64.len, back, n) == (long)n && memcmp(back, data, n) == 0);
	if (n > 0)
		REQUIRE(bytes_from_base64(base64.s, base64.len, back, n - 1) == -1);
	size = bytes_from_base64(text, n, back, n);
	if (size >= 0) {
		bytes_add_base64(&again, back, (size_t)size);
		REQUIRE(again.len == n && memcmp(str_cstr(&again), data, n) == 0);
	}
	if (n >= 4) {
		uint8_t four[4];

		bytes_put_u32(four, bytes_get_u32(data));
		REQUIRE(memcmp(four, data, 4) == 0);
	}
	free(back);
}

int
fuzz_parse(const uint8_t *data, size_t n)
{
	static const uint8_t none[1] = { 0 };
	CLEANUP(free_text) char *text = fuzz_text(data, n);

	numbers(text);
	dates(text);
	identifiers(text);
	characters(text, n);
	binary(n == 0 ? none : data, n, text);
	return 0;
}
