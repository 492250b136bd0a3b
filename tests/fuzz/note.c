/* Signed notes, verifier keys and the allowed_signers line. */
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "base/str.h"
#include "evidence/note.h"
#include "evidence/sshsig.h"
#include "fuzz.h"

/* what was taken apart, put together again */
static void
write_note(struct str *text, const struct note *note)
{
	str_add_n(text, note->text, note->n);
	str_add(text, "\n");
	for (size_t i = 0; i < note->n_signatures; i++) {
		const struct note_signature *s = &note->signatures[i];
		uint8_t *bytes = mem_zero(NOTE_KEY_ID_SIZE + s->n_bytes, 1);

		(void)memcpy(bytes, s->id, NOTE_KEY_ID_SIZE);
		(void)memcpy(bytes + NOTE_KEY_ID_SIZE, s->bytes, s->n_bytes);
		str_addf(text, "\xe2\x80\x94 %s ", s->name);
		bytes_add_base64(text, bytes, NOTE_KEY_ID_SIZE + s->n_bytes);
		str_add(text, "\n");
		free(bytes);
	}
}

static void
keys(const char *text)
{
	CLEANUP(note_key_release) struct note_key key = { 0 };
	CLEANUP(note_key_release) struct note_key again = { 0 };
	CLEANUP(str_release) struct str written = STR_INIT;
	CLEANUP(str_release) struct str line = STR_INIT;
	struct err err = { 0 };

	if (note_key_parse(&key, text, &err) != 0) {
		REQUIRE(err.msg[0] != '\0' && key.name == NULL);
		return;
	}
	REQUIRE(note_name_is_valid(key.name));
	note_key_add(&written, &key);
	REQUIRE(strcasecmp(written.s, text) == 0 && note_key_parse(&again, written.s, &err) == 0);
	if (sshsig_add_allowed_signer(&line, &key, &err) == 0)
		REQUIRE(strchr(line.s, '\n') == line.s + line.len - 1);
	else
		REQUIRE(err.msg[0] != '\0');
}

static const struct note_key *
example_key(void)
{
	static struct note_key key;

	if (key.name == NULL) {
		size_t n = 0;
		CLEANUP(free_text) char *pem = fuzz_slurp("doc/certificate-example.pem", &n);
		uint8_t raw[ED25519_KEY_SIZE];

		REQUIRE(crypt_public_from_pem(pem, n, raw, NULL) == 0);
		REQUIRE(note_key_init(&key, "certificates.expunge.example", raw, NULL) == 0);
	}
	return &key;
}

int
fuzz_note(const uint8_t *data, size_t n)
{
	CLEANUP(free_text) char *text = fuzz_text(data, n);
	CLEANUP(note_release) struct note note = NOTE_INIT;
	CLEANUP(note_release) struct note opened = NOTE_INIT;
	CLEANUP(str_release) struct str again = STR_INIT;
	struct err err = { 0 };
	size_t n_verified = 0;

	keys(text);
	if (note_parse(&note, text, n, &err) != 0) {
		REQUIRE(err.msg[0] != '\0' && note.text == NULL && note.n_signatures == 0);
		REQUIRE(note_open(&opened, text, n, example_key(), 1, &err) != 0);
		return 0;
	}
	REQUIRE(note.n_signatures > 0 && note.text[note.n - 1] == '\n');
	write_note(&again, &note);
	REQUIRE(again.len == n && memcmp(again.s, text, n) == 0);
	if (note_open(&opened, text, n, example_key(), 1, &err) != 0) {
		REQUIRE(err.msg[0] != '\0' && opened.text == NULL);
		return 0;
	}
	for (size_t i = 0; i < opened.n_signatures; i++)
		n_verified += opened.signatures[i].verified;
	REQUIRE(n_verified > 0 && opened.n == note.n);
	return 0;
}
