/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/contest.h"

static uint64_t last_repair(const struct contest *contest) {
  return contest->repairs[(contest->next + CONTEST_REPAIRS - 1) % CONTEST_REPAIRS];
}

static void forget_when_calm(struct contest *contest, uint64_t now) {
  if (contest->on && now - last_repair(contest) >= CONTEST_CALM_MILLISECONDS) {
    *contest = (struct contest){0};
  }
}

bool contest_note(struct contest *contest, uint64_t now) {
  forget_when_calm(contest, now);
  contest->repairs[contest->next] = now;
  contest->next = (contest->next + 1) % CONTEST_REPAIRS;
  uint64_t oldest = contest->repairs[contest->next];
  bool begins = !contest->on && oldest > 0 && now - oldest <= CONTEST_WITHIN_MILLISECONDS;
  contest->on = contest->on || begins;
  return begins;
}

unsigned contest_wait(struct contest *contest, uint64_t now) {
  forget_when_calm(contest, now);
  return contest->on ? CONTEST_SLOW_MILLISECONDS : CONTEST_QUICK_MILLISECONDS;
}
