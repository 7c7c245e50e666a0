/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CONTROL_OPENER_H
#define KIDO_CONTROL_OPENER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

/*
 * The process that does for another one what takes a right that the other has given up: it makes packet sockets,
 * waiting on the seccomp listener that opener_give() hands to it; it connects to kidod; and it opens the policy file
 * anew. It ends with the process that it serves.
 */
struct opener {
  pid_t pid;
  int link;       /* to the opener; readable when it has ended, or answers too late */
  uint32_t asked; /* number of the last wish */
};

enum opener_wish { OPENER_KIDOD, OPENER_POLICY, OPENER_WISHES_ };

/* What the wishes stand for: a Unix socket (SOCK_SEQPACKET) to connect to, a file to read; NULL: none. */
struct opener_targets {
  const char *paths[OPENER_WISHES_];
};

/* 0 or a negative errno with *error. */
int opener_start(const struct opener_targets *targets, struct opener *ret_opener, struct error *error);
int opener_give(const struct opener *opener, int listener, struct error *error);
/* A descriptor, or a negative errno; waits a second at most. An answer that comes later is dropped. */
int opener_ask(struct opener *opener, enum opener_wish wish);
/* To be asked when the link is readable; drops late answers. */
bool opener_lives(const struct opener *opener);

#endif
