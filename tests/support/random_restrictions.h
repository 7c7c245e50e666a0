/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_TESTS_SUPPORT_RANDOM_RESTRICTIONS_H
#define KIDO_TESTS_SUPPORT_RANDOM_RESTRICTIONS_H

#include "policy/restrictions.h"

/* Something that gives numbers from 0 to limit - 1. */
struct chance {
  unsigned (*below)(void *context, unsigned limit);
  void *context;
};

/*
 * Cuts of every kind, closed windows, a doubtful clock and deadlines around `now`, each of them now and then; often
 * none at all. hosts: addresses that are worth cutting. The result lives in the arena.
 */
struct restrictions random_restrictions(const struct chance *chance, const struct policy *policy,
                                        const struct address *hosts, size_t host_count, struct instant now,
                                        struct arena *arena);

/* In words, for a test that failed; lives in the arena. */
const char *restrictions_describe(const struct restrictions *restrictions, const struct policy *policy,
                                  struct arena *arena);

#endif
