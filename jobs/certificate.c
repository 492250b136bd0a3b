/* certificate list, show, verify, export: the evidence, for whoever must show or doubt it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/parse.h"
#include "evidence/certificate.h"
#include "evidence/export.h"
#include "evidence/issuer.h"
#include "evidence/sshsig.h"
#include "jobs/job.h"
#include "query.h"
#include "svc/listing.h"
#include "sys/file.h"
#include "sys/log.h"

#define KEY_MAX 16384

/* The parameters of certificate_list and certificate_export. */
static int
read_range(const struct job *job, const char **params, struct err *err)
{
	static const char *const names[] = { "from", "to" };
	int year, month, day;

	params[0] = job_option(job, "tenant");
	for (int i = 0; i < 2; i++) {
		params[i + 1] = job_option(job, names[i]);
		if (params[i + 1] != NULL && parse_date(params[i + 1], &year, &month, &day) != 0)
			return err_set(err, ERR_USAGE, "--%s takes a date YYYY-MM-DD", names[i]);
	}
	if (params[1] != NULL && params[2] != NULL && strcmp(params[1], params[2]) > 0)
		return err_set(err, ERR_USAGE, "--from is after --to");
	return 0;
}

/* A database error as it is, with the remedy where a privilege is missing. */
static int
refused(struct err *err)
{
	if (strcmp(err->sqlstate, "42501") == 0)
		(void)err_hint(err, "the login needs expunge_dpo, expunge_operator or expunge_approver");
	return -1;
}

static int
run_list(struct job *job, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	const char *params[3];

	if (read_range(job, params, err) != 0 || db_query(job->db, &QUERY_CERTIFICATE_LIST, params, &res, err) != 0)
		return refused(err);
	if (db_rows(res) == 0 && !job_flag(job, "json")) {
		printf("no certificates\n");
		return 0;
	}
	return listing_print(stdout, res, job_flag(job, "json"), err);
}

/* ---- show ---------------------------------------------------------------------------------- */

/* Only a text that is a signed note is shown: it has no character that a terminal would obey. */
static int
print_note(const char *bytes, size_t n, struct err *err)
{
	CLEANUP(note_release) struct note note = NOTE_INIT;

	if (note_parse(&note, bytes, n, err) != 0)
		return -1;
	return fwrite(bytes, 1, n, stdout) == n ? 0 : err_sys(err, "writing the certificate");
}

static int
show_file(const char *path, struct err *err)
{
	CLEANUP(free_text) char *bytes = NULL;
	size_t n = 0;

	if (file_read(path, NOTE_SIZE_MAX, &bytes, &n, err) != 0)
		return -1;
	return print_note(bytes, n, err) == 0 ? 0 : err_prefix(err, "%s", path);
}

/* A file needs neither configuration nor database, so this command asks for them itself. */
static int
show_stored(struct job *job, const char *serial, const char *id, struct err *err)
{
	CLEANUP(db_result_freep) struct db_result *res = NULL;
	CLEANUP(str_release) struct str problems = STR_INIT;

	if (config_load(&job->config, job->config_path, &problems, err) != 0) {
		(void)fputs(str_cstr(&problems), stderr);
		return -1;
	}
	if (job_connect(job, NULL, &job->db, err) != 0 ||
	    db_query(job->db, &QUERY_CERTIFICATE_FIND, DB_PARAMS(serial, id), &res, err) != 0)
		return refused(err);
	if (db_rows(res) == 0) {
		(void)err_set(err, ERR_FAILED, "there is no certificate %s", serial != NULL ? serial : id);
		return err_hint(err, "expunge certificate list shows serials and ids; a file of such a name is ./%s",
			serial != NULL ? serial : id);
	}
	return print_note(db_get_text(res, 0, 0), strlen(db_get_text(res, 0, 0)), err);
}

static int
run_show(struct job *job, struct err *err)
{
	const char *what = job->args[0];
	int64_t serial;

	if (parse_int64(what, 1, INT64_MAX, &serial) == 0)
		return show_stored(job, what, NULL, err);
	if (strlen(what) == 32 && strspn(what, "0123456789abcdef") == 32)
		return show_stored(job, NULL, what, err);
	return show_file(what, err);
}

/* ---- verify -------------------------------------------------------------------------------- */

/* The key file: the one given, or else issuer.pem beside the note. The caller frees. */
static char *
key_beside(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? mem_copy("issuer.pem") : mem_printf("%.*s/issuer.pem", (int)(slash - path), path);
}

/* Without --name, the name under which the note says that this very key has signed. */
static int
find_key(struct note_key *ret, const char *pem, const char *name, const char *bytes, size_t n, struct err *err)
{
	CLEANUP(note_release) struct note note = NOTE_INIT;

	if (name != NULL)
		return issuer_public_key(ret, pem, name, err);
	if (note_parse(&note, bytes, n, err) != 0)
		return -1;
	for (size_t i = 0; i < note.n_signatures; i++) {
		if (issuer_public_key(ret, pem, note.signatures[i].name, err) != 0)
			return -1;
		if (memcmp(ret->id, note.signatures[i].id, NOTE_KEY_ID_SIZE) == 0)
			return 0;
		note_key_release(ret);
	}
	return err_set(err, ERR_FAILED, "no signature is by the key of %s", pem);
}

static int
open_note(struct note *ret, const char *path, const char *pem, const char *name, struct err *err)
{
	CLEANUP(note_key_release) struct note_key key = { 0 };
	CLEANUP(free_text) char *bytes = NULL;
	size_t n = 0;

	if (file_read(path, NOTE_SIZE_MAX, &bytes, &n, err) != 0 || find_key(&key, pem, name, bytes, n, err) != 0)
		return -1;
	return note_open(ret, bytes, n, &key, 1, err);
}

/* A key that is not there says nothing of a certificate. */
static int
check_key(const char *pem, struct err *err)
{
	CLEANUP(note_key_release) struct note_key key = { 0 };

	if (issuer_public_key(&key, pem, "key", err) == 0)
		return 0;
	err->code = ERR_USAGE;
	return err_hint(err, "name the issuer's public key with --key: issuer.pem in certificate_directory, or what the issuer has published");
}

enum verified { GOOD, BAD, NOT_VERIFIED };

static enum verified
verify_one(const char *path, const char *pem, const char *name)
{
	CLEANUP(certificate_release) struct certificate c = CERTIFICATE_INIT;
	CLEANUP(note_release) struct note note = NOTE_INIT;
	CLEANUP(free_text) char *beside = pem == NULL ? key_beside(path) : NULL;
	CLEANUP(str_release) struct str shown = STR_INIT;
	struct err err = { 0 };

	str_add_visible(&shown, path);
	if (file_exists(path) && check_key(pem != NULL ? pem : beside, &err) != 0) {
		(void)err_prefix(&err, "%s is not verified: its key", path);
		log_err(&err);
		return NOT_VERIFIED;
	}
	if (open_note(&note, path, pem != NULL ? pem : beside, name, &err) != 0) {
		printf("%s: BAD: %s\n", str_cstr(&shown), err.msg);
		return BAD;
	}
	if (certificate_parse(note.text, note.n, &c, &err) != 0) {
		printf("%s: BAD: the signature is good, but the signed text is not a well-formed certificate: %s\n",
			str_cstr(&shown), err.msg);
		return BAD;
	}
	printf("%s: good (serial %" PRId64 ", %s, %s)\n", str_cstr(&shown), c.serial, certificate_stage_text(c.stage),
		certificate_outcome_text(c.outcome));
	return GOOD;
}

static int
run_verify(struct job *job, struct err *err)
{
	const char *pem = job_option(job, "key");

	if (pem != NULL && check_key(pem, err) != 0)
		return err_prefix(err, "nothing is verified: the key");
	if (pem == NULL)
		log_warning("no --key: each file is held against issuer.pem beside it, which proves only that they belong together");
	for (int i = 0; i < job->n_args; i++) {
		enum verified verified = verify_one(job->args[i], pem, job_option(job, "name"));

		if (verified == BAD)
			job->exit_code = 1;
		else if (verified == NOT_VERIFIED && job->exit_code == 0)
			job->exit_code = 2;
	}
	return 0;
}

/* ---- export -------------------------------------------------------------------------------- */

struct exporting {
	struct export *export;
	const char *directory; /* where certificates are published, with issuer.pem and the sidecars */
	struct note_key key;
	bool has_key;
	bool notes;
	int64_t n, n_bad, n_without_sidecar;
};

/* The issuer's public key goes along; a reader without access to it still gets the notes. */
static int
export_keys(struct exporting *e, const char *name, struct err *err)
{
	CLEANUP(free_text) char *path = file_join(e->directory, "issuer.pem");
	CLEANUP(free_text) char *pem = NULL;
	CLEANUP(str_release) struct str signers = STR_INIT;
	struct err why = { 0 };
	size_t n = 0;

	if (issuer_public_key(&e->key, path, name, &why) != 0) {
		if (access(path, R_OK) == 0) {
			*err = why; /* it is there for us, and something is wrong */
			return -1;
		}
		log_warning("signatures are not verified and the public key is not exported: %s", why.msg);
		return 0;
	}
	e->has_key = true;
	if (!e->notes)
		return 0;
	if (file_read(path, KEY_MAX, &pem, &n, err) != 0 || sshsig_add_allowed_signer(&signers, &e->key, err) != 0 ||
	    export_file(e->export, "issuer.pem", pem, n, err) != 0)
		return -1;
	return export_file(e->export, "allowed_signers", signers.s, signers.len, err);
}

static int
export_one(void *ctx, const struct db_result *row, struct err *err)
{
	CLEANUP(note_release) struct note opened = NOTE_INIT;
	CLEANUP(free_text) char *sidecar = NULL;
	CLEANUP(free_text) char *sshsig = NULL;
	char name[CERTIFICATE_FILE_NAME_SIZE];
	struct exporting *e = ctx;
	const char *id = db_get_text(row, 0, 1), *note = db_get_text(row, 0, 2);
	int64_t serial = db_get_int(row, 0, 0);
	struct err why = { 0 };

	if (e->has_key && note_open(&opened, note, strlen(note), &e->key, 1, &why) != 0) {
		log_error("certificate %" PRId64 " is left out: %s", serial, why.msg);
		e->n_bad++;
		return 0;
	}
	certificate_file_name(serial, id, name);
	sidecar = mem_printf("%s/%s.sig", e->directory, name);
	if (e->notes && file_read(sidecar, KEY_MAX, &sshsig, NULL, err) != 0) {
		if (access(sidecar, R_OK) == 0)
			return -1; /* it is there for us, and something is wrong */
		err_clear(err);
		e->n_without_sidecar++;
	}
	if (export_add(e->export, serial, id, note, strlen(note), sshsig, err) != 0)
		return -1;
	e->n++;
	return 0;
}

static int
run_export(struct job *job, struct err *err)
{
	CLEANUP(export_freep) struct export *export = NULL;
	const char *output = job_option(job, "output"), *format = job_option(job, "format");
	enum export_format parsed;
	struct exporting e = { .directory = config_text(job->config, SET_CERTIFICATE_DIRECTORY) };
	const char *params[3];
	int failed;

	if (output == NULL)
		return err_set(err, ERR_USAGE, "certificate export needs --output");
	if (read_range(job, params, err) != 0 || export_format_parse(&parsed, format == NULL ? "notes" : format, err) != 0 ||
	    export_begin(&export, output, parsed, err) != 0)
		return -1;
	e.export = export;
	e.notes = parsed == EXPORT_NOTES;
	failed = export_keys(&e, config_text(job->config, SET_ISSUER_NAME), err) != 0 ||
		db_each(job->db, QUERY_CERTIFICATE_EXPORT.sql, 3, params, export_one, &e, err) != 0 ||
		export_end(export, err) != 0;
	if (e.has_key)
		note_key_release(&e.key);
	if (failed)
		return refused(err);
	if (e.n_without_sidecar > 0)
		log_warning("%" PRId64 " without a signature for ssh-keygen: none in %s", e.n_without_sidecar, e.directory);
	printf("%" PRId64 " certificates exported to %s\n", e.n, output);
	if (e.n_bad > 0)
		job->exit_code = 3;
	return 0;
}

#define OPTION_TENANT { "tenant", "T", "of this practice only", NULL }
#define OPTION_FROM { "from", "DATE", "issued on this day or later", NULL }
#define OPTION_TO { "to", "DATE", "issued on this day or earlier", NULL }

static const struct option_row list_options[] = { OPTION_TENANT, OPTION_FROM, OPTION_TO, OPTION_JSON, OPTION_END };
static const struct option_row verify_options[] = {
	{ "key", "FILE", "the issuer's public key (PEM); without it, issuer.pem beside each file", NULL },
	{ "name", "NAME", "the key's name; without it, the one that the note gives", NULL },
	OPTION_END
};
static const struct option_row export_options[] = {
	OPTION_FROM,
	OPTION_TO,
	OPTION_TENANT,
	{ "format", "FORMAT", "notes (the default), json or csv", "notes|json|csv" },
	{ "output", "DIR", "the directory to export to; made if absent", NULL },
	{ "o", "DIR", "", NULL },
	OPTION_END
};

const struct command certificate_commands[] = {
	{ "certificate list", "the certificates issued", "", 0, 0, NEEDS_DB, list_options, run_list, NULL },
	{ "certificate show", "print a certificate", "SERIAL|ID|FILE", 1, 1, NEEDS_NOTHING, NULL, run_show,
	  "A file is read without configuration and database. Whether its signature is good, is for\n"
	  "certificate verify to say." },
	{ "certificate verify", "verify certificates: no database, no configuration", "FILE...", 1, -1, NEEDS_NOTHING,
		verify_options, run_verify,
	  "Says \"good\" or why not for each file; exit code 1 if one is bad, 2 if a key is not there. Checks the signature and every rule\n"
	  "between the fields. Take the key by a way that you trust: a key that came with the file proves little." },
	{ "certificate export", "write certificates to a directory", "", 0, 0, NEEDS_DB, export_options, run_export,
	  "Days are those of policy.zone. Signatures are verified on the way; a note that fails is left out and the\n"
	  "exit code is 3. Notes come with issuer.pem, allowed_signers and signatures for ssh-keygen." },
	{ 0 }
};
