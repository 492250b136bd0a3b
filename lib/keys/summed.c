#include "keys/summed.h"

#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "svc/crypt.h"

#define SUM_KEY "sha256: "
#define SUM_LINE (sizeof(SUM_KEY) - 1 + (size_t)2 * SHA256_SIZE + 1)

int
summed_end(struct str *text, struct err *err)
{
	uint8_t sum[SHA256_SIZE];
	char hex[2 * SHA256_SIZE + 1];

	if (crypt_sha256(text->s, text->len, sum, err) != 0)
		return -1;
	bytes_to_hex(sum, sizeof(sum), hex);
	str_addf(text, SUM_KEY "%s\n", hex);
	return 0;
}

/* The last line is the sum of the others. */
static int
check_sum(const char *text, size_t n, struct err *err)
{
	CLEANUP(str_release) struct str again = STR_INIT;

	if (n < SUM_LINE)
		return err_set(err, ERR_FAILED, "it ends too soon");
	str_add_n(&again, text, n - SUM_LINE);
	if (summed_end(&again, err) != 0)
		return -1;
	return memcmp(again.s, text, n) == 0 ? 0 : err_set(err, ERR_FAILED, "its lines and its checksum do not agree");
}

/* The line at *at, cut off; *at goes behind it. NULL: there is no whole line. */
static char *
next_line(char **at)
{
	char *line = *at, *end = strchr(line, '\n');

	if (end == NULL)
		return NULL;
	*end = '\0';
	*at = end + 1;
	return line;
}

int
summed_parse(const char *text, size_t n, const char *format, const char *const *keys, size_t n_keys, char **ret_copy,
	const char **ret_values, struct err *err)
{
	CLEANUP(free_text) char *copy = NULL;
	char *at, *line;

	if (memchr(text, '\0', n) != NULL || strncmp(text, format, strlen(format)) != 0)
		return err_set(err, ERR_FAILED, "it does not begin with \"%s\"", format);
	if (check_sum(text, n, err) != 0)
		return -1;
	at = copy = mem_copy_n(text, n - SUM_LINE);
	line = next_line(&at);
	if (line == NULL || strcmp(line, format) != 0)
		return err_set(err, ERR_FAILED, "it does not begin with \"%s\"", format);
	for (size_t i = 0; i < n_keys; i++) {
		size_t key = strlen(keys[i]);

		line = next_line(&at);
		if (line == NULL || strncmp(line, keys[i], key) != 0 || strncmp(line + key, ": ", 2) != 0)
			return err_set(err, ERR_FAILED, "line %zu is not \"%s: ...\"", i + 2, keys[i]);
		ret_values[i] = line + key + 2;
	}
	if (*at != '\0')
		return err_set(err, ERR_FAILED, "there is more after \"%s\"", keys[n_keys - 1]);
	*ret_copy = TAKE_PTR(copy);
	return 0;
}
