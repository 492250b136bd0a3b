/*
 * root: the root key of an epoch, kept as shares outside the database and outside every backup.
 *
 * A root store is a list of shares, each a list of replicas. The root of (epoch, attempt) is the XOR of all shares, each
 * 32 random bytes, drawn anew for each root (one share: driver "file" or "pkcs11"; several: "split"). Any one replica of each share
 * gives the root; one share destroyed on all of its replicas destroys it. A record is written once and never changed.
 *
 * What is told apart, always: a root that is there, one that was destroyed, and one of which nothing can be said
 * because a place is missing, not mounted or not ours. So that an empty mount point does not look like a place whose
 * records were destroyed, each place holds a marker, made once by root_init; without it the place is unavailable.
 *
 * Nothing here takes a lock: who creates, heals or destroys holds the installation's lock.
 */
#ifndef EXPUNGE_KEYS_ROOT_H
#define EXPUNGE_KEYS_ROOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"
#include "base/str.h"
#include "keys/root_record.h"
#include "sys/place.h"

struct root_token;

struct root_share_config {
	char **replicas; /* directories, absolute */
	size_t n;
	struct root_token *tokens; /* NULL: directories alone; else one for each replica (see root_token.h) */
};

struct root_config {
	struct root_share_config *shares;
	size_t n; /* 0: there is no key tree */
	char *anchor;
};

enum root_verdict {
	ROOT_PRESENT,
	ROOT_DESTROYED,  /* every replica was reachable and marked as ours, and none has such a record */
	ROOT_PARTIAL,    /* all were reachable, some have a record, and a share is nowhere: half written or half destroyed */
	ROOT_ALTERED,    /* the records that are there do not give the root that was written */
	ROOT_UNAVAILABLE /* nothing can be said before a place is back: missing, not mounted, not ours, not readable */
};

/* How one replica was found, or left. */
enum root_state {
	ROOT_GOOD,
	ROOT_UNUSED,        /* its share was added to the configuration after this root was made */
	ROOT_ABSENT,        /* the place is there and ours, and has no such record */
	ROOT_LEFTOVER,      /* a record that was never finished */
	ROOT_DAMAGED,       /* not a record, or not as it was written */
	ROOT_FOREIGN,       /* a whole record of another instance */
	ROOT_STALE,         /* a whole record of another epoch, attempt or share under this name */
	ROOT_DISAGREES,     /* a whole record that does not go with the others */
	ROOT_UNREADABLE,    /* the record is there, the place is ours, and reading failed */
	ROOT_NO_PLACE,      /* missing, not mounted, not ours */
	ROOT_GONE,          /* root_destroy: it was there, was written over, and is gone */
	ROOT_NOT_DESTROYED  /* root_destroy: it is still there */
};

struct root_replica {
	struct root_id id;
	uint32_t share, replica; /* from 1 */
	char *path;
	enum root_state state;
	char *what, *remedy; /* NULL: all is well */
	struct place place;  /* of what was destroyed */
};

/* Found replica by replica; what is asked anew is added at the end. */
struct root_report {
	struct root_replica *replicas;
	size_t n;
};

void root_report_release(struct root_report *report);
/* How many need a person: all but good, unused and, after root_destroy, absent and gone. */
size_t root_report_problems(const struct root_report *report);
/* One line each for those: "share 1, replica 2 (/path): what; remedy". */
void root_report_add_text(const struct root_report *report, struct str *ret);
/* For a certificate: how many shares of this root are gone from all of their replicas. */
uint32_t root_report_shares_gone(const struct root_report *report, const struct root_id *id);
const char *root_state_text(enum root_state state);
const char *root_verdict_text(enum root_verdict verdict);

struct root_store;

/* Nothing is opened yet. instance: uuid. The tokens of `config` are its, and must outlive the store. Refuses a store without shares, or with more than fits a record. */
int root_open(struct root_store **ret, const struct root_config *config, const char *instance, struct err *err);
void root_close(struct root_store *store);
void root_closep(struct root_store **store);
uint32_t root_shares(const struct root_store *store);
/* "file", "pkcs11", or "split" for several shares. */
const char *root_driver_name(const struct root_store *store);
/* How a share (from 1) is kept: "file" or "pkcs11". */
const char *root_share_driver(const struct root_store *store, uint32_t share);

/* Marks every place of a new installation, and makes missing directories (their parents must be there). All marked: fine.
 * Some marked, and records in them: refused, because the others are more likely not mounted than new. */
int root_init(struct root_store *store, struct err *err);
/* Marks one place that a person says is new (a disk was replaced); root_heal fills it. It must hold no record. */
int root_mark(struct root_store *store, uint32_t share, uint32_t replica, struct err *err);

/* A fresh root. All places must be there; there must be no record of this id. Every record is read back from its place and
 * the root put together from them before *ret is written. On failure what was written is destroyed again; what a kill
 * leaves is not a root to be used, even if it reads ROOT_PRESENT: see root_is_whole. */
int root_create(struct root_store *store, const struct root_id *id, struct secret *ret, struct err *err);
/* 0: *ret_verdict is ROOT_PRESENT, *ret the root, though some replicas may be bad. -1: any other verdict, err says what to do.
 * report (may be NULL) gets every replica. */
int root_read(struct root_store *store, const struct root_id *id, struct secret *ret, enum root_verdict *ret_verdict,
	struct root_report *report, struct err *err);
/* After a kill in root_create: true if that had written every record. If not, the attempt is to be abandoned and destroyed. */
int root_is_whole(struct root_store *store, const struct root_id *id, bool *ret, struct err *err);
/* Writes a living root's record again where it is absent, from another replica of the share. *ret_n: how many. What is
 * there and bad is left for a person to look at, and to move away. */
int root_heal(struct root_store *store, const struct root_id *id, size_t *ret_n, struct root_report *report, struct err *err);

/* Every root of which any reachable place holds a record, or a part of one. *ret_complete: all places were reachable. */
int root_list(struct root_store *store, struct root_ids *ret, bool *ret_complete, struct root_report *report, struct err *err);
/* Writes over and removes every record of this root; again and again is fine, and so is one that was never there. All
 * replicas are tried. 0 only when every place was reachable and has no record of it any more. */
int root_destroy(struct root_store *store, const struct root_id *id, struct root_report *report, struct err *err);
/* Destroys every root but these: retired ones that reappeared, attempts that a kill left. Refused (ERR_REFUSED) unless
 * each of `keep` reads ROOT_PRESENT and no root is of a later epoch: then it is the database, or the caller, that
 * is behind, and its newer root must live. *ret_destroyed (may be NULL): which were found. The report has the replicas of
 * `keep`, too. */
int root_destroy_others(struct root_store *store, const struct root_id *keep, size_t n_keep, struct root_ids *ret_destroyed,
	struct root_report *report, struct err *err);

/* One line for each that a lost or stolen disk would cost: replicas of a share on one device, and a complete set of shares
 * on one device. Nothing is said of places that are not there. */
void root_device_warnings(struct root_store *store, struct str *ret);

#endif
