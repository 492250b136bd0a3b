#include "erasure/ledger.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "base/str.h"
#include "svc/crypt.h"
#include "sys/clock.h"
#include "sys/file.h"
#include "sys/lines.h"
#include "sys/lock.h"
#include "sys/mirror.h"

#define KEY_SIZE 32
#define KEY_TEXT 64
#define LINE_MAX_READ 65536 /* what is longer was not written by us */
#define LOCK_SECONDS 10
#define COPY_PREFIX "ledger."
#define NAME_DIGITS 16
#define ENTRY_MAX 4096 /* bytes: more than any line has */

struct ledger {
	char *path, *lock_path;
	struct secret key;
	struct str intents; /* lines without time, batch and mac */
};

static int
make_key(const char *path, struct err *err)
{
	uint8_t key[KEY_SIZE];
	char text[KEY_TEXT + 2];
	int failed = crypt_random(key, sizeof(key), err);

	if (failed == 0) {
		bytes_to_hex(key, sizeof(key), text);
		text[KEY_TEXT] = '\n';
		failed = file_write(path, text, KEY_TEXT + 1, 0600, true, err);
	}
	secret_wipe(key, sizeof(key));
	secret_wipe(text, sizeof(text));
	return failed;
}

int
ledger_create(const struct config *config, struct err *err)
{
	const char *directory = config_text(config, SET_LEDGER_DIRECTORY);
	CLEANUP(free_text) char *key = file_join(directory, "key");

	CLEANUP(free_text) char *entries = file_join(directory, "erasures");

	if (file_make_directory(directory, 0700, err) != 0)
		return -1;
	if (file_exists(key))
		return 0;
	if (file_exists(entries)) {
		(void)err_set(err, ERR_REFUSED, "the ledger key %s is missing, and the ledger has entries", key);
		return err_hint(err, "restore it from its backup: without it nobody can tell what must be erased again after a restore");
	}
	return make_key(key, err);
}

static int
read_key(struct secret *ret, const char *path, struct err *err)
{
	struct secret text = SECRET_INIT;
	char hex[KEY_TEXT + 1];
	int failed;

	if (file_read_secret(path, 256, &text, err) != 0) {
		(void)err_prefix(err, "reading the ledger key");
		return err_hint(err, "expunge init makes it; if it was lost, restore it from its backup: without it no entry can be matched");
	}
	failed = text.n < KEY_TEXT;
	if (!failed) {
		(void)memcpy(hex, text.bytes, KEY_TEXT);
		hex[KEY_TEXT] = '\0';
		secret_new(ret, KEY_SIZE);
		failed = bytes_from_hex(hex, ret->bytes, KEY_SIZE);
	}
	secret_wipe(hex, sizeof(hex));
	secret_erase(&text);
	return failed ? err_set(err, ERR_FAILED, "%s is not a ledger key", path) : 0;
}

int
ledger_open(struct ledger **ret, const struct config *config, struct err *err)
{
	const char *directory = config_text(config, SET_LEDGER_DIRECTORY);
	CLEANUP(free_text) char *key = file_join(directory, "key");
	CLEANUP(ledger_closep) struct ledger *ledger = mem_zero(1, sizeof(*ledger));

	ledger->path = file_join(directory, "erasures");
	ledger->lock_path = file_join(directory, "lock");
	if (read_key(&ledger->key, key, err) != 0)
		return -1;
	*ret = TAKE_PTR(ledger);
	return 0;
}

void
ledger_close(struct ledger *ledger)
{
	if (ledger == NULL)
		return;
	secret_erase(&ledger->key);
	str_release(&ledger->intents);
	free(ledger->path);
	free(ledger->lock_path);
	free(ledger);
}

void
ledger_closep(struct ledger **ledger)
{
	ledger_close(*ledger);
}

const struct secret *
ledger_key(const struct ledger *ledger)
{
	return &ledger->key;
}

/* HMAC over the fields, each preceded by its length (4 bytes, big-endian), as 64 hex digits. */
static int
keyed_hash(const struct ledger *ledger, const char *const *fields, size_t n, char *hex, struct err *err)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	uint8_t mac[SHA256_SIZE];
	int failed;

	for (size_t i = 0; i < n; i++) {
		uint8_t length[4];

		bytes_put_u32(length, (uint32_t)strlen(fields[i]));
		str_add_n(&text, (const char *)length, sizeof(length));
		str_add(&text, fields[i]);
	}
	failed = crypt_hmac_sha256(&ledger->key, text.s, text.len, mac, err);
	if (failed == 0)
		bytes_to_hex(mac, sizeof(mac), hex);
	return failed;
}

int
ledger_subject_hash(const struct ledger *ledger, const char *tenant, const char *subject, char *text, struct err *err)
{
	(void)memcpy(text, "hmac:", 5);
	return keyed_hash(ledger, (const char *const[]){ "expunge/subject/v1", tenant, subject }, 3, text + 5, err);
}

int
ledger_intent(struct ledger *ledger, const char *request, const char *tenant, const char *table, const char *key,
	const char *birth, struct err *err)
{
	char row[65], born[65];

	if (ledger_row_hashes(ledger, tenant, table, key, birth, row, born, err) != 0)
		return -1;
	ledger_intent_hashed(ledger, request, row, born);
	return 0;
}

void
ledger_intent_hashed(struct ledger *ledger, const char *request, const char *row, const char *birth)
{
	str_addf(&ledger->intents, "intent %s %s %s\n", request, row, birth);
}

/* mac of a line (without its mac) after another, as 64 hex digits */
static int
chain(const struct ledger *ledger, const char *previous, const char *line, char *mac, struct err *err)
{
	return keyed_hash(ledger, (const char *const[]){ "expunge/ledger-chain/v1", previous, line }, 3, mac, err);
}

/* A whole entry but for its newline, which is missing or was made another character: no crash does that. */
static bool
lacks_only_its_end(const struct ledger *ledger, const char *previous, const char *line, size_t n)
{
	for (size_t extra = 0; extra < 2 && n >= 66 + extra; extra++) {
		CLEANUP(free_text) char *entry = mem_copy_n(line, n - extra - 65);
		char mac[65];

		if (chain(ledger, previous, entry, mac, NULL) == 0 && secret_equal(mac, line + n - extra - 64, 64))
			return true;
	}
	return false;
}

/* The last line's mac, "" of an empty file. A last line without its newline is what a crash or a full
 * disk left of an append; its batch never went on to delete, so it is cut off. */
static int
last_mac(const struct ledger *ledger, char *mac, struct err *err)
{
	CLEANUP(free_text) char *text = NULL;
	size_t n = 0, cut = 0;
	off_t size = 0;

	mac[0] = '\0';
	if (!file_exists(ledger->path))
		return 0;
	if (file_read_tail(ledger->path, (size_t)2 * ENTRY_MAX, &text, &n, &size, err) != 0)
		return -1;
	while (cut < n && text[n - cut - 1] != '\n')
		cut++;
	n -= cut;
	if (cut >= ENTRY_MAX || (n > 0 && (n < 66 || text[n - 66] != ' ')))
		return err_set(err, ERR_FAILED, "%s is not an erasure ledger", ledger->path);
	if (n > 0) {
		(void)memcpy(mac, text + n - 65, 64);
		mac[64] = '\0';
	}
	if (cut == 0)
		return 0;
	if (lacks_only_its_end(ledger, mac, text + n, cut))
		return err_set(err, ERR_FAILED, "the erasure ledger was changed at its last line");
	return file_truncate(ledger->path, size - (off_t)cut, err);
}

/* Appends lines ("intent ..." or "done - - -"), each stamped and chained, in one synced write. */
static int
append(struct ledger *ledger, const char *batch, const char *lines, struct err *err)
{
	CLEANUP(str_release) struct str out = STR_INIT;
	char mac[65], now[21];
	int lock = -1, failed;

	if (lock_wait(ledger->lock_path, LOCK_SECONDS, &lock, err) != 0)
		return -1;
	clock_text(clock_now(), now);
	failed = last_mac(ledger, mac, err);
	for (const char *line = lines; *line != '\0' && failed == 0;) {
		const char *end = strchr(line, '\n');
		CLEANUP(free_text) char *whole = mem_printf("v1 %s %s %.*s", now, batch, (int)(end - line), line);
		char next[65];

		failed = chain(ledger, mac, whole, next, err);
		str_addf(&out, "%s %s\n", whole, next);
		(void)memcpy(mac, next, sizeof(mac));
		line = end + 1;
	}
	if (failed == 0)
		failed = file_append(ledger->path, out.s, out.len, err);
	lock_release(&lock);
	return failed == 0 ? 0 : err_prefix(err, "writing the erasure ledger");
}

int
ledger_write(struct ledger *ledger, const char *batch, struct err *err)
{
	int failed = ledger->intents.len == 0 ? 0 : append(ledger, batch, ledger->intents.s, err);

	str_clear(&ledger->intents);
	return failed;
}

int
ledger_end(struct ledger *ledger, const char *batch, bool done, struct err *err)
{
	return append(ledger, batch, done ? "done - - -\n" : "abandoned - - -\n", err);
}

void
ledger_forget(struct ledger *ledger)
{
	str_clear(&ledger->intents);
}

/* "v1 TIME BATCH WHAT REQUEST ROW BIRTH", cut at its blanks; false: not in that form. */
static bool
take_apart(char *line, struct ledger_entry *ret)
{
	char *fields[7];
	int n = 0;

	for (char *at = line; at != NULL && n < 7; n++) {
		char *blank = strchr(at, ' ');

		fields[n] = at;
		if (blank != NULL)
			*blank++ = '\0';
		at = blank;
		if (n == 6 && at != NULL)
			return false;
	}
	if (n != 7 || strcmp(fields[0], "v1") != 0)
		return false;
	*ret = (struct ledger_entry){ .time = fields[1], .batch = fields[2], .request = fields[4], .row = fields[5], .birth = fields[6] };
	ret->what = strcmp(fields[3], "intent") == 0 ? LEDGER_INTENT : strcmp(fields[3], "done") == 0 ? LEDGER_DONE : LEDGER_ABANDONED;
	return ret->what != LEDGER_ABANDONED || strcmp(fields[3], "abandoned") == 0;
}

static int
read_entries(const struct ledger *ledger, const char *path, ledger_reader *each, void *ctx, int64_t *ret_entries, struct err *err)
{
	CLEANUP(lines_closep) struct lines *lines = NULL;
	char mac[65] = "", next[65], *line;
	struct ledger_entry entry;
	size_t left;
	bool ended;
	int64_t n = 0;

	*ret_entries = 0;
	if (!file_exists(path))
		return 0;
	if (lines_open(&lines, path, LINE_MAX_READ, err) != 0)
		return -1;
	for (;; n++) {
		if (lines_next(lines, &line, &left, &ended, err) != 0)
			return err_prefix(err, "the erasure ledger at line %lld", (long long)n + 1);
		/* its end; or an append that is under way, or that a crash cut short: the next one cuts it off */
		if (line == NULL || (!ended && left < ENTRY_MAX && !lacks_only_its_end(ledger, mac, line, left)))
			break;
		if (!ended)
			return err_set(err, ERR_FAILED, "the erasure ledger was changed at line %lld", (long long)n + 1);
		if (left < 66 || line[left - 65] != ' ' || memchr(line, '\0', left) != NULL)
			return err_set(err, ERR_FAILED, "the erasure ledger is malformed at line %lld", (long long)n + 1);
		line[left - 65] = '\0';
		if (chain(ledger, mac, line, next, err) != 0)
			return -1;
		if (!secret_equal(next, line + left - 64, 64))
			return err_set(err, ERR_FAILED, "the erasure ledger was changed at line %lld", (long long)n + 1);
		(void)memcpy(mac, next, sizeof(mac));
		if (each == NULL)
			continue;
		if (!take_apart(line, &entry))
			return err_set(err, ERR_FAILED, "the erasure ledger is malformed at line %lld", (long long)n + 1);
		if (each(ctx, &entry, err) != 0)
			return -1;
	}
	*ret_entries = n;
	return 0;
}

int
ledger_each(struct ledger *ledger, ledger_reader *each, void *ctx, int64_t *ret_entries, struct err *err)
{
	return read_entries(ledger, ledger->path, each, ctx, ret_entries, err);
}

int
ledger_verify(struct ledger *ledger, int64_t *ret_entries, struct err *err)
{
	return ledger_each(ledger, NULL, NULL, ret_entries, err);
}

int
ledger_row_hashes(const struct ledger *ledger, const char *tenant, const char *table, const char *key, const char *birth,
	char row[65], char born[65], struct err *err)
{
	return keyed_hash(ledger, (const char *const[]){ "expunge/ledger-row/v1", tenant, table, key }, 4, row, err) != 0 ? -1
	     : keyed_hash(ledger, (const char *const[]){ "expunge/ledger-birth/v1", birth }, 2, born, err);
}

/* ---- copies ------------------------------------------------------------------------------------- */

/* A copy has no more than the ledger and ends with the same line, unless the ledger was put back: what is appended now follows
 * other lines than in the copy. Each line's mac is of all before it. */
static int
check_copied(const struct ledger *ledger, const char *path, struct err *err)
{
	CLEANUP(free_text) char *ours = NULL;
	CLEANUP(free_text) char *copied = NULL;
	size_t n_ours = 0, n_copied = 0;
	off_t size = 0, copied_size = 0;

	if (!file_exists(path))
		return 0;
	if (file_read_tail(path, ENTRY_MAX, &copied, &n_copied, &copied_size, err) != 0 ||
	    (file_exists(ledger->path) && file_read_tail(ledger->path, ENTRY_MAX, &ours, &n_ours, &size, err) != 0))
		return -1;
	if (copied_size < size || (copied_size == size && (n_ours == 0 || memcmp(ours, copied, n_ours) == 0)))
		return 0;
	(void)err_set(err, ERR_REFUSED, "%s has entries that the erasure ledger has not: this was restored from an older copy", path);
	return err_hint(err, "stop all runs, keep a copy of %s, and put the other in its place", ledger->path);
}

/* Each host has a ledger of its own. What tells one from another is the mac of its first entry: 16 digits of it; "" while there
 * is none. */
static int
first_mac(const struct ledger *ledger, char ret[NAME_DIGITS + 1], struct err *err)
{
	CLEANUP(lines_closep) struct lines *lines = NULL;
	char *line;
	size_t n;
	bool ended;

	ret[0] = '\0';
	if (!file_exists(ledger->path))
		return 0;
	if (lines_open(&lines, ledger->path, LINE_MAX_READ, err) != 0 || lines_next(lines, &line, &n, &ended, err) != 0)
		return -1;
	if (line != NULL && ended && n >= 66)
		(void)snprintf(ret, NAME_DIGITS + 1, "%.*s", NAME_DIGITS, line + n - 64);
	return 0;
}

/* The path of this ledger's copy; NULL while there is nothing to copy. */
static int
copy_path(const struct ledger *ledger, const char *directory, char **ret, struct err *err)
{
	char name[NAME_DIGITS + 1];

	*ret = NULL;
	if (first_mac(ledger, name, err) != 0)
		return -1;
	if (name[0] != '\0')
		*ret = mem_printf("%s/" COPY_PREFIX "%s", directory, name);
	return 0;
}

static void
close_directory(DIR **directory)
{
	if (*directory != NULL)
		(void)closedir(*directory);
}

/* The next copy in a directory: its path, *ret NULL at the end. */
static int
next_copy(DIR *list, const char *directory, char **ret, struct err *err)
{
	for (;;) {
		const struct dirent *entry;

		*ret = NULL;
		errno = 0;
		entry = readdir(list);
		if (entry == NULL)
			return errno == 0 ? 0 : err_sys(err, "reading directory %s", directory);
		if (strncmp(entry->d_name, COPY_PREFIX, sizeof(COPY_PREFIX) - 1) == 0) {
			*ret = file_join(directory, entry->d_name);
			return 0;
		}
	}
}

int
ledger_copy(struct ledger *ledger, const char *directory, struct err *err)
{
	CLEANUP(free_text) char *copy = NULL;
	int lock = -1, failed;

	if (lock_wait(ledger->lock_path, LOCK_SECONDS, &lock, err) != 0)
		return -1;
	failed = copy_path(ledger, directory, &copy, err);
	if (failed == 0 && copy != NULL)
		failed = mirror_lines(copy, ledger->path, err) != 0 || check_copied(ledger, copy, err) != 0 ? -1 : 0;
	lock_release(&lock);
	return failed == 0 ? 0 : err_prefix(err, "copying the erasure ledger");
}

int
ledger_recover(struct ledger *ledger, const char *directory, struct err *err)
{
	CLEANUP(free_text) char *copy = NULL;
	int64_t entries;
	int lock = -1, failed;

	if (lock_wait(ledger->lock_path, LOCK_SECONDS, &lock, err) != 0)
		return -1;
	failed = copy_path(ledger, directory, &copy, err);
	if (failed == 0 && copy != NULL)
		failed = read_entries(ledger, copy, NULL, NULL, &entries, err) != 0 ? -1 : mirror_lines(ledger->path, copy, err);
	lock_release(&lock);
	return failed == 0 ? 0 : err_prefix(err, "recovering the erasure ledger");
}

int
ledger_each_copy(struct ledger *ledger, const char *directory, ledger_reader *each, void *ctx, struct err *err)
{
	CLEANUP(close_directory) DIR *list = opendir(directory);
	CLEANUP(free_text) char *own = NULL;
	int64_t entries;

	if (list == NULL)
		return errno == ENOENT ? 0 : err_sys(err, "opening directory %s", directory);
	if (copy_path(ledger, directory, &own, err) != 0)
		return -1;
	for (;;) {
		CLEANUP(free_text) char *path = NULL;

		if (next_copy(list, directory, &path, err) != 0)
			return -1;
		if (path == NULL)
			return 0;
		if ((own == NULL || strcmp(path, own) != 0) && read_entries(ledger, path, each, ctx, &entries, err) != 0)
			return err_prefix(err, "%s", path);
	}
}
