/* certify: a certificate's fields from the request, its tallies, the recount and the configuration. */
#ifndef EXPUNGE_ERASURE_CERTIFY_H
#define EXPUNGE_ERASURE_CERTIFY_H

#include "erasure/attest.h"
#include "erasure/verify.h"
#include "evidence/certificate.h"
#include "map/plan.h"

/* columns of certify_claim */
enum certify_column {
	CERTIFY_ID, CERTIFY_TENANT, CERTIFY_SUBJECT, CERTIFY_GROUND, CERTIFY_RECEIVED, CERTIFY_IDENTIFIED, CERTIFY_DUE,
	CERTIFY_DECIDED, CERTIFY_DECIDED_BY, CERTIFY_PLAN, CERTIFY_EXECUTED, CERTIFY_VACUUMED, CERTIFY_DOCUMENT,
	CERTIFY_CONTROLLED, CERTIFY_TOLD, CERTIFY_ACKNOWLEDGED,
	CERTIFY_CONSENT /* of a test subject: under which it was made; NULL: an ordinary request */
};

/* What is the same for every certificate of a run, and the tallies of a batch. */
struct certify {
	struct run *run;
	struct db_result *tallies, *keys; /* ordered by request */
	struct db_result *stores; /* stores_foresee() */
	char unfit[37]; /* the request on which composing a batch failed, or "" */
};

int certify_open(struct certify *ret, struct run *run, struct err *err);
void certify_release(struct certify *certify);
int certify_tallies(struct certify *certify, const char *requests, struct err *err);
/* The stores that may hold copies of what was counted at a time. */
int certify_stores(struct certify *certify, const char *as_of, struct err *err);
/* The counter row, locked until the transaction ends: no serial is given twice and none is lost. */
int certify_take_serials(const struct run *run, int64_t *ret_first, int n, struct err *err);
/* One who approved, by a keyed hash of the login. Of a test subject the practice's standing consent is the approval, and its
 * login the one that gave it; else consent is NULL. */
int certify_add_approver(const struct run *run, struct certificate *c, const char *login, const char *consent, struct err *err);
/* How the shares of a root went: "file:ext4", a unit separator between two; in the place of those that stand there. */
void certify_set_drivers(struct certificate_keys *keys, const char *text);
/* What a certificate says of the program and the configuration that issue it; the map stays as it is. */
void certify_set_tool(const struct certify *certify, struct certificate *c);
/* How many rows they speak of. */
int64_t certify_rows(const struct certify *certify);
int certify_compose(struct certify *certify, struct certificate *ret, const struct db_result *rows, int row,
	int64_t serial, const uint8_t *salt, const struct recount *recount, struct err *err);

/* At plan time: the certificate that this plan would lead to, with the present moment where a time is
 * not known yet. Encoding it and looking it through finds now what would otherwise be refused after
 * the removal. */
int certify_foresee(struct run *run, const struct plan *plan, const char *document, struct str *ret, struct err *err);

#endif
