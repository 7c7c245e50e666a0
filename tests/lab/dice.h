/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_TESTS_LAB_DICE_H
#define KIDO_TESTS_LAB_DICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Repeatable randomness: the same seed gives the same run on every machine (splitmix64). */
struct dice {
  uint64_t state;
};

uint64_t dice_throw(struct dice *dice);
unsigned dice_below(struct dice *dice, unsigned limit); /* 0 to limit - 1; 0 when limit is 0 */
bool dice_percent(struct dice *dice, unsigned percent);

/* The seed in the environment variable KIDO_SEED, else one from the clock; the caller prints it. */
uint64_t dice_seed(void);

#endif
