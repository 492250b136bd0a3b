#include "keys/journal_segment.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "base/parse.h"

#define FORMAT "expunge-key-journal/v1"
#define DOMAIN "expunge/key-journal/v1"
#define JOURNAL_LEVEL_MAX INT64_C(64)

/* ---- header ------------------------------------------------------------------------------------- */

void
journal_header_format(const struct journal_header *header, struct str *ret)
{
	char previous[2 * SHA256_SIZE + 1];

	bytes_to_hex(header->previous, SHA256_SIZE, previous);
	str_addf(ret, FORMAT "\ninstance: %s\nsegment: %" PRId64 "\nkind: %s\nbase: %" PRId64 "\nprevious: %s\n", header->instance,
		header->segment, header->base ? "base" : "step", header->base_segment, previous);
	str_addf(ret, "key-seq: %" PRId64 "\nserial: %" PRId64 "\n", header->key_seq, header->serial);
	str_addf(ret, "epoch: %" PRId64 "\nattempt: %s\nnonce: %s\nmade: %s\n\n", header->root.epoch, header->root.attempt,
		header->nonce, header->made);
}

/* Takes "key: value\n" off the front; the value, NUL-terminated, in `ret`. */
static int
take_line(const char **text, const char *key, char *ret, size_t size)
{
	size_t n_key = strlen(key), n;

	if (strncmp(*text, key, n_key) != 0)
		return -1;
	n = strcspn(*text + n_key, "\n");
	if ((*text)[n_key + n] != '\n' || n >= size)
		return -1;
	(void)memcpy(ret, *text + n_key, n);
	ret[n] = '\0';
	*text += n_key + n + 1;
	return 0;
}

static bool
is_token(const char *text)
{
	return strlen(text) == 32 && strspn(text, "0123456789abcdef") == 32;
}

static int
parse_header(const char *text, struct journal_header *ret, const char **ret_end)
{
	char segment[24], kind[8], base[24], previous[2 * SHA256_SIZE + 1], seq[24], serial[24], epoch[24], first[1];

	if (take_line(&text, FORMAT, first, sizeof(first)) != 0 || take_line(&text, "instance: ", ret->instance, 37) != 0 ||
	    take_line(&text, "segment: ", segment, sizeof(segment)) != 0 || take_line(&text, "kind: ", kind, sizeof(kind)) != 0 ||
	    take_line(&text, "base: ", base, sizeof(base)) != 0 || take_line(&text, "previous: ", previous, sizeof(previous)) != 0 ||
	    take_line(&text, "key-seq: ", seq, sizeof(seq)) != 0 || take_line(&text, "serial: ", serial, sizeof(serial)) != 0 ||
	    take_line(&text, "epoch: ", epoch, sizeof(epoch)) != 0 || take_line(&text, "attempt: ", ret->root.attempt, 33) != 0 ||
	    take_line(&text, "nonce: ", ret->nonce, 33) != 0 || take_line(&text, "made: ", ret->made, 21) != 0 || *text != '\n')
		return -1;
	*ret_end = text + 1;
	ret->base = strcmp(kind, "base") == 0;
	return parse_is_uuid(ret->instance) && (ret->base || strcmp(kind, "step") == 0) && is_token(ret->root.attempt) &&
			is_token(ret->nonce) && parse_is_utc_time(ret->made) &&
			bytes_from_hex(previous, ret->previous, SHA256_SIZE) == 0 &&
			parse_int64(segment, 1, INT64_MAX, &ret->segment) == 0 && parse_int64(seq, 0, INT64_MAX, &ret->key_seq) == 0 &&
			parse_int64(base, 1, ret->segment, &ret->base_segment) == 0 && ret->base == (ret->base_segment == ret->segment) &&
			parse_int64(serial, 0, INT64_MAX, &ret->serial) == 0 && parse_int64(epoch, 1, INT64_MAX, &ret->root.epoch) == 0
		? 0 : -1;
}

int
journal_header_parse(const char *text, size_t n, struct journal_header *ret, size_t *ret_n, struct err *err)
{
	CLEANUP(free_text) char *copy = mem_copy_n(text, n < JOURNAL_HEADER_MAX ? n : JOURNAL_HEADER_MAX);
	CLEANUP(str_release) struct str again = STR_INIT;
	const char *end = NULL;

	*ret = (struct journal_header){ 0 };
	if (parse_header(copy, ret, &end) != 0)
		return err_set(err, ERR_FAILED, "it does not begin as a segment of a key journal");
	*ret_n = (size_t)(end - copy);
	/* one text for one header: upper-case digits and the like are another text */
	journal_header_format(ret, &again);
	if (again.len != *ret_n || memcmp(again.s, copy, again.len) != 0)
		return err_set(err, ERR_FAILED, "its header is not in the form of a key journal");
	return 0;
}

/* ---- trailer ------------------------------------------------------------------------------------ */

void
journal_signed_bytes(const struct journal_trailer *trailer, uint8_t ret[22 + 2 * SHA256_SIZE])
{
	(void)memcpy(ret, DOMAIN, 22);
	(void)memcpy(ret + 22, trailer->head, SHA256_SIZE);
	(void)memcpy(ret + 22 + SHA256_SIZE, trailer->hash, SHA256_SIZE);
}

void
journal_trailer_format_hashed(const struct journal_trailer *trailer, struct str *ret)
{
	char hex[2 * SHA256_SIZE + 1];

	bytes_to_hex(trailer->head, SHA256_SIZE, hex);
	str_addf(ret, "end %" PRId64 "\nhead %s\n", trailer->rows, hex);
}

void
journal_trailer_format_rest(const struct journal_trailer *trailer, struct str *ret)
{
	char hex[2 * SHA256_SIZE + 1];

	bytes_to_hex(trailer->hash, SHA256_SIZE, hex);
	str_addf(ret, "hash %s\nsignature ", hex);
	bytes_add_base64(ret, trailer->signature, ED25519_SIGNATURE_SIZE);
	str_add(ret, "\n");
}

/* Where the nth line from the end begins. */
static const char *
line_from_end(const char *text, size_t n, int nth)
{
	const char *at = text + n;

	for (int i = 0; i < nth; i++) {
		if (at == text || at[-1] != '\n')
			return NULL;
		for (at--; at > text && at[-1] != '\n'; at--)
			;
	}
	return at;
}

int
journal_trailer_parse(const char *text, size_t n, struct journal_trailer *ret, size_t *ret_n, size_t *ret_hashed,
	struct err *err)
{
	CLEANUP(free_text) char *copy = mem_copy_n(text, n);
	CLEANUP(str_release) struct str again = STR_INIT;
	const char *end = copy + n, *from = line_from_end(copy, n, 4), *at = from;
	char rows[24], head[2 * SHA256_SIZE + 1], hash[2 * SHA256_SIZE + 1], signature[96];

	*ret = (struct journal_trailer){ 0 };
	if (from == NULL || take_line(&at, "end ", rows, sizeof(rows)) != 0 || take_line(&at, "head ", head, sizeof(head)) != 0)
		return err_set(err, ERR_FAILED, "it is cut short: its last lines are not those of a key journal");
	*ret_hashed = (size_t)(at - from);
	if (take_line(&at, "hash ", hash, sizeof(hash)) != 0 || take_line(&at, "signature ", signature, sizeof(signature)) != 0 ||
	    at != end || parse_int64(rows, 0, INT64_MAX, &ret->rows) != 0 || bytes_from_hex(head, ret->head, SHA256_SIZE) != 0 ||
	    bytes_from_hex(hash, ret->hash, SHA256_SIZE) != 0 ||
	    bytes_from_base64(signature, strlen(signature), ret->signature, ED25519_SIGNATURE_SIZE) != ED25519_SIGNATURE_SIZE)
		return err_set(err, ERR_FAILED, "it is cut short: its last lines are not those of a key journal");
	*ret_n = (size_t)(end - from);
	journal_trailer_format_hashed(ret, &again);
	journal_trailer_format_rest(ret, &again);
	if (again.len != *ret_n || memcmp(again.s, from, again.len) != 0)
		return err_set(err, ERR_FAILED, "its last lines are not in the form of a key journal");
	return 0;
}

/* ---- rows --------------------------------------------------------------------------------------- */

#define FIELDS 13

/* Cuts a line at its blanks; how many fields there are, FIELDS + 1 for too many. */
static int
split(char *line, char *fields[FIELDS])
{
	int n = 0;

	for (char *at = line;; at++) {
		char *blank = strchr(at, ' ');

		if (n == FIELDS)
			return FIELDS + 1;
		fields[n++] = at;
		if (blank == NULL)
			return n;
		*blank = '\0';
		at = blank;
	}
}

/* A text in hexadecimal, "-" for an empty one, over itself. */
static int
decode_text(char *field)
{
	size_t n = strlen(field);

	if (strcmp(field, "-") == 0) {
		*field = '\0';
		return 0;
	}
	if (n == 0 || n % 2 != 0)
		return -1;
	for (size_t i = 0; i < n / 2; i++) {
		char pair[3] = { field[2 * i], field[2 * i + 1], '\0' };
		uint8_t byte;

		if (bytes_from_hex(pair, &byte, 1) != 0)
			return -1;
		field[i] = (char)byte;
	}
	field[n / 2] = '\0';
	return parse_is_utf8(field, n / 2) ? 0 : -1;
}

static int
small(const char *text, int64_t min, int64_t max, int *ret)
{
	int64_t n;

	if (parse_int64(text, min, max, &n) != 0)
		return -1;
	*ret = (int)n;
	return 0;
}

/* page ID TENANT PARENT SLOT LEVEL EPOCH KCV LIVE SEALED */
static int
parse_page(char *fields[FIELDS], struct tree_page *ret)
{
	int64_t live;

	*ret = (struct tree_page){ .tenant = fields[2] };
	if (parse_int64(fields[1], 1, INT64_MAX, &ret->id) != 0 || decode_text(fields[2]) != 0 ||
	    parse_int64(fields[3], 0, INT64_MAX, &ret->parent) != 0 || small(fields[4], 0, PAGE_SLOTS - 1, &ret->slot) != 0 ||
	    small(fields[5], 0, JOURNAL_LEVEL_MAX, &ret->level) != 0 || parse_int64(fields[6], 1, INT64_MAX, &ret->epoch) != 0 ||
	    bytes_from_hex(fields[7], ret->kcv, KCV_SIZE) != 0 || parse_int64(fields[8], INT64_MIN, INT64_MAX, &live) != 0 ||
	    bytes_from_base64(fields[9], strlen(fields[9]), ret->sealed, PAGE_SEALED_SIZE) != PAGE_SEALED_SIZE)
		return -1;
	ret->live = (uint64_t)live;
	return 0;
}

/* leaf ID TENANT KIND INCARNATION KCV MADE PAGE SLOT NAME, dead ID TENANT KIND INCARNATION KCV MADE SHREDDED HASH */
static int
parse_leaf(char *fields[FIELDS], bool dead, struct journal_leaf *ret)
{
	long n;

	*ret = (struct journal_leaf){ .tenant = fields[2], .kind = fields[3] };
	if (parse_int64(fields[1], 1, INT64_MAX, &ret->id) != 0 || decode_text(fields[2]) != 0 || *fields[2] == '\0' ||
	    small(fields[4], 1, INT32_MAX, &ret->incarnation) != 0 || bytes_from_hex(fields[5], ret->kcv, KCV_SIZE) != 0 ||
	    parse_int64(fields[6], 1, INT64_MAX, &ret->made_epoch) != 0)
		return -1;
	if (dead) {
		ret->name_hash = fields[8];
		return parse_int64(fields[7], 1, INT64_MAX, &ret->shredded_epoch) == 0 && decode_text(fields[8]) == 0 ? 0 : -1;
	}
	n = bytes_from_base64(fields[9], strlen(fields[9]), ret->sealed_name, sizeof(ret->sealed_name));
	ret->n_sealed_name = n < 0 ? 0 : (size_t)n;
	return n > 0 && parse_int64(fields[7], 1, INT64_MAX, &ret->page) == 0 && small(fields[8], 0, PAGE_SLOTS - 1, &ret->slot) == 0
		? 0 : -1;
}

/* gone TENANT EPOCH */
static int
parse_gone(char *fields[FIELDS], struct journal_gone *ret)
{
	*ret = (struct journal_gone){ .tenant = fields[1] };
	return decode_text(fields[1]) == 0 && *fields[1] != '\0' ? parse_int64(fields[2], 1, INT64_MAX, &ret->epoch) : -1;
}

/* What the database alone takes apart: how many fields each has. */
static int
parse_other(char *fields[FIELDS], int n, enum journal_row_kind *ret)
{
	static const struct { const char *name; int n; enum journal_row_kind kind; } others[] = {
		{ "archive", 14, JOURNAL_ARCHIVE }, { "certificate", 12, JOURNAL_CERTIFICATE }, { "sequence", 4, JOURNAL_SEQUENCE },
	};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (n == others[i].n && strcmp(fields[0], others[i].name) == 0) {
			*ret = others[i].kind;
			return 0;
		}
	return -1;
}

int
journal_row_parse(char *line, struct journal_row *ret, struct err *err)
{
	char *fields[FIELDS];
	int n = split(line, fields), failed = -1;

	if (n == 10 && strcmp(fields[0], "page") == 0) {
		ret->kind = JOURNAL_PAGE;
		failed = parse_page(fields, &ret->page);
	} else if ((n == 10 && strcmp(fields[0], "leaf") == 0) || (n == 9 && strcmp(fields[0], "dead") == 0)) {
		ret->kind = JOURNAL_LEAF;
		failed = parse_leaf(fields, n == 9, &ret->leaf);
	} else if (n == 3 && strcmp(fields[0], "gone") == 0) {
		ret->kind = JOURNAL_GONE;
		failed = parse_gone(fields, &ret->gone);
	} else {
		failed = parse_other(fields, n, &ret->kind);
	}
	return failed == 0 ? 0 : err_set(err, ERR_FAILED, "a row is not in the form of a key journal");
}
