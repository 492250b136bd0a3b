/* clinic: the patients of one round, their requests, and what must hold of them afterwards. */
#ifndef EXPUNGE_RACE_CLINIC_H
#define EXPUNGE_RACE_CLINIC_H

#include <stdio.h>

#include "thread.h"

enum deed { IDLE, HOLD, HOLD_ALIAS, HOLD_PRACTICE, WITHDRAW, MESSAGE, VISIT, MOVE_MESSAGE, MOVE_VISIT, MERGE, UPDATE, LINK,
	DECIDE, ARRIVE, DEEDS };

struct subject {
	long id;           /* id + 1: a duplicate merged into it (HOLD_ALIAS); id + 2: another patient beside it, or one who arrives */
	int tenant;
	char request[37];
	char before[64];   /* race.print of the subject and its duplicate */
	char counts[256];   /* race.counts of them */
	char beside[64];   /* of the patient beside it */
	enum deed deed;
	bool stubborn;       /* a constraint of the application's stands in the way */
	bool in_transaction; /* the deed is three steps: BEGIN, itself, COMMIT */
	const struct thread *actor; /* NULL: nobody meddles */
	char state_then[24]; /* the request's state when the deed was done */
	char lsn_then[24];
};

/* First column of the only row, or "" of none; the test ends on any error. */
const char *clinic_ask(PGconn *conn, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
PGconn *clinic_connect(const char *role);

/* Makes the patients and files their requests; approval comes later, by clinic_approve. */
void clinic_make(PGconn *control, struct subject *subject, long partner);
void clinic_approve(PGconn *control, struct subject *subject);
/* The subjects' and their companions' ids, as bigint[] text. */
const char *clinic_ids(const struct subject *subjects, int n);
/* Gives the actor its statements. */
void clinic_instruct(const struct subject *subject, struct thread *actor, const long *when);
const char *clinic_role(enum deed deed);
const char *clinic_deed_name(enum deed deed);
/* Notes in which state the deed found the request. */
void clinic_note_deed(PGconn *control, struct subject *subject);
/* Adds a line to `wrong` for all that must not be. */
void clinic_judge(PGconn *control, const struct subject *subject, FILE *wrong);
/* Undoes what keeps a request open, so that a last run certifies what was removed. */
void clinic_let_go(PGconn *control, const struct subject *subjects, int n);

#endif
