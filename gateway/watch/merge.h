/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_WATCH_MERGE_H
#define KIDO_WATCH_MERGE_H

#include "wire/capture.h"

/*
 * Several captures as one, in the order of time: of all the frames that wait, the oldest comes first. Captures that
 * have nothing to give at the moment are passed over.
 *
 * Live captures are read in rounds. To ask an empty one costs a system call, so it is asked once in a round; and what
 * was captured after the round began waits for the next one, because by then an older frame may have come to a capture
 * that was found empty. (The kernel captures a frame that comes in before it begins to send it out.)
 */
struct merge_source {
  struct capture *capture; /* NULL: none at the moment */
  bool has_frame, ended;
  bool empty;  /* it had nothing in this round */
  bool waited; /* its frame was there before this round: whatever its time says, it is due */
  struct captured_frame frame;
};

struct merge {
  struct merge_source *sources;
  size_t count;
  int64_t until; /* when this round began, by the clock of the time stamps; 0: no rounds, all are files */
};

/* A round of live captures begins now. */
void merge_begin(struct merge *merge);
/* Whether a frame waits for the next round. */
bool merge_holds(const struct merge *merge);

/*
 * The next frame and the number of its source. CAPTURE_NOTHING when none has a frame now (or in this round),
 * CAPTURE_END when all ended. CAPTURE_FAILED: source *ret_source failed with *error; it is not asked again until its
 * `ended` is reset. The frame stays valid until the next call.
 */
enum capture_step merge_next(struct merge *merge, size_t *ret_source, struct captured_frame *ret_frame,
                             struct error *error);

#endif
