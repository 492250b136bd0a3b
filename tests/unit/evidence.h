/* evidence: what the tests of lib/evidence share. Paths are relative to the root of the checkout. */
#ifndef EXPUNGE_TESTS_EVIDENCE_H
#define EXPUNGE_TESTS_EVIDENCE_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "evidence/certificate.h"
#include "evidence/note.h"
#include "svc/crypt.h"

#define EXAMPLE "doc/certificate-example.note"
#define EXAMPLE_PEM "doc/certificate-example.pem"
#define EXAMPLE_NAME "certificates.expunge.example"
#define HASH "sha256:41c7e05fd29b8a36e1f4709c5b82da63f0978ec4125ab3d76e80f91c24b5d73a"

/* a whole file, NUL-terminated; the caller frees */
static inline char *
slurp(const char *path, size_t *ret_n)
{
	FILE *in = fopen(path, "re");
	char *bytes = NULL;
	size_t n = 0, got;

	ck_assert_msg(in != NULL, "open %s", path);
	do {
		bytes = mem_resize(bytes, n + 65537, 1);
		got = fread(bytes + n, 1, 65536, in);
		n += got;
	} while (got > 0);
	(void)fclose(in);
	bytes[n] = '\0';
	if (ret_n != NULL)
		*ret_n = n;
	return bytes;
}

/* the example's public key */
static inline struct note_key
example_key(void)
{
	struct note_key key;
	uint8_t raw[ED25519_KEY_SIZE];
	struct err err = { 0 };
	size_t n;
	char *pem = slurp(EXAMPLE_PEM, &n);

	ck_assert_msg(crypt_public_from_pem(pem, n, raw, &err) == 0, "%s", err.msg);
	ck_assert_int_eq(note_key_init(&key, EXAMPLE_NAME, raw, &err), 0);
	free(pem);
	return key;
}

/* a certificate of an erasure, with something in most fields; released by the caller */
static inline struct certificate
sample_certificate(void)
{
	struct certificate c = CERTIFICATE_INIT;

	c.serial = 7;
	c.id = mem_copy("00112233445566778899aabbccddeeff");
	c.kind = CERTIFICATE_SUBJECT_ERASURE;
	c.stage = CERTIFICATE_INTERIM;
	c.outcome = CERTIFICATE_WITH_EXCLUSIONS;
	c.controller = mem_copy("practice 2");
	c.processor = mem_copy("Example Practice Software Ltd, ICO registration ZA000000");
	c.subject_ref = mem_copy(HASH);
	c.ground = certificate_ground("17-1-b");
	c.received = mem_copy("2026-09-03T10:00:00Z");
	c.identified = mem_copy("2026-09-03T09:59:00Z");
	c.due = mem_copy("2026-10-05T22:59:59Z");
	c.decided = mem_copy("2026-09-04T08:31:55Z");
	c.executed = mem_copy("2026-09-14T01:15:07Z");
	c.zone = mem_copy("Europe/London");
	*MEM_PUSH(c.approvers, c.n_approvers) = (struct certificate_approver){
		mem_copy("expunge_approver"), mem_copy("3f9c27d1a05be8664c12f7903bd8ae51") };
	*MEM_PUSH(c.approvers, c.n_approvers) = (struct certificate_approver){ mem_copy("the other"), NULL };
	c.plan = mem_copy(HASH);
	c.holds_at = mem_copy("2026-09-14T01:15:07Z");
	*MEM_PUSH(c.live, c.n_live) = (struct certificate_live){ mem_copy("app.z"), 3, 1, 1, 1, 0, 0, 0 };
	*MEM_PUSH(c.live, c.n_live) = (struct certificate_live){ mem_copy("app.my table"), 3, 4, 0, 0, 1, 0, 2 };
	certificate_sort(&c);
	c.as_of = mem_copy("2026-09-14T01:15:09Z");
	c.as_of_lsn = mem_copy("0/3A7F2C8");
	*MEM_PUSH(c.retained, c.n_retained) = (struct certificate_retained){ mem_copy("financial"),
		mem_copy("UK-GDPR-17(3)(b)"), NULL };
	c.keys = (struct certificate_keys){ .destroyed = 2, .epoch_before = 118, .epoch_after = 119,
		.shares_destroyed = 2, .shares = 3 };
	*MEM_PUSH(c.keys.fingerprints, c.keys.n_fingerprints) = mem_copy("ffeeddccbbaa99887766554433221100");
	*MEM_PUSH(c.keys.drivers, c.keys.n_drivers) = mem_copy("file:ext4,");
	*MEM_PUSH(c.keys.drivers, c.keys.n_drivers) = mem_copy("pkcs11)");
	c.generations_unreadable = 4;
	*MEM_PUSH(c.residuals, c.n_residuals) = (struct certificate_store){ mem_copy("base backup"),
		mem_copy("2026-10-19"), CERTIFICATE_DECLARED };
	*MEM_PUSH(c.undeclared, c.n_undeclared) = (struct certificate_undeclared){ mem_copy("replication-slot"), 2 };
	c.told = 3;
	c.acknowledged = 2;
	c.pending = 1;
	c.recount = c.control = CERTIFICATE_PASS;
	c.closure = c.negative_drill = c.positive_drill = CERTIFICATE_NOT_RUN;
	c.level = CERTIFICATE_VACUUMED;
	for (size_t i = 0; certificate_standard_scope(i, false) != NULL; i++)
		*MEM_PUSH(c.out_of_scope, c.n_out_of_scope) = mem_copy(certificate_standard_scope(i, false));
	c.tool = (struct certificate_tool){ mem_copy("0.1.0"), mem_copy("unknown"), mem_copy(HASH),
		certificate_openssl_version("OpenSSL 3.0.19 27 Jan 2026"), mem_copy(HASH), mem_copy(HASH),
		7443985601234567890 };
	return c;
}

/* How far apart the cases of the longest loops are: 1, or what tests/memcheck.sh asks for. */
static inline size_t
stride(void)
{
	const char *text = getenv("EXPUNGE_TEST_STRIDE");

	return text == NULL ? 1 : (size_t)strtoul(text, NULL, 10);
}

static inline int
run_suite(const char *name, TCase *tests)
{
	Suite *suite = suite_create(name);
	SRunner *runner;
	int failed;

	tcase_set_timeout(tests, 120);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}

#endif
