/* lib/svc crypt, against published vectors: FIPS 180, RFC 4231, RFC 5869, RFC 8032, AES-GCM of its authors. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "base/parse.h"
#include "svc/crypt.h"
#include "sys/file.h"

static struct err err;

/* n bytes of hexadecimal digits; the caller frees */
static uint8_t *
from_hex(const char *hex, size_t *ret_n)
{
	size_t n = strlen(hex) / 2;
	uint8_t *bytes = mem_zero(n, 1);

	ck_assert_int_eq(bytes_from_hex(hex, bytes, n), 0);
	*ret_n = n;
	return bytes;
}

static const struct {
	const char *text;
	size_t times;
	const char *digest;
} sha_cases[] = {
	{ "", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
	{ "abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
	{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
		"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
	{ "a", 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0" },
};

static void
free_digest(struct digest **digest)
{
	crypt_digest_free(*digest);
}

START_TEST(sha256_of_bytes_and_files)
{
	size_t n = strlen(sha_cases[_i].text) * sha_cases[_i].times;
	CLEANUP(free_text) char *bytes = mem_zero(n, 1);
	char path[] = "/tmp/expunge-sha.XXXXXX", text[72], hex[65];
	CLEANUP(free_digest) struct digest *streamed = NULL;
	uint8_t digest[SHA256_SIZE];
	int fd = mkstemp(path);

	for (size_t i = 0; i < n; i++)
		bytes[i] = sha_cases[_i].text[i % strlen(sha_cases[_i].text)];
	ck_assert_int_eq(crypt_sha256_text(bytes, n, text, &err), 0);
	ck_assert(parse_is_sha256(text));
	ck_assert_str_eq(text + 7, sha_cases[_i].digest);
	ck_assert_int_eq(crypt_digest_begin(&streamed, &err), 0);
	for (size_t at = 0; at < n; at += 70001)
		ck_assert_int_eq(crypt_digest_add(streamed, bytes + at, n - at < 70001 ? n - at : 70001, &err), 0);
	ck_assert_int_eq(crypt_digest_end(streamed, digest, &err), 0);
	bytes_to_hex(digest, sizeof(digest), hex);
	ck_assert_str_eq(hex, sha_cases[_i].digest);
	ck_assert_int_eq(write(fd, bytes, n), (ssize_t)n);
	(void)close(fd);
	ck_assert_int_eq(crypt_sha256_file(path, digest, &err), 0);
	(void)unlink(path);
	bytes_to_hex(digest, sizeof(digest), hex);
	ck_assert_str_eq(hex, sha_cases[_i].digest);
	ck_assert_int_eq(crypt_sha256_file(path, digest, &err), -1);
}
END_TEST

static const struct {
	const char *key, *data, *mac;
} hmac_cases[] = { /* RFC 4231, cases 1, 2, 3, 4, 6, 7 */
	{ "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "4869205468657265",
		"b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" },
	{ "4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
		"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
	{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		"dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd",
		"773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe" },
	{ "0102030405060708090a0b0c0d0e0f10111213141516171819",
		"cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd",
		"82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b" },
	{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		"54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a65204b6579202d2048617368204b6579204669727374",
		"60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54" },
};

START_TEST(hmac_follows_rfc_4231)
{
	struct secret key = SECRET_INIT;
	uint8_t mac[SHA256_SIZE];
	char hex[65];
	size_t n;
	uint8_t *data = from_hex(hmac_cases[_i].data, &n);

	key.bytes = from_hex(hmac_cases[_i].key, &key.n);
	ck_assert_int_eq(crypt_hmac_sha256(&key, data, n, mac, &err), 0);
	bytes_to_hex(mac, sizeof(mac), hex);
	ck_assert_str_eq(hex, hmac_cases[_i].mac);
	secret_erase(&key);
	ck_assert_int_eq(crypt_hmac_sha256(&key, data, n, mac, &err), -1); /* no key */
	free(data);
}
END_TEST

static const struct {
	const char *key, *info, *okm;
} hkdf_cases[] = { /* RFC 5869 appendix A, the second step of cases 1, 2 and 3 */
	{ "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5", "f0f1f2f3f4f5f6f7f8f9",
		"3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865" },
	{ "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
		"b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5"
		"e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
		"b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f09"
		"b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87" },
	{ "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04", "",
		"8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8" },
};

START_TEST(hkdf_expand_follows_rfc_5869)
{
	size_t n_key, n_info, n;
	uint8_t *key = from_hex(hkdf_cases[_i].key, &n_key), *info = from_hex(hkdf_cases[_i].info, &n_info);
	uint8_t *expected = from_hex(hkdf_cases[_i].okm, &n), *okm = mem_zero(n, 1);

	ck_assert_msg(crypt_hkdf_expand(key, n_key, info, n_info, okm, n, &err) == 0, "%s", err.msg);
	ck_assert_mem_eq(okm, expected, n);
	free(key);
	free(info);
	free(expected);
	free(okm);
}
END_TEST

static const struct {
	const char *key, *nonce, *aad, *text, *sealed;
} gcm_cases[] = { /* McGrew and Viega, "The Galois/Counter Mode of Operation", appendix B, cases 13 to 16 */
	{ "0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000", "", "",
		"530f8afbc74536b9a963b4f1c4cb738b" },
	{ "0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000", "",
		"00000000000000000000000000000000", "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919" },
	{ "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888", "",
		"d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657"
		"ba637b391aafd255",
		"522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0a"
		"bcc9f662898015adb094dac5d93471bdec1a502270e3cc6c" },
	{ "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
		"feedfacedeadbeeffeedfacedeadbeefabaddad2",
		"d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657"
		"ba637b39",
		"522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0a"
		"bcc9f66276fc6ece0f4e1768cddf8853bb2d551b" },
};

START_TEST(gcm_follows_its_vectors_and_sees_every_flipped_bit)
{
	size_t n, n_aad, unused;
	uint8_t *key = from_hex(gcm_cases[_i].key, &unused), *nonce = from_hex(gcm_cases[_i].nonce, &unused);
	uint8_t *aad = from_hex(gcm_cases[_i].aad, &n_aad), *text = from_hex(gcm_cases[_i].text, &n);
	uint8_t *expected = from_hex(gcm_cases[_i].sealed, &unused), sealed[128], opened[128];
	struct gcm gcm = { .key = key, .nonce = nonce, .aad = aad, .n_aad = n_aad };
	bool authentic;

	ck_assert_int_eq(crypt_gcm_seal(&gcm, text, n, sealed, &err), 0);
	ck_assert_mem_eq(sealed, expected, n + GCM_TAG_SIZE);
	ck_assert_int_eq(crypt_gcm_open(&gcm, sealed, n + GCM_TAG_SIZE, opened, &authentic, &err), 0);
	ck_assert(authentic);
	ck_assert_mem_eq(opened, text, n);
	for (size_t bit = 0; bit < 8 * (n + GCM_TAG_SIZE); bit++) {
		sealed[bit / 8] ^= (uint8_t)(1U << bit % 8);
		ck_assert_int_eq(crypt_gcm_open(&gcm, sealed, n + GCM_TAG_SIZE, opened, &authentic, &err), 0);
		ck_assert(!authentic);
		sealed[bit / 8] ^= (uint8_t)(1U << bit % 8);
	}
	for (size_t bit = 0; bit < 8 * n_aad; bit++) {
		aad[bit / 8] ^= (uint8_t)(1U << bit % 8);
		ck_assert_int_eq(crypt_gcm_open(&gcm, sealed, n + GCM_TAG_SIZE, opened, &authentic, &err), 0);
		ck_assert(!authentic);
		aad[bit / 8] ^= (uint8_t)(1U << bit % 8);
	}
	ck_assert_int_eq(crypt_gcm_open(&gcm, sealed, GCM_TAG_SIZE - 1, opened, &authentic, &err), 0);
	ck_assert(!authentic);
	free(key);
	free(nonce);
	free(aad);
	free(text);
	free(expected);
}
END_TEST

static const struct {
	const char *seed, *public, *message, *signature;
} eddsa_cases[] = { /* RFC 8032 section 7.1, tests 1, 2, 3 and SHA(abc) */
	{ "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
		"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
		"e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b" },
	{ "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
		"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
		"92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00" },
	{ "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
		"fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
		"6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a" },
	{ "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
		"ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
		"ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
		"dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704" },
};

/* the PKCS#8 PEM of a seed (RFC 8410): a fixed prefix and the 32 bytes */
static char *
pem_of_seed(const char *seed_hex)
{
	uint8_t der[48];
	struct str pem = STR_INIT;

	ck_assert_int_eq(bytes_from_hex("302e020100300506032b657004220420", der, 16), 0);
	ck_assert_int_eq(bytes_from_hex(seed_hex, der + 16, 32), 0);
	str_add(&pem, "-----BEGIN PRIVATE KEY-----\n");
	bytes_add_base64(&pem, der, sizeof(der));
	str_add(&pem, "\n-----END PRIVATE KEY-----\n");
	return str_take(&pem);
}

START_TEST(ed25519_follows_rfc_8032)
{
	CLEANUP(crypt_signer_freep) struct signer *signer = NULL;
	CLEANUP(free_text) char *pem = pem_of_seed(eddsa_cases[_i].seed);
	uint8_t public[ED25519_KEY_SIZE], signature[ED25519_SIGNATURE_SIZE];
	char hex[2 * ED25519_SIGNATURE_SIZE + 1];
	size_t n;
	uint8_t *message = from_hex(eddsa_cases[_i].message, &n);

	ck_assert_msg(crypt_signer_from_pem(&signer, pem, strlen(pem), &err) == 0, "%s", err.msg);
	ck_assert_int_eq(crypt_signer_public(signer, public, &err), 0);
	bytes_to_hex(public, sizeof(public), hex);
	ck_assert_str_eq(hex, eddsa_cases[_i].public);
	ck_assert_int_eq(crypt_sign(signer, message, n, signature, &err), 0);
	bytes_to_hex(signature, sizeof(signature), hex);
	ck_assert_str_eq(hex, eddsa_cases[_i].signature);
	ck_assert_int_eq(crypt_verify(public, message, n, signature, &err), 0);
	for (size_t bit = 0; bit < 8 * sizeof(signature); bit += 7) {
		signature[bit / 8] ^= (uint8_t)(1U << bit % 8);
		ck_assert_int_eq(crypt_verify(public, message, n, signature, &err), -1);
		ck_assert_int_eq(err.code, ERR_FAILED);
		signature[bit / 8] ^= (uint8_t)(1U << bit % 8);
	}
	public[0] ^= 1;
	ck_assert_int_eq(crypt_verify(public, message, n, signature, &err), -1);
	free(message);
}
END_TEST

START_TEST(keys_survive_their_pem)
{
	CLEANUP(crypt_signer_freep) struct signer *signer = NULL, *again = NULL;
	CLEANUP(secret_erase) struct secret pem = SECRET_INIT;
	CLEANUP(free_text) char *public_pem = NULL;
	uint8_t a[ED25519_KEY_SIZE], b[ED25519_KEY_SIZE], c[ED25519_KEY_SIZE];

	ck_assert_int_eq(crypt_signer_generate(&signer, &err), 0);
	ck_assert_int_eq(crypt_signer_to_pem(signer, &pem, &err), 0);
	ck_assert_int_eq(crypt_signer_from_pem(&again, (const char *)pem.bytes, pem.n, &err), 0);
	ck_assert_int_eq(crypt_signer_public_pem(signer, &public_pem, &err), 0);
	ck_assert_int_eq(crypt_signer_public(signer, a, &err), 0);
	ck_assert_int_eq(crypt_signer_public(again, b, &err), 0);
	ck_assert_int_eq(crypt_public_from_pem(public_pem, strlen(public_pem), c, &err), 0);
	ck_assert(memcmp(a, b, sizeof(a)) == 0 && memcmp(a, c, sizeof(a)) == 0);
}
END_TEST

static const struct {
	const char *name, *pem;
} bad_keys[] = {
	{ "empty", "" },
	{ "text", "hello" },
	{ "a public key", "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
			  "-----END PUBLIC KEY-----\n" },
	{ "X25519", "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VuBCIEIHcHbQpzGKV9PBbBclGyZkXfTC+H68CZKrF3+6UduSwq\n"
		    "-----END PRIVATE KEY-----\n" },
	{ "cut short", "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v\n-----END PRIVATE KEY-----\n" },
	{ "encrypted", "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
		       "MIGjMF8GCSqGSIb3DQEFDTBSMDEGCSqGSIb3DQEFDDAkBBCRSwEgs9qFTPuxaYwR\n"
		       "-----END ENCRYPTED PRIVATE KEY-----\n" },
};

START_TEST(other_keys_are_refused)
{
	CLEANUP(crypt_signer_freep) struct signer *signer = NULL;
	uint8_t raw[ED25519_KEY_SIZE];

	ck_assert_msg(crypt_signer_from_pem(&signer, bad_keys[_i].pem, strlen(bad_keys[_i].pem), &err) == -1, "%s",
		bad_keys[_i].name);
	ck_assert_int_eq(err.code, ERR_FAILED);
	ck_assert_ptr_null(signer);
	if (_i != 2)
		ck_assert_int_eq(crypt_public_from_pem(bad_keys[_i].pem, strlen(bad_keys[_i].pem), raw, &err), -1);
}
END_TEST

START_TEST(openssl_accepts_our_signature)
{
	char directory[] = "/tmp/expunge-sign.XXXXXX";
	CLEANUP(crypt_signer_freep) struct signer *signer = NULL;
	CLEANUP(free_text) char *pem = NULL, *body = NULL, *sig = NULL, *key = NULL, *command = NULL, *clean = NULL;
	uint8_t signature[ED25519_SIGNATURE_SIZE];

	ck_assert_ptr_nonnull(mkdtemp(directory));
	body = file_join(directory, "body");
	sig = file_join(directory, "sig");
	key = file_join(directory, "key");
	ck_assert_int_eq(crypt_signer_generate(&signer, &err), 0);
	ck_assert_int_eq(crypt_sign(signer, "certificate\n", 12, signature, &err), 0);
	ck_assert_int_eq(crypt_signer_public_pem(signer, &pem, &err), 0);
	ck_assert_int_eq(file_write(body, "certificate\n", 12, 0600, true, &err), 0);
	ck_assert_int_eq(file_write(sig, signature, sizeof(signature), 0600, true, &err), 0);
	ck_assert_int_eq(file_write(key, pem, strlen(pem), 0600, true, &err), 0);
	command = mem_printf("openssl pkeyutl -verify -rawin -in %s -sigfile %s -pubin -inkey %s >/dev/null", body, sig, key);
	ck_assert_int_eq(system(command), 0);
	ck_assert_int_eq(file_write(body, "Certificate\n", 12, 0600, false, &err), 0);
	ck_assert_int_ne(system(command), 0);
	clean = mem_printf("rm -rf -- %s", directory);
	ck_assert_int_eq(system(clean), 0);
}
END_TEST

START_TEST(random_values_differ)
{
	uint8_t a[32] = { 0 }, b[32] = { 0 };
	char first[37], second[37];

	ck_assert_int_eq(crypt_random(a, sizeof(a), &err), 0);
	ck_assert_int_eq(crypt_random(b, sizeof(b), &err), 0);
	ck_assert(memcmp(a, b, sizeof(a)) != 0);
	ck_assert_int_eq(crypt_uuid(first, &err), 0);
	ck_assert_int_eq(crypt_uuid(second, &err), 0);
	ck_assert(parse_is_uuid(first));
	ck_assert_int_eq(first[14], '4');
	ck_assert_ptr_nonnull(strchr("89ab", first[19]));
	ck_assert_str_ne(first, second);
}
END_TEST

START_TEST(start_forbids_core_dumps)
{
	const char *warning = "unset";
	struct rlimit limit;

	ck_assert_int_eq(crypt_start(&warning, &err), 0);
	ck_assert(warning == NULL || strstr(warning, "swap") != NULL);
	ck_assert_int_eq(getrlimit(RLIMIT_CORE, &limit), 0);
	ck_assert_uint_eq(limit.rlim_max, 0);
	ck_assert_int_eq(crypt_start(&warning, &err), 0); /* a second time does no harm */
	ck_assert_int_eq(strncmp(crypt_version(), "OpenSSL 3", 9), 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("crypt");
	TCase *c = tcase_create("crypt");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(c, sha256_of_bytes_and_files, 0, (int)(sizeof(sha_cases) / sizeof(sha_cases[0])));
	tcase_add_loop_test(c, hmac_follows_rfc_4231, 0, (int)(sizeof(hmac_cases) / sizeof(hmac_cases[0])));
	tcase_add_loop_test(c, hkdf_expand_follows_rfc_5869, 0, (int)(sizeof(hkdf_cases) / sizeof(hkdf_cases[0])));
	tcase_add_loop_test(c, gcm_follows_its_vectors_and_sees_every_flipped_bit, 0, (int)(sizeof(gcm_cases) / sizeof(gcm_cases[0])));
	tcase_add_loop_test(c, ed25519_follows_rfc_8032, 0, (int)(sizeof(eddsa_cases) / sizeof(eddsa_cases[0])));
	tcase_add_test(c, keys_survive_their_pem);
	tcase_add_loop_test(c, other_keys_are_refused, 0, (int)(sizeof(bad_keys) / sizeof(bad_keys[0])));
	tcase_add_test(c, openssl_accepts_our_signature);
	tcase_add_test(c, random_values_differ);
	tcase_add_test(c, start_forbids_core_dumps);
	suite_add_tcase(suite, c);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
