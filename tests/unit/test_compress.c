/* lib/svc compress: blocks come back as they were, and what is no block of ours is refused. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "svc/compress.h"

#define SIZE 300000

static struct err err;
static struct compressor *compressor;
static uint8_t text[SIZE], packed[SIZE + 5000], again[SIZE];

static void
set_up(void)
{
	uint32_t state = 7;

	err_clear(&err);
	compressor = compressor_new();
	for (size_t i = 0; i < SIZE; i++) {
		state = state * 1664525u + 1013904223u;
		text[i] = (uint8_t)("eee ttt aaa \t\n"[state >> 28 < 14 ? state >> 28 : 0]);
	}
}

static void
tear_down(void)
{
	compressor_free(compressor);
}

START_TEST(comes_back)
{
	static const size_t sizes[] = { 0, 1, 2, 100, 65535, 65536, SIZE };
	size_t n = sizes[_i], n_packed = 0, n_again = 0;

	for (int level = 1; level <= 3; level++) {
		ck_assert_int_eq(compress_block(compressor, level, text, n, packed, sizeof(packed), &n_packed, &err), 0);
		ck_assert_uint_le(n_packed, compress_bound(n));
		ck_assert(n < 1000 || n_packed < n * 3 / 4);
		ck_assert_int_eq(decompress_block(compressor, packed, n_packed, again, n, &n_again, &err), 0);
		ck_assert_uint_eq(n_again, n);
		ck_assert_int_eq(memcmp(text, again, n), 0);
	}
}
END_TEST

START_TEST(never_grows_beyond_its_room)
{
	size_t n_packed = 0, n_again = 0;

	ck_assert_int_eq(compress_block(compressor, 3, text, SIZE, packed, 1000, &n_packed, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.msg, "compressing 300000 bytes: "));
	ck_assert_int_eq(compress_block(compressor, 3, text, SIZE, packed, sizeof(packed), &n_packed, &err), 0);
	(void)memset(again, 0x55, sizeof(again));
	ck_assert_int_eq(decompress_block(compressor, packed, n_packed, again, SIZE - 1, &n_again, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.msg, "not one block of at most 299999 bytes"));
	ck_assert_uint_eq(again[0], 0x55);
}
END_TEST

START_TEST(only_one_whole_block)
{
	static const uint8_t skippable[] = { 0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 'x' };
	size_t n_packed = 0, n_again = 0;

	ck_assert_int_eq(decompress_block(compressor, packed, 0, again, SIZE, &n_again, &err), -1);
	ck_assert_int_eq(decompress_block(compressor, skippable, sizeof(skippable), again, SIZE, &n_again, &err), -1);
	ck_assert_int_eq(compress_block(compressor, 3, text, 2000, packed, sizeof(packed), &n_packed, &err), 0);
	for (size_t n = 0; n < n_packed; n++)
		ck_assert_int_eq(decompress_block(compressor, packed, n, again, SIZE, &n_again, &err), -1);
	(void)memcpy(packed + n_packed, packed, n_packed);
	ck_assert_int_eq(decompress_block(compressor, packed, n_packed + 1, again, SIZE, &n_again, &err), -1);
	ck_assert_int_eq(decompress_block(compressor, packed, 2 * n_packed, again, SIZE, &n_again, &err), -1);
	ck_assert_int_eq(decompress_block(compressor, packed, n_packed, again, SIZE, &n_again, &err), 0);
}
END_TEST

/* without a checksum damage may pass for text, but never for more of it than there is room */
START_TEST(damage_stays_within_its_room)
{
	size_t n_packed = 0, n_again = 0, refused = 0;

	ck_assert_int_eq(compress_block(compressor, 3, text, 2000, packed, sizeof(packed), &n_packed, &err), 0);
	for (size_t bit = 0; bit < 8 * n_packed; bit++) {
		packed[bit / 8] ^= (uint8_t)(1u << bit % 8);
		(void)memset(again + 2000, 0x55, 1000);
		if (decompress_block(compressor, packed, n_packed, again, 2000, &n_again, &err) != 0)
			refused++;
		else
			ck_assert_uint_le(n_again, 2000);
		ck_assert_int_eq(memcmp(again + 2000, again + 2001, 999), 0);
		ck_assert_uint_eq(again[2000], 0x55);
		packed[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	ck_assert_uint_gt(refused, 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("compress");
	TCase *tc = tcase_create("compress");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, comes_back, 0, 7);
	tcase_add_test(tc, never_grows_beyond_its_room);
	tcase_add_test(tc, only_one_whole_block);
	tcase_add_test(tc, damage_stays_within_its_room);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
