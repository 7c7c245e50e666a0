/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_BASE_FOREIGN_H
#define KIDO_BASE_FOREIGN_H

#include <sys/types.h>

/*
 * The daemons share a directory, and write in it as different users: what another one put there under a name of ours is
 * not ours.
 */

/* 0 when that owner is we, root, or the user whose directory it is; else -EPERM or another negative errno. */
int foreign_check_owner(int directory, uid_t owner);
/* The same of an open file. */
int foreign_check(int directory, int file);

/* Frees a name: what stands there is renamed to NAME.foreign-NUMBER, for those who want to know whence it came. 0 or a
 * negative errno. */
int foreign_put_aside(int directory, const char *name);

#endif
