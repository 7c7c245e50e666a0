/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_TESTS_LAB_RANDOM_POLICY_H
#define KIDO_TESTS_LAB_RANDOM_POLICY_H

#include "base/arena.h"
#include "base/instant.h"
#include "dice.h"
#include "duel.h"
#include "random_policy_text.h"

/*
 * Random policies over one fixed set of wires, and random packets at them. The policies read without error; whether the
 * doctrine would let them through is nobody's concern here.
 */

/* The wires and networks that all of them share, as a policy text to build the lab from. */
const char *random_topology(void);

/* Interfaces of the lab that no policy ever gives a zone; NULL-terminated. */
extern const char *const random_spare_interfaces[];

/* About `count` packets: at the edges of what the policy names, and anywhere. */
void random_duels(struct dice *dice, const struct duel_field *field, size_t count, struct duel_list *list);

#endif
