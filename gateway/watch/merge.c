/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "watch/merge.h"

#include <time.h>

void merge_begin(struct merge *merge) {
  struct timespec time;
  clock_gettime(CLOCK_REALTIME, &time);
  merge->until = (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
  for (size_t i = 0; i < merge->count; i++) {
    merge->sources[i].empty = false;
    merge->sources[i].waited = merge->sources[i].has_frame;
  }
}

bool merge_holds(const struct merge *merge) {
  for (size_t i = 0; i < merge->count; i++)
    if (merge->sources[i].has_frame)
      return true;
  return false;
}

/* Looks one frame ahead. False when the source failed. */
static bool fill(struct merge_source *source, struct error *error) {
  enum capture_step step = capture_next(source->capture, &source->frame, error);
  source->has_frame = step == CAPTURE_FRAME;
  source->empty = step == CAPTURE_NOTHING;
  source->ended = step == CAPTURE_END || step == CAPTURE_FAILED;
  source->waited = false;
  return step != CAPTURE_FAILED;
}

static bool is_due(const struct merge *merge, const struct merge_source *source) {
  return source->has_frame && (merge->until == 0 || source->waited || source->frame.time <= merge->until);
}

/* A single file has no others to wait for. */
static enum capture_step next_of_one(struct merge_source *source, struct captured_frame *ret_frame,
                                     struct error *error) {
  enum capture_step step = capture_next(source->capture, ret_frame, error);
  source->ended = step == CAPTURE_END || step == CAPTURE_FAILED;
  return step;
}

static bool is_alone(const struct merge *merge) {
  const struct merge_source *source = &merge->sources[0];
  return merge->count == 1 && merge->until == 0 && source->capture != NULL && !source->ended && !source->has_frame;
}

enum capture_step merge_next(struct merge *merge, size_t *ret_source, struct captured_frame *ret_frame,
                             struct error *error) {
  if (is_alone(merge)) {
    *ret_source = 0;
    return next_of_one(&merge->sources[0], ret_frame, error);
  }
  struct merge_source *oldest = NULL;
  bool alive = false;
  for (size_t i = 0; i < merge->count; i++) {
    struct merge_source *source = &merge->sources[i];
    if (source->capture == NULL || source->ended)
      continue;
    bool ask = !source->has_frame && (merge->until == 0 || !source->empty);
    if (ask && !fill(source, error)) {
      *ret_source = i;
      return CAPTURE_FAILED;
    }
    alive = alive || !source->ended;
    if (is_due(merge, source) && (oldest == NULL || source->frame.time < oldest->frame.time))
      oldest = source;
  }
  if (oldest == NULL)
    return alive ? CAPTURE_NOTHING : CAPTURE_END;
  oldest->has_frame = false;
  *ret_source = (size_t)(oldest - merge->sources);
  *ret_frame = oldest->frame;
  return CAPTURE_FRAME;
}
