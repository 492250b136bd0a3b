#include "evidence/note.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "base/parse.h"

#define DASH "\xe2\x80\x94 " /* an em dash and a space */
#define DASH_SIZE 4
#define ALGORITHM_ED25519 0x01
#define KEY_SIZE (1 + ED25519_KEY_SIZE)

/* Unicode's white space beyond ASCII, as UTF-8; what plain text excludes anyway is left out */
static const char *const spaces[] = { " ", "\xc2\xa0", "\xe1\x9a\x80", "\xe2\x80\x80", "\xe2\x80\x81",
	"\xe2\x80\x82", "\xe2\x80\x83", "\xe2\x80\x84", "\xe2\x80\x85", "\xe2\x80\x86", "\xe2\x80\x87",
	"\xe2\x80\x88", "\xe2\x80\x89", "\xe2\x80\x8a", "\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80" };

bool
note_name_is_valid(const char *name)
{
	if (!parse_is_plain_text(name, NOTE_NAME_MAX) || strchr(name, '+') != NULL)
		return false;
	for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++)
		if (strstr(name, spaces[i]) != NULL)
			return false;
	return true;
}

static int
key_id(const char *name, const uint8_t key[ED25519_KEY_SIZE], uint8_t ret[NOTE_KEY_ID_SIZE], struct err *err)
{
	CLEANUP(str_release) struct str input = STR_INIT;
	uint8_t hash[SHA256_SIZE];

	str_add(&input, name);
	str_add_n(&input, "\n\x01", 2);
	str_add_n(&input, (const char *)key, ED25519_KEY_SIZE);
	if (crypt_sha256(input.s, input.len, hash, err) != 0)
		return -1;
	(void)memcpy(ret, hash, NOTE_KEY_ID_SIZE);
	return 0;
}

int
note_key_init(struct note_key *ret, const char *name, const uint8_t key[ED25519_KEY_SIZE], struct err *err)
{
	struct note_key made = { 0 };

	*ret = made;
	if (!note_name_is_valid(name))
		return err_set(err, ERR_USAGE, "a key's name must be plain text of 1 to %d bytes without \"+\" and spaces",
			NOTE_NAME_MAX);
	if (key_id(name, key, made.id, err) != 0)
		return -1;
	(void)memcpy(made.key, key, ED25519_KEY_SIZE);
	made.name = mem_copy(name);
	*ret = made;
	return 0;
}

void
note_key_release(struct note_key *key)
{
	free(key->name);
	*key = (struct note_key){ 0 };
}

void
note_key_add(struct str *text, const struct note_key *key)
{
	uint8_t typed[KEY_SIZE] = { ALGORITHM_ED25519 };
	char id[2 * NOTE_KEY_ID_SIZE + 1];

	bytes_to_hex(key->id, NOTE_KEY_ID_SIZE, id);
	(void)memcpy(typed + 1, key->key, ED25519_KEY_SIZE);
	str_addf(text, "%s+%s+", key->name, id);
	bytes_add_base64(text, typed, sizeof(typed));
}

int
note_key_parse(struct note_key *ret, const char *text, struct err *err)
{
	CLEANUP(free_text) char *name = NULL;
	CLEANUP(free_text) char *id_text = NULL;
	const char *id_at = strchr(text, '+');
	const char *key_at = id_at == NULL ? NULL : strchr(id_at + 1, '+');
	uint8_t typed[KEY_SIZE], id[NOTE_KEY_ID_SIZE];

	*ret = (struct note_key){ 0 };
	if (key_at == NULL || key_at - id_at != 2 * NOTE_KEY_ID_SIZE + 1)
		return err_set(err, ERR_USAGE, "a verifier key must read name+keyid+base64");
	name = mem_copy_n(text, (size_t)(id_at - text));
	id_text = mem_copy_n(id_at + 1, (size_t)2 * NOTE_KEY_ID_SIZE);
	if (bytes_from_hex(id_text, id, NOTE_KEY_ID_SIZE) != 0 ||
	    bytes_from_base64(key_at + 1, strlen(key_at + 1), typed, KEY_SIZE) != KEY_SIZE ||
	    typed[0] != ALGORITHM_ED25519)
		return err_set(err, ERR_USAGE, "a verifier key must read name+keyid+base64, of an Ed25519 key");
	if (note_key_init(ret, name, typed + 1, err) != 0)
		return -1;
	if (memcmp(ret->id, id, NOTE_KEY_ID_SIZE) != 0) {
		note_key_release(ret);
		return err_set(err, ERR_USAGE, "the key id of a verifier key does not belong to its name and key");
	}
	return 0;
}

/* UTF-8 without control characters but LF, a line at least, the last one ended */
static bool
is_text(const char *bytes, size_t n)
{
	if (n < 2 || bytes[n - 1] != '\n' || !parse_is_utf8(bytes, n))
		return false;
	for (size_t i = 0; i < n; i++)
		if (((unsigned char)bytes[i] < 0x20 && bytes[i] != '\n') || bytes[i] == 0x7f)
			return false;
	return true;
}

static int
add_signature(struct str *note, const char *text, size_t n, const struct note_signer *signer, struct err *err)
{
	uint8_t key[ED25519_KEY_SIZE], line[NOTE_KEY_ID_SIZE + ED25519_SIGNATURE_SIZE];

	if (!note_name_is_valid(signer->name))
		return err_set(err, ERR_USAGE, "sign a note: the key's name is not valid");
	if (crypt_signer_public(signer->signer, key, err) != 0 ||
	    key_id(signer->name, key, line, err) != 0 ||
	    crypt_sign(signer->signer, text, n, line + NOTE_KEY_ID_SIZE, err) != 0)
		return err_prefix(err, "sign a note");
	str_addf(note, DASH "%s ", signer->name);
	bytes_add_base64(note, line, sizeof(line));
	str_add(note, "\n");
	return 0;
}

int
note_sign(struct str *note, const char *text, size_t n, const struct note_signer *signers,
	size_t n_signers, struct err *err)
{
	str_clear(note);
	if (!is_text(text, n))
		return err_set(err, ERR_FAILED, "sign a note: its text is not UTF-8 lines without control characters");
	if (n_signers < 1 || n_signers > NOTE_SIGNATURES_MAX)
		return err_set(err, ERR_FAILED, "sign a note: %zu signers, 1 to %d", n_signers, NOTE_SIGNATURES_MAX);
	str_add_n(note, text, n);
	str_add(note, "\n");
	for (size_t i = 0; i < n_signers; i++)
		if (add_signature(note, text, n, &signers[i], err) != 0) {
			str_clear(note);
			return -1;
		}
	if (note->len > NOTE_SIZE_MAX) {
		str_clear(note);
		return err_set(err, ERR_FAILED, "sign a note: longer than %d bytes", NOTE_SIZE_MAX);
	}
	return 0;
}

/* one line, without its LF */
static int
parse_signature(struct note *note, const char *line, size_t n)
{
	const char *space = n <= DASH_SIZE || memcmp(line, DASH, DASH_SIZE) != 0
		? NULL : memchr(line + DASH_SIZE, ' ', n - DASH_SIZE);
	struct note_signature *s;
	size_t n_base64;
	long size;

	if (space == NULL || note->n_signatures == NOTE_SIGNATURES_MAX)
		return -1;
	s = MEM_PUSH(note->signatures, note->n_signatures);
	s->name = mem_copy_n(line + DASH_SIZE, (size_t)(space - line) - DASH_SIZE);
	n_base64 = n - (size_t)(space + 1 - line);
	s->bytes = mem_zero(n_base64, 1);
	size = bytes_from_base64(space + 1, n_base64, s->bytes, n_base64);
	if (!note_name_is_valid(s->name) || size <= NOTE_KEY_ID_SIZE)
		return -1;
	(void)memcpy(s->id, s->bytes, NOTE_KEY_ID_SIZE);
	s->n_bytes = (size_t)size - NOTE_KEY_ID_SIZE;
	(void)memmove(s->bytes, s->bytes + NOTE_KEY_ID_SIZE, s->n_bytes);
	return 0;
}

/* where the last blank line is, or n */
static size_t
find_blank(const char *bytes, size_t n)
{
	for (size_t i = n - 1; i > 0; i--)
		if (bytes[i] == '\n' && bytes[i - 1] == '\n')
			return i;
	return n;
}

static int
parse(struct note *note, const char *bytes, size_t n)
{
	size_t blank, at;

	if (n > NOTE_SIZE_MAX || !is_text(bytes, n))
		return -1;
	blank = find_blank(bytes, n);
	if (blank >= n - 1)
		return -1;
	note->text = mem_copy_n(bytes, blank);
	note->n = blank;
	for (at = blank + 1; at < n;) {
		size_t len = (size_t)((const char *)memchr(bytes + at, '\n', n - at) - (bytes + at));

		if (parse_signature(note, bytes + at, len) != 0)
			return -1;
		at += len + 1;
	}
	return 0;
}

int
note_parse(struct note *ret, const char *bytes, size_t n, struct err *err)
{
	*ret = (struct note)NOTE_INIT;
	if (parse(ret, bytes, n) == 0)
		return 0;
	note_release(ret);
	return err_set(err, ERR_FAILED, "malformed note: not text, a blank line and signature lines");
}

/* verifies one signature if its key is known */
static int
verify(const struct note *note, struct note_signature *s, const struct note_key *keys, size_t n_keys,
	struct err *err)
{
	for (size_t i = 0; i < n_keys; i++) {
		if (strcmp(keys[i].name, s->name) != 0 || memcmp(keys[i].id, s->id, NOTE_KEY_ID_SIZE) != 0)
			continue;
		if (s->n_bytes != ED25519_SIGNATURE_SIZE ||
		    crypt_verify(keys[i].key, note->text, note->n, s->bytes, NULL) != 0)
			return err_set(err, ERR_FAILED, "bad signature of %s: the note was altered, or not signed by this key",
				s->name);
		s->verified = true;
		s->key = i;
		return 0;
	}
	return 0;
}

int
note_open(struct note *ret, const char *bytes, size_t n, const struct note_key *keys, size_t n_keys,
	struct err *err)
{
	size_t n_verified = 0;

	if (note_parse(ret, bytes, n, err) != 0)
		return -1;
	for (size_t i = 0; i < ret->n_signatures; i++) {
		if (verify(ret, &ret->signatures[i], keys, n_keys, err) != 0) {
			note_release(ret);
			return -1;
		}
		n_verified += ret->signatures[i].verified ? 1 : 0;
	}
	if (n_verified == 0) {
		note_release(ret);
		(void)err_set(err, ERR_FAILED, "the note is signed by no known key");
		return err_hint(err, "give the public key of its issuer, under the issuer's name");
	}
	return 0;
}

void
note_release(struct note *note)
{
	for (size_t i = 0; i < note->n_signatures; i++) {
		free(note->signatures[i].name);
		free(note->signatures[i].bytes);
	}
	free(note->signatures);
	free(note->text);
	*note = (struct note)NOTE_INIT;
}
