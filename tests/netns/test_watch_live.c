/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kidoban on the wires of the sample town, in front of a gateway that forwards everything: real frames, real captures.
 * Each leak must be told within a second, with the right kind and zones; lawful traffic must give nothing.
 */
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "lab.h"
#include "policy/read.h"
#include "watch/status.h"

#define TOWN KIDO_SOURCE_DIRECTORY "/config/examples/town.conf"

static const int64_t MILLISECOND = 1000000, GENEROUS = 30000 * MILLISECOND; /* for what must come */

static struct arena *arena;
static const struct policy *town;
static struct lab *lab;
static pid_t kidoban;
static char directory[] = "/tmp/kido-test-watch-XXXXXX", events[128];
static FILE *stream;

static int64_t nanoseconds_of(struct timespec time) {
  return (int64_t)time.tv_sec * 1000 * MILLISECOND + time.tv_nsec;
}

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_REALTIME, &time);
  return nanoseconds_of(time);
}

static void rest(int64_t nanoseconds) {
  nanosleep(&(struct timespec){nanoseconds / 1000000000, nanoseconds % 1000000000}, NULL);
}

static void start_kidoban(void) {
  kidoban = fork();
  ck_assert_int_ge(kidoban, 0);
  if (kidoban == 0) {
    execl(KIDO_PROGRAM_DIRECTORY "/kidoban", "kidoban", "--policy", TOWN, "--events", events, "--state-directory",
          directory, "--run-directory", directory, "--buffer", "2", (char *)NULL);
    _exit(127);
  }
  struct watch_status status = {.state = WATCH_BLIND};
  struct error error = {0};
  for (int64_t since = now(); now() - since < GENEROUS && status.state != WATCH_WATCHING;) {
    watch_status_ask(directory, &status, &error);
    rest(50 * MILLISECOND);
  }
  ck_assert_msg(status.state == WATCH_WATCHING, "kidoban does not watch: %s", error.message);
  ck_assert_uint_eq(status.interface_count, lab_interface_count(lab));
}

static void set_up(void) {
  struct diagnostic_list diagnostics;
  struct error error = {0};
  arena = arena_new(0);
  diagnostic_list_init(&diagnostics, arena, LANGUAGE_ENGLISH);
  ck_assert_int_eq(policy_read(TOWN, arena, false, &town, &diagnostics, &error), 0);
  ck_assert_msg(lab_new(town, &(struct lab_options){0}, &lab, &error) == 0, "%s", error.message);
  strcpy(directory, "/tmp/kido-test-watch-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(directory));
  snprintf(events, sizeof events, "%s/out.jsonl", directory);
  fclose(fopen(events, "w"));
  stream = fopen(events, "r");
  start_kidoban();
}

static void stop_kidoban(void) {
  int status = 0;
  kill(kidoban, SIGTERM);
  waitpid(kidoban, &status, 0);
  kidoban = 0;
  ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "kidoban ended with %d", status);
}

static void remove_directory(void) {
  static const char *const names[] = {"out.jsonl", "kidoban-events.jsonl", WATCH_STATUS_SOCKET};
  char path[256];
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    snprintf(path, sizeof path, "%s/%s", directory, names[i]);
    unlink(path);
  }
  rmdir(directory);
}

static void tear_down(void) {
  if (kidoban > 0)
    kill(kidoban, SIGKILL);
  fclose(stream);
  remove_directory();
  lab = lab_free(lab);
  arena = arena_free(arena);
}

/* ---- sending ---- */

static struct address address(const char *text) {
  struct address result;
  ck_assert(address_parse(text, &result));
  return result;
}

/* A frame on the wire of `interface`; to_gateway false: to a machine that is not the gateway. */
static void send_tcp(const char *interface, const char *source, const char *destination, uint16_t source_port,
                     uint16_t destination_port, uint8_t flags, bool to_gateway) {
  int number = lab_find_interface(lab, interface);
  ck_assert_int_ge(number, 0);
  struct lab_frame_recipe recipe = {.packet = {.source = address(source),
                                               .destination = address(destination),
                                               .protocol = PROTOCOL_TCP,
                                               .source_port = source_port,
                                               .destination_port = destination_port,
                                               .tcp_flags = flags}};
  recipe.source_mac = lab_mac_of(town, &recipe.packet.source);
  recipe.destination_mac =
      to_gateway ? lab_interface(lab, (size_t)number)->mac : (struct mac){{0x02, 0x77, 0x77, 0x77, 0x77, 0x77}};
  struct lab_frame frame;
  ck_assert_int_eq(lab_frame_build(&recipe, &frame), 0);
  ck_assert_int_eq(lab_send(lab, number, &frame), 0);
}

static void ignore(const struct lab_seen *seen, void *context) {
  (void)seen, (void)context;
}

/* ---- what was told ---- */

static json_t *read_event(void) {
  char line[8192];
  clearerr(stream);
  return fgets(line, sizeof line, stream) != NULL ? json_loads(line, 0, NULL) : NULL;
}

static bool is_text(const json_t *event, const char *key, const char *expected) {
  const char *text = json_string_value(json_object_get(event, key));
  return text != NULL && strcmp(text, expected) == 0;
}

/* A machine with much else to do may hold kidoban up, which is told, and is not what is tested here. */
static json_t *next_event(void) {
  json_t *event;
  while ((event = read_event()) != NULL && (is_text(event, "reason", "stalled") || is_text(event, "reason", "behind")))
    json_decref(event);
  return event;
}

/* How long after `since` the last line was written, which is not when we found the time to read it. */
static int64_t writing_took(int64_t since) {
  struct stat status;
  ck_assert_int_eq(fstat(fileno(stream), &status), 0);
  int64_t took = nanoseconds_of(status.st_mtim) - since; /* its clock ticks every few milliseconds */
  return took > 0 ? took : 0;
}

/* Waits for an event of that kind; every other event is a failure. Returns how long it took, at most a second. */
static int64_t expect(const char *kind, const char *zone, const char *other_zone, int64_t since) {
  while (now() - since < GENEROUS) {
    json_t *event = next_event();
    if (event == NULL) {
      rest(MILLISECOND / 5);
      continue;
    }
    int64_t took = writing_took(since);
    char *text = json_dumps(event, JSON_COMPACT);
    ck_assert_msg(is_text(event, "kind", kind), "%s instead of %s", text, kind);
    ck_assert_msg(is_text(event, "zone", zone), "%s", text);
    ck_assert_msg(other_zone == NULL || is_text(event, "other_zone", other_zone), "%s", text);
    ck_assert_msg(took < 1000 * MILLISECOND, "%s took %.3f s", kind, (double)took / 1e9);
    free(text);
    json_decref(event);
    return took;
  }
  ck_abort_msg("no %s", kind);
  return 0;
}

/* Waits for an event with that reason, whatever else is told before. */
static void expect_reason(const char *reason, int64_t since) {
  while (now() - since < GENEROUS) {
    json_t *event = next_event();
    bool found = event != NULL && is_text(event, "reason", reason);
    if (event == NULL)
      rest(MILLISECOND / 5);
    json_decref(event);
    if (found)
      return;
  }
  ck_abort_msg("no %s", reason);
}

static void expect_nothing(void) {
  rest(500 * MILLISECOND);
  json_t *event = next_event();
  char *text = event != NULL ? json_dumps(event, JSON_COMPACT) : NULL;
  ck_assert_msg(event == NULL, "%s", text);
}

/* ---- the tests ---- */

START_TEST(lawful_connections_give_nothing) {
  for (uint16_t port = 50000; port < 50020; port++) {
    send_tcp("ens1f1.211", "10.211.2.5", "10.140.0.33", port, 443, TCP_SYN, true);
    send_tcp("ens2f0.410", "10.140.0.33", "10.211.2.5", 443, port, TCP_SYN | TCP_ACK, true);
    send_tcp("ens1f1.211", "10.211.2.5", "10.140.0.33", port, 443, TCP_ACK, true);
  }
  ck_assert_uint_gt(lab_collect(lab, 100, ignore, NULL), 0);
  expect_nothing();
  stop_kidoban();
}
END_TEST

START_TEST(a_crossing_is_told_with_both_wires) {
  int64_t since = now();
  send_tcp("ens1f1.211", "10.211.0.5", "203.0.113.10", 50000, 443, TCP_SYN, true);
  ck_assert_uint_gt(lab_collect(lab, 100, ignore, NULL), 0); /* the gateway did forward it */
  int64_t took = expect("crossing", "lgwan", "seccloud", since);
  printf("crossing told after %.0f ms\n", (double)took / 1e6);
  expect_nothing(); /* and no attempt beside it */
  stop_kidoban();
}
END_TEST

START_TEST(a_stopped_attempt_is_told_as_one) {
  ck_assert_int_eq(lab_set("net/ipv4/ip_forward", "0"), 0);
  int64_t since = now();
  for (int i = 0; i < 5; i++)
    send_tcp("ens1f1.211", "10.211.0.5", "203.0.113.10", (uint16_t)(50000 + i), 443, TCP_SYN, true);
  expect("attempt", "lgwan", "seccloud", since);
  stop_kidoban();
}
END_TEST

START_TEST(a_second_path_is_told_as_bypass) {
  int64_t since = now();
  send_tcp("ens2f0.411", "10.211.0.5", "10.141.0.9", 50000, 80, TCP_SYN, false);
  int64_t took = expect("bypass", "internet", "lgwan", since);
  printf("bypass told after %.0f ms\n", (double)took / 1e6);
  stop_kidoban();
}
END_TEST

START_TEST(a_false_source_is_told_as_spoofed) {
  ck_assert_int_eq(lab_set("net/ipv4/ip_forward", "0"), 0);
  int64_t since = now();
  send_tcp("ens2f3.620", "10.111.0.9", "10.210.0.19", 50000, 443, TCP_SYN, true);
  expect("spoofed", "water", "mynumber", since);
  stop_kidoban();
}
END_TEST

START_TEST(a_lost_interface_is_told_as_blind_and_found_again) {
  int64_t since = now();
  ck_assert_int_eq(lab_command("ip link set ens2f1 down"), 0);
  expect("blind", "seccloud", NULL, since);
  ck_assert_int_eq(lab_command("ip link set ens2f1 up"), 0);
  since = now();
  expect("blind", "seccloud", NULL, since); /* the closing record */
  since = now();
  send_tcp("ens2f1", "10.211.0.5", "203.0.113.10", 50000, 80, TCP_SYN, false);
  expect("bypass", "seccloud", "lgwan", since); /* it sees again */
  stop_kidoban();
}
END_TEST

START_TEST(frames_that_the_capture_dropped_are_told_as_blind) {
  kill(kidoban, SIGSTOP);
  for (uint16_t i = 0; i < 12000; i++)
    send_tcp("ens1f1.211", "10.211.2.5", "10.140.0.33", (uint16_t)(20000 + i), 443, TCP_SYN, true);
  int64_t since = now();
  kill(kidoban, SIGCONT);
  expect_reason("kernel-drops", since);
  stop_kidoban();
}
END_TEST

static uint64_t frames_judged(const char *interface) {
  struct watch_status status;
  struct error error = {0};
  ck_assert_int_eq(watch_status_ask(directory, &status, &error), 0);
  for (uint32_t i = 0; i < status.interface_count; i++)
    if (strcmp(status.interfaces[i].name, interface) == 0)
      return status.interfaces[i].frames;
  ck_abort_msg("%s is not watched", interface);
  return 0;
}

static void send_bulk(unsigned frames) {
  for (unsigned i = 0; i < frames; i++) {
    send_tcp("ens1f1.211", "10.211.2.5", "10.140.0.33", 50000, 443, TCP_ACK, true);
    if (i % 10 == 9) {
      lab_collect(lab, 0, ignore, NULL);
      rest(2 * MILLISECOND);
    }
  }
  lab_collect(lab, 100, ignore, NULL);
}

START_TEST(bulk_is_withheld_as_it_comes_in_and_forged_frames_of_it_are_told) {
  enum { BULK = 4000 };
  send_tcp("ens1f1.211", "10.211.2.5", "10.140.0.33", 50000, 443, TCP_SYN, true);
  send_tcp("ens2f0.410", "10.140.0.33", "10.211.2.5", 443, 50000, TCP_SYN | TCP_ACK, true);
  send_bulk(BULK);
  uint64_t in = frames_judged("ens1f1.211"), out = frames_judged("ens2f0.410");
  send_bulk(BULK);
  in = frames_judged("ens1f1.211") - in;
  out = frames_judged("ens2f0.410") - out;
  printf("judged of %d: %llu as they came in, %llu as they left\n", BULK, (unsigned long long)in,
         (unsigned long long)out);
  ck_assert_uint_lt(in, BULK / 2);
  ck_assert_uint_ge(out, BULK);
  expect_nothing();
  send_bulk(BULK / 4);
  int64_t since = now();
  send_tcp("ens2f3.620", "10.211.2.5", "10.140.0.33", 50000, 443, TCP_ACK, true);
  lab_collect(lab, 100, ignore, NULL);
  expect("spoofed", "water", "lgwan", since);
  expect("crossing", "lgwan", NULL, since);
  stop_kidoban();
}
END_TEST

START_TEST(a_renamed_interface_is_told_as_blind) {
  int64_t since = now();
  ck_assert_int_eq(lab_command("ip link set ens2f1 down && ip link set ens2f1 name other0"), 0);
  expect("blind", "seccloud", NULL, since);
  stop_kidoban();
}
END_TEST

START_TEST(the_gateways_own_reports_are_no_alarm) {
  /* Time to live 1: the gateway answers with an ICMP error of its own. */
  for (int i = 0; i < 3; i++)
    ck_assert_int_eq(lab_command("ip neigh flush all"), 0);
  int number = lab_find_interface(lab, "ens1f1.211");
  struct lab_frame_recipe recipe = {.packet = {.source = address("10.211.2.5"),
                                               .destination = address("10.140.0.33"),
                                               .protocol = PROTOCOL_TCP,
                                               .source_port = 50000,
                                               .destination_port = 443,
                                               .tcp_flags = TCP_SYN},
                                    .hop_limit = 1,
                                    .destination_mac = lab_interface(lab, (size_t)number)->mac};
  recipe.source_mac = lab_mac_of(town, &recipe.packet.source);
  struct lab_frame frame;
  ck_assert_int_eq(lab_frame_build(&recipe, &frame), 0);
  ck_assert_int_eq(lab_send(lab, number, &frame), 0);
  lab_collect(lab, 100, ignore, NULL);
  expect_nothing();
  stop_kidoban();
}
END_TEST

int main(void) {
  lab_require();
  Suite *suite = suite_create("watch live");
  TCase *all = tcase_create("all");
  tcase_set_timeout(all, 60);
  tcase_add_checked_fixture(all, set_up, tear_down);
  tcase_add_test(all, lawful_connections_give_nothing);
  tcase_add_test(all, a_crossing_is_told_with_both_wires);
  tcase_add_test(all, a_stopped_attempt_is_told_as_one);
  tcase_add_test(all, a_second_path_is_told_as_bypass);
  tcase_add_test(all, a_false_source_is_told_as_spoofed);
  tcase_add_test(all, a_lost_interface_is_told_as_blind_and_found_again);
  tcase_add_test(all, frames_that_the_capture_dropped_are_told_as_blind);
  tcase_add_test(all, bulk_is_withheld_as_it_comes_in_and_forged_frames_of_it_are_told);
  tcase_add_test(all, a_renamed_interface_is_told_as_blind);
  tcase_add_test(all, the_gateways_own_reports_are_no_alarm);
  suite_add_tcase(suite, all);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
