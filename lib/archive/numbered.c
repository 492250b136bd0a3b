#include "archive/numbered.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/secret.h"

struct numbering {
	const struct leaf_keys *leaves;
	numbered_row *row;
	void *ctx;
	int64_t frame;  /* -1: none yet */
	int64_t *next;  /* row of each table in this frame */
	size_t n_tables;
	struct str part; /* of a row that goes on in the next call */
};

static int
give_key(void *ctx, int64_t leaf, uint8_t ret_key[ARCHIVE_KEY_SIZE], struct err *err)
{
	const struct numbering *numbering = ctx;

	return leaf_keys_give((void *)(uintptr_t)numbering->leaves, leaf, ret_key, err);
}

static int
hand_over(struct numbering *numbering, uint32_t table, const char *row, size_t n, struct err *err)
{
	return numbering->row(numbering->ctx, table, numbering->frame << NUMBERED_FRAME_BITS | numbering->next[table]++, row, n, err);
}

static int
take_text(void *ctx, const struct archive_frame *frame, uint32_t table, const void *text, size_t n, struct err *err)
{
	struct numbering *numbering = ctx;
	const char *at = text, *end = at + n;

	if (numbering->frame != (int64_t)frame->number) {
		numbering->frame = (int64_t)frame->number;
		(void)memset(numbering->next, 0, numbering->n_tables * sizeof(*numbering->next));
	}
	while (at < end) {
		const char *line_end = memchr(at, '\n', (size_t)(end - at));
		size_t length = line_end == NULL ? (size_t)(end - at) : (size_t)(line_end + 1 - at);
		int failed = 0;

		if (line_end == NULL || numbering->part.len > 0)
			str_add_n(&numbering->part, at, length);
		if (line_end != NULL && numbering->part.len > 0) {
			failed = hand_over(numbering, table, numbering->part.s, numbering->part.len, err);
			secret_wipe(numbering->part.s, numbering->part.len);
			str_clear(&numbering->part);
		} else if (line_end != NULL)
			failed = hand_over(numbering, table, at, length, err);
		if (failed != 0)
			return -1;
		at += length;
	}
	return 0;
}

int
numbered_read(struct archive *archive, uint32_t table, const struct leaf_keys *leaves, numbered_row *row, void *ctx,
	struct archive_tally *ret, struct err *err)
{
	struct numbering numbering = { .leaves = leaves, .row = row, .ctx = ctx, .frame = -1, .n_tables = archive_tables(archive),
		.part = STR_INIT };
	const struct archive_reading reading = { .key = give_key, .text = take_text, .ctx = &numbering };
	enum archive_verdict verdict;
	int failed;

	numbering.next = mem_zero(numbering.n_tables + 1, sizeof(*numbering.next));
	*ret = (struct archive_tally){ 0 };
	failed = archive_read(archive, table, &reading, ret, &verdict, err);
	free(numbering.next);
	str_release(&numbering.part);
	return failed;
}
