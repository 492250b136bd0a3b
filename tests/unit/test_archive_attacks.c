/* lib/archive: what was cut, flipped, moved, forged or signed by another, and keys that are not the right ones: each
 * named, nothing of it handed out as genuine. */
#include <fcntl.h>

#include "archive_fixture.h"

static struct err err;
static struct str bytes, other;
static struct archive_frame frames[7];
static struct reader reader;
static struct archive_tally tally;

static void
set_up(void)
{
	err_clear(&err);
	bytes = other = (struct str)STR_INIT;
	reader = (struct reader){ 0 };
	(void)fix_archive("archive one", &bytes);
	do { /* wrapped keys are random, and compress by a byte more or less */
		str_clear(&other);
		(void)fix_archive("archive two", &other);
	} while (other.len != bytes.len);
	index_of(&bytes, frames, 7);
}

static void
tear_down(void)
{
	str_release(&bytes);
	str_release(&other);
	reader_release(&reader);
}

#define IS(verdict_wanted, bytes_given, n_given)                                                                  \
	do {                                                                                                      \
		enum archive_verdict got_ = judge((bytes_given), (n_given), &err);                                \
		ck_assert_msg(got_ == (verdict_wanted), "%s: %s", archive_verdict_text(got_), err.msg);           \
		ck_assert_msg(strncmp(err.msg, archive_verdict_text(got_), strlen(archive_verdict_text(got_))) == 0, \
			"%s", err.msg);                                                                           \
	} while (0)

/* ---- the file ------------------------------------------------------------------------------ */

START_TEST(truncated_at_every_byte)
{
	for (size_t n = 0; n < bytes.len; n += stride())
		IS(ARCHIVE_TRUNCATED, bytes.s, n);
}
END_TEST

START_TEST(every_flipped_bit)
{
	int fd = fd_of(bytes.s, bytes.len);

	for (size_t bit = 0; bit < bytes.len * 8; bit += stride()) {
		char c = (char)(bytes.s[bit / 8] ^ 1 << bit % 8);
		enum archive_verdict verdict;

		ck_assert_int_eq(pwrite(fd, &c, 1, (off_t)(bit / 8)), 1);
		verdict = read_all(fd, &reader, &tally, &err);
		if (verdict != ARCHIVE_ALTERED)
			ck_abort_msg("bit %zu of byte %zu: %s", bit % 8, bit / 8, archive_verdict_text(verdict));
		ck_assert_int_eq(pwrite(fd, bytes.s + bit / 8, 1, (off_t)(bit / 8)), 1);
	}
	ck_assert_uint_eq(reader.n_texts, 0);
	ck_assert_int_eq(read_all(fd, &reader, &tally, &err), ARCHIVE_OK);
	(void)close(fd);
}
END_TEST

START_TEST(bytes_missing_or_too_many_within)
{
	CLEANUP(str_release) struct str cut = STR_INIT;
	CLEANUP(str_release) struct str longer = STR_INIT;

	str_add_n(&cut, bytes.s, 300);
	str_add_n(&cut, bytes.s + 310, bytes.len - 310);
	IS(ARCHIVE_TRUNCATED, cut.s, cut.len);
	ck_assert_ptr_nonnull(strstr(err.msg, "10 of "));
	str_add_n(&longer, bytes.s, 310);
	str_add_n(&longer, bytes.s + 300, bytes.len - 300);
	IS(ARCHIVE_ALTERED, longer.s, longer.len);
	/* what follows the footer hides it: its end is not where it must be */
	str_add_n(&bytes, "\0", 1);
	IS(ARCHIVE_TRUNCATED, bytes.s, bytes.len);
}
END_TEST

START_TEST(head_of_one_and_tail_of_another)
{
	for (size_t at = FORMAT_HEADER_SIZE; at < bytes.len; at += 1 + (bytes.len - FORMAT_HEADER_SIZE) / 20) {
		CLEANUP(str_release) struct str mixed = STR_INIT;

		str_add_n(&mixed, bytes.s, at);
		str_add_n(&mixed, other.s + at, other.len - at);
		IS(ARCHIVE_ALTERED, mixed.s, mixed.len);
	}
}
END_TEST

START_TEST(no_archives)
{
	static const char elf[1000] = "\177ELF";

	IS(ARCHIVE_UNREADABLE, elf, 4);
	IS(ARCHIVE_UNREADABLE, elf, sizeof(elf));
	IS(ARCHIVE_TRUNCATED, "", 0);
	IS(ARCHIVE_TRUNCATED, "expunge", 7);
	IS(ARCHIVE_UNREADABLE, "expunged", 8);
}
END_TEST

START_TEST(unreadable_files)
{
	int directory = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char path[] = "/tmp/expunge-archive.XXXXXX";
	int made = mkstemp(path), fd = open(path, O_WRONLY | O_CLOEXEC);

	(void)unlink(path);
	ck_assert_int_eq(ftruncate(made, 10000), 0);
	ck_assert_int_eq(read_all(directory, &reader, &tally, &err), ARCHIVE_UNREADABLE);
	ck_assert_int_eq(read_all(-1, &reader, &tally, &err), ARCHIVE_UNREADABLE);
	ck_assert_int_eq(read_all(fd, &reader, &tally, &err), ARCHIVE_UNREADABLE); /* may not be read */
	ck_assert_msg(strstr(err.msg, "unreadable: reading at byte 0: ") != NULL, "%s", err.msg);
	(void)close(directory);
	(void)close(made);
	(void)close(fd);
}
END_TEST

START_TEST(newer_format)
{
	uint8_t *tail = (uint8_t *)bytes.s + bytes.len - FORMAT_END_SIZE + 4;

	bytes_put_u32((uint8_t *)bytes.s + 16, 2);
	IS(ARCHIVE_ALTERED, bytes.s, bytes.len);
	bytes_put_u32(tail, 2);
	IS(ARCHIVE_NEWER_FORMAT, bytes.s, bytes.len);
	IS(ARCHIVE_TRUNCATED, bytes.s, bytes.len - 1);
	bytes_put_u32((uint8_t *)bytes.s + 16, 0);
	bytes_put_u32(tail, 0);
	IS(ARCHIVE_ALTERED, bytes.s, bytes.len);
}
END_TEST

/* ---- keys ---------------------------------------------------------------------------------- */

START_TEST(wrong_signer)
{
	CLEANUP(archive_closep) struct archive *archive = NULL;
	uint8_t signers[2][ED25519_KEY_SIZE];
	int fd = fd_of(bytes.s, bytes.len);
	enum archive_verdict verdict;

	named_public("somebody", signers[0]);
	named_public("another", signers[1]);
	ck_assert_int_eq(archive_open(&archive, fd, signers, 2, &verdict, &err), -1);
	ck_assert_int_eq(verdict, ARCHIVE_WRONG_SIGNER);
	ck_assert_str_eq(err.msg, "wrong signer: signed by none of 2 trusted keys");
	ck_assert_int_eq(archive_open(&archive, fd, signers, 0, &verdict, &err), -1);
	ck_assert_int_eq(verdict, ARCHIVE_WRONG_SIGNER);
	/* the trusted key named, with the signature of another: not what was signed */
	(void)close(fd);
	named_public("somebody", (uint8_t *)bytes.s + bytes.len - FORMAT_FOOTER_SIZE + 112);
	fd = fd_of(bytes.s, bytes.len);
	ck_assert_int_eq(archive_open(&archive, fd, signers, 1, &verdict, &err), -1);
	ck_assert_int_eq(verdict, ARCHIVE_ALTERED);
	(void)close(fd);
}
END_TEST

START_TEST(wrong_generation_key)
{
	CLEANUP(archive_closep) struct archive *archive = NULL;
	uint8_t signer[1][ED25519_KEY_SIZE], key[32];
	int fd = fd_of(bytes.s, bytes.len);
	enum archive_verdict verdict;

	named_public("signer", signer[0]);
	named_key("another generation", key);
	ck_assert_int_eq(archive_open(&archive, fd, signer, 1, &verdict, &err), 0);
	ck_assert_int_eq(archive_unlock(archive, key, &verdict, &err), -1);
	ck_assert_int_eq(verdict, ARCHIVE_WRONG_KEY);
	ck_assert_str_eq(err.msg, "key destroyed or wrong: this is not the key of its generation, leaf 900");
	ck_assert_uint_eq(archive_frames(archive), 0);
	/* and the right one, after it */
	named_key("generation", key);
	ck_assert_int_eq(archive_unlock(archive, key, &verdict, &err), 0);
	ck_assert_int_eq(verdict, ARCHIVE_OK);
	(void)close(fd);
}
END_TEST

START_TEST(wrong_leaf_key)
{
	int fd = fd_of(bytes.s, bytes.len);

	reader.wrong = 2;
	ck_assert_int_eq(read_all(fd, &reader, &tally, &err), ARCHIVE_WRONG_KEY);
	ck_assert_str_eq(err.msg, "key destroyed or wrong: frame 1 does not open with this key of leaf 2");
	ck_assert_str_eq(reader.tables[0].s, "1\tpatient number 1\n");
	(void)close(fd);
}
END_TEST

static int
refuse_text(void *ctx, const struct archive_frame *frame, uint32_t table, const void *text, size_t n, struct err *e)
{
	(void)ctx;
	(void)frame;
	(void)table;
	(void)text;
	(void)n;
	return err_set(e, ERR_RETRY, "not now");
}

/* A key store that is away says nothing of the archive; nor does a reader who has enough. */
START_TEST(callbacks_that_fail)
{
	CLEANUP(archive_closep) struct archive *archive = NULL;
	struct archive_reading reading = { give_key, refuse_text, &reader };
	uint8_t signer[1][ED25519_KEY_SIZE], key[32];
	int fd = fd_of(bytes.s, bytes.len);
	enum archive_verdict verdict;

	named_public("signer", signer[0]);
	named_key("generation", key);
	ck_assert_int_eq(archive_open(&archive, fd, signer, 1, &verdict, &err), 0);
	ck_assert_int_eq(archive_unlock(archive, key, &verdict, &err), 0);
	ck_assert_int_eq(archive_read(archive, ARCHIVE_SEVERAL, &reading, &tally, &verdict, &err), -1);
	ck_assert(verdict == ARCHIVE_OK && err.code == ERR_RETRY && tally.frames == 0);
	reader.withheld = -1;
	ck_assert_int_eq(archive_read(archive, ARCHIVE_SEVERAL, &reading, &tally, &verdict, &err), -1);
	ck_assert(verdict == ARCHIVE_OK && err.code == ERR_LOST && tally.withheld == 0);
	(void)close(fd);
}
END_TEST

/* ---- forged by somebody who has the signing key ---------------------------------------------- */

/* n bytes at two places, exchanged */
static void
swap(uint64_t one, uint64_t two, size_t n)
{
	CLEANUP(free_text) char *kept = mem_copy_n(bytes.s + one, n);

	(void)memcpy(bytes.s + one, bytes.s + two, n);
	(void)memcpy(bytes.s + two, kept, n);
}

START_TEST(forged_file)
{
	static const struct {
		const char *what;
		enum archive_verdict verdict;
	} cases[] = {
		{ "nothing, to see that the forgery itself is good", ARCHIVE_OK },
		{ "two owners' frames of one table swapped", ARCHIVE_ALTERED },
		{ "a frame of another archive under the same keys", ARCHIVE_ALTERED },
		{ "the last frame said not to end", ARCHIVE_ALTERED },
		{ "a frame with an impossible length", ARCHIVE_ALTERED },
		{ "the index of another archive of the generation", ARCHIVE_ALTERED },
		{ "the contents of another archive of the generation", ARCHIVE_ALTERED },
		{ "another kind in the header", ARCHIVE_ALTERED },
		{ "another schema in the header", ARCHIVE_ALTERED },
		{ "another archive's header", ARCHIVE_ALTERED },
		{ "another archive's id in header and footer", ARCHIVE_ALTERED },
		{ "an instance that is not the header's", ARCHIVE_ALTERED },
		{ "a check value of another key", ARCHIVE_WRONG_KEY },
		{ "the contents said to begin elsewhere", ARCHIVE_ALTERED },
	};
	uint8_t *b = (uint8_t *)bytes.s, *footer = b + bytes.len - FORMAT_FOOTER_SIZE;
	uint64_t contents = bytes_get_u64(footer + 48), part = frames[6].offset + frames[6].length;

	switch (_i) {
	case 1:
		ck_assert_uint_eq(frames[0].length, frames[2].length);
		swap(frames[0].offset, frames[2].offset, (size_t)frames[0].length);
		break;
	case 2:
		(void)memcpy(b + frames[0].offset, other.s + frames[0].offset, frames[0].length);
		break;
	case 3:
		b[frames[6].offset] ^= 0x80;
		break;
	case 4:
		b[frames[0].offset + 1] ^= 0x7f;
		break;
	case 5:
		(void)memcpy(b + part, other.s + part, contents - part);
		break;
	case 6:
		(void)memcpy(b + contents, other.s + contents, bytes.len - FORMAT_FOOTER_SIZE - contents);
		break;
	case 7:
		b[75] = ARCHIVE_RETAINED;
		break;
	case 8:
		b[144] ^= 1;
		break;
	case 9:
		(void)memcpy(b, other.s, FORMAT_HEADER_SIZE);
		break;
	case 10:
		(void)memcpy(b + 24, other.s + 24, ARCHIVE_ID_SIZE);
		(void)memcpy(footer + 16, other.s + 24, ARCHIVE_ID_SIZE);
		break;
	case 11:
		b[56] ^= 1;
		break;
	case 12:
		b[176] ^= 1;
		break;
	case 13:
		bytes_put_u64(footer + 48, contents + 1);
		bytes_put_u64(footer + 56, bytes_get_u64(footer + 56) - 1);
		break;
	default:
		break;
	}
	sign_again(&bytes);
	ck_assert_msg(judge(bytes.s, bytes.len, &err) == cases[_i].verdict, "%s: %s", cases[_i].what, err.msg);
}
END_TEST

/* ---- forged by somebody who has the generation's key as well --------------------------------- */

/* Seals the one part of the index anew, as it has become. */
static void
seal_index(const struct archive_frame *entries)
{
	struct sealer sealer;
	struct seal_place place = { SEAL_INDEX, NULL, (uint8_t *)bytes.s + 24, NULL, SHA256_SIZE, 0, 0, true };
	CLEANUP(str_release) struct str file = STR_INIT;
	uint8_t key[32], binding[32], text[7 * FORMAT_RECORD_SIZE], *sealed = mem_zero(8192, 1);
	uint64_t part = frames[6].offset + frames[6].length, contents = bytes_get_u64(
		(uint8_t *)bytes.s + bytes.len - FORMAT_FOOTER_SIZE + 48);
	uint8_t *footer;
	size_t n = 0;

	named_key("generation", key);
	ck_assert_int_eq(crypt_sha256(bytes.s, FORMAT_HEADER_SIZE, binding, &err), 0);
	place.key = key;
	place.binding = binding;
	for (size_t i = 0; i < 7; i++)
		format_record_encode(&entries[i], text + i * FORMAT_RECORD_SIZE);
	sealer_init(&sealer, 3);
	ck_assert_int_eq(seal_chunk(&sealer, &place, text, sizeof(text), sealed, &n, &err), 0);
	sealer_release(&sealer);
	str_add_n(&file, bytes.s, part);
	str_add_n(&file, (const char *)sealed, n);
	str_add_n(&file, bytes.s + contents, bytes.len - contents);
	free(sealed);
	footer = (uint8_t *)file.s + file.len - FORMAT_FOOTER_SIZE;
	bytes_put_u64(footer + 48, part + n);
	str_clear(&bytes);
	str_add_n(&bytes, file.s, file.len);
	sign_again(&bytes);
}

START_TEST(forged_index)
{
	static const struct {
		const char *what;
		enum archive_verdict verdict;
	} cases[] = {
		{ "nothing", ARCHIVE_OK },
		{ "two owners' wrapped keys swapped", ARCHIVE_WRONG_KEY },
		{ "a frame given to another owner", ARCHIVE_WRONG_KEY },
		{ "a frame said to be of another table", ARCHIVE_WRONG_KEY },
		{ "a frame said to have fewer rows", ARCHIVE_WRONG_KEY },
		{ "a table that there is not", ARCHIVE_ALTERED },
		{ "no owner", ARCHIVE_ALTERED },
		{ "frames in another order", ARCHIVE_ALTERED },
		{ "a gap between frames", ARCHIVE_ALTERED },
		{ "a frame that reaches beyond the last", ARCHIVE_ALTERED },
		{ "a frame in a file that is not listed", ARCHIVE_ALTERED },
		{ "another number", ARCHIVE_ALTERED },
	};
	struct archive_frame e[7], kept;

	(void)memcpy(e, frames, sizeof(e));
	switch (_i) {
	case 1:
		(void)memcpy(e[0].wrapped, frames[1].wrapped, ARCHIVE_WRAPPED_SIZE);
		(void)memcpy(e[1].wrapped, frames[0].wrapped, ARCHIVE_WRAPPED_SIZE);
		break;
	case 2:
		e[0].leaf = 2;
		break;
	case 3:
		e[0].table = 1;
		break;
	case 4:
		e[4].rows--;
		break;
	case 5:
		e[0].table = 2;
		break;
	case 6:
		e[0].leaf = 0;
		break;
	case 7:
		kept = e[0];
		e[0] = e[1];
		e[1] = kept;
		e[0].number = e[0].sealed_as = 0;
		e[1].number = e[1].sealed_as = 1;
		break;
	case 8:
		e[3].offset++;
		e[3].length--;
		break;
	case 9:
		e[6].length++;
		break;
	case 10:
		e[0].file = 1;
		break;
	case 11:
		e[0].sealed_as = 1;
		break;
	default:
		break;
	}
	seal_index(e);
	ck_assert_msg(judge(bytes.s, bytes.len, &err) == cases[_i].verdict, "%s: %s", cases[_i].what, err.msg);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("archive attacks");
	TCase *tc = tcase_create("archive attacks");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 300);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, truncated_at_every_byte);
	tcase_add_test(tc, every_flipped_bit);
	tcase_add_test(tc, bytes_missing_or_too_many_within);
	tcase_add_test(tc, head_of_one_and_tail_of_another);
	tcase_add_test(tc, no_archives);
	tcase_add_test(tc, unreadable_files);
	tcase_add_test(tc, newer_format);
	tcase_add_test(tc, wrong_signer);
	tcase_add_test(tc, wrong_generation_key);
	tcase_add_test(tc, wrong_leaf_key);
	tcase_add_test(tc, callbacks_that_fail);
	tcase_add_loop_test(tc, forged_file, 0, 14);
	tcase_add_loop_test(tc, forged_index, 0, 12);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
