/*
 * stop: SIGINT, SIGTERM and SIGHUP ask a run to end at the next safe point. A second one cancels
 * the statement under way.
 */
#ifndef EXPUNGE_SYS_STOP_H
#define EXPUNGE_SYS_STOP_H

#include <stdbool.h>

/* Signals that the caller's environment ignores (nohup) stay ignored. SIGPIPE and SIGXFSZ are turned
 * into errors of the write, and SIGCHLD is back at its default. */
void stop_install(void);
bool stop_asked(void);
/* Called (from the handler: async-signal-safe functions only) at the second signal; NULL to clear. */
void stop_on_second(void (*cancel)(void *), void *ctx);

#endif
