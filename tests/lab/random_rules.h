/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_TESTS_LAB_RANDOM_RULES_H
#define KIDO_TESTS_LAB_RANDOM_RULES_H

#include <stdbool.h>

#include "base/arena.h"
#include "dice.h"

/*
 * Random nftables rulesets, as text: tables of several families, chains that call each other, sets and maps of every
 * kind, and in their rules all that the proof follows exactly. Meant for the wires of random_topology().
 */
struct random_rules_options {
  bool connections; /* ct, notrack; without, conntrack stays asleep */
  bool notrack;
  bool odd; /* also what has no place in a policy's rules: raw bytes, shifts, lengths, options */
};

/* In the arena; NULL without memory. nft may refuse one now and then: elements of its sets may overlap. */
char *random_rules_text(struct dice *dice, const struct random_rules_options *options, struct arena *arena);

/* What rules and packets both choose from; each ends in NULL, or 0 behind the first. */
extern const char *const random_rules_ipv4[];
extern const char *const random_rules_ipv6[];
extern const char *const random_rules_interfaces[];
extern const unsigned random_rules_ports[];
size_t random_rules_count(const char *const *texts);

#endif
