/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel room against the running kernel. Each test forks and moves into a network namespace of its own, which goes
 * with it; nothing outside is touched.
 */
#include <check.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <poll.h>

#include "kernel/conntrack.h"
#include "kernel/nftables.h"
#include "kernel/nftables_tables.h"
#include "kernel/system.h"
#include "kernel/topology.h"
#include "rules/compile.h"
#include "rules/print.h"
#include "rules/trial.h"
#include "sample_ruleset.h"
#include "shell.h"
#include "town.h"

static struct arena *arena;
static struct nftables *nftables;
static struct instant now;
static struct error error;
static struct refusal refusal;

static void enter(void) {
  ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
  arena = arena_new(0);
  now.seconds = time(NULL);
  ck_assert_msg(nftables_open(&nftables, &error) == 0, "%s", error.message);
}

static void leave(void) {
  nftables_close(nftables);
  arena_free(arena);
}

/* Runs a shell command and returns what it printed; it must succeed. */
static char *run(const char *format, ...) __attribute__((format(printf, 1, 2)));

static char *run(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  char *command = arena_vprintf(arena, format, arguments);
  va_end(arguments);
  int status = -1;
  char *output = shell_output(arena, command, &status);
  ck_assert_msg(output != NULL && status == 0, "'%s' failed: %s", command, output != NULL ? output : "-");
  return output;
}

static struct ruleset *read_back(void) {
  struct ruleset *found = NULL;
  struct instant present = {time(NULL)}; /* a busy machine takes seconds for a test */
  ck_assert_msg(nftables_read(nftables, "kido", present, arena, &found, &error) == 0, "%s", error.message);
  return found;
}

static void check_kernel_holds(const struct ruleset *wanted) {
  const char *what = "";
  struct ruleset *found = read_back();
  ck_assert_msg(found->present && ruleset_equal(found, wanted, arena, &what), "%s", what);
}

static size_t apply(const struct ruleset *wanted) {
  size_t changes = 0;
  struct instant present = {time(NULL)};
  int status = nftables_apply(nftables, wanted, present, &changes, &refusal, &error);
  ck_assert_msg(status == 0, "%d: %s", status, error.message);
  return changes;
}

/* ---- loading ---- */

START_TEST(what_is_applied_is_what_the_kernel_holds) {
  struct ruleset *wanted = sample_ruleset(arena, now);
  ck_assert_uint_gt(apply(wanted), 0);
  check_kernel_holds(wanted);
}
END_TEST

START_TEST(a_table_that_is_not_there_reads_as_not_present) {
  run("nft 'add table ip kido'"); /* of another family */
  ck_assert(!read_back()->present);
}
END_TEST

START_TEST(applying_the_same_again_changes_nothing) {
  struct ruleset *wanted = sample_ruleset(arena, now);
  uint32_t before = 0;
  uint32_t after = 0;
  apply(wanted);
  ck_assert_int_eq(nftables_generation(nftables, &before, &error), 0);
  ck_assert_uint_eq(apply(wanted), 0);
  ck_assert_int_eq(nftables_generation(nftables, &after, &error), 0);
  ck_assert_uint_eq(before, after);
}
END_TEST

START_TEST(a_change_is_brought_to_the_kernel) {
  struct ruleset *first = sample_ruleset(arena, now);
  struct ruleset *second = sample_ruleset(arena, now);
  struct set *marks = sample_find_set(second, "in_force.a.b");
  struct chain *various = sample_find_chain(second, "various");
  marks->elements[0].comment = "F-1, renamed";
  marks->elements[1].expires.seconds += 500;
  marks->element_count--;
  various->rule_count -= 2;
  sample_find_set(second, "exact4")->elements[1].mark = 77;
  apply(first);
  ck_assert_uint_gt(apply(second), 0);
  check_kernel_holds(second);
  apply(first);
  check_kernel_holds(first);
}
END_TEST

START_TEST(a_hundred_thousand_elements_are_loaded) {
  enum { COUNT = 100000 };
  struct ruleset *wanted = sample_large_ruleset(arena, COUNT);
  apply(wanted);
  struct ruleset *found = read_back();
  ck_assert_uint_eq(found->sets[0].element_count, COUNT);
  check_kernel_holds(wanted);
}
END_TEST

START_TEST(elements_end_by_themselves_and_are_then_not_missed) {
  struct ruleset *wanted = sample_ruleset(arena, now);
  struct set *marks = sample_find_set(wanted, "in_force.a.b");
  marks->elements[0].expires.seconds = now.seconds - 5; /* ended before */
  marks->elements[1].expires.seconds = now.seconds + 1;
  apply(wanted);
  struct timespec pause = {.tv_sec = 2};
  nanosleep(&pause, NULL);
  now.seconds = time(NULL);
  ck_assert_uint_eq(sample_find_set(read_back(), "in_force.a.b")->element_count, 1);
  apply(wanted);
  ck_assert_uint_eq(sample_find_set(read_back(), "in_force.a.b")->element_count, 1);
}
END_TEST

START_TEST(counters_of_unchanged_elements_survive) {
  struct ruleset *wanted = sample_ruleset(arena, now);
  struct element *element = &sample_find_set(wanted, "in_force.a.b")->elements[0];
  element->packets = 12;
  element->bytes = 3456;
  apply(wanted);
  element->packets = 0;
  element->bytes = 0;
  sample_find_chain(wanted, "various")->rule_count--;
  apply(wanted);
  const struct element *found = &sample_find_set(read_back(), "in_force.a.b")->elements[0];
  ck_assert_uint_eq(found->packets, 12);
  ck_assert_uint_eq(found->bytes, 3456);
}
END_TEST

/* ---- others change the ruleset too ---- */

START_TEST(a_transaction_against_a_moved_generation_is_refused) {
  struct ruleset *nothing = read_back();
  struct ruleset *wanted = sample_ruleset(arena, now);
  struct delta *delta = NULL;
  ck_assert_int_eq(ruleset_difference(nothing, wanted, arena, &delta), 0);
  run("nft add table ip other");
  ck_assert_int_eq(nftables_send(nftables, delta, PHASE_ADD, now, nothing->generation, NULL, &error), -ERESTART);
  ck_assert(!read_back()->present);
  uint32_t generation = 0;
  ck_assert_int_eq(nftables_generation(nftables, &generation, &error), 0);
  ck_assert_msg(nftables_send(nftables, delta, PHASE_ADD, now, generation, NULL, &error) == 0, "%s", error.message);
  check_kernel_holds(wanted);
}
END_TEST

static pid_t start_churn(void) {
  pid_t child = fork();
  ck_assert_int_ge(child, 0);
  if (child == 0) {
    execl("/bin/sh", "sh", "-c", "while :; do nft add table ip churn; sleep 0.03; nft delete table ip churn; done",
          (char *)NULL);
    _exit(127);
  }
  return child;
}

START_TEST(changes_by_others_meanwhile_are_survived) {
  pid_t churn = start_churn();
  struct ruleset *first = sample_large_ruleset(arena, 3000);
  struct ruleset *second = sample_large_ruleset(arena, 2500);
  second->sets[0].size = first->sets[0].size;
  for (unsigned round = 0; round < 6; round++) {
    apply(round % 2 == 0 ? first : second);
    check_kernel_holds(round % 2 == 0 ? first : second);
  }
  kill(churn, SIGKILL);
  waitpid(churn, NULL, 0);
}
END_TEST

/* Each line is done to the loaded sample by somebody else; apply must see it and undo it. */
static const char *const meddling[] = {
    "insert rule inet kido forward accept",
    "add rule inet kido various ip ttl set 5",
    "add rule inet kido pair.a.b counter name \"guard.-.unknown-zone\"",
    "flush chain inet kido forward",
    "add element inet kido in_force.a.b { 0x99 }",
    "delete element inet kido in_force.a.b { 0x1 }",
    "add element inet kido receiving { \"eth7\" : accept }",
    "add element inet kido range4 { 9.9.9.9 . 9 . 9.9.9.9 : 9 }",
    "add element inet kido source4.a { 172.16.0.0/12 }",
    "delete element inet kido source4.a { 11.0.0.0-11.0.0.5 }",
    "add set inet kido stranger { type ipv4_addr; }",
    "add chain inet kido stranger",
    "add chain inet kido stranger { type nat hook postrouting priority 100; }",
    "add chain inet kido forward { policy accept; }",
    "add counter inet kido stranger",
    "add quota inet kido stranger over 1 mbytes",
    "add set inet kido stranger { type ipv4_addr; flags dynamic; }",
    "add element inet kido tunnel_protocols { * }",
    "add rule inet kido various tcp option maxseg size set 500",
    "delete table inet kido",
};

START_TEST(what_others_did_to_the_table_is_undone) {
  struct ruleset *wanted = sample_ruleset(arena, now);
  const char *what = "";
  apply(wanted);
  run("nft '%s'", meddling[_i]);
  struct ruleset *found = read_back();
  ck_assert_msg(!found->present || !ruleset_equal(found, wanted, arena, &what), "'%s' is not seen", meddling[_i]);
  ck_assert_uint_gt(apply(wanted), 0);
  check_kernel_holds(wanted);
}
END_TEST

START_TEST(a_dormant_table_is_woken) {
  struct ruleset *wanted = sample_ruleset(arena, now);
  apply(wanted);
  run("nft 'table inet kido { flags dormant; }'");
  ck_assert(read_back()->dormant);
  apply(wanted);
  ck_assert(!read_back()->dormant);
  check_kernel_holds(wanted);
}
END_TEST

START_TEST(other_tables_are_left_alone) {
  run("nft 'table ip other { chain c { type filter hook forward priority 0; counter; }; }'");
  const char *before = run("nft list table ip other");
  apply(sample_ruleset(arena, now));
  ck_assert_str_eq(run("nft list table ip other"), before);
}
END_TEST

START_TEST(other_tables_are_listed_with_what_matters_of_them) {
  struct nftables_table_list list;
  apply(sample_ruleset(arena, now));
  ck_assert_int_eq(nftables_other_tables("kido", arena, &list, &error), 0);
  ck_assert_uint_eq(list.count, 0);
  run("nft 'table ip kido { chain c { type filter hook forward priority 0; }; chain d { type nat hook postrouting "
      "priority 0; }; chain e { }; }; table arp a { chain c { type filter hook input priority 0; }; }; "
      "table inet asleep { flags dormant; chain c { type filter hook forward priority 0; }; }; table inet empty { }'");
  static const struct {
    const char *family, *name;
    size_t chains;
    bool matters;
  } wanted[] = {
      {"arp", "a", 0, false}, {"inet", "asleep", 1, false}, {"inet", "empty", 0, false}, {"ip", "kido", 2, true}};
  ck_assert_int_eq(nftables_other_tables("kido", arena, &list, &error), 0);
  ck_assert_uint_eq(list.count, sizeof wanted / sizeof wanted[0]);
  for (size_t i = 0; i < list.count; i++) {
    ck_assert_str_eq(list.items[i].family, wanted[i].family);
    ck_assert_str_eq(list.items[i].name, wanted[i].name);
    ck_assert_uint_eq(list.items[i].chain_count, wanted[i].chains);
    ck_assert_msg(nftables_table_matters(&list.items[i]) == wanted[i].matters, "%s", wanted[i].name);
    ck_assert(!list.items[i].owned && list.items[i].owner == 0);
  }
}
END_TEST

START_TEST(a_table_of_another_program_is_known_by_its_owner) {
  struct nftables_table_list list;
  FILE *nft = popen("nft -i >/dev/null", "w");
  ck_assert_ptr_nonnull(nft);
  fputs("add table inet theirs { flags owner; }\n", nft);
  fflush(nft);
  for (unsigned i = 0; i < 3000; i++) {
    ck_assert_int_eq(nftables_other_tables("kido", arena, &list, &error), 0);
    if (list.count > 0)
      break;
    usleep(10000);
  }
  pclose(nft);
  ck_assert_uint_eq(list.count, 1);
  ck_assert(list.items[0].owned && !list.items[0].persistent);
  ck_assert_uint_gt(list.items[0].owner, 0);
}
END_TEST

/* ---- refusals ---- */

START_TEST(a_refused_element_is_named_by_its_origin) {
  struct ruleset *wanted = sample_ruleset(arena, now);
  struct set *map = sample_find_set(wanted, "receiving");
  map->elements[1].verdict = (struct verdict){VERDICT_GOTO, "no-such-chain"};
  map->elements[1].origin = (struct origin){.subject = "F-301", .place = {.file = "town.conf", .line = 17}};
  ck_assert_int_lt(nftables_apply(nftables, wanted, now, NULL, &refusal, &error), 0);
  ck_assert(refusal.known);
  ck_assert_str_eq(refusal.origin.subject, "F-301");
  ck_assert_uint_eq(refusal.origin.place.line, 17);
  ck_assert_str_eq(refusal.what, "element of set 'receiving'");
  ck_assert_ptr_nonnull(strstr(error.message, "F-301"));
  ck_assert(!read_back()->present); /* nothing was changed */
}
END_TEST

START_TEST(of_a_hundred_thousand_elements_the_refused_one_is_named) {
  enum { COUNT = 100000, BAD = 77777 };
  struct ruleset *wanted = sample_large_ruleset(arena, COUNT);
  struct set *set = &wanted->sets[0];
  set->data = MAP_VERDICT;
  set->counters = false;
  for (size_t i = 0; i < COUNT; i++) {
    set->elements[i].verdict = (struct verdict){VERDICT_ACCEPT, NULL};
  }
  set->elements[BAD].verdict = (struct verdict){VERDICT_GOTO, "no-such-chain"};
  set->elements[BAD].origin.subject = "the bad one";
  ck_assert_int_lt(nftables_apply(nftables, wanted, now, NULL, &refusal, &error), 0);
  ck_assert(refusal.known);
  ck_assert_str_eq(refusal.origin.subject, "the bad one");
}
END_TEST

START_TEST(a_refused_rule_is_named_by_its_origin) {
  struct ruleset *wanted = sample_ruleset(arena, now);
  struct rule *rule = &sample_find_chain(wanted, "pair.a.b")->rules[1];
  rule->expressions[0].key = 200; /* no such conntrack key; Linux 6.1 looks at its low eight bits only */
  rule->origin.subject = "F-302";
  ck_assert_int_lt(nftables_apply(nftables, wanted, now, NULL, &refusal, &error), 0);
  ck_assert(refusal.known);
  ck_assert_str_eq(refusal.origin.subject, "F-302");
  ck_assert_str_eq(refusal.what, "rule of chain 'pair.a.b'");
}
END_TEST

START_TEST(a_refused_set_is_named_by_its_origin) {
  struct ruleset *wanted = sample_ruleset(arena, now);
  struct set *set = sample_find_set(wanted, "everything");
  set->size = 0;
  set->name = "wrong key length";
  set->key_size = 0;
  set->element_count = 0;
  set->origin.subject = "lgwan";
  ck_assert_int_lt(nftables_apply(nftables, wanted, now, NULL, &refusal, &error), 0);
  ck_assert_str_eq(refusal.origin.subject, "lgwan");
}
END_TEST

/* ---- the same as nft ---- */

static void load_with_nft(const struct ruleset *ruleset) {
  char path[] = "/tmp/kido-test-XXXXXX";
  int fd = mkstemp(path);
  ck_assert_int_ge(fd, 0);
  FILE *stream = fdopen(fd, "w");
  ck_assert_int_eq(ruleset_print_nft(stream, ruleset, (struct instant){time(NULL)}), 0);
  fclose(stream);
  run("nft -f %s 2>&1; s=$?; rm %s; exit $s", path, path);
}

/* Remaining times differ from run to run. */
static const char *list_with_nft(void) {
  return run("nft list table inet kido | sed -E 's/ expires [0-9dhms]+//g; s/timeout [0-9dhms]+/timeout/g'");
}

static void check_same_by_both_ways(const struct ruleset *wanted) {
  const char *what = "";
  load_with_nft(wanted);
  struct ruleset *by_nft = read_back();
  const char *listed_by_nft = list_with_nft();
  ck_assert_msg(ruleset_equal(by_nft, wanted, arena, &what), "loaded by nft: %s", what);
  ck_assert_uint_eq(apply(wanted), 0); /* nothing to do */
  run("nft delete table inet kido");
  apply(wanted);
  struct ruleset *by_us = read_back();
  ck_assert_msg(ruleset_equal(by_us, wanted, arena, &what), "loaded by us: %s", what);
  ck_assert_str_eq(list_with_nft(), listed_by_nft);
}

START_TEST(nft_and_we_load_the_sample_alike) {
  check_same_by_both_ways(sample_ruleset(arena, now));
}
END_TEST

START_TEST(nft_and_we_load_the_town_alike) {
  struct address_range own_ranges[] = {{address_from_ipv4(0x0ad20001), address_from_ipv4(0x0ad20001)}};
  struct address_set own;
  ck_assert_int_eq(address_set_build(arena, own_ranges, 1, &own), 0);
  struct compile_options options = {.now = now, .own = &own, .denied_log_group = _i == 2 ? 7 : 0};
  struct ruleset *wanted = NULL;
  const struct policy *policy = town_load(_i == 0 ? TOWN_IN_FORCE : TOWN_IN_FORCE | TOWN_DUAL_STACK, now, arena);
  ck_assert_ptr_nonnull(policy);
  ck_assert_msg(ruleset_compile(policy, &options, arena, &wanted, &error) == 0, "%s", error.message);
  check_same_by_both_ways(wanted);
}
END_TEST

/* Cuts of every kind, and a trial of everything: sets that hold all addresses, and interfaces that end. */
START_TEST(nft_and_we_load_restrictions_alike) {
  struct cut cuts[] = {{.kind = CUT_HOST, .by = "x", .why = "y"},
                       {.kind = CUT_HOST, .by = "x", .why = "y"},
                       {.kind = CUT_PAIR, .zone = "lgwan", .other_zone = "gateway", .by = "x", .why = "y"},
                       {.kind = CUT_ZONE, .zone = "relay", .by = "x", .why = "y"},
                       {.kind = CUT_ALL, .by = "x", .why = "y"}};
  ck_assert(address_parse("10.211.3.9", &cuts[0].address) && address_parse("2001:db8:ffff::9", &cuts[1].address));
  struct ruleset *wanted = NULL;
  const struct policy *policy = town_load(TOWN_IN_FORCE | TOWN_DUAL_STACK, now, arena);
  ck_assert_ptr_nonnull(policy);
  struct restrictions restrictions = {.cuts = cuts, .cut_count = _i == 0 ? 4 : 5};
  const struct instant deadline = {now.seconds + 600};
  ck_assert_int_eq(trial_deadlines(policy, NULL, deadline, now, arena, &restrictions), 0);
  struct compile_options options = {.now = now, .restrictions = &restrictions};
  ck_assert_msg(ruleset_compile(policy, &options, arena, &wanted, &error) == 0, "%s", error.message);
  ck_assert_ptr_nonnull(ruleset_find_set(wanted, "trial_within.lgwan"));
  check_same_by_both_ways(wanted);
}
END_TEST

START_TEST(nft_and_we_load_the_closed_gate_alike) {
  struct compile_options options = {.now = now};
  struct ruleset *wanted = NULL;
  const struct policy *policy = _i == 0 ? NULL : town_load(TOWN_IN_FORCE, now, arena);
  ck_assert_msg(ruleset_compile_closed(policy, &options, arena, &wanted, &error) == 0, "%s", error.message);
  check_same_by_both_ways(wanted);
}
END_TEST

/* ---- the machine ---- */

static bool owns(const struct topology *topology, const char *text) {
  struct address address;
  ck_assert(address_parse(text, &address));
  return address_set_contains(&topology->own, &address);
}

START_TEST(own_addresses_and_interfaces_are_known) {
  struct topology *topology = NULL;
  run("ip link set lo up; ip link add kt0 type veth peer name kt1; ip link add kbr type bridge; "
      "ip link set kt1 master kbr; ip addr add 192.0.2.7/24 dev kt0; ip -6 addr add 2001:db8::7/64 dev kt0 nodad; "
      "ip link set kt0 up; ip route add local 198.51.100.0/28 dev lo");
  ck_assert_msg(topology_read(arena, &topology, &error) == 0, "%s", error.message);
  ck_assert(owns(topology, "127.0.0.1"));
  ck_assert(owns(topology, "127.3.2.1"));
  ck_assert(owns(topology, "::1"));
  ck_assert(owns(topology, "192.0.2.7"));
  ck_assert(owns(topology, "2001:db8::7"));
  ck_assert(owns(topology, "198.51.100.15"));
  ck_assert(!owns(topology, "198.51.100.16"));
  ck_assert(!owns(topology, "192.0.2.8"));
  const struct topology_interface *bridge = topology_find(topology, "kbr");
  const struct topology_interface *port = topology_find(topology, "kt1");
  const struct topology_interface *other = topology_find(topology, "kt0");
  ck_assert_str_eq(bridge->kind, "bridge");
  ck_assert_uint_eq(port->master, bridge->index);
  ck_assert_str_eq(other->kind, "veth");
  ck_assert_uint_eq(other->parent, port->index);
  ck_assert(other->up && !port->up);
  ck_assert_ptr_null(topology_find(topology, "kt2"));
}
END_TEST

static bool readable(int fd) {
  struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
  return poll(&poll_fd, 1, 10000) == 1;
}

START_TEST(changes_of_addresses_and_interfaces_are_noticed) {
  static const char *const deeds[] = {"link add kt0 type veth peer name kt1", "addr add 192.0.2.1/24 dev kt0",
                                      "link set kt0 name kt9", "addr del 192.0.2.1/24 dev kt9", "link del kt9"};
  int fd = -1;
  ck_assert_int_eq(topology_watch_open(&fd, &error), 0);
  ck_assert(!topology_watch_drain(fd));
  for (size_t i = 0; i < sizeof(deeds) / sizeof(deeds[0]); i++) {
    run("ip %s", deeds[i]);
    ck_assert_msg(readable(fd), "%s", deeds[i]);
    ck_assert(topology_watch_drain(fd));
  }
  ck_assert(!topology_watch_drain(fd));
  close(fd);
}
END_TEST

START_TEST(settings_are_brought_to_what_the_ruleset_relies_on) {
  struct system_report report = {0};
  run("ip link add kt0 type veth peer name kt1; nft 'add table inet t { chain c { ct state new; }; }'");
  ck_assert_int_eq(system_check(arena, &report, &error), 0);
  ck_assert_uint_gt(report.count, 0);
  ck_assert_msg(system_set_forwarding(true, &error) == 0, "%s", error.message);
  ck_assert(system_forwards());
  ck_assert_msg(system_harden(&error) == 0, "%s", error.message);
  ck_assert_int_eq(system_check(arena, &report, &error), 0);
  ck_assert_msg(report.count == 0, "%s is %s", report.faults[0].path, report.faults[0].found);
  ck_assert_int_eq(atoi(run("cat /proc/sys/net/ipv4/conf/kt0/rp_filter")), 1);
  ck_assert_int_eq(atoi(run("cat /proc/sys/net/ipv4/conf/all/forwarding")), 1);
  run("echo 2 > /proc/sys/net/ipv4/conf/kt1/rp_filter");
  ck_assert_int_eq(system_check(arena, &report, &error), 0);
  ck_assert_uint_eq(report.count, 1);
  ck_assert_str_eq(report.faults[0].path, "net/ipv4/conf/kt1/rp_filter");
  ck_assert_str_eq(report.faults[0].found, "2");
  ck_assert_str_eq(report.faults[0].wanted, "1");
  ck_assert_int_eq(system_set_forwarding(false, &error), 0);
  ck_assert(!system_forwards());
}
END_TEST

static void send_marked_datagrams(uint16_t port, unsigned count) {
  int receiver = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  ck_assert_int_eq(bind(receiver, (struct sockaddr *)&address, sizeof(address)), 0);
  for (unsigned i = 0; i < count; i++) {
    int sender = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(sendto(sender, "x", 1, 0, (struct sockaddr *)&address, sizeof(address)), 1);
    close(sender);
  }
  close(receiver);
}

START_TEST(live_connections_are_listed_and_counted_by_mark) {
  struct connection_list list = {0};
  const struct connection_counts *counts = NULL;
  run("ip link set lo up; nft 'table inet t { chain c { type filter hook output priority 0; "
      "udp dport 7001 ct mark set 0x11; udp dport 7002 ct mark set 0x7ffffff2; }; }'");
  ck_assert_int_eq(connection_counts_read(arena, &counts, &error), 0);
  ck_assert_uint_eq(connection_counts_of(counts, 0x11), 0);
  send_marked_datagrams(7001, 3);
  send_marked_datagrams(7002, 5);
  ck_assert_msg(connection_counts_read(arena, &counts, &error) == 0, "%s", error.message);
  ck_assert_uint_eq(connection_counts_of(counts, 0x11), 3);
  ck_assert_uint_eq(connection_counts_of(counts, 0x7ffffff2), 5);
  ck_assert_uint_eq(connection_counts_of(counts, 0x12), 0);
  ck_assert_msg(conntrack_read(arena, &list, &error) == 0, "%s", error.message);
  ck_assert_uint_eq(list.count, 8);
  for (size_t i = 0; i < list.count; i++) {
    const struct connection *connection = &list.items[i];
    char text[ADDRESS_TEXT_SIZE];
    ck_assert_uint_eq(connection->protocol, IPPROTO_UDP);
    ck_assert_str_eq(address_format(&connection->original.destination, text), "127.0.0.1");
    ck_assert_uint_eq(connection->original.destination_port, connection->mark == 0x11 ? 7001 : 7002);
    ck_assert_uint_eq(connection->reply.source_port, connection->original.destination_port);
    ck_assert(!connection->answered);
    ck_assert_uint_gt(connection->timeout, 0);
  }
  ck_assert_int_eq(connection_counts_build(arena, &list, &counts), 0);
  ck_assert_uint_eq(connection_counts_of(counts, 0x11), 3);
}
END_TEST

static void add_loading(TCase *tests) {
  tcase_add_test(tests, what_is_applied_is_what_the_kernel_holds);
  tcase_add_test(tests, a_table_that_is_not_there_reads_as_not_present);
  tcase_add_test(tests, applying_the_same_again_changes_nothing);
  tcase_add_test(tests, a_change_is_brought_to_the_kernel);
  tcase_add_test(tests, a_hundred_thousand_elements_are_loaded);
  tcase_add_test(tests, elements_end_by_themselves_and_are_then_not_missed);
  tcase_add_test(tests, counters_of_unchanged_elements_survive);
  tcase_add_test(tests, a_transaction_against_a_moved_generation_is_refused);
  tcase_add_test(tests, changes_by_others_meanwhile_are_survived);
  tcase_add_loop_test(tests, what_others_did_to_the_table_is_undone, 0, sizeof(meddling) / sizeof(meddling[0]));
  tcase_add_test(tests, a_dormant_table_is_woken);
  tcase_add_test(tests, other_tables_are_left_alone);
  tcase_add_test(tests, other_tables_are_listed_with_what_matters_of_them);
  tcase_add_test(tests, a_table_of_another_program_is_known_by_its_owner);
}

static void add_rest(TCase *tests) {
  tcase_add_test(tests, a_refused_element_is_named_by_its_origin);
  tcase_add_test(tests, of_a_hundred_thousand_elements_the_refused_one_is_named);
  tcase_add_test(tests, a_refused_rule_is_named_by_its_origin);
  tcase_add_test(tests, a_refused_set_is_named_by_its_origin);
  tcase_add_test(tests, nft_and_we_load_the_sample_alike);
  tcase_add_loop_test(tests, nft_and_we_load_the_town_alike, 0, 3);
  tcase_add_loop_test(tests, nft_and_we_load_restrictions_alike, 0, 2);
  tcase_add_loop_test(tests, nft_and_we_load_the_closed_gate_alike, 0, 2);
  tcase_add_test(tests, own_addresses_and_interfaces_are_known);
  tcase_add_test(tests, changes_of_addresses_and_interfaces_are_noticed);
  tcase_add_test(tests, settings_are_brought_to_what_the_ruleset_relies_on);
  tcase_add_test(tests, live_connections_are_listed_and_counted_by_mark);
}

enum { SKIPPED = 77 };

int main(void) {
  if (geteuid() != 0) {
    fprintf(stderr, "skipped: needs root for a network namespace\n");
    return SKIPPED;
  }
  Suite *suite = suite_create("nftables_kernel");
  TCase *tests = tcase_create("kernel");
  tcase_add_checked_fixture(tests, enter, leave);
  tcase_set_timeout(tests, 120);
  add_loading(tests);
  add_rest(tests);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
