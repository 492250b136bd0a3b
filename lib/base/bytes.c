#include "base/bytes.h"

#include <string.h>

void
bytes_to_hex(const uint8_t *bytes, size_t n, char *text)
{
	static const char digit[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		text[2 * i] = digit[bytes[i] >> 4];
		text[2 * i + 1] = digit[bytes[i] & 15];
	}
	text[2 * n] = '\0';
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int
bytes_from_hex(const char *text, uint8_t *ret, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int high = hex_value(text[2 * i]);
		int low = high < 0 ? -1 : hex_value(text[2 * i + 1]);

		if (low < 0)
			return -1;
		ret[i] = (uint8_t)(high << 4 | low);
	}
	return text[2 * n] == '\0' ? 0 : -1;
}

static const char base64_digit[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void
bytes_add_base64(struct str *text, const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)bytes[i] << 16;
		char group[4];

		if (i + 1 < n)
			v |= (uint32_t)bytes[i + 1] << 8;
		if (i + 2 < n)
			v |= bytes[i + 2];
		group[0] = base64_digit[v >> 18];
		group[1] = base64_digit[v >> 12 & 63];
		group[2] = i + 1 < n ? base64_digit[v >> 6 & 63] : '=';
		group[3] = i + 2 < n ? base64_digit[v & 63] : '=';
		str_add_n(text, group, sizeof(group));
	}
}

static int
base64_value(char c)
{
	const char *at = c == '\0' ? NULL : strchr(base64_digit, c);

	return at == NULL ? -1 : (int)(at - base64_digit);
}

long
bytes_from_base64(const char *text, size_t len, uint8_t *ret, size_t max)
{
	size_t out = 0;

	if (len % 4 != 0)
		return -1;
	for (size_t i = 0; i < len; i += 4) {
		size_t pad = 0;
		uint32_t v = 0;

		if (i + 4 == len)
			pad = text[i + 3] != '=' ? 0 : text[i + 2] != '=' ? 1 : 2;
		for (size_t j = 0; j < 4; j++) {
			int d = j >= 4 - pad ? 0 : base64_value(text[i + j]);

			if (d < 0)
				return -1;
			v = v << 6 | (uint32_t)d;
		}
		if ((pad == 1 && (v & 0xff) != 0) || (pad == 2 && (v & 0xffff) != 0))
			return -1;
		for (size_t j = 0; j < 3 - pad; j++) {
			if (out == max)
				return -1;
			ret[out++] = (uint8_t)(v >> (16 - 8 * j));
		}
	}
	return (long)out;
}

void
bytes_put_u32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
}

uint32_t
bytes_get_u32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

void
bytes_put_u64(uint8_t *p, uint64_t v)
{
	bytes_put_u32(p, (uint32_t)(v >> 32));
	bytes_put_u32(p + 4, (uint32_t)v);
}

uint64_t
bytes_get_u64(const uint8_t *p)
{
	return (uint64_t)bytes_get_u32(p) << 32 | bytes_get_u32(p + 4);
}
