/*
 * sshsig: a second signature of a note's text, by the same Ed25519 key, in OpenSSH's format
 * (PROTOCOL.sshsig), so that `ssh-keygen -Y verify` can check a certificate.
 */
#ifndef EXPUNGE_EVIDENCE_SSHSIG_H
#define EXPUNGE_EVIDENCE_SSHSIG_H

#include <stddef.h>

#include "base/err.h"
#include "base/str.h"
#include "evidence/note.h"
#include "svc/crypt.h"

#define SSHSIG_NAMESPACE "expunge-certificate"

/* Replaces *armored by the armored signature of the text: the content of NOTE.sig. */
int sshsig_sign(struct str *armored, const char *text, size_t n, const struct signer *signer,
	struct err *err);

/* Adds the line of an allowed_signers file that lets the key, under its name, sign certificates. A
 * name that this file would read as a pattern is refused. */
int sshsig_add_allowed_signer(struct str *line, const struct note_key *key, struct err *err);

#endif
