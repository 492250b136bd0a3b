#include "keys/kcv.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/secret.h"
#include "svc/crypt.h"

int
kcv_of(const uint8_t key[32], uint8_t ret[KCV_SIZE], struct err *err)
{
	static const char purpose[] = "expunge/kcv/v1", text[] = "kcv";
	CLEANUP(secret_erase) struct secret derived = SECRET_INIT;
	uint8_t mac[SHA256_SIZE];

	secret_new(&derived, SHA256_SIZE);
	if (crypt_hkdf_expand(key, 32, purpose, strlen(purpose), derived.bytes, derived.n, err) != 0 ||
	    crypt_hmac_sha256(&derived, text, strlen(text), mac, err) != 0)
		return err_prefix(err, "computing the check value of a key");
	(void)memcpy(ret, mac, KCV_SIZE);
	return 0;
}
