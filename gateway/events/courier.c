/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation. Hand on what is there; when all is, wait until the directory of the files changes, the daemon
 * ends, or a second has passed. A sink that fails is left alone for a while, longer each time, and then gets again what
 * comes behind the last record that it surely has: each record arrives at least once, and in order. Who gets one twice
 * knows it by its sequence.
 */
#include "events/courier.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "events/bookmark.h"
#include "events/note.h"

enum {
  LOOK_MILLISECONDS = 1000,
  FIRST_PAUSE = 500,
  LONGEST_PAUSE = 10000,
  LAST_MILLISECONDS = 3000,
  TEXT_MAX = 64 * 1024
};

struct courier {
  const struct courier_job *job;
  const struct sink *sink;
  void *state;
  struct event_reader *reader;
  int changes;        /* inotify; -1: look once a second */
  uint64_t delivered; /* last record that was handed on */
  uint64_t base;      /* where it began */
  uint64_t marked;    /* as it is written down */
  int64_t marked_at;  /* milliseconds */
  uint64_t waited;    /* records since it began to fail */
  uint64_t lost;      /* not told yet */
  bool failing;
  int pause;  /* milliseconds until the next attempt */
  bool ended; /* the daemon */
  int64_t ended_at;
  char *last_text; /* the newest record that was delivered, for the sink's idle() */
  struct event_text last;
};

static int64_t milliseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void courier_note(const struct courier_job *job, const struct sink *sink, enum scribe_state state, uint64_t records,
                  const char *message) {
  note_send(job->notes, sink->name, state, records, message);
}

/* ---- how far it came ---- */

static uint64_t settled(const struct courier *courier) {
  if (courier->sink->settled == NULL)
    return courier->delivered;
  uint64_t sequence = courier->sink->settled(courier->state);
  return sequence > courier->base ? sequence : courier->base; /* the sink knows only what it got since */
}

static void mark(struct courier *courier, bool at_once) {
  uint64_t sequence = settled(courier);
  int64_t now = milliseconds();
  if (courier->sink->begin != NULL || sequence == courier->marked ||
      (!at_once && now - courier->marked_at < LOOK_MILLISECONDS))
    return;
  const struct courier_job *job = courier->job;
  if (bookmark_write(job->state_directory, job->daemon, courier->sink->name, sequence) == 0)
    courier->marked = sequence;
  courier->marked_at = now;
}

static int begin(struct courier *courier, uint64_t *ret_sequence, struct error *error) {
  const struct courier_job *job = courier->job;
  if (courier->sink->begin != NULL)
    return courier->sink->begin(courier->state, ret_sequence, error);
  if (bookmark_read(job->state_directory, job->daemon, courier->sink->name, ret_sequence) == 0)
    return 0;
  *ret_sequence = job->sequence; /* written down at once: a sink that never works waits from here on */
  (void)bookmark_write(job->state_directory, job->daemon, courier->sink->name, *ret_sequence);
  return 0;
}

/* ---- reading ---- */

static void remember(struct courier *courier, const struct event_text *text) {
  if (courier->last_text == NULL || text->length > TEXT_MAX)
    return;
  memcpy(courier->last_text, text->text, text->length);
  courier->last = *text;
  courier->last.text = courier->last_text;
}

/* Begins behind a record; that one is read too, if it is there, for what idle() wants to know of it. */
static int rewind_to(struct courier *courier, uint64_t sequence, struct error *error) {
  const struct courier_job *job = courier->job;
  courier->reader = event_reader_close(courier->reader);
  courier->delivered = sequence;
  return event_reader_open(job->state_directory, job->daemon, sequence > 0 ? sequence - 1 : 0, &courier->reader, error);
}

/* Records that were removed before the sink got them. */
static void count_pruned(struct courier *courier, uint64_t sequence) {
  struct checkpoint checkpoint;
  int directory = sequence > courier->delivered + 1 ? event_directory_open(courier->job->state_directory) : -1;
  if (directory < 0)
    return;
  if (checkpoint_read(directory, courier->job->daemon, &checkpoint, NULL) == 0 &&
      checkpoint.sequence > courier->delivered && checkpoint.sequence < sequence && courier->delivered > 0)
    courier->lost += checkpoint.sequence - courier->delivered;
  close(directory);
}

static int hand_on(struct courier *courier, const struct event_text *text, struct error *error) {
  int result = courier->sink->deliver(courier->state, text, error);
  if (result < 0)
    return result;
  count_pruned(courier, text->sequence);
  courier->lost += result == SINK_TOO_OLD;
  courier->delivered = text->sequence;
  courier->waited += courier->failing;
  remember(courier, text);
  mark(courier, false);
  return 0;
}

/* All that is there. Returns 0 when nothing is left. */
static int hand_on_all(struct courier *courier, struct error *error) {
  struct event_text text;
  int result;
  while ((result = event_reader_next(courier->reader, &text)) > 0) {
    if (text.sequence > courier->delivered)
      result = hand_on(courier, &text, error);
    else if (text.sequence == courier->delivered && text.sequence > 0)
      remember(courier, &text);
    if (result < 0)
      return result;
    if (courier->ended && milliseconds() - courier->ended_at > LAST_MILLISECONDS)
      return 0;
  }
  if (result < 0)
    return error_set(error, -result, "the events cannot be read: %s", strerror(-result));
  return courier->sink->idle != NULL ? courier->sink->idle(courier->state, &courier->last, error) : 0;
}

/* ---- failing ---- */

static void say_lost(struct courier *courier) {
  if (courier->lost > 0)
    courier_note(courier->job, courier->sink, SCRIBE_LOST, courier->lost, "");
  courier->lost = 0;
}

static void say_works(struct courier *courier) {
  if (courier->failing)
    courier_note(courier->job, courier->sink, SCRIBE_WORKS, courier->waited, "");
  courier->failing = false;
  courier->waited = 0;
  courier->pause = 0;
}

static void say_fails(struct courier *courier, const struct error *error) {
  if (!courier->failing)
    courier_note(courier->job, courier->sink, SCRIBE_FAILS, 0, error->message);
  courier->failing = true;
  courier->pause = courier->pause == 0                  ? FIRST_PAUSE
                   : courier->pause * 2 < LONGEST_PAUSE ? courier->pause * 2
                                                        : LONGEST_PAUSE;
}

/* ---- waiting ---- */

static void drain(int descriptor) {
  char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
  while (read(descriptor, events, sizeof events) > 0) {
  }
}

static void notice_end(struct courier *courier) {
  if (!courier->ended)
    courier->ended_at = milliseconds();
  courier->ended = true;
}

/* A failing sink is not woken by news: they wait anyway. */
static void wait_for_news(struct courier *courier) {
  short sink_events = 0;
  int sink = courier->sink->descriptor != NULL ? courier->sink->descriptor(courier->state, &sink_events) : -1;
  struct pollfd waits[] = {{.fd = courier->job->notes},
                           {.fd = courier->failing ? -1 : courier->changes, .events = POLLIN},
                           {.fd = sink, .events = sink_events}};
  int timeout = courier->failing ? courier->pause : LOOK_MILLISECONDS;
  if (poll(waits, sizeof waits / sizeof waits[0], timeout) < 0)
    return;
  if ((waits[0].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0)
    notice_end(courier);
  if (courier->changes >= 0)
    drain(courier->changes);
}

static int watch_directory(const char *directory) {
  int changes = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (changes >= 0 && inotify_add_watch(changes, directory, IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0) {
    close(changes);
    return -1;
  }
  return changes;
}

/* ---- the life of a courier ---- */

static int start(struct courier *courier, struct error *error) {
  courier->last_text = malloc(TEXT_MAX);
  courier->state = courier->sink->open(courier->job, error);
  if (courier->last_text == NULL || courier->state == NULL)
    return error_set(error, ENOMEM, "no memory");
  courier->changes = watch_directory(courier->job->state_directory);
  return 0;
}

static void release(struct courier *courier) {
  if (courier->state != NULL && courier->sink->finish != NULL && !courier->failing)
    courier->sink->finish(courier->state);
  mark(courier, true);
  if (courier->state != NULL)
    courier->sink->close(courier->state);
  event_reader_close(courier->reader);
  if (courier->changes >= 0)
    close(courier->changes);
  free(courier->last_text);
}

/* From where it surely came to; a store that cannot say so is a sink that fails. */
static int resume(struct courier *courier, struct error *error) {
  uint64_t sequence = settled(courier);
  int result = 0;
  if (courier->reader == NULL || courier->sink->begin != NULL)
    result = begin(courier, &sequence, error);
  if (result < 0)
    return result;
  if (courier->reader == NULL || courier->sink->begin != NULL)
    courier->base = courier->marked = sequence;
  return rewind_to(courier, sequence, error);
}

/* Returns false when it is done. */
static bool work(struct courier *courier) {
  struct error error = {0};
  int result = courier->reader == NULL || courier->failing ? resume(courier, &error) : 0;
  if (result == 0)
    result = hand_on_all(courier, &error);
  say_lost(courier);
  if (result < 0)
    say_fails(courier, &error);
  else
    say_works(courier);
  if (courier->ended)
    return false;
  mark(courier, false);
  wait_for_news(courier);
  return true;
}

int courier_run(const struct courier_job *job, const struct sink *sink) {
  struct courier courier = {.job = job, .sink = sink, .changes = -1};
  struct error error = {0};
  int result = start(&courier, &error);
  if (result < 0)
    say_fails(&courier, &error);
  while (result == 0 && work(&courier)) {
  }
  release(&courier);
  return result < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
