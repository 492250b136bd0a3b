/*
 * The files of an archive. The rows of its table of files are the input, sealed into one frame a patient: each line is a row, and
 * its first byte the patient; '^' stands for NUL. Whatever they say, nothing is written but regular files below the directory.
 */
#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive/fill.h"
#include "archive/unpack.h"
#include "archive/write.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "fuzz.h"

#define LEAVES 4

static int64_t n_files;

static int
count_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)path;
	(void)at;
	REQUIRE(type == FTW_D || (type == FTW_F && S_ISREG(st->st_mode)));
	n_files += type == FTW_F;
	return 0;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static int
take_bytes(void *ctx, const void *bytes, size_t n, struct err *err)
{
	const int *fd = ctx;

	(void)err;
	REQUIRE(write(*fd, bytes, n) == (ssize_t)n);
	return 0;
}

/* Each run of lines of one patient is a frame. */
static void
write_rows(struct archive_writer *writer, uint32_t table, char *input, const struct leaf *leaves)
{
	int owner = -1;

	for (char *rest = input; rest != NULL;) {
		char *line = fuzz_piece(&rest, '\n');
		size_t n = strlen(line);
		int of = n > 0 ? (uint8_t)line[0] % LEAVES : 0;

		if (rest == NULL && n == 0)
			break;

		if (of != owner) {
			if (owner >= 0)
				REQUIRE(archive_write_frame_end(writer, NULL) == 0);
			REQUIRE(archive_write_frame_begin(writer, leaves[of].id, leaves[of].key, NULL) == 0);
			REQUIRE(archive_write_frame_table(writer, table, NULL) == 0);
			owner = of;
		}
		for (size_t i = 0; i < n; i++)
			line[i] = line[i] == '^' ? '\0' : line[i];
		REQUIRE((n < 2 || archive_write_frame_text(writer, line + 1, n - 1, NULL) == 0) && archive_write_frame_text(writer, "\n", 1, NULL) == 0);
	}
	REQUIRE(owner < 0 || archive_write_frame_end(writer, NULL) == 0);
}

static uint32_t
write_archive(int fd, char *input, const struct leaf *leaves, const uint8_t key[ARCHIVE_KEY_SIZE], uint8_t signed_by[ED25519_KEY_SIZE])
{
	static struct signer *signer;
	char names[] = "a", *name = names;
	struct archive_column column = { name, name };
	struct archive_table table = { .name = (char *)(uintptr_t)FILL_DOCUMENTS, .columns = &column, .n_columns = 1 };
	struct archive_header header = { .instance = "0b54f3a8-7c1d-4e2b-9a60-5d8f1c2e3b4a", .kind = ARCHIVE_BACKUP, .generation = 900 };
	CLEANUP(archive_writer_freep) struct archive_writer *writer = NULL;
	const struct archive_sink sink = { take_bytes, &fd };
	struct archive_summary summary;
	uint32_t number = 0;

	if (signer == NULL)
		REQUIRE(crypt_signer_generate(&signer, NULL) == 0);
	REQUIRE(crypt_signer_public(signer, signed_by, NULL) == 0);
	REQUIRE(archive_write_begin(&writer, &header, key, &sink, 1, NULL) == 0 && archive_write_table(writer, &table, &number, NULL) == 0);
	write_rows(writer, number, input, leaves);
	REQUIRE(archive_write_end(writer, signer, &summary, NULL) == 0);
	return number;
}

int
fuzz_unpack(const uint8_t *data, size_t n)
{
	CLEANUP(free_text) char *input = fuzz_text(data, n);
	CLEANUP(free_text) char *file = fuzz_file("unpack.archive", "", 0);
	CLEANUP(free_text) char *directory = mem_printf("%s/unpack", getenv("FUZZ_DIRECTORY"));
	CLEANUP(archive_closep) struct archive *archive = NULL;
	struct leaf leaves[LEAVES] = { { 0 } };
	const struct leaf_keys keys = { leaves, LEAVES };
	uint8_t key[ARCHIVE_KEY_SIZE] = { 1 }, signed_by[1][ED25519_KEY_SIZE];
	struct unpack_result result;
	enum archive_verdict verdict;
	struct err err = { 0 };
	uint32_t number;
	struct unpack_place place = { 0 };
	int fd = open(file, O_RDWR | O_CLOEXEC);

	for (int i = 0; i < LEAVES; i++)
		leaves[i] = (struct leaf){ .state = LEAF_LIVING, .id = i + 1, .key = { (uint8_t)(i + 2) } };
	REQUIRE(fd >= 0);
	number = write_archive(fd, input, leaves, key, signed_by[0]);
	REQUIRE(archive_open(&archive, fd, signed_by, 1, &verdict, &err) == 0 && archive_unlock(archive, key, &verdict, &err) == 0);
	REQUIRE(unpack_prepare(directory, &place, &err) == 0);
	n_files = 0;
	if (unpack_files(archive, number, &keys, directory, &result, &err) != 0)
		REQUIRE(err.msg[0] != '\0');
	REQUIRE(nftw(directory, count_one, 16, FTW_PHYS) == 0);
	REQUIRE(err.msg[0] != '\0' || n_files == result.files);
	REQUIRE(nftw(directory, remove_one, 16, FTW_PHYS | FTW_DEPTH) == 0);
	unpack_release(&place);
	(void)close(fd);
	return 0;
}
