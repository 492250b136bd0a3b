/* Keys on a token: found, made, used, destroyed. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "svc/token_private.h"

#define FOUND_AT_ONCE 16
#define KEYS_MAX 100000 /* a module that never ends its list is broken */
#define NAME_MAX_BYTES 255

struct handles {
	CK_OBJECT_HANDLE *items;
	size_t n;
};

static void
handles_release(struct handles *handles)
{
	free(handles->items);
}

/* ---- finding keys -------------------------------------------------------------------------- */

static int
collect(const struct token *token, struct handles *ret, struct err *err)
{
	CK_OBJECT_HANDLE found[FOUND_AT_ONCE];
	CK_ULONG n = 1;

	while (n > 0 && ret->n < KEYS_MAX) {
		CK_RV rv = token->p11->C_FindObjects(token->session, found, FOUND_AT_ONCE, &n);

		if (rv != CKR_OK)
			return token_fail(token, "looking for keys", rv, err);
		for (CK_ULONG i = 0; i < n && i < FOUND_AT_ONCE; i++)
			*MEM_PUSH(ret->items, ret->n) = found[i];
	}
	return n == 0 ? 0 : err_set(err, ERR_FAILED, "%s: looking for keys: there is no end to them", token->called);
}

/* All secret keys, or (name not NULL) those of this name. */
static int
find(const struct token *token, const char *name, struct handles *ret, struct err *err)
{
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_BBOOL yes = CK_TRUE;
	CK_ATTRIBUTE template[] = {
		{ CKA_CLASS, &class, sizeof(class) },
		{ CKA_TOKEN, &yes, sizeof(yes) },
		{ CKA_LABEL, (void *)(uintptr_t)name, name == NULL ? 0 : strlen(name) },
	};
	CK_RV rv = token->p11->C_FindObjectsInit(token->session, template, name == NULL ? 2 : 3);
	int failed;

	if (rv != CKR_OK)
		return token_fail(token, "looking for keys", rv, err);
	failed = collect(token, ret, err);
	rv = token->p11->C_FindObjectsFinal(token->session);
	/* a search that did not end well may not have found all */
	return failed != 0 || rv == CKR_OK ? failed : token_fail(token, "looking for keys", rv, err);
}

/* The label of a key; NULL, without an error, if it is too long to be one of ours. */
static int
read_name(const struct token *token, CK_OBJECT_HANDLE key, char **ret, struct err *err)
{
	char text[NAME_MAX_BYTES + 1] = "";
	CK_ATTRIBUTE label = { CKA_LABEL, text, NAME_MAX_BYTES };
	CK_RV rv = token->p11->C_GetAttributeValue(token->session, key, &label, 1);

	if (rv == CKR_BUFFER_TOO_SMALL || rv == CKR_ATTRIBUTE_TYPE_INVALID || rv == CKR_ATTRIBUTE_SENSITIVE)
		return 0;
	if (rv != CKR_OK || label.ulValueLen > NAME_MAX_BYTES)
		return token_fail(token, "reading the name of a key", rv, err);
	*ret = mem_copy_n(text, label.ulValueLen);
	return 0;
}

int
token_list(struct token *token, const char *prefix, struct token_names *ret, struct err *err)
{
	CLEANUP(handles_release) struct handles keys = { 0 };

	if (find(token, NULL, &keys, err) != 0)
		return -1;
	for (size_t i = 0; i < keys.n; i++) {
		CLEANUP(free_text) char *name = NULL;

		if (read_name(token, keys.items[i], &name, err) != 0)
			return -1;
		if (name != NULL && strncmp(name, prefix, strlen(prefix)) == 0)
			*MEM_PUSH(ret->names, ret->n) = TAKE_PTR(name);
	}
	return 0;
}

void
token_names_release(struct token_names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->names[i]);
	free(names->names);
	*names = (struct token_names){ 0 };
}

/* *ret: the token made it and says that it never left, nor can. What it does not say of a key is not so. */
static int
is_ours(const struct token *token, CK_OBJECT_HANDLE key, bool *ret, struct err *err)
{
	enum { N = 5 };
	static const CK_ATTRIBUTE_TYPE types[N] = { CKA_LOCAL, CKA_SENSITIVE, CKA_ALWAYS_SENSITIVE, CKA_NEVER_EXTRACTABLE,
		CKA_EXTRACTABLE };
	static const CK_BBOOL wanted[N] = { CK_TRUE, CK_TRUE, CK_TRUE, CK_TRUE, CK_FALSE };
	CK_BBOOL values[N];
	CK_ATTRIBUTE attributes[N];
	CK_RV rv;

	for (size_t i = 0; i < N; i++) {
		values[i] = wanted[i] == CK_TRUE ? CK_FALSE : CK_TRUE;
		attributes[i] = (CK_ATTRIBUTE){ types[i], &values[i], sizeof(values[i]) };
	}
	rv = token->p11->C_GetAttributeValue(token->session, key, attributes, N);
	if (rv != CKR_OK && rv != CKR_ATTRIBUTE_TYPE_INVALID)
		return token_fail(token, "looking at a key", rv, err);
	*ret = memcmp(values, wanted, sizeof(values)) == 0;
	return 0;
}

static enum token_key
look(const struct token *token, const char *name, CK_OBJECT_HANDLE *ret, struct err *err)
{
	CLEANUP(handles_release) struct handles keys = { 0 };
	bool ours = true;

	if (find(token, name, &keys, err) != 0)
		return TOKEN_KEY_UNKNOWN;
	if (keys.n == 0) {
		(void)err_set(err, ERR_FAILED, "%s holds no key %s", token->called, name);
		return TOKEN_KEY_ABSENT;
	}
	for (size_t i = 0; i < keys.n && ours; i++)
		if (is_ours(token, keys.items[i], &ours, err) != 0)
			return TOKEN_KEY_UNKNOWN;
	if (!ours) {
		(void)err_set(err, ERR_REFUSED, "%s: key %s can be taken out of the token, or was brought into it", token->called, name);
		(void)err_hint(err, "ask who did that, and what the copy is: destroy it where it came from, and this one with the token's own tool");
		return TOKEN_KEY_FOREIGN;
	}
	if (keys.n > 1) {
		(void)err_set(err, ERR_REFUSED, "%s holds %zu keys %s", token->called, keys.n, name);
		(void)err_hint(err, "ask who copied it, and destroy the copy with the token's own tool");
		return TOKEN_KEY_SEVERAL;
	}
	*ret = keys.items[0];
	return TOKEN_KEY_OURS;
}

enum token_key
token_look(struct token *token, const char *name, struct err *err)
{
	CK_OBJECT_HANDLE key;

	return look(token, name, &key, err);
}

/* ---- making and destroying ----------------------------------------------------------------- */

int
token_make(struct token *token, const char *name, struct err *err)
{
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_ULONG size = 32;
	CK_ATTRIBUTE template[] = {
		{ CKA_LABEL, (void *)(uintptr_t)name, strlen(name) },
		{ CKA_VALUE_LEN, &size, sizeof(size) },
		{ CKA_TOKEN, &yes, sizeof(yes) },
		{ CKA_PRIVATE, &yes, sizeof(yes) },
		{ CKA_SENSITIVE, &yes, sizeof(yes) },
		{ CKA_EXTRACTABLE, &no, sizeof(no) },
		{ CKA_MODIFIABLE, &no, sizeof(no) },
		{ CKA_ENCRYPT, &yes, sizeof(yes) },
		{ CKA_DECRYPT, &yes, sizeof(yes) },
		{ CKA_WRAP, &no, sizeof(no) },
		{ CKA_UNWRAP, &no, sizeof(no) },
		{ CKA_DERIVE, &no, sizeof(no) },
	};
	CK_MECHANISM mechanism = { CKM_AES_KEY_GEN, NULL, 0 };
	CK_OBJECT_HANDLE key;
	CK_RV rv = token->p11->C_GenerateKey(token->session, &mechanism, template, sizeof(template) / sizeof(template[0]), &key);

	if (rv != CKR_OK)
		return token_fail(token, "making a key", rv, err);
	if (token_look(token, name, err) == TOKEN_KEY_OURS)
		return 0;
	(void)token->p11->C_DestroyObject(token->session, key);
	return err_prefix(err, "making a key");
}

int
token_destroy(struct token *token, const char *name, size_t *ret_n, struct err *err)
{
	CLEANUP(handles_release) struct handles keys = { 0 };
	size_t foreign = 0;

	*ret_n = 0;
	if (find(token, name, &keys, err) != 0)
		return -1;
	for (size_t i = 0; i < keys.n; i++) {
		bool ours;
		CK_RV rv;

		if (is_ours(token, keys.items[i], &ours, err) != 0)
			return -1;
		foreign += !ours;
		rv = ours ? token->p11->C_DestroyObject(token->session, keys.items[i]) : CKR_OK;
		if (rv != CKR_OK)
			return token_fail(token, "destroying a key", rv, err);
		*ret_n += ours;
	}
	if (foreign == 0)
		return 0;
	(void)err_set(err, ERR_FAILED, "%s: key %s can be taken out of the token, or was brought into it: a copy may be elsewhere",
		token->called, name);
	return err_hint(err, "find the copy and destroy it, then this key with the token's own tool, and run this again");
}

/* ---- sealing ------------------------------------------------------------------------------- */

/* The key that seals or opens; nothing but ours does. */
static int
take_key(const struct token *token, const char *name, CK_OBJECT_HANDLE *ret, struct err *err)
{
	return look(token, name, ret, err) == TOKEN_KEY_OURS ? 0 : -1;
}

static CK_GCM_PARAMS
gcm_of(struct token_seal *seal)
{
	return (CK_GCM_PARAMS){ seal->nonce, TOKEN_NONCE_SIZE, TOKEN_NONCE_SIZE * 8UL, (unsigned char *)(uintptr_t)seal->aad,
		seal->n_aad, TOKEN_TAG_SIZE * 8UL };
}

int
token_seal(struct token *token, const char *name, struct token_seal *seal, const uint8_t *text, size_t n, uint8_t *ret,
	struct err *err)
{
	CK_GCM_PARAMS gcm = gcm_of(seal);
	CK_MECHANISM mechanism = { CKM_AES_GCM, &gcm, sizeof(gcm) };
	CK_ULONG got = n + TOKEN_TAG_SIZE;
	CK_OBJECT_HANDLE key;
	CK_RV rv;

	if (take_key(token, name, &key, err) != 0)
		return -1;
	rv = token->p11->C_EncryptInit(token->session, &mechanism, key);
	if (rv == CKR_OK)
		rv = token->p11->C_Encrypt(token->session, (unsigned char *)(uintptr_t)text, n, ret, &got);
	if (rv != CKR_OK)
		return token_fail(token, "sealing a root share", rv, err);
	return got == n + TOKEN_TAG_SIZE ? 0 : token_fail(token, "sealing a root share", CKR_MECHANISM_PARAM_INVALID, err);
}

int
token_unseal(struct token *token, const char *name, const struct token_seal *seal, const uint8_t *sealed, size_t n,
	struct secret *ret, bool *ret_authentic, struct err *err)
{
	CLEANUP(secret_erase) struct secret text = SECRET_INIT;
	struct token_seal given = *seal;
	CK_GCM_PARAMS gcm = gcm_of(&given);
	CK_MECHANISM mechanism = { CKM_AES_GCM, &gcm, sizeof(gcm) };
	CK_OBJECT_HANDLE key;
	CK_ULONG got = n;
	CK_RV rv;

	*ret_authentic = false;
	if (take_key(token, name, &key, err) != 0)
		return -1;
	secret_new(&text, n); /* room for the tag: some modules write it there */
	rv = token->p11->C_DecryptInit(token->session, &mechanism, key);
	if (rv == CKR_OK)
		rv = token->p11->C_Decrypt(token->session, (unsigned char *)(uintptr_t)sealed, n, text.bytes, &got);
	if (rv == CKR_ENCRYPTED_DATA_INVALID)
		return 0;
	if (rv != CKR_OK)
		return token_fail(token, "opening a root share", rv, err);
	if (got != n - TOKEN_TAG_SIZE)
		return 0;
	secret_new(ret, got);
	(void)memcpy(ret->bytes, text.bytes, got);
	*ret_authentic = true;
	return 0;
}
