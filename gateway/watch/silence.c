/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "watch/silence.h"

static const int64_t SECOND = 1000000000;
#define LEARNING (60 * SECOND)
#define LEAST (2 * SECOND)

static int64_t bearable(const struct silence *silence, int64_t now) {
  if (now - silence->since < LEARNING)
    return LEARNING;
  return 2 * silence->longest > LEAST ? 2 * silence->longest : LEAST;
}

bool silence_look(struct silence *silence, uint64_t frames, int64_t now) {
  if (silence->since == 0)
    *silence = (struct silence){.since = now, .heard = now, .longest = silence->longest, .frames = frames};
  int64_t gap = now - silence->heard;
  if (frames == silence->frames)
    return gap >= bearable(silence, now);
  silence->frames = frames;
  silence->heard = now;
  silence->longest = gap > silence->longest ? gap : silence->longest;
  return false;
}

void silence_forget(struct silence *silence) {
  silence->since = 0;
}
