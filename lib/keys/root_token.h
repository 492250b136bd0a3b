/*
 * root_token: the driver "pkcs11" of a root store: a replica is a directory, as with "file", and a token. A record lies in
 * the directory, sealed under a key that the token made for this root and that cannot leave it. Destroying that key
 * destroys the record and every copy of it.
 *
 * On the token a key named "expunge/INSTANCE/SHARE/mark" does what the marker does in the directory: a token without it is
 * not ours, and not one whose keys were destroyed. A key without a record, or a record without a key, is what a kill left.
 *
 * A PIN that was refused is not tried again by any run, until a person has removed the file ROOT_PIN_REFUSED from the
 * directory: a token locks itself after a few wrong ones.
 */
#ifndef EXPUNGE_KEYS_ROOT_TOKEN_H
#define EXPUNGE_KEYS_ROOT_TOKEN_H

#include "keys/root_driver.h"
#include "svc/token.h"

#define ROOT_PIN_REFUSED "expunge-pin-refused"

struct root_token {
	struct token_place where;
	char *pin_file, *pin_credential; /* one of them */
	bool pin_refused;                /* in this process */
};

extern const struct root_driver root_token_driver;

#endif
