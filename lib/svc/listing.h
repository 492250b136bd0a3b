/*
 * listing: what every `list` and `show` prints, as an aligned table for people or as JSON.
 * The only file that speaks jansson.
 */
#ifndef EXPUNGE_SVC_LISTING_H
#define EXPUNGE_SVC_LISTING_H

#include <stdbool.h>
#include <stdio.h>

#include "base/err.h"
#include "svc/db.h"

/* The result's rows under its column names: columns two spaces apart, widths by display width
 * (wcwidth), "-" for NULL; or a JSON array of objects, in which columns named *_count, n_* and
 * those of integer, numeric or boolean type are JSON numbers and booleans, NULL is null. Control
 * and bidirectional characters are shown as \u escapes (in JSON, all that is not ASCII). */
int listing_print(FILE *out, const struct db_result *res, bool json, struct err *err);
/* One row as "name: value" lines, or as one JSON object. */
int listing_print_one(FILE *out, const struct db_result *res, bool json, struct err *err);
/* Comma-separated values (RFC 4180: CRLF, quotes doubled) with a header line. */
int listing_print_csv(FILE *out, const struct db_result *res, struct err *err);

/* A JSON object written member by member, for what does not come from one query. */
struct json;
struct json *json_new_object(void); /* jansson has taken the shorter names */
struct json *json_new_array(void);
struct json *json_of_row(const struct db_result *res, int row); /* an object, as listing_print_one makes it */
void json_set_text(struct json *object, const char *name, const char *text); /* NULL is null */
void json_set_int(struct json *object, const char *name, long long value);
void json_set_bool(struct json *object, const char *name, bool value);
void json_set(struct json *object, const char *name, struct json *member); /* takes member over */
void json_push(struct json *array, struct json *member);                   /* takes member over */
void json_push_text(struct json *array, const char *text);
/* Prints, indented by two, with a final newline, and frees. */
int json_print(FILE *out, struct json *json, struct err *err);
void json_free(struct json *json);

#endif
