/* Root shares when calls of libc and OpenSSL fail, are cut short or interrupted, and when the run is killed between any two of them: no
 * half-made root is used, no living root is lost, and what was to be destroyed is. */
#include "faults.h"

#include <dirent.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "root_fixture.h"

static bool short_writes, interrupted;
static bool done_anyway;          /* the call that fails has had its effect */
static int spoil_record = -1;     /* how many records are written well before the disk alters one */
static bool no_rename;            /* a file system without RENAME_NOREPLACE */
static int calls_until_kill = -1; /* -1: nobody is killed */
static struct str trace;          /* the calls that change something */
static bool tracing;

/* ---- libc ---------------------------------------------------------------------------------- */

/* Before every call: the kill, and one signal in two calls. */
static bool
is_interrupted(void)
{
	static bool odd;

	odd = interrupted && !odd;
	if (odd)
		errno = EINTR;
	return odd;
}

static bool
strikes(const char *name)
{
	if (calls_until_kill >= 0 && calls_until_kill-- == 0)
		(void)raise(SIGKILL);
	if (tracing)
		str_addf(&trace, "%s ", name);
	return fails(name);
}

/* The call, or its failure with or without its effect. */
#define CALL(type, name, ...)                                          \
	do {                                                           \
		REAL(name);                                            \
		if (strikes(#name)) {                                  \
			bool heard = done_anyway && real(__VA_ARGS__) >= 0; \
                                                                       \
			(void)heard;                                   \
			errno = fault_errno;                           \
			return (type)-1;                               \
		}                                                      \
		return real(__VA_ARGS__);                              \
	} while (0)

int
open(const char *file, int flags, ...)
{
	va_list ap;
	mode_t mode;
	REAL(open);

	va_start(ap, flags);
	mode = va_arg(ap, mode_t);
	va_end(ap);
	return strikes("open") ? -1 : real(file, flags, mode);
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
	return strikes("openat") ? -1 : real(at, file, flags, mode);
}

DIR *
fdopendir(int fd)
{
	REAL(fdopendir);

	return strikes("fdopendir") ? NULL : real(fd);
}

struct dirent *
readdir(DIR *list)
{
	REAL(readdir);

	return strikes("readdir") ? NULL : real(list);
}

ssize_t
write(int fd, const void *bytes, size_t n)
{
	uint8_t spoilt[ROOT_RECORD_SIZE];

	if (is_interrupted())
		return -1;
	if (n == ROOT_RECORD_SIZE && spoil_record >= 0 && spoil_record-- == 0) {
		(void)memcpy(spoilt, bytes, n);
		spoilt[100] ^= 4;
		bytes = spoilt;
	}
	CALL(ssize_t, write, fd, bytes, short_writes && n > 1 ? n / 2 : n);
}

ssize_t
read(int fd, void *bytes, size_t n)
{
	if (is_interrupted())
		return -1;
	CALL(ssize_t, read, fd, bytes, short_writes && n > 1 ? n / 2 : n);
}

/* Not to the disk: thousands of them would take minutes, and a killed process takes no page cache with it. */
int
fsync(int fd)
{
	(void)fd;
	return strikes("fsync") ? -1 : 0;
}

int
fdatasync(int fd)
{
	(void)fd;
	return strikes("fdatasync") ? -1 : 0;
}

/* It would wait for the disk, too. */
int
posix_fadvise(int fd, off_t at, off_t n, int advice)
{
	(void)fd;
	(void)at;
	(void)n;
	(void)advice;
	return 0;
}

int
fchmod(int fd, mode_t mode)
{
	CALL(int, fchmod, fd, mode);
}

int
fstat(int fd, struct stat *st)
{
	CALL(int, fstat, fd, st);
}

int
fstatat(int at, const char *file, struct stat *st, int flags)
{
	CALL(int, fstatat, at, file, st, flags);
}

int
fstatfs(int fd, struct statfs *fs)
{
	CALL(int, fstatfs, fd, fs);
}

int
mkdir(const char *file, mode_t mode)
{
	CALL(int, mkdir, file, mode);
}

int
renameat2(int from_at, const char *from, int to_at, const char *to, unsigned int flags)
{
	if (no_rename) {
		errno = EINVAL;
		return -1;
	}
	CALL(int, renameat2, from_at, from, to_at, to, flags);
}

int
linkat(int from_at, const char *from, int to_at, const char *to, int flags)
{
	CALL(int, linkat, from_at, from, to_at, to, flags);
}

int
unlinkat(int at, const char *file, int flags)
{
	CALL(int, unlinkat, at, file, flags);
}

/* ---- OpenSSL ------------------------------------------------------------------------------- */

int
RAND_priv_bytes(unsigned char *bytes, int n)
{
	REAL(RAND_priv_bytes);

	return strikes("RAND_priv_bytes") ? 0 : real(bytes, n);
}

int
EVP_Digest(const void *bytes, size_t n, unsigned char *hash, unsigned int *size, const EVP_MD *type, ENGINE *engine)
{
	REAL(EVP_Digest);

	return strikes("EVP_Digest") ? 0 : real(bytes, n, hash, size, type, engine);
}

int
EVP_KDF_derive(EVP_KDF_CTX *context, unsigned char *key, size_t n, const OSSL_PARAM params[])
{
	REAL(EVP_KDF_derive);

	return strikes("EVP_KDF_derive") ? 0 : real(context, key, n, params);
}

/* ---- operations ---------------------------------------------------------------------------- */

static const struct root_id living = { 2, "00000000000000000000000000000001" };
static const struct root_id made = { 2, "00000000000000000000000000000002" }; /* another attempt */
#define MADE "root.2.00000000000000000000000000000002"
static uint8_t living_root[ROOT_SIZE];

/* How many files of all places have a name with this in it; removes them if told so. A shell would take far longer. */
static int
files(const char *part, bool remove)
{
	static const char *const places[] = { "s1r1", "s1r2", "s2r1", "s2r2" };
	int n = 0;

	for (size_t i = 0; i < 4; i++) {
		CLEANUP(free_text) char *place = in_directory(places[i]);
		DIR *list = opendir(place);
		const struct dirent *entry;

		while (list != NULL && (entry = readdir(list)) != NULL) {
			CLEANUP(free_text) char *path = file_join(place, entry->d_name);

			if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 || strstr(entry->d_name, part) == NULL)
				continue;
			n++;
			ck_assert(!remove || unlink(path) == 0);
		}
		if (list != NULL)
			(void)closedir(list);
		ck_assert(list == NULL || !remove || part[0] != '\0' || rmdir(place) == 0);
	}
	return n;
}

/* Two shares of two replicas, and a root that must survive whatever happens to another. */
static void
begin(void)
{
	(void)files("", true);
	start(2, 2);
	create(&living, living_root);
}

static void
begin_with_made(void)
{
	begin();
	create(&made, NULL);
}

static void
begin_with_lost(void)
{
	static const char *const lost[] = { "s1r2/root.2.00000000000000000000000000000001",
		"s2r1/root.2.00000000000000000000000000000001" };

	begin();
	for (int i = 0; i < 2; i++) {
		CLEANUP(free_text) char *path = in_directory(lost[i]);

		ck_assert_int_eq(unlink(path), 0);
	}
}

static int
run_init(struct err *ret_err)
{
	return root_init(store, ret_err);
}

static int
run_create(struct err *ret_err)
{
	CLEANUP(secret_erase) struct secret root = SECRET_INIT;
	int rc = root_create(store, &made, &root, ret_err);

	ck_assert((rc == 0) == (root.n == ROOT_SIZE));
	return rc;
}

/* A bad replica is reported, not an error; here it is one, so that it is seen to be reported. */
static int
with_report(int rc, const struct root_report *report, struct err *ret_err)
{
	if (rc == 0 && root_report_problems(report) > 0)
		return err_set(ret_err, ERR_FAILED, "reported");
	return rc;
}

static int
run_read(struct err *ret_err)
{
	CLEANUP(secret_erase) struct secret root = SECRET_INIT;
	CLEANUP(root_report_release) struct root_report report = { 0 };
	enum root_verdict verdict;
	int rc = root_read(store, &living, &root, &verdict, &report, ret_err);

	ck_assert(rc != 0 || memcmp(root.bytes, living_root, ROOT_SIZE) == 0);
	ck_assert_int_ne(verdict, ROOT_DESTROYED);
	ck_assert_int_ne(verdict, ROOT_ALTERED);
	return with_report(rc, &report, ret_err);
}

static int
run_read_of_destroyed(struct err *ret_err)
{
	CLEANUP(secret_erase) struct secret root = SECRET_INIT;
	enum root_verdict verdict;

	ck_assert_int_eq(root_read(store, &made, &root, &verdict, NULL, ret_err), -1);
	ck_assert(verdict == (at_fault == NULL ? ROOT_DESTROYED : ROOT_UNAVAILABLE));
	return at_fault == NULL ? 0 : -1;
}

static int
run_heal(struct err *ret_err)
{
	CLEANUP(root_report_release) struct root_report report = { 0 };
	size_t n;

	return with_report(root_heal(store, &living, &n, &report, ret_err), &report, ret_err);
}

static int
run_destroy(struct err *ret_err)
{
	return root_destroy(store, &made, NULL, ret_err);
}

static int
run_destroy_others(struct err *ret_err)
{
	CLEANUP(root_report_release) struct root_report report = { 0 };

	return with_report(root_destroy_others(store, &living, 1, NULL, &report, ret_err), &report, ret_err);
}

static int
run_list(struct err *ret_err)
{
	CLEANUP(root_ids_release) struct root_ids ids = { 0 };
	CLEANUP(root_report_release) struct root_report report = { 0 };
	bool complete;
	int rc = root_list(store, &ids, &complete, &report, ret_err);

	ck_assert(rc != 0 || ids.n == 2);
	ck_assert(rc != 0 || complete == (report.n == 0));
	return with_report(rc, &report, ret_err);
}

static void
keeps_living(bool done, const char *fault)
{
	(void)done;
	(void)fault;
	done_anyway = false;
	ck_assert_int_eq(verdict_of(&living, living_root, NULL), ROOT_PRESENT);
}

/* All of the new root, or nothing: neither a record nor a part of one. */
static void
made_or_nothing(bool done, const char *fault)
{
	keeps_living(done, fault);
	ck_assert_msg(verdict_of(&made, NULL, NULL) == (done ? ROOT_PRESENT : ROOT_DESTROYED), "after %s: %s", fault, err.msg);
	ck_assert_msg(done || files(MADE, false) == 0, "after %s", fault);
}

static void
healed_or_not(bool done, const char *fault)
{
	bool whole = false;

	keeps_living(done, fault);
	ck_assert_int_eq(run_heal(&err), 0);
	ck_assert(root_is_whole(store, &living, &whole, &err) == 0 && whole);
	ck_assert_int_eq(files(".root.", false), 0);
}

static void
destroyed_at_last(bool done, const char *fault)
{
	keeps_living(done, fault);
	ck_assert(!done || verdict_of(&made, NULL, NULL) == ROOT_DESTROYED);
	ck_assert_int_eq(root_destroy(store, &made, NULL, &err), 0);
	ck_assert_int_eq(verdict_of(&made, NULL, NULL), ROOT_DESTROYED);
	ck_assert_int_eq(files(MADE, false), 0);
}

static void
begin_empty(void)
{
	(void)files("", true);
}

static void
marked_at_last(bool done, const char *fault)
{
	(void)done;
	(void)fault;
	done_anyway = false;
	ck_assert_msg(root_init(store, &err) == 0, "%s", err.msg);
	create(&living, living_root);
	ck_assert_int_eq(files("", false), 8);
}

static const struct operation operations[] = {
	/* these give names */
	{ "make a root", begin, run_create, made_or_nothing },
	{ "write lost replicas again", begin_with_lost, run_heal, healed_or_not },
	/* these write */
	{ "mark places", begin_empty, run_init, marked_at_last },
	{ "destroy a root", begin_with_made, run_destroy, destroyed_at_last },
	/* and these read */
	{ "read a root", begin, run_read, keeps_living },
	{ "read a root that was destroyed", begin, run_read_of_destroyed, keeps_living },
	{ "list roots", begin_with_made, run_list, keeps_living },
	{ "destroy others", begin_with_made, run_destroy_others, destroyed_at_last },
};
#define N_NAMING 2
#define N_WRITING 4
#define N_OPERATIONS ((int)(sizeof(operations) / sizeof(operations[0])))

/* ---- faults -------------------------------------------------------------------------------- */

START_TEST(no_fault_is_lost)
{
	fail_each_call(&operations[_i]);
}
END_TEST

START_TEST(a_full_disk)
{
	fault_errno = ENOSPC;
	fail_each_call(&operations[_i]);
}
END_TEST

START_TEST(no_fault_is_lost_without_rename)
{
	no_rename = true;
	fail_each_call(&operations[_i]);
}
END_TEST

/* The call had its effect, and an error is all that is heard of it. */
static void
begin_done_anyway(void)
{
	done_anyway = false;
	begin();
	done_anyway = true;
}

START_TEST(a_fault_after_its_effect)
{
	static const struct operation creating = { "make a root", begin_done_anyway, run_create, made_or_nothing };

	no_rename = _i != 0;
	fail_each_call(&creating);
}
END_TEST

START_TEST(signals_and_short_writes_are_no_faults)
{
	interrupted = true;
	for (int n = 0; n < 2; n++) {
		short_writes = n == 1;
		begin();
		ck_assert_msg(run_create(&err) == 0, "%s", err.msg);
		ck_assert_msg(run_read(&err) == 0, "%s", err.msg);
		ck_assert_msg(run_destroy(&err) == 0, "%s", err.msg);
		ck_assert_int_eq(verdict_of(&made, NULL, NULL), ROOT_DESTROYED);
	}
}
END_TEST

/* The disk keeps something else than it was given, and says nothing. */
START_TEST(what_comes_back_otherwise_is_no_root)
{
	for (int n = 0; n < 4; n++) {
		begin();
		spoil_record = n;
		err_clear(&err);
		ck_assert_int_eq(run_create(&err), -1);
		spoil_record = -1;
		ck_assert_msg(strstr(err.msg, "reading it back") != NULL, "%s", err.msg);
		made_or_nothing(false, "an altered record");
	}
	begin_with_lost();
	spoil_record = 1;
	ck_assert_int_eq(run_heal(&err), -1);
	ck_assert_ptr_nonnull(strstr(err.msg, "reading it back"));
	keeps_living(false, NULL);
}
END_TEST

/* Written over and on disk, then without its name, then without it on disk. */
START_TEST(the_order_of_destroying)
{
	start(1, 1);
	create(&made, NULL);
	tracing = true;
	ck_assert_int_eq(run_destroy(&err), 0);
	tracing = false;
	ck_assert_msg(strstr(trace.s, " write fdatasync unlinkat fsync ") != NULL, "%s", trace.s);
}
END_TEST

/* On disk before it has its name, and the name on disk before it is read back. */
START_TEST(the_order_of_writing)
{
	start(1, 1);
	no_rename = _i != 0;
	tracing = true;
	ck_assert_int_eq(run_create(&err), 0);
	tracing = false;
	ck_assert_msg(strstr(trace.s, no_rename ? " write fsync linkat unlinkat fsync " : " write fsync renameat2 fsync ") != NULL, "%s",
		trace.s);
}
END_TEST

/* A record that cannot be written over keeps its name: else the next run would take it for destroyed. */
START_TEST(what_is_not_written_over_is_not_forgotten)
{
	CLEANUP(root_report_release) struct root_report report = { 0 };

	start(1, 1);
	for (int n = 0; n < 2; n++) {
		create(&made, NULL);
		tracing = true;
		str_clear(&trace);
		ck_assert_int_eq(run_destroy(&err), 0);
		tracing = false;
		/* the calls before the write, or before its sync */
		calls_left = 0;
		for (const char *c = trace.s; c < strstr(trace.s, n == 0 ? "write " : "fdatasync "); c++)
			calls_left += *c == ' ';
		fault_errno = n == 0 ? ENOSPC : EIO;
		{
			int calls = calls_left;

			calls_left = -1;
			create(&made, NULL);
			calls_left = calls;
		}
		at_fault = NULL;
		ck_assert_int_eq(root_destroy(store, &made, &report, &err), -1);
		calls_left = -1;
		ck_assert_str_eq(at_fault, n == 0 ? "write" : "fdatasync");
		ck_assert_int_eq(state_of(&report, 1, 1), ROOT_NOT_DESTROYED);
		ck_assert_int_ne(verdict_of(&made, NULL, NULL), ROOT_DESTROYED);
		ck_assert_int_eq(run_destroy(&err), 0);
	}
}
END_TEST

/* ---- kills --------------------------------------------------------------------------------- */

/* Runs it in a child that is killed before its n-th call; false: it came to its end first. */
static bool
is_killed_at(const struct operation *operation, int n)
{
	pid_t child = fork();
	int status = 0;

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		struct err ignored = { 0 };

		calls_until_kill = n;
		_exit(operation->run(&ignored) == 0 ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		return true;
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s fails undisturbed", operation->name);
	return false;
}

/* What the next run does with an attempt that it finds: go on with it if all of it was written, else destroy it and
 * make another. */
static void
recover_create(bool done, const char *fault)
{
	const struct root_id next = id_of(2, 3);
	struct root_id kept[2] = { living, made };
	uint8_t root[ROOT_SIZE];
	bool whole = false;

	keeps_living(done, fault);
	ck_assert_msg(root_is_whole(store, &made, &whole, &err) == 0, "%s", err.msg);
	ck_assert(whole || !done);
	if (!whole) {
		ck_assert_msg(root_destroy_others(store, &living, 1, NULL, NULL, &err) == 0, "%s", err.msg);
		ck_assert_int_eq(verdict_of(&made, NULL, NULL), ROOT_DESTROYED);
		ck_assert_int_eq(files("", false), 8);
		create(&next, root);
		kept[1] = next;
		ck_assert_int_eq(verdict_of(&next, root, NULL), ROOT_PRESENT);
	}
	/* the new root is the living one now, and the old one goes */
	ck_assert_msg(root_destroy_others(store, &kept[1], 1, NULL, NULL, &err) == 0, "%s", err.msg);
	ck_assert_int_eq(verdict_of(&living, NULL, NULL), ROOT_DESTROYED);
	ck_assert_int_eq(verdict_of(&kept[1], NULL, NULL), ROOT_PRESENT);
	ck_assert_int_eq(root_destroy(store, &kept[1], NULL, &err), 0);
	ck_assert_int_eq(files("", false), 4);
}

/* Nothing of a share stays behind under any name once its root is destroyed. */
static void
recover_heal(bool done, const char *fault)
{
	bool whole = false;

	keeps_living(done, fault);
	ck_assert_int_eq(run_heal(&err), 0);
	ck_assert(root_is_whole(store, &living, &whole, &err) == 0 && whole);
	ck_assert_int_eq(root_destroy(store, &living, NULL, &err), 0);
	ck_assert_int_eq(files("", false), 4);
}

/* The temporary file of a marker has no name, and file_write is tested elsewhere. */
static const struct operation killed[] = {
	{ "make a root", begin, run_create, recover_create },
	{ "write lost replicas again", begin_with_lost, run_heal, recover_heal },
	{ "mark places", begin_empty, run_init, marked_at_last },
	{ "destroy a root", begin_with_made, run_destroy, destroyed_at_last },
	{ "destroy others", begin_with_made, run_destroy_others, destroyed_at_last },
};
#define N_KILLED ((int)(sizeof(killed) / sizeof(killed[0])))

START_TEST(killed_anywhere)
{
	const struct operation *operation = &killed[_i % N_KILLED];
	bool again = true;

	no_rename = _i >= N_KILLED;
	for (int n = 0; again; n += (int)stride()) {
		ck_assert_int_lt(n, 2000);
		operation->prepare();
		again = is_killed_at(operation, n);
		operation->judge(!again, "a kill");
		ck_assert(n > 10 || again);
	}
}
END_TEST

/* In memory where there is such a place: ext4 takes its time over thousands of files made and removed. */
static void
set_up(void)
{
	static const char fast[] = "/dev/shm/expunge-.XXXXXX";

	_Static_assert(sizeof(fast) == sizeof(directory), "directory_make puts the X's at the same place");
	if (access("/dev/shm", W_OK) == 0)
		(void)strcpy(directory, fast);
	directory_make();
	err_clear(&err);
	open_as(&store, INSTANCE, 2, 2);
}

static void
tear_down(void)
{
	root_closep(&store);
	str_release(&trace);
	directory_remove();
}

int
main(void)
{
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, set_up, tear_down);
	tcase_add_loop_test(tests, no_fault_is_lost, 0, N_OPERATIONS);
	tcase_add_loop_test(tests, a_full_disk, 0, N_WRITING);
	tcase_add_loop_test(tests, no_fault_is_lost_without_rename, 0, N_NAMING);
	tcase_add_loop_test(tests, a_fault_after_its_effect, 0, 2);
	tcase_add_test(tests, signals_and_short_writes_are_no_faults);
	tcase_add_test(tests, what_comes_back_otherwise_is_no_root);
	tcase_add_test(tests, the_order_of_destroying);
	tcase_add_loop_test(tests, the_order_of_writing, 0, 2);
	tcase_add_test(tests, what_is_not_written_over_is_not_forgotten);
	tcase_add_loop_test(tests, killed_anywhere, 0, N_KILLED + N_NAMING);
	return run_suite("root faults", tests);
}
