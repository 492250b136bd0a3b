#include "keys/page.h"

#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/secret.h"
#include "base/str.h"
#include "svc/crypt.h"

#define DOMAIN "expunge/page/v1"
#define CLEAR_SIZE (8 + PAGE_SLOTS * PAGE_KEY_SIZE)

static void
add_field(struct str *aad, const void *bytes, size_t n)
{
	uint8_t length[4];

	bytes_put_u32(length, (uint32_t)n);
	str_add_n(aad, (const char *)length, sizeof(length));
	str_add_n(aad, bytes, n);
}

static void
add_number(struct str *aad, int64_t v)
{
	uint8_t bytes[8];

	bytes_put_u64(bytes, (uint64_t)v);
	add_field(aad, bytes, sizeof(bytes));
}

/* Each field after its length, so that no two places have the same bytes. */
static void
compose_aad(struct str *aad, const struct page_place *place)
{
	add_field(aad, DOMAIN, strlen(DOMAIN));
	add_field(aad, place->instance, strlen(place->instance));
	add_field(aad, place->tenant, strlen(place->tenant));
	add_number(aad, place->id);
	add_number(aad, place->parent);
	add_number(aad, place->slot);
	add_number(aad, place->level);
	add_number(aad, place->epoch);
	add_field(aad, place->kcv, sizeof(place->kcv));
}

static int
seal_clear(const struct page_place *place, const uint8_t *key, const uint8_t *clear, uint8_t *sealed, struct err *err)
{
	CLEANUP(str_release) struct str aad = STR_INIT;
	uint8_t derived[AES256_KEY_SIZE];
	struct gcm gcm = { .key = derived, .nonce = sealed };
	int failed;

	compose_aad(&aad, place);
	gcm.aad = aad.s;
	gcm.n_aad = aad.len;
	failed = crypt_random(sealed, GCM_NONCE_SIZE, err) != 0 ||
		crypt_hkdf_expand(key, PAGE_KEY_SIZE, DOMAIN, strlen(DOMAIN), derived, sizeof(derived), err) != 0 ||
		crypt_gcm_seal(&gcm, clear, CLEAR_SIZE, sealed + GCM_NONCE_SIZE, err) != 0;
	secret_wipe(derived, sizeof(derived));
	return failed ? -1 : 0;
}

int
page_seal(const struct page_place *place, const uint8_t key[PAGE_KEY_SIZE], const struct page_keys *keys,
	uint8_t sealed[PAGE_SEALED_SIZE], struct err *err)
{
	uint8_t clear[CLEAR_SIZE];
	int failed;

	bytes_put_u64(clear, keys->live);
	for (int slot = 0; slot < PAGE_SLOTS; slot++) {
		uint8_t *at = clear + 8 + (size_t)slot * PAGE_KEY_SIZE;

		if (keys->live >> slot & 1)
			(void)memcpy(at, keys->slots[slot], PAGE_KEY_SIZE);
		else
			(void)memset(at, 0, PAGE_KEY_SIZE);
	}
	failed = seal_clear(place, key, clear, sealed, err);
	secret_wipe(clear, sizeof(clear));
	return failed != 0 ? err_prefix(err, "key page %lld", (long long)place->id) : 0;
}

static int
open_clear(const struct page_place *place, const uint8_t *key, const uint8_t *sealed, uint8_t *clear, bool *ret_authentic,
	struct err *err)
{
	CLEANUP(str_release) struct str aad = STR_INIT;
	uint8_t derived[AES256_KEY_SIZE];
	struct gcm gcm = { .key = derived, .nonce = sealed };
	int failed;

	compose_aad(&aad, place);
	gcm.aad = aad.s;
	gcm.n_aad = aad.len;
	failed = crypt_hkdf_expand(key, PAGE_KEY_SIZE, DOMAIN, strlen(DOMAIN), derived, sizeof(derived), err) != 0 ||
		crypt_gcm_open(&gcm, sealed + GCM_NONCE_SIZE, PAGE_SEALED_SIZE - GCM_NONCE_SIZE, clear, ret_authentic, err) != 0;
	secret_wipe(derived, sizeof(derived));
	return failed ? -1 : 0;
}

int
page_open(const struct page_place *place, const uint8_t key[PAGE_KEY_SIZE], const uint8_t sealed[PAGE_SEALED_SIZE],
	struct page_keys *ret, enum page_verdict *ret_verdict, struct err *err)
{
	uint8_t clear[CLEAR_SIZE], kcv[KCV_SIZE];
	bool authentic = false;

	if (kcv_of(key, kcv, err) != 0)
		return err_prefix(err, "key page %lld", (long long)place->id);
	*ret_verdict = PAGE_OTHER_KEY;
	if (!secret_equal(kcv, place->kcv, KCV_SIZE))
		return 0;
	if (open_clear(place, key, sealed, clear, &authentic, err) != 0)
		return err_prefix(err, "key page %lld", (long long)place->id);
	*ret_verdict = authentic ? PAGE_OPEN : PAGE_ALTERED;
	if (authentic) {
		ret->live = bytes_get_u64(clear);
		(void)memcpy(ret->slots, clear + 8, sizeof(ret->slots));
	}
	secret_wipe(clear, sizeof(clear));
	return 0;
}
