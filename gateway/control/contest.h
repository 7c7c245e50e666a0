/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CONTROL_CONTEST_H
#define KIDO_CONTROL_CONTEST_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Whether somebody fights over the table with us: repairs come thick and fast. Then the next one waits longer, so that
 * two programs that each put back what the other did do not fill the machine with it; but never so long that a change
 * would stand for a second.
 */
enum {
  CONTEST_REPAIRS = 10,               /* so many … */
  CONTEST_WITHIN_MILLISECONDS = 5000, /* … within this are a contest, */
  CONTEST_CALM_MILLISECONDS = 30000,  /* and it is over when none came for so long */
  CONTEST_QUICK_MILLISECONDS = 50,
  CONTEST_SLOW_MILLISECONDS = 250,
};

/* All zero at the beginning. Times are milliseconds of a clock that only goes forward, above 0. */
struct contest {
  uint64_t repairs[CONTEST_REPAIRS]; /* the last ones, a ring */
  unsigned next;
  bool on;
};

/* Notes a repair. True when a contest begins with it. */
bool contest_note(struct contest *contest, uint64_t now);

/* How long to wait between two looks. */
unsigned contest_wait(struct contest *contest, uint64_t now);

#endif
