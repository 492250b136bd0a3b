/*
 * root_file: the driver "file" of a root store: a share's replica is a directory, a record a file of mode 0600 in it.
 * Several shares of it make "split". Destroying is: write random bytes over it, fdatasync, unlink, fsync of the directory.
 */
#ifndef EXPUNGE_KEYS_ROOT_FILE_H
#define EXPUNGE_KEYS_ROOT_FILE_H

#include "keys/root_driver.h"

extern const struct root_driver root_file_driver;

#endif
