#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "fuzz.h"

const char *__lsan_default_suppressions(void);
const char *__lsan_default_options(void);

/* libconfig 1.5 forgets the string it is in the middle of when it meets a syntax error. */
const char *
__lsan_default_suppressions(void)
{
	return "leak:strbuf_append\nleak:libconfig_yylex\n";
}

const char *
__lsan_default_options(void)
{
	return "print_suppressions=0";
}

char *
fuzz_text(const uint8_t *data, size_t n)
{
	return mem_copy_n((const char *)data, n);
}

char *
fuzz_piece(char **text, char end)
{
	char *piece = *text, *stop = strchr(piece, end);

	if (stop != NULL)
		*stop = '\0';
	*text = stop == NULL ? NULL : stop + 1;
	return piece;
}

char *
fuzz_file(const char *name, const void *bytes, size_t n)
{
	const char *directory = getenv("FUZZ_DIRECTORY");
	char *path;
	int fd;

	REQUIRE(directory != NULL);
	path = mem_printf("%s/%s", directory, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	REQUIRE(fd >= 0 && write(fd, bytes, n) == (ssize_t)n);
	(void)close(fd);
	return path;
}

char *
fuzz_slurp(const char *path, size_t *ret_n)
{
	FILE *in = fopen(path, "re");
	char *bytes = NULL;
	size_t n = 0, got;

	if (in == NULL)
		(void)fprintf(stderr, "%s cannot be read\n", path);
	REQUIRE(in != NULL);
	do {
		bytes = mem_resize(bytes, n + 65537, 1);
		got = fread(bytes + n, 1, 65536, in);
		n += got;
	} while (got > 0);
	(void)fclose(in);
	bytes[n] = '\0';
	if (ret_n != NULL)
		*ret_n = n;
	return bytes;
}
