#include "keys/root.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/parse.h"
#include "keys/root_file.h"
#include "keys/root_private.h"
#include "keys/root_token.h"
#include "svc/crypt.h"

/* ---- the store ----------------------------------------------------------------------------- */

static void
open_share(struct root_store *store, uint32_t number, const struct root_share_config *config)
{
	struct root_share *share = &store->shares[number - 1];

	share->driver = config->tokens == NULL ? &root_file_driver : &root_token_driver;
	share->n = (uint32_t)config->n;
	share->places = mem_zero(config->n, sizeof(*share->places));
	for (uint32_t i = 0; i < share->n; i++) {
		share->places[i].path = mem_copy(config->replicas[i]);
		share->places[i].token = config->tokens == NULL ? NULL : &config->tokens[i];
		share->places[i].marker = (struct root_marker){ .share = number, .replica = i + 1 };
		(void)memcpy(share->places[i].marker.instance, store->instance, sizeof(store->instance));
	}
}

static int
prepare_tokens(const struct root_config *config, struct err *err)
{
	for (size_t i = 0; i < config->n; i++)
		for (size_t k = 0; config->shares[i].tokens != NULL && k < config->shares[i].n; k++)
			if (token_prepare(&config->shares[i].tokens[k].where, err) != 0)
				return -1;
	return 0;
}

int
root_open(struct root_store **ret, const struct root_config *config, const char *instance, struct err *err)
{
	struct root_store *store;

	if (!parse_is_uuid(instance))
		return err_set(err, ERR_FAILED, "opening the root store: the instance is not a uuid");
	if (config->n < 1 || config->n > ROOT_SHARES_MAX)
		return err_set(err, ERR_USAGE, "opening the root store: it has %zu shares, not 1 to %d", config->n, ROOT_SHARES_MAX);
	for (size_t i = 0; i < config->n; i++)
		if (config->shares[i].n < 1 || config->shares[i].n > ROOT_REPLICAS_MAX)
			return err_set(err, ERR_USAGE, "opening the root store: share %zu has %zu replicas, not 1 to %d", i + 1,
				config->shares[i].n, ROOT_REPLICAS_MAX);
	if (prepare_tokens(config, err) != 0)
		return -1;
	store = mem_zero(1, sizeof(*store));
	for (size_t i = 0; instance[i] != '\0'; i++)
		store->instance[i] = (char)tolower((unsigned char)instance[i]);
	store->n = (uint32_t)config->n;
	store->shares = mem_zero(config->n, sizeof(*store->shares));
	for (uint32_t i = 0; i < store->n; i++)
		open_share(store, i + 1, &config->shares[i]);
	*ret = store;
	return 0;
}

void
root_close(struct root_store *store)
{
	if (store == NULL)
		return;
	for (uint32_t i = 0; i < store->n; i++) {
		for (uint32_t k = 0; k < store->shares[i].n; k++)
			free(store->shares[i].places[k].path);
		free(store->shares[i].places);
	}
	free(store->shares);
	free(store);
}

void
root_closep(struct root_store **store)
{
	root_close(*store);
	*store = NULL;
}

uint32_t
root_shares(const struct root_store *store)
{
	return store->n;
}

const char *
root_driver_name(const struct root_store *store)
{
	return store->n == 1 ? store->shares[0].driver->name : "split";
}

const char *
root_share_driver(const struct root_store *store, uint32_t share)
{
	return store->shares[share - 1].driver->name;
}

bool
root_next(struct root_walk *w)
{
	const struct root_share *share;

	if (w->share < w->store->n && w->replica == w->store->shares[w->share].n) {
		w->share++;
		w->replica = 0;
	}
	if (w->share == w->store->n)
		return false;
	share = &w->store->shares[w->share];
	w->driver = share->driver;
	w->place = &share->places[w->replica++];
	return true;
}

/* ---- marking ------------------------------------------------------------------------------- */

static int
mark_all(struct root_store *store, struct err *err)
{
	for (struct root_walk w = { .store = store }; root_next(&w);)
		if (w.driver->mark(w.place, err) != 0) {
			(void)err_hint(err, "the directory above it must be there, on the disk that is meant, and ours");
			return err_prefix(err, "marking share %u, replica %u", w.place->marker.share, w.place->marker.replica);
		}
	return 0;
}

int
root_init(struct root_store *store, struct err *err)
{
	CLEANUP(root_ids_release) struct root_ids ids = { 0 };
	struct err unmarked = { 0 };

	for (struct root_walk w = { .store = store }; root_next(&w);) {
		struct err why = { 0 };
		enum root_place_state state = w.driver->look(w.place, &why);

		if (state == ROOT_PLACE_UNMARKED)
			unmarked = why;
		if (state == ROOT_PLACE_BAD || (state == ROOT_PLACE_OURS && w.driver->list(w.place, &ids, &why) != 0)) {
			if (err != NULL)
				*err = why;
			return err_prefix(err, "marking share %u, replica %u", w.place->marker.share, w.place->marker.replica);
		}
	}
	if (unmarked.msg[0] == '\0')
		return 0;
	if (ids.n == 0)
		return mark_all(store, err);
	(void)err_set(err, ERR_REFUSED, "marking the places of root shares: %s, and others hold records already", unmarked.msg);
	return err_hint(err, "mount what belongs there; for a new disk in the place of a lost one: expunge keys mark DIRECTORY");
}

int
root_mark(struct root_store *store, uint32_t share, uint32_t replica, struct err *err)
{
	if (share < 1 || share > store->n || replica < 1 || replica > store->shares[share - 1].n)
		return err_set(err, ERR_USAGE, "there is no share %u with a replica %u", share, replica);
	return store->shares[share - 1].driver->mark(&store->shares[share - 1].places[replica - 1], err);
}

/* ---- making a root ------------------------------------------------------------------------- */

/* Every place is there, and nothing of this name on any: what is written on some only would be of no use. */
static int
check_free(struct root_store *store, const struct root_id *id, struct err *err)
{
	for (struct root_walk w = { .store = store }; root_next(&w);) {
		CLEANUP(secret_erase) struct secret there = SECRET_INIT;
		enum root_state state = w.driver->read(w.place, id, &there, err);

		if (state == ROOT_ABSENT)
			continue;
		if (state != ROOT_NO_PLACE)
			(void)err_set(err, ERR_FAILED, "%s holds a record of epoch %lld, attempt %s, already", w.place->path,
				(long long)id->epoch, id->attempt);
		return err_prefix(err, "making a root: share %u, replica %u", w.place->marker.share, w.place->marker.replica);
	}
	err_clear(err);
	return 0;
}

/* All shares at random, so that all but one say nothing; their XOR is the root. */
static int
draw(struct root_store *store, struct secret *shares, struct secret *root, struct err *err)
{
	secret_new(shares, (size_t)store->n * ROOT_SIZE);
	secret_new(root, ROOT_SIZE);
	if (crypt_random(shares->bytes, shares->n, err) != 0)
		return -1;
	for (size_t i = 0; i < shares->n; i++)
		root->bytes[i % ROOT_SIZE] ^= shares->bytes[i];
	return 0;
}

static int
write_share(const struct root_walk *w, const struct root_record *like, const uint8_t *share, struct err *err)
{
	CLEANUP(secret_erase) struct secret clear = SECRET_INIT, bytes = SECRET_INIT;
	struct root_record *record;

	secret_new(&clear, sizeof(*record));
	secret_new(&bytes, ROOT_RECORD_SIZE);
	record = (struct root_record *)(void *)clear.bytes;
	*record = *like;
	record->share = w->place->marker.share;
	(void)memcpy(record->bytes, share, ROOT_SIZE);
	if (root_record_write(record, bytes.bytes, err) != 0)
		return -1;
	return w->driver->write(w->place, &like->id, &bytes, err);
}

/* *ret_n: how many replicas were written. */
static int
write_shares(struct root_store *store, const struct root_id *id, const struct secret *shares, const struct secret *root,
	size_t *ret_n, struct err *err)
{
	struct root_record record = { .id = *id, .n_shares = store->n };

	*ret_n = 0;
	(void)memcpy(record.instance, store->instance, sizeof(record.instance));
	if (kcv_of(root->bytes, record.kcv, err) != 0)
		return -1;
	for (struct root_walk w = { .store = store }; root_next(&w); ++*ret_n)
		if (write_share(&w, &record, shares->bytes + (size_t)(w.place->marker.share - 1) * ROOT_SIZE, err) != 0)
			return err_prefix(err, "share %u, replica %u", w.place->marker.share, w.place->marker.replica);
	return 0;
}

/* Only what this run has written: a record that was there before is not ours to take back. */
static void
take_back(struct root_store *store, const struct root_id *id, size_t n, struct err *err)
{
	struct root_walk w = { .store = store };

	while (n-- > 0 && root_next(&w)) {
		struct place on;
		struct err why = { 0 };
		enum root_state state = w.driver->destroy(w.place, id, &on, &why);

		if (state != ROOT_GONE && state != ROOT_ABSENT)
			(void)err_hint(err, "a part of it is left (share %u, replica %u: %s): the next run destroys it",
				w.place->marker.share, w.place->marker.replica, why.msg);
	}
}

/* What was written is what all places give back. */
static int
verify(struct root_store *store, const struct root_id *id, const struct secret *root, struct err *err)
{
	CLEANUP(root_joined_release) struct root_joined joined = ROOT_JOINED_INIT;
	CLEANUP(root_report_release) struct root_report report = { 0 };
	CLEANUP(str_release) struct str text = STR_INIT;
	enum root_verdict verdict;

	if (root_join(store, id, &joined, &verdict, &report, err) != 0)
		return err_prefix(err, "reading it back");
	if (root_report_problems(&report) == 0 && secret_equal(joined.root.bytes, root->bytes, ROOT_SIZE) != 0)
		return 0;
	root_report_add_text(&report, &text);
	return err_set(err, ERR_FAILED, "reading it back gave something else: %s", str_cstr(&text));
}

int
root_create(struct root_store *store, const struct root_id *id, struct secret *ret, struct err *err)
{
	CLEANUP(secret_erase) struct secret shares = SECRET_INIT, root = SECRET_INIT;
	size_t written;

	if (!root_id_is_valid(id))
		return err_set(err, ERR_FAILED, "making a root: its epoch or attempt is malformed");
	if (check_free(store, id, err) != 0 || draw(store, &shares, &root, err) != 0)
		return -1;
	if (write_shares(store, id, &shares, &root, &written, err) != 0 || verify(store, id, &root, err) != 0) {
		take_back(store, id, written, err);
		return err_prefix(err, "making the root of epoch %lld", (long long)id->epoch);
	}
	*ret = root;
	root = (struct secret)SECRET_INIT;
	return 0;
}

/* ---- reading, healing ---------------------------------------------------------------------- */

int
root_read(struct root_store *store, const struct root_id *id, struct secret *ret, enum root_verdict *ret_verdict,
	struct root_report *report, struct err *err)
{
	CLEANUP(root_joined_release) struct root_joined joined = ROOT_JOINED_INIT;
	CLEANUP(root_report_release) struct root_report unwanted = { 0 };

	if (root_join(store, id, &joined, ret_verdict, report != NULL ? report : &unwanted, err) != 0)
		return -1;
	*ret = joined.root;
	joined.root = (struct secret)SECRET_INIT;
	return 0;
}

int
root_is_whole(struct root_store *store, const struct root_id *id, bool *ret, struct err *err)
{
	CLEANUP(root_joined_release) struct root_joined joined = ROOT_JOINED_INIT;
	CLEANUP(root_report_release) struct root_report report = { 0 };
	enum root_verdict verdict;

	*ret = false;
	if (root_join(store, id, &joined, &verdict, &report, err) == 0) {
		*ret = root_report_problems(&report) == 0 && joined.n_shares == store->n;
		return 0;
	}
	/* what is certain is an answer; a place that is away is none */
	if (verdict == ROOT_UNAVAILABLE)
		return -1;
	err_clear(err);
	return 0;
}

/* Writes the record of a share where it is absent, and reads it back. */
static int
heal_replica(const struct root_walk *w, const struct root_record *record, struct err *err)
{
	CLEANUP(secret_erase) struct secret want = SECRET_INIT, got = SECRET_INIT;

	secret_new(&want, ROOT_RECORD_SIZE);
	if (write_share(w, record, record->bytes, err) != 0 || root_record_write(record, want.bytes, err) != 0)
		return -1;
	if (w->driver->read(w->place, &record->id, &got, err) != ROOT_GOOD)
		return err_prefix(err, "reading it back");
	return got.n == want.n && secret_equal(got.bytes, want.bytes, want.n) != 0
		? 0 : err_set(err, ERR_FAILED, "reading it back gave something else");
}

int
root_heal(struct root_store *store, const struct root_id *id, size_t *ret_n, struct root_report *report, struct err *err)
{
	CLEANUP(root_joined_release) struct root_joined joined = ROOT_JOINED_INIT;
	CLEANUP(root_report_release) struct root_report unwanted = { 0 };
	enum root_verdict verdict;
	size_t at;
	int failed = 0;

	report = report != NULL ? report : &unwanted;
	at = report->n;
	*ret_n = 0;
	if (root_join(store, id, &joined, &verdict, report, err) != 0)
		return err_prefix(err, "writing lost replicas again");
	for (struct root_walk w = { .store = store }; root_next(&w); at++) {
		const struct root_record *records = (const struct root_record *)(const void *)joined.records.bytes;
		struct root_replica *found = &report->replicas[at];

		if (found->state != ROOT_ABSENT && found->state != ROOT_LEFTOVER)
			continue;
		if (heal_replica(&w, &records[found->share - 1], err) != 0) {
			failed = err_prefix(err, "writing share %u, replica %u again", found->share, found->replica);
			continue;
		}
		root_replica_set(found, ROOT_GOOD, NULL, NULL);
		++*ret_n;
	}
	return failed;
}
