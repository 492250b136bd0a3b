/* lib/archive: large rows, chunks that end anywhere, files that change meanwhile, and an archive that is far larger than
 * the memory it takes. */
#include <stdio.h>
#include <sys/resource.h>

#include "archive_fixture.h"

static struct err err;
static struct archive_summary summary;
static struct archive_tally tally;
static struct reader reader;

static void
set_up(void)
{
	err_clear(&err);
	reader = (struct reader){ 0 };
	tally = (struct archive_tally){ 0 };
}

static void
tear_down(void)
{
	reader_release(&reader);
}

/* One frame of both tables, taking turns; a row of 3 MiB; text in bits that no boundary minds. */
START_TEST(large_rows_and_several_tables)
{
	CLEANUP(str_release) struct str large = STR_INIT;
	CLEANUP(str_release) struct str out = STR_INIT;
	struct archive_writer *writer = fix_writer("large", &out);
	uint8_t key[32];
	int fd;

	str_add(&large, "1\t");
	for (uint32_t i = 0, x = 1; i < 400000; i++, x = x * 1664525u + 1013904223u)
		str_addf(&large, "%08x", (unsigned)x);
	str_add(&large, "\n2\tx\n");
	leaf_key(8, key);
	ck_assert_int_eq(archive_write_frame_begin(writer, 8, key, &err), 0);
	for (uint32_t i = 0; i < 5; i++) {
		ck_assert_int_eq(archive_write_frame_table(writer, i % 2, &err), 0);
		ck_assert_int_eq(archive_write_frame_text(writer, "8\tbefore\n", 9, &err), 0);
	}
	ck_assert_int_eq(archive_write_frame_table(writer, 1, &err), 0);
	for (size_t at = 0, n; at < large.len; at += n) {
		n = large.len - at < 65537 ? large.len - at : 65537;
		ck_assert_int_eq(archive_write_frame_text(writer, large.s + at, n, &err), 0);
	}
	ck_assert_int_eq(archive_write_frame_text(writer, NULL, 0, &err), 0);
	ck_assert_msg(archive_write_frame_end(writer, &err) == 0, "%s", err.msg);
	/* an owner without rows */
	ck_assert_int_eq(archive_write_frame_begin(writer, 9, key, &err), 0);
	ck_assert_int_eq(archive_write_frame_end(writer, &err), 0);
	summary = fix_end(writer);
	ck_assert(summary.rows == 7 && summary.frames == 2);

	fd = fd_of(out.s, out.len);
	reader.wrong = 0;
	reader.withheld = 9;
	ck_assert_msg(read_all(fd, &reader, &tally, &err) == ARCHIVE_OK, "%s", err.msg);
	ck_assert_str_eq(reader.tables[0].s, "8\tbefore\n8\tbefore\n8\tbefore\n");
	ck_assert_uint_eq(reader.tables[1].len, large.len + 18);
	ck_assert_int_eq(memcmp(reader.tables[1].s + 18, large.s, large.len), 0);
	ck_assert_uint_gt(reader.n_texts, 8);
	ck_assert(tally.rows == 7 && tally.withheld == 1 && tally.withheld_rows == 0);
	(void)close(fd);
}
END_TEST

/* Every length around that of a chunk, of text that compresses and of text that does not. */
START_TEST(chunks_end_anywhere)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	CLEANUP(str_release) struct str out = STR_INIT;
	struct archive_writer *writer = fix_writer("chunks", &out);
	int fd;

	for (uint32_t i = 0, x = 1; i < 2200000; i++, x = x * 1664525u + 1013904223u) {
		char c = _i == 0 ? 'a' : (char)(x >> 24);

		str_add_n(&text, c == '\n' ? " " : &c, 1);
	}
	text.s[0] = '\n';
	for (int64_t leaf = 1; leaf <= 24; leaf++) {
		size_t n = 1048576 * (size_t)(1 + leaf % 2) - 20 + (size_t)leaf;

		text.s[n - 1] = '\n';
		fix_frame(writer, leaf, (uint32_t)(leaf % 2), text.s, n);
		text.s[n - 1] = 'a';
	}
	summary = fix_end(writer);
	fd = fd_of(out.s, out.len);
	ck_assert_msg(read_all(fd, &reader, &tally, &err) == ARCHIVE_OK, "%s", err.msg);
	ck_assert(tally.rows == 48 && tally.frames == 24 && tally.text == summary.text);
	(void)close(fd);
}
END_TEST

/* Several parts of the index, read from anywhere: forwards, backwards, again. */
START_TEST(entries_in_any_order)
{
	static const uint64_t order[] = { 2500, 3, 1023, 1024, 2047, 2999, 1500, 0, 2048, 1, 2999 };
	CLEANUP(archive_closep) struct archive *archive = NULL;
	CLEANUP(str_release) struct str out = STR_INIT;
	struct archive_writer *writer = fix_writer("parts", &out);
	struct archive_reading reading = reading_of(&reader);
	uint8_t signer[1][ED25519_KEY_SIZE], key[32];
	enum archive_verdict verdict;
	struct archive_frame frame;
	char row[30];
	int fd;

	for (int64_t leaf = 1; leaf <= 3000; leaf++) {
		(void)snprintf(row, sizeof(row), "row %lld\n", (long long)leaf);
		fix_frame(writer, leaf, 0, row, strlen(row));
	}
	summary = fix_end(writer);
	fd = fd_of(out.s, out.len);
	named_public("signer", signer[0]);
	named_key("generation", key);
	ck_assert_int_eq(archive_open(&archive, fd, signer, 1, &verdict, &err), 0);
	ck_assert_int_eq(archive_unlock(archive, key, &verdict, &err), 0);
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		(void)snprintf(row, sizeof(row), "row %llu\n", (unsigned long long)order[i] + 1);
		str_clear(&reader.tables[0]);
		ck_assert_msg(archive_frame(archive, order[i], &frame, &verdict, &err) == 0, "%s", err.msg);
		ck_assert(frame.number == order[i] && frame.leaf == (int64_t)order[i] + 1);
		ck_assert_msg(archive_read_frame(archive, &frame, &reading, &tally, &verdict, &err) == 0, "%s", err.msg);
		ck_assert_str_eq(reader.tables[0].s, row);
	}
	(void)close(fd);
}
END_TEST

/* What happens to the file behind the reader's back is seen as well. */
START_TEST(changed_while_it_is_read)
{
	CLEANUP(archive_closep) struct archive *archive = NULL;
	CLEANUP(str_release) struct str large = STR_INIT;
	CLEANUP(str_release) struct str file = STR_INIT;
	struct archive_writer *writer = fix_writer("changed", &file);
	struct archive_reading reading = { give_key, NULL, &reader };
	uint8_t signer[1][ED25519_KEY_SIZE], key[32];
	enum archive_verdict verdict;
	struct archive_frame frame;
	int fd;

	for (uint32_t i = 0, x = 1; i < 700000; i++, x = x * 1664525u + 1013904223u)
		str_addf(&large, "%08x", (unsigned)x);
	str_add(&large, "\n");
	fix_frame(writer, 1, 0, large.s, large.len);
	(void)fix_end(writer);
	fd = fd_of(file.s, file.len);
	named_public("signer", signer[0]);
	named_key("generation", key);
	ck_assert_int_eq(archive_open(&archive, fd, signer, 1, &verdict, &err), 0);
	ck_assert_int_eq(archive_unlock(archive, key, &verdict, &err), 0);
	ck_assert_int_eq(archive_frame(archive, 0, &frame, &verdict, &err), 0);
	ck_assert_int_eq(archive_read_frame(archive, &frame, &reading, &tally, &verdict, &err), 0);

	ck_assert_int_eq(pwrite(fd, "x", 1, 1500000), 1);
	ck_assert_int_eq(archive_read_frame(archive, &frame, &reading, &tally, &verdict, &err), -1);
	ck_assert_int_eq(verdict, ARCHIVE_ALTERED);
	ck_assert_int_eq(ftruncate(fd, 1000000), 0);
	ck_assert_int_eq(archive_read_frame(archive, &frame, &reading, &tally, &verdict, &err), -1);
	ck_assert_int_eq(verdict, ARCHIVE_TRUNCATED);
	/* and an entry that is not the index's own opens nothing */
	frame.file = 1;
	ck_assert_int_eq(archive_read_frame(archive, &frame, &reading, &tally, &verdict, &err), -1);
	ck_assert_int_eq(verdict, ARCHIVE_WRONG_KEY);
	(void)close(fd);
}
END_TEST

static int
write_to_fd(void *ctx, const void *text, size_t n, struct err *e)
{
	return write(*(int *)ctx, text, n) == (ssize_t)n ? 0 : err_sys(e, "write");
}

static int
same_key(void *ctx, int64_t leaf, uint8_t ret_key[32], struct err *e)
{
	(void)e;
	(void)memset(ret_key, 1, 32);
	return leaf % *(int64_t *)ctx == 0 ? 0 : 1;
}

static long
peak_kib(void)
{
	struct rusage usage;

	ck_assert_int_eq(getrusage(RUSAGE_SELF, &usage), 0);
	return usage.ru_maxrss;
}

/* A row of 16 MiB that hardly compresses. */
static void
write_large_row(struct archive_writer *writer, const uint8_t *key)
{
	char text[4096];
	uint32_t x = 1;

	ck_assert_int_eq(archive_write_frame_begin(writer, 1, key, &err), 0);
	ck_assert_int_eq(archive_write_frame_table(writer, 0, &err), 0);
	for (int i = 0; i < 4096; i++) {
		for (size_t k = 0; k < sizeof(text); k++, x = x * 1664525u + 1013904223u)
			text[k] = (char)('0' + (x >> 24) % 64);
		ck_assert_int_eq(archive_write_frame_text(writer, text, sizeof(text), &err), 0);
	}
	ck_assert_int_eq(archive_write_frame_text(writer, "\n", 1, &err), 0);
	ck_assert_int_eq(archive_write_frame_end(writer, &err), 0);
}

/* A tenant of 50,000 subjects with four tables: 200,000 frames, an index of 20 MB. */
START_TEST(memory_does_not_grow)
{
	CLEANUP(crypt_signer_freep) struct signer *signer = named_signer("signer");
	CLEANUP(archive_closep) struct archive *archive = NULL;
	struct archive_header header = fix_header("large");
	struct archive_writer *writer = NULL;
	const struct archive_table table = { (char *)(uintptr_t) "app.note", NULL, 0, false, 0, 0 };
	int64_t n_leaves = 50000 / (int64_t)stride(), dropped = 1000;
	struct archive_reading reading = { same_key, NULL, &dropped };
	char path[] = "/tmp/expunge-archive.XXXXXX", row[200];
	int fd = mkstemp(path);
	struct archive_sink sink = { write_to_fd, &fd };
	enum archive_verdict verdict;
	uint8_t key[32], signers[1][ED25519_KEY_SIZE];
	uint32_t number;
	long before = peak_kib(), written;

	(void)unlink(path);
	(void)memset(key, 1, sizeof(key));
	named_public("signer", signers[0]);
	ck_assert_int_eq(archive_write_begin(&writer, &header, key, &sink, 1, &err), 0);
	for (int t = 0; t < 4; t++)
		ck_assert_int_eq(archive_write_table(writer, &table, &number, &err), 0);
	for (uint32_t t = 0; t < 4; t++)
		for (int64_t leaf = 1; leaf <= n_leaves; leaf++) {
			int n = snprintf(row, sizeof(row), "%lld\t%lld\tsome text of the patient %lld\n", (long long)leaf,
				(long long)(leaf * 7919), (long long)(leaf * leaf));

			ck_assert(archive_write_frame_begin(writer, leaf, key, &err) == 0 &&
				archive_write_frame_table(writer, t, &err) == 0 &&
				archive_write_frame_text(writer, row, (size_t)n, &err) == 0 && archive_write_frame_end(writer, &err) == 0);
		}
	write_large_row(writer, key);
	ck_assert_int_eq(archive_write_end(writer, signer, &summary, &err), 0);
	archive_writer_free(writer);
	written = peak_kib();
	ck_assert_msg(archive_open(&archive, fd, signers, 1, &verdict, &err) == 0 &&
			archive_unlock(archive, key, &verdict, &err) == 0 &&
		archive_read(archive, ARCHIVE_SEVERAL, &reading, &tally, &verdict, &err) == 0, "%s", err.msg);
	ck_assert_uint_eq(tally.frames + tally.withheld, (uint64_t)n_leaves * 4 + 1);
	ck_assert_uint_eq(tally.withheld, (uint64_t)(n_leaves / dropped) * 4);
	(void)close(fd);
	printf("%llu frames, %llu bytes: peak %ld KiB before, %ld written, %ld read\n", (unsigned long long)summary.frames,
		(unsigned long long)summary.size, before, written, peak_kib());
#if !defined(__SANITIZE_ADDRESS__)
	if (getenv("EXPUNGE_TEST_STRIDE") == NULL)
		ck_assert_int_le(peak_kib() - before, 32 * 1024);
#endif
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("archive size");
	TCase *tc = tcase_create("archive size");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 300);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, large_rows_and_several_tables);
	tcase_add_loop_test(tc, chunks_end_anywhere, 0, 2);
	tcase_add_test(tc, entries_in_any_order);
	tcase_add_test(tc, changed_while_it_is_read);
	tcase_add_test(tc, memory_does_not_grow);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
