/* The closing part of the index: tables with their columns, other files, and where the parts of the index are. */
#include <stdlib.h>
#include <string.h>

#include "archive/format.h"
#include "base/bytes.h"
#include "base/mem.h"
#include "base/parse.h"

void
archive_table_release(struct archive_table *table)
{
	for (size_t i = 0; i < table->n_columns; i++) {
		free(table->columns[i].name);
		free(table->columns[i].type);
	}
	free(table->columns);
	free(table->name);
	*table = (struct archive_table){ 0 };
}

void
format_contents_release(struct format_contents *contents)
{
	for (size_t i = 0; i < contents->n_tables; i++)
		archive_table_release(&contents->tables[i]);
	free(contents->tables);
	free(contents->files);
	free(contents->parts);
	*contents = (struct format_contents)FORMAT_CONTENTS_INIT;
}

static bool
is_name(const char *text)
{
	size_t n = strlen(text);

	return n >= 1 && n <= ARCHIVE_NAME_MAX && parse_is_utf8(text, n);
}

bool
format_table_is_valid(const struct archive_table *table)
{
	bool valid = is_name(table->name) && table->n_columns <= ARCHIVE_COLUMNS_MAX;

	for (size_t i = 0; valid && i < table->n_columns; i++)
		valid = is_name(table->columns[i].name) && is_name(table->columns[i].type);
	return valid;
}

size_t
format_table_size(const struct archive_table *table)
{
	size_t n = 4 + strlen(table->name) + 4 + 8 + 8 + 4;

	for (size_t i = 0; i < table->n_columns; i++)
		n += 4 + strlen(table->columns[i].name) + 4 + strlen(table->columns[i].type);
	return n;
}

static void
add_text(struct str *ret, const char *text)
{
	format_add_field(ret, text, strlen(text));
}

void
format_contents_encode(const struct format_contents *contents, struct str *ret)
{
	str_clear(ret);
	format_add_u32(ret, (uint32_t)contents->n_tables);
	for (size_t i = 0; i < contents->n_tables; i++) {
		const struct archive_table *t = &contents->tables[i];

		add_text(ret, t->name);
		format_add_u32(ret, t->one_owner ? 1 : 0);
		format_add_u64(ret, t->rows);
		format_add_u64(ret, t->text);
		format_add_u32(ret, (uint32_t)t->n_columns);
		for (size_t k = 0; k < t->n_columns; k++) {
			add_text(ret, t->columns[k].name);
			add_text(ret, t->columns[k].type);
		}
	}
	format_add_u32(ret, (uint32_t)contents->n_files);
	for (size_t i = 0; i < contents->n_files; i++) {
		str_add_n(ret, (const char *)contents->files[i].id, ARCHIVE_ID_SIZE);
		str_add_n(ret, (const char *)contents->files[i].hash, SHA256_SIZE);
		format_add_u64(ret, contents->files[i].size);
	}
	format_add_u64(ret, contents->frames);
	for (size_t i = 0; i < contents->n_parts; i++)
		format_add_u64(ret, contents->parts[i]);
}

/* ---- taken apart --------------------------------------------------------------------------- */

struct cursor {
	const uint8_t *at;
	size_t left;
	bool bad; /* more was wanted than there is, or a field is not what it must be */
};

static const uint8_t *
take(struct cursor *c, size_t n)
{
	static const uint8_t zeros[ARCHIVE_ID_SIZE] = { 0 };
	const uint8_t *at = c->at;

	if (c->bad || n > c->left) {
		c->bad = true;
		return zeros;
	}
	c->at += n;
	c->left -= n;
	return at;
}

static uint64_t
take_u64(struct cursor *c)
{
	return bytes_get_u64(take(c, 8));
}

/* How many entries follow: no more than max, and no more than bytes are left for, so that a lie costs no memory. */
static size_t
take_count(struct cursor *c, size_t max, size_t smallest)
{
	uint32_t n = bytes_get_u32(take(c, 4));

	if (n > max || n > c->left / smallest) {
		c->bad = true;
		return 0;
	}
	return n;
}

static char *
take_name(struct cursor *c)
{
	size_t n = take_count(c, ARCHIVE_NAME_MAX, 1);
	const uint8_t *bytes = take(c, n);

	if (n == 0 || c->bad || !parse_is_utf8((const char *)bytes, n)) {
		c->bad = true;
		return NULL;
	}
	return mem_copy_n((const char *)bytes, n);
}

static bool
take_flag(struct cursor *c)
{
	uint32_t flag = bytes_get_u32(take(c, 4));

	c->bad = c->bad || flag > 1;
	return flag == 1;
}

static void
take_table(struct cursor *c, struct archive_table *table)
{
	table->name = take_name(c);
	table->one_owner = take_flag(c);
	table->rows = take_u64(c);
	table->text = take_u64(c);
	table->n_columns = take_count(c, ARCHIVE_COLUMNS_MAX, 10);
	table->columns = mem_zero(table->n_columns, sizeof(*table->columns));
	for (size_t i = 0; i < table->n_columns && !c->bad; i++) {
		table->columns[i].name = take_name(c);
		table->columns[i].type = take_name(c);
	}
}

static void
take_contents(struct cursor *c, struct format_contents *ret)
{
	ret->n_tables = take_count(c, ARCHIVE_TABLES_MAX, 29);
	ret->tables = mem_zero(ret->n_tables, sizeof(*ret->tables));
	for (size_t i = 0; i < ret->n_tables && !c->bad; i++)
		take_table(c, &ret->tables[i]);
	ret->n_files = take_count(c, ARCHIVE_FILES_MAX, ARCHIVE_ID_SIZE + SHA256_SIZE + 8);
	ret->files = mem_zero(ret->n_files, sizeof(*ret->files));
	for (size_t i = 0; i < ret->n_files && !c->bad; i++) {
		(void)memcpy(ret->files[i].id, take(c, ARCHIVE_ID_SIZE), ARCHIVE_ID_SIZE);
		(void)memcpy(ret->files[i].hash, take(c, SHA256_SIZE), SHA256_SIZE);
		ret->files[i].size = take_u64(c);
	}
	ret->frames = take_u64(c);
	if (ret->frames > FORMAT_FRAMES_MAX)
		c->bad = true;
	ret->n_parts = (size_t)((ret->frames + FORMAT_PART_RECORDS - 1) / FORMAT_PART_RECORDS);
	if (c->bad || ret->n_parts * 8 != c->left) {
		c->bad = true;
		return;
	}
	ret->parts = mem_zero(ret->n_parts, sizeof(*ret->parts));
	for (size_t i = 0; i < ret->n_parts; i++)
		ret->parts[i] = take_u64(c);
}

int
format_contents_decode(const uint8_t *bytes, size_t n, struct format_contents *ret)
{
	struct cursor c = { bytes, n, false };

	*ret = (struct format_contents)FORMAT_CONTENTS_INIT;
	take_contents(&c, ret);
	if (!c.bad)
		return 0;
	format_contents_release(ret);
	return -1;
}
