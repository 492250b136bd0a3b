/*
 * archive make WORDS MIB          COPY text of made-up notes on standard output: identifiers, times, codes, and runs of
 *                                 words from the file WORDS
 * archive notes WORDS N EACH      rows of app.note (erase-schema.sql) for N patients, EACH a patient, of some 600 bytes each
 * archive run TEXT OUT ROWS       seals that text with ROWS rows an owner into OUT, and reads it all again: what it took
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "archive/read.h"
#include "archive/write.h"

#define CHECK(condition)                                                                                  \
	do {                                                                                              \
		if (!(condition)) {                                                                       \
			(void)fprintf(stderr, "archive: %s: %s\n", #condition, err.msg);                  \
			exit(1);                                                                          \
		}                                                                                         \
	} while (0)

static struct err err;

static double
now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static const char *
map_file(const char *path, size_t *ret_n)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *at;

	CHECK(fd >= 0 && fstat(fd, &st) == 0);
	at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	CHECK(at != MAP_FAILED);
	*ret_n = (size_t)st.st_size;
	(void)close(fd);
	return at;
}

/* ---- text ---------------------------------------------------------------------------------- */

static uint64_t state = 7;

static uint32_t
draw(uint32_t below)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(state >> 33) % below;
}

/* some words in a row, of the file */
static void
print_words(const char *words, size_t n)
{
	size_t at = draw((uint32_t)n - 200);
	char line[201];
	size_t k = 0, spaces = 3 + draw(9);

	while (words[at] != ' ')
		at++;
	for (at++; spaces > 0 && k < 100; at++) {
		char c = words[at];

		c = c == '\n' || c == '\t' || c == '\\' ? ' ' : c;
		if (c == ' ' && k > 0 && line[k - 1] == ' ')
			continue;
		spaces -= c == ' ';
		line[k++] = c;
	}
	(void)fwrite(line, 1, k, stdout);
}

static int
make(const char *path, long mib)
{
	size_t n, id = 0;
	const char *words = map_file(path, &n);

	for (long long wanted = (long long)mib << 20, done = 0; done < wanted; id++) {
		int runs = 1 + (int)draw(5);

		done += printf("%zu\t%08x-%04x-4%03x-a%03x-%08x%04x\t2026-%02u-%02u %02u:%02u:%02u.%06u+00\t%c%02u.%u\t%u.%02u\t", id,
			draw(1u << 31), draw(65536), draw(4096), draw(4096), draw(1u << 31), draw(65536), 1 + draw(12), 1 + draw(28),
			draw(24), draw(60), draw(60), draw(1000000), 'A' + (int)draw(26), draw(100), draw(10), draw(400), draw(100));
		for (int i = 0; i < runs; i++) {
			print_words(words, n);
			done += 45;
		}
		(void)putchar('\n');
	}
	return fflush(stdout) == 0 ? 0 : 1;
}

static int
make_notes(const char *path, long patients, long each)
{
	size_t n;
	const char *words = map_file(path, &n);

	for (long id = 1; id <= patients * each; id++) {
		int runs = 4 + (int)draw(18);

		(void)printf("%ld\t%ld\t", id, (id - 1) / each + 1);
		for (int i = 0; i < runs; i++)
			print_words(words, n);
		(void)putchar('\n');
	}
	return fflush(stdout) == 0 ? 0 : 1;
}

/* ---- archive ------------------------------------------------------------------------------- */

static int
write_to_fd(void *ctx, const void *bytes, size_t n, struct err *e)
{
	return write(*(int *)ctx, bytes, n) == (ssize_t)n ? 0 : err_sys(e, "writing");
}

static int
give_key(void *ctx, int64_t leaf, uint8_t ret_key[32], struct err *e)
{
	(void)ctx;
	(void)e;
	(void)memset(ret_key, (int)leaf, 32);
	return 1;
}

static int
take_text(void *ctx, const struct archive_frame *frame, uint32_t table, const void *text, size_t n, struct err *e)
{
	(void)frame;
	(void)table;
	(void)text;
	(void)e;
	*(uint64_t *)ctx += n;
	return 0;
}

/* row by row, as COPY hands them out */
static void
seal(int fd, const char *text, size_t n, long rows, const struct signer *signer, struct archive_summary *ret)
{
	struct archive_header header = { .instance = "0b54f3a8-7c1d-4e2b-9a60-5d8f1c2e3b4a", .kind = ARCHIVE_BACKUP, .generation = 1 };
	const struct archive_table table = { (char *)(uintptr_t) "app.note", NULL, 0, false, 0, 0 };
	struct archive_sink sink = { write_to_fd, &fd };
	struct archive_writer *w = NULL;
	uint8_t key[32] = { 1 };
	uint32_t number;
	int64_t leaf = 0;

	CHECK(crypt_random(header.id, sizeof(header.id), &err) == 0);
	CHECK(archive_write_begin(&w, &header, key, &sink, 1, &err) == 0);
	CHECK(archive_write_table(w, &table, &number, &err) == 0);
	for (const char *at = text, *end = text + n; at < end;) {
		leaf++;
		(void)memset(key, (int)leaf, 32);
		CHECK(archive_write_frame_begin(w, leaf, key, &err) == 0 && archive_write_frame_table(w, number, &err) == 0);
		for (long i = 0; i < rows && at < end; i++) {
			const char *stop = memchr(at, '\n', (size_t)(end - at));

			CHECK(stop != NULL && archive_write_frame_text(w, at, (size_t)(stop + 1 - at), &err) == 0);
			at = stop + 1;
		}
		CHECK(archive_write_frame_end(w, &err) == 0);
	}
	CHECK(archive_write_end(w, signer, ret, &err) == 0);
	archive_writer_free(w);
}

static int
run(const char *path, const char *out, long rows)
{
	size_t n;
	const char *text = map_file(path, &n);
	int fd = open(out, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	uint8_t signers[1][ED25519_KEY_SIZE], key[32] = { 1 };
	struct signer *signer = NULL;
	struct archive_summary summary;
	struct archive *archive = NULL;
	enum archive_verdict verdict;
	uint64_t got = 0;
	struct archive_reading reading = { give_key, take_text, &got };
	struct archive_tally tally;
	double t0, t1, t2, t3;

	CHECK(fd >= 0 && crypt_signer_generate(&signer, &err) == 0 && crypt_signer_public(signer, signers[0], &err) == 0);
	t0 = now();
	seal(fd, text, n, rows, signer, &summary);
	t1 = now();
	CHECK(archive_open(&archive, fd, (const uint8_t(*)[ED25519_KEY_SIZE])signers, 1, &verdict, &err) == 0);
	t2 = now();
	CHECK(archive_unlock(archive, key, &verdict, &err) == 0);
	CHECK(archive_read(archive, ARCHIVE_SEVERAL, &reading, &tally, &verdict, &err) == 0 && got == n);
	t3 = now();
	archive_close(archive);
	crypt_signer_free(signer);
	printf("%llu %.1f %.1f %.1f %llu\n", (unsigned long long)summary.frames, (double)n / 1e6 / (t1 - t0),
		(double)n / 1e6 / (t3 - t1), (double)n / 1e6 / (t2 - t1), (unsigned long long)summary.size);
	return 0;
}

int
main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "make") == 0)
		return make(argv[2], strtol(argv[3], NULL, 10));
	if (argc == 5 && strcmp(argv[1], "notes") == 0)
		return make_notes(argv[2], strtol(argv[3], NULL, 10), strtol(argv[4], NULL, 10));
	if (argc == 5 && strcmp(argv[1], "run") == 0)
		return run(argv[2], argv[3], strtol(argv[4], NULL, 10));
	(void)fprintf(stderr, "usage: archive make WORDS MIB | notes WORDS PATIENTS EACH | run TEXT OUT ROWS\n");
	return 2;
}
