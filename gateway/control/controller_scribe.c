/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <time.h>

#include "control/controller_parts.h"

enum { RESTART_SECONDS = 10, LEAST_FILE_SIZE = 64 * 1024, FILES_KEPT = 16 };

static uint64_t monotonic_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec;
}

/* Whole files are pruned, so one of them is a small part of what is kept. */
static void set_file_size(struct controller *controller) {
  uint64_t size = controller->options->scribe->log_bytes / FILES_KEPT;
  size = size < LEAST_FILE_SIZE ? LEAST_FILE_SIZE : size;
  event_log_set_file_size(controller->log, size < EVENT_FILE_SIZE ? size : EVENT_FILE_SIZE);
}

void controller_start_scribe(struct controller *controller) {
  const struct controller_options *options = controller->options;
  struct scribing *scribing = &controller->scribing;
  struct error ignored = {0};
  if (!options->scribe) {
    return;
  }
  set_file_size(controller);
  scribing->started = monotonic_seconds();
  scribe_start(options->state_directory, "kidod", options->scribe, event_log_sequence(controller->log),
               &scribing->scribe, &ignored);
}

static void announce_note(struct controller *controller, const struct scribe_note *note) {
  struct scribe_words words;
  scribe_describe(note, controller_language(controller), &words);
  struct announcement degraded = {.kind = "log-degraded",
                                  .severity = words.severity,
                                  .reason = note->sink,
                                  .advice_in_japanese = words.what_to_do,
                                  .advice_in_english = words.what_to_do};
  controller_announce(controller, &degraded, "%s", "%s", words.message);
}

static void announce_death(struct controller *controller) {
  struct announcement degraded = {.kind = "log-degraded", .severity = EVENT_WARNING, .reason = "scribe"};
  controller_announce(controller, &degraded, "記録を渡すプロセスが終わりました。起動し直します",
                      "the process that hands on events has ended; it is started again");
}

static void lose_scribe(struct controller *controller) {
  struct scribing *scribing = &controller->scribing;
  scribing->on_note = sd_event_source_disable_unref(scribing->on_note);
  scribing->scribe = scribe_stop(scribing->scribe);
}

static int on_note(sd_event_source *source, int descriptor, uint32_t events, void *context) {
  (void)source, (void)descriptor, (void)events;
  struct controller *controller = context;
  struct scribe_note note;
  int result;
  while ((result = scribe_read(controller->scribing.scribe, &note)) > 0) {
    announce_note(controller, &note);
  }
  if (result < 0) {
    lose_scribe(controller);
    announce_death(controller);
  }
  return 0;
}

void controller_hear_scribe(struct controller *controller) {
  struct scribing *scribing = &controller->scribing;
  if (scribing->scribe && sd_event_add_io(controller->loop, &scribing->on_note, scribe_descriptor(scribing->scribe),
                                          EPOLLIN, on_note, controller) >= 0) {
    sd_event_source_set_priority(scribing->on_note, SD_EVENT_PRIORITY_IDLE);
  }
}

void controller_look_after_scribe(struct controller *controller) {
  struct scribing *scribing = &controller->scribing;
  if (!scribing->scribe && monotonic_seconds() >= scribing->started + RESTART_SECONDS) {
    controller_start_scribe(controller);
    controller_hear_scribe(controller);
  }
}

void controller_stop_scribe(struct controller *controller) {
  lose_scribe(controller);
}
