/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "control/controller_parts.h"

enum { MESSAGE_SIZE = 1024 };

static struct event_time time_of_event(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (struct event_time){.seconds = now.tv_sec, .microseconds = (int32_t)(now.tv_nsec / 1000)};
}

static const char *advice(const struct controller *controller, const struct announcement *announcement) {
  return controller_language(controller) == LANGUAGE_JAPANESE ? announcement->advice_in_japanese
                                                              : announcement->advice_in_english;
}

static const char *name_of(const struct person *by, char text[static PERSON_TEXT_SIZE]) {
  return by ? person_text(by, text) : NULL;
}

static void write_event(struct controller *controller, const struct announcement *announcement, const char *message) {
  const struct policy *policy = controller->in_force ? controller->in_force->policy : NULL;
  struct event_time now = time_of_event();
  char by[PERSON_TEXT_SIZE];
  struct event event = {.time = now,
                        .first_seen = now,
                        .last_seen = now,
                        .count = 1,
                        .kind = announcement->kind,
                        .severity = announcement->severity,
                        .policy = policy ? policy->header.number.text : NULL,
                        .zone = announcement->zone,
                        .other_zone = announcement->other_zone,
                        .protocol = -1,
                        .source_port = -1,
                        .destination_port = -1,
                        .icmp_type = -1,
                        .vlan = -1,
                        .flow = announcement->flow,
                        .reason = announcement->reason,
                        .what_to_do = advice(controller, announcement),
                        .message = message,
                        .by = name_of(announcement->by, by),
                        .about = announcement->about};
  struct arena *arena = arena_new(0);
  const struct timezone *rules = policy ? policy->header.timezone : NULL;
  if (!rules && arena) {
    rules = timezone_load(arena, "Asia/Tokyo");
  }
  if (rules) {
    event_log_write(controller->log, &event, rules); /* a failure is counted there and shown by status */
  }
  arena_free(arena);
}

void controller_announce(struct controller *controller, const struct announcement *announcement, const char *japanese,
                         const char *english, ...) {
  char message[MESSAGE_SIZE];
  va_list arguments;
  va_start(arguments, english);
  if (controller_language(controller) == LANGUAGE_JAPANESE) {
    vsnprintf(message, sizeof message, japanese, arguments);
  } else {
    vsnprintf(message, sizeof message, english, arguments);
  }
  va_end(arguments);
  write_event(controller, announcement, message);
  if (controller->options->say) {
    controller->options->say(announcement->severity, announcement->kind, message, controller->options->context);
  }
}
