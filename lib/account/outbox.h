/*
 * outbox: sends the notices that wait. Each is locked while it is sent, so that no other host sends it; what the server said
 * is committed before the next one. A process or connection that dies between the server's word and our commit leaves the
 * notice waiting: it is sent again under the same Message-ID. At least once, then, and in all other cases once.
 */
#ifndef EXPUNGE_ACCOUNT_OUTBOX_H
#define EXPUNGE_ACCOUNT_OUTBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "svc/config.h"
#include "svc/db.h"
#include "svc/mail.h"

struct outbox {
	struct db *db;
	const struct config *config;
	struct mailer *mailer;
	int64_t n_sent, n_bounced, n_given_up, n_failed; /* n_failed: to be tried again */
	int64_t n_unfit; /* of those, or of the given up: their templates did not fit */
	bool down; /* the server could not be used: the rest was not tried */
	/* the job listens: ids, codes and counts only. bad: not as it should be */
	void (*note)(bool bad, const char *text);
	void (*progress)(int64_t done, int64_t total);
	bool (*stop)(void);
};

/* Whether there is a mail server to send through. */
bool outbox_is_configured(const struct config *config);
/* Settings that fit each other, and the password; sends nothing. *ret: for CLEANUP(mailer_closep). */
int outbox_mailer(const struct config *config, struct mailer **ret, struct err *err);
/* Sends what is due, each notice once, until stop() or the server is down. One that could not be sent is no error; -1: the
 * database failed, or the settings did. */
int outbox_send(struct outbox *outbox, struct err *err);

#endif
