/*
 * bytes: text forms of binary values (RFC 4648 base16 and base64), strict both ways.
 */
#ifndef EXPUNGE_BASE_BYTES_H
#define EXPUNGE_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/* Lower-case hexadecimal of n bytes into text[2n+1]. */
void bytes_to_hex(const uint8_t *bytes, size_t n, char *text);
/* Exactly 2n hexadecimal digits (either case) and nothing else; 0, or -1. */
int bytes_from_hex(const char *text, uint8_t *ret, size_t n);
/* Adds standard base64 with padding (RFC 4648 section 4). */
void bytes_add_base64(struct str *text, const uint8_t *bytes, size_t n);
/* Canonical base64 only (padding required, unused bits zero, no white space); returns the number
 * of bytes written, or -1 when the text is malformed or longer than max bytes. */
long bytes_from_base64(const char *text, size_t len, uint8_t *ret, size_t max);
/* Big-endian integers. */
void bytes_put_u32(uint8_t *p, uint32_t v);
uint32_t bytes_get_u32(const uint8_t *p);
void bytes_put_u64(uint8_t *p, uint64_t v);
uint64_t bytes_get_u64(const uint8_t *p);

#endif
