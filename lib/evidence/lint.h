/*
 * lint: finds what looks like a person's data in a text that will be signed and kept for ever. Run
 * at plan time on a draft of the certificate, so that a refusal never comes after the removal.
 */
#ifndef EXPUNGE_EVIDENCE_LINT_H
#define EXPUNGE_EVIDENCE_LINT_H

#include <stddef.h>

#include "base/err.h"

/*
 * 0, or -1 naming the line and what kind of thing it holds, never the thing:
 *
 *  - an e-mail address, a UK telephone number, a valid NHS number, a UK postcode, a date written
 *    as birthdays are (12/03/1961, 12 March 1961; not as in RFC 3339);
 *  - one of the subject's own values of 4 and more characters, as whole words, case ignored (values
 *    may be NULL pointers).
 *
 * In a certificate only what is composed is looked at: lines of fixed form (numbers, hashes, times,
 * table names) are left out, and the subject's values are not looked for in the processor's line, which
 * is the same in every certificate. Nor, in any text, in lines "out-of-scope: ..." whose words are the
 * format's (certificate_scope_is_fixed): a patient called Free or Paper must be erasable too.
 */
int lint_text(const char *text, const char *const *values, size_t n_values, struct err *err);

#endif
