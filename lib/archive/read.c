/* Both ends of the file, signature and hash: what is checked before anything is believed. */
#include "archive/read.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive/read_private.h"
#include "base/cleanup.h"
#include "base/mem.h"

int
archive_refuse(enum archive_verdict *ret_verdict, enum archive_verdict verdict, struct err *err, const char *fmt, ...)
{
	char text[300];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	*ret_verdict = verdict;
	return err_set(err, ERR_FAILED, "%s: %s", archive_verdict_text(verdict), text);
}

/* What could not be tried says nothing of the archive's bytes. */
static int
not_tried(enum archive_verdict *ret_verdict, struct err *err)
{
	*ret_verdict = ARCHIVE_UNREADABLE;
	return err_prefix(err, "%s", archive_verdict_text(ARCHIVE_UNREADABLE));
}

/* ---- bytes --------------------------------------------------------------------------------- */

static int
read_at(int fd, uint64_t at, void *ret, size_t n, enum archive_verdict *ret_verdict, struct err *err)
{
	uint8_t *to = ret;

	while (n > 0) {
		ssize_t got = pread(fd, to, n, (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			(void)err_sys(err, "reading at byte %llu", (unsigned long long)at);
			return not_tried(ret_verdict, err);
		}
		if (got == 0)
			return archive_refuse(ret_verdict, ARCHIVE_TRUNCATED, err, "nothing is left at byte %llu", (unsigned long long)at);
		to += got;
		at += (uint64_t)got;
		n -= (size_t)got;
	}
	return 0;
}

static int
descriptor_of(const struct archive *a, uint32_t file, enum archive_verdict *ret_verdict, struct err *err)
{
	struct archive_source *source = file == 0 ? NULL : a->sources[file];

	if (source == NULL || source->fd >= 0 || source->open == NULL)
		return source == NULL ? a->fd : source->fd;
	return source->open(source->ctx, source, err) == 0 ? source->fd : not_tried(ret_verdict, err);
}

/* Ahead to the end of the window, while one file is read on; of frames that lie here and there, each by itself. */
static size_t
read_ahead(const struct archive *a, uint32_t file, uint64_t at, size_t n, uint64_t end, uint64_t size)
{
	uint64_t some = size - at;

	if ((file > 0 || file != a->window_file) && end > at && end - at < some)
		some = end - at;
	some = some < WINDOW_SIZE ? some : WINDOW_SIZE;
	return some < n ? n : (size_t)some;
}

const uint8_t *
archive_fetch(struct archive *a, uint32_t file, uint64_t at, size_t n, uint64_t end, enum archive_verdict *ret_verdict, struct err *err)
{
	uint64_t size = file == 0 ? a->size : a->sources[file]->file.size;

	if (n > WINDOW_SIZE || at > size || n > size - at) {
		(void)archive_refuse(ret_verdict, ARCHIVE_ALTERED, err, "%zu bytes at %llu are beyond its end", n,
			(unsigned long long)at);
		return NULL;
	}
	if (file != a->window_file || at < a->window_at || at + n > a->window_at + a->n_window) {
		size_t some = read_ahead(a, file, at, n, end, size);
		int fd = descriptor_of(a, file, ret_verdict, err);

		a->n_window = 0;
		if (fd < 0 || read_at(fd, at, a->window, some, ret_verdict, err) != 0)
			return NULL;
		a->window_file = file;
		a->window_at = at;
		a->n_window = some;
	}
	return a->window + (at - a->window_at);
}

/* ---- both ends ----------------------------------------------------------------------------- */

/* The first bytes say what it is, the last that it is whole; a bit that was flipped in one of them is told from an end
 * that is missing by what else is in its place. */
static int
judge_ends(const uint8_t head[FORMAT_END_SIZE], const uint8_t foot[FORMAT_FOOTER_SIZE], uint64_t size,
	enum archive_verdict *ret_verdict, struct err *err)
{
	uint32_t version, end_version;
	bool begins = format_is_header(head, &version), has_footer = format_is_footer(foot);
	bool ends = format_is_end(foot + FORMAT_FOOTER_SIZE - FORMAT_END_SIZE, &end_version);

	if (!begins && !ends && !has_footer)
		return archive_refuse(ret_verdict, ARCHIVE_UNREADABLE, err, "this is no archive");
	if (begins && !ends && !has_footer)
		return archive_refuse(ret_verdict, ARCHIVE_TRUNCATED, err, "it breaks off after %llu bytes, without a footer",
			(unsigned long long)size);
	if (!begins || !ends || version != end_version || version < 1)
		return archive_refuse(ret_verdict, ARCHIVE_ALTERED, err, "its first or its last bytes are not what they were");
	if (version > ARCHIVE_VERSION)
		return archive_refuse(ret_verdict, ARCHIVE_NEWER_FORMAT, err, "format %u; this release reads up to %d",
			(unsigned)version, ARCHIVE_VERSION);
	return 0;
}

static int
read_ends(struct archive *a, enum archive_verdict *ret_verdict, struct err *err)
{
	uint8_t head[FORMAT_END_SIZE] = { 0 }, foot[FORMAT_FOOTER_SIZE];
	size_t n = a->size < sizeof(head) ? (size_t)a->size : sizeof(head);

	if (read_at(a->fd, 0, head, n, ret_verdict, err) != 0)
		return -1;
	if (a->size < FORMAT_HEADER_SIZE + FORMAT_FOOTER_SIZE)
		return format_begins_header(head, n)
			? archive_refuse(ret_verdict, ARCHIVE_TRUNCATED, err, "it breaks off after %llu bytes",
				  (unsigned long long)a->size)
			: archive_refuse(ret_verdict, ARCHIVE_UNREADABLE, err, "this is no archive");
	if (read_at(a->fd, a->size - sizeof(foot), foot, sizeof(foot), ret_verdict, err) != 0 ||
	    judge_ends(head, foot, a->size, ret_verdict, err) != 0)
		return -1;
	if (format_footer_decode(foot, &a->footer) != 0)
		return archive_refuse(ret_verdict, ARCHIVE_ALTERED, err, "its footer is malformed");
	return 0;
}

/* ---- signature and hash -------------------------------------------------------------------- */

/* The footer names the key that signed it. A signature that is good, by a key that is not trusted, is another's
 * archive; one that is not good under the key it names says that the footer was altered. */
static int
check_signature(const struct archive *a, const uint8_t (*signers)[ED25519_KEY_SIZE], size_t n_signers,
	enum archive_verdict *ret_verdict, struct err *err)
{
	CLEANUP(str_release) struct str text = STR_INIT;

	format_footer_signed(&a->footer, &text);
	if (crypt_verify(a->footer.signer, text.s, text.len, a->footer.signature, NULL) != 0)
		return archive_refuse(ret_verdict, ARCHIVE_ALTERED, err, "its footer is not what was signed");
	for (size_t i = 0; i < n_signers; i++)
		if (memcmp(signers[i], a->footer.signer, ED25519_KEY_SIZE) == 0)
			return 0;
	return archive_refuse(ret_verdict, ARCHIVE_WRONG_SIGNER, err, "signed by none of %zu trusted keys", n_signers);
}

/* The footer is genuine: what it says of the file tells a part that is missing from one that came in. */
static int
check_places(const struct archive *a, enum archive_verdict *ret_verdict, struct err *err)
{
	uint64_t end = a->size - FORMAT_FOOTER_SIZE;

	if (a->size < a->footer.size)
		return archive_refuse(ret_verdict, ARCHIVE_TRUNCATED, err, "%llu of %llu bytes are missing before its footer",
			(unsigned long long)(a->footer.size - a->size), (unsigned long long)a->footer.size);
	if (a->size > a->footer.size || a->footer.contents < FORMAT_HEADER_SIZE || a->footer.contents > end ||
	    a->footer.n_contents != end - a->footer.contents)
		return archive_refuse(ret_verdict, ARCHIVE_ALTERED, err, "its footer does not fit its %llu bytes",
			(unsigned long long)a->size);
	return 0;
}

static void
free_digest(struct digest **digest)
{
	crypt_digest_free(*digest);
}

/* Hashes it all; the header is taken from the very bytes that were hashed. */
static int
check_hash(struct archive *a, uint8_t header[FORMAT_HEADER_SIZE], enum archive_verdict *ret_verdict, struct err *err)
{
	CLEANUP(free_digest) struct digest *digest = NULL;
	uint64_t end = a->size - FORMAT_FOOTER_SIZE;
	uint8_t hash[SHA256_SIZE];

	if (crypt_digest_begin(&digest, err) != 0)
		return not_tried(ret_verdict, err);
	for (uint64_t at = 0; at < end;) {
		size_t n = end - at < WINDOW_SIZE ? (size_t)(end - at) : WINDOW_SIZE;
		const uint8_t *bytes = archive_fetch(a, 0, at, n, end, ret_verdict, err);

		if (bytes == NULL)
			return -1;
		if (crypt_digest_add(digest, bytes, n, err) != 0)
			return not_tried(ret_verdict, err);
		if (at == 0)
			(void)memcpy(header, bytes, FORMAT_HEADER_SIZE);
		at += n;
	}
	if (crypt_digest_end(digest, hash, err) != 0)
		return not_tried(ret_verdict, err);
	if (memcmp(hash, a->footer.hash, SHA256_SIZE) != 0)
		return archive_refuse(ret_verdict, ARCHIVE_ALTERED, err, "its bytes are not those that were signed");
	return 0;
}

static int
check(struct archive *a, const uint8_t (*signers)[ED25519_KEY_SIZE], size_t n_signers,
	enum archive_verdict *ret_verdict, struct err *err)
{
	uint8_t header[FORMAT_HEADER_SIZE];

	if (read_ends(a, ret_verdict, err) != 0 || check_signature(a, signers, n_signers, ret_verdict, err) != 0 ||
	    check_places(a, ret_verdict, err) != 0)
		return -1;
	if ((a->in_part ? read_at(a->fd, 0, header, sizeof(header), ret_verdict, err) : check_hash(a, header, ret_verdict, err)) != 0)
		return -1;
	if (format_header_decode(header, &a->header) != 0 || memcmp(a->header.id, a->footer.id, ARCHIVE_ID_SIZE) != 0)
		return archive_refuse(ret_verdict, ARCHIVE_ALTERED, err, "its header is malformed, or another's");
	if (crypt_sha256(header, sizeof(header), a->binding, err) != 0)
		return not_tried(ret_verdict, err);
	return 0;
}

static int
open_archive(struct archive **ret, int fd, bool in_part, const uint8_t (*signers)[ED25519_KEY_SIZE], size_t n_signers,
	enum archive_verdict *ret_verdict, struct err *err)
{
	CLEANUP(archive_closep) struct archive *a = mem_zero(1, sizeof(*a));
	struct stat st;

	*ret = NULL;
	*ret_verdict = ARCHIVE_OK;
	a->fd = fd;
	a->in_part = in_part;
	if (fstat(fd, &st) != 0) {
		(void)err_sys(err, "looking at its size");
		return not_tried(ret_verdict, err);
	}
	if (!S_ISREG(st.st_mode))
		return archive_refuse(ret_verdict, ARCHIVE_UNREADABLE, err, "not a regular file");
	a->size = (uint64_t)st.st_size;
	a->window = mem_zero(WINDOW_SIZE, 1);
	if (check(a, signers, n_signers, ret_verdict, err) != 0)
		return -1;
	*ret = TAKE_PTR(a);
	return 0;
}

int
archive_open(struct archive **ret, int fd, const uint8_t (*signers)[ED25519_KEY_SIZE], size_t n_signers,
	enum archive_verdict *ret_verdict, struct err *err)
{
	return open_archive(ret, fd, false, signers, n_signers, ret_verdict, err);
}

int
archive_open_index(struct archive **ret, int fd, const uint8_t (*signers)[ED25519_KEY_SIZE], size_t n_signers,
	enum archive_verdict *ret_verdict, struct err *err)
{
	return open_archive(ret, fd, true, signers, n_signers, ret_verdict, err);
}

void
archive_close(struct archive *a)
{
	if (a == NULL)
		return;
	archive_lock(a);
	free(a->window);
	free(a);
}

void
archive_closep(struct archive **archive)
{
	archive_close(*archive);
	*archive = NULL;
}

const struct archive_header *
archive_header(const struct archive *a)
{
	return &a->header;
}

uint64_t
archive_size(const struct archive *a)
{
	return a->size;
}

const uint8_t *
archive_hash(const struct archive *a)
{
	return a->footer.hash;
}

const uint8_t *
archive_signer(const struct archive *a)
{
	return a->footer.signer;
}
