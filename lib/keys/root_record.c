#include "keys/root_record.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "base/parse.h"
#include "base/secret.h"
#include "keys/summed.h"
#include "svc/crypt.h"

#define MAGIC "expunge/root/v1\n"
#define MAGIC_SEALED "expunge/seal/v1\n"
#define MAGIC_SIZE 16
#define MAGIC_VERSION 14 /* where the version begins */
#define MARKER_FORMAT "expunge-root-share/v1"

/* Where each field of a record begins. */
enum {
	AT_INSTANCE = 16,
	AT_EPOCH = 32,
	AT_ATTEMPT = 40,
	AT_SHARE = 56,
	AT_N_SHARES = 60,
	AT_KCV = 64,
	AT_BYTES = 80,
	AT_SUM = 112
};

/* Up to the share's number a sealed record is the same. */
enum {
	AT_NONCE = ROOT_SEALED_HEAD,
	AT_BODY = AT_NONCE + ROOT_SEALED_NONCE,
	AT_SEALED_SUM = AT_BODY + ROOT_SEALED_BODY
};

/* ---- names --------------------------------------------------------------------------------- */

static bool
is_attempt(const char *text)
{
	return strspn(text, "0123456789abcdef") == 32 && text[32] == '\0';
}

bool
root_id_is_valid(const struct root_id *id)
{
	return id->epoch >= 0 && memchr(id->attempt, '\0', sizeof(id->attempt)) != NULL && is_attempt(id->attempt);
}

bool
root_id_equal(const struct root_id *a, const struct root_id *b)
{
	return a->epoch == b->epoch && strcmp(a->attempt, b->attempt) == 0;
}

bool
root_ids_have(const struct root_ids *ids, const struct root_id *id)
{
	for (size_t i = 0; i < ids->n; i++)
		if (root_id_equal(&ids->ids[i], id))
			return true;
	return false;
}

void
root_ids_add(struct root_ids *ids, const struct root_id *id)
{
	if (!root_ids_have(ids, id))
		*MEM_PUSH(ids->ids, ids->n) = *id;
}

void
root_ids_release(struct root_ids *ids)
{
	free(ids->ids);
	*ids = (struct root_ids){ 0 };
}

char *
root_record_name(const struct root_id *id, bool temporary)
{
	return mem_printf("%sroot.%lld.%s%s", temporary ? "." : "", (long long)id->epoch, id->attempt, temporary ? ".new" : "");
}

bool
root_record_name_parse(const char *name, struct root_id *ret)
{
	bool temporary = name[0] == '.';
	const char *epoch = name + temporary + 5, *dot;
	struct root_id id = { 0 };
	CLEANUP(free_text) char *number = NULL;
	CLEANUP(free_text) char *again = NULL;

	if (strncmp(name + temporary, "root.", 5) != 0 || (dot = strchr(epoch, '.')) == NULL || strlen(dot + 1) < 32)
		return false;
	number = mem_copy_n(epoch, (size_t)(dot - epoch));
	if (parse_int64(number, 0, INT64_MAX, &id.epoch) != 0)
		return false;
	(void)memcpy(id.attempt, dot + 1, 32);
	again = root_record_name(&id, temporary);
	if (!is_attempt(id.attempt) || strcmp(again, name) != 0)
		return false;
	*ret = id;
	return true;
}

/* ---- records ------------------------------------------------------------------------------- */

/* The 16 bytes of a uuid. */
static int
uuid_to_bytes(const char *text, uint8_t *ret)
{
	char hex[33];
	size_t n = 0;

	if (!parse_is_uuid(text))
		return -1;
	for (; *text != '\0'; text++)
		if (*text != '-')
			hex[n++] = *text;
	hex[n] = '\0';
	return bytes_from_hex(hex, ret, 16);
}

static void
uuid_from_bytes(const uint8_t *bytes, char *ret)
{
	char hex[33];
	size_t n = 0;

	bytes_to_hex(bytes, 16, hex);
	for (size_t i = 0; i < 32; i++) {
		if (i == 8 || i == 12 || i == 16 || i == 20)
			ret[n++] = '-';
		ret[n++] = hex[i];
	}
	ret[n] = '\0';
}

static bool
is_share(uint32_t share, uint32_t n_shares)
{
	return share >= 1 && share <= n_shares && n_shares <= ROOT_SHARES_MAX;
}

int
root_record_write(const struct root_record *record, uint8_t ret[ROOT_RECORD_SIZE], struct err *err)
{
	if (!root_id_is_valid(&record->id) || !is_share(record->share, record->n_shares) ||
	    uuid_to_bytes(record->instance, ret + AT_INSTANCE) != 0 ||
	    bytes_from_hex(record->id.attempt, ret + AT_ATTEMPT, 16) != 0)
		return err_set(err, ERR_FAILED, "writing a root share: instance, epoch, attempt or number is malformed");
	(void)memcpy(ret, MAGIC, MAGIC_SIZE);
	bytes_put_u64(ret + AT_EPOCH, (uint64_t)record->id.epoch);
	bytes_put_u32(ret + AT_SHARE, record->share);
	bytes_put_u32(ret + AT_N_SHARES, record->n_shares);
	(void)memcpy(ret + AT_KCV, record->kcv, KCV_SIZE);
	(void)memcpy(ret + AT_BYTES, record->bytes, ROOT_SIZE);
	return crypt_sha256(ret, AT_SUM, ret + AT_SUM, err);
}

/* size: of the whole, with the sum at its end. */
static int
check_bytes(const uint8_t *bytes, size_t n, const char *magic, size_t size, struct err *err)
{
	uint8_t sum[SHA256_SIZE];

	if (n >= MAGIC_SIZE && memcmp(bytes, magic, MAGIC_VERSION) == 0 && memcmp(bytes, magic, MAGIC_SIZE) != 0) {
		(void)err_set(err, ERR_FAILED, "it is not a root share of version 1");
		return err_hint(err, "a newer expunge may have written it");
	}
	if (n != size || memcmp(bytes, magic, MAGIC_SIZE) != 0)
		return err_set(err, ERR_FAILED, "it is not a root share");
	if (crypt_sha256(bytes, size - SHA256_SIZE, sum, err) != 0)
		return -1;
	return memcmp(sum, bytes + size - SHA256_SIZE, sizeof(sum)) == 0 ? 0 : err_set(err, ERR_FAILED, "its checksum does not agree");
}

int
root_record_parse(const uint8_t *bytes, size_t n, struct root_record *ret, struct err *err)
{
	uint64_t epoch;
	uint32_t share, n_shares;

	if (check_bytes(bytes, n, MAGIC, ROOT_RECORD_SIZE, err) != 0)
		return -1;
	epoch = bytes_get_u64(bytes + AT_EPOCH);
	share = bytes_get_u32(bytes + AT_SHARE);
	n_shares = bytes_get_u32(bytes + AT_N_SHARES);
	if (epoch > INT64_MAX || !is_share(share, n_shares))
		return err_set(err, ERR_FAILED, "its epoch or its number cannot be");
	uuid_from_bytes(bytes + AT_INSTANCE, ret->instance);
	ret->id.epoch = (int64_t)epoch;
	bytes_to_hex(bytes + AT_ATTEMPT, 16, ret->id.attempt);
	ret->share = share;
	ret->n_shares = n_shares;
	(void)memcpy(ret->kcv, bytes + AT_KCV, KCV_SIZE);
	(void)memcpy(ret->bytes, bytes + AT_BYTES, ROOT_SIZE);
	return 0;
}

/* ---- sealed records ------------------------------------------------------------------------ */

int
root_sealed_head(const struct root_sealed *sealed, uint8_t ret[ROOT_SEALED_SIZE], struct err *err)
{
	if (!root_id_is_valid(&sealed->id) || !is_share(sealed->share, ROOT_SHARES_MAX) ||
	    uuid_to_bytes(sealed->instance, ret + AT_INSTANCE) != 0 || bytes_from_hex(sealed->id.attempt, ret + AT_ATTEMPT, 16) != 0)
		return err_set(err, ERR_FAILED, "writing a sealed root share: instance, epoch, attempt or number is malformed");
	(void)memcpy(ret, MAGIC_SEALED, MAGIC_SIZE);
	bytes_put_u64(ret + AT_EPOCH, (uint64_t)sealed->id.epoch);
	bytes_put_u32(ret + AT_SHARE, sealed->share);
	return 0;
}

uint8_t *
root_sealed_nonce(uint8_t *bytes)
{
	return bytes + AT_NONCE;
}

uint8_t *
root_sealed_body(uint8_t *bytes)
{
	return bytes + AT_BODY;
}

int
root_sealed_sum(uint8_t bytes[ROOT_SEALED_SIZE], struct err *err)
{
	return crypt_sha256(bytes, AT_SEALED_SUM, bytes + AT_SEALED_SUM, err);
}

int
root_sealed_parse(const uint8_t *bytes, size_t n, struct root_sealed *ret, struct err *err)
{
	uint64_t epoch;
	uint32_t share;

	if (check_bytes(bytes, n, MAGIC_SEALED, ROOT_SEALED_SIZE, err) != 0)
		return -1;
	epoch = bytes_get_u64(bytes + AT_EPOCH);
	share = bytes_get_u32(bytes + AT_SHARE);
	if (epoch > INT64_MAX || !is_share(share, ROOT_SHARES_MAX))
		return err_set(err, ERR_FAILED, "its epoch or its number cannot be");
	uuid_from_bytes(bytes + AT_INSTANCE, ret->instance);
	ret->id.epoch = (int64_t)epoch;
	bytes_to_hex(bytes + AT_ATTEMPT, 16, ret->id.attempt);
	ret->share = share;
	return 0;
}

bool
root_record_is_in(const uint8_t *bytes, size_t n, const char *instance, struct root_id *ret)
{
	CLEANUP(secret_erase) struct secret clear = SECRET_INIT;
	struct root_record *record;
	struct root_sealed sealed;
	struct err unused = { 0 };

	if (root_sealed_parse(bytes, n < ROOT_SEALED_SIZE ? n : ROOT_SEALED_SIZE, &sealed, &unused) == 0) {
		*ret = sealed.id;
		return strcasecmp(sealed.instance, instance) == 0;
	}
	secret_new(&clear, sizeof(*record));
	record = (struct root_record *)(void *)clear.bytes;
	if (root_record_parse(bytes, n < ROOT_RECORD_SIZE ? n : ROOT_RECORD_SIZE, record, &unused) != 0)
		return false;
	*ret = record->id;
	return strcasecmp(record->instance, instance) == 0;
}

/* ---- the marker ---------------------------------------------------------------------------- */

int
root_marker_write(const struct root_marker *marker, struct str *ret, struct err *err)
{
	str_addf(ret, MARKER_FORMAT "\ninstance: %s\nshare: %u\nreplica: %u\n", marker->instance, marker->share, marker->replica);
	return summed_end(ret, err);
}

int
root_marker_parse(const char *text, size_t n, struct root_marker *ret, struct err *err)
{
	static const char *const keys[] = { "instance", "share", "replica" };
	CLEANUP(free_text) char *copy = NULL;
	struct root_marker marker = { 0 };
	const char *values[3];
	int64_t share, replica;

	if (summed_parse(text, n, MARKER_FORMAT, keys, 3, &copy, values, err) != 0)
		return -1;
	if (!parse_is_uuid(values[0]) || parse_int64(values[1], 1, ROOT_SHARES_MAX, &share) != 0 ||
	    parse_int64(values[2], 1, ROOT_REPLICAS_MAX, &replica) != 0)
		return err_set(err, ERR_FAILED, "it names no instance, or no share and replica that could be");
	(void)memcpy(marker.instance, values[0], sizeof(marker.instance));
	marker.share = (uint32_t)share;
	marker.replica = (uint32_t)replica;
	*ret = marker;
	return 0;
}
