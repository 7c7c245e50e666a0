/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "events/community.h"
#include "events/log.h"

static struct arena *arena;
static const struct timezone *tokyo;
static char directory[] = "/tmp/kido-test-event-XXXXXX";

static void set_up(void) {
  arena = arena_new(0);
  tokyo = timezone_load(arena, "Asia/Tokyo");
  strcpy(directory, "/tmp/kido-test-event-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(directory));
}

static void log_path(char path[static 128]) {
  snprintf(path, 128, "%s/kidoban-events.jsonl", directory);
}

static void tear_down(void) {
  char path[128];
  log_path(path);
  unlink(path);
  rmdir(directory);
  arena = arena_free(arena);
}

static struct event example(void) {
  struct event event = {.kind = "crossing",
                        .severity = EVENT_CRITICAL,
                        .time = {1795482000, 7},
                        .count = 3,
                        .protocol = 6,
                        .source_port = 50000,
                        .destination_port = 443,
                        .icmp_type = -1,
                        .vlan = -1,
                        .still_going = true,
                        .message = "通り抜けた"};
  address_parse("10.0.0.1", &event.source);
  address_parse("2001:db8::1", &event.destination);
  return event;
}

START_TEST(the_record_has_the_keys_of_the_contract_in_its_order) {
  static const char *const keys[] = {
      "schema",   "id",           "sequence", "time",        "first_seen", "last_seen", "count",      "kind",
      "severity", "policy",       "zone",     "other_zone",  "interface",  "direction", "src",        "dst",
      "protocol", "sport",        "dport",    "icmp_type",   "src_mac",    "dst_mac",   "vlan",       "flow",
      "reason",   "community_id", "bytes",    "still_going", "evidence",   "clause",    "what_to_do", "message"};
  struct event event = example();
  json_t *record = event_to_json(&event, tokyo), *value;
  const char *key;
  size_t count = 0;
  json_object_foreach(record, key, value) {
    ck_assert_uint_lt(count, sizeof keys / sizeof keys[0]);
    ck_assert_str_eq(key, keys[count++]);
  }
  ck_assert_uint_eq(count, sizeof keys / sizeof keys[0]);
  ck_assert_str_eq(json_string_value(json_object_get(record, "time")), "2026-11-24T10:00:00.000007+09:00");
  ck_assert(json_is_null(json_object_get(record, "vlan")));
  ck_assert(json_is_null(json_object_get(record, "src_mac")));
  ck_assert_int_eq(json_integer_value(json_object_get(record, "dport")), 443);
  json_decref(record);
}
END_TEST

START_TEST(what_a_connection_carried_stands_behind_the_keys_of_the_contract) {
  static const char *const keys[] = {"message",          "duration_ms", "packets_sent",
                                     "packets_received", "bytes_sent",  "bytes_received"};
  static const struct event_traffic traffic = {.milliseconds = 1500,
                                               .packets_sent = 2,
                                               .packets_received = 1,
                                               .bytes_sent = 64,
                                               .bytes_received = UINT32_MAX + 1ULL};
  struct event event = example();
  event.traffic = &traffic;
  json_t *record = event_to_json(&event, tokyo);
  void *place = json_object_iter_at(record, "message");
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++, place = json_object_iter_next(record, place)) {
    ck_assert_ptr_nonnull(place);
    ck_assert_str_eq(json_object_iter_key(place), keys[i]);
  }
  ck_assert_ptr_null(place);
  ck_assert_int_eq(json_integer_value(json_object_get(record, "duration_ms")), 1500);
  ck_assert_int_eq(json_integer_value(json_object_get(record, "bytes_received")), 4294967296);
  json_decref(record);
}
END_TEST

START_TEST(a_duration_that_is_not_known_is_null) {
  static const struct event_traffic traffic = {.milliseconds = -1};
  struct event event = example();
  event.traffic = &traffic;
  json_t *record = event_to_json(&event, tokyo);
  ck_assert(json_is_null(json_object_get(record, "duration_ms")));
  json_decref(record);
}
END_TEST

static const struct {
  const char *source, *destination;
  uint8_t protocol;
  bool ports;
  uint16_t source_port, destination_port;
  const char *expected;
} communities[] = {
    /* The vectors of the specification. */
    {"128.232.110.120", "66.35.250.204", 6, true, 34855, 80, "1:LQU9qZlK+B5F3KDmev6m5PMibrg="},
    {"66.35.250.204", "128.232.110.120", 6, true, 80, 34855, "1:LQU9qZlK+B5F3KDmev6m5PMibrg="},
    {"192.168.1.52", "8.8.8.8", 17, true, 54585, 53, "1:d/FP5EW3wiY1vCndhwleRRKHowQ="},
    {"192.168.0.89", "192.168.0.1", 1, true, 8, 0, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="},
    {"192.168.0.1", "192.168.0.89", 1, true, 0, 0, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="},
};

START_TEST(the_community_id_is_that_of_other_sensors) {
  struct address source, destination;
  char text[COMMUNITY_ID_SIZE];
  ck_assert(address_parse(communities[_i].source, &source));
  ck_assert(address_parse(communities[_i].destination, &destination));
  ck_assert_str_eq(community_id(&source, &destination, communities[_i].protocol, communities[_i].ports,
                                communities[_i].source_port, communities[_i].destination_port, text),
                   communities[_i].expected);
}
END_TEST

static uint64_t write_one(struct event *ret_event) {
  struct event_log *log = NULL;
  struct error error = {0};
  ck_assert_msg(event_log_open(directory, "kidoban", &log, &error) == 0, "%s", error.message);
  struct event event = example();
  ck_assert_int_eq(event_log_write(log, &event, tokyo), 0);
  event_log_close(log);
  *ret_event = event;
  return event.sequence;
}

START_TEST(the_sequence_goes_on_over_restarts) {
  struct event event;
  for (uint64_t n = 1; n <= 5; n++)
    ck_assert_uint_eq(write_one(&event), n);
}
END_TEST

static int write_as_owner(void) {
  enum { OWNER = 4712 };
  struct event_log *log = NULL;
  struct error error = {0};
  if (setresuid(OWNER, OWNER, OWNER) < 0)
    return 77;
  int result = event_log_open(directory, "kidod", &log, &error);
  event_log_close(log);
  return result == 0 ? 0 : 1;
}

/* Who writes in the same directory must neither keep the log from being written nor own it. */
START_TEST(a_log_that_another_user_put_there_gives_way) {
  enum { OWNER = 4712, STRANGER = 4711 };
  static const mode_t modes[] = {0600, 0666, 0};
  char path[120];
  struct stat status;
  int code = 0;
  if (geteuid() != 0 || chown(directory, OWNER, (gid_t)-1) < 0)
    return;
  snprintf(path, sizeof path, "%s/kidod-events.jsonl", directory);
  if (modes[_i] == 0)
    ck_assert_int_eq(mkdir(path, 0755), 0);
  else
    close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, modes[_i]));
  ck_assert_int_eq(chown(path, STRANGER, (gid_t)-1), 0);
  pid_t child = fork();
  if (child == 0)
    _exit(write_as_owner());
  ck_assert_int_eq(waitpid(child, &code, 0), child);
  ck_assert(WIFEXITED(code) && (WEXITSTATUS(code) == 0 || WEXITSTATUS(code) == 77));
  ck_assert_int_eq(stat(path, &status), 0);
  ck_assert(WEXITSTATUS(code) == 77 || (status.st_uid == OWNER && S_ISREG(status.st_mode)));
  snprintf(path, sizeof path, "rm -rf %s", directory);
  ck_assert_int_eq(system(path), 0);
}
END_TEST

START_TEST(a_line_that_was_not_finished_is_cut_off) {
  struct event event;
  char path[128];
  log_path(path);
  write_one(&event);
  int descriptor = open(path, O_WRONLY | O_APPEND);
  ck_assert_int_eq(write(descriptor, "{\"schema\":\"kido.ev", 18), 18);
  close(descriptor);
  ck_assert_uint_eq(write_one(&event), 2);
  FILE *file = fopen(path, "r");
  char line[4096];
  int lines = 0;
  while (fgets(line, sizeof line, file) != NULL) {
    json_t *record = json_loads(line, 0, NULL);
    ck_assert_int_eq(json_integer_value(json_object_get(record, "sequence")), ++lines);
    json_decref(record);
  }
  fclose(file);
  ck_assert_int_eq(lines, 2);
}
END_TEST

START_TEST(updates_keep_their_id_and_others_get_their_own) {
  struct event_log *log = NULL;
  struct error error = {0};
  ck_assert_int_eq(event_log_open(NULL, "kidoban", &log, &error), 0);
  struct event first = example(), update, other = example();
  event_log_write(log, &first, tokyo);
  update = first;
  event_log_write(log, &update, tokyo);
  event_log_write(log, &other, tokyo);
  ck_assert_str_eq(first.id, update.id);
  ck_assert_str_ne(first.id, other.id);
  ck_assert_uint_eq(other.sequence, 3);
  event_log_close(log);
}
END_TEST

START_TEST(an_output_that_fails_does_not_stop_the_others) {
  struct event_log *log = NULL;
  struct error error = {0};
  ck_assert_int_eq(event_log_open(directory, "kidoban", &log, &error), 0);
  ck_assert_int_eq(event_log_add(log, "/dev/full", &error), 0);
  struct event event = example();
  ck_assert_int_lt(event_log_write(log, &event, tokyo), 0);
  ck_assert_uint_eq(event_log_failures(log), 1);
  event_log_close(log);
  ck_assert_uint_eq(write_one(&event), 2);
}
END_TEST

static void limit_files_to(rlim_t size) {
  struct rlimit limit;
  signal(SIGXFSZ, SIG_IGN);
  ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
  limit.rlim_cur = size;
  ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Counts the whole lines of the file, which must be numbered from 1 on. */
static int count_lines(void) {
  char path[128], line[4096];
  int lines = 0;
  log_path(path);
  FILE *file = fopen(path, "r");
  ck_assert_ptr_nonnull(file);
  while (fgets(line, sizeof line, file) != NULL) {
    json_t *record = json_loads(line, 0, NULL);
    ck_assert_msg(record != NULL, "line %d is broken: %s", lines + 1, line);
    ck_assert_int_eq(json_integer_value(json_object_get(record, "sequence")), ++lines);
    json_decref(record);
  }
  fclose(file);
  return lines;
}

START_TEST(what_the_disk_does_not_take_is_written_later_in_order_and_whole) {
  struct event_log *log = NULL;
  struct error error = {0};
  ck_assert_int_eq(event_log_open(directory, "kidoban", &log, &error), 0);
  limit_files_to(1700); /* in the middle of a line */
  for (int i = 0; i < 6; i++) {
    struct event event = example();
    (void)event_log_write(log, &event, tokyo);
  }
  ck_assert_uint_gt(event_log_failures(log), 0);
  ck_assert(!event_log_flush(log));
  limit_files_to(RLIM_INFINITY);
  struct event event = example();
  ck_assert_int_eq(event_log_write(log, &event, tokyo), 0);
  ck_assert(event_log_flush(log));
  ck_assert_uint_eq(event_log_lost(log), 0);
  ck_assert_int_eq(count_lines(), 7);
  event_log_close(log);
}
END_TEST

START_TEST(what_waits_is_bounded_and_what_is_lost_is_counted) {
  struct event_log *log = NULL;
  struct error error = {0};
  ck_assert_int_eq(event_log_open(NULL, "kidoban", &log, &error), 0);
  ck_assert_int_eq(event_log_add(log, "/dev/full", &error), 0);
  for (int i = 0; i < 5000; i++) {
    struct event event = example();
    (void)event_log_write(log, &event, tokyo);
  }
  ck_assert_uint_eq(event_log_failures(log), 5000);
  ck_assert_uint_gt(event_log_lost(log), 1000);
  ck_assert_uint_lt(event_log_lost(log), 4500);
  event_log_close(log);
}
END_TEST

START_TEST(text_that_is_not_utf8_leaves_no_hole_in_the_record) {
  struct event event = example();
  event.message = "a \xff\xfe\x80 b \xe9\x96\x80";
  json_t *record = event_to_json(&event, tokyo);
  ck_assert_str_eq(json_string_value(json_object_get(record, "message")),
                   "a \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd b \xe9\x96\x80");
  json_decref(record);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("event");
  TCase *all = tcase_create("all");
  tcase_add_checked_fixture(all, set_up, tear_down);
  tcase_add_test(all, the_record_has_the_keys_of_the_contract_in_its_order);
  tcase_add_test(all, what_a_connection_carried_stands_behind_the_keys_of_the_contract);
  tcase_add_test(all, a_duration_that_is_not_known_is_null);
  tcase_add_loop_test(all, the_community_id_is_that_of_other_sensors, 0, sizeof communities / sizeof communities[0]);
  tcase_add_test(all, the_sequence_goes_on_over_restarts);
  tcase_add_loop_test(all, a_log_that_another_user_put_there_gives_way, 0, 3);
  tcase_add_test(all, a_line_that_was_not_finished_is_cut_off);
  tcase_add_test(all, updates_keep_their_id_and_others_get_their_own);
  tcase_add_test(all, an_output_that_fails_does_not_stop_the_others);
  tcase_add_test(all, what_the_disk_does_not_take_is_written_later_in_order_and_whole);
  tcase_add_test(all, what_waits_is_bounded_and_what_is_lost_is_counted);
  tcase_add_test(all, text_that_is_not_utf8_leaves_no_hole_in_the_record);
  suite_add_tcase(suite, all);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
