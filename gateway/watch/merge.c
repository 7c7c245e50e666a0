/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "watch/merge.h"

#include <time.h>

static int64_t time_of_day(void) {
  struct timespec time;
  clock_gettime(CLOCK_REALTIME, &time);
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* Looks one frame ahead. False when the source failed. Who gave a frame the last time will likely give one again, and
 * is not worth a look at the clock. */
static bool fill(struct merge_source *source, struct error *error) {
  int64_t asked_at = source->was_empty ? time_of_day() : 0;
  enum capture_step step = capture_next(source->capture, &source->frame, error);
  source->has_frame = step == CAPTURE_FRAME;
  source->was_empty = step == CAPTURE_NOTHING;
  source->empty_at = source->was_empty ? asked_at : 0;
  source->ended = step == CAPTURE_END || step == CAPTURE_FAILED;
  return step != CAPTURE_FAILED;
}

void merge_look_again(struct merge *merge) {
  for (size_t i = 0; i < merge->count; i++)
    merge->sources[i].empty_at = 0;
}

static struct merge_source *older(struct merge_source *one, struct merge_source *other) {
  return one == NULL || other->frame.time < one->frame.time ? other : one;
}

static struct merge_source *oldest_of(const struct merge *merge) {
  struct merge_source *oldest = NULL;
  for (size_t i = 0; i < merge->count; i++)
    if (merge->sources[i].has_frame)
      oldest = older(oldest, &merge->sources[i]);
  return oldest;
}

enum capture_step merge_next(struct merge *merge, size_t *ret_source, struct captured_frame *ret_frame,
                             struct error *error) {
  struct merge_source *oldest = oldest_of(merge);
  bool alive = oldest != NULL;
  for (size_t i = 0; i < merge->count; i++) {
    struct merge_source *source = &merge->sources[i];
    if (source->capture == NULL || source->ended || source->has_frame)
      continue;
    if (oldest != NULL && oldest->frame.time <= source->empty_at)
      continue;
    if (!fill(source, error)) {
      *ret_source = i;
      return CAPTURE_FAILED;
    }
    alive = alive || !source->ended;
    if (source->has_frame)
      oldest = older(oldest, source);
  }
  if (oldest == NULL)
    return alive ? CAPTURE_NOTHING : CAPTURE_END;
  oldest->has_frame = false;
  *ret_source = (size_t)(oldest - merge->sources);
  *ret_frame = oldest->frame;
  return CAPTURE_FRAME;
}
