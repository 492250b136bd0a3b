#include "archive/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "archive/fill.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "base/parse.h"
#include "base/secret.h"
#include "sys/beneath.h"
#include "sys/file.h"

#define ROW_MAX (2 * FILL_PIECE + 2 * BENEATH_PATH_MAX + 200)

/* What is known on the way. */
struct unpack {
	const struct leaf_keys *leaves;
	const char *directory;
	char *row; /* one that has begun and not ended */
	size_t n_row;
	uint8_t *bytes;
	int64_t leaf; /* whose file is open */
	char *kind, *path;
	struct beneath *beneath; /* of that kind */
	int fd;
	int64_t at; /* where its next piece begins */
	struct unpack_result *result;
};

static void
close_file(struct unpack *u)
{
	if (u->fd >= 0)
		(void)close(u->fd);
	u->fd = -1;
	free(u->path);
	u->path = NULL;
}

static void
release(struct unpack *u)
{
	close_file(u);
	beneath_close(u->beneath);
	free(u->kind);
	if (u->row != NULL)
		secret_wipe(u->row, ROW_MAX);
	if (u->bytes != NULL)
		secret_wipe(u->bytes, FILL_PIECE);
	free(u->row);
	free(u->bytes);
}

static int
malformed(struct err *err)
{
	return err_set(err, ERR_FAILED, "the archive holds a malformed piece of a file");
}

int
unpack_prepare(const char *directory, struct unpack_place *ret, struct err *err)
{
	const struct dirent *entry;
	bool empty = true;

	ret->made_here = !file_exists(directory);
	if (file_make_directory(directory, 0700, err) != 0)
		return -1;
	ret->there = opendir(directory);
	if (ret->there == NULL)
		return err_sys(err, "opening directory %s", directory);
	/* flock(2), whose header has the name of one of ours; a file system that has no locks has no other answer */
	if (syscall(SYS_flock, dirfd(ret->there), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
		(void)err_set(err, ERR_LOCKED, "another restore writes to %s", directory);
		return err_hint(err, "name a directory of its own with --documents: whichever of them failed would take the other's files away");
	}
	while (empty && (entry = readdir(ret->there)) != NULL)
		empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
	if (empty)
		return 0;
	(void)err_set(err, ERR_REFUSED, "%s is not empty", directory);
	return err_hint(err, "name a new directory with --documents: files there could not be told from those of the archive");
}

void
unpack_release(struct unpack_place *place)
{
	if (place->there != NULL)
		(void)closedir(place->there);
	*place = (struct unpack_place){ 0 };
}

/* ---- one row ------------------------------------------------------------------------------------ */

/* Takes back what COPY text escapes, in place; a path that is fit has nothing escaped but backslashes. */
static bool
unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from != '\0'; from++) {
		if (*from == '\\' && *++from != '\\')
			return false;
		*to++ = *from;
	}
	*to = '\0';
	return true;
}

/* The directory of the kind that is open, or of another one. */
static int
enter_kind(struct unpack *u, const char *kind, struct err *err)
{
	CLEANUP(free_text) char *below = file_join(u->directory, kind);

	if (u->kind != NULL && strcmp(u->kind, kind) == 0)
		return 0;
	beneath_close(u->beneath);
	u->beneath = NULL;
	free(u->kind);
	u->kind = NULL;
	if (file_make_directory(below, 0700, err) != 0 || beneath_open(&u->beneath, below, err) != 0)
		return -1;
	u->kind = mem_copy(kind);
	return 0;
}

/* The first piece makes the file, empties one that another owner's copy has made; each further one must be the next. */
static int
enter_file(struct unpack *u, int64_t leaf, const char *kind, const char *path, int64_t start, struct err *err)
{
	bool is_new;

	if (start != 0)
		return u->fd >= 0 && u->at == start && u->leaf == leaf && strcmp(u->kind, kind) == 0 && strcmp(u->path, path) == 0
			? 0 : malformed(err);
	close_file(u);
	if (enter_kind(u, kind, err) != 0 || beneath_create(u->beneath, path, &u->fd, &is_new, err) != 0)
		return -1;
	u->path = mem_copy(path);
	u->leaf = leaf;
	u->at = 0;
	u->result->files += is_new;
	return 0;
}

static int
take_piece(struct unpack *u, int64_t leaf, const char *kind, const char *path, const char *start_text, const char *data, struct err *err)
{
	size_t n = strlen(data);
	int64_t start;

	if (!parse_is_kind(kind) || !beneath_is_fit(path))
		return malformed(err);
	if (strcmp(data, "\\N") == 0 && strcmp(start_text, "\\N") == 0) {
		u->result->missing++;
		return 0;
	}
	if (parse_int64(start_text, 0, INT64_MAX - FILL_PIECE, &start) != 0 || strncmp(data, "\\\\x", 3) != 0 || (n - 3) % 2 != 0 ||
	    (n - 3) / 2 > FILL_PIECE || bytes_from_hex(data + 3, u->bytes, (n - 3) / 2) != 0)
		return malformed(err);
	n = (n - 3) / 2;
	if (enter_file(u, leaf, kind, path, start, err) != 0)
		return -1;
	if (file_write_all(u->fd, u->bytes, n) != 0)
		return err_sys(err, "writing a file beneath %s", u->directory);
	u->at += (int64_t)n;
	return 0;
}

/* "kind TAB path TAB start TAB data", without its line end */
static int
take_row(struct unpack *u, int64_t leaf, struct err *err)
{
	char *fields[4] = { u->row };

	u->row[u->n_row] = '\0';
	if (strlen(u->row) != u->n_row)
		return malformed(err);
	for (size_t i = 1; i < 4; i++) {
		char *tab = strchr(fields[i - 1], '\t');

		if (tab == NULL)
			return malformed(err);
		*tab = '\0';
		fields[i] = tab + 1;
	}
	u->n_row = 0;
	return unescape(fields[1]) ? take_piece(u, leaf, fields[0], fields[1], fields[2], fields[3], err) : malformed(err);
}

/* ---- all of them -------------------------------------------------------------------------------- */

static int
take_text(void *ctx, const struct archive_frame *frame, uint32_t table, const void *text, size_t n, struct err *err)
{
	struct unpack *u = ctx;
	const char *at = text, *end = at + n;

	(void)table;
	while (at < end) {
		const char *line_end = memchr(at, '\n', (size_t)(end - at));
		size_t length = (size_t)((line_end == NULL ? end : line_end) - at);

		if (length >= ROW_MAX - u->n_row)
			return malformed(err);
		(void)memcpy(u->row + u->n_row, at, length);
		u->n_row += length;
		at += length + (line_end != NULL);
		if (line_end != NULL && take_row(u, frame->leaf, err) != 0)
			return -1;
	}
	return 0;
}

static int
give_key(void *ctx, int64_t leaf, uint8_t ret_key[ARCHIVE_KEY_SIZE], struct err *err)
{
	const struct unpack *u = ctx;

	return leaf_keys_give((void *)(uintptr_t)u->leaves, leaf, ret_key, err);
}

static int
sync_all(const char *directory, struct err *err)
{
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int failed = fd < 0 || syncfs(fd) != 0 ? err_sys(err, "syncing the file system of %s", directory) : 0;

	if (fd >= 0)
		(void)close(fd);
	return failed;
}

int
unpack_files(struct archive *archive, uint32_t number, const struct leaf_keys *leaves, const char *directory,
	struct unpack_result *ret, struct err *err)
{
	CLEANUP(release) struct unpack u = { .leaves = leaves, .directory = directory, .fd = -1, .result = ret };
	const struct archive_reading reading = { .key = give_key, .text = take_text, .ctx = &u };
	struct archive_tally unused = { 0 };
	enum archive_verdict verdict;

	*ret = (struct unpack_result){ 0 };
	u.row = mem_zero(ROW_MAX, 1);
	u.bytes = mem_zero(FILL_PIECE, 1);
	if (archive_read(archive, number, &reading, &unused, &verdict, err) != 0)
		return -1;
	if (u.n_row > 0)
		return malformed(err);
	return sync_all(directory, err);
}

/* ---- none of them ------------------------------------------------------------------------------- */

/* Links are taken away, never followed; FTW_MOUNT: what somebody has mounted there meanwhile is not ours. */
static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	if (at->level == 0)
		return 0;
	return type == FTW_DP || type == FTW_D || type == FTW_DNR ? rmdir(path) : unlink(path);
}

int
unpack_undo(const char *directory, const struct unpack_place *place, struct err *err)
{
	if (nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) == 0 && (!place->made_here || rmdir(directory) == 0))
		return 0;
	(void)err_sys(err, "taking the files in %s away again, which are there in clear", directory);
	return err_hint(err, "remove what is in %s", directory);
}
