/* Every system call of every file operation fails once: it is reported, and nothing half-done is left. */
#include "faults.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "evidence.h"
#include "evidence/export.h"
#include "svc/config.h"
#include "svc/crypt.h"
#include "svc/listing.h"
#include "sys/file.h"
#include "sys/files.h"
#include "sys/lock.h"

static char directory[] = "/tmp/expunge-faults.XXXXXX";
static char path[sizeof(directory) + 16];
static bool short_writes, interrupted;
static bool exporting; /* the assertions flush files as well */

/* ---- libc ---------------------------------------------------------------------------------- */

/* Once in two calls a signal comes in between. */
static bool
is_interrupted(void)
{
	static bool odd;

	odd = interrupted && !odd;
	if (odd)
		errno = EINTR;
	return odd;
}

int
open(const char *file, int flags, ...)
{
	va_list ap;
	mode_t mode;
	REAL(open);

	va_start(ap, flags);
	mode = va_arg(ap, mode_t);
	va_end(ap);
	return fails("open") ? -1 : real(file, flags, mode);
}

int
openat(int at, const char *file, int flags, ...)
{
	va_list ap;
	mode_t mode;
	REAL(openat);

	va_start(ap, flags);
	mode = va_arg(ap, mode_t);
	va_end(ap);
	return fails("openat") ? -1 : real(at, file, flags, mode);
}

int
fcntl(int fd, int command, ...)
{
	va_list ap;
	void *value;
	REAL(fcntl);

	va_start(ap, command);
	value = va_arg(ap, void *);
	va_end(ap);
	return is_interrupted() || fails("fcntl") ? -1 : real(fd, command, value);
}

ssize_t
write(int fd, const void *bytes, size_t n)
{
	REAL(write);

	return is_interrupted() || fails("write") ? -1 : real(fd, bytes, short_writes && n > 1 ? n / 2 : n);
}

ssize_t
read(int fd, void *bytes, size_t n)
{
	REAL(read);

	return is_interrupted() || fails("read") ? -1 : real(fd, bytes, n);
}

ssize_t
pread(int fd, void *bytes, size_t n, off_t at)
{
	REAL(pread);

	return is_interrupted() || fails("pread") ? -1 : real(fd, bytes, n, at);
}

int
mkostemp(char *file, int flags)
{
	REAL(mkostemp);

	return fails("mkostemp") ? -1 : real(file, flags);
}

off_t
lseek(int fd, off_t at, int whence)
{
	REAL(lseek);

	return fails("lseek") ? -1 : real(fd, at, whence);
}

int
fsync(int fd)
{
	REAL(fsync);

	return fails("fsync") ? -1 : real(fd);
}

int
fdatasync(int fd)
{
	REAL(fdatasync);

	return fails("fdatasync") ? -1 : real(fd);
}

int
syncfs(int fd)
{
	(void)fd; /* it would wait for the whole machine */
	return fails("syncfs") ? -1 : 0;
}

int
fchmod(int fd, mode_t mode)
{
	REAL(fchmod);

	return fails("fchmod") ? -1 : real(fd, mode);
}

int
ftruncate(int fd, off_t size)
{
	REAL(ftruncate);

	return fails("ftruncate") ? -1 : real(fd, size);
}

int
fstat(int fd, struct stat *st)
{
	REAL(fstat);

	return fails("fstat") ? -1 : real(fd, st);
}

int
lstat(const char *file, struct stat *st)
{
	REAL(lstat);

	return fails("lstat") ? -1 : real(file, st);
}

int
link(const char *from, const char *to)
{
	REAL(link);

	return fails("link") ? -1 : real(from, to);
}

int
linkat(int from_at, const char *from, int to_at, const char *to, int flags)
{
	REAL(linkat);

	return fails("linkat") ? -1 : real(from_at, from, to_at, to, flags);
}

int
rename(const char *from, const char *to)
{
	REAL(rename);

	return fails("rename") ? -1 : real(from, to);
}

int
unlinkat(int at, const char *file, int flags)
{
	REAL(unlinkat);

	return fails("unlinkat") ? -1 : real(at, file, flags);
}

int
mkdir(const char *file, mode_t mode)
{
	REAL(mkdir);

	return fails("mkdir") ? -1 : real(file, mode);
}

FILE *
fdopen(int fd, const char *mode)
{
	REAL(fdopen);

	return fails("fdopen") ? NULL : real(fd, mode);
}

int
fflush(FILE *file)
{
	REAL(fflush);

	return exporting && fails("fflush") ? EOF : real(file);
}

/* ---- operations ---------------------------------------------------------------------------- */

static void
run_shell(const char *what)
{
	CLEANUP(free_text) char *command = mem_printf("cd %s && %s", directory, what);

	ck_assert_int_eq(system(command), 0);
}

/* "" when there is none; the caller frees */
static char *
content(void)
{
	char *text = NULL;

	return file_read(path, 1000, &text, NULL, NULL) == 0 ? text : mem_copy("");
}

static void
empty(void)
{
	run_shell("rm -rf -- * .[!.]*");
}

static void
with_old(void)
{
	empty();
	run_shell("printf 'old\\n' >file && chmod 600 file");
}

static int
write_new(struct err *err)
{
	return file_write(path, "new\n", 4, 0600, true, err);
}

static void
new_or_nothing(bool done, const char *fault)
{
	CLEANUP(free_text) char *text = content();

	ck_assert_msg(strcmp(text, done ? "new\n" : "") == 0, "after %s: %s", fault, text);
	run_shell(done ? "test \"$(ls -A)\" = file" : "test -z \"$(ls -A)\"");
}

static int
write_over(struct err *err)
{
	return file_write(path, "new\n", 4, 0600, false, err);
}

/* Either all of the old or all of the new; the new, too, when only its directory could not be synced. */
static void
new_or_old(bool done, const char *fault)
{
	CLEANUP(free_text) char *text = content();

	if (done)
		ck_assert_str_eq(text, "new\n");
	else
		ck_assert_msg(strcmp(text, "old\n") == 0 || strcmp(text, "new\n") == 0, "after %s: %s", fault, text);
	run_shell("test \"$(ls -A)\" = file");
}

static int
append(struct err *err)
{
	return file_append(path, "new\n", 4, err);
}

/* What was there stays, and what was added is whole. */
static void
old_and_perhaps_new(bool done, const char *fault)
{
	CLEANUP(free_text) char *text = content();

	if (done)
		ck_assert_str_eq(text, "old\nnew\n");
	else
		ck_assert_msg(strcmp(text, "old\n") == 0 || strcmp(text, "old\nnew\n") == 0, "after %s: %s", fault, text);
}

static void
perhaps_new(bool done, const char *fault)
{
	CLEANUP(free_text) char *text = content();

	if (done)
		ck_assert_str_eq(text, "new\n");
	else
		ck_assert_msg(strcmp(text, "") == 0 || strcmp(text, "new\n") == 0, "after %s: %s", fault, text);
}

static int
read_file(struct err *err)
{
	CLEANUP(free_text) char *text = NULL;
	int rc = file_read(path, 100, &text, NULL, err);

	ck_assert((rc == 0) == (text != NULL));
	return rc;
}

static int
read_secret(struct err *err)
{
	CLEANUP(secret_erase) struct secret secret = SECRET_INIT;
	int rc = file_read_secret(path, 100, &secret, err);

	ck_assert((rc == 0) == (secret.n == 4));
	return rc;
}

static int
read_tail(struct err *err)
{
	CLEANUP(free_text) char *text = NULL;
	size_t n = 0;
	off_t size = 0;
	int rc = file_read_tail(path, 3, &text, &n, &size, err);

	ck_assert((rc == 0) == (text != NULL && n == 3 && size == 4));
	return rc;
}

static int
truncate_file(struct err *err)
{
	return file_truncate(path, 1, err);
}

static int
check_writers(struct err *err)
{
	return file_check_writers(path, err);
}

static int
make_directory(struct err *err)
{
	return file_make_directory(path, 0700, err);
}

static void
with_directory(void)
{
	empty();
	run_shell("mkdir -m 700 file");
}

static int
lock(struct err *err)
{
	int fd = -1, rc = lock_take(path, &fd, err);

	ck_assert((rc == 0) == (fd >= 0));
	lock_release(&fd);
	return rc;
}

static struct files *batch;

static int
publish(struct err *err)
{
	return files_begin(&batch, directory, err) != 0 || files_add(batch, "a", "1", 1, 0644, err) != 0 ||
		files_add(batch, "file", "new\n", 4, 0644, err) != 0 || files_publish(batch, err) != 0 ? -1 : 0;
}

/* Names are there with all of their content, or not at all, and no other names are. */
static void
whole_or_absent(bool done, const char *fault)
{
	CLEANUP(free_text) char *text = NULL;

	files_end(batch);
	batch = NULL;
	text = content();
	ck_assert_msg(strcmp(text, "new\n") == 0 || (!done && text[0] == '\0'), "after %s: %s", fault, text);
	run_shell("for f in $(ls -A); do case $f in a|file) test -s $f;; *) exit 1;; esac; done");
}

static void
with_same(void)
{
	empty();
	run_shell("printf 'new\\n' >file");
}

static int
export(enum export_format format, struct err *err)
{
	CLEANUP(export_freep) struct export *e = NULL;
	size_t n = 0;
	CLEANUP(free_text) char *note = NULL;
	int waiting = calls_left;
	bool failed;

	calls_left = -1;
	note = slurp(EXAMPLE, &n);
	calls_left = waiting;
	exporting = true;
	failed = export_begin(&e, directory, format, err) != 0 ||
		export_add(e, 412, "5b1f0c9d27e84a6fb3a2c81e90d7f645", note, n, "signature\n", err) != 0 ||
		export_file(e, "issuer.pem", "key\n", 4, err) != 0 || export_end(e, err) != 0;
	exporting = false;
	return failed ? -1 : 0;
}

static int
export_notes(struct err *err)
{
	return export(EXPORT_NOTES, err);
}

static int
export_json_file(struct err *err)
{
	return export(EXPORT_JSON, err);
}

static int
export_csv_file(struct err *err)
{
	return export(EXPORT_CSV, err);
}

static void
whole_export_or_absent(bool done, const char *fault)
{
	(void)done;
	(void)fault;
	run_shell("for f in $(ls -A); do case $f in *.note) grep -q '^— ' $f;; *.sig) grep -q signature $f;; *.pem) grep -q key $f;;"
		  " *.json) tail -n 1 $f | grep -qx ']';; *.csv) test $(wc -l <$f) = 2;; *) exit 1;; esac || exit 1; done");
}

static int
hash_file(struct err *err)
{
	uint8_t hash[SHA256_SIZE];

	return crypt_sha256_file(path, hash, err);
}

static int
load_config(struct err *err)
{
	CLEANUP(conf_freep) struct conf_document *document = NULL;

	return conf_read(&document, path, err);
}

static void
with_config(void)
{
	empty();
	run_shell("echo 'a = 1;' >file");
}

static const struct operation operations[] = {
	{ "write a new file", empty, write_new, new_or_nothing },
	{ "write over a file", with_old, write_over, new_or_old },
	{ "append", with_old, append, old_and_perhaps_new },
	{ "append to a new file", empty, append, perhaps_new },
	{ "read", with_old, read_file, NULL },
	{ "read a secret", with_old, read_secret, NULL },
	{ "read the tail", with_old, read_tail, NULL },
	{ "truncate", with_old, truncate_file, NULL },
	{ "check who may write", with_old, check_writers, NULL },
	{ "make a directory", empty, make_directory, NULL },
	{ "make a directory that is there", with_directory, make_directory, NULL },
	{ "lock", empty, lock, NULL },
	{ "write several files", empty, publish, whole_or_absent },
	{ "write several files again", with_same, publish, whole_or_absent },
	{ "export notes", empty, export_notes, whole_export_or_absent },
	{ "export JSON", empty, export_json_file, whole_export_or_absent },
	{ "export CSV", empty, export_csv_file, whole_export_or_absent },
	{ "hash a file", with_old, hash_file, NULL },
	{ "read a configuration", with_config, load_config, NULL },
};
#define N_OPERATIONS ((int)(sizeof(operations) / sizeof(operations[0])))

/* ---- tests --------------------------------------------------------------------------------- */

START_TEST(no_fault_is_lost)
{
	fail_each_call(&operations[_i]);
}
END_TEST

START_TEST(no_fault_is_lost_without_nameless_files)
{
	/* the first call opens a file without a name: not every file system can */
	empty();
	fault_errno = EOPNOTSUPP;
	at_fault = NULL;
	calls_left = 0;
	ck_assert_int_eq(write_over(NULL), 0);
	ck_assert_str_eq(at_fault, "open");
	new_or_old(true, NULL);
}
END_TEST

START_TEST(a_full_disk)
{
	fault_errno = ENOSPC;
	fail_each_call(&operations[_i]);
}
END_TEST

START_TEST(signals_and_short_writes_are_no_faults)
{
	CLEANUP(free_text) char *text = NULL;
	struct err err = { 0 };

	interrupted = true;
	for (short_writes = false;; short_writes = true) {
		empty();
		ck_assert_msg(write_new(&err) == 0, "%s", err.msg);
		ck_assert_msg(read_file(&err) == 0 && read_secret(&err) == 0 && read_tail(&err) == 0, "%s", err.msg);
		ck_assert_msg(hash_file(&err) == 0 && lock(&err) == 0, "%s", err.msg);
		if (short_writes)
			break;
	}
	interrupted = false;
	/* but an entry of the ledger is one write, or none */
	ck_assert_int_eq(append(&err), -1);
	ck_assert_ptr_nonnull(strstr(err.msg, "2 of 4 bytes written"));
	text = content();
	ck_assert_str_eq(text, "new\n");
	/* a tail that cannot be cut off is told to a person: the lock, the write, and then the cut */
	for (int n = 0; n < 10 && strstr(err.hint, "torn") == NULL; n++) {
		with_old();
		err_clear(&err);
		calls_left = n;
		ck_assert_int_eq(append(&err), -1);
		calls_left = -1;
	}
	ck_assert_ptr_nonnull(strstr(err.hint, "is torn: cut it back to 4 bytes"));
}
END_TEST

static void
set_up(void)
{
	(void)strcpy(directory + sizeof(directory) - 7, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	(void)snprintf(path, sizeof(path), "%s/file", directory);
	json_free(json_new_object()); /* the first one reads a random seed, or does without */
}

static void
tear_down(void)
{
	CLEANUP(free_text) char *command = mem_printf("rm -rf -- %s", directory);

	ck_assert_int_eq(system(command), 0);
}

int
main(void)
{
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_loop_test(tests, no_fault_is_lost, 0, N_OPERATIONS);
	tcase_add_loop_test(tests, a_full_disk, 0, N_OPERATIONS);
	tcase_add_test(tests, no_fault_is_lost_without_nameless_files);
	tcase_add_test(tests, signals_and_short_writes_are_no_faults);
	return run_suite("faults", tests);
}
