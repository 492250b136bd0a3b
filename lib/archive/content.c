#include "archive/content.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "base/secret.h"

static const char info[] = "expunge/archive/content/v1";

struct row {
	const char *text;
	size_t n; /* with its line end */
};

static void
free_digest(struct digest **digest)
{
	crypt_digest_free(*digest);
}

static int
by_bytes(const void *a, const void *b)
{
	const struct row *one = a, *other = b;
	size_t n = one->n < other->n ? one->n : other->n;
	int order = memcmp(one->text, other->text, n);

	return order != 0 ? order : (one->n > other->n) - (one->n < other->n);
}

/* *ret: the caller frees. */
static size_t
split(const struct content *part, struct row **ret)
{
	const char *at = part->text, *end = at + part->n;
	size_t n = 0;

	*ret = NULL;
	while (at < end) {
		const char *line_end = memchr(at, '\n', (size_t)(end - at));
		const char *next = line_end == NULL ? end : line_end + 1;

		*MEM_PUSH(*ret, n) = (struct row){ at, (size_t)(next - at) };
		at = next;
	}
	return n;
}

static int
add_part(struct digest *digest, const struct content *part, struct err *err)
{
	struct row *rows;
	size_t n = split(part, &rows);
	uint8_t head[12];
	int failed;

	bytes_put_u32(head, part->table);
	bytes_put_u64(head + 4, part->n);
	failed = crypt_digest_add(digest, head, sizeof(head), err);
	if (n > 1)
		qsort(rows, n, sizeof(*rows), by_bytes);
	for (size_t i = 0; i < n && failed == 0; i++)
		failed = crypt_digest_add(digest, rows[i].text, rows[i].n, err);
	free(rows);
	return failed;
}

int
content_tag(const uint8_t leaf_key[ARCHIVE_KEY_SIZE], const struct content *parts, size_t n, uint8_t ret[ARCHIVE_TAG_SIZE],
	struct err *err)
{
	CLEANUP(free_digest) struct digest *digest = NULL;
	uint8_t bytes[ARCHIVE_KEY_SIZE], hash[SHA256_SIZE] = { 0 }, mac[SHA256_SIZE] = { 0 };
	const struct secret key = { .bytes = bytes, .n = sizeof(bytes) };
	int failed = crypt_digest_begin(&digest, err);

	for (size_t i = 0; i < n && failed == 0; i++)
		failed = add_part(digest, &parts[i], err);
	if (failed != 0 || crypt_digest_end(digest, hash, err) != 0)
		return -1;
	failed = crypt_hkdf_expand(leaf_key, ARCHIVE_KEY_SIZE, info, sizeof(info) - 1, bytes, sizeof(bytes), err) != 0 ||
		crypt_hmac_sha256(&key, hash, sizeof(hash), mac, err) != 0;
	secret_wipe(bytes, sizeof(bytes));
	secret_wipe(hash, sizeof(hash));
	(void)memcpy(ret, mac, ARCHIVE_TAG_SIZE);
	return failed ? -1 : 0;
}
