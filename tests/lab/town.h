/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_TESTS_LAB_TOWN_H
#define KIDO_TESTS_LAB_TOWN_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/instant.h"
#include "policy/policy.h"

/*
 * Texts of policies derived from the sample town, so that the tests hold on any day.
 */
enum town_change {
  TOWN_IN_FORCE = 1 << 0,   /* every date moved so that all flows are in force at `now` */
  TOWN_DUAL_STACK = 1 << 1, /* every network and host has an IPv6 address too */
};

/* Reads the file and derives a text; NULL when it cannot be read or there is no memory. */
char *town_text(const char *path, unsigned changes, struct instant now, struct arena *arena);

/* The IPv6 twin of an IPv4 address: the address in the last 32 bits of TOWN_PREFIX. */
struct address town_twin(const struct address *address);

/* Reads a text as a policy; on an error prints the diagnostics to stderr and returns NULL. */
const struct policy *town_policy(const char *name, const char *text, struct arena *arena);

/* The sample town itself, derived and read. */
const struct policy *town_load(unsigned changes, struct instant now, struct arena *arena);

#endif
