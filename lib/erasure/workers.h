/*
 * workers: one run over several pairs of connections at once (batch.workers). Each worker is a thread with a struct
 * run of its own; map, catalogue, program, configuration and issuer key are shared and only read. Work is claimed from
 * the database with SKIP LOCKED, exactly as several hosts would share it.
 */
#ifndef EXPUNGE_ERASURE_WORKERS_H
#define EXPUNGE_ERASURE_WORKERS_H

#include "erasure/run.h"

#define WORKERS_MAX 16 /* batch.workers */

typedef int workers_fn(struct run *run, void *ctx, struct err *err);

/* Calls work(), with its own run, in as many workers as there are pieces of work and the configuration allows, this
 * one included; with one of either it is a plain call. Counters, and requests to be left alone, are added to `run`.
 * -1 when any of them failed; the error is the first one's. */
int workers_run(struct run *run, int64_t pieces, workers_fn *work, void *ctx, struct err *err);
void workers_close(struct run *run);

#endif
