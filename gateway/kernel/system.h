/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_KERNEL_SYSTEM_H
#define KIDO_KERNEL_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/error.h"

/*
 * The kernel settings that the ruleset relies on, in the network namespace of the caller. Per-interface settings are
 * set for "all", "default" and each interface there is; an interface that comes later takes "default".
 */

/*
 * IPv4 and IPv6 forwarding, on or off. The kernel resets other settings when forwarding changes: they are set again.
 */
int system_set_forwarding(bool on, struct error *error);

/* Whether the kernel forwards, by either version. */
bool system_forwards(void);

/* Whether every version that the kernel has forwards, or none. */
bool system_forwarding_is(bool on);

/* Sets all of them. What a kernel does not have is passed over. The first that cannot be set is in *error, the others
 * are set all the same. */
int system_harden(struct error *error);

/* A setting that is not as it should be. */
struct system_fault {
  const char *path;   /* "net/ipv4/conf/eth0/rp_filter" */
  const char *found;  /* "0"; "" when it cannot be read */
  const char *wanted; /* "1" */
};

struct system_report {
  struct system_fault *faults;
  size_t count;
};

/* Forwarding is no fault in itself: ask system_forwarding_is(). Returns 0 or -ENOMEM. */
int system_check(struct arena *arena, struct system_report *ret_report, struct error *error);

#endif
