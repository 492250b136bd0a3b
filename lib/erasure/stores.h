/*
 * stores: copies of the rows that this program cannot erase and that end by themselves. The configuration declares them,
 * with a retention; the database server shows some that nobody declared. A request is bound to its stores when it
 * is certified, and a configuration changed later can add to them, but take nothing away.
 */
#ifndef EXPUNGE_ERASURE_STORES_H
#define EXPUNGE_ERASURE_STORES_H

#include "erasure/run.h"
#include "evidence/certificate.h"

/* The stores that may hold copies of rows that were counted at a time ("2026-09-14T01:15:09Z"), for the other two. */
int stores_foresee(const struct run *run, const char *as_of, struct db_result **ret, struct err *err);
/* What a certificate says of them: its stage, and what it waits for. */
void stores_add(struct certificate *c, const struct db_result *stores);
/* Binds requests (uuid[] text) to them, in the transaction that certifies the requests. */
int stores_bind(const struct run *run, const char *requests, const struct db_result *stores, struct err *err);

/* Interim certificates wait for what was declared since; what has ended by now is noted. One transaction. */
int stores_age(const struct run *run, struct err *err);

/* The final certificate's account of stores, from the rows of final_stores at `row` on, as long as they are the request's:
 * every store that the interim certificate names must have ended, no earlier than it says and in no weaker way. */
int stores_account(struct certificate *c, const struct db_result *rows, int row, struct err *err);

#endif
