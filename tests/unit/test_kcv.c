/* keys: the check value of a key, against values computed by openssl kdf and openssl dgst. */
#include "evidence.h"

#include "base/bytes.h"
#include "keys/kcv.h"

static const struct {
	const char *key, *kcv;
} cases[] = {
	{ "0000000000000000000000000000000000000000000000000000000000000000", "bd0550a89d1d0837307e61a03aefc60c" },
	{ "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "f403de45e116557e7829223d8c976252" },
	{ "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", "16ae90d9d2bf749c605331ac64b06050" },
};

START_TEST(others_compute_the_same)
{
	uint8_t key[32], kcv[KCV_SIZE];
	char text[2 * KCV_SIZE + 1];
	struct err err = { 0 };

	ck_assert_int_eq(bytes_from_hex(cases[_i].key, key, sizeof(key)), 0);
	ck_assert_msg(kcv_of(key, kcv, &err) == 0, "%s", err.msg);
	bytes_to_hex(kcv, sizeof(kcv), text);
	ck_assert_str_eq(text, cases[_i].kcv);
}
END_TEST

int
main(void)
{
	TCase *tests = tcase_create("all");

	tcase_add_loop_test(tests, others_compute_the_same, 0, (int)(sizeof(cases) / sizeof(cases[0])));
	return run_suite("kcv", tests);
}
