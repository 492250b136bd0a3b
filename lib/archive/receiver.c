#include "archive/receiver.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive/format.h"
#include "base/cleanup.h"
#include "base/mem.h"
#include "sys/command.h"
#include "sys/file.h"

#define TIMEOUT_SECONDS 3600
#define SAID 300 /* bytes of its standard error */

static const struct conf_node *
node_of(const struct receiver *receiver)
{
	return (const struct conf_node *)(const void *)receiver;
}

const struct receiver *
receiver_at(const struct config *config, size_t n)
{
	const struct conf_node *list = config_list(config, SET_ARCHIVES_DESTINATIONS);

	for (size_t i = 0; list != NULL && i < conf_count(list); i++)
		if (conf_member(conf_at(list, i), "store") != NULL && n-- == 0)
			return (const struct receiver *)(const void *)conf_at(list, i);
	return NULL;
}

const char *
receiver_name(const struct receiver *receiver)
{
	return conf_text(conf_member(node_of(receiver), "name"));
}

static const struct conf_node *
command_of(const struct receiver *receiver, enum receiver_task task)
{
	static const char *const names[] = { [RECEIVER_STORE] = "store", [RECEIVER_FETCH] = "fetch", [RECEIVER_REMOVE] = "remove" };

	return conf_member(node_of(receiver), names[task]);
}

const char *
receiver_program(const struct receiver *receiver, enum receiver_task task)
{
	return conf_text(conf_at(command_of(receiver, task), 0));
}

int
receiver_check(const struct receiver *receiver, struct err *err)
{
	for (int task = RECEIVER_STORE; task <= RECEIVER_REMOVE; task++) {
		const char *program = receiver_program(receiver, (enum receiver_task)task);

		if (program != NULL && command_check(program, err) != 0)
			return -1;
	}
	return 0;
}

/* ---- running one --------------------------------------------------------------------------------- */

static void
free_arguments(char ***argv)
{
	for (size_t i = 0; (*argv)[i] != NULL; i++)
		free((*argv)[i]);
	free(*argv);
}

static char **
make_arguments(const struct conf_node *command, const char *id)
{
	const struct command_word word = { "{id}", id };
	char **argv = mem_zero(conf_count(command) + 1, sizeof(*argv));

	for (size_t i = 0; i < conf_count(command); i++)
		argv[i] = command_argument(conf_text(conf_at(command, i)), &word, 1);
	return argv;
}

/* An exit code, with what the program says of it; it knows nothing of a person. */
static int
tell_exit(const char *program, int exit_code, const char *said, struct err *err)
{
	CLEANUP(str_release) struct str visible = STR_INIT;
	CLEANUP(free_text) char *line = mem_copy_n(said, strcspn(said, "\n"));

	str_add_visible(&visible, line);
	return err_set(err, ERR_FAILED, "%s: exit code %d%s%s", program, exit_code, visible.len > 0 ? ", " : "", str_cstr(&visible));
}

static int
run(const struct receiver *receiver, enum receiver_task task, const char *id, struct command_talk talk, struct err *err)
{
	const struct conf_node *timeout = conf_member(node_of(receiver), "timeout_seconds");
	CLEANUP(free_arguments) char **argv = make_arguments(command_of(receiver, task), id);
	char said[SAID];
	int exit_code = -1;

	talk.said = said;
	talk.n_said = sizeof(said);
	if (command_check(argv[0], err) != 0 ||
	    command_talk((const char *const *)argv, timeout == NULL ? TIMEOUT_SECONDS : conf_int(timeout), &talk, &exit_code, err) != 0)
		return -1;
	return exit_code == 0 ? 0 : tell_exit(argv[0], exit_code, said, err);
}

/* ---- store --------------------------------------------------------------------------------------- */

/* A file on its way. */
struct source {
	int fd;
	off_t at, size, hashed; /* hashed: where its footer begins */
	struct digest *digest;
	const uint8_t *hash;
};

static int
add_to_hash(struct source *source, const void *bytes, size_t n, struct err *err)
{
	off_t left = source->hashed - source->at;
	uint8_t hash[SHA256_SIZE];

	if (left <= 0)
		return 0;
	if (crypt_digest_add(source->digest, bytes, left < (off_t)n ? (size_t)left : n, err) != 0)
		return -1;
	if ((off_t)n < left)
		return 0;
	if (crypt_digest_end(source->digest, hash, err) != 0)
		return -1;
	return memcmp(hash, source->hash, SHA256_SIZE) == 0 ? 0
		: err_set(err, ERR_FAILED, "the file has changed while it was sent");
}

static int
give(void *ctx, void *to, size_t n, size_t *ret_n, struct err *err)
{
	struct source *source = ctx;
	off_t left = source->size - source->at;
	ssize_t got = pread(source->fd, to, left < (off_t)n ? (size_t)left : n, source->at);

	if (got < 0)
		return err_sys(err, "reading the archive");
	if (got == 0 && left > 0)
		return err_set(err, ERR_FAILED, "the file has become shorter while it was sent");
	if (add_to_hash(source, to, (size_t)got, err) != 0)
		return -1;
	source->at += got;
	*ret_n = (size_t)got;
	return 0;
}

int
receiver_store(const struct receiver *receiver, const char *id, int fd, const uint8_t hash[SHA256_SIZE], bool (*stop)(void),
	struct err *err)
{
	struct source source = { .fd = fd, .hash = hash };
	struct command_talk talk = { .give = give, .ctx = &source, .stop = stop };
	struct stat st;
	int failed;

	if (fstat(fd, &st) != 0)
		return err_sys(err, "reading the archive");
	source.size = st.st_size;
	source.hashed = st.st_size - FORMAT_FOOTER_SIZE;
	if (source.hashed <= 0)
		return err_set(err, ERR_FAILED, "the file is no archive any more");
	if (crypt_digest_begin(&source.digest, err) != 0)
		return -1;
	failed = run(receiver, RECEIVER_STORE, id, talk, err);
	crypt_digest_free(source.digest);
	return failed;
}

/* ---- fetch, remove ------------------------------------------------------------------------------- */

/* What comes back. */
struct sink {
	int fd;
	uint64_t left;
};

static int
take(void *ctx, const void *bytes, size_t n, struct err *err)
{
	struct sink *sink = ctx;

	if (n > sink->left)
		return err_set(err, ERR_FAILED, "more bytes come back than the archive has");
	sink->left -= n;
	return file_write_all(sink->fd, bytes, n) == 0 ? 0 : err_sys(err, "writing to a file in the state directory");
}

/* For reading, too. */
static int
open_nameless(const struct config *config, struct err *err)
{
	CLEANUP(free_text) char *path = file_join(config_text(config, SET_STATE_DIRECTORY), "fetched");
	CLEANUP(free_text) char *temporary = NULL;
	char self[40];
	int fd = file_open_nameless(path, &temporary), again;

	if (fd < 0)
		return err_sys(err, "creating a file in %s", config_text(config, SET_STATE_DIRECTORY));
	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	again = open(self, O_RDWR | O_CLOEXEC);
	if (again < 0)
		(void)err_sys(err, "creating a file in %s", config_text(config, SET_STATE_DIRECTORY));
	(void)close(fd);
	if (temporary != NULL)
		(void)unlink(temporary);
	return again;
}

int
receiver_fetch(const struct receiver *receiver, const struct config *config, const char *id, uint64_t size, bool (*stop)(void),
	int *ret_fd, struct err *err)
{
	struct sink sink = { .fd = open_nameless(config, err), .left = size };
	struct command_talk talk = { .take = take, .ctx = &sink, .stop = stop };

	if (sink.fd < 0)
		return -1;
	if (run(receiver, RECEIVER_FETCH, id, talk, err) != 0) {
		(void)close(sink.fd);
		return -1;
	}
	*ret_fd = sink.fd;
	return 0;
}

int
receiver_remove(const struct receiver *receiver, const char *id, struct err *err)
{
	return run(receiver, RECEIVER_REMOVE, id, (struct command_talk){ 0 }, err);
}
