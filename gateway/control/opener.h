/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CONTROL_OPENER_H
#define KIDO_CONTROL_OPENER_H

#include <sys/types.h>

#include "base/error.h"

/*
 * The process that makes packet sockets for another one. It waits on the seccomp listener that opener_give() hands to
 * it, answers socket(AF_PACKET, ...) and nothing else, and ends with the process that it serves.
 */
struct opener {
  pid_t pid;
  int link; /* to the opener; readable when it has ended */
};

/* uid, gid: whom it becomes, where it is root. 0 or a negative errno with *error. */
int opener_start(uid_t uid, gid_t gid, struct opener *ret_opener, struct error *error);
int opener_give(const struct opener *opener, int listener, struct error *error);

#endif
