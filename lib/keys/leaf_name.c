#include "keys/leaf_name.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "base/bytes.h"
#include "base/secret.h"
#include "svc/crypt.h"

#define DOMAIN "expunge/leaf-name/v1"
#define DOMAIN_SIZE (sizeof(DOMAIN) - 1)

static void
compose_aad(uint8_t aad[DOMAIN_SIZE + 8], int64_t leaf)
{
	(void)memcpy(aad, DOMAIN, DOMAIN_SIZE);
	bytes_put_u64(aad + DOMAIN_SIZE, (uint64_t)leaf);
}

int
leaf_name_seal(const uint8_t key[PAGE_KEY_SIZE], int64_t leaf, const char *name, uint8_t ret[LEAF_NAME_SEALED_MAX],
	size_t *ret_n, struct err *err)
{
	uint8_t derived[AES256_KEY_SIZE], aad[DOMAIN_SIZE + 8];
	const struct gcm gcm = { .key = derived, .nonce = ret, .aad = aad, .n_aad = sizeof(aad) };
	size_t n = strlen(name);
	int failed;

	if (n > LEAF_NAME_MAX)
		return err_set(err, ERR_FAILED, "leaf key %" PRId64 ": its name is longer than %d bytes", leaf, LEAF_NAME_MAX);
	compose_aad(aad, leaf);
	failed = crypt_random(ret, GCM_NONCE_SIZE, err) != 0 ||
		crypt_hkdf_expand(key, PAGE_KEY_SIZE, DOMAIN, DOMAIN_SIZE, derived, sizeof(derived), err) != 0 ||
		crypt_gcm_seal(&gcm, name, n, ret + GCM_NONCE_SIZE, err) != 0;
	secret_wipe(derived, sizeof(derived));
	*ret_n = GCM_NONCE_SIZE + n + GCM_TAG_SIZE;
	return failed ? -1 : 0;
}

int
leaf_name_open(const uint8_t key[PAGE_KEY_SIZE], int64_t leaf, const uint8_t *sealed, size_t n,
	char ret[LEAF_NAME_MAX + 1], struct err *err)
{
	uint8_t derived[AES256_KEY_SIZE], aad[DOMAIN_SIZE + 8];
	const struct gcm gcm = { .key = derived, .nonce = sealed, .aad = aad, .n_aad = sizeof(aad) };
	bool authentic = false;
	int failed;

	if (n < GCM_NONCE_SIZE + GCM_TAG_SIZE || n > LEAF_NAME_SEALED_MAX)
		return err_set(err, ERR_FAILED, "leaf key %" PRId64 ": its sealed name has a wrong size", leaf);
	compose_aad(aad, leaf);
	failed = crypt_hkdf_expand(key, PAGE_KEY_SIZE, DOMAIN, DOMAIN_SIZE, derived, sizeof(derived), err) != 0 ||
		crypt_gcm_open(&gcm, sealed + GCM_NONCE_SIZE, n - GCM_NONCE_SIZE, (uint8_t *)ret, &authentic, err) != 0;
	secret_wipe(derived, sizeof(derived));
	if (failed)
		return -1;
	if (!authentic)
		return err_set(err, ERR_FAILED, "leaf key %" PRId64 ": its sealed name is another leaf's, or was altered", leaf);
	ret[n - GCM_NONCE_SIZE - GCM_TAG_SIZE] = '\0';
	return 0;
}
