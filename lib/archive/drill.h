/*
 * drill: what archives are for, tried: in each destination one of the archives there is opened with nothing but the key
 * journal beside it and the root, down to a row. No database.
 */
#ifndef EXPUNGE_ARCHIVE_DRILL_H
#define EXPUNGE_ARCHIVE_DRILL_H

#include "archive/archive.h"
#include "keys/keys.h"

#define DRILL_CANDIDATES 64

/* Takes one by chance among those whose generation lives. A file that is damaged says nothing of the keys: another one is
 * taken, as long as there is one. opened() (may be NULL) gets what was read. No archive at all is no failure. */
int archive_drill(const struct keys *keys, void (*opened)(const char *path, int64_t created), struct err *err);

#endif
