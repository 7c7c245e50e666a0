/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_BASE_IDENTITY_H
#define KIDO_BASE_IDENTITY_H

#include <sys/types.h>

#include "base/error.h"

/*
 * Root becomes another user, for good; whoever is not root stays who he is. groups_of: the name of a user whose further
 * groups it keeps, NULL: none. 0 or a negative errno with *error: then end the process.
 *
 * The one rule for every process of ours that steps down: a user namespace that maps root alone has nobody to step down
 * to (EINVAL), and often lets nobody change groups (EPERM). Then it stays root of that namespace, which is nobody
 * outside of it, and the other limits still hold. Everything else that fails is an error.
 */
int identity_step_down(uid_t user, gid_t group, const char *groups_of, struct error *error);

#endif
