/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The store answers as the lines themselves would. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "events/store.h"

enum { RECORDS = 200, LINE_SIZE = 400, PATH_ROOM = 160 };

static char directory[] = "/tmp/kido-test-store-XXXXXX";
static char lines[RECORDS][LINE_SIZE];
static struct event_store *store;
static struct error error;

static void set_up(void) {
  strcpy(directory, "/tmp/kido-test-store-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(directory));
  ck_assert_msg(event_store_open(directory, "kidod", &store, &error) == 0, "%s", error.message);
}

static void tear_down(void) {
  char pattern[PATH_ROOM];
  glob_t found;
  store = event_store_close(store);
  snprintf(pattern, sizeof pattern, "%s/*", directory);
  if (glob(pattern, 0, NULL, &found) == 0)
    for (size_t i = 0; i < found.gl_pathc; i++)
      unlink(found.gl_pathv[i]);
  globfree(&found);
  rmdir(directory);
}

/* Ten records a second; of each seven the id repeats. */
static void write_lines(void) {
  static const char *const kinds[] = {"crossing", "attempt", "drift", "cut"},
                           *const severities[] = {"critical", "notice", "warning", "info"},
                           *const zones[] = {"\"lgwan\"", "\"internet\"", "null"};
  for (unsigned n = 0; n < RECORDS; n++)
    snprintf(
        lines[n], LINE_SIZE,
        "{\"schema\":\"kido.event/1\",\"id\":\"kidod-1-%u\",\"sequence\":%u,\"time\":\"2026-11-24T10:00:%02u.%u00000"
        "+09:00\",\"kind\":\"%s\",\"severity\":\"%s\",\"zone\":%s,\"other_zone\":%s,\"message\":\"%u\"}",
        n % 7 + 1, n + 1, n / 10, n % 10, kinds[n % 4], severities[n % 4], zones[n % 3], zones[(n + 1) % 3], n);
}

static void add_all(void) {
  write_lines();
  ck_assert_int_eq(event_store_begin(store, &error), 0);
  for (unsigned n = 0; n < RECORDS; n++)
    ck_assert_msg(event_store_add(store, lines[n], strlen(lines[n]), &error) == 0, "%s", error.message);
  ck_assert_int_eq(event_store_commit(store, &error), 0);
}

/* ---- asking ---- */

struct answer {
  uint64_t sequences[RECORDS];
  size_t count;
};

static int take(void *context, uint64_t sequence, int64_t time, const char *line, size_t length) {
  struct answer *answer = context;
  (void)time;
  ck_assert_uint_eq(length, strlen(lines[sequence - 1]));
  ck_assert_mem_eq(line, lines[sequence - 1], length);
  answer->sequences[answer->count++] = sequence;
  return 0;
}

static const char *const CUTS[] = {"cut", NULL}, *const TWO[] = {"drift", "crossing", NULL},
                         *const NONE[] = {"x", NULL};

static const struct event_query QUERIES[] = {
    {.least = EVENT_INFO},
    {.least = EVENT_WARNING},
    {.least = EVENT_CRITICAL},
    {.least = EVENT_INFO, .kinds = CUTS},
    {.least = EVENT_INFO, .kinds = TWO, .zone = "lgwan"},
    {.least = EVENT_INFO, .kinds = NONE},
    {.least = EVENT_INFO, .zone = "internet"},
    {.least = EVENT_INFO, .zone = "nowhere"},
    {.least = EVENT_INFO, .since = (1795482000LL + 5) * 1000000},
    {.least = EVENT_INFO, .until = (1795482000LL + 5) * 1000000},
    {.least = EVENT_INFO, .sequence = 17},
    {.least = EVENT_CRITICAL, .sequence = 18},
    {.least = EVENT_INFO, .last = RECORDS},
    {.least = EVENT_INFO, .kinds = TWO, .last = 5}, /* more than asked for */
    {.least = EVENT_NOTICE, .since = (1795482000LL + 5) * 1000000 + 300000, .until = (1795482000LL + 7) * 1000000},
};

START_TEST(it_answers_as_the_lines_would) {
  struct answer answer = {.count = 0};
  size_t expected = 0;
  add_all();
  ck_assert_msg(event_store_ask(store, &QUERIES[_i], take, &answer, &error) == 0, "%s", error.message);
  for (unsigned n = 0; n < RECORDS; n++) {
    json_t *record = json_loads(lines[n], 0, NULL);
    if (event_query_takes(&QUERIES[_i], record)) {
      ck_assert_uint_lt(expected, answer.count);
      ck_assert_uint_eq(answer.sequences[expected++], n + 1);
    }
    json_decref(record);
  }
  ck_assert_uint_eq(answer.count, expected);
}
END_TEST

START_TEST(of_the_newest_it_gives_so_many_in_their_order) {
  const struct event_query query = {.least = EVENT_INFO, .zone = "lgwan", .last = 5};
  struct answer answer = {.count = 0};
  add_all();
  ck_assert_int_eq(event_store_ask(store, &query, take, &answer, &error), 0);
  ck_assert_uint_eq(answer.count, 5);
  for (size_t i = 1; i < answer.count; i++)
    ck_assert_uint_gt(answer.sequences[i], answer.sequences[i - 1]);
  ck_assert_uint_gt(answer.sequences[0], RECORDS - 10);
}
END_TEST

START_TEST(of_alerts_it_gives_the_last_record_of_each_cause) {
  const struct event_query query = {.least = EVENT_WARNING, .alerts = true};
  struct answer answer = {.count = 0};
  add_all();
  ck_assert_int_eq(event_store_ask(store, &query, take, &answer, &error), 0);
  ck_assert_uint_eq(answer.count, 7);
  for (size_t i = 0; i < answer.count; i++)
    ck_assert_uint_gt(answer.sequences[i], RECORDS - 14);
}
END_TEST

static void add_up(void *context, const char *kind, enum event_severity severity, uint64_t records) {
  (void)severity;
  ck_assert_ptr_nonnull(kind);
  *(uint64_t *)context += records;
}

START_TEST(it_counts_what_it_was_given) {
  uint64_t total = 0, last = 0;
  add_all();
  ck_assert_int_eq(event_store_tally(store, add_up, &total, &error), 0);
  ck_assert_uint_eq(total, RECORDS);
  ck_assert_int_eq(event_store_prune(store, 150, &error), 0);
  total = 0;
  ck_assert_int_eq(event_store_tally(store, add_up, &total, &error), 0);
  ck_assert_uint_eq(total, RECORDS); /* also what was pruned */
  ck_assert_int_eq(event_store_last(store, &last, &error), 0);
  ck_assert_uint_eq(last, RECORDS);
  struct answer answer = {.count = 0};
  ck_assert_int_eq(event_store_ask(store, &QUERIES[0], take, &answer, &error), 0);
  ck_assert_uint_eq(answer.count, RECORDS - 150);
  ck_assert_uint_eq(answer.sequences[0], 151);
}
END_TEST

START_TEST(lines_that_are_no_records_are_passed_over) {
  static const char *const bad[] = {"", "x", "[]", "{}", "{\"sequence\":1}", "{\"sequence\":-1,\"kind\":\"a\"}"};
  uint64_t last = 7;
  ck_assert_int_eq(event_store_begin(store, &error), 0);
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    ck_assert_int_eq(event_store_add(store, bad[i], strlen(bad[i]), &error), 0);
  ck_assert_int_eq(event_store_commit(store, &error), 0);
  ck_assert_int_eq(event_store_last(store, &last, &error), 0);
  ck_assert_uint_eq(last, 0);
}
END_TEST

START_TEST(what_was_not_committed_is_not_there) {
  uint64_t last = 7;
  write_lines();
  ck_assert_int_eq(event_store_begin(store, &error), 0);
  ck_assert_int_eq(event_store_add(store, lines[0], strlen(lines[0]), &error), 0);
  event_store_close(store);
  ck_assert_int_eq(event_store_open(directory, "kidod", &store, &error), 0);
  ck_assert_int_eq(event_store_last(store, &last, &error), 0);
  ck_assert_uint_eq(last, 0);
}
END_TEST

START_TEST(others_read_while_it_is_written) {
  struct event_store *reader = NULL;
  struct answer answer = {.count = 0};
  add_all();
  ck_assert_int_eq(event_store_begin(store, &error), 0);
  ck_assert_int_eq(event_store_add(store, lines[3], strlen(lines[3]), &error), 0);
  ck_assert_msg(event_store_open_to_read(directory, "kidod", &reader, &error) == 0, "%s", error.message);
  ck_assert_int_eq(event_store_ask(reader, &QUERIES[0], take, &answer, &error), 0);
  ck_assert_uint_eq(answer.count, RECORDS);
  event_store_close(reader);
}
END_TEST

START_TEST(a_store_that_is_not_there_or_none_is_told) {
  struct event_store *reader = NULL;
  char path[PATH_ROOM];
  ck_assert_int_eq(event_store_open_to_read(directory, "kidoban", &reader, &error), -ENOENT);
  snprintf(path, sizeof path, "%s/kidoban-events.db", directory);
  FILE *file = fopen(path, "we");
  for (unsigned i = 0; i < 1000; i++)
    fputs("no database\n", file);
  fclose(file);
  ck_assert_int_eq(event_store_open_to_read(directory, "kidoban", &reader, &error), -EBADMSG);
  ck_assert_int_eq(event_store_open(directory, "kidoban", &reader, &error), 0); /* who writes makes it anew */
  event_store_close(reader);
}
END_TEST

START_TEST(its_group_may_read_beside_the_daemon) {
  char path[PATH_ROOM];
  struct stat status;
  mode_t before = umask(0007);
  event_store_close(store);
  event_store_remove(directory, "kidod");
  ck_assert_int_eq(event_store_open(directory, "kidod", &store, &error), 0);
  add_all();
  umask(before);
  for (size_t i = 0; i < 3; i++) {
    static const char *const ends[] = {"", "-wal", "-shm"};
    snprintf(path, sizeof path, "%s/kidod-events.db%s", directory, ends[i]);
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq(status.st_mode & 0777, 0660);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("store");
  TCase *all = tcase_create("store");
  tcase_add_checked_fixture(all, set_up, tear_down);
  tcase_add_loop_test(all, it_answers_as_the_lines_would, 0, sizeof QUERIES / sizeof QUERIES[0]);
  tcase_add_test(all, of_the_newest_it_gives_so_many_in_their_order);
  tcase_add_test(all, of_alerts_it_gives_the_last_record_of_each_cause);
  tcase_add_test(all, it_counts_what_it_was_given);
  tcase_add_test(all, lines_that_are_no_records_are_passed_over);
  tcase_add_test(all, what_was_not_committed_is_not_there);
  tcase_add_test(all, others_read_while_it_is_written);
  tcase_add_test(all, a_store_that_is_not_there_or_none_is_told);
  tcase_add_test(all, its_group_may_read_beside_the_daemon);
  suite_add_tcase(suite, all);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
