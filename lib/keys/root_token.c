#include "keys/root_token.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "keys/root_file.h"
#include "svc/crypt.h"
#include "sys/file.h"

#define MARK "mark"

static void
free_names(struct token_names *names)
{
	token_names_release(names);
}

static const char *
called(const struct root_place *place)
{
	return place->token->where.label != NULL ? place->token->where.label : place->token->where.serial;
}

/* "expunge/INSTANCE/SHARE/" and what; the caller frees. */
static char *
name_of(const struct root_place *place, const char *what)
{
	return mem_printf("expunge/%s/%u/%s", place->marker.instance, place->marker.share, what);
}

static char *
key_of(const struct root_place *place, const struct root_id *id)
{
	CLEANUP(free_text) char *record = root_record_name(id, false);

	return name_of(place, record);
}

/* ---- the PIN ------------------------------------------------------------------------------- */

static int
read_pin(const struct root_token *token, struct secret *ret, struct err *err)
{
	const char *directory = getenv("CREDENTIALS_DIRECTORY");
	CLEANUP(free_text) char *path = NULL;
	int failed;

	if (token->pin_file != NULL) {
		failed = file_read_secret(token->pin_file, TOKEN_PIN_MAX, ret, err);
	} else if (directory == NULL) {
		(void)err_set(err, ERR_FAILED, "there is no CREDENTIALS_DIRECTORY to read the credential %s in", token->pin_credential);
		return err_hint(err, "LoadCredential=%s:/path in the systemd unit gives it; by hand: systemd-run with the same, or pin_file",
			token->pin_credential);
	} else {
		path = file_join(directory, token->pin_credential);
		failed = file_read_credential(path, TOKEN_PIN_MAX, ret, err);
	}
	if (failed != 0)
		return err_prefix(err, "PIN of a token");
	/* as an editor ends a line */
	while (ret->n > 0 && (ret->bytes[ret->n - 1] == '\n' || ret->bytes[ret->n - 1] == '\r'))
		ret->n--;
	return ret->n > 0 ? 0 : err_set(err, ERR_FAILED, "PIN of a token: %s holds none", token->pin_file != NULL ? token->pin_file : path);
}

static int
hint_refused(const struct root_place *place, const char *refused, struct err *err)
{
	const struct root_token *token = place->token;

	return err_hint(err, "put the right PIN into %s %s, then remove %s: no PIN is tried while that is there, for a token locks itself "
		"after a few wrong ones", token->pin_file != NULL ? "file" : "credential",
		token->pin_file != NULL ? token->pin_file : token->pin_credential, refused);
}

static int
check_refused(const struct root_place *place, const char *refused, struct err *err)
{
	if (!place->token->pin_refused && !file_exists(refused))
		return 0;
	(void)err_set(err, ERR_FAILED, "token %s: not tried: the PIN was refused before", called(place));
	return hint_refused(place, refused, err);
}

/* So that no run, of today or of tomorrow, tries it again. */
static int
note_refused(const struct root_place *place, const char *refused, struct err *err)
{
	static const char text[] = "The token has refused its PIN. No run tries one while this file is here.\n";
	struct err why = { 0 };

	place->token->pin_refused = true;
	if (file_write(refused, text, sizeof(text) - 1, 0600, false, &why) == 0)
		return hint_refused(place, refused, err);
	return err_hint(err, "stop all timers now, and correct the PIN: this could not be noted for the next run, which would try it again "
		"(%.200s), and a token locks itself after a few wrong ones", why.msg);
}

static int
enter(const struct root_place *place, bool write, struct token **ret, struct err *err)
{
	CLEANUP(free_text) char *refused = file_join(place->path, ROOT_PIN_REFUSED);
	CLEANUP(secret_erase) struct secret pin = SECRET_INIT;
	bool wrong = false;

	if (check_refused(place, refused, err) != 0 || read_pin(place->token, &pin, err) != 0)
		return -1;
	if (token_open(ret, &place->token->where, &pin, write, &wrong, err) == 0)
		return 0;
	return wrong ? note_refused(place, refused, err) : -1;
}

/* ---- places -------------------------------------------------------------------------------- */

/* err is set unless the token is ours. */
static enum root_place_state
check_token(const struct root_place *place, struct token *token, struct err *err)
{
	CLEANUP(free_text) char *name = name_of(place, MARK);

	switch (token_look(token, name, err)) {
	case TOKEN_KEY_OURS:
		return ROOT_PLACE_OURS;
	case TOKEN_KEY_ABSENT:
		(void)err_set(err, ERR_FAILED, "token %s is not marked as one of share %u", called(place), place->marker.share);
		(void)err_hint(err, "connect the token that belongs there: nothing is said of its keys before it is back; if it is a "
			"new one: expunge keys mark %s", place->path);
		return ROOT_PLACE_UNMARKED;
	default:
		return ROOT_PLACE_BAD;
	}
}

/* Directory and token are both there and ours; then *ret is a session of the latter. */
static enum root_place_state
open_place(const struct root_place *place, bool write, struct token **ret, struct err *err)
{
	CLEANUP(token_closep) struct token *token = NULL;
	enum root_place_state state = root_file_driver.look(place, err);

	if (state != ROOT_PLACE_OURS)
		return state;
	if (enter(place, write, &token, err) != 0)
		return ROOT_PLACE_BAD;
	state = check_token(place, token, err);
	if (state == ROOT_PLACE_OURS)
		*ret = TAKE_PTR(token);
	return state;
}

static enum root_place_state
look(const struct root_place *place, struct err *err)
{
	CLEANUP(token_closep) struct token *token = NULL;

	return open_place(place, false, &token, err);
}

static int
device(const struct root_place *place, struct place *ret, struct err *err)
{
	return root_file_driver.device(place, ret, err);
}

static int
list_keys(const struct root_place *place, struct token *token, struct root_ids *ret, struct err *err)
{
	CLEANUP(free_text) char *prefix = name_of(place, "");
	CLEANUP(free_names) struct token_names names = { 0 };

	if (token_list(token, prefix, &names, err) != 0)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		struct root_id id;

		if (root_record_name_parse(names.names[i] + strlen(prefix), &id))
			root_ids_add(ret, &id);
	}
	return 0;
}

static int
list(const struct root_place *place, struct root_ids *ret, struct err *err)
{
	CLEANUP(token_closep) struct token *token = NULL;

	if (open_place(place, false, &token, err) != ROOT_PLACE_OURS)
		return -1;
	return list_keys(place, token, ret, err) != 0 ? -1 : root_file_driver.list(place, ret, err);
}

static int
mark_token(const struct root_place *place, struct err *err)
{
	CLEANUP(token_closep) struct token *token = NULL;
	CLEANUP(root_ids_release) struct root_ids ids = { 0 };
	CLEANUP(free_text) char *name = name_of(place, MARK);
	enum root_place_state state;

	if (enter(place, true, &token, err) != 0)
		return -1;
	state = check_token(place, token, err);
	if (state != ROOT_PLACE_UNMARKED)
		return state == ROOT_PLACE_OURS ? 0 : -1;
	err_clear(err);
	if (list_keys(place, token, &ids, err) != 0)
		return -1;
	if (ids.n == 0)
		return token_make(token, name, err);
	(void)err_set(err, ERR_REFUSED, "token %s holds keys of %zu roots, and no mark", called(place), ids.n);
	return err_hint(err, "bring back the token as it was; if nothing on it is needed any more, initialize it");
}

static int
mark(const struct root_place *place, struct err *err)
{
	return root_file_driver.mark(place, err) != 0 ? -1 : mark_token(place, err);
}

/* ---- records ------------------------------------------------------------------------------- */

static int
seal(const struct root_place *place, struct token *token, const char *key, const struct root_id *id, const struct secret *record,
	struct secret *ret, struct err *err)
{
	struct root_sealed head = { .id = *id, .share = place->marker.share };
	struct token_seal with = { .n_aad = ROOT_SEALED_HEAD };

	(void)memcpy(head.instance, place->marker.instance, sizeof(head.instance));
	secret_new(ret, ROOT_SEALED_SIZE);
	with.aad = ret->bytes;
	if (crypt_random(with.nonce, sizeof(with.nonce), err) != 0 || root_sealed_head(&head, ret->bytes, err) != 0 ||
	    token_seal(token, key, &with, record->bytes, record->n, root_sealed_body(ret->bytes), err) != 0)
		return -1;
	(void)memcpy(root_sealed_nonce(ret->bytes), with.nonce, sizeof(with.nonce));
	return root_sealed_sum(ret->bytes, err);
}

/* A record without its key is nobody's any more, nor is a key without a record; both together are there to stay. */
static int
clear_leftovers(const struct root_place *place, struct token *token, const char *key, const struct root_id *id, struct err *err)
{
	CLEANUP(secret_erase) struct secret there = SECRET_INIT;
	enum root_state file = root_file_driver.read(place, id, &there, err);
	enum token_key on_token = token_look(token, key, err);
	struct place on;
	size_t n;

	if (file == ROOT_ABSENT && on_token == TOKEN_KEY_ABSENT) {
		err_clear(err);
		return 0;
	}
	if (on_token == TOKEN_KEY_UNKNOWN)
		return -1;
	if (on_token != TOKEN_KEY_ABSENT && file != ROOT_ABSENT && file != ROOT_LEFTOVER)
		return err_set(err, ERR_FAILED, "%s and its token hold a record of this root already", place->path);
	if (token_destroy(token, key, &n, err) != 0)
		return -1;
	file = root_file_driver.destroy(place, id, &on, err);
	return file == ROOT_GONE || file == ROOT_ABSENT ? 0 : -1;
}

static int
write_record(const struct root_place *place, const struct root_id *id, const struct secret *record, struct err *err)
{
	CLEANUP(free_text) char *key = key_of(place, id);
	CLEANUP(token_closep) struct token *token = NULL;
	CLEANUP(secret_erase) struct secret sealed = SECRET_INIT;
	struct err second = { 0 };
	size_t n;

	if (record->n != ROOT_RECORD_SIZE)
		return err_set(err, ERR_FAILED, "sealing a root share: it has %zu bytes", record->n);
	if (open_place(place, true, &token, err) != ROOT_PLACE_OURS || clear_leftovers(place, token, key, id, err) != 0 ||
	    token_make(token, key, err) != 0)
		return -1;
	if (seal(place, token, key, id, record, &sealed, err) == 0 && root_file_driver.write(place, id, &sealed, err) == 0)
		return 0;
	if (token_destroy(token, key, &n, &second) == 0)
		return -1;
	return err_hint(err, "a key is left on the token (%.200s): the next run destroys it", second.msg);
}

/* What the token gives back of a sealed record; *ret is secret. */
static enum root_state
unseal(const struct root_place *place, struct token *token, const char *key, const struct root_id *id, const struct secret *sealed,
	struct secret *ret, struct err *err)
{
	struct token_seal with = { .aad = sealed->bytes, .n_aad = ROOT_SEALED_HEAD };
	struct root_sealed head;
	bool authentic;

	if (root_sealed_parse(sealed->bytes, sealed->n, &head, err) != 0) {
		(void)err_prefix(err, "its sealed record is not as it was written");
		return ROOT_DAMAGED;
	}
	if (strcasecmp(head.instance, place->marker.instance) != 0) {
		(void)err_set(err, ERR_FAILED, "its sealed record is of instance %s", head.instance);
		return ROOT_FOREIGN;
	}
	if (!root_id_equal(&head.id, id) || head.share != place->marker.share) {
		(void)err_set(err, ERR_FAILED, "under this root's name it has share %u of epoch %lld, attempt %s", head.share,
			(long long)head.id.epoch, head.id.attempt);
		return ROOT_STALE;
	}
	(void)memcpy(with.nonce, root_sealed_nonce(sealed->bytes), sizeof(with.nonce));
	if (token_unseal(token, key, &with, root_sealed_body(sealed->bytes), ROOT_SEALED_BODY, ret, &authentic, err) != 0)
		return ROOT_UNREADABLE;
	if (authentic)
		return ROOT_GOOD;
	(void)err_set(err, ERR_FAILED, "its record was not sealed under the key that token %s has for it", called(place));
	return ROOT_DAMAGED;
}

static enum root_state
read_record(const struct root_place *place, const struct root_id *id, struct secret *ret, struct err *err)
{
	CLEANUP(free_text) char *key = key_of(place, id);
	CLEANUP(token_closep) struct token *token = NULL;
	CLEANUP(secret_erase) struct secret sealed = SECRET_INIT;
	enum root_state file;
	enum token_key on_token;

	if (open_place(place, false, &token, err) != ROOT_PLACE_OURS)
		return ROOT_NO_PLACE;
	file = root_file_driver.read(place, id, &sealed, err);
	if (file != ROOT_GOOD && file != ROOT_ABSENT && file != ROOT_LEFTOVER)
		return file;
	on_token = token_look(token, key, err);
	switch (on_token) {
	case TOKEN_KEY_UNKNOWN:
		return ROOT_UNREADABLE;
	case TOKEN_KEY_SEVERAL:
	case TOKEN_KEY_FOREIGN:
		return ROOT_DAMAGED;
	case TOKEN_KEY_ABSENT:
		if (file == ROOT_ABSENT)
			return ROOT_ABSENT;
		(void)err_set(err, ERR_FAILED, "token %s does not hold the key that its record is sealed under", called(place));
		(void)err_hint(err, "if the key was not destroyed on purpose, bring it back from the token's own backup");
		return ROOT_LEFTOVER;
	case TOKEN_KEY_OURS:
		break;
	}
	if (file == ROOT_GOOD)
		return unseal(place, token, key, id, &sealed, ret, err);
	(void)err_set(err, ERR_FAILED, "token %s holds a key for its record of this root, which is not there, or was never finished",
		called(place));
	return ROOT_LEFTOVER;
}

/* ---- destroying ---------------------------------------------------------------------------- */

/* A key is gone when a session that has not destroyed it finds none. */
static enum root_state
destroy_key(const struct root_place *place, const char *key, size_t *ret_n, struct err *err)
{
	CLEANUP(token_closep) struct token *token = NULL, *again = NULL;
	enum token_key left;

	if (open_place(place, true, &token, err) != ROOT_PLACE_OURS)
		return ROOT_NO_PLACE;
	if (token_destroy(token, key, ret_n, err) != 0)
		return ROOT_NOT_DESTROYED;
	token_closep(&token);
	if (open_place(place, false, &again, err) != ROOT_PLACE_OURS)
		return ROOT_NO_PLACE;
	left = token_look(again, key, err);
	if (left == TOKEN_KEY_ABSENT) {
		err_clear(err);
		return ROOT_GONE;
	}
	if (left == TOKEN_KEY_OURS) {
		(void)err_set(err, ERR_FAILED, "token %s says that it has destroyed key %s, and still holds it", called(place), key);
		(void)err_hint(err, "destroy it with the token's own tool, and ask its maker; no certificate is issued before it is gone");
	}
	return ROOT_NOT_DESTROYED;
}

static enum root_state
destroy(const struct root_place *place, const struct root_id *id, struct place *ret_on, struct err *err)
{
	CLEANUP(free_text) char *key = key_of(place, id);
	size_t n = 0;
	enum root_state state = destroy_key(place, key, &n, err);

	if (state != ROOT_GONE) {
		(void)err_prefix(err, "destroying a root share");
		return state;
	}
	/* the record goes after its key: a record that is left is found again, and says that there was one */
	state = root_file_driver.destroy(place, id, ret_on, err);
	return state == ROOT_ABSENT && n > 0 ? ROOT_GONE : state;
}

const struct root_driver root_token_driver = {
	.name = "pkcs11",
	.look = look,
	.mark = mark,
	.write = write_record,
	.read = read_record,
	.destroy = destroy,
	.list = list,
	.device = device,
};
