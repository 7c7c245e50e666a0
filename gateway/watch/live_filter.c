/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel withholds (watch/prefilter.c says what, and why that is safe), renewed each second and undone with
 * the look at which it no longer stands. A filter that cannot be set or reads back otherwise is told, and the capture
 * is opened anew, which begins without one.
 */
#include "watch/live_parts.h"

static const int64_t SECOND = 1000000000;
#define RENEWAL SECOND
#define CHECKING (SECOND / 2)

/* What it let through since then was not what was asked for. */
static void distrust(struct live *live, size_t at, const char *reason, int64_t since) {
  struct live_wire *wire = &live->wires[at];
  watch_was_blind(live->watch, wire->number, reason, 1, live->wall - (live->now - since), live->wall);
  intervals_add(&wire->intervals, since, live->now);
  live_close_capture(live, at);
  wire->retry_at = 0;
}

static void renew(struct live *live, size_t at) {
  struct filter_tuple tuples[FILTER_TUPLES];
  struct capture *capture = live->sources[at].capture;
  struct error error = {0};
  size_t count = watch_list_withheld(live->watch, live->wires[at].number, tuples, FILTER_TUPLES);
  if ((count > 0 || capture_withheld(capture) > 0) && capture_withhold(capture, tuples, count, &error) < 0)
    distrust(live, at, "filter-refused", live->looked_at);
}

static void check(struct live *live, size_t at) {
  struct error error = {0};
  if (capture_check_filter(live->sources[at].capture, &error) < 0)
    distrust(live, at, "filter-changed", live->checked_at != 0 ? live->checked_at : live->looked_at);
}

static void check_all(struct live *live) {
  for (size_t i = 0; i < live->count; i++)
    if (live->sources[i].capture != NULL)
      check(live, i);
  live->checked_at = live->now;
  live->check_at = live->now + CHECKING;
}

static void withhold_nothing(struct live *live, size_t at) {
  struct capture *capture = live->sources[at].capture;
  struct error error = {0};
  if (capture_withheld(capture) > 0 && capture_withhold(capture, NULL, 0, &error) < 0)
    distrust(live, at, "filter-refused", live->looked_at);
}

void live_withhold_nothing(struct live *live) {
  for (size_t i = 0; i < live->count; i++)
    if (live->sources[i].capture != NULL)
      withhold_nothing(live, i);
}

void live_look_after_filters(struct live *live) {
  if (!watch_withholding_stands(live->watch, live->wall))
    live_withhold_nothing(live);
  if (live->now >= live->check_at)
    check_all(live);
  if (live->settings->without_prefilter || live->now < live->renew_at)
    return;
  live->renew_at = live->now + RENEWAL;
  watch_choose_withheld(live->watch, live->wall);
  for (size_t i = 0; i < live->count; i++)
    if (live->sources[i].capture != NULL)
      renew(live, i);
}
