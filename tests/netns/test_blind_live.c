/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every way to blind a running kidoban: each must be told within a second, with the wire and the interval, and counted.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include "base/instant.h"
#include "bpf.h"
#include "control/message.h"
#include "control/publication.h"
#include "lab.h"
#include "policy/read.h"
#include "watch/canary.h"
#include "watch/status.h"

#define TOWN KIDO_SOURCE_DIRECTORY "/config/examples/town.conf"
#define WIRE "ens2f0.410" /* of the zone internet; canaries go there */
#define OTHER "ens2f3.620"
#define CLOUD "ens2f1" /* canaries do not */
#define LISTENER "span0"

static const int64_t MILLISECOND = 1000000, SECOND = 1000000000;
#define GENEROUS (30 * SECOND)

static struct arena *arena;
static const struct policy *town;
static struct lab *lab;
static pid_t kidoban;
static char directory[32], events[64], settings[64], clock_file[64];
static int64_t waited;   /* what kidoban had waited for a processor when it began to watch */
static int64_t happened; /* when what is expected had been done */
static FILE *stream;
static const char *more_settings;

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_REALTIME, &time);
  return (int64_t)time.tv_sec * SECOND + time.tv_nsec;
}

static void rest(int64_t nanoseconds) {
  nanosleep(&(struct timespec){nanoseconds / SECOND, nanoseconds % SECOND}, NULL);
}

static void write_file(const char *path, const char *text) {
  FILE *file = fopen(path, "w");
  ck_assert_ptr_nonnull(file);
  fputs(text, file);
  fclose(file);
}

/* ---- kidoban ---- */

/* For how long it wanted to run and others did: the machine of a test may be busy. 0 where the kernel does not tell. */
static int64_t processor_wait(void) {
  char path[64];
  long long ran = 0, others = 0;
  snprintf(path, sizeof path, "/proc/%d/schedstat", (int)kidoban);
  FILE *file = fopen(path, "re");
  if (file == NULL || fscanf(file, "%lld %lld", &ran, &others) != 2)
    others = 0;
  if (file != NULL)
    fclose(file);
  return others;
}

static const struct watch_status_interface *find_interface(const struct watch_status *status, const char *name) {
  for (uint32_t i = 0; i < status->interface_count; i++)
    if (strcmp(status->interfaces[i].name, name) == 0)
      return &status->interfaces[i];
  return NULL;
}

/* Waits until it watches, and has seen a canary of that wire if there are any. */
static void wait_until_watching(const char *wire) {
  struct watch_status status;
  struct error error = {0};
  for (int64_t since = now(); now() - since < GENEROUS; rest(20 * MILLISECOND)) {
    if (watch_status_ask(directory, &status, &error) < 0 || status.state != WATCH_WATCHING)
      continue;
    const struct watch_status_interface *interface = find_interface(&status, wire);
    if (interface != NULL && (!interface->canary || interface->canaries_sent > 1)) {
      waited = processor_wait();
      return;
    }
  }
  ck_abort_msg("kidoban does not watch: %s", error.message);
}

static _Noreturn void run_kidoban(const char *policy_option, const char *policy) {
  const char *const words[] = {"kidoban", "--events", events, "--state-directory", directory, "--run-directory",
                               directory, "--buffer", "2",    "--settings",        settings,  policy_option,
                               policy,    NULL};
  char *arguments[sizeof words / sizeof words[0]];
  memcpy(arguments, words, sizeof arguments);
  execv(KIDO_PROGRAM_DIRECTORY "/kidoban", arguments);
  _exit(127);
}

static void start_kidoban(const char *preload) {
  kidoban = fork();
  ck_assert_int_ge(kidoban, 0);
  if (kidoban == 0) {
    if (preload != NULL) {
      setenv("LD_PRELOAD", preload, 1);
      setenv("KIDO_CLOCK_FILE", clock_file, 1);
      setenv("ASAN_OPTIONS", "verify_asan_link_order=0", 1);
    }
    run_kidoban("--policy", TOWN);
  }
}

static void set_up(void) {
  static const char *const spare[] = {LISTENER, NULL};
  struct diagnostic_list diagnostics;
  struct error error = {0};
  arena = arena_new(0);
  diagnostic_list_init(&diagnostics, arena, LANGUAGE_ENGLISH);
  ck_assert_int_eq(policy_read(TOWN, arena, false, &town, &diagnostics, &error), 0);
  ck_assert_msg(lab_new(town, &(struct lab_options){.spare_interfaces = spare}, &lab, &error) == 0, "%s",
                error.message);
  strcpy(directory, "/tmp/kido-test-blind-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(directory));
  snprintf(events, sizeof events, "%s/out.jsonl", directory);
  snprintf(settings, sizeof settings, "%s/settings", directory);
  snprintf(clock_file, sizeof clock_file, "%s/clock-offset", directory);
  write_file(events, "");
  write_file(clock_file, "0");
  write_file(settings, more_settings != NULL ? more_settings : "");
  stream = fopen(events, "r");
}

static void tear_down(void) {
  char command[64];
  if (kidoban > 0)
    kill(kidoban, SIGKILL);
  kidoban = 0;
  more_settings = NULL;
  fclose(stream);
  snprintf(command, sizeof command, "rm -rf %s", directory);
  ck_assert_int_eq(system(command), 0);
  lab = lab_free(lab);
  arena = arena_free(arena);
}

static void stop_kidoban(void) {
  int status = 0;
  kill(kidoban, SIGTERM);
  waitpid(kidoban, &status, 0);
  kidoban = 0;
  ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "kidoban ended with %d", status);
}

/* ---- events ---- */

static const char *text_of(const json_t *event, const char *key) {
  const char *text = json_string_value(json_object_get(event, key));
  return text != NULL ? text : "";
}

static int64_t time_of(const json_t *event, const char *key) {
  struct tm parts = {0};
  long microseconds = 0;
  const char *rest_of = strptime(text_of(event, key), "%Y-%m-%dT%H:%M:%S", &parts);
  ck_assert_ptr_nonnull(rest_of);
  sscanf(rest_of, ".%6ld", &microseconds);
  return ((int64_t)timegm(&parts) - 9L * 3600) * SECOND + microseconds * 1000; /* the town is in Japan */
}

static json_t *next_event(void) {
  char line[8192];
  clearerr(stream);
  return fgets(line, sizeof line, stream) != NULL ? json_loads(line, 0, NULL) : NULL;
}

/* Waits for the next event; NULL: it did not come in time. */
static json_t *next_before(int64_t until) {
  json_t *event = next_event();
  for (; event == NULL && now() < until; event = next_event())
    rest(MILLISECOND);
  return event;
}

/* Waits for an event with that reason and on that wire (NULL: any); NULL: it did not come. The caller releases it. */
static json_t *wait_for(const char *reason, const char *wire, bool still_going, int64_t patience) {
  happened = now();
  int64_t until = now() + patience;
  for (json_t *event = next_before(until); event != NULL; event = next_before(until)) {
    if (strcmp(text_of(event, "reason"), reason) == 0 &&
        (wire == NULL || strcmp(text_of(event, "interface"), wire) == 0) &&
        json_is_true(json_object_get(event, "still_going")) == still_going)
      return event;
    json_decref(event);
  }
  return NULL;
}

static json_t *expect(const char *reason, const char *wire, bool still_going) {
  json_t *event = wait_for(reason, wire, still_going, GENEROUS);
  ck_assert_msg(event != NULL, "no %s on %s", reason, wire != NULL ? wire : "any wire");
  return event;
}

/* The machine of the test has no time for us now and then. */
static bool is_of_the_machine(const json_t *event) {
  return strcmp(text_of(event, "reason"), "stalled") == 0 || strcmp(text_of(event, "reason"), "behind") == 0;
}

/* The next event but those about the machine of the test: of this kind. */
static json_t *next_of_kind(const char *kind) {
  int64_t until = now() + GENEROUS;
  for (json_t *event = next_before(until); event != NULL; event = next_before(until)) {
    if (!is_of_the_machine(event)) {
      ck_assert_str_eq(text_of(event, "kind"), kind);
      return event;
    }
    json_decref(event);
  }
  ck_abort_msg("no %s", kind);
  return NULL;
}

/* It was told within a second of what happened, which began at `since`, and the interval begins before its end. */
static void check_blind(json_t *event, int64_t since) {
  int64_t told = time_of(event, "time") - since, took = happened - since;
  ck_assert_str_eq(text_of(event, "kind"), "blind");
  ck_assert_str_eq(text_of(event, "severity"), "critical");
  ck_assert_msg(told - took - (processor_wait() - waited) < SECOND, "%s told after %.3f s", text_of(event, "reason"),
                (double)told / 1e9);
  ck_assert_msg(time_of(event, "first_seen") <= happened + 100 * MILLISECOND, "%s begins late",
                text_of(event, "reason"));
  printf("%s told after %.0f ms\n", text_of(event, "reason"), (double)told / 1e6);
  json_decref(event);
}

static void expect_no(const char *reason, int64_t nanoseconds) {
  for (int64_t since = now(); now() - since < nanoseconds; rest(10 * MILLISECOND)) {
    json_t *event = next_event();
    ck_assert_msg(event == NULL || strcmp(text_of(event, "reason"), reason) != 0, "%s", reason);
    json_decref(event);
  }
}

static struct watch_status_interface status_of(const char *wire) {
  struct watch_status status;
  struct error error = {0};
  ck_assert_msg(watch_status_ask(directory, &status, &error) == 0, "%s", error.message);
  const struct watch_status_interface *interface = find_interface(&status, wire);
  ck_assert_ptr_nonnull(interface);
  return *interface;
}

/* ---- frames ---- */

static void send_bytes(const char *wire, const uint8_t *data, size_t length) {
  struct lab_frame frame = {.length = length};
  memcpy(frame.data, data, length);
  ck_assert_int_eq(lab_send(lab, lab_find_interface(lab, wire), &frame), 0);
}

/* A canary as it came out of that wire. */
static void catch_canary(const char *wire, uint8_t frame[static CANARY_SIZE]) {
  int descriptor = lab_descriptor(lab, lab_find_interface(lab, wire));
  uint8_t bytes[2048];
  for (int64_t since = now(); now() - since < GENEROUS;) {
    ssize_t size = read(descriptor, bytes, sizeof bytes);
    if (size >= CANARY_SIZE && bytes[12] == CANARY_ETHERTYPE >> 8 && bytes[13] == (CANARY_ETHERTYPE & 0xff)) {
      memcpy(frame, bytes, CANARY_SIZE);
      return;
    }
    if (size < 0)
      rest(10 * MILLISECOND);
  }
  ck_abort_msg("no canary came out of %s", wire);
}

/* ---- canaries ---- */

START_TEST(canaries_go_where_they_may_and_come_back) {
  start_kidoban(NULL);
  wait_until_watching(WIRE);
  rest(SECOND);
  struct watch_status_interface wire = status_of(WIRE), cloud = status_of(CLOUD), line = status_of("ens1f2");
  ck_assert(wire.canary && wire.canaries_sent >= 2);
  ck_assert_uint_eq(wire.canaries_missed, 0);
  ck_assert(!cloud.canary && !line.canary);
  ck_assert_uint_eq(cloud.canaries_sent + line.canaries_sent, 0);
  ck_assert_uint_eq(wire.unwatched, 0);
  ck_assert_uint_gt(wire.whole, (uint64_t)SECOND);
  ck_assert_uint_eq(wire.frames, wire.everyday); /* a canary is no frame of the wire */
  expect_no("canary-missed", SECOND);
  stop_kidoban();
}
END_TEST

START_TEST(a_missed_canary_is_told_until_one_is_seen) {
  start_kidoban(NULL);
  wait_until_watching(WIRE);
  int64_t since = now();
  ck_assert_int_eq(lab_command("nft 'table netdev t { chain e { type filter hook egress device \"" WIRE
                               "\" priority 0; "
                               "drop; }; }'"),
                   0);
  check_blind(expect("canary-missed", WIRE, true), since);
  struct watch_status_interface wire = status_of(WIRE);
  ck_assert_uint_eq(wire.state, WIRE_BLIND);
  ck_assert_str_eq(wire.reason, "canary-missed");
  ck_assert_int_eq(lab_command("nft delete table netdev t"), 0);
  json_decref(expect("canary-missed", WIRE, false));
  rest(200 * MILLISECOND);
  wire = status_of(WIRE);
  ck_assert_uint_eq(wire.state, WIRE_WATCHED);
  ck_assert_uint_gt(wire.unwatched, 0);
  ck_assert_uint_eq(wire.intervals, 1);
  ck_assert_uint_lt(wire.unwatched, wire.whole);
  stop_kidoban();
}
END_TEST

START_TEST(a_forged_canary_is_told) {
  struct canary_key key = {{1}};
  uint8_t frame[CANARY_SIZE];
  start_kidoban(NULL);
  wait_until_watching(WIRE);
  canary_write(&key, &(struct canary){.wire = 0, .number = 1}, &(struct mac){{2, 0, 0, 0, 0, 1}}, frame);
  send_bytes(WIRE, frame, sizeof frame);
  json_t *event = expect("forged-canary", WIRE, true);
  ck_assert_str_eq(text_of(event, "kind"), "unknown-segment");
  json_decref(event);
  stop_kidoban();
}
END_TEST

START_TEST(an_old_canary_is_as_bad_as_a_forged_one) {
  uint8_t frame[CANARY_SIZE];
  start_kidoban(NULL);
  wait_until_watching(WIRE);
  catch_canary(WIRE, frame);
  rest(2 * SECOND);
  send_bytes(WIRE, frame, sizeof frame);
  json_decref(expect("forged-canary", WIRE, true));
  stop_kidoban();
}
END_TEST

START_TEST(a_canary_on_another_wire_shows_that_they_are_joined) {
  uint8_t frame[CANARY_SIZE];
  start_kidoban(NULL);
  wait_until_watching(WIRE);
  catch_canary(WIRE, frame);
  send_bytes(OTHER, frame, sizeof frame);
  json_t *event = expect("strayed-canary", OTHER, true);
  ck_assert_str_eq(text_of(event, "kind"), "bridged");
  ck_assert_str_eq(text_of(event, "zone"), "water");
  ck_assert_str_eq(text_of(event, "other_zone"), "internet");
  json_decref(event);
  stop_kidoban();
}
END_TEST

START_TEST(a_port_that_only_listens_is_a_wire_of_its_zone) {
  static const uint8_t tcp[] = {0x02, 0x11, 0x11, 0x11, 0x11, 0x11, 0x02, 0x22, 0x22, 0x22, 0x22, 0x22, 0x08, 0x00,
                                0x45, 0,    0,    40,   0,    1,    0,    0,    64,   6,    0,    0,    10,   111,
                                0,    9,    10,   211,  0,    5,    0xc3, 0x50, 0,    80,   0,    0,    0,    1,
                                0,    0,    0,    0,    0x50, 2,    4,    0,    0,    0,    0,    0};
  start_kidoban(NULL);
  wait_until_watching(LISTENER);
  struct watch_status_interface wire = status_of(LISTENER);
  ck_assert(wire.listens && !wire.canary);
  ck_assert_str_eq(wire.zone, "lgwan");
  send_bytes(LISTENER, tcp, sizeof tcp);
  json_t *event = next_of_kind("bypass");
  ck_assert_str_eq(text_of(event, "zone"), "lgwan");
  ck_assert_str_eq(text_of(event, "other_zone"), "mynumber");
  ck_assert_str_eq(text_of(event, "interface"), LISTENER);
  json_decref(event);
  stop_kidoban();
}
END_TEST

static void set_up_listener(void) {
  more_settings = "wires = ( { interface = \"" LISTENER "\"; zone = \"lgwan\"; vantage = \"mirror\"; } );";
  set_up();
}

/* ---- interfaces ---- */

static const struct {
  const char *blind, *seeing, *reason;
} interfaces[] = {
    {"ip link set " WIRE " down", "ip link set " WIRE " up", "interface-down"},
    {"ip link set " WIRE " name other0", "ip link set other0 name " WIRE, "interface-missing"},
    {"ip link set " WIRE " down && ip link set " WIRE " name other0 && ip link set other0 up",
     "ip link set other0 down && ip link set other0 name " WIRE " && ip link set " WIRE " up", "interface-missing"},
};

START_TEST(an_interface_that_goes_is_told_at_once_and_found_again) {
  start_kidoban(NULL);
  wait_until_watching(WIRE);
  int64_t since = now();
  ck_assert_int_eq(lab_command("%s", interfaces[_i].blind), 0);
  check_blind(expect(interfaces[_i].reason, WIRE, true), since);
  ck_assert_int_eq(lab_command("%s", interfaces[_i].seeing), 0);
  json_decref(expect(interfaces[_i].reason, WIRE, false));
  for (since = now(); status_of(WIRE).state != WIRE_WATCHED; rest(20 * MILLISECOND))
    ck_assert_int_lt(now() - since, GENEROUS); /* opened again, though it has no capability */
  uint64_t sent = status_of(WIRE).canaries_sent;
  for (since = now(); status_of(WIRE).canaries_sent < sent + 2; rest(20 * MILLISECOND))
    ck_assert_int_lt(now() - since, GENEROUS);
  ck_assert_uint_eq(status_of(WIRE).state, WIRE_WATCHED);
  stop_kidoban();
}
END_TEST

static void attach_xdp(const char *wire, int program) {
  char request[256] = {0};
  struct mnl_socket *socket = mnl_socket_open(NETLINK_ROUTE);
  ck_assert(socket != NULL && mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) == 0);
  struct nlmsghdr *header = mnl_nlmsg_put_header(request);
  header->nlmsg_type = RTM_SETLINK;
  header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  struct ifinfomsg *link = mnl_nlmsg_put_extra_header(header, sizeof *link);
  link->ifi_index = (int)if_nametoindex(wire);
  struct nlattr *xdp = mnl_attr_nest_start(header, IFLA_XDP);
  mnl_attr_put_u32(header, IFLA_XDP_FD, (uint32_t)program);
  mnl_attr_put_u32(header, IFLA_XDP_FLAGS, XDP_FLAGS_SKB_MODE);
  mnl_attr_nest_end(header, xdp);
  ck_assert_int_gt(mnl_socket_sendto(socket, header, header->nlmsg_len), 0);
  ssize_t size = mnl_socket_recvfrom(socket, request, sizeof request);
  ck_assert_int_gt(size, 0);
  ck_assert_msg(mnl_cb_run(request, (size_t)size, 0, mnl_socket_get_portid(socket), NULL, NULL) >= 0, "XDP: %s",
                strerror(errno));
  mnl_socket_close(socket);
}

START_TEST(a_program_before_the_capture_is_told) {
  struct bpf_program pass = {.count = 0};
  struct error error = {0};
  BPF_APPEND(&pass, CONSTANT(BPF_REG_0, XDP_PASS), EXIT);
  int program = bpf_program_load(&pass, BPF_PROG_TYPE_XDP, &error);
  ck_assert_msg(program >= 0, "%s", error.message);
  start_kidoban(NULL);
  wait_until_watching(WIRE);
  int64_t since = now();
  attach_xdp(WIRE, program);
  check_blind(expect("xdp-attached", WIRE, true), since);
  attach_xdp(WIRE, -1);
  json_decref(expect("xdp-attached", WIRE, false));
  close(program);
  stop_kidoban();
}
END_TEST

/* Frames without end that the interface counts and no capture gets; on a wire without canaries, which would see it
 * first. */
START_TEST(an_interface_that_counts_what_nobody_sees_is_told) {
  struct bpf_program drop = {.count = 0};
  struct error error = {0};
  BPF_APPEND(&drop, CONSTANT(BPF_REG_0, XDP_DROP), EXIT);
  int program = bpf_program_load(&drop, BPF_PROG_TYPE_XDP, &error);
  ck_assert_msg(program >= 0, "%s", error.message);
  uint8_t frame[60] = {2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8, 8, 6};
  start_kidoban(NULL);
  wait_until_watching(CLOUD);
  attach_xdp(CLOUD, program);
  rest(SECOND);
  json_t *event = NULL;
  int64_t since = now();
  for (int round = 0; round < 10 && event == NULL; round++) { /* the gateway may say something itself meanwhile */
    since = now();
    for (int i = 0; i < 30000; i++)
      send_bytes(CLOUD, frame, sizeof frame);
    event = wait_for("counters-rise", CLOUD, true, 3 * SECOND);
  }
  ck_assert_ptr_nonnull(event);
  check_blind(event, since);
  ck_assert_uint_eq(status_of(CLOUD).state, WIRE_BLIND);
  attach_xdp(CLOUD, -1);
  send_bytes(CLOUD, frame, sizeof frame);
  json_decref(expect("counters-rise", CLOUD, false));
  close(program);
  stop_kidoban();
}
END_TEST

/* ---- the capture ---- */

static bool is_packet_socket(const char *target) {
  unsigned long inode, listed;
  char line[256];
  bool found = false;
  if (sscanf(target, "socket:[%lu]", &inode) != 1)
    return false;
  FILE *list = fopen("/proc/thread-self/net/packet", "re");
  ck_assert_ptr_nonnull(list);
  while (!found && fgets(line, sizeof line, list) != NULL)
    found = sscanf(line, "%*s %*s %*s %*s %*s %*s %*s %*s %lu", &listed) == 1 && listed == inode;
  fclose(list);
  return found;
}

/* As somebody may who is root. */
static bool take_filter_away(int process, const char *number) {
  int stolen = (int)syscall(SYS_pidfd_getfd, process, atoi(number), 0);
  bool done = setsockopt(stolen, SOL_SOCKET, SO_DETACH_FILTER, &(int){0}, sizeof(int)) == 0;
  close(stolen);
  return done; /* the socket of the canaries has none */
}

static void take_one_filter_away(void) {
  char path[64], target[64];
  int process = (int)syscall(SYS_pidfd_open, kidoban, 0);
  bool done = false;
  snprintf(path, sizeof path, "/proc/%d/fd", (int)kidoban);
  DIR *list = opendir(path);
  ck_assert(process >= 0 && list != NULL);
  for (const struct dirent *entry; !done && (entry = readdir(list)) != NULL;) {
    ssize_t length = readlinkat(dirfd(list), entry->d_name, target, sizeof target - 1);
    target[length > 0 ? length : 0] = '\0';
    done = is_packet_socket(target) && take_filter_away(process, entry->d_name);
  }
  closedir(list);
  close(process);
  ck_assert_msg(done, "no capture with a filter: %s", strerror(errno));
}

START_TEST(a_filter_that_somebody_took_away_is_told) {
  start_kidoban(NULL);
  wait_until_watching(WIRE);
  int64_t since = now();
  take_one_filter_away();
  json_t *event = expect("filter-changed", NULL, true);
  check_blind(event, since);
  stop_kidoban();
}
END_TEST

/* ---- kidoban itself ---- */

/* Reads what was told so far; whether some of it was about the machine. */
static bool was_held_up(void) {
  bool held_up = false;
  for (json_t *event = next_event(); event != NULL; event = next_event()) {
    held_up = held_up || is_of_the_machine(event);
    json_decref(event);
  }
  return held_up;
}

/* A watchman whom nothing held up so far: a second time would only be counted, and told later. */
static void start_freshly(void) {
  start_kidoban(NULL);
  wait_until_watching(WIRE);
  for (int i = 0; i < 10 && was_held_up(); i++) {
    stop_kidoban();
    was_held_up();
    start_kidoban(NULL);
    wait_until_watching(WIRE);
  }
}

START_TEST(a_stopped_watchman_tells_how_long_he_did_not_watch) {
  start_freshly();
  int64_t since = now();
  kill(kidoban, SIGSTOP);
  rest(900 * MILLISECOND);
  int64_t until = now();
  kill(kidoban, SIGCONT);
  json_t *event = expect("stalled", NULL, true);
  ck_assert(json_is_null(json_object_get(event, "interface")));
  ck_assert_int_lt(time_of(event, "time") - until, SECOND);
  ck_assert_int_le(time_of(event, "first_seen"), since + MILLISECOND);
  ck_assert_int_ge(time_of(event, "last_seen"), until - 10 * MILLISECOND);
  json_decref(event);
  ck_assert_uint_ge(status_of(WIRE).unwatched, (uint64_t)(800 * MILLISECOND));
  stop_kidoban();
}
END_TEST

/* As in a container: what /sys says of interfaces is of another namespace. In a mount namespace of this test alone. */
START_TEST(a_sys_of_another_namespace_misleads_nobody) {
  ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
  ck_assert_int_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
  ck_assert_int_eq(mount("none", "/sys/class/net", "tmpfs", 0, NULL), 0);
  ck_assert_int_eq(mkdir("/sys/class/net/stranger0", 0755), 0);
  start_kidoban(NULL);
  wait_until_watching(WIRE);
  int64_t since = now();
  ck_assert_int_eq(lab_command("ip link set " WIRE " down"), 0);
  check_blind(expect("interface-down", WIRE, true), since);
  ck_assert_int_eq(lab_command("ip link set " WIRE " up"), 0);
  json_decref(expect("interface-down", WIRE, false));
  wait_until_watching(WIRE);
  stop_kidoban();
}
END_TEST

/* Whether nothing but the steps was told: what else there is, the machine of the test may have to do with. */
static bool only_steps_are_told(void) {
  static const char *const steps[] = {"86400", "-3600"}, *const reasons[] = {"forward", "back"};
  bool others = false;
  write_file(clock_file, "0");
  start_kidoban(KIDO_CLOCK_STEP);
  wait_until_watching(WIRE);
  for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
    int64_t until = now() + GENEROUS;
    write_file(clock_file, steps[i]);
    json_t *event = next_before(until);
    for (; event != NULL && strcmp(text_of(event, "reason"), reasons[i]) != 0; event = next_before(until)) {
      others = true;
      json_decref(event);
    }
    ck_assert_msg(event != NULL, "no step %s", reasons[i]);
    ck_assert_str_eq(text_of(event, "kind"), "clock-step");
    json_decref(event);
  }
  json_t *event = next_before(now() + SECOND);
  others = others || event != NULL || status_of(WIRE).unwatched > 0;
  json_decref(event);
  stop_kidoban();
  while ((event = next_event()) != NULL)
    json_decref(event);
  return !others;
}

START_TEST(a_clock_that_is_set_is_told_and_nothing_else) {
  bool alone = false;
  for (int attempt = 0; attempt < 5 && !alone; attempt++)
    alone = only_steps_are_told();
  ck_assert_msg(alone, "something else was told each time");
}
END_TEST

/* ---- kidod, played by the test ---- */

static void publish(int follower, const char *text, size_t size) {
  struct publication publication = {.magic = PUBLICATION_MAGIC, .phase = PUBLICATION_IN_FORCE, .policy_size = size};
  int policy = sealed_memfd("policy", text, size);
  ck_assert_int_ge(policy, 0);
  ck_assert_int_eq(publication_send(follower, &publication, policy), 0);
  close(policy);
}

static char *read_town(size_t *ret_size) {
  FILE *file = fopen(TOWN, "re");
  char *text = malloc(1 << 20);
  ck_assert(file != NULL && text != NULL);
  *ret_size = fread(text, 1, 1 << 20, file);
  fclose(file);
  return text;
}

static int accept_follower(int listener) {
  int follower = -1;
  for (int64_t since = now(); follower < 0; rest(20 * MILLISECOND)) {
    ck_assert_int_lt(now() - since, GENEROUS);
    follower = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  }
  return follower;
}

static struct watch_status whole_status(void) {
  struct watch_status status;
  struct error error = {0};
  ck_assert_msg(watch_status_ask(directory, &status, &error) == 0, "%s", error.message);
  return status;
}

START_TEST(another_policy_than_that_of_kidod_is_told) {
  struct error error = {0};
  size_t size;
  char *text = read_town(&size);
  int listener = message_listen(directory, PUBLICATION_SOCKET, &error);
  ck_assert_msg(listener >= 0, "%s", error.message);
  kidoban = fork();
  if (kidoban == 0)
    run_kidoban(NULL, NULL);
  int follower = accept_follower(listener);
  publish(follower, text, size);
  wait_until_watching(WIRE);
  ck_assert_uint_eq(whole_status().follows, WATCH_BY_KIDOD);
  int64_t since = now();
  publish(follower, "zones = broken", strlen("zones = broken"));
  check_blind(expect("policy-differs", NULL, true), since);
  ck_assert_uint_eq(whole_status().state, WATCH_DEGRADED);
  publish(follower, text, size);
  json_decref(expect("policy-differs", NULL, false));
  ck_assert_uint_eq(whole_status().state, WATCH_WATCHING);
  close(follower);
  close(listener);
  for (since = now(); whole_status().follows != WATCH_KIDOD_GONE; rest(20 * MILLISECOND))
    ck_assert_int_lt(now() - since, GENEROUS);
  ck_assert_uint_eq(whole_status().state, WATCH_WATCHING);
  free(text);
  stop_kidoban();
}
END_TEST

/* ---- its processes ---- */

static bool has_line(pid_t process, const char *line) {
  char path[64], text[256];
  bool found = false;
  snprintf(path, sizeof path, "/proc/%d/status", (int)process);
  FILE *file = fopen(path, "re");
  while (file != NULL && !found && fgets(text, sizeof text, file) != NULL)
    found = strncmp(text, line, strlen(line)) == 0;
  if (file != NULL)
    fclose(file);
  return found;
}

START_TEST(a_watching_kidoban_has_no_capability) {
  start_kidoban(NULL);
  wait_until_watching(WIRE);
  ck_assert(has_line(kidoban, "CapEff:\t0000000000000000"));
  ck_assert(has_line(kidoban, "CapPrm:\t0000000000000000"));
  ck_assert(has_line(kidoban, "NoNewPrivs:\t1"));
  ck_assert(has_line(kidoban, "Seccomp:\t2"));
  ck_assert(!has_line(kidoban, "Uid:\t0"));
  stop_kidoban();
}
END_TEST

static pid_t find_opener(void) {
  char path[64];
  int child;
  snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)kidoban, (int)kidoban);
  FILE *list = fopen(path, "re");
  ck_assert_ptr_nonnull(list);
  while (fscanf(list, "%d", &child) == 1)
    if (has_line(child, "Name:\tkidoban-opener\n"))
      break;
  fclose(list);
  ck_assert(has_line(child, "Name:\tkidoban-opener\n"));
  return child;
}

START_TEST(its_opener_has_one_capability_and_without_it_captures_stay_as_they_are) {
  start_kidoban(NULL);
  wait_until_watching(WIRE);
  pid_t opener = find_opener();
  ck_assert(has_line(opener, "CapEff:\t0000000000002000")); /* CAP_NET_RAW */
  ck_assert(has_line(opener, "CapPrm:\t0000000000002000"));
  ck_assert(has_line(opener, "Seccomp:\t2"));
  kill(opener, SIGKILL);
  uint64_t sent = status_of(WIRE).canaries_sent;
  for (int64_t since = now(); status_of(WIRE).canaries_sent < sent + 2; rest(20 * MILLISECOND))
    ck_assert_int_lt(now() - since, GENEROUS);
  ck_assert_uint_eq(whole_status().state, WATCH_WATCHING);
  ck_assert_int_eq(lab_command("ip link set " WIRE " name other0 && sleep 0.2 && ip link set other0 name " WIRE), 0);
  json_t *event = expect("capture-failed", WIRE, true);
  ck_assert_str_eq(text_of(event, "kind"), "blind");
  json_decref(event);
  stop_kidoban();
}
END_TEST

/* ---- all ---- */

static TCase *case_of(const char *name, void (*before)(void)) {
  TCase *result = tcase_create(name);
  tcase_set_timeout(result, 60);
  tcase_add_checked_fixture(result, before, tear_down);
  return result;
}

int main(void) {
  lab_require();
  Suite *suite = suite_create("blind live");
  TCase *all = case_of("all", set_up), *listener = case_of("listener", set_up_listener);
  tcase_add_test(all, canaries_go_where_they_may_and_come_back);
  tcase_add_test(all, a_missed_canary_is_told_until_one_is_seen);
  tcase_add_test(all, a_forged_canary_is_told);
  tcase_add_test(all, an_old_canary_is_as_bad_as_a_forged_one);
  tcase_add_test(all, a_canary_on_another_wire_shows_that_they_are_joined);
  tcase_add_loop_test(all, an_interface_that_goes_is_told_at_once_and_found_again, 0,
                      (int)(sizeof interfaces / sizeof interfaces[0]));
  tcase_add_test(all, a_program_before_the_capture_is_told);
  tcase_add_test(all, an_interface_that_counts_what_nobody_sees_is_told);
  tcase_add_test(all, a_filter_that_somebody_took_away_is_told);
  tcase_add_test(all, a_stopped_watchman_tells_how_long_he_did_not_watch);
  tcase_add_test(all, a_sys_of_another_namespace_misleads_nobody);
  tcase_add_test(all, a_clock_that_is_set_is_told_and_nothing_else);
  tcase_add_test(all, a_watching_kidoban_has_no_capability);
  tcase_add_test(all, its_opener_has_one_capability_and_without_it_captures_stay_as_they_are);
  tcase_add_test(all, another_policy_than_that_of_kidod_is_told);
  tcase_add_test(listener, a_port_that_only_listens_is_a_wire_of_its_zone);
  suite_add_tcase(suite, all);
  suite_add_tcase(suite, listener);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
