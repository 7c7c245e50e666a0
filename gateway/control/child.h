/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CONTROL_CHILD_H
#define KIDO_CONTROL_CHILD_H

#include <signal.h>
#include <stddef.h>

/* In a child that kidod has forked: it dies with kidod, has default signals, and of the descriptors only those that are
 * named and the standard ones. */
void child_detach(const int *kept, size_t count);

/* The status that waitpid() would have given. */
int child_status(const siginfo_t *info);

#endif
