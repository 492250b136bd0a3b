/*
 * contact: whether a practice has used a patient that the support staff made. Nobody approves the end of such a test subject;
 * it is erased only while nothing that the map calls contact is there, and its row is the one that was registered.
 */
#ifndef EXPUNGE_ERASURE_CONTACT_H
#define EXPUNGE_ERASURE_CONTACT_H

#include "erasure/run.h"

/* In the removing transaction, before anything is collected: no row that would be a contact can be written until it ends. */
int contact_lock(const struct run *run, struct err *err);
/* Of collected requests (uuid[] text) of test subjects those that are not untouched: rows (request, why); `why` begins with
 * "touched: ", or is "gone". A map without a group support is an error. */
int contact_find(const struct run *run, struct db *db, const char *requests, struct db_result **ret, struct err *err);
/* The function by which SQL looks at a subject's row, of the login that may: CREATE FUNCTION expunge.find_subject. */
void contact_function(struct str *sql, const struct program *program, struct db *db);

#endif
