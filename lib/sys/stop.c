#include "sys/stop.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>

static const int stop_signals[] = { SIGINT, SIGTERM, SIGHUP };
static volatile sig_atomic_t asked;
static void (*second)(void *);
static void *second_ctx;

static void
on_signal(int number)
{
	int saved = errno;

	(void)number;
	if (asked && second != NULL)
		second(second_ctx);
	asked = 1;
	errno = saved;
}

static void
fill_set(sigset_t *set)
{
	(void)sigemptyset(set);
	for (size_t i = 0; i < sizeof(stop_signals) / sizeof(stop_signals[0]); i++)
		(void)sigaddset(set, stop_signals[i]);
}

void
stop_install(void)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	fill_set(&action.sa_mask);
	for (size_t i = 0; i < sizeof(stop_signals) / sizeof(stop_signals[0]); i++) {
		struct sigaction before;

		/* nohup and a shell's background jobs ask for a signal to be ignored: leave it so */
		if (sigaction(stop_signals[i], NULL, &before) == 0 && before.sa_handler == SIG_IGN)
			continue;
		(void)sigaction(stop_signals[i], &action, NULL);
	}
	/* who was started with it ignored never learns how a program of ours ended */
	(void)signal(SIGCHLD, SIG_DFL);
	/* a full disk or a closed pipe is an error of the write, not the end of the process */
	(void)sigaction(SIGXFSZ, &ignore, NULL);
	(void)sigaction(SIGPIPE, &ignore, NULL);
}

bool
stop_asked(void)
{
	return asked != 0;
}

void
stop_on_second(void (*cancel)(void *), void *ctx)
{
	sigset_t set, before;

	/* the handler must never see the function of one and the context of the other */
	fill_set(&set);
	(void)sigprocmask(SIG_BLOCK, &set, &before);
	second = cancel;
	second_ctx = ctx;
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
}
