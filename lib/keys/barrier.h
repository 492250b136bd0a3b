/*
 * barrier: what a change of the root waits for before it destroys the old one, besides the key journals: that standbys have
 * the pages which it has sealed, that the server has archived them (setting keys.barriers).
 *
 * What is asked is the position in the write-ahead log behind the change's commit, which its row keeps: whoever goes on with it
 * waits for the same. How far others have come is the server's word, not that of a COMMIT: that may be set to wait for nobody, may be
 * told to stop waiting, and knows no time-out.
 */
#ifndef EXPUNGE_KEYS_BARRIER_H
#define EXPUNGE_KEYS_BARRIER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"
#include "svc/config.h"
#include "svc/db.h"

/* Refuses (ERR_REFUSED) what could not be waited for at all: a standby that is not connected, a server that does not
 * archive. Asked before a change begins, for one that waits holds backups up. */
int barrier_ready(const struct config *config, struct db *db, struct err *err);
/* Waits until every barrier is passed by the change in state journalled. ERR_WAITS when the time of one is over, or a stop was
 * asked for: nothing may be destroyed, and the change's row says what it waits for. */
int barrier_pass(const struct config *config, struct db *db, const char *attempt, struct err *err);

/* How a barrier stands at present; text as in messages. */
struct barrier_look {
	bool there;           /* there is somebody to be waited for */
	struct str standing;
	struct str warning;   /* why it may not be passed; empty: nothing is known */
	struct str remedy;    /* of the warning */
};

void barrier_look_release(struct barrier_look *look);
/* The nth barrier of the configuration. *ret_any: false behind the last one. */
int barrier_look(const struct config *config, struct db *db, size_t n, struct barrier_look *ret, bool *ret_any, struct err *err);

#endif
