/* export_format: one certificate as JSON or as a row of comma-separated values. */
#ifndef EXPUNGE_EVIDENCE_EXPORT_FORMAT_H
#define EXPUNGE_EVIDENCE_EXPORT_FORMAT_H

#include <stdio.h>

#include "base/err.h"
#include "evidence/certificate.h"

#define EXPORT_CSV_HEADER                                                                          \
	"serial,id,kind,stage,interim_serial,outcome,controller,processor,subject_ref,ground,"     \
	"received,identified,due,decided,cooling_off_from,cooling_off_until,executed,zone,plan,"   \
	"rows_before,rows_arrived_later,rows_removed,rows_masked,rows_retained,rows_after,"        \
	"rows_created,as_of,lsn,keys_destroyed,residual_stores,last_residual_until,told,"          \
	"acknowledged,pending,recount,control,closure,negative_drill,positive_drill,level,"        \
	"note_sha256\r\n"

/* An object with every field under its key in the certificate, and the note as `note`. */
int export_json(FILE *out, const struct certificate *c, const char *note, struct err *err);

/* A row under EXPORT_CSV_HEADER. A text that a spreadsheet would take for a formula gets an
 * apostrophe in front. Write errors are left in `out`. */
int export_csv(FILE *out, const struct certificate *c, const char *note, size_t n, struct err *err);

#endif
