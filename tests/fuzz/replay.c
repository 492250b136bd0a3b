/*
 * Replays the seeds of every target, one TAP line each: replay [TARGET FILE...]. What once crashed is a
 * seed. Each runs in a child of its own, so that one that ends it does not hide the others.
 */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "fuzz.h"

#define ROW(name) { #name, fuzz_##name },
static const struct {
	const char *name;
	int (*run)(const uint8_t *data, size_t n);
} targets[] = { FUZZ_TARGETS(ROW) };
#define N_TARGETS (sizeof(targets) / sizeof(targets[0]))

static char directory[] = "/tmp/expunge-replay.XXXXXX";
static int n_done, n_failed;

static void
replay(size_t target, const char *path)
{
	size_t n = 0;
	CLEANUP(free_text) char *bytes = fuzz_slurp(path, &n);
	pid_t child;
	int status = 0;

	(void)fflush(stdout);
	child = fork();
	if (child == 0) {
		/* an exact block, so that a sanitizer sees what reads behind it */
		uint8_t *data = mem_zero(n, 1);

		if (n > 0)
			(void)memcpy(data, bytes, n);
		(void)targets[target].run(data, n);
		free(data);
		free(TAKE_PTR(bytes));
		exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
		n_failed++;
	printf("%s %d - %s\n", child > 0 && status == 0 ? "ok" : "not ok", ++n_done, path);
}

static void
replay_all(size_t target)
{
	CLEANUP(free_text) char *name = mem_printf("tests/fuzz/seeds/%s", targets[target].name);
	struct dirent **entries = NULL;
	int n = scandir(name, &entries, NULL, alphasort), seeds = 0;

	for (int i = 0; i < n; i++) {
		CLEANUP(free_text) char *path = mem_printf("%s/%s", name, entries[i]->d_name);

		if (entries[i]->d_name[0] != '.') {
			replay(target, path);
			seeds++;
		}
		free(entries[i]);
	}
	free(entries);
	if (seeds > 0)
		return;
	n_failed++;
	printf("not ok %d - %s has seeds\n", ++n_done, name);
}

/* the one level of directories that targets make */
static void
remove_tree(const char *path)
{
	struct dirent **entries = NULL;
	int n = scandir(path, &entries, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		CLEANUP(free_text) char *inside = mem_printf("%s/%s", path, entries[i]->d_name);

		if (strcmp(entries[i]->d_name, ".") != 0 && strcmp(entries[i]->d_name, "..") != 0 && unlink(inside) != 0)
			remove_tree(inside);
		free(entries[i]);
	}
	free(entries);
	(void)rmdir(path);
}

int
main(int argc, char **argv)
{
	if (mkdtemp(directory) == NULL || setenv("FUZZ_DIRECTORY", directory, 1) != 0)
		return 1;
	for (size_t i = 0; i < N_TARGETS; i++) {
		if (argc < 2)
			replay_all(i);
		for (int k = 2; k < argc && strcmp(argv[1], targets[i].name) == 0; k++)
			replay(i, argv[k]);
	}
	remove_tree(directory);
	printf("1..%d\n", n_done);
	return n_failed == 0 && n_done > 0 ? 0 : 1;
}
