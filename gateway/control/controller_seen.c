/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>

#include "control/controller_parts.h"
#include "rules/compile.h"

/*
 * Theory of operation. The kernel counts packets for each flow, but not when they came. So the counters are read at an
 * interval, and whenever somebody asks; a counter that moved says that the flow was seen between two looks. What stood
 * there before the first look is of a time that nobody knows.
 */
enum { FIRST_LOOK_SECONDS = 1, LOOK_SECONDS = 60 };

static const uint64_t MICROSECONDS = 1000000;

static int compare_sightings(const void *left, const void *right) {
  uint32_t a = ((const struct flow_sighting *)left)->mark, b = ((const struct flow_sighting *)right)->mark;
  return (a > b) - (a < b);
}

static const struct flow_sighting *find_sighting(const struct controller *controller, uint32_t mark) {
  struct flow_sighting wanted = {.mark = mark};
  return controller->seen_count == 0
             ? NULL
             : bsearch(&wanted, controller->seen, controller->seen_count, sizeof *controller->seen, compare_sightings);
}

struct instant controller_last_seen(const struct controller *controller, uint32_t mark) {
  const struct flow_sighting *sighting = find_sighting(controller, mark);
  return sighting ? sighting->at : INSTANT_NEVER;
}

static struct flow_sighting look_at(const struct controller *controller, uint32_t mark, uint64_t packets) {
  const struct flow_sighting *before = find_sighting(controller, mark);
  struct flow_sighting now = {.mark = mark, .packets = packets, .at = before ? before->at : INSTANT_NEVER};
  if (packets > 0 && (before ? packets != before->packets : controller->seen != NULL)) {
    now.at = controller_now();
  }
  return now;
}

void controller_note_seen(struct controller *controller, const struct policy *policy, const uint32_t *marks,
                          const struct ruleset *held, struct arena *arena) {
  struct flow_sighting *seen = calloc(policy->flow_count + 1, sizeof *seen);
  if (!seen) {
    return;
  }
  for (size_t i = 0; i < policy->flow_count; i++) {
    const struct element *element = controller_find_flow(policy, &policy->flows[i], marks[i], held, arena);
    seen[i] = look_at(controller, marks[i], element ? element->packets : 0);
  }
  qsort(seen, policy->flow_count, sizeof *seen, compare_sightings);
  free(controller->seen);
  controller->seen = seen;
  controller->seen_count = policy->flow_count;
}

static void look(struct controller *controller) {
  struct arena *arena = arena_new(0);
  struct ruleset *held = NULL;
  struct error error = {0};
  uint32_t *marks;
  const struct policy *policy = controller->in_force->policy;
  if (arena && gate_read(controller->gate, controller_now(), arena, &held, &error) == 0 &&
      flow_marks(policy, arena, &marks) == 0) {
    controller_note_seen(controller, policy, marks, held, arena);
  }
  arena_free(arena);
}

static int on_look(sd_event_source *source, uint64_t time, void *context) {
  (void)time;
  struct controller *controller = context;
  if (controller->in_force && controller_is_decided(controller)) {
    look(controller);
  }
  sd_event_source_set_time_relative(source, (controller->seen ? LOOK_SECONDS : FIRST_LOOK_SECONDS) * MICROSECONDS);
  sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
  return 0;
}

void controller_start_looking(struct controller *controller) {
  sd_event_add_time_relative(controller->loop, &controller->looking, CLOCK_MONOTONIC, FIRST_LOOK_SECONDS * MICROSECONDS,
                             0, on_look, controller);
}

void controller_stop_looking(struct controller *controller) {
  controller->looking = sd_event_source_disable_unref(controller->looking);
  free(controller->seen);
  controller->seen = NULL;
  controller->seen_count = 0;
}
