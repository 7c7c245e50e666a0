/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "watch/merge.h"

/* Looks one frame ahead. False when the source failed. */
static bool fill(struct merge_source *source, struct error *error) {
  enum capture_step step = capture_next(source->capture, &source->frame, error);
  source->has_frame = step == CAPTURE_FRAME;
  source->ended = step == CAPTURE_END || step == CAPTURE_FAILED;
  return step != CAPTURE_FAILED;
}

enum capture_step merge_next(struct merge *merge, size_t *ret_source, struct captured_frame *ret_frame,
                             struct error *error) {
  struct merge_source *oldest = NULL;
  bool alive = false;
  for (size_t i = 0; i < merge->count; i++) {
    struct merge_source *source = &merge->sources[i];
    if (source->capture == NULL || source->ended)
      continue;
    if (!source->has_frame && !fill(source, error)) {
      *ret_source = i;
      return CAPTURE_FAILED;
    }
    alive = alive || !source->ended;
    if (source->has_frame && (oldest == NULL || source->frame.time < oldest->frame.time))
      oldest = source;
  }
  if (oldest == NULL)
    return alive ? CAPTURE_NOTHING : CAPTURE_END;
  oldest->has_frame = false;
  *ret_source = (size_t)(oldest - merge->sources);
  *ret_frame = oldest->frame;
  return CAPTURE_FRAME;
}
