/*
 * fuzz: what the fuzz targets share. A target is one function that takes any bytes, hands them to a
 * parser, and demands of the answer what must hold of every answer (REQUIRE): whatever was taken gives
 * the same text when it is written again, whatever was refused has a reason.
 *
 * Each target is built twice: with libFuzzer and sanitizers (`make fuzz`), and all of them into one
 * plain program that replays the seeds as regression tests (`make check`).
 */
#ifndef EXPUNGE_TESTS_FUZZ_H
#define EXPUNGE_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* The name of each target is that of its file and of its directory of seeds. */
#define FUZZ_TARGETS(X) \
	X(archive)      \
	X(catalog)      \
	X(certificate)  \
	X(config)       \
	X(error)        \
	X(journal)      \
	X(ledger)       \
	X(lint)         \
	X(mail)         \
	X(map)          \
	X(note)         \
	X(options)      \
	X(parse)        \
	X(path)         \
	X(result)       \
	X(root)         \
	X(unpack)

#define FUZZ_DECLARE(name) int fuzz_##name(const uint8_t *data, size_t n);
FUZZ_TARGETS(FUZZ_DECLARE)

/* Ends the program with the place of a condition that does not hold. */
#define REQUIRE(condition)                                                                        \
	do {                                                                                      \
		if (!(condition)) {                                                               \
			(void)fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                                  \
		}                                                                                 \
	} while (0)

/* A copy with a NUL at its end, in a block of just that size; the caller frees. */
char *fuzz_text(const uint8_t *data, size_t n);
/* The next piece of *text up to `end`, which becomes a NUL; *text is NULL behind the last. */
char *fuzz_piece(char **text, char end);
/* A file in the private directory FUZZ_DIRECTORY names, written with these bytes; the caller frees the path. */
char *fuzz_file(const char *name, const void *bytes, size_t n);
/* A whole file of the tree (paths start at the root of the checkout); the caller frees. */
char *fuzz_slurp(const char *path, size_t *ret_n);

/*
 * A server of made-up answers: db_query() and db_text() of the library under test come here (by the
 * linker's --wrap). The answers are text: a line a row, tabs between cells, \N for NULL, an empty line
 * behind each answer. A statement that no answer is left for returns no rows. Cells that the real
 * statement guarantees are "" instead of NULL.
 */
void fuzz_server_start(char *answers);

#endif
