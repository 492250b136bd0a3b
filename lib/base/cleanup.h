/*
 * cleanup: variables that release themselves when they leave their scope.
 *
 *     CLEANUP(free_text) char *name = NULL;
 *     CLEANUP(str_release) struct str text = STR_INIT;
 *     return TAKE_PTR(name);           hands it over, the variable becomes NULL
 */
#ifndef EXPUNGE_BASE_CLEANUP_H
#define EXPUNGE_BASE_CLEANUP_H

#include <stdlib.h>

#define CLEANUP(function) __attribute__((cleanup(function)))

#define TAKE_PTR(p)                           \
	({                                    \
		__typeof__(p) taken_ = (p);   \
		(p) = NULL;                   \
		taken_;                       \
	})

static inline void
free_text(char **p)
{
	free(*p);
}

#endif
