/* root_config: the places of root shares and the anchor, as the configuration names them. */
#ifndef EXPUNGE_KEYS_ROOT_CONFIG_H
#define EXPUNGE_KEYS_ROOT_CONFIG_H

#include "keys/root.h"
#include "svc/config.h"

/* ret->n is 0 when no shares are configured: there is no key tree. Refuses a share's directory that is the same as another
 * directory of the configuration, in it, or around it; one that others may write to; a symbolic link; and an anchor beside
 * shares. All problems at once: `problems` (may be NULL) gets a line each, "file:line: what is wrong". */
int root_config_read(struct root_config *ret, const struct config *config, struct str *problems, struct err *err);
/* Whether a token holds any share. */
bool root_config_names_token(const struct config *config);
void root_config_release(struct root_config *config);

#endif
