/*
 * signer_file: a signing key of the installation in a file: unencrypted PKCS#8 PEM, mode 0600, made once by `expunge
 * init` and never overwritten, because what a lost key has signed stays valid, and nobody can sign more of it.
 * `what` names the key in messages: "issuer key".
 */
#ifndef EXPUNGE_KEYS_SIGNER_FILE_H
#define EXPUNGE_KEYS_SIGNER_FILE_H

#include "base/err.h"
#include "svc/crypt.h"

/* Makes a key and its file. An existing file is an error and stays as it is. */
int signer_file_create(const char *path, const char *what, struct err *err);
/* Refuses a file that is missing, not ours, or that group or others can read; the hint is the remedy. */
int signer_file_open(struct signer **ret, const char *path, const char *what, struct err *err);

#endif
