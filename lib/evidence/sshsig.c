#include "evidence/sshsig.h"

#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"

#define MAGIC "SSHSIG" /* six bytes, no NUL */
#define VERSION 1
#define KEY_TYPE "ssh-ed25519"
#define HASH "sha256"
#define ARMOR_WIDTH 70

static void
add_u32(struct str *blob, uint32_t v)
{
	uint8_t bytes[4];

	bytes_put_u32(bytes, v);
	str_add_n(blob, (const char *)bytes, sizeof(bytes));
}

/* an SSH "string": length, bytes */
static void
add_string(struct str *blob, const void *bytes, size_t n)
{
	add_u32(blob, (uint32_t)n);
	str_add_n(blob, bytes, n);
}

static void
add_typed(struct str *blob, const void *bytes, size_t n)
{
	add_string(blob, KEY_TYPE, strlen(KEY_TYPE));
	add_string(blob, bytes, n);
}

/* what the key really signs: never the text itself, so that no signature of one kind passes as another */
static int
sign_hash(const char *text, size_t n, const struct signer *signer, uint8_t ret[ED25519_SIGNATURE_SIZE],
	struct err *err)
{
	CLEANUP(str_release) struct str message = STR_INIT;
	uint8_t hash[SHA256_SIZE];

	if (crypt_sha256(text, n, hash, err) != 0)
		return -1;
	str_add(&message, MAGIC);
	add_string(&message, SSHSIG_NAMESPACE, strlen(SSHSIG_NAMESPACE));
	add_string(&message, "", 0);
	add_string(&message, HASH, strlen(HASH));
	add_string(&message, hash, sizeof(hash));
	return crypt_sign(signer, message.s, message.len, ret, err);
}

static void
add_armor(struct str *armored, const struct str *blob)
{
	CLEANUP(str_release) struct str base64 = STR_INIT;

	bytes_add_base64(&base64, (const uint8_t *)blob->s, blob->len);
	str_add(armored, "-----BEGIN SSH SIGNATURE-----\n");
	for (size_t at = 0; at < base64.len; at += ARMOR_WIDTH) {
		size_t left = base64.len - at;

		str_add_n(armored, base64.s + at, left < ARMOR_WIDTH ? left : ARMOR_WIDTH);
		str_add(armored, "\n");
	}
	str_add(armored, "-----END SSH SIGNATURE-----\n");
}

int
sshsig_sign(struct str *armored, const char *text, size_t n, const struct signer *signer, struct err *err)
{
	CLEANUP(str_release) struct str blob = STR_INIT;
	CLEANUP(str_release) struct str part = STR_INIT;
	uint8_t key[ED25519_KEY_SIZE], signature[ED25519_SIGNATURE_SIZE];

	str_clear(armored);
	if (crypt_signer_public(signer, key, err) != 0 || sign_hash(text, n, signer, signature, err) != 0)
		return err_prefix(err, "sign a note for ssh-keygen");
	str_add(&blob, MAGIC);
	add_u32(&blob, VERSION);
	add_typed(&part, key, sizeof(key));
	add_string(&blob, part.s, part.len);
	add_string(&blob, SSHSIG_NAMESPACE, strlen(SSHSIG_NAMESPACE));
	add_string(&blob, "", 0);
	add_string(&blob, HASH, strlen(HASH));
	str_clear(&part);
	add_typed(&part, signature, sizeof(signature));
	add_string(&blob, part.s, part.len);
	add_armor(armored, &blob);
	return 0;
}

int
sshsig_add_allowed_signer(struct str *line, const struct note_key *key, struct err *err)
{
	CLEANUP(str_release) struct str blob = STR_INIT;

	if (key->name[0] == '#' || strpbrk(key->name, "*?!,\"") != NULL)
		return err_set(err, ERR_USAGE, "the key's name %s would be a pattern in an allowed_signers file", key->name);
	add_typed(&blob, key->key, sizeof(key->key));
	str_addf(line, "%s namespaces=\"" SSHSIG_NAMESPACE "\" " KEY_TYPE " ", key->name);
	bytes_add_base64(line, (const uint8_t *)blob.s, blob.len);
	str_add(line, "\n");
	return 0;
}
