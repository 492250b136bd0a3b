/* external_private: what the stores' programs are called with; for subjects (external.c) and accounts (external_account.c). */
#ifndef EXPUNGE_ERASURE_EXTERNAL_PRIVATE_H
#define EXPUNGE_ERASURE_EXTERNAL_PRIVATE_H

#include "erasure/external.h"

/* Whom a call is about; borrowed. subject: empty for a whole account. */
struct external_case {
	const char *request, *tenant, *subject;
};

/* Runs one of the store's programs; *ret_acknowledged is taken back by an answer that it comes later. */
int external_call(const struct map_external *store, const struct map_names *command, const struct external_case *about,
	bool *ret_acknowledged, struct err *err);

#endif
