#include "keys/root_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "svc/crypt.h"
#include "sys/file.h"

#define MARKER_MAX 1024
#define OVERWRITE_MAX 65536 /* a record is at the beginning of whatever its file was made into */

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

/* ---- places -------------------------------------------------------------------------------- */

/* What `forbidden` keeps others from is using a record, or changing a marker. */
static enum root_state
check_file(int fd, const char *name, mode_t forbidden, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0) {
		(void)err_sys(err, "looking at %s", name);
		return ROOT_UNREADABLE;
	}
	if (!S_ISREG(st.st_mode)) {
		(void)err_set(err, ERR_FAILED, "%s is not a regular file", name);
		return ROOT_DAMAGED;
	}
	if (st.st_uid != geteuid() && st.st_uid != 0) {
		(void)err_set(err, ERR_FAILED, "%s belongs to user %u", name, (unsigned)st.st_uid);
		return ROOT_UNREADABLE;
	}
	if ((st.st_mode & forbidden) == 0)
		return ROOT_GOOD;
	(void)err_set(err, ERR_FAILED, "group or others may use %s (mode %04o)", name, (unsigned)(st.st_mode & 07777));
	(void)err_hint(err, "chmod 600 it, and ask who may have been there: if anybody, expunge keys rotate");
	return ROOT_UNREADABLE;
}

/* A file of at most max bytes: good, absent, damaged (larger, or a link) or unreadable. */
static enum root_state
read_content(int dir, const char *name, size_t max, mode_t forbidden, struct secret *ret, struct err *err)
{
	CLEANUP(close_fd) int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	CLEANUP(secret_erase) struct secret bytes = SECRET_INIT;
	enum root_state state;
	ssize_t got;

	if (fd < 0) {
		state = errno == ENOENT ? ROOT_ABSENT : errno == ELOOP ? ROOT_DAMAGED : ROOT_UNREADABLE;
		(void)err_sys(err, "opening %s", name);
		return state;
	}
	state = check_file(fd, name, forbidden, err);
	if (state != ROOT_GOOD)
		return state;
	secret_new(&bytes, max + 1);
	got = file_read_all(fd, bytes.bytes, bytes.n);
	/* what is asked for next time comes from the disk, and no copy stays behind; a wish, not a demand */
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	if (got < 0) {
		(void)err_sys(err, "reading %s", name);
		return ROOT_UNREADABLE;
	}
	if ((size_t)got > max) {
		(void)err_set(err, ERR_FAILED, "%s is larger than %zu bytes", name, max);
		return ROOT_DAMAGED;
	}
	bytes.n = (size_t)got;
	*ret = bytes;
	bytes = (struct secret)SECRET_INIT;
	return ROOT_GOOD;
}

static enum root_place_state
check_marker(const struct root_place *place, int dir, struct err *err)
{
	CLEANUP(secret_erase) struct secret text = SECRET_INIT;
	const struct root_marker *want = &place->marker;
	struct root_marker marker;
	enum root_state state = read_content(dir, ROOT_MARKER_NAME, MARKER_MAX, S_IWGRP | S_IWOTH, &text, err);

	if (state == ROOT_ABSENT) {
		(void)err_set(err, ERR_FAILED, "directory %s holds no marker", place->path);
		(void)err_hint(err, "mount what belongs there; nothing is said of its records before its file " ROOT_MARKER_NAME
			" is back; if the directory is a new one: expunge keys mark DIRECTORY");
		return ROOT_PLACE_UNMARKED;
	}
	if (state != ROOT_GOOD || root_marker_parse((const char *)text.bytes, text.n, &marker, err) != 0) {
		(void)err_prefix(err, "the marker of %s", place->path);
		(void)err_hint(err, "bring back the file " ROOT_MARKER_NAME " as it was");
		return ROOT_PLACE_BAD;
	}
	if (strcasecmp(marker.instance, want->instance) == 0 && marker.share == want->share && marker.replica == want->replica)
		return ROOT_PLACE_OURS;
	(void)err_set(err, ERR_FAILED, "directory %s is marked as share %u, replica %u of instance %s", place->path, marker.share,
		marker.replica, marker.instance);
	(void)err_hint(err, "name under keys.shares the directories of this installation, in their order");
	return ROOT_PLACE_BAD;
}

static enum root_place_state
open_place(const struct root_place *place, int *ret_dir, struct err *err)
{
	CLEANUP(close_fd) int dir = -1;
	enum root_place_state state;
	bool missing;

	if (place_open(place->path, &dir, &missing, err) != 0) {
		if (!missing)
			return ROOT_PLACE_BAD;
		(void)err_set(err, ERR_FAILED, "directory %s is missing", place->path);
		(void)err_hint(err, "mount what belongs there; nothing is said of its records before it is back");
		return ROOT_PLACE_UNMARKED;
	}
	state = check_marker(place, dir, err);
	if (state != ROOT_PLACE_OURS)
		return state;
	*ret_dir = dir;
	dir = -1;
	return state;
}

static enum root_place_state
look(const struct root_place *place, struct err *err)
{
	CLEANUP(close_fd) int dir = -1;

	return open_place(place, &dir, err);
}

static void
close_directory(DIR **directory)
{
	if (*directory != NULL)
		(void)closedir(*directory);
}

/* A record is one under whatever name: somebody's copy, an editor's, a file manager's. Those under their own names are
 * told by these, for one that is damaged counts, too. */
static int
find_copy(const struct root_place *place, int dir, const char *name, bool *ret_is, struct root_id *ret, struct err *err)
{
	CLEANUP(close_fd) int fd = -1;
	CLEANUP(secret_erase) struct secret bytes = SECRET_INIT;
	struct stat st;
	ssize_t n;

	*ret_is = false;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0 : err_sys(err, "looking at %s/%s", place->path, name);
	if (!S_ISREG(st.st_mode) || strcmp(name, ROOT_MARKER_NAME) == 0)
		return 0;
	fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(err, "opening %s/%s", place->path, name);
	secret_new(&bytes, ROOT_SEALED_SIZE);
	n = file_read_all(fd, bytes.bytes, bytes.n);
	if (n < 0)
		return err_sys(err, "reading %s/%s", place->path, name);
	*ret_is = root_record_is_in(bytes.bytes, (size_t)n, place->marker.instance, ret);
	return 0;
}

static int
list_records(const struct root_place *place, int dir, struct root_ids *ret, struct err *err)
{
	const char *path = place->path;
	CLEANUP(close_fd) int own = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(close_directory) DIR *directory = own < 0 ? NULL : fdopendir(own);

	if (directory == NULL)
		return err_sys(err, "listing %s", path);
	own = -1;
	for (;;) {
		const struct dirent *entry;
		struct root_id id;
		bool is;

		errno = 0;
		entry = readdir(directory);
		if (entry == NULL)
			return errno == 0 ? 0 : err_sys(err, "listing %s", path);
		is = root_record_name_parse(entry->d_name, &id);
		if (!is && find_copy(place, dir, entry->d_name, &is, &id, err) != 0)
			return -1;
		if (is)
			root_ids_add(ret, &id);
	}
}

static int
list(const struct root_place *place, struct root_ids *ret, struct err *err)
{
	CLEANUP(close_fd) int dir = -1;

	return open_place(place, &dir, err) == ROOT_PLACE_OURS ? list_records(place, dir, ret, err) : -1;
}

static int
device(const struct root_place *place, struct place *ret, struct err *err)
{
	CLEANUP(close_fd) int dir = -1;

	return open_place(place, &dir, err) == ROOT_PLACE_OURS ? place_of(dir, ret, err) : -1;
}

/* What is there already may be records whose marker was lost: a new marker would make them count again. */
static int
check_empty(const struct root_place *place, struct err *err)
{
	const char *path = place->path;
	CLEANUP(close_fd) int dir = -1;
	CLEANUP(root_ids_release) struct root_ids ids = { 0 };
	bool missing;

	if (place_open(path, &dir, &missing, err) != 0 || list_records(place, dir, &ids, err) != 0)
		return -1;
	if (ids.n == 0)
		return 0;
	(void)err_set(err, ERR_REFUSED, "directory %s holds records of %zu roots, and no marker", path, ids.n);
	return err_hint(err, "bring back its file " ROOT_MARKER_NAME ", or move the records away");
}

static int
mark(const struct root_place *place, struct err *err)
{
	CLEANUP(free_text) char *path = file_join(place->path, ROOT_MARKER_NAME);
	CLEANUP(str_release) struct str text = STR_INIT;
	enum root_place_state state;

	if (file_make_directory(place->path, 0700, err) != 0)
		return -1;
	state = look(place, err);
	if (state != ROOT_PLACE_UNMARKED)
		return state == ROOT_PLACE_OURS ? 0 : -1;
	err_clear(err);
	if (check_empty(place, err) != 0 || root_marker_write(&place->marker, &text, err) != 0)
		return -1;
	return file_write(path, text.s, text.len, 0600, true, err);
}

/* ---- destroying ---------------------------------------------------------------------------- */

static int
overwrite(int fd, off_t size, struct err *err)
{
	uint8_t noise[4096];
	size_t left = size > OVERWRITE_MAX ? OVERWRITE_MAX : (size_t)size;

	while (left > 0) {
		size_t n = left < sizeof(noise) ? left : sizeof(noise);

		if (crypt_random(noise, n, err) != 0)
			return -1;
		if (file_write_all(fd, noise, n) != 0)
			return err_sys(err, "writing over it");
		left -= n;
	}
	return fdatasync(fd) == 0 ? 0 : err_sys(err, "syncing what was written over it");
}

/* One name and what is behind it. What could not be written over keeps its name: the next run must find it. */
static int
wipe(int dir, const char *name, bool *ret_found, struct err *err)
{
	CLEANUP(close_fd) int fd = openat(dir, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	struct stat st = { 0 };

	if (fd < 0 && errno == ENOENT)
		return 0;
	*ret_found = true;
	/* a link or a pipe in its place holds nothing of ours, and only goes */
	if (fd < 0 && errno != ELOOP && errno != ENXIO)
		return err_sys(err, "opening %s", name);
	if (fd >= 0 && fstat(fd, &st) != 0)
		return err_sys(err, "looking at %s", name);
	if (S_ISREG(st.st_mode) && overwrite(fd, st.st_size, err) != 0)
		return err_prefix(err, "%s", name);
	if (unlinkat(dir, name, 0) != 0)
		return err_sys(err, "removing %s", name);
	return 0;
}

/* What is this root's under another name. */
static int
wipe_copies(const struct root_place *place, int dir, const struct root_id *id, bool *ret_found, struct err *err)
{
	CLEANUP(close_fd) int own = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(close_directory) DIR *directory = own < 0 ? NULL : fdopendir(own);

	if (directory == NULL)
		return err_sys(err, "listing %s", place->path);
	own = -1;
	for (;;) {
		const struct dirent *entry;
		struct root_id of;
		bool is;

		errno = 0;
		entry = readdir(directory);
		if (entry == NULL)
			return errno == 0 ? 0 : err_sys(err, "listing %s", place->path);
		if (root_record_name_parse(entry->d_name, &of))
			continue;
		if (find_copy(place, dir, entry->d_name, &is, &of, err) != 0 ||
		    (is && root_id_equal(&of, id) && wipe(dir, entry->d_name, ret_found, err) != 0))
			return -1;
	}
}

static enum root_state
destroy(const struct root_place *place, const struct root_id *id, struct place *ret_on, struct err *err)
{
	CLEANUP(free_text) char *name = root_record_name(id, false), *temporary = root_record_name(id, true);
	CLEANUP(close_fd) int dir = -1;
	bool found = false;
	int failed;

	if (open_place(place, &dir, err) != ROOT_PLACE_OURS)
		return ROOT_NO_PLACE;
	failed = place_of(dir, ret_on, err) != 0;
	if (!failed)
		failed = wipe(dir, temporary, &found, err) != 0;
	if (!failed)
		failed = wipe_copies(place, dir, id, &found, err) != 0;
	if (!failed)
		failed = wipe(dir, name, &found, err) != 0;
	/* even when nothing was found: the run that removed it may have ended before this */
	if (!failed && fsync(dir) != 0)
		failed = err_sys(err, "syncing directory %s", place->path) != 0;
	if (failed) {
		(void)err_prefix(err, "destroying a root share");
		return ROOT_NOT_DESTROYED;
	}
	return found ? ROOT_GONE : ROOT_ABSENT;
}

/* ---- records ------------------------------------------------------------------------------- */

/* A leftover under the temporary name is destroyed; but if it is the record's second name (a kill between link and
 * unlink), only the name goes: writing over it would destroy a living share. */
static int
remove_leftover(int dir, const char *temporary, struct err *err)
{
	struct stat st;
	bool found;

	if (fstatat(dir, temporary, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0 : err_sys(err, "looking at %s", temporary);
	if (st.st_nlink == 1)
		return wipe(dir, temporary, &found, err);
	return unlinkat(dir, temporary, 0) == 0 ? 0 : err_sys(err, "removing %s", temporary);
}

/* Under a name of its own until it is whole, for a file without one that a kill leaves could not be found and destroyed. */
static int
fill(int dir, const char *temporary, const struct secret *record, struct stat *ret_made)
{
	CLEANUP(close_fd) int fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0 || fchmod(fd, 0600) != 0 || fstat(fd, ret_made) != 0 ||
	    file_write_all(fd, record->bytes, record->n) != 0 || fsync(fd) != 0)
		return -1;
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED); /* so that it is read back from the disk */
	return 0;
}

/* What a failed write left: its temporary file, and the record if that is the file it made and not an older one. The
 * failure itself is what the caller hears of, and that something is left. */
static int
take_back(int dir, const struct root_id *id, const struct stat *made, struct err *err)
{
	CLEANUP(free_text) char *name = root_record_name(id, false), *temporary = root_record_name(id, true);
	struct err second = { 0 };
	struct stat st;
	bool found, named = fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == made->st_ino;

	if (wipe(dir, temporary, &found, &second) == 0 && (!named || wipe(dir, name, &found, &second) == 0))
		return -1;
	return err_hint(err, "a part of it is left (%s): the next run destroys it", second.msg);
}

static int
write_record(const struct root_place *place, const struct root_id *id, const struct secret *record, struct err *err)
{
	CLEANUP(free_text) char *name = root_record_name(id, false), *temporary = root_record_name(id, true);
	CLEANUP(close_fd) int dir = -1;
	struct stat made = { 0 };

	if (open_place(place, &dir, err) != ROOT_PLACE_OURS || remove_leftover(dir, temporary, err) != 0)
		return -1;
	if (fill(dir, temporary, record, &made) == 0 && file_rename(dir, temporary, name) == 0 && fsync(dir) == 0)
		return 0;
	(void)err_sys(err, "writing %s/%s", place->path, name);
	return take_back(dir, id, &made, err);
}

static enum root_state
read_record(const struct root_place *place, const struct root_id *id, struct secret *ret, struct err *err)
{
	CLEANUP(free_text) char *name = root_record_name(id, false), *temporary = root_record_name(id, true);
	CLEANUP(close_fd) int dir = -1;
	enum root_state state;
	struct stat st;

	if (open_place(place, &dir, err) != ROOT_PLACE_OURS)
		return ROOT_NO_PLACE;
	state = read_content(dir, name, ROOT_SEALED_SIZE, S_IRWXG | S_IRWXO, ret, err);
	if (state != ROOT_ABSENT)
		return state;
	if (fstatat(dir, temporary, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		if (errno != ENOENT) {
			(void)err_sys(err, "looking at %s", temporary);
			return ROOT_UNREADABLE;
		}
		(void)err_set(err, ERR_FAILED, "it has no record of this root");
		return ROOT_ABSENT;
	}
	(void)err_set(err, ERR_FAILED, "its record of this root was never finished");
	return ROOT_LEFTOVER;
}

const struct root_driver root_file_driver = {
	.name = "file",
	.look = look,
	.mark = mark,
	.write = write_record,
	.read = read_record,
	.destroy = destroy,
	.list = list,
	.device = device,
};
