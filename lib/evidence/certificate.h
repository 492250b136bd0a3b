/*
 * certificate: the text of an expunge-certificate/v1, from typed fields and back. doc/certificate.md
 * is its specification. Pure: no database, no key, no clock.
 *
 * Text fields belong to the certificate (give it copies); certificate_release() frees them. Enums
 * start at 1, so that a field nobody set is refused and not read as the first choice.
 */
#ifndef EXPUNGE_EVIDENCE_CERTIFICATE_H
#define EXPUNGE_EVIDENCE_CERTIFICATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

#define CERTIFICATE_HEADER "expunge-certificate/v1"
#define CERTIFICATE_TEXT_MAX 1000     /* bytes of a free text */
#define CERTIFICATE_NAME_MAX 400      /* bytes of a name, before escapes */
#define CERTIFICATE_SIZE_MAX 1000000  /* bytes of a certificate */
#define CERTIFICATE_FILE_NAME_SIZE 64 /* "NNNNNNNN-<id>.note" and its NUL, any serial */

enum certificate_kind {
	CERTIFICATE_SUBJECT_ERASURE = 1,
	CERTIFICATE_ACCOUNT_CLOSURE,
	CERTIFICATE_RETENTION_DISPOSAL,
	CERTIFICATE_BACKUP_EXPIRY,
	CERTIFICATE_TEST_SUBJECT
};
enum certificate_stage { CERTIFICATE_INTERIM = 1, CERTIFICATE_FINAL };
enum certificate_outcome { CERTIFICATE_COMPLETED = 1, CERTIFICATE_WITH_EXCLUSIONS };
enum certificate_level {
	CERTIFICATE_LOGICAL = 1,
	CERTIFICATE_VACUUMED,
	CERTIFICATE_KEYS_DESTROYED,
	CERTIFICATE_AGED_OUT
};
/* On whose word it rests that a store's copy has an end. */
enum certificate_basis {
	CERTIFICATE_DECLARED = 1, /* the retention that the operator declares; nobody looked into the store */
	CERTIFICATE_REPORTED,     /* besides, the database server reports how far the store has come */
	CERTIFICATE_STATED        /* a person stated that the store holds no copy any more */
};
/* A check that failed has no certificate. */
enum certificate_check_result { CERTIFICATE_PASS = 1, CERTIFICATE_NOT_RUN };

struct certificate_approver {
	char *role;
	char *key_check; /* 32 hexadecimal digits (issuer_approver_check); NULL: "none" */
};

/* before + arrived = removed + masked + retained + after */
struct certificate_live {
	char *table; /* "schema.table" */
	int64_t before, removed, masked, retained, arrived, after;
	int64_t created; /* made by the removal itself and removed again; in no other count */
};

struct certificate_retained {
	char *class;
	char *basis;
	char *until; /* earliest disposal, YYYY-MM-DD; NULL: "not-set" */
};

struct certificate_keys {
	int64_t destroyed; /* 0: no keys, all the rest empty */
	char **fingerprints; /* 32 hexadecimal digits each */
	size_t n_fingerprints;
	int64_t epoch_before, epoch_after;
	int64_t shares_destroyed, shares;
	char **drivers; /* "file:ext4", "pkcs11": one for each destroyed share */
	size_t n_drivers;
};

struct certificate_store {
	char *name;
	char *until; /* YYYY-MM-DD: the last day of a copy; of one that has aged out, as far as that is known */
	enum certificate_basis basis;
};

/* Copies that the database server showed and nobody had declared, by their kind. */
struct certificate_undeclared {
	char *kind; /* a word */
	int64_t n;
};

struct certificate_tool {
	char *version, *commit; /* of expunge; commit may be "unknown" */
	char *program;          /* "sha256:..." of the binary */
	char *openssl;          /* "3.0.19": certificate_openssl_version() */
	char *config, *map;     /* "sha256:..." of the files */
	int64_t database;       /* system identifier */
};

struct certificate {
	int64_t serial;
	char *id; /* 32 hexadecimal digits */
	enum certificate_kind kind;
	enum certificate_stage stage;
	int64_t interim_serial; /* 0: none */
	enum certificate_outcome outcome;
	char *controller;
	char *processor;
	char *subject_ref; /* "sha256:..." (issuer_subject_ref); NULL for closures and expiries */
	char *ground;
	/* RFC 3339, UTC, whole seconds; NULL where it does not apply */
	char *received, *identified, *due, *decided;
	char *cooling_off_from, *cooling_off_until;
	char *executed;
	char *zone;
	struct certificate_approver *approvers;
	size_t n_approvers;
	char *plan; /* "sha256:..." */
	char *holds_at;
	struct certificate_live *live; /* in ascending byte order of table: certificate_sort() */
	size_t n_live;
	char *as_of, *as_of_lsn;
	struct certificate_retained *retained;
	size_t n_retained;
	struct certificate_keys keys;
	int64_t generations_unreadable;
	struct certificate_store *residuals; /* in an interim one only */
	size_t n_residuals;
	struct certificate_undeclared *undeclared; /* likewise */
	size_t n_undeclared;
	struct certificate_store *aged_out; /* what its interim certificate waited for */
	size_t n_aged_out;
	int64_t told, acknowledged, pending;
	enum certificate_check_result recount, control, closure, negative_drill, positive_drill;
	enum certificate_level level;
	char **out_of_scope;
	size_t n_out_of_scope;
	struct certificate_tool tool;
};

#define CERTIFICATE_INIT { 0 }

/* Frees what it holds; the struct may be used again as CERTIFICATE_INIT. */
void certificate_release(struct certificate *c);

/* Puts the live lines into the order that encode demands. */
void certificate_sort(struct certificate *c);

/* Refuses an ill-formed field or fields that contradict each other, naming the field. */
int certificate_check(const struct certificate *c, struct err *err);

/* Adds the text to an empty *text, or refuses (certificate_check). parse(encode(c)) equals c. */
int certificate_encode(const struct certificate *c, struct str *text, struct err *err);

/* Exactly such a text and not a byte more: encode(parse(text)) equals text. *ret is released by the
 * caller; on failure it is empty and the message names the line. */
int certificate_parse(const char *text, size_t n, struct certificate *ret, struct err *err);

/* "00000412-<id>.note" into name[CERTIFICATE_FILE_NAME_SIZE]. */
void certificate_file_name(int64_t serial, const char *id, char *name);

/* The texts of enums as in the certificate; NULL for a value that is none. */
const char *certificate_kind_text(enum certificate_kind kind);
const char *certificate_stage_text(enum certificate_stage stage);
const char *certificate_outcome_text(enum certificate_outcome outcome);
const char *certificate_level_text(enum certificate_level level);
const char *certificate_check_text(enum certificate_check_result result);
const char *certificate_basis_text(enum certificate_basis basis);

/* "UK-GDPR-17(1)(b)" of a request's ground "17-1-b"; the caller frees. NULL when it is none. */
char *certificate_ground(const char *request_ground);
/* "3.0.19" of "OpenSSL 3.0.19 27 Jan 2026"; the caller frees. */
char *certificate_openssl_version(const char *version);

/* What the live database cannot speak of: the lines of out-of-scope that every certificate has.
 * NULL after the last. */
const char *certificate_standard_scope(size_t i, bool counts_documents);

/* One line more where a token holds a share of the root. */
extern const char certificate_token_scope[];

/* Adds the text of an out-of-scope line: so many rows name the subject in a column's free text, and
 * nothing but that text ties them to the subject. */
void certificate_add_mention(struct str *text, const char *column, int64_t n_rows);
/* Whether a text is one of the standard lines, or a mention: words that are the format's, not a person's. */
bool certificate_scope_is_fixed(const char *text);

/* Adds a name with its escapes (doc/certificate.md, "Names"). */
void certificate_add_name(struct str *text, const char *name);

#endif
