/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CONTROL_PRIVILEGE_H
#define KIDO_CONTROL_PRIVILEGE_H

#include <stdbool.h>

#include "base/error.h"

/* The group whose members may speak to kidod, and the user to whom the reader of policies steps down. */
#define PRIVILEGE_GROUP "kido"
#define PRIVILEGE_READER_USER "kido"

/*
 * kidod after its start: CAP_NET_ADMIN, and where it runs as root also CAP_SETUID and CAP_SETGID, which the reader
 * needs to step down (to root of the same process they give nothing more). 0, or -EPERM with *error without
 * CAP_NET_ADMIN.
 */
int privilege_keep_network(struct error *error);

/*
 * For a child that reads hostile text: another user (that of kido, else nobody) where we are root, no capability, no
 * new privileges, bounded time and memory, and a seccomp filter that leaves reading files and memory. For good.
 */
int privilege_drop_all(struct error *error);

/* Whether the process behind a Unix socket is root, of our own user, or in the group. */
bool privilege_peer_allowed(int socket);

/* Gives a path to the group, where there is one; not being allowed to is no error. */
void privilege_share_with_group(const char *path);

#endif
