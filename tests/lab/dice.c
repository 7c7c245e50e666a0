/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dice.h"

#include <stdlib.h>
#include <time.h>

uint64_t dice_throw(struct dice *dice) {
  uint64_t value = dice->state += 0x9e3779b97f4a7c15U;
  value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9U;
  value = (value ^ value >> 27) * 0x94d049bb133111ebU;
  return value ^ value >> 31;
}

unsigned dice_below(struct dice *dice, unsigned limit) {
  return limit > 0 ? (unsigned)(dice_throw(dice) % limit) : 0;
}

bool dice_percent(struct dice *dice, unsigned percent) {
  return dice_below(dice, 100) < percent;
}

uint64_t dice_seed(void) {
  const char *text = getenv("KIDO_SEED");
  if (text != NULL && *text != '\0')
    return strtoull(text, NULL, 0);
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}
