/*
 * ledger: the erasure ledger, outside the database and fsynced before the first delete, so that a
 * restored database can be told what must go again (formats.md, "Restored, cloned, rolled back").
 *
 * One text line an entry in ledger_directory/erasures, appended and chained:
 *     v1 <time> <batch> intent <request> <tenant, table and key, keyed hash> <birth columns, keyed hash> <mac>
 *     v1 <time> <batch> done|abandoned - - - <mac>
 * mac = HMAC-SHA-256 of (the previous line's mac, the line before its mac) under the ledger key, which
 * `init` makes beside it (0600). It holds no free text and nothing that opens without that key.
 */
#ifndef EXPUNGE_ERASURE_LEDGER_H
#define EXPUNGE_ERASURE_LEDGER_H

#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"
#include "svc/config.h"

struct ledger;

/* Makes directory and key; an existing key stays. */
int ledger_create(const struct config *config, struct err *err);
/* Reads the key, waits for the lock of other runs of this host for at most 10 s at each append. */
int ledger_open(struct ledger **ret, const struct config *config, struct err *err);
void ledger_close(struct ledger *ledger);
void ledger_closep(struct ledger **ledger);

/* Collects one intent; birth: the declared birth columns' text, "" when the map declares none. */
int ledger_intent(struct ledger *ledger, const char *request, const char *tenant, const char *table,
	const char *key, const char *birth, struct err *err);
/* The same of hashes that ledger_row_hashes() gave. */
void ledger_intent_hashed(struct ledger *ledger, const char *request, const char *row, const char *birth);
/* Writes the collected intents under a batch id and syncs them. */
int ledger_write(struct ledger *ledger, const char *batch, struct err *err);
/* What became of a batch. */
int ledger_end(struct ledger *ledger, const char *batch, bool done, struct err *err);
/* Drops collected intents that were not written. */
void ledger_forget(struct ledger *ledger);
/* One line; texts until the next one. */
struct ledger_entry {
	enum { LEDGER_INTENT, LEDGER_DONE, LEDGER_ABANDONED } what;
	const char *time, *batch;
	const char *request, *row, *birth; /* of an intent */
};
typedef int ledger_reader(void *ctx, const struct ledger_entry *entry, struct err *err);
/* Reads the whole file, checks the chain, and hands each entry over. *ret_entries: how many there are. */
int ledger_each(struct ledger *ledger, ledger_reader *each, void *ctx, int64_t *ret_entries, struct err *err);
/* The keyed hashes that an intent keeps of a subject's row, 64 hexadecimal digits each. */
int ledger_row_hashes(const struct ledger *ledger, const char *tenant, const char *table, const char *key, const char *birth,
	char row[65], char born[65], struct err *err);
/* Brings the copy in a directory up to date, "ledger." and the first digits of the first mac: each host has a ledger of its own.
 * And this ledger, from a copy of it that has more; a host that has lost its ledger begins another: two hosts never go on with
 * the same one. ERR_REFUSED: neither is the beginning of the other. */
int ledger_copy(struct ledger *ledger, const char *directory, struct err *err);
int ledger_recover(struct ledger *ledger, const char *directory, struct err *err);
/* As ledger_each, for the copies of other hosts' ledgers in a directory. */
int ledger_each_copy(struct ledger *ledger, const char *directory, ledger_reader *each, void *ctx, struct err *err);
/* Checks the chain only. */
int ledger_verify(struct ledger *ledger, int64_t *ret_entries, struct err *err);
/* The installation's keyed hash of a subject, "hmac:<64 hex>" into text[70]: request rows keep it
 * after certification. */
int ledger_subject_hash(const struct ledger *ledger, const char *tenant, const char *subject, char *text, struct err *err);
/* The key, for other keyed references of the installation. */
const struct secret *ledger_key(const struct ledger *ledger);

#endif
