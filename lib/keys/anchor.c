#include "keys/anchor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/parse.h"
#include "keys/summed.h"
#include "sys/file.h"

#define FORMAT "expunge-anchor/v1"
#define NO_CHECKPOINT "none"
#define FILE_MAX 4096

void
anchor_release(struct anchor *anchor)
{
	free(anchor->checkpoint);
	*anchor = (struct anchor)ANCHOR_INIT;
}

int
anchor_format(const struct anchor *anchor, struct str *ret, struct err *err)
{
	CLEANUP(str_release) struct str text = STR_INIT;
	CLEANUP(anchor_release) struct anchor again = ANCHOR_INIT;
	const char *checkpoint = anchor->checkpoint;

	if (checkpoint != NULL && strcmp(checkpoint, NO_CHECKPOINT) == 0)
		return err_set(err, ERR_FAILED, "writing the anchor: \"" NO_CHECKPOINT "\" is no checkpoint");
	str_addf(&text, FORMAT "\nepoch: %lld\nkey-seq: %lld\ncheckpoint: %s\nnonce: %s\ntimeline: %lld\ninstance: %s\n",
		(long long)anchor->epoch, (long long)anchor->key_seq, checkpoint == NULL ? NO_CHECKPOINT : checkpoint,
		anchor->nonce, (long long)anchor->timeline, anchor->instance);
	if (summed_end(&text, err) != 0)
		return -1;
	if (anchor_parse(text.s, text.len, &again, err) != 0)
		return err_prefix(err, "writing the anchor");
	str_add_n(ret, text.s, text.len);
	return 0;
}

static bool
is_nonce(const char *text)
{
	return strspn(text, "0123456789abcdef") == 32 && text[32] == '\0';
}

int
anchor_parse(const char *text, size_t n, struct anchor *ret, struct err *err)
{
	static const char *const keys[] = { "epoch", "key-seq", "checkpoint", "nonce", "timeline", "instance" };
	CLEANUP(free_text) char *copy = NULL;
	struct anchor anchor = ANCHOR_INIT;
	const char *values[6];

	if (summed_parse(text, n, FORMAT, keys, 6, &copy, values, err) != 0)
		return -1;
	if (parse_int64(values[0], 0, INT64_MAX, &anchor.epoch) != 0 || parse_int64(values[1], 0, INT64_MAX, &anchor.key_seq) != 0 ||
	    parse_int64(values[4], 1, UINT32_MAX, &anchor.timeline) != 0)
		return err_set(err, ERR_FAILED, "its epoch, key-seq or timeline is not a number that could be");
	if (!parse_is_plain_text(values[2], ANCHOR_CHECKPOINT_MAX) || !is_nonce(values[3]) || !parse_is_uuid(values[5]))
		return err_set(err, ERR_FAILED, "its checkpoint, nonce or instance is malformed");
	if (strcmp(values[2], NO_CHECKPOINT) != 0)
		anchor.checkpoint = mem_copy(values[2]);
	(void)memcpy(anchor.nonce, values[3], sizeof(anchor.nonce));
	(void)memcpy(anchor.instance, values[5], sizeof(anchor.instance));
	*ret = anchor;
	return 0;
}

/* Why there is no file: it was never written or is lost, or its whole directory is not there. */
static int
say_absent(const char *path, enum anchor_verdict *ret_verdict, struct err *err)
{
	CLEANUP(free_text) char *parent = mem_copy(path);
	char *slash = strrchr(parent, '/');
	struct stat st;

	if (slash != NULL)
		slash[slash == parent] = '\0';
	if (slash == NULL || stat(parent, &st) != 0 || !S_ISDIR(st.st_mode)) {
		*ret_verdict = ANCHOR_UNAVAILABLE;
		(void)err_set(err, ERR_FAILED, "reading anchor %s: its directory is missing", path);
		return err_hint(err, "mount the file system that holds it");
	}
	*ret_verdict = ANCHOR_ABSENT;
	(void)err_set(err, ERR_FAILED, "reading anchor %s: there is none", path);
	return err_hint(err, "bring the file back from where it went; if it is lost, expunge keys adopt writes a new one");
}

int
anchor_read(const char *path, const char *instance, struct anchor *ret, enum anchor_verdict *ret_verdict, struct err *err)
{
	CLEANUP(anchor_release) struct anchor anchor = ANCHOR_INIT;
	CLEANUP(free_text) char *text = NULL;
	size_t n;

	if (!file_exists(path))
		return say_absent(path, ret_verdict, err);
	*ret_verdict = ANCHOR_UNAVAILABLE;
	if (file_check_writers(path, err) != 0 || file_read(path, FILE_MAX, &text, &n, err) != 0)
		return err_prefix(err, "reading the anchor");
	if (anchor_parse(text, n, &anchor, err) != 0) {
		*ret_verdict = ANCHOR_ALTERED;
		(void)err_prefix(err, "reading anchor %s", path);
		return err_hint(err, "somebody changed it, or the disk did; find out which before expunge keys adopt writes a new one");
	}
	*ret_verdict = strcasecmp(anchor.instance, instance) == 0 ? ANCHOR_PRESENT : ANCHOR_FOREIGN;
	*ret = anchor;
	anchor = (struct anchor)ANCHOR_INIT;
	if (*ret_verdict == ANCHOR_PRESENT)
		return 0;
	(void)err_set(err, ERR_FAILED, "reading anchor %s: it belongs to instance %s", path, ret->instance);
	return err_hint(err, "set keys.anchor to the file of this installation");
}

int
anchor_write(const char *path, const struct anchor *anchor, struct err *err)
{
	CLEANUP(str_release) struct str text = STR_INIT;

	if (anchor_format(anchor, &text, err) != 0)
		return -1;
	return file_write(path, text.s, text.len, 0600, false, err);
}
