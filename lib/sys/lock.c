#include "sys/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#include "sys/clock.h"

#define LONGEST_PAUSE_NS 100000000

/* One try. Open file description locks, because those of POSIX vanish when any descriptor of the
 * file is closed by this process. */
static int
try_lock(int fd, const char *path, bool *ret_held, struct err *err)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	do
		*ret_held = fcntl(fd, F_OFD_SETLK, &lock) == 0;
	while (!*ret_held && errno == EINTR);
	if (*ret_held || errno == EAGAIN || errno == EACCES)
		return 0;
	return err_sys(err, "locking %s", path);
}

int
lock_wait(const char *path, int seconds, int *ret_fd, struct err *err)
{
	struct timespec pause = { 0, 1000000 };
	int64_t until = clock_ms() + (int64_t)seconds * 1000;
	int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	bool held = false;

	if (fd < 0)
		return err_sys(err, "opening lock %s", path);
	for (;;) {
		if (try_lock(fd, path, &held, err) != 0)
			break;
		if (held) {
			*ret_fd = fd;
			return 0;
		}
		if (clock_ms() >= until) {
			err_set(err, ERR_LOCKED, "another run holds the lock %s", path);
			err_hint(err, "fuser %s tells which process", path);
			break;
		}
		(void)nanosleep(&pause, NULL);
		if (pause.tv_nsec < LONGEST_PAUSE_NS)
			pause.tv_nsec *= 2;
	}
	(void)close(fd);
	return -1;
}

int
lock_take(const char *path, int *ret_fd, struct err *err)
{
	return lock_wait(path, 0, ret_fd, err);
}

void
lock_release(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}
