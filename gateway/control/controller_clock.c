/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "control/clock.h"
#include "control/controller_parts.h"

/*
 * Theory of operation. Three things can go wrong with time.
 *
 * The clock goes back while kidod is not there (a dead battery, an old snapshot): the last time seen, which is kept on
 * the disk, is later than now. Then nobody knows which flows have ended; whatever depends on time stays closed until
 * the clock has reached the last time seen, or an operator says that the clock is right.
 *
 * Somebody steps the clock while kidod runs: the kernel cancels a timer that was armed for that
 * (TFD_TIMER_CANCEL_ON_SET). Ends in the kernel count down, so they are brought to the new clock at once. A step that
 * was seen and told is believed.
 *
 * The machine sleeps: the same timer is cancelled on resume. Timeouts of the kernel stood still meanwhile, and are
 * brought to the clock too.
 *
 * The interval LOOK_SECONDS keeps the last time seen, and finds what the timer did not tell.
 */
enum { LOOK_SECONDS = 10, KEEP_SECONDS = 60 };

static const uint64_t microseconds = 1000000;

static const char *show(const struct controller *controller, int64_t milliseconds,
                        char text[static INSTANT_TEXT_SIZE]) {
  json_t *json = controller_instant_to_json(controller, (struct instant){milliseconds / 1000});
  const char *shown = json_string_value(json);
  snprintf(text, INSTANT_TEXT_SIZE, "%s", shown ? shown : "?");
  json_decref(json);
  return text;
}

/* ---- the last time seen ---- */

static void keep(struct controller *controller, struct instant seen) {
  struct clock_watch *clock = &controller->clock;
  struct error ignored = {0}; /* a full disk is told elsewhere; the older time is still a bound */
  clock->seen = seen;
  if (clock_save(controller->options->state_directory, seen, &ignored) == 0) {
    clock->kept = seen;
  }
}

void controller_keep_time(struct controller *controller) {
  if (!controller->restrictions.clock_doubtful) {
    keep(controller, controller_now());
  }
}

static void keep_at_interval(struct controller *controller) {
  struct instant now = controller_now();
  controller->clock.seen = now;
  if (now.seconds - controller->clock.kept.seconds >= KEEP_SECONDS || now.seconds < controller->clock.kept.seconds) {
    keep(controller, now);
  }
}

/* ---- doubt ---- */

static void announce_doubt(struct controller *controller) {
  char now[INSTANT_TEXT_SIZE], seen[INSTANT_TEXT_SIZE];
  struct announcement doubt = {
      .kind = "clock-step",
      .severity = EVENT_CRITICAL,
      .reason = "doubtful",
      .advice_in_japanese =
          "1. 時計と時刻同期を確かめて直す。直れば自動で開く。2. 時計が正しいのに閉じたままなら kido cut "
          "--lift clock --why 理由。3. 電池の交換を保守業者に頼む",
      .advice_in_english =
          "1. Check the clock and its synchronisation and set it right: what is closed opens by "
          "itself. 2. If the clock is right and they stay closed: kido cut --lift clock --why TEXT. 3. "
          "Have the battery replaced"};
  controller_announce(
      controller, &doubt,
      "時計が戻っています: いま %s、最後に見た時刻 %s。期限・時間帯・曜日時間のある通信をすべて閉じました",
      "the clock went back: now %s, last seen %s; every flow with an expiry, a window or hours is closed",
      show(controller, controller_now().seconds * 1000, now),
      show(controller, controller->clock.seen.seconds * 1000, seen));
}

/* Quiet: for those who have no log. */
void controller_judge_clock(struct controller *controller) {
  struct instant seen = {0};
  struct error ignored = {0};
  if (clock_load(controller->options->state_directory, &seen, &ignored) == 0) {
    controller->clock.seen = controller->clock.kept = seen;
    controller->restrictions.clock_doubtful = clock_is_doubtful(seen, controller_now());
  } else {
    controller->clock.lost = true;
  }
}

void controller_note_past(struct controller *controller, struct instant past) {
  if (controller->clock.lost && clock_is_doubtful(past, controller_now())) {
    controller->restrictions.clock_doubtful = true;
    keep(controller, past);
    announce_doubt(controller);
  }
}

static void end_doubt(struct controller *controller, const struct person *by, const char *why) {
  char name[PERSON_TEXT_SIZE];
  struct announcement trusted = {.kind = "clock-step", .severity = EVENT_WARNING, .reason = why, .by = by};
  controller->restrictions.clock_doubtful = false;
  controller_announce(controller, &trusted, "時計を信じます (%s)。時間に依る通信を元に戻します",
                      "the clock is believed again (%s); flows that depend on time are as the policy says",
                      by ? person_text(by, name)
                         : language_choose(controller_language(controller), "最後に見た時刻に達した",
                                           "it has reached the last time seen"));
  keep(controller, controller_now());
}

int controller_accept_clock(struct controller *controller, const struct person *by, const char *why,
                            struct error *error) {
  end_doubt(controller, by, why);
  return controller_enforce_orders(controller, error);
}

static void end_doubt_when_due(struct controller *controller) {
  struct error ignored = {0};
  if (controller->restrictions.clock_doubtful && !clock_is_doubtful(controller->clock.seen, controller_now())) {
    end_doubt(controller, NULL, NULL);
    controller_enforce_orders(controller, &ignored);
  }
}

json_t *controller_clock_to_json(const struct controller *controller) {
  bool doubtful = controller->restrictions.clock_doubtful;
  return json_pack("{s:b, s:o, s:o}", "doubtful", doubtful, "now",
                   controller_instant_to_json(controller, controller_now()), "last_seen",
                   doubtful ? controller_instant_to_json(controller, controller->clock.seen) : json_null());
}

/* ---- steps and sleep ---- */

static void announce_change(struct controller *controller, const struct clock_change *change,
                            const struct clock_reading *now) {
  char before[INSTANT_TEXT_SIZE], after[INSTANT_TEXT_SIZE];
  bool back = change->step < 0;
  int64_t size = back ? -change->step : change->step;
  struct announcement step = {.kind = "clock-step",
                              .severity = EVENT_WARNING,
                              .reason = back ? "back" : "forward",
                              .advice_in_japanese = "時刻同期によるものか、誰かが合わせたのかを確かめる",
                              .advice_in_english =
                                  "Find out whether the synchronisation of the clock did that, or somebody set it"};
  controller_announce(controller, &step,
                      "時計が動かされました: %s から %s へ (%lld.%03lld 秒%s)。期限を合わせ直しました",
                      "the clock was set from %s to %s (%lld.%03lld seconds %s); ends are brought to it",
                      show(controller, now->wall - change->step, before), show(controller, now->wall, after),
                      (long long)(size / 1000), (long long)(size % 1000),
                      back ? language_choose(controller_language(controller), "戻った", "back")
                           : language_choose(controller_language(controller), "進んだ", "forward"));
}

static void announce_sleep(struct controller *controller, const struct clock_change *change) {
  struct announcement slept = {.kind = "clock-step", .severity = EVENT_NOTICE, .reason = "suspend"};
  controller_announce(controller, &slept, "本機は %lld 秒止まっていました (サスペンド)。期限を合わせ直しました",
                      "the machine was suspended for %lld seconds; ends are brought to the clock",
                      (long long)(change->slept / 1000));
}

/* was_set: the kernel says so, though it may have been set back since, with ends brought to what it showed between. */
static void look_at_clock(struct controller *controller, bool was_set) {
  struct clock_watch *clock = &controller->clock;
  struct clock_reading now = clock_read();
  struct clock_change change = clock_compare(&clock->reading, &now);
  if (!clock_change_matters(&change)) {
    if (was_set) {
      controller_follow_time(controller);
    }
    return;
  }
  clock->reading = now;
  end_doubt_when_due(controller);
  controller_follow_time(controller); /* before a word of it: what is told is done */
  if (change.slept >= CLOCK_STEP_MILLISECONDS) {
    announce_sleep(controller, &change);
  }
  if (change.step >= CLOCK_STEP_MILLISECONDS || change.step <= -CLOCK_STEP_MILLISECONDS) {
    announce_change(controller, &change, &now);
  }
  controller_keep_time(controller);
}

static void arm(const struct clock_watch *clock) {
  /* So late that it never ends by itself. */
  const struct itimerspec never = {.it_value.tv_sec = INT32_MAX * INT64_C(4)};
  timerfd_settime(clock->timer, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL);
}

static int on_set(sd_event_source *source, int fd, uint32_t events, void *context) {
  (void)source, (void)events;
  struct controller *controller = context;
  uint64_t count;
  if (read(fd, &count, sizeof count) < 0 && errno == EAGAIN) {
    return 0;
  }
  arm(&controller->clock); /* before looking: a step in between is seen by the next look */
  look_at_clock(controller, true);
  return 0;
}

static int on_look(sd_event_source *source, uint64_t time, void *context) {
  struct controller *controller = context;
  look_at_clock(controller, false);
  if (controller->restrictions.clock_doubtful) {
    end_doubt_when_due(controller);
  } else {
    keep_at_interval(controller);
  }
  controller_remind(controller);
  uint64_t pause = controller->restrictions.clock_doubtful ? 1 : LOOK_SECONDS;
  sd_event_source_set_time(source, time + pause * microseconds);
  return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* ---- begin and end ---- */

static int open_timer(struct controller *controller) {
  struct clock_watch *clock = &controller->clock;
  clock->timer = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
  if (clock->timer < 0) {
    return -errno;
  }
  arm(clock);
  return sd_event_add_io(controller->loop, &clock->on_set, clock->timer, EPOLLIN, on_set, controller);
}

int controller_start_clock(struct controller *controller, struct error *error) {
  struct clock_watch *clock = &controller->clock;
  clock->timer = -1;
  clock->reading = clock_read();
  controller_judge_clock(controller);
  if (controller->restrictions.clock_doubtful) {
    announce_doubt(controller);
  } else {
    controller_keep_time(controller);
  }
  int result = open_timer(controller);
  if (result >= 0) {
    result = sd_event_add_time_relative(controller->loop, &clock->looking, CLOCK_MONOTONIC, microseconds, 0, on_look,
                                        controller);
  }
  return result < 0 ? error_set(error, -result, "the clock: %s", strerror(-result)) : 0;
}

void controller_stop_clock(struct controller *controller) {
  struct clock_watch *clock = &controller->clock;
  if (!clock->looking) {
    return;
  }
  controller_keep_time(controller);
  clock->looking = sd_event_source_disable_unref(clock->looking);
  clock->on_set = sd_event_source_disable_unref(clock->on_set);
  if (clock->timer >= 0) {
    close(clock->timer);
  }
}
