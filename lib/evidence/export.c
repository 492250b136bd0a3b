#include "evidence/export.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "evidence/certificate.h"
#include "evidence/export_format.h"
#include "evidence/note.h"
#include "sys/file.h"

struct export {
	enum export_format format;
	char *directory;
	char *path;      /* json and csv: the final name, */
	char *temporary; /* what it is called until export_end if it needs a name, */
	FILE *out;       /* and the file */
	int64_t last;    /* serial */
};

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

int
export_format_parse(enum export_format *ret, const char *text, struct err *err)
{
	if (strcmp(text, "notes") == 0)
		*ret = EXPORT_NOTES;
	else if (strcmp(text, "json") == 0)
		*ret = EXPORT_JSON;
	else if (strcmp(text, "csv") == 0)
		*ret = EXPORT_CSV;
	else
		return err_set(err, ERR_USAGE, "unknown format: notes, json or csv");
	return 0;
}

/* one file for all, without a name until it is complete */
static int
open_table(struct export *e, const char *name, struct err *err)
{
	int fd;

	e->path = file_join(e->directory, name);
	fd = file_open_nameless(e->path, &e->temporary);
	if (fd >= 0)
		e->out = fdopen(fd, "w");
	if (fd >= 0 && e->out == NULL)
		(void)close(fd);
	if (e->out == NULL)
		return err_sys(err, "export to %s", e->path);
	(void)fputs(e->format == EXPORT_JSON ? "[\n" : EXPORT_CSV_HEADER, e->out);
	return 0;
}

int
export_begin(struct export **ret, const char *directory, enum export_format format, struct err *err)
{
	CLEANUP(export_freep) struct export *e = mem_zero(1, sizeof(*e));

	if (file_make_directory(directory, 0700, err) != 0)
		return err_prefix(err, "export");
	e->format = format;
	e->directory = mem_copy(directory);
	if (format != EXPORT_NOTES &&
	    open_table(e, format == EXPORT_JSON ? "certificates.json" : "certificates.csv", err) != 0)
		return -1;
	*ret = TAKE_PTR(e);
	return 0;
}

int
export_file(struct export *export, const char *name, const void *bytes, size_t n, struct err *err)
{
	CLEANUP(free_text) char *path = file_join(export->directory, name);
	CLEANUP(free_text) char *there = NULL;
	size_t n_there = 0;

	if (!file_exists(path))
		return file_write(path, bytes, n, 0644, true, err);
	if (file_read(path, n, &there, &n_there, NULL) == 0 && n_there == n && memcmp(there, bytes, n) == 0)
		return 0;
	(void)err_set(err, ERR_FAILED, "export %s: the file exists and is another", path);
	return err_hint(err, "export to an empty directory");
}

static int
add_note(struct export *e, const char *name, const char *note, size_t n, const char *sshsig, struct err *err)
{
	CLEANUP(free_text) char *sidecar = mem_printf("%s.sig", name);

	if (export_file(e, name, note, n, err) != 0)
		return -1;
	return sshsig == NULL ? 0 : export_file(e, sidecar, sshsig, strlen(sshsig), err);
}

/* what every write to the file up to now has come to */
static int
written(const struct export *e, struct err *err)
{
	return fflush(e->out) != 0 || ferror(e->out) ? err_sys(err, "export to %s", e->path) : 0;
}

static int
add(struct export *e, const struct certificate *c, const char *name, const char *note, size_t n,
	const char *sshsig, struct err *err)
{
	switch (e->format) {
	case EXPORT_NOTES:
		return add_note(e, name, note, n, sshsig, err);
	case EXPORT_JSON:
		if (e->last > 0)
			(void)fputs(",\n", e->out);
		if (export_json(e->out, c, note, err) != 0)
			return -1;
		return written(e, err);
	case EXPORT_CSV:
		if (export_csv(e->out, c, note, n, err) != 0)
			return -1;
		return written(e, err);
	}
	return err_set(err, ERR_USAGE, "export: unknown format");
}

int
export_add(struct export *export, int64_t serial, const char *id, const char *note, size_t n,
	const char *sshsig, struct err *err)
{
	CLEANUP(note_release) struct note parts = NOTE_INIT;
	CLEANUP(certificate_release) struct certificate c = CERTIFICATE_INIT;
	char name[CERTIFICATE_FILE_NAME_SIZE];

	if (note_parse(&parts, note, n, err) != 0 || certificate_parse(parts.text, parts.n, &c, err) != 0)
		return err_prefix(err, "export certificate %" PRId64, serial);
	if (c.serial != serial || strcmp(c.id, id) != 0)
		return err_set(err, ERR_FAILED, "export certificate %" PRId64 ": its note is that of certificate %" PRId64,
			serial, c.serial);
	if (serial <= export->last)
		return err_set(err, ERR_FAILED, "export certificate %" PRId64 " after %" PRId64 ": serials must ascend",
			serial, export->last);
	certificate_file_name(serial, id, name);
	if (add(export, &c, name, note, n, sshsig, err) != 0)
		return -1;
	export->last = serial;
	return 0;
}

/* whether two files have the same bytes */
static bool
same_files(const char *a, const char *b)
{
	FILE *x = fopen(a, "re"), *y = fopen(b, "re");
	bool same = x != NULL && y != NULL;
	int c;

	while (same && (c = getc(x)) == getc(y))
		if (c == EOF)
			break;
	if (same)
		same = feof(x) && feof(y) && !ferror(x) && !ferror(y);
	if (x != NULL)
		(void)fclose(x);
	if (y != NULL)
		(void)fclose(y);
	return same;
}

/* A name that is taken is not given again, but the same file may have it already. */
static int
publish(const struct export *e, struct err *err)
{
	CLEANUP(free_text) char *self = mem_printf("/proc/self/fd/%d", fileno(e->out));
	CLEANUP(close_fd) int directory = -1;

	if (file_name(fileno(e->out), e->temporary, e->path) != 0) {
		if (errno != EEXIST)
			return err_sys(err, "export to %s", e->path);
		if (same_files(self, e->path))
			return 0;
		(void)err_set(err, ERR_FAILED, "export to %s: the file exists and is another", e->path);
		return err_hint(err, "export to an empty directory");
	}
	directory = open(e->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0 || fsync(directory) != 0)
		return err_sys(err, "export to %s: sync its directory", e->path);
	return 0;
}

int
export_end(struct export *export, struct err *err)
{
	FILE *out = export->out;

	if (export->format == EXPORT_NOTES)
		return 0;
	if (export->format == EXPORT_JSON)
		(void)fputs("]\n", out);
	if (fflush(out) != 0 || ferror(out) || fchmod(fileno(out), 0644) != 0 || fsync(fileno(out)) != 0)
		return err_sys(err, "export to %s", export->path);
	return publish(export, err);
}

void
export_free(struct export *export)
{
	if (export == NULL)
		return;
	if (export->out != NULL)
		(void)fclose(export->out);
	if (export->temporary != NULL)
		(void)unlink(export->temporary);
	free(export->temporary);
	free(export->path);
	free(export->directory);
	free(export);
}

void
export_freep(struct export **export)
{
	export_free(*export);
}
