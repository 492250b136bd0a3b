/* A segment of the key journal in its parts. The first byte says which: h a header, t a trailer, r a row. */
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/parse.h"
#include "fuzz.h"
#include "keys/journal_segment.h"

static void
try_header(const char *text, size_t n)
{
	CLEANUP(str_release) struct str again = STR_INIT;
	struct journal_header header;
	struct err err = { 0 };
	size_t length = 0;

	if (journal_header_parse(text, n, &header, &length, &err) != 0) {
		REQUIRE(err.msg[0] != '\0');
		return;
	}
	REQUIRE(length <= n && header.segment >= 1 && header.key_seq >= 0 && header.root.epoch >= 1);
	REQUIRE(parse_is_uuid(header.instance) && parse_is_utc_time(header.made) && root_id_is_valid(&header.root));
	journal_header_format(&header, &again);
	REQUIRE(again.len == length && memcmp(again.s, text, length) == 0);
}

static void
try_trailer(const char *text, size_t n)
{
	CLEANUP(str_release) struct str again = STR_INIT;
	struct journal_trailer trailer;
	struct err err = { 0 };
	size_t length = 0, hashed = 0;

	if (journal_trailer_parse(text, n, &trailer, &length, &hashed, &err) != 0) {
		REQUIRE(err.msg[0] != '\0');
		return;
	}
	REQUIRE(length <= n && hashed < length && trailer.rows >= 0);
	journal_trailer_format_hashed(&trailer, &again);
	REQUIRE(again.len == hashed);
	journal_trailer_format_rest(&trailer, &again);
	REQUIRE(again.len == length && memcmp(again.s, text + n - length, length) == 0);
}

static void
try_row(const char *text, size_t n)
{
	CLEANUP(free_text) char *line = mem_copy_n(text, n);
	struct journal_row row;
	struct err err = { 0 };

	if (journal_row_parse(line, &row, &err) != 0) {
		REQUIRE(err.msg[0] != '\0');
		return;
	}
	if (row.kind == JOURNAL_PAGE) {
		REQUIRE(row.page.id >= 1 && row.page.parent >= 0 && row.page.slot >= 0 && row.page.slot < PAGE_SLOTS);
		REQUIRE(row.page.level >= 0 && row.page.epoch >= 1 && parse_is_utf8(row.page.tenant, strlen(row.page.tenant)));
		return;
	}
	if (row.kind == JOURNAL_GONE) {
		REQUIRE(row.gone.epoch >= 1 && row.gone.tenant[0] != '\0' && parse_is_utf8(row.gone.tenant, strlen(row.gone.tenant)));
		return;
	}
	if (row.kind != JOURNAL_LEAF) {
		REQUIRE(row.kind == JOURNAL_ARCHIVE || row.kind == JOURNAL_CERTIFICATE || row.kind == JOURNAL_SEQUENCE);
		return;
	}
	REQUIRE(row.leaf.id >= 1 && row.leaf.tenant[0] != '\0' && row.leaf.incarnation >= 1);
	if (row.leaf.shredded_epoch > 0)
		REQUIRE(row.leaf.name_hash != NULL && row.leaf.n_sealed_name == 0);
	else
		REQUIRE(row.leaf.page >= 1 && row.leaf.slot < PAGE_SLOTS && row.leaf.n_sealed_name <= LEAF_NAME_SEALED_MAX);
}

int
fuzz_journal(const uint8_t *data, size_t n)
{
	const char *text = (const char *)data + 1;

	if (n == 0)
		return 0;
	if (data[0] == 'h')
		try_header(text, n - 1);
	else if (data[0] == 't')
		try_trailer(text, n - 1);
	else if (data[0] == 'r')
		try_row(text, n - 1);
	return 0;
}
