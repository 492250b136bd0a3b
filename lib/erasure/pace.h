/* pace: keeps a run below batch.rows_per_second, so that the application beside it hardly notices. */
#ifndef EXPUNGE_ERASURE_PACE_H
#define EXPUNGE_ERASURE_PACE_H

#include "erasure/run.h"

/* So many rows at once at most: `most`, or a quarter of a second's worth when there is a limit: a batch has its
 * own costs (control sample, schema, ledger), which more and smaller ones would pay more often. */
int64_t pace_rows(const struct run *run, int64_t most);
/* Waits until work on so many rows, begun at `since` (clock_ms()), has taken the time that it is to take; less when
 * the run is asked to stop. */
void pace_wait(const struct run *run, int64_t rows, int64_t since);

#endif
