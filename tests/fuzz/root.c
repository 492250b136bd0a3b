/*
 * What is kept outside the database for the key tree. The first byte says what the rest is: r a record of a root share, m a
 * marker, a an anchor, all as they are; R, M and A without their sums, which are added; n the name of a file.
 */
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "base/str.h"
#include "fuzz.h"
#include "keys/anchor.h"
#include "keys/root_record.h"
#include "keys/summed.h"
#include "svc/crypt.h"

static void
try_record(const uint8_t *bytes, size_t n)
{
	struct root_record record = { .share = 77 };
	struct err err = { 0 };
	uint8_t again[ROOT_RECORD_SIZE];

	if (root_record_parse(bytes, n, &record, &err) != 0) {
		REQUIRE(err.msg[0] != '\0' && record.share == 77);
		return;
	}
	REQUIRE(n == ROOT_RECORD_SIZE && root_id_is_valid(&record.id));
	REQUIRE(record.share >= 1 && record.share <= record.n_shares && record.n_shares <= ROOT_SHARES_MAX);
	REQUIRE(root_record_write(&record, again, &err) == 0 && memcmp(again, bytes, n) == 0);
}

static void
try_marker(const char *text, size_t n)
{
	struct root_marker marker = { .share = 77 };
	CLEANUP(str_release) struct str again = STR_INIT;
	struct err err = { 0 };

	if (root_marker_parse(text, n, &marker, &err) != 0) {
		REQUIRE(err.msg[0] != '\0' && marker.share == 77);
		return;
	}
	REQUIRE(root_marker_write(&marker, &again, &err) == 0);
	REQUIRE(again.len == n && memcmp(again.s, text, n) == 0);
}

static void
try_anchor(const char *text, size_t n)
{
	CLEANUP(anchor_release) struct anchor anchor = ANCHOR_INIT;
	CLEANUP(str_release) struct str again = STR_INIT;
	struct err err = { 0 };

	if (anchor_parse(text, n, &anchor, &err) != 0) {
		REQUIRE(err.msg[0] != '\0' && anchor.checkpoint == NULL && anchor.instance[0] == '\0');
		return;
	}
	REQUIRE(anchor.epoch >= 0 && anchor.key_seq >= 0 && anchor.timeline >= 1);
	REQUIRE(anchor_format(&anchor, &again, &err) == 0);
	REQUIRE(again.len == n && memcmp(again.s, text, n) == 0);
}

static void
try_name(const char *name)
{
	struct root_id id;
	CLEANUP(free_text) char *again = NULL;

	if (!root_record_name_parse(name, &id))
		return;
	REQUIRE(root_id_is_valid(&id));
	again = root_record_name(&id, name[0] == '.');
	REQUIRE(strcmp(again, name) == 0);
}

int
fuzz_root(const uint8_t *data, size_t n)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	uint8_t sum[SHA256_SIZE];

	if (n == 0)
		return 0;
	str_add(&text, "");
	str_add_n(&text, (const char *)data + 1, n - 1);
	if (data[0] == 'R') {
		REQUIRE(crypt_sha256(text.s, text.len, sum, NULL) == 0);
		str_add_n(&text, (const char *)sum, sizeof(sum));
	}
	if (data[0] == 'M' || data[0] == 'A')
		REQUIRE(summed_end(&text, NULL) == 0);
	if ((data[0] | 32) == 'r')
		try_record((const uint8_t *)text.s, text.len);
	if ((data[0] | 32) == 'm')
		try_marker(text.s, text.len);
	if ((data[0] | 32) == 'a')
		try_anchor(text.s, text.len);
	if (data[0] == 'n')
		try_name(text.s);
	return 0;
}
