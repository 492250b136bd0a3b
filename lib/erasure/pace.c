#include "erasure/pace.h"

#include <unistd.h>

#include "sys/clock.h"

#define LOOK_MS 250 /* how often a wait looks for a wish to stop */
#define BATCHES_PER_SECOND 4

int64_t
pace_rows(const struct run *run, int64_t most)
{
	int64_t limit = config_int(run->config, SET_BATCH_ROWS_PER_SECOND);

	if (limit == 0)
		return most;
	limit = (limit + BATCHES_PER_SECOND - 1) / BATCHES_PER_SECOND;
	return limit < most ? limit : most;
}

void
pace_wait(const struct run *run, int64_t rows, int64_t since)
{
	int64_t limit = config_int(run->config, SET_BATCH_ROWS_PER_SECOND), left;

	if (limit == 0)
		return;
	while ((left = since + rows * 1000 / limit - clock_ms()) > 0 && !run_stop_asked(run))
		(void)usleep((useconds_t)((left < LOOK_MS ? left : LOOK_MS) * 1000));
}
