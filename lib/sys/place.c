#include "sys/place.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "sys/file.h"

#define ZFS_MAGIC 0x2fc12fc1 /* its module's own; linux/magic.h has none */

static const struct {
	uint32_t magic;
	const char *name;
	bool overwrites;
} file_systems[] = {
	{ EXT4_SUPER_MAGIC, "ext4", true }, /* ext2 and ext3 say the same of themselves */
	{ XFS_SUPER_MAGIC, "xfs", true },
	{ TMPFS_MAGIC, "tmpfs", true },
	{ MSDOS_SUPER_MAGIC, "vfat", true },
	{ EXFAT_SUPER_MAGIC, "exfat", true },
	{ BTRFS_SUPER_MAGIC, "btrfs", false },
	{ ZFS_MAGIC, "zfs", false },
	{ F2FS_SUPER_MAGIC, "f2fs", false },
	{ OVERLAYFS_SUPER_MAGIC, "overlayfs", false },
	{ NFS_SUPER_MAGIC, "nfs", false },
	{ CIFS_SUPER_MAGIC, "cifs", false },
	{ SMB2_SUPER_MAGIC, "cifs", false },
	{ FUSE_SUPER_MAGIC, "fuse", false },
};

static int
check_owner(const char *path, int fd, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return err_sys(err, "looking at directory %s", path);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return err_set(err, ERR_FAILED, "directory %s belongs to user %u", path, (unsigned)st.st_uid);
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) == 0)
		return 0;
	(void)err_set(err, ERR_FAILED, "directory %s: others may write to it (mode %04o)", path, (unsigned)(st.st_mode & 07777));
	return err_hint(err, "chmod go-w %s, and ask who may have been there", path);
}

int
place_open(const char *path, int *ret_fd, bool *ret_missing, struct err *err)
{
	CLEANUP(free_text) char *exact = file_join(path, "");
	int fd;

	*ret_missing = false;
	exact[strlen(exact) - (strlen(exact) > 1)] = '\0'; /* with a slash at its end a link would be followed */
	fd = open(exact, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		struct stat st;

		*ret_missing = errno == ENOENT;
		(void)err_sys(err, "opening directory %s", path);
		if (lstat(exact, &st) != 0 || !S_ISLNK(st.st_mode))
			return -1;
		(void)err_set(err, ERR_FAILED, "opening directory %s: it is a symbolic link", path);
		return err_hint(err, "name the directory itself");
	}
	if (check_owner(exact, fd, err) != 0) {
		(void)close(fd);
		return -1;
	}
	*ret_fd = fd;
	return 0;
}

int
place_of(int fd, struct place *ret, struct err *err)
{
	struct statfs fs;
	struct stat st;

	if (fstatfs(fd, &fs) != 0 || fstat(fd, &st) != 0)
		return err_sys(err, "asking for the kind of file system");
	*ret = (struct place){ st.st_dev, "unknown", false };
	for (size_t i = 0; i < sizeof(file_systems) / sizeof(file_systems[0]); i++)
		if (file_systems[i].magic == (uint32_t)fs.f_type) {
			ret->file_system = file_systems[i].name;
			ret->overwrites = file_systems[i].overwrites;
		}
	return 0;
}

char *
place_resolve(const char *path)
{
	CLEANUP(free_text) char *head = mem_copy(path);
	CLEANUP(free_text) char *tail = mem_copy("");

	for (;;) {
		CLEANUP(free_text) char *real = realpath(head, NULL);
		char *slash = strrchr(head, '/'), *longer;

		if (real != NULL)
			return tail[0] == '\0' ? TAKE_PTR(real) : file_join(real, tail);
		if (slash == NULL || slash == head)
			return mem_copy(path);
		longer = tail[0] == '\0' ? mem_copy(slash + 1) : file_join(slash + 1, tail);
		free(tail);
		tail = longer;
		*slash = '\0';
	}
}

bool
place_contains(const char *outer, const char *inner)
{
	size_t n = strlen(outer);

	return strncmp(outer, inner, n) == 0 && (inner[n] == '\0' || inner[n] == '/' || outer[n - 1] == '/');
}
