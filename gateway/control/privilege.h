/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CONTROL_PRIVILEGE_H
#define KIDO_CONTROL_PRIVILEGE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

/* The group whose members may speak to kidod, and the user to whom the reader of policies steps down. */
#define PRIVILEGE_GROUP "kido"
#define PRIVILEGE_READER_USER "kido"

/* The user of kidoban, and whom it steps down to where there is none. */
#define PRIVILEGE_WATCHMAN_USER "kidoban"
enum { PRIVILEGE_NOBODY = 65534 };

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

/*
 * The same, but not the watchman: it is in the group in order to follow the policy, reads hostile frames, and must not
 * open the gate when it is taken over. `watchman` is from privilege_find_watchman().
 */
bool privilege_peer_may_command(int socket, uid_t watchman);

/* The user kidoban, else nobody. */
uid_t privilege_find_watchman(void);

/* Gives a path to the group, where there is one; not being allowed to is no error. */
void privilege_share_with_group(const char *path);

#endif
