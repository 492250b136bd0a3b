/*
 * lineage: whether database, anchor and journals are of one history (formats.md, "Restored, cloned, rolled back").
 *
 * Each run draws a nonce, which the database keeps for ever, and the anchor and each journal's head show. What they show and
 * the database has never drawn was drawn by another copy of it: it is a clone, or was restored; so it is, too, if they have
 * come further, or if its server is on another timeline than at the last run.
 */
#ifndef EXPUNGE_KEYS_LINEAGE_H
#define EXPUNGE_KEYS_LINEAGE_H

#include "keys/keys.h"

/* ERR_REFUSED: another history, and what a person does about it. Every place must be readable. To be asked before leaves
 * are made or shredded. */
int lineage_check(const struct keys *keys, struct db *db, struct err *err);
/* For what reads: as lineage_check, but that one place that can be read is enough; `notes` gets a line for each that cannot.
 * Refused while an adoption has not ended. */
int lineage_ask(const struct keys *keys, struct db *db, struct str *notes, struct err *err);
/* The beginning of a run: asks, and draws a fresh nonce, for the database and every place. */
int lineage_enter(const struct keys *keys, struct db *db, struct str *notes, struct err *err);
/* A person says that this database is the one that counts, and others are copies of it. Refused if it is behind: then only
 * the journal can help. */
int lineage_claim(const struct keys *keys, struct db *db, struct err *err);

/* A fresh nonce, and with it the timeline that the server is on now. */
int lineage_draw(struct db *db, struct err *err);
/* What anchor and journals show, as a text[]; a place that is absent or cannot be read shows nothing. */
void lineage_nonces(const struct keys *keys, struct str *ret);
/* The anchor says what the database says. */
int lineage_write_anchor(const struct keys *keys, struct db *db, struct err *err);

#endif
