#include "archive/seal.h"

#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"

#define WRAP "expunge/archive/wrap/v1"

/* a key and a nonce, for one seal */
struct once {
	uint8_t key[AES256_KEY_SIZE];
	uint8_t nonce[GCM_NONCE_SIZE];
};

static void
wipe_once(struct once *once)
{
	secret_wipe(once, sizeof(*once));
}

static int
derive(const uint8_t *key, size_t n_key, const struct str *info, struct once *ret, struct err *err)
{
	uint8_t bytes[AES256_KEY_SIZE + GCM_NONCE_SIZE];
	int rc = crypt_hkdf_expand(key, n_key, info->s, info->len, bytes, sizeof(bytes), err);

	(void)memcpy(ret->key, bytes, AES256_KEY_SIZE);
	(void)memcpy(ret->nonce, bytes + AES256_KEY_SIZE, GCM_NONCE_SIZE);
	secret_wipe(bytes, sizeof(bytes));
	return rc;
}

static void
add_number(struct str *text, uint64_t v, size_t n)
{
	uint8_t bytes[8];

	bytes_put_u64(bytes, v);
	format_add_field(text, bytes + 8 - n, n);
}

/* ---- chunks -------------------------------------------------------------------------------- */

void
sealer_init(struct sealer *sealer, int level)
{
	sealer->compressor = compressor_new();
	sealer->level = level;
	secret_new(&sealer->packed, FORMAT_CHUNK_SEALED);
}

void
sealer_release(struct sealer *sealer)
{
	compressor_free(sealer->compressor);
	sealer->compressor = NULL;
	secret_erase(&sealer->packed);
}

static int
chunk_key(const struct seal_place *place, struct once *ret, struct str *aad, struct err *err)
{
	CLEANUP(str_release) struct str info = STR_INIT;

	format_add_field(&info, place->domain, strlen(place->domain));
	format_add_field(&info, place->archive, ARCHIVE_ID_SIZE);
	add_number(&info, place->number, 8);
	add_number(&info, place->chunk, 4);

	format_add_field(aad, place->domain, strlen(place->domain));
	format_add_field(aad, place->archive, ARCHIVE_ID_SIZE);
	format_add_field(aad, place->binding, place->n_binding);
	add_number(aad, place->number, 8);
	add_number(aad, place->chunk, 4);
	add_number(aad, place->last ? 1 : 0, 1);
	return derive(place->key, ARCHIVE_KEY_SIZE, &info, ret, err);
}

int
seal_chunk(struct sealer *sealer, const struct seal_place *place, const void *text, size_t n, uint8_t *ret,
	size_t *ret_n, struct err *err)
{
	CLEANUP(str_release) struct str aad = STR_INIT;
	CLEANUP(wipe_once) struct once once = { 0 };
	struct gcm gcm = { once.key, once.nonce, NULL, 0 };
	size_t packed = 0;

	if (n > FORMAT_CHUNK_TEXT)
		return err_set(err, ERR_FAILED, "sealing %zu bytes in one chunk", n);
	if (chunk_key(place, &once, &aad, err) != 0 ||
	    compress_block(sealer->compressor, sealer->level, text, n, sealer->packed.bytes,
		    FORMAT_CHUNK_SEALED - GCM_TAG_SIZE, &packed, err) != 0)
		return -1;
	gcm.aad = aad.s;
	gcm.n_aad = aad.len;
	format_chunk_encode((uint32_t)(packed + GCM_TAG_SIZE), place->last, ret);
	if (crypt_gcm_seal(&gcm, sealer->packed.bytes, packed, ret + FORMAT_CHUNK_HEAD, err) != 0)
		return -1;
	*ret_n = FORMAT_CHUNK_HEAD + packed + GCM_TAG_SIZE;
	return 0;
}

int
seal_open_chunk(struct sealer *sealer, const struct seal_place *place, const uint8_t *bytes, size_t n, void *ret,
	size_t *ret_n, bool *ret_authentic, struct err *err)
{
	CLEANUP(str_release) struct str aad = STR_INIT;
	CLEANUP(wipe_once) struct once once = { 0 };
	struct gcm gcm = { once.key, once.nonce, NULL, 0 };

	*ret_authentic = false;
	if (n > FORMAT_CHUNK_SEALED)
		return err_set(err, ERR_FAILED, "opening a chunk of %zu bytes", n);
	if (chunk_key(place, &once, &aad, err) != 0)
		return -1;
	gcm.aad = aad.s;
	gcm.n_aad = aad.len;
	if (crypt_gcm_open(&gcm, bytes, n, sealer->packed.bytes, ret_authentic, err) != 0)
		return -1;
	if (!*ret_authentic)
		return 0;
	return decompress_block(sealer->compressor, sealer->packed.bytes, n - GCM_TAG_SIZE, ret, FORMAT_CHUNK_TEXT, ret_n,
		err);
}

/* ---- keys of frames ------------------------------------------------------------------------ */

static int
wrap_key(const uint8_t *archive, const uint8_t *leaf_key, const uint8_t *generation_key,
	const struct archive_frame *frame, struct once *ret, struct str *aad, struct err *err)
{
	CLEANUP(str_release) struct str info = STR_INIT;
	uint8_t both[2 * ARCHIVE_KEY_SIZE], record[FORMAT_RECORD_SIZE];
	int rc;

	format_add_field(&info, WRAP, strlen(WRAP));
	format_add_field(&info, archive, ARCHIVE_ID_SIZE);
	add_number(&info, frame->number, 8);

	format_record_encode(frame, record);
	format_add_field(aad, WRAP, strlen(WRAP));
	format_add_field(aad, archive, ARCHIVE_ID_SIZE);
	add_number(aad, frame->number, 8);
	format_add_field(aad, record, FORMAT_RECORD_CLEAR);

	(void)memcpy(both, leaf_key, ARCHIVE_KEY_SIZE);
	(void)memcpy(both + ARCHIVE_KEY_SIZE, generation_key, ARCHIVE_KEY_SIZE);
	rc = derive(both, sizeof(both), &info, ret, err);
	secret_wipe(both, sizeof(both));
	return rc;
}

int
seal_wrap(const uint8_t archive[ARCHIVE_ID_SIZE], const uint8_t leaf_key[ARCHIVE_KEY_SIZE],
	const uint8_t generation_key[ARCHIVE_KEY_SIZE], struct archive_frame *frame,
	const uint8_t frame_key[ARCHIVE_KEY_SIZE], struct err *err)
{
	CLEANUP(str_release) struct str aad = STR_INIT;
	CLEANUP(wipe_once) struct once once = { 0 };
	struct gcm gcm = { once.key, once.nonce, NULL, 0 };

	if (wrap_key(archive, leaf_key, generation_key, frame, &once, &aad, err) != 0)
		return -1;
	gcm.aad = aad.s;
	gcm.n_aad = aad.len;
	return crypt_gcm_seal(&gcm, frame_key, ARCHIVE_KEY_SIZE, frame->wrapped, err);
}

int
seal_unwrap(const uint8_t archive[ARCHIVE_ID_SIZE], const uint8_t leaf_key[ARCHIVE_KEY_SIZE],
	const uint8_t generation_key[ARCHIVE_KEY_SIZE], const struct archive_frame *frame,
	uint8_t ret_key[ARCHIVE_KEY_SIZE], bool *ret_authentic, struct err *err)
{
	CLEANUP(str_release) struct str aad = STR_INIT;
	CLEANUP(wipe_once) struct once once = { 0 };
	struct gcm gcm = { once.key, once.nonce, NULL, 0 };

	*ret_authentic = false;
	if (wrap_key(archive, leaf_key, generation_key, frame, &once, &aad, err) != 0)
		return -1;
	gcm.aad = aad.s;
	gcm.n_aad = aad.len;
	return crypt_gcm_open(&gcm, frame->wrapped, ARCHIVE_WRAPPED_SIZE, ret_key, ret_authentic, err);
}
