/*
 * kcv: the check value of a key. It tells whether a key is the one that is meant, fences the return of a
 * destroyed one, and is the fingerprint on certificates. Nothing about the key can be learned from it.
 */
#ifndef EXPUNGE_KEYS_KCV_H
#define EXPUNGE_KEYS_KCV_H

#include <stdint.h>

#include "base/err.h"

#define KCV_SIZE 16

/* The first 16 bytes of HMAC-SHA-256(HKDF-Expand(key, "expunge/kcv/v1"), "kcv"). */
int kcv_of(const uint8_t key[32], uint8_t ret[KCV_SIZE], struct err *err);

#endif
