/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_WATCH_MERGE_H
#define KIDO_WATCH_MERGE_H

#include "wire/capture.h"

/*
 * Several captures as one, in the order of time: of all the frames that wait, the oldest comes first. Captures that
 * have nothing to give at the moment are passed over.
 *
 * To ask an empty live capture costs a system call. A frame that came in was captured before the kernel began to send
 * it out, so one that was found empty need not be asked again as long as the frames of the others are older than that.
 */
struct merge_source {
  struct capture *capture; /* NULL: none at the moment */
  bool has_frame, ended;
  bool was_empty;   /* when it was last asked */
  int64_t empty_at; /* a time, by the clock of the time stamps, after which it was found to have nothing; 0: unknown */
  struct captured_frame frame;
};

struct merge {
  struct merge_source *sources;
  size_t count;
};

/* Lets every source be asked once more, whatever time it is: before a round of reading from live captures. */
void merge_look_again(struct merge *merge);

/*
 * The next frame and the number of its source. CAPTURE_NOTHING when none has a frame now, CAPTURE_END when all ended.
 * CAPTURE_FAILED: source *ret_source failed with *error; it is not asked again until its `ended` is reset.
 * The frame stays valid until the next call.
 */
enum capture_step merge_next(struct merge *merge, size_t *ret_source, struct captured_frame *ret_frame,
                             struct error *error);

#endif
