/*
 * message: an e-mail as it goes to a mail server (RFC 5322, MIME): plain text and HTML of the same words, in printable ASCII
 * of at most 76 columns, so that nothing on its way changes it. Pure.
 */
#ifndef EXPUNGE_ACCOUNT_MESSAGE_H
#define EXPUNGE_ACCOUNT_MESSAGE_H

#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

#define MESSAGE_SUBJECT_MAX 300

struct message {
	const char *id;        /* uuid: the part of Message-ID before the @, and of the boundary between text and HTML */
	const char *from;      /* plain addresses: mail_is_address() */
	const char *from_name; /* NULL or "": none */
	const char *to;
	const char *subject;
	int64_t date; /* seconds since 1970 */
	const char *text, *html; /* UTF-8, lines ended by \n */
};

/* "<id@domain>", with the domain of the address it comes from: the same each time. The caller frees. */
char *message_id(const char *id, const char *from);
/* The same message gives the same bytes. Refuses what would begin another header line, or another message: addresses that are
 * none, control characters in subject and name, texts that are not UTF-8. */
int message_compose(struct str *ret, const struct message *message, struct err *err);

#endif
