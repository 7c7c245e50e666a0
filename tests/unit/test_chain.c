/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "events/bookmark.h"
#include "events/chain.h"
#include "events/files.h"
#include "events/log.h"
#include "events/prune.h"
#include "events/verify.h"

/*
 * A log of RECORDS records over several files, and what is done to it. Each kind of tampering must be seen, at the
 * record where it was done; what the daemon itself does (restarts, changes of files, pruning) must not.
 */
enum { RECORDS = 60, FILE_SIZE = 16 * 1024 };

static struct arena *arena;
static const struct timezone *tokyo;
static char directory[] = "/tmp/kido-test-chain-XXXXXX";
static struct chain_report report;
static struct error error;

static void set_up(void) {
  arena = arena_new(0);
  tokyo = timezone_load(arena, "Asia/Tokyo");
  strcpy(directory, "/tmp/kido-test-chain-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(directory));
}

static void remove_all(const char *pattern) {
  char path[160];
  glob_t found;
  snprintf(path, sizeof path, "%s/%s", directory, pattern);
  if (glob(path, GLOB_PERIOD, NULL, &found) == 0)
    for (size_t i = 0; i < found.gl_pathc; i++)
      unlink(found.gl_pathv[i]);
  globfree(&found);
}

static void tear_down(void) {
  remove_all("*");
  rmdir(directory);
  arena = arena_free(arena);
}

static void write_records(size_t count) {
  struct event_log *log = NULL;
  ck_assert_msg(event_log_open(directory, "kidod", &log, &error) == 0, "%s", error.message);
  event_log_set_file_size(log, FILE_SIZE);
  for (size_t i = 0; i < count; i++) {
    char message[32];
    snprintf(message, sizeof message, "出来事 %zu", i);
    struct event event = {.kind = "drift", .severity = EVENT_WARNING, .time = {1795482000, 7}, .message = message};
    ck_assert_int_eq(event_log_write(log, &event, tokyo), 0);
  }
  event_log_close(log);
}

static enum chain_fault verify_with(const struct chain_anchors *anchors) {
  ck_assert_msg(chain_verify(directory, "kidod", anchors, &report, &error) == 0, "%s", error.message);
  return report.fault;
}

static enum chain_fault verify(void) {
  return verify_with(NULL);
}

/* ---- the files as text ---- */

static size_t list(struct event_file **ret_files) {
  size_t count = 0;
  int descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  ck_assert_int_eq(event_files_list(descriptor, "kidod", ret_files, &count, &error), 0);
  close(descriptor);
  return count;
}

static char *read_text(const char *name) {
  char path[160];
  snprintf(path, sizeof path, "%s/%s", directory, name);
  int file = open(path, O_RDONLY | O_CLOEXEC);
  struct stat status;
  ck_assert_int_eq(fstat(file, &status), 0);
  char *text = calloc(1, (size_t)status.st_size + 1);
  ck_assert_int_eq(read(file, text, (size_t)status.st_size), status.st_size);
  close(file);
  return text;
}

static void write_text(const char *name, const char *text) {
  char path[160];
  snprintf(path, sizeof path, "%s/%s", directory, name);
  FILE *file = fopen(path, "we");
  ck_assert_ptr_nonnull(file);
  fputs(text, file);
  fclose(file);
}

/* The line of a record in a text. */
static char *line_of(char *text, unsigned sequence, size_t *ret_length) {
  char key[40];
  snprintf(key, sizeof key, "\"sequence\":%u,", sequence);
  char *at = strstr(text, key);
  if (at == NULL)
    return NULL;
  while (at > text && at[-1] != '\n')
    at--;
  *ret_length = strcspn(at, "\n") + 1;
  return at;
}

typedef void change_line(char *text, char *line, size_t length);

/* Changes the file in which a record stands. */
static void change(unsigned sequence, change_line *how) {
  struct event_file *files = NULL;
  size_t count = list(&files), length = 0;
  for (size_t i = 0; i < count; i++) {
    char *text = read_text(files[i].name);
    char *line = line_of(text, sequence, &length);
    if (line != NULL) {
      how(text, line, length);
      write_text(files[i].name, text);
    }
    free(text);
  }
  free(files);
}

/* ---- what is done to a record ---- */

static void alter(char *text, char *line, size_t length) {
  (void)text;
  (void)length;
  *strstr(line, "drift") = 'D';
}

static void drop(char *text, char *line, size_t length) {
  (void)text;
  memmove(line, line + length, strlen(line + length) + 1);
}

static void swap_with_next(char *text, char *line, size_t length) {
  (void)text;
  size_t next = strcspn(line + length, "\n") + 1;
  char *copy = strndup(line, length);
  memmove(line, line + length, next);
  memcpy(line + next, copy, length);
  free(copy);
}

static void replace_by_words(char *text, char *line, size_t length) {
  (void)text;
  memset(line, 'x', length - 1);
}

static void strip_hash(char *text, char *line, size_t length) {
  (void)text;
  char *key = strstr(line, ",\"hash\":\"");
  size_t cut = (size_t)(line + length - key) - 2;
  memmove(key, key + cut, strlen(key + cut) + 1);
}

/* As somebody would who knows how: the record and its own hash are right again, the next does not follow it. */
static void alter_and_seal(char *text, char *line, size_t length) {
  alter(text, line, length);
  struct chain_link link;
  chain_check(line, length - 1, &link);
  char sealed[2048], hash[SHA256_TEXT_SIZE];
  size_t body = length - 1 - CHAIN_SEAL_SIZE;
  memcpy(sealed, line, body);
  sealed[body - 1] = '}';
  ck_assert_uint_eq(chain_seal(sealed, body, link.previous, hash), length - 1);
  memcpy(line, sealed, length - 1);
}

static void end_here(char *text, char *line, size_t length) {
  (void)text;
  line[length] = '\0';
}

static const struct tampering {
  const char *what;
  change_line *how;
  unsigned record;
  enum chain_fault expected;
  unsigned found_at;
} TAMPERINGS[] = {
    {"a byte of a record", alter, 30, CHAIN_FAULT_ALTERED, 30},
    {"a byte of the first record", alter, 1, CHAIN_FAULT_ALTERED, 1},
    {"a byte of the last record", alter, RECORDS, CHAIN_FAULT_ALTERED, RECORDS},
    {"a record is removed", drop, 30, CHAIN_FAULT_LINK, 31},
    {"the first record is removed", drop, 1, CHAIN_FAULT_BEGINNING, 2},
    {"two records change places", swap_with_next, 30, CHAIN_FAULT_LINK, 31},
    {"a line becomes no record", replace_by_words, 30, CHAIN_FAULT_UNREADABLE, 0},
    {"a record loses its hash", strip_hash, 30, CHAIN_FAULT_UNCHAINED, 30},
    {"a record is altered and sealed anew", alter_and_seal, 30, CHAIN_FAULT_LINK, 31},
};

START_TEST(each_kind_of_tampering_is_seen_where_it_was_done) {
  const struct tampering *tampering = &TAMPERINGS[_i];
  write_records(RECORDS);
  ck_assert_int_eq(verify(), CHAIN_FAULT_NONE);
  change(tampering->record, tampering->how);
  ck_assert_msg(verify() == tampering->expected, "%s: %s at %" PRIu64, tampering->what, chain_fault_name(report.fault),
                report.sequence);
  ck_assert_uint_eq(report.sequence, tampering->found_at);
  ck_assert_uint_gt(report.line, 0);
  ck_assert_ptr_nonnull(strstr(report.file, "kidod-events"));
}
END_TEST

START_TEST(a_log_of_several_files_and_restarts_is_whole) {
  struct event_file *files = NULL;
  for (unsigned i = 0; i < 3; i++)
    write_records(RECORDS);
  ck_assert_uint_gt(list(&files), 3);
  free(files);
  ck_assert_int_eq(verify(), CHAIN_FAULT_NONE);
  ck_assert_uint_eq(report.records, 3 * RECORDS);
  ck_assert_uint_eq(report.first, 1);
  ck_assert_uint_eq(report.last, 3 * RECORDS);
  ck_assert_uint_eq(report.lost, 0);
}
END_TEST

START_TEST(a_whole_file_that_was_removed_is_missed) {
  struct event_file *files = NULL;
  write_records(RECORDS);
  ck_assert_uint_gt(list(&files), 2);
  remove_all(files[1].name);
  ck_assert_int_eq(verify(), CHAIN_FAULT_LINK);
  remove_all(files[0].name);
  ck_assert_int_eq(verify(), CHAIN_FAULT_BEGINNING);
  free(files);
}
END_TEST

START_TEST(a_line_that_was_not_finished_is_told_and_no_tampering) {
  write_records(5);
  char *text = read_text("kidod-events.jsonl");
  size_t length = strlen(text);
  text[length - 1] = '\0';
  write_text("kidod-events.jsonl", text);
  free(text);
  ck_assert_int_eq(verify(), CHAIN_FAULT_NONE);
  ck_assert_uint_eq(report.records, 4);
  ck_assert_uint_gt(report.unfinished, 0);
  write_records(2); /* a daemon that was killed while it wrote, and its successor */
  ck_assert_int_eq(verify(), CHAIN_FAULT_NONE);
  ck_assert_uint_eq(report.last, 6);
  ck_assert_uint_eq(report.unfinished, 0);
}
END_TEST

START_TEST(who_was_killed_between_two_files_goes_on_with_sequence_and_chain) {
  write_records(5);
  char from[160], to[160];
  snprintf(from, sizeof from, "%s/kidod-events.jsonl", directory);
  snprintf(to, sizeof to, "%s/kidod-events.0000000000000001.jsonl", directory);
  ck_assert_int_eq(rename(from, to), 0);
  write_records(1);
  ck_assert_int_eq(verify(), CHAIN_FAULT_NONE);
  ck_assert_uint_eq(report.last, 6);
  ck_assert_uint_eq(report.records, 6);
}
END_TEST

START_TEST(records_from_before_the_chain_are_told_apart) {
  write_text("kidod-events.jsonl",
             "{\"schema\":\"kido.event/1\",\"id\":\"kidod-1-1\",\"sequence\":1,\"kind\":\"a\"}\n"
             "{\"schema\":\"kido.event/1\",\"id\":\"kidod-1-2\",\"sequence\":2,\"kind\":\"b\"}\n");
  ck_assert_int_eq(verify(), CHAIN_FAULT_NONE);
  ck_assert_uint_eq(report.records, 0);
  ck_assert_uint_eq(report.unchained, 2);
  write_records(3);
  ck_assert_int_eq(verify(), CHAIN_FAULT_NONE);
  ck_assert_uint_eq(report.unchained, 2);
  ck_assert_uint_eq(report.records, 3);
  ck_assert_uint_eq(report.first, 3);
}
END_TEST

START_TEST(a_log_that_was_never_written_is_not_whole) {
  ck_assert_int_eq(chain_verify(directory, "kidod", NULL, &report, &error), -ENOENT);
}
END_TEST

/* ---- anchors ---- */

static struct chain_key key(void) {
  struct chain_key loaded;
  int descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  ck_assert_msg(chain_key_load(descriptor, "kidod", &loaded, &error) == 0, "%s", error.message);
  close(descriptor);
  return loaded;
}

static struct chain_anchors *anchors_of(const char *daemon, uint64_t sequence, const char *hash, const char *key_text) {
  char text[512];
  struct chain_anchors *anchors = NULL;
  snprintf(
      text, sizeof text,
      "<134>1 2026-11-24T10:00:00+09:00 gate kidod - heartbeat - {\"schema\":\"kido.heartbeat/1\",\"daemon\":\"%s\","
      "\"sequence\":%" PRIu64 ",\"hash\":\"%s\",\"key\":\"%s\"}\nanother program speaks\n",
      daemon, sequence, hash, key_text);
  write_text("anchors", text);
  char path[160];
  snprintf(path, sizeof path, "%s/anchors", directory);
  ck_assert_msg(chain_anchors_read(path, &anchors, &error) == 0, "%s", error.message);
  return anchors;
}

START_TEST(what_agrees_with_the_anchor_is_whole) {
  write_records(RECORDS);
  verify();
  struct chain_anchors *anchors = anchors_of("kidod", report.last, report.head, key().text);
  write_records(1);
  ck_assert_int_eq(verify_with(anchors), CHAIN_FAULT_NONE);
  ck_assert_uint_eq(report.anchors, 1);
  ck_assert_uint_eq(report.last_anchor, RECORDS);
  chain_anchors_free(anchors);
}
END_TEST

/* The log is written anew from its beginning, with another record: in itself it is whole. */
START_TEST(a_log_that_was_computed_anew_does_not_agree_with_the_anchor) {
  write_records(RECORDS);
  verify();
  struct chain_anchors *anchors = anchors_of("kidod", report.last, report.head, key().text);
  remove_all("kidod-events*");
  write_records(RECORDS + 5);
  change(RECORDS + 5, alter_and_seal);
  ck_assert_int_eq(verify(), CHAIN_FAULT_NONE);
  ck_assert_int_eq(verify_with(anchors), CHAIN_FAULT_ANCHOR);
  ck_assert_uint_eq(report.sequence, RECORDS);
  chain_anchors_free(anchors);
}
END_TEST

START_TEST(a_log_whose_end_was_cut_off_does_not_reach_the_anchor) {
  write_records(RECORDS);
  verify();
  struct chain_anchors *anchors = anchors_of("kidod", report.last, report.head, key().text);
  change(RECORDS - 1, end_here);
  ck_assert_int_eq(verify(), CHAIN_FAULT_NONE);
  ck_assert_int_eq(verify_with(anchors), CHAIN_FAULT_CUT_OFF);
  ck_assert_uint_eq(report.sequence, RECORDS);
  ck_assert_str_eq(report.file, "kidod-events.jsonl");
  remove_all("kidod-events*");
  ck_assert_int_eq(verify_with(anchors), CHAIN_FAULT_CUT_OFF);
  chain_anchors_free(anchors);
}
END_TEST

/* What somebody writes who knows how: records 1 to `last` without one of them, the first `unchained` without a hash. */
static void forge(uint64_t last, uint64_t left_out, uint64_t unchained) {
  char text[4096] = "", previous[SHA256_TEXT_SIZE] = CHAIN_GENESIS, hash[SHA256_TEXT_SIZE];
  size_t at = 0;
  for (uint64_t i = 1; i <= last; i++) {
    if (i == left_out)
      continue;
    int length = snprintf(text + at, sizeof text - at, "{\"schema\":\"kido.event/1\",\"sequence\":%" PRIu64 "}", i);
    size_t size = (size_t)length;
    if (i > unchained) {
      size = chain_seal(text + at, size, previous, hash);
      memcpy(previous, hash, sizeof previous);
    }
    at += size;
    text[at++] = '\n';
    ck_assert_uint_lt(at, sizeof text - 512);
  }
  text[at] = '\0';
  write_text("kidod-events.jsonl", text);
}

/* Of a log of nine records, the fifth of which was sent. */
static struct chain_anchors *anchor_at_five(void) {
  write_records(5);
  verify();
  struct chain_anchors *anchors = anchors_of("kidod", report.last, report.head, key().text);
  write_records(4);
  ck_assert_int_eq(verify_with(anchors), CHAIN_FAULT_NONE);
  return anchors;
}

static const struct forgery {
  const char *what;
  uint64_t left_out, unchained;
} FORGERIES[] = {
    {"what was sent is left out", 5, 0},
    {"what was sent has no hash", 0, 5},
    {"what was sent is left out among those without a hash", 5, 7},
};

START_TEST(a_record_that_was_sent_and_stands_there_no_more_is_missed) {
  const struct forgery *forgery = &FORGERIES[_i];
  struct chain_anchors *anchors = anchor_at_five();
  forge(8, forgery->left_out, forgery->unchained);
  write_records(1);
  ck_assert_msg(verify() == CHAIN_FAULT_NONE, "%s: not whole in itself", forgery->what);
  ck_assert_msg(verify_with(anchors) == CHAIN_FAULT_ANCHOR, "%s: %s", forgery->what, chain_fault_name(report.fault));
  ck_assert_uint_eq(report.sequence, 5);
  ck_assert_str_eq(report.file, "kidod-events.jsonl");
  chain_anchors_free(anchors);
}
END_TEST

START_TEST(records_that_were_lost_between_those_that_were_sent_are_no_tampering) {
  for (uint64_t sent = 4; sent <= 6; sent += 2) {
    forge(sent, 5, 0);
    verify();
    struct chain_anchors *anchors = anchors_of("kidod", report.last, report.head, key().text);
    forge(8, 5, 0);
    ck_assert_int_eq(verify_with(anchors), CHAIN_FAULT_NONE);
    ck_assert_uint_eq(report.lost, 1);
    ck_assert_uint_eq(report.last_anchor, sent);
    chain_anchors_free(anchors);
  }
}
END_TEST

/* The daemon's files were removed with its key: who else would say that there was a log? */
START_TEST(anchors_of_another_key_speak_of_a_log_that_is_gone) {
  key();
  struct chain_anchors *anchors = anchors_of("kidod", 2, CHAIN_GENESIS, CHAIN_GENESIS);
  ck_assert_int_eq(verify_with(anchors), CHAIN_FAULT_NONE);
  ck_assert_uint_eq(report.foreign, 1);
  ck_assert_uint_eq(report.records, 0);
  chain_anchors_free(anchors);
}
END_TEST

START_TEST(anchors_of_another_key_or_daemon_are_not_compared) {
  write_records(3);
  key();
  struct chain_anchors *anchors = anchors_of("kidod", 2, CHAIN_GENESIS, CHAIN_GENESIS);
  ck_assert_int_eq(verify_with(anchors), CHAIN_FAULT_NONE);
  ck_assert_uint_eq(report.foreign, 1);
  ck_assert_uint_eq(report.anchors, 0);
  chain_anchors_free(anchors);
  anchors = anchors_of("kidoban", 2, CHAIN_GENESIS, key().text);
  ck_assert_int_eq(verify_with(anchors), CHAIN_FAULT_NONE);
  ck_assert_uint_eq(report.anchors + report.foreign, 0);
  chain_anchors_free(anchors);
}
END_TEST

START_TEST(a_file_without_anchors_is_refused) {
  struct chain_anchors *anchors = NULL;
  write_text("anchors", "nothing\n{\"schema\":\"kido.heartbeat/1\",\"daemon\":3}\n");
  char path[160];
  snprintf(path, sizeof path, "%s/anchors", directory);
  ck_assert_int_eq(chain_anchors_read(path, &anchors, &error), -ENODATA);
  ck_assert_int_eq(chain_anchors_read("/nowhere", &anchors, &error), -ENOENT);
}
END_TEST

/* ---- pruning ---- */

static uint64_t prune(uint64_t bytes) {
  struct chain_key own = key();
  struct retention retention = {.bytes = bytes};
  uint64_t removed = 0;
  ck_assert_msg(event_prune(directory, "kidod", &own, &retention, 1795482000, &removed, &error) == 0, "%s",
                error.message);
  return removed;
}

START_TEST(pruning_leaves_a_checkpoint_that_the_rest_follows) {
  write_records(RECORDS);
  uint64_t removed = prune(FILE_SIZE);
  ck_assert_uint_gt(removed, 0);
  ck_assert_int_eq(verify(), CHAIN_FAULT_NONE);
  ck_assert_uint_eq(report.pruned, removed);
  ck_assert_uint_eq(report.first, removed + 1);
  ck_assert_uint_eq(report.records, RECORDS - removed);
  write_records(RECORDS);
  ck_assert_uint_gt(prune(FILE_SIZE), removed);
  ck_assert_int_eq(verify(), CHAIN_FAULT_NONE);
  ck_assert_uint_eq(prune(1024 * FILE_SIZE), 0);
}
END_TEST

START_TEST(anchors_of_what_was_pruned_are_no_tampering_and_those_behind_it_must_be_met) {
  write_records(5);
  verify();
  struct chain_anchors *anchors = anchors_of("kidod", report.last, report.head, key().text);
  write_records(RECORDS);
  ck_assert_uint_gt(prune(FILE_SIZE), 5);
  ck_assert_int_eq(verify_with(anchors), CHAIN_FAULT_NONE);
  ck_assert_uint_eq(report.anchors, 0);
  ck_assert_uint_eq(report.anchors_before, 1);
  forge(8, 5, 0); /* as if pruning had not removed the files yet */
  ck_assert_int_eq(verify(), CHAIN_FAULT_NONE);
  ck_assert_int_eq(verify_with(anchors), CHAIN_FAULT_ANCHOR);
  ck_assert_uint_eq(report.sequence, 5);
  chain_anchors_free(anchors);
}
END_TEST

START_TEST(what_is_old_goes_and_the_newest_file_stays) {
  write_records(RECORDS);
  struct chain_key own = key();
  struct retention retention = {.bytes = UINT64_MAX, .not_before = INT64_MAX};
  uint64_t removed = 0;
  struct event_file *files = NULL;
  ck_assert_int_eq(event_prune(directory, "kidod", &own, &retention, 1795482000, &removed, &error), 0);
  ck_assert_uint_eq(list(&files), 1);
  free(files);
  ck_assert_int_eq(verify(), CHAIN_FAULT_NONE);
}
END_TEST

START_TEST(a_log_that_was_pruned_to_nothing_goes_on_from_its_checkpoint) {
  write_records(RECORDS);
  uint64_t removed = prune(FILE_SIZE);
  remove_all("kidod-events*.jsonl");
  write_records(1);
  ck_assert_int_eq(verify(), CHAIN_FAULT_NONE);
  ck_assert_uint_eq(report.first, removed + 1);
}
END_TEST

START_TEST(removing_files_by_hand_is_no_pruning) {
  struct event_file *files = NULL;
  write_records(2 * RECORDS);
  prune(4 * FILE_SIZE);
  ck_assert_uint_gt(list(&files), 1);
  remove_all(files[0].name);
  free(files);
  ck_assert_int_eq(verify(), CHAIN_FAULT_BEGINNING);
}
END_TEST

START_TEST(a_checkpoint_that_was_altered_or_made_with_another_key_is_refused) {
  write_records(RECORDS);
  prune(FILE_SIZE);
  char *text = read_text("kidod-events.checkpoint"), *time = strstr(text, "\"time\":1795482000");
  char *before = strdup(text);
  time[strlen("\"time\":")] = '2';
  write_text("kidod-events.checkpoint", text);
  ck_assert_int_eq(verify(), CHAIN_FAULT_CHECKPOINT);
  write_text("kidod-events.checkpoint", "no checkpoint");
  ck_assert_int_eq(verify(), CHAIN_FAULT_CHECKPOINT);
  write_text("kidod-events.checkpoint", before);
  ck_assert_int_eq(verify(), CHAIN_FAULT_NONE);
  remove_all("kidod-chain.key");
  key();
  ck_assert_int_eq(verify(), CHAIN_FAULT_CHECKPOINT);
  free(before);
  free(text);
}
END_TEST

/* In a directory in which other users write too. */
/* It would be handed on as the daemon's, and the checkpoint would be signed for what it says. */
START_TEST(a_file_that_another_user_calls_one_of_the_log_is_none) {
  char path[160];
  struct event_file *files = NULL;
  size_t before, after;
  int descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  write_records(RECORDS);
  ck_assert_int_eq(event_files_list(descriptor, "kidod", &files, &before, &error), 0);
  free(files);
  snprintf(path, sizeof path, "%s/kidod-events.0000000000000000.jsonl", directory);
  close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  ck_assert_int_eq(event_files_list(descriptor, "kidod", &files, &after, &error), 0);
  free(files);
  ck_assert_uint_eq(after, before + 1);
  if (geteuid() == 0 && chown(path, 4711, (gid_t)-1) == 0) {
    ck_assert_int_eq(event_files_list(descriptor, "kidod", &files, &after, &error), 0);
    free(files);
    ck_assert_uint_eq(after, before);
    ck_assert_int_eq(verify(), CHAIN_FAULT_NONE);
  }
  close(descriptor);
}
END_TEST

START_TEST(a_key_that_another_user_made_or_waits_for_is_not_ours) {
  enum { STRANGER = 4711, OWNER = 4712 };
  char path[160];
  struct chain_key loaded, read_again;
  struct stat left, made;
  int descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  snprintf(path, sizeof path, "%s/.kidod-chain.key.new", directory);
  int waiting = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  ck_assert_int_eq(fstat(waiting, &left), 0);
  ck_assert_int_eq(chain_key_load(descriptor, "kidod", &loaded, &error), 0);
  snprintf(path, sizeof path, "%s/kidod-chain.key", directory);
  ck_assert_int_eq(stat(path, &made), 0);
  ck_assert_uint_ne(made.st_ino, left.st_ino);
  ck_assert_uint_eq(made.st_mode & 0777, 0600);
  close(waiting);
  if (geteuid() == 0 && chown(path, STRANGER, (gid_t)-1) == 0) {
    ck_assert_int_eq(chain_key_load(descriptor, "kidod", &loaded, &error), 0); /* root: of whom it will be */
    ck_assert_int_eq(chmod(path, 0644) + chown(directory, OWNER, (gid_t)-1) + seteuid(OWNER), 0);
    ck_assert_int_eq(chain_key_load(descriptor, "kidod", &loaded, &error), -EPERM);
    ck_assert_ptr_nonnull(strstr(error.message, "another user"));
    ck_assert_int_eq(chain_key_read(descriptor, "kidod", &read_again, &error), 0);
    ck_assert_str_eq(read_again.text, loaded.text);
    ck_assert_int_eq(seteuid(0), 0);
  }
  close(descriptor);
}
END_TEST

START_TEST(a_bookmark_that_another_user_made_is_not_ours) {
  enum { STRANGER = 4711, OWNER = 4712 };
  char path[160];
  uint64_t sequence = 0;
  ck_assert_int_eq(bookmark_write(directory, "kidod", "syslog", 7), 0);
  ck_assert_int_eq(bookmark_read(directory, "kidod", "syslog", &sequence), 0);
  ck_assert_uint_eq(sequence, 7);
  snprintf(path, sizeof path, "%s/" BOOKMARK_NAME, directory, "kidod", "syslog");
  if (geteuid() != 0 || chown(path, STRANGER, (gid_t)-1) < 0)
    return; /* nobody else here */
  ck_assert_int_eq(chmod(path, 0644) + chown(directory, OWNER, (gid_t)-1) + seteuid(OWNER), 0);
  ck_assert_int_eq(bookmark_read(directory, "kidod", "syslog", &sequence), -EBADMSG);
  ck_assert_int_eq(bookmark_write(directory, "kidod", "syslog", 9), 0);
  ck_assert_int_eq(bookmark_read(directory, "kidod", "syslog", &sequence), 0);
  ck_assert_uint_eq(sequence, 9);
  ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

START_TEST(pruning_that_was_interrupted_is_no_tampering) {
  write_records(RECORDS);
  struct event_file *files = NULL;
  size_t count = list(&files);
  char *texts[16] = {NULL};
  ck_assert_uint_le(count, 16);
  for (size_t i = 0; i < count; i++)
    texts[i] = read_text(files[i].name);
  ck_assert_uint_gt(prune(FILE_SIZE), 0);
  for (size_t i = 0; i < count; i++) { /* the checkpoint is written, the files are still there */
    write_text(files[i].name, texts[i]);
    free(texts[i]);
  }
  free(files);
  ck_assert_int_eq(verify(), CHAIN_FAULT_NONE);
  ck_assert_uint_eq(report.records, RECORDS);
  change(2, alter);
  ck_assert_int_eq(verify(), CHAIN_FAULT_ALTERED);
}
END_TEST

/* ---- reading while it is written ---- */

START_TEST(a_reader_follows_over_changes_of_files) {
  struct event_reader *reader = NULL;
  struct event_text text;
  uint64_t expected = 1;
  ck_assert_int_eq(event_reader_open(directory, "kidod", 0, &reader, &error), 0);
  ck_assert_int_eq(event_reader_next(reader, &text), 0);
  for (unsigned round = 0; round < 4; round++) {
    write_records(RECORDS / 2);
    while (event_reader_next(reader, &text) > 0)
      ck_assert_uint_eq(text.sequence, expected++);
    ck_assert_uint_eq(expected, (round + 1) * (RECORDS / 2) + 1);
  }
  event_reader_close(reader);
}
END_TEST

START_TEST(a_reader_begins_behind_what_it_has) {
  struct event_reader *reader = NULL;
  struct event_text text;
  write_records(RECORDS);
  for (uint64_t after = 1; after <= RECORDS; after += 7) {
    ck_assert_int_eq(event_reader_open(directory, "kidod", after, &reader, &error), 0);
    int got = event_reader_next(reader, &text);
    ck_assert_int_eq(got, after < RECORDS);
    if (got > 0)
      ck_assert_uint_eq(text.sequence, after + 1);
    event_reader_close(reader);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("chain");
  TCase *tests = tcase_create("chain");
  tcase_add_checked_fixture(tests, set_up, tear_down);
  tcase_add_loop_test(tests, each_kind_of_tampering_is_seen_where_it_was_done, 0,
                      sizeof TAMPERINGS / sizeof TAMPERINGS[0]);
  tcase_add_test(tests, a_log_of_several_files_and_restarts_is_whole);
  tcase_add_test(tests, a_whole_file_that_was_removed_is_missed);
  tcase_add_test(tests, a_line_that_was_not_finished_is_told_and_no_tampering);
  tcase_add_test(tests, who_was_killed_between_two_files_goes_on_with_sequence_and_chain);
  tcase_add_test(tests, records_from_before_the_chain_are_told_apart);
  tcase_add_test(tests, a_log_that_was_never_written_is_not_whole);
  tcase_add_test(tests, what_agrees_with_the_anchor_is_whole);
  tcase_add_test(tests, a_log_that_was_computed_anew_does_not_agree_with_the_anchor);
  tcase_add_test(tests, a_log_whose_end_was_cut_off_does_not_reach_the_anchor);
  tcase_add_loop_test(tests, a_record_that_was_sent_and_stands_there_no_more_is_missed, 0,
                      sizeof FORGERIES / sizeof FORGERIES[0]);
  tcase_add_test(tests, records_that_were_lost_between_those_that_were_sent_are_no_tampering);
  tcase_add_test(tests, anchors_of_another_key_speak_of_a_log_that_is_gone);
  tcase_add_test(tests, anchors_of_another_key_or_daemon_are_not_compared);
  tcase_add_test(tests, a_file_without_anchors_is_refused);
  tcase_add_test(tests, pruning_leaves_a_checkpoint_that_the_rest_follows);
  tcase_add_test(tests, anchors_of_what_was_pruned_are_no_tampering_and_those_behind_it_must_be_met);
  tcase_add_test(tests, what_is_old_goes_and_the_newest_file_stays);
  tcase_add_test(tests, a_log_that_was_pruned_to_nothing_goes_on_from_its_checkpoint);
  tcase_add_test(tests, removing_files_by_hand_is_no_pruning);
  tcase_add_test(tests, a_checkpoint_that_was_altered_or_made_with_another_key_is_refused);
  tcase_add_test(tests, a_file_that_another_user_calls_one_of_the_log_is_none);
  tcase_add_test(tests, a_key_that_another_user_made_or_waits_for_is_not_ours);
  tcase_add_test(tests, a_bookmark_that_another_user_made_is_not_ours);
  tcase_add_test(tests, pruning_that_was_interrupted_is_no_tampering);
  tcase_add_test(tests, a_reader_follows_over_changes_of_files);
  tcase_add_test(tests, a_reader_begins_behind_what_it_has);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
