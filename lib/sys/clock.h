/* clock: the host's time as text and number. */
#ifndef EXPUNGE_SYS_CLOCK_H
#define EXPUNGE_SYS_CLOCK_H

#include <stdint.h>

/* Seconds since 1970-01-01 UTC. */
int64_t clock_now(void);
/* Milliseconds of a clock that never goes back, for durations. */
int64_t clock_ms(void);
/* "2026-11-22T02:15:00Z" into text[21]. */
void clock_text(int64_t seconds, char *text);

#endif
