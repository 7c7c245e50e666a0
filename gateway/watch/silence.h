/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_WATCH_SILENCE_H
#define KIDO_WATCH_SILENCE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Whether a wire that always carries something has been silent for too long: for twice as long as it ever was since it
 * is watched, at least two seconds. For the first minute, while its habits are not known, only a silence of a whole
 * minute counts.
 */
struct silence {
  int64_t since; /* watched since; 0: not yet */
  int64_t heard; /* the last look at which there was something new */
  int64_t longest;
  uint64_t frames;
};

/* To be called at each look with the number of frames so far. True when it is silent for too long. */
bool silence_look(struct silence *silence, uint64_t frames, int64_t now);
/* Nothing could be heard: that was no silence. */
void silence_forget(struct silence *silence);

#endif
