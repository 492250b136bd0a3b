#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/parse.h"
#include "keys/journal_private.h"
#include "sys/file.h"
#include "sys/lines.h"

#define ENDING ".journal"

char *
journal_path(const struct journal *journal, int64_t segment)
{
	return mem_printf("%s/keys/%s/%010" PRId64 ENDING, journal->directory, journal->instance, segment);
}

char *
journal_directory(const struct journal *journal)
{
	return mem_printf("%s/keys/%s", journal->directory, journal->instance);
}

static void
close_directory(DIR **directory)
{
	if (*directory != NULL)
		(void)closedir(*directory);
}

static int
say_unmarked(const char *path, struct err *err)
{
	(void)err_set(err, ERR_FAILED, "there is no %s", path);
	return err_hint(err, "is its disk mounted? A destination that is new is made known by expunge keys mark");
}

int
journal_marked(const struct journal *journal, struct err *err)
{
	CLEANUP(free_text) char *path = journal_directory(journal);
	struct stat st;

	if (stat(path, &st) == 0)
		return 0;
	return errno == ENOENT ? say_unmarked(path, err) : err_sys(err, "looking at %s", path);
}

/* The highest number of a segment; 0 if there is none. */
static int
newest(const struct journal *journal, int64_t *ret, struct err *err)
{
	CLEANUP(free_text) char *path = journal_directory(journal);
	CLEANUP(close_directory) DIR *directory = opendir(path);

	*ret = 0;
	if (directory == NULL)
		return errno == ENOENT ? say_unmarked(path, err) : err_sys(err, "opening directory %s", path);
	for (;;) {
		const struct dirent *entry;
		const char *name, *digits;
		char number[24];
		int64_t n;

		errno = 0;
		entry = readdir(directory);
		if (entry == NULL)
			return errno == 0 ? 0 : err_sys(err, "reading directory %s", path);
		name = entry->d_name;
		if (strspn(name, "0123456789") < 10 || strcmp(name + strspn(name, "0123456789"), ENDING) != 0)
			continue;
		(void)snprintf(number, sizeof(number), "%.*s", (int)strspn(name, "0123456789"), name);
		digits = number + strspn(number, "0");
		if (parse_int64(digits, 1, INT64_MAX, &n) == 0 && n > *ret)
			*ret = n;
	}
}

/* Whether header and trailer are those of this journal and signed; the rows between them are another matter. */
static int
check_signed(const struct journal *journal, int64_t segment, const char *header_text, size_t n_header,
	const struct journal_head *head, struct err *err)
{
	uint8_t hash[SHA256_SIZE], bytes[22 + 2 * SHA256_SIZE];

	if (crypt_sha256(header_text, n_header, hash, err) != 0)
		return -1;
	journal_signed_bytes(&head->trailer, bytes);
	if (memcmp(hash, head->trailer.head, SHA256_SIZE) != 0 ||
	    crypt_verify(journal->public, bytes, sizeof(bytes), head->trailer.signature, err) != 0) {
		(void)err_set(err, ERR_FAILED, "its signature is not good: it was altered, or signed by another key");
		return -1;
	}
	if (strcmp(head->header.instance, journal->instance) != 0 || head->header.segment != segment)
		return err_set(err, ERR_FAILED, "it is segment %" PRId64 " of instance %s", head->header.segment, head->header.instance);
	return 0;
}

int
journal_read_head(const struct journal *journal, int64_t segment, const char *path, struct journal_head *ret, struct err *err)
{
	CLEANUP(free_text) char *tail = NULL;
	char start[JOURNAL_HEADER_MAX + 1];
	size_t n_tail = 0, n_header, n_trailer, n_hashed;
	off_t size;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return err_sys(err, "opening");
	n = file_read_all(fd, start, JOURNAL_HEADER_MAX);
	(void)close(fd);
	if (n < 0)
		return err_sys(err, "reading");
	start[n] = '\0';
	if (journal_header_parse(start, (size_t)n, &ret->header, &n_header, err) != 0 ||
	    file_read_tail(path, JOURNAL_TRAILER_MAX, &tail, &n_tail, &size, err) != 0 ||
	    journal_trailer_parse(tail, n_tail, &ret->trailer, &n_trailer, &n_hashed, err) != 0)
		return -1;
	return check_signed(journal, segment, start, n_header, ret, err);
}

/* What a person does about a segment that is lost or not whole. */
static int
say_remedy(const struct journal *journal, const char *path, struct err *err)
{
	(void)err_prefix(err, "key journal %s", path);
	return err_hint(err, "bring the file back from a copy; if there is none, and the database was not restored, move all segments in "
		"%s/keys/%s away: the next run writes a whole journal", journal->directory, journal->instance);
}

static int
read_signed(const struct journal *journal, int64_t segment, struct journal_head *ret, struct err *err)
{
	CLEANUP(free_text) char *path = journal_path(journal, segment);

	return journal_read_head(journal, segment, path, ret, err) == 0 ? 0 : say_remedy(journal, path, err);
}

int
journal_head(const struct journal *journal, struct journal_head *ret, bool *ret_found, struct err *err)
{
	int64_t segment;

	*ret = (struct journal_head){ 0 };
	if (newest(journal, &segment, err) != 0)
		return -1;
	*ret_found = segment > 0;
	return segment == 0 ? 0 : read_signed(journal, segment, ret, err);
}

/* ---- every byte --------------------------------------------------------------------------------- */

/* Adds a line, as it stood in the file, to what is hashed. */
static int
hash_line(struct digest *digest, const char *line, size_t n, struct err *err)
{
	return crypt_digest_add(digest, line, n, err) != 0 ? -1 : crypt_digest_add(digest, "\n", 1, err);
}

static int
read_rows(struct lines *lines, struct digest *digest, int (*each)(void *ctx, struct journal_row *row, struct err *err),
	void *ctx, const struct journal_head *head, struct err *err)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	bool in_rows = false, ended;
	struct journal_row row;
	int64_t n_rows = 0;
	char *line;
	size_t n;

	for (;;) {
		if (lines_next(lines, &line, &n, &ended, err) != 0)
			return -1;
		if (line == NULL || !ended)
			return err_set(err, ERR_FAILED, "it is cut short");
		if (hash_line(digest, line, n, err) != 0)
			return -1;
		if (in_rows && strncmp(line, "end ", 4) == 0)
			break;
		if (in_rows) {
			str_clear(&text);
			str_add_n(&text, line, n);
			row.text = str_cstr(&text);
			if (strlen(line) != n || journal_row_parse(line, &row, err) != 0)
				return err_set(err, ERR_FAILED, "row %" PRId64 " is not in the form of a key journal", n_rows + 1);
			if (each != NULL && each(ctx, &row, err) != 0)
				return -1;
			n_rows++;
		}
		in_rows = in_rows || n == 0;
	}
	if (n_rows != head->trailer.rows)
		return err_set(err, ERR_FAILED, "it has %" PRId64 " rows, and says %" PRId64, n_rows, head->trailer.rows);
	/* the line "head", the last that the hash covers */
	if (lines_next(lines, &line, &n, &ended, err) != 0)
		return -1;
	return line == NULL ? err_set(err, ERR_FAILED, "it is cut short") : hash_line(digest, line, n, err);
}

static void
free_digest(struct digest **digest)
{
	crypt_digest_free(*digest);
}

static int
read_segment(const struct journal *journal, int64_t segment, const char *path,
	int (*each)(void *ctx, struct journal_row *row, struct err *err), void *ctx, struct journal_head *ret, struct err *err)
{
	CLEANUP(lines_closep) struct lines *lines = NULL;
	CLEANUP(free_digest) struct digest *digest = NULL;
	uint8_t hash[SHA256_SIZE];

	if (journal_read_head(journal, segment, path, ret, err) != 0 || lines_open(&lines, path, JOURNAL_LINE_MAX, err) != 0 ||
	    crypt_digest_begin(&digest, err) != 0 || read_rows(lines, digest, each, ctx, ret, err) != 0 ||
	    crypt_digest_end(digest, hash, err) != 0)
		return -1;
	return memcmp(hash, ret->trailer.hash, SHA256_SIZE) == 0 ? 0 : err_set(err, ERR_FAILED, "it was altered");
}

int
journal_read(const struct journal *journal, int64_t segment, int (*each)(void *ctx, struct journal_row *row, struct err *err),
	void *ctx, struct journal_head *ret, struct err *err)
{
	CLEANUP(free_text) char *path = journal_path(journal, segment);

	*ret = (struct journal_head){ 0 };
	if (read_segment(journal, segment, path, each, ctx, ret, err) == 0)
		return 0;
	/* else it may be the caller whom a row does not please */
	return each == NULL ? say_remedy(journal, path, err) : err_prefix(err, "key journal %s", path);
}

/* A segment follows the one before: its hash is in it, and nothing goes back. */
static int
check_follows(const struct journal *journal, const struct journal_head *before, const struct journal_head *after,
	struct err *err)
{
	if (memcmp(before->trailer.hash, after->header.previous, SHA256_SIZE) != 0)
		return err_set(err, ERR_FAILED, "key journal in %s: segment %" PRId64 " does not follow the one before it",
			journal->directory, after->header.segment);
	if (before->header.key_seq > after->header.key_seq || before->header.root.epoch > after->header.root.epoch)
		return err_set(err, ERR_FAILED, "key journal in %s: segment %" PRId64 " is of an earlier time than the one before it",
			journal->directory, after->header.segment);
	return 0;
}

static int
verify(const struct journal *journal, bool rows, int64_t *ret_base, int64_t *ret_head, struct err *err)
{
	struct journal_head before = { 0 }, head;
	bool found;

	*ret_base = *ret_head = 0;
	if (journal_head(journal, &head, &found, err) != 0)
		return -1;
	if (!found)
		return err_set(err, ERR_FAILED, "there is no key journal in %s", journal->directory);
	*ret_base = head.header.base_segment;
	*ret_head = head.header.segment;
	for (int64_t n = *ret_base; n <= *ret_head; n++) {
		if ((rows ? journal_read(journal, n, NULL, NULL, &head, err) : read_signed(journal, n, &head, err)) != 0)
			return -1;
		if (head.header.base != (n == *ret_base))
			return err_set(err, ERR_FAILED, "key journal in %s: segment %" PRId64 " is not of the base %" PRId64,
				journal->directory, n, *ret_base);
		if (n > *ret_base && check_follows(journal, &before, &head, err) != 0)
			return -1;
		before = head;
	}
	return 0;
}

int
journal_verify(const struct journal *journal, int64_t *ret_base, int64_t *ret_head, struct err *err)
{
	return verify(journal, true, ret_base, ret_head, err);
}

int
journal_chain(const struct journal *journal, int64_t *ret_base, int64_t *ret_head, struct err *err)
{
	return verify(journal, false, ret_base, ret_head, err);
}

/* ---- barrier ------------------------------------------------------------------------------------ */

/* A key in a page, by the row of its leaf or page. */
struct child {
	int64_t id, page;
	size_t order; /* in which it was read: from the newest segment back */
	int slot;
	bool is_page, lives;
	uint8_t kcv[KCV_SIZE];
};

struct barrier {
	struct tree tree;
	const struct root_id *root;
	struct child *children;
	size_t n;
	int64_t *wanted; /* pages that are still missing above those that are there, in order */
	size_t n_wanted;
};

static int
take_row(void *ctx, struct journal_row *row, struct err *err)
{
	struct barrier *barrier = ctx;
	bool is_page = row->kind == JOURNAL_PAGE;
	struct child *child;

	(void)err;
	if (!is_page && row->kind != JOURNAL_LEAF)
		return 0;
	child = MEM_PUSH(barrier->children, barrier->n);
	if (is_page && row->page.epoch == barrier->root->epoch)
		(void)tree_load(&barrier->tree, &row->page);
	*child = (struct child){ .id = is_page ? row->page.id : row->leaf.id, .page = is_page ? row->page.parent : row->leaf.page,
		.order = barrier->n, .slot = is_page ? row->page.slot : row->leaf.slot, .is_page = is_page,
		.lives = is_page ? row->page.parent != 0 : row->leaf.shredded_epoch == 0 };
	(void)memcpy(child->kcv, is_page ? row->page.kcv : row->leaf.kcv, KCV_SIZE);
	return 0;
}

static int
by_id(const void *a, const void *b)
{
	const struct child *one = a, *other = b;

	if (one->is_page != other->is_page)
		return one->is_page ? 1 : -1;
	if (one->id != other->id)
		return one->id < other->id ? -1 : 1;
	return one->order < other->order ? -1 : 1;
}

/* Of each the newest row only, if it is one that must be there. */
static void
keep_newest(struct barrier *barrier)
{
	size_t kept = 0;
	int64_t id = 0;
	bool is_page = false;

	if (barrier->n > 0)
		qsort(barrier->children, barrier->n, sizeof(*barrier->children), by_id);
	for (size_t i = 0; i < barrier->n; i++) {
		const struct child child = barrier->children[i];

		if (child.lives && (child.id != id || child.is_page != is_page))
			barrier->children[kept++] = child;
		id = child.id;
		is_page = child.is_page;
	}
	barrier->n = kept;
}

/* Every segment of this root, from the newest back: the first of them has all pages that the change has sealed. */
static int
read_epoch(const struct journal *journal, int64_t newest_segment, struct barrier *barrier, struct err *err)
{
	struct journal_head head, after = { 0 };

	for (int64_t segment = newest_segment; segment > 0; segment--) {
		CLEANUP(free_text) char *path = journal_path(journal, segment);

		if (journal_read_head(journal, segment, path, &head, err) != 0)
			return err_prefix(err, "key journal %s", path);
		if (segment < newest_segment && check_follows(journal, &head, &after, err) != 0)
			return -1;
		if (!root_id_equal(&head.header.root, barrier->root))
			return segment < newest_segment ? 0
				: err_set(err, ERR_FAILED, "key journal in %s: its newest segment is of another root", journal->directory);
		if (journal_read(journal, segment, take_row, barrier, &head, err) != 0)
			return -1;
		if (head.header.base)
			return 0;
		after = head;
	}
	return 0;
}

static int
by_number(const void *a, const void *b)
{
	int64_t one = *(const int64_t *)a, other = *(const int64_t *)b;

	return one < other ? -1 : one > other;
}

static int
take_wanted(void *ctx, struct journal_row *row, struct err *err)
{
	struct barrier *barrier = ctx;

	(void)err;
	if (row->kind == JOURNAL_PAGE &&
	    bsearch(&row->page.id, barrier->wanted, barrier->n_wanted, sizeof(*barrier->wanted), by_number) != NULL)
		(void)tree_load(&barrier->tree, &row->page);
	return 0;
}

static void
find_wanted(struct barrier *barrier)
{
	barrier->n_wanted = 0;
	for (size_t i = 0; i < barrier->tree.n; i++)
		if (barrier->tree.pages[i]->parent != 0 && tree_find(&barrier->tree, barrier->tree.pages[i]->parent) == NULL)
			*MEM_PUSH(barrier->wanted, barrier->n_wanted) = barrier->tree.pages[i]->parent;
	if (barrier->n_wanted > 0)
		qsort(barrier->wanted, barrier->n_wanted, sizeof(*barrier->wanted), by_number);
}

/* A page that somebody has sealed since may hang on one that the change has left alone: level by level from the segments
 * before, of each page its newest row. */
static int
read_ancestors(const struct journal *journal, int64_t newest_segment, struct barrier *barrier, struct err *err)
{
	struct journal_head head;
	size_t n;

	find_wanted(barrier);
	do {
		n = barrier->tree.n;
		for (int64_t segment = newest_segment; segment > 0 && barrier->n_wanted > 0; segment--) {
			if (journal_read(journal, segment, take_wanted, barrier, &head, err) != 0)
				return -1;
			if (head.header.base)
				break;
		}
		find_wanted(barrier);
	} while (barrier->n_wanted > 0 && barrier->tree.n > n);
	return 0;
}

static int
check_children(struct barrier *barrier, struct err *err)
{
	for (size_t i = 0; i < barrier->n; i++) {
		const struct tree_slot at = { barrier->children[i].page, barrier->children[i].slot };
		uint8_t key[PAGE_KEY_SIZE], kcv[KCV_SIZE];
		int failed;

		if (tree_find(&barrier->tree, at.page) == NULL)
			continue;
		failed = tree_key(&barrier->tree, &at, key, err) != 0 || kcv_of(key, kcv, err) != 0;
		secret_wipe(key, sizeof(key));
		if (failed)
			return -1;
		if (!secret_equal(kcv, barrier->children[i].kcv, KCV_SIZE))
			return err_set(err, ERR_FAILED, "key page %" PRId64 ", slot %d holds another key than its child's", at.page, at.slot);
	}
	return 0;
}

int
journal_barrier(const struct journal *journal, const struct root_id *root, const struct secret *key, struct err *err)
{
	struct barrier barrier = { .root = root };
	int64_t segment;
	bool failed;

	if (newest(journal, &segment, err) != 0)
		return -1;
	if (segment == 0)
		return err_set(err, ERR_FAILED, "there is no key journal in %s", journal->directory);
	tree_init(&barrier.tree, journal->instance, root->epoch, key->bytes);
	failed = read_epoch(journal, segment, &barrier, err) != 0 || read_ancestors(journal, segment, &barrier, err) != 0;
	for (size_t i = 0; !failed && i < barrier.tree.n; i++)
		failed = tree_open(&barrier.tree, barrier.tree.pages[i], err) != 0;
	keep_newest(&barrier);
	if (!failed)
		failed = check_children(&barrier, err) != 0;
	tree_release(&barrier.tree);
	free(barrier.children);
	free(barrier.wanted);
	return failed ? -1 : 0;
}
