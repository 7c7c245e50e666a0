/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/watch_record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "events/evidence.h"
#include "events/scribe.h"
#include "wire/headers.h"

enum { LEAST_FILE_SIZE = 64 * 1024, FILES_KEPT = 16, UNKEPT_SECONDS = 60 };

struct watch_record {
  const struct watchman_options *options;
  watch_tell *tell;
  void *context;
  struct event_log *log;
  struct scribe *scribe;
  struct arena *arena;
  const struct timezone *tokyo; /* until there is a policy */
  bool waiting;                 /* events that the disk did not take */
  uint64_t unkept;              /* frames that the scribe did not take, not told yet */
  time_t unkept_told;
};

static const struct scribe_settings *settings_of(const struct watch_record *record) {
  return &record->options->settings->scribe;
}

/* ---- opening ---- */

static void complain(const struct watchman_options *options, const char *japanese, const char *english,
                     const struct error *error) {
  fprintf(stderr, "kidoban: %s%s\n", language_choose(options->language, japanese, english), error->message);
}

/* Whole files are pruned, so one of them is a small part of what is kept. */
static void set_file_size(struct watch_record *record) {
  uint64_t size = settings_of(record)->log_bytes / FILES_KEPT;
  size = size < LEAST_FILE_SIZE ? LEAST_FILE_SIZE : size;
  event_log_set_file_size(record->log, size < EVENT_FILE_SIZE ? size : EVENT_FILE_SIZE);
}

static int open_log(struct watch_record *record, struct error *error) {
  const struct watchman_options *options = record->options;
  mkdir(options->state_directory, 0750);
  if (event_log_open(options->state_directory, "kidoban", &record->log, error) < 0) {
    complain(options, "記録を残せません: ", "events are not kept: ", error);
    return event_log_open(NULL, "kidoban", &record->log, error);
  }
  set_file_size(record);
  if (scribe_start(options->state_directory, "kidoban", settings_of(record), event_log_sequence(record->log),
                   &record->scribe, error) < 0)
    complain(options, "記録を他へ渡せません: ", "events are not handed on: ", error);
  return 0;
}

int watch_record_open(const struct watchman_options *options, watch_tell *tell, void *context,
                      struct watch_record **ret_record, struct error *error) {
  struct watch_record *record = calloc(1, sizeof *record);
  if (record == NULL)
    return error_set(error, ENOMEM, "no memory");
  *record = (struct watch_record){.options = options, .tell = tell, .context = context, .arena = arena_new(0)};
  record->tokyo = record->arena != NULL ? timezone_load(record->arena, "Asia/Tokyo") : NULL;
  int result = record->tokyo != NULL ? open_log(record, error) : error_set(error, ENOMEM, "no memory");
  if (result == 0 && options->events != NULL)
    result = event_log_add(record->log, options->events, error);
  if (result < 0) {
    watch_record_close(record);
    return result;
  }
  *ret_record = record;
  return 0;
}

struct watch_record *watch_record_close(struct watch_record *record) {
  if (record == NULL)
    return NULL;
  scribe_stop(record->scribe);
  event_log_close(record->log);
  arena_free(record->arena);
  free(record);
  return NULL;
}

/* ---- events ---- */

/* The watch says by an empty text that it will keep frames; the file is named by the id. */
void watch_record_write(struct watch_record *record, struct event *event, const struct timezone *clock) {
  char name[EVIDENCE_NAME_SIZE];
  if (event->evidence != NULL) {
    event_log_name(record->log, event);
    event->evidence = evidence_name(event->id, name);
  }
  event_log_write(record->log, event, clock);
  event->evidence = NULL;
}

static void say(struct watch_record *record, const struct policy *policy, const struct scribe_words *words,
                const char *reason) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  struct event_time time = {now.tv_sec, (int32_t)(now.tv_nsec / 1000)};
  struct event event = {.time = time,
                        .first_seen = time,
                        .last_seen = time,
                        .count = 1,
                        .kind = "log-degraded",
                        .severity = words->severity,
                        .policy = policy != NULL ? policy->header.number.text : NULL,
                        .protocol = -1,
                        .source_port = -1,
                        .destination_port = -1,
                        .icmp_type = -1,
                        .vlan = -1,
                        .reason = reason,
                        .what_to_do = words->what_to_do,
                        .message = words->message};
  record->tell(record->context, &event, policy != NULL ? policy->header.timezone : record->tokyo);
}

static enum language language_of(const struct watch_record *record, const struct policy *policy) {
  return record->options->language_forced || policy == NULL ? record->options->language : policy->header.language;
}

/* ---- a disk that is full, a sink that fails ---- */

static void look_at_log(struct watch_record *record, const struct policy *policy) {
  bool waiting = !event_log_flush(record->log);
  enum language language = language_of(record, policy);
  struct scribe_words words = {.severity = waiting ? EVENT_CRITICAL : EVENT_WARNING};
  if (waiting == record->waiting)
    return;
  record->waiting = waiting;
  snprintf(words.message, sizeof words.message,
           waiting
               ? language_choose(language, "記録を書き込めません。メモリに保持しています (失われた件数 %" PRIu64 ")",
                                 "events cannot be written; they wait in memory (%" PRIu64 " lost so far)")
               : language_choose(language, "保持していた記録を書き込みました (失われた件数 %" PRIu64 ")",
                                 "the events that waited are written (%" PRIu64 " were lost)"),
           event_log_lost(record->log));
  if (waiting)
    words.what_to_do = language_choose(language, "状態ディレクトリのディスクに空きを作る。監視は続いている",
                                       "Make room on the disk of the state directory. Watching goes on");
  say(record, policy, &words, waiting ? "waiting" : "written-late");
}

static void lose_scribe(struct watch_record *record, const struct policy *policy) {
  struct scribe_words words = {.severity = EVENT_WARNING};
  enum language language = language_of(record, policy);
  record->scribe = scribe_stop(record->scribe);
  snprintf(words.message, sizeof words.message, "%s",
           language_choose(language, "記録を渡すプロセスが終わりました。監視と記録は続いています",
                           "the process that hands on events has ended; watching and recording go on"));
  words.what_to_do =
      language_choose(language, "都合のよいときに kidoban を起動し直す", "Restart kidoban when it suits");
  say(record, policy, &words, "scribe");
}

static void hear_scribe(struct watch_record *record, const struct policy *policy) {
  struct scribe_note note;
  struct scribe_words words;
  int result = 0;
  while (record->scribe != NULL && (result = scribe_read(record->scribe, &note)) > 0) {
    scribe_describe(&note, language_of(record, policy), &words);
    say(record, policy, &words, note.sink);
  }
  if (record->scribe != NULL && result < 0)
    lose_scribe(record, policy);
}

/* Once a minute at most. */
static void look_at_evidence(struct watch_record *record, const struct policy *policy) {
  struct scribe_words words = {.severity = EVENT_WARNING};
  time_t now = time(NULL);
  if (record->unkept == 0 || (now >= record->unkept_told && now - record->unkept_told < UNKEPT_SECONDS))
    return;
  snprintf(words.message, sizeof words.message,
           language_choose(language_of(record, policy), "証拠として残せなかったパケットが %" PRIu64 " 個あります",
                           "%" PRIu64 " frames of findings could not be kept as evidence"),
           record->unkept);
  record->unkept = 0;
  record->unkept_told = now;
  say(record, policy, &words, "evidence");
}

void watch_record_look(struct watch_record *record, const struct policy *policy) {
  look_at_log(record, policy);
  look_at_evidence(record, policy);
  hear_scribe(record, policy);
}

uint64_t watch_record_failures(const struct watch_record *record) {
  return event_log_failures(record->log);
}

/* ---- evidence ---- */

unsigned watch_record_frames(const struct watch_record *record) {
  const struct evidence_settings *evidence = &settings_of(record)->evidence;
  return record->scribe != NULL && evidence->extent != EVIDENCE_NONE ? evidence->frames : 0;
}

void watch_record_keep(struct watch_record *record, const char *id, const char *interface,
                       const struct captured_frame *captured, uint64_t drops) {
  bool headers = settings_of(record)->evidence.extent == EVIDENCE_HEADERS;
  struct evidence_frame frame = {.time = captured->time,
                                 .captured = headers ? frame_headers_size(captured) : captured->captured,
                                 .length = captured->length,
                                 .link_type = (uint32_t)captured->link_type,
                                 .interface_drops = drops};
  if (record->scribe == NULL)
    return;
  snprintf(frame.id, sizeof frame.id, "%s", id);
  snprintf(frame.interface, sizeof frame.interface, "%s", interface);
  record->unkept += !evidence_send(scribe_evidence_descriptor(record->scribe), &frame, captured->data);
}
