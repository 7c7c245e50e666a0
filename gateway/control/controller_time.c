/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <time.h>

#include "control/controller_parts.h"

enum { RETRY_SECONDS = 2 };

static const uint64_t microseconds = 1000000;

struct instant controller_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (struct instant){now.tv_sec};
}

static void announce_change(const struct flow *flow, enum force_state before, enum force_state after, void *context) {
  static const struct {
    const char *kind, *japanese, *english;
  } changes[] = {
      [FORCE_YES] = {"window-opened", "時間枠が始まりました", "its window has begun"},
      [FORCE_EXPIRED] = {"flow-expired", "期限が切れました", "it has expired"},
      [FORCE_OUTSIDE_WINDOW] = {"window-closed", "時間枠が終わりました", "its window has ended"},
  };
  (void)before;
  struct announcement announcement = {.kind = changes[after].kind, .severity = EVENT_NOTICE, .flow = flow->name};
  struct controller *controller = context;
  const char *what = language_choose(controller_language(controller), changes[after].japanese, changes[after].english);
  controller_announce(controller, &announcement, "%s: %s", "%s: %s", flow->name, what);
}

void controller_follow_time(struct controller *controller) {
  if (!controller->in_force || controller_trial_end_if_due(controller)) {
    return;
  }
  controller_forget_past_orders(controller);
  controller_refresh(controller);
  generation_update_forces(controller->in_force, &controller->restrictions, controller_now(), announce_change,
                           controller);
  controller_schedule_change(controller);
}

static int on_change(sd_event_source *source, uint64_t time, void *context) {
  (void)source, (void)time;
  controller_follow_time(context);
  return 0;
}

void controller_schedule_change(struct controller *controller) {
  controller->change = sd_event_source_disable_unref(controller->change);
  struct instant next = controller->in_force
                            ? generation_next_change(controller->in_force, &controller->restrictions, controller_now())
                            : INSTANT_NEVER;
  if (next.seconds == INSTANT_NEVER.seconds || next.seconds < 0) {
    return;
  }
  sd_event_add_time(controller->loop, &controller->change, CLOCK_REALTIME, (uint64_t)next.seconds * microseconds,
                    microseconds / 100, on_change, controller);
}

static int on_retry(sd_event_source *source, uint64_t time, void *context) {
  (void)source, (void)time;
  struct controller *controller = context;
  controller->retry = sd_event_source_disable_unref(controller->retry);
  controller_refresh(controller);
  return 0;
}

/* The first time may be a race with an element that ended by itself in the kernel; the second one is told, once. */
static void count_failure(struct controller *controller, const struct error *error) {
  if (++controller->kernel_failures == 2) {
    struct announcement failed = {.kind = "policy-refused",
                                  .severity = EVENT_CRITICAL,
                                  .reason = "kernel",
                                  .advice_in_japanese = "kido apply でルールを入れ直す。直らなければ保守業者に連絡する",
                                  .advice_in_english =
                                      "Load the rules again with kido apply; if that fails, call support"};
    controller_announce(controller, &failed, "カーネルのルールを更新できません: %s",
                        "the rules in the kernel cannot be brought up to date: %s", error->message);
  }
}

int controller_bring(struct controller *controller, struct error *error) {
  struct gate_aim aim = controller_aim(controller);
  struct arena *arena = arena_new(0);
  int result = arena ? gate_bring(controller->gate, &aim, controller_now(), arena, NULL, NULL, error)
                     : error_set(error, ENOMEM, "no memory");
  arena_free(arena);
  if (result == 0) {
    controller->kernel_failures = 0;
    controller->forwarding_stopped = false;
    controller_prove_soon(controller);
    return 0;
  }
  count_failure(controller, error);
  if (!controller->retry) {
    sd_event_add_time_relative(controller->loop, &controller->retry, CLOCK_MONOTONIC, RETRY_SECONDS * microseconds, 0,
                               on_retry, controller);
  }
  return result;
}

void controller_refresh(struct controller *controller) {
  struct error error = {0};
  controller_bring(controller, &error);
}
