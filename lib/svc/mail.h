/*
 * mail: the only file that speaks libcurl. One message for one recipient at a time, over SMTP with STARTTLS (smtp://) or
 * TLS from the beginning (smtps://); the server's certificate is verified against its name. Without TLS only to this
 * host itself. The connection is kept for the next message.
 */
#ifndef EXPUNGE_SVC_MAIL_H
#define EXPUNGE_SVC_MAIL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/secret.h"

#define MAIL_CODE_MAX 40
#define MAIL_ADDRESS_MAX 254
#define MAIL_PASSWORD_MAX 1024

struct mail_options {
	const char *server;  /* "smtp://host", "smtps://host:port"; a port is needed only where it is not 587 or 465 */
	bool tls;            /* false: the host must be localhost, 127.x.y.z or [::1] */
	const char *ca_file; /* whose word counts for the server's name */
	const char *user;    /* NULL or "": nobody logs in */
	const struct secret *password;
	int timeout_s; /* for a connection, and again for a message */
};

struct mailer;

/* Nothing is sent yet. libcurl keeps a copy of the password until the mailer is closed. ERR_USAGE: a server that is written wrongly, or without TLS elsewhere. */
int mailer_open(struct mailer **ret, const struct mail_options *options, struct err *err);
/* NULL is fine. */
void mailer_close(struct mailer *mailer);
void mailer_closep(struct mailer **mailer);

enum mail_verdict {
	MAIL_SENT,    /* the server has said that it will deliver it */
	MAIL_LATER,   /* not now, this recipient or message: 4yz */
	MAIL_REFUSED, /* never, this recipient or message: 5yz */
	MAIL_DOWN,    /* no message at all can be sent: not reached, no TLS, no login, the sender refused, the connection lost */
	MAIL_UNKNOWN  /* the connection was lost after the whole message had been sent, and before the answer: it may arrive */
};

struct mail_answer {
	enum mail_verdict verdict;
	char code[MAIL_CODE_MAX]; /* "250 2.0.0", "550 5.1.1", "lost", "tls", "unreachable", "timeout": never the server's words */
};

/* One plain ASCII address, local@domain, that no header or command could take for something else. Pure. */
bool mail_is_address(const char *text);
/* The code and, if it has one, the enhanced code (RFC 2034) that a line of a server begins with. code[0] is 0 when it begins with
 * none. Pure. */
void mail_code_of(const char *line, size_t n, char code[MAIL_CODE_MAX]);

/* Connects, with TLS and login, and sends nothing: MAIL_SENT or MAIL_DOWN. Ends what the mailer is good for. */
void mailer_greet(struct mailer *mailer, struct mail_answer *ret, const char **ret_detail);

/* message: header and body, lines ended by CRLF. -1 only when nothing was tried: an address that is none. *ret_detail (may be
 * NULL) says in static text what libcurl thinks of a failure. */
int mailer_send(struct mailer *mailer, const char *from, const char *to, const char *message, size_t n, struct mail_answer *ret,
	const char **ret_detail, struct err *err);

#endif
