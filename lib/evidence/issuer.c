#include "evidence/issuer.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "keys/signer_file.h"
#include "sys/file.h"

#define PEM_MAX 16384
#define CHECK_BYTES 16

int
issuer_create(const char *path, struct err *err)
{
	return signer_file_create(path, "issuer key", err);
}

int
issuer_open(struct issuer *ret, const char *path, const char *name, struct err *err)
{
	uint8_t key[ED25519_KEY_SIZE];

	*ret = (struct issuer)ISSUER_INIT;
	if (signer_file_open(&ret->signer, path, "issuer key", err) == 0 && crypt_signer_public(ret->signer, key, err) == 0 &&
	    note_key_init(&ret->key, name, key, err) == 0)
		return 0;
	issuer_release(ret);
	return -1;
}

void
issuer_release(struct issuer *issuer)
{
	note_key_release(&issuer->key);
	crypt_signer_free(issuer->signer);
	*issuer = (struct issuer)ISSUER_INIT;
}

int
issuer_public_pem(const struct issuer *issuer, char **ret, struct err *err)
{
	return crypt_signer_public_pem(issuer->signer, ret, err);
}

int
issuer_public_key(struct note_key *ret, const char *path, const char *name, struct err *err)
{
	CLEANUP(free_text) char *pem = NULL;
	uint8_t key[ED25519_KEY_SIZE];
	size_t n;

	*ret = (struct note_key){ 0 };
	if (file_read(path, PEM_MAX, &pem, &n, err) != 0)
		return err_prefix(err, "read public key");
	if (crypt_public_from_pem(pem, n, key, err) != 0)
		return err_prefix(err, "read public key %s", path);
	return note_key_init(ret, name, key, err);
}

int
issuer_sign(const struct issuer *issuer, struct str *note, const char *text, size_t n, struct err *err)
{
	const struct note_signer signer = { issuer->key.name, issuer->signer };

	return note_sign(note, text, n, &signer, 1, err);
}

struct field {
	const void *bytes;
	size_t n;
};

/* The fields, each preceded by its length so that no two lists have the same bytes. In memory that
 * is wiped: they name a person. */
static void
join(struct secret *ret, const struct field *fields, size_t n_fields)
{
	size_t total = 0;
	uint8_t *at;

	for (size_t i = 0; i < n_fields; i++)
		total += 4 + fields[i].n;
	secret_new(ret, total);
	at = ret->bytes;
	for (size_t i = 0; i < n_fields; i++) {
		bytes_put_u32(at, (uint32_t)fields[i].n);
		(void)memcpy(at + 4, fields[i].bytes, fields[i].n);
		at += 4 + fields[i].n;
	}
}

static struct field
text_field(const char *text)
{
	return (struct field){ text, strlen(text) };
}

int
issuer_subject_ref(const uint8_t salt[ISSUER_SALT_SIZE], const char *instance, const char *tenant,
	const char *request, const char *subject, char *ref, struct err *err)
{
	const struct field fields[] = { text_field("expunge/ref/v1"), { salt, ISSUER_SALT_SIZE },
		text_field(instance), text_field(tenant), text_field(request), text_field(subject) };
	CLEANUP(secret_erase) struct secret input = SECRET_INIT;

	if (*instance == '\0' || *tenant == '\0' || *request == '\0' || *subject == '\0')
		return err_set(err, ERR_FAILED, "make a subject reference: instance, tenant, request or subject is empty");
	join(&input, fields, sizeof(fields) / sizeof(fields[0]));
	return crypt_sha256_text(input.bytes, input.n, ref, err);
}

int
issuer_approver_check(const struct secret *key, const char *instance, const char *login, char *check,
	struct err *err)
{
	const struct field fields[] = { text_field("expunge/approver/v1"), text_field(instance), text_field(login) };
	CLEANUP(secret_erase) struct secret input = SECRET_INIT;
	uint8_t mac[SHA256_SIZE];

	join(&input, fields, sizeof(fields) / sizeof(fields[0]));
	if (crypt_hmac_sha256(key, input.bytes, input.n, mac, err) != 0)
		return -1;
	bytes_to_hex(mac, CHECK_BYTES, check);
	return 0;
}
