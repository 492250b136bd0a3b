/* token_private: what the files of token.h share. */
#ifndef EXPUNGE_SVC_TOKEN_PRIVATE_H
#define EXPUNGE_SVC_TOKEN_PRIVATE_H

#include <p11-kit/pkcs11.h>

#include "svc/token.h"

struct token {
	char *called; /* "token LABEL" */
	void *library;
	CK_FUNCTION_LIST *p11;
	CK_SESSION_HANDLE session;
	bool locked, initialized, in_session, logged_in;
};

/* -1, and err says what was attempted, what the module answered, and what to do. */
int token_fail(const struct token *token, const char *what, CK_RV rv, struct err *err);

#endif
