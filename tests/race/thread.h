/*
 * thread: one of those who race, taken forward one statement at a time: a program under gate.so, or an
 * actor with a connection and a few statements of its own. Only one of them moves at any moment, unless
 * one that waited for a lock is let go by another.
 */
#ifndef EXPUNGE_RACE_THREAD_H
#define EXPUNGE_RACE_THREAD_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "gate.h"

enum thread_state { THREAD_READY, THREAD_MOVING, THREAD_BLOCKED, THREAD_ENDED };

#define THREAD_STEPS 3

struct thread {
	enum thread_state state;
	int backend; /* the server process that works for it */
	/* a program */
	pid_t pid;
	int gate;
	int exit_code;
	bool sleeping;
	unsigned char skip; /* so many statements are not worth a stop: with the next step */
	long passed; /* statements until now */
	struct gate_report at; /* the statement it is about to run */
	/* an actor */
	PGconn *conn;
	char *steps[THREAD_STEPS];
	long when[THREAD_STEPS]; /* by the schedule's count */
	int n_steps, next;
	char sqlstate[6];  /* of the step that failed, "" */
	char answer[80];   /* first value that a step returned */
};

/* Starts a program under the gate, its output in `log`; it is ready before its first statement. */
void thread_program(struct thread *thread, char *const *argv, const char *gate_so, const char *log);
/* An actor without steps on an open connection. */
void thread_actor(struct thread *thread, PGconn *conn);
void thread_add(struct thread *thread, long when, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Takes a ready thread one statement forward. */
void thread_step(struct thread *thread);
/* Waits until no thread moves: each is ready, ended, or waits for a lock (asked of `control`). */
void thread_settle(struct thread *threads, int n, PGconn *control);
void thread_release(struct thread *thread);

/* A number below `below`, by chance that a seed repeats. */
long race_draw(uint64_t *chance, long below);

/* Ends this program with a message: the test itself has failed. */
void die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

#endif
