/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reloads of every kind at the full rate of a processor, hundreds of thousands of packets a second, half of them
 * forbidden: what is permitted before and after is never lost, what is forbidden never passes. Every packet is counted
 * by its kind; the numbers must be exact.
 */
#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "generator.h"
#include "kernel/nftables.h"
#include "lab.h"
#include "rules/compile.h"
#include "rules/print.h"
#include "town.h"

enum {
  SKIPPED = 77,
  RELOADS = 50,
  MANY_RELOADS = 500, /* from here on it is a long run, with longer rounds of packets: to begin one takes time */
  SPOILED_RELOADS = 300,
  ROUNDS = 3,        /* at least so many while a change is reloaded */
  TURNS_FIRST = 500, /* of a round: frames of each kind */
  TURNS_MAX = 200000,
  UDP_TIMEOUT = 2, /* seconds; short, so that old connections make room for new ones */
  ATTEMPTS = 5,
  DAY = 86400,
};

static const double round_seconds = 0.1, long_round_seconds = 0.5;

/* ---- policies ---- */

/* What a policy of this test consists of. Every one allows the traffic's flow and nothing that is forbidden. */
struct variant {
  const char *flow;      /* name of the flow that the traffic uses; NULL: "F-1" */
  const char *from, *to; /* its ends; NULL: the hosts themselves */
  const char *left;      /* name of the zone on the left; NULL: "left" */
  int days;              /* until the flow ends; 0: it does not */
  bool split;            /* its services stand in two flows */
  bool away;             /* a third zone */
  bool pair;             /* with a flow from there */
  bool within;
  const char *spare;    /* zone of the interface spare0; NULL: none */
  unsigned other_flows; /* beside it */
  unsigned other_base;  /* number of the first of them */
};

static const struct change {
  const char *what;
  struct variant one, other;
} changes[] = {
    {"a flow added, removed", {.other_flows = 3}, {.other_flows = 4}},
    {"a flow renamed", {.flow = "F-1"}, {.flow = "F-renamed"}},
    {"a flow widened, narrowed", {.from = "l"}, {.from = "l-near"}},
    {"both ends widened, narrowed", {.from = "l"}, {.from = "l-wide", .to = "r-wide"}},
    {"a flow split in two, joined", {.split = false}, {.split = true}},
    {"an end moved", {.days = 30}, {.days = 60}},
    {"an end set, lifted", {.days = 0}, {.days = 30}},
    {"a pair of zones added, removed", {.away = true}, {.away = true, .pair = true}},
    {"a zone added, removed", {.away = false}, {.away = true, .pair = true}},
    {"a zone renamed", {.left = "left"}, {.left = "west"}},
    {"an interface added, removed", {.spare = NULL}, {.spare = "left"}},
    {"an interface moved", {.away = true, .spare = "left"}, {.away = true, .spare = "away"}},
    {"traffic within a zone switched", {.spare = "left"}, {.spare = "left", .within = true}},
    {"the whole policy",
     {.other_flows = 5},
     {.flow = "F-whole",
      .from = "l-wide",
      .left = "west",
      .days = 30,
      .away = true,
      .pair = true,
      .spare = "away",
      .other_flows = 120,
      .other_base = 500}},
};
enum { CHANGES = sizeof(changes) / sizeof(changes[0]) };

static const char *or_else(const char *text, const char *otherwise) {
  return text != NULL ? text : otherwise;
}

static void write_flow(FILE *out, const char *name, const char *from, const char *to, const char *services, int days) {
  fprintf(out,
          "  %s = { from = \"%s\"; to = \"%s\"; services = [ %s ]; method = \"ops\"; purpose = \"p\"; owner = \"o\"; "
          "approval = { by = \"b\"; role = \"ciso\"; document = \"d\"; date = \"2026-04-01\"; author = \"a\"; }; ",
          name, from, to, services);
  time_t end = time(NULL) / DAY * DAY + (time_t)days * DAY;
  struct tm civil;
  gmtime_r(&end, &civil);
  if (days != 0)
    fprintf(out, "expires = \"%04d-%02d-%02d\"; };\n", civil.tm_year + 1900, civil.tm_mon + 1, civil.tm_mday);
  else
    fprintf(out, "review = \"2027-01-01\"; };\n");
}

static void write_zones(FILE *out, const struct variant *variant) {
  const char *left = or_else(variant->left, "left"), *spare = or_else(variant->spare, "");
  fprintf(
      out,
      "zones = {\n  %s = { class = \"lgwan\"; interfaces = [ \"left0\"%s ]; networks = [ \"10.1.0.0/24\" ]; %s };\n",
      left, strcmp(spare, "left") == 0 ? ", \"spare0\"" : "", variant->within ? "within = \"allow\";" : "");
  fprintf(out, "  right = { class = \"ot\"; interfaces = [ \"right0\" ]; networks = [ \"10.2.0.0/24\" ]; };\n");
  if (variant->away)
    fprintf(out,
            "  away = { class = \"management\"; interfaces = [ \"away0\"%s ]; networks = [ \"10.3.0.0/24\" ]; };\n",
            strcmp(spare, "away") == 0 ? ", \"spare0\"" : "");
  fprintf(out, "};\n");
}

static void write_hosts(FILE *out, const struct variant *variant) {
  static const char *const on_the_left[][2] = {
      {"l", "10.1.0.9"}, {"l-near", "10.1.0.8/30"}, {"l-wide", "10.1.0.0/24"}, {"l-other", "10.1.0.20-10.1.0.40"}};
  fprintf(out, "hosts = {\n");
  for (size_t i = 0; i < sizeof(on_the_left) / sizeof(on_the_left[0]); i++)
    fprintf(out, "  %s = { zone = \"%s\"; address = \"%s\"; };\n", on_the_left[i][0], or_else(variant->left, "left"),
            on_the_left[i][1]);
  fprintf(out, "  r = { zone = \"right\"; address = \"10.2.0.9\"; };\n"
               "  r-wide = { zone = \"right\"; address = \"10.2.0.0/24\"; };\n"
               "  r-other = { zone = \"right\"; address = \"10.2.0.50\"; };\n");
  if (variant->away)
    fprintf(out, "  a = { zone = \"away\"; address = \"10.3.0.9\"; };\n");
  fprintf(out, "};\n");
}

static void write_flows(FILE *out, const struct variant *variant) {
  const char *name = or_else(variant->flow, "F-1"), *from = or_else(variant->from, "l"),
             *to = or_else(variant->to, "r");
  write_flow(out, name, from, to, variant->split ? "\"udp/53\"" : "\"udp/53\", \"udp/1000-1010\"", variant->days);
  if (variant->split)
    write_flow(out, "F-split", from, to, "\"udp/1000-1010\"", variant->days);
  for (unsigned i = 0; i < variant->other_flows; i++) {
    char other[32], services[64];
    unsigned port = 2000 + (variant->other_base + i) * 3;
    snprintf(other, sizeof(other), "F-other-%u", variant->other_base + i);
    snprintf(services, sizeof(services), "\"tcp/%u\", \"udp/%u-%u\"", port, port, port + 1);
    write_flow(out, other, "l-other", i % 2 == 0 ? "r-other" : "r-wide", services, 0);
  }
  if (variant->pair)
    write_flow(out, "F-away", "a", "l", "\"tcp/443\"", 0);
}

static const struct policy *variant_policy(const struct variant *variant, struct arena *arena) {
  char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  if (out == NULL)
    return NULL;
  fprintf(out, "policy = { name = \"rate\"; number = \"1\"; basis = \"b\"; effective = \"2026-04-01\"; model = "
               "\"alpha\"; timezone = \"Asia/Tokyo\"; language = \"en\"; };\n");
  write_zones(out, variant);
  write_hosts(out, variant);
  fprintf(out, "services = { };\nflows = {\n");
  write_flows(out, variant);
  fprintf(out, "};\n");
  fclose(out);
  const struct policy *policy = town_policy("rate.conf", text, arena);
  free(text);
  return policy;
}

/* ---- traffic ---- */

enum kind { KIND_ESTABLISHED = 1, KIND_NEW, KIND_PORT, KIND_SPOOFED, KIND_ANSWER, KIND_REVERSE, KIND_COUNT };

static const char *const kind_names[KIND_COUNT] = {"anything else",  "established", "new",    "forbidden port",
                                                   "spoofed source", "answers",     "reverse"};
static const bool kind_permitted[KIND_COUNT] = {[KIND_ESTABLISHED] = true, [KIND_NEW] = true, [KIND_ANSWER] = true};

static struct generator_kind kind_of(enum kind kind, const char *source, const char *destination, uint16_t sport,
                                     uint16_t dport) {
  struct generator_kind made = {.kind = kind, .source_mac.bytes[0] = 2, .varies = sport == 0};
  made.packet.protocol = PROTOCOL_UDP;
  made.packet.source_port = sport;
  made.packet.destination_port = dport;
  ck_assert(address_parse(source, &made.packet.source) && address_parse(destination, &made.packet.destination));
  return made;
}

struct field {
  struct arena *arena;
  struct lab *lab;
  struct nftables *nftables;
  struct generator *left, *right;
  struct sieve *sieve;
  pthread_t thread;
  atomic_bool stop;
  struct error error, traffic_error;
  int traffic_status;
  uint32_t round_turns;
  atomic_uint rounds;
  uint64_t turns;            /* frames of each kind so far */
  double began, ended, busy; /* busy: seconds of processor time that the frames took */
  double latest, longest;    /* the end of the latest run of a generator, and the longest time between two */
  unsigned attempts;
  uint64_t came[GENERATOR_KINDS];
};

static struct field field;

static double clock_seconds(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void check_worked(int status) {
  ck_assert_msg(status == 0, "%s", field.error.message);
}

static void open_generators(void) {
  /* The reverse kind never comes from 1005 (its ports, generator.c): that would be an answer to a new connection. */
  const struct generator_kind left[] = {
      kind_of(KIND_ESTABLISHED, "10.1.0.9", "10.2.0.9", 1234, 53),
      kind_of(KIND_PORT, "10.1.0.9", "10.2.0.9", 0, 54),
      kind_of(KIND_NEW, "10.1.0.9", "10.2.0.9", 0, 1005),
      kind_of(KIND_SPOOFED, "10.2.0.77", "10.2.0.9", 0, 53),
  };
  const struct generator_kind right[] = {
      kind_of(KIND_ANSWER, "10.2.0.9", "10.1.0.9", 53, 1234),
      kind_of(KIND_REVERSE, "10.2.0.9", "10.1.0.9", 0, 53),
  };
  check_worked(generator_new(field.lab, lab_find_interface(field.lab, "left0"), left, sizeof(left) / sizeof(left[0]),
                             &field.left, &field.error));
  check_worked(generator_new(field.lab, lab_find_interface(field.lab, "right0"), right,
                             sizeof(right) / sizeof(right[0]), &field.right, &field.error));
  check_worked(sieve_new(field.lab, &field.sieve, &field.error));
}

static void open_field(void) {
  static const struct variant widest = {.away = true, .spare = "left"};
  struct lab_options options = {.no_capture = true};
  field.arena = arena_new(0);
  const struct policy *policy = variant_policy(&widest, field.arena);
  ck_assert_ptr_nonnull(policy);
  check_worked(lab_new(policy, &options, &field.lab, &field.error));
  check_worked(nftables_open(&field.nftables, &field.error));
  open_generators();
}

static void close_field(void) {
  generator_free(field.left);
  generator_free(field.right);
  sieve_free(field.sieve);
  nftables_close(field.nftables);
  lab_free(field.lab);
  arena_free(field.arena);
}

static int run_generator(struct generator *generator, uint32_t turns) {
  field.traffic_status = generator_run(generator, turns, &field.traffic_error);
  double now = clock_seconds(CLOCK_MONOTONIC);
  if (now - field.latest > field.longest)
    field.longest = now - field.latest;
  field.latest = now;
  return field.traffic_status;
}

/* Both directions, the opener of what is established first. */
static int run_turns(uint32_t turns) {
  if (run_generator(field.left, turns) == 0)
    (void)run_generator(field.right, turns);
  field.turns += turns;
  return field.traffic_status;
}

static void pin(int processor) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET((size_t)processor, &set);
  (void)sched_setaffinity(0, sizeof(set), &set);
}

static size_t wanted_reloads(void) {
  const char *text = getenv("KIDO_RELOADS");
  return text != NULL ? strtoul(text, NULL, 10) : RELOADS;
}

/* To begin an injection costs some thirty milliseconds, so a fast machine gets long rounds. */
static void *run_traffic(void *unused) {
  (void)unused;
  double enough = wanted_reloads() < MANY_RELOADS ? round_seconds : long_round_seconds;
  pin((int)sysconf(_SC_NPROCESSORS_ONLN) - 1);
  while (!atomic_load(&field.stop)) {
    double began = clock_seconds(CLOCK_MONOTONIC);
    if (run_turns(field.round_turns) < 0)
      break;
    if (clock_seconds(CLOCK_MONOTONIC) - began < enough && field.round_turns < TURNS_MAX)
      field.round_turns *= 2;
    atomic_fetch_add(&field.rounds, 1);
  }
  field.busy = clock_seconds(CLOCK_THREAD_CPUTIME_ID);
  return NULL;
}

static void start_traffic(void) {
  char seconds[16];
  snprintf(seconds, sizeof(seconds), "%d", UDP_TIMEOUT);
  (void)lab_set("net/netfilter/nf_conntrack_udp_timeout", seconds);
  field.turns = 0;
  field.longest = 0;
  field.latest = clock_seconds(CLOCK_MONOTONIC);
  field.round_turns = field.round_turns == 0 ? TURNS_FIRST : field.round_turns;
  atomic_store(&field.rounds, 0);
  check_worked(sieve_read(field.sieve, field.came, &field.error));
  ck_assert_int_eq(run_turns(1), 0);
  field.began = clock_seconds(CLOCK_MONOTONIC);
  atomic_store(&field.stop, false);
  sigset_t all, before; /* a signal would interrupt the injection in the middle */
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int status = pthread_create(&field.thread, NULL, run_traffic, NULL);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  ck_assert_int_eq(status, 0);
}

/* Leaves in field.came what came out of each kind. */
static void stop_traffic(void) {
  uint64_t after[GENERATOR_KINDS];
  atomic_store(&field.stop, true);
  ck_assert_int_eq(pthread_join(field.thread, NULL), 0);
  field.ended = clock_seconds(CLOCK_MONOTONIC);
  ck_assert_msg(field.traffic_status == 0, "%s", field.traffic_error.message);
  check_worked(sieve_read(field.sieve, after, &field.error));
  for (int i = 0; i < GENERATOR_KINDS; i++)
    field.came[i] = after[i] - field.came[i];
}

static uint64_t count_lost(void) {
  uint64_t lost = 0;
  for (int i = 1; i < KIND_COUNT; i++)
    lost += kind_permitted[i] ? field.turns - field.came[i] : 0;
  return lost;
}

static uint64_t count_leaked(void) {
  uint64_t leaked = 0;
  for (int i = 1; i < KIND_COUNT; i++)
    leaked += kind_permitted[i] ? 0 : field.came[i];
  return leaked;
}

/* The rate by the clock on the wall, which others on the machine press, and by the time that the frames took. */
static void print_traffic(const char *what, size_t reloads, size_t operations) {
  double packets = (double)field.turns * (KIND_COUNT - 1);
  unsigned long long half = (unsigned long long)field.turns * 3;
  printf("%-32s %5zu reloads, %7zu operations; %3.0f,000 packets a second (%3.0f,000 of the processor's own); "
         "of %llu permitted %llu lost, of %llu forbidden %llu passed\n",
         what, reloads, operations, packets / (field.ended - field.began) / 1000, packets / field.busy / 1000, half,
         (unsigned long long)count_lost(), half, (unsigned long long)count_leaked());
  fflush(stdout);
}

/*
 * False: the traffic has to run once more. Answers pass while the kernel has their connection, which it ends when no
 * frame comes for UDP_TIMEOUT; when the machine stood still for so long (each of two runs of a generator may have had
 * its half), answers that were lost say nothing about reloads. Everything else is judged all the same.
 */
static bool nothing_was_lost_or_leaked(const char *what) {
  bool all = true;
  ck_assert_uint_gt(field.turns, 1);
  for (int i = 1; i < KIND_COUNT; i++) {
    uint64_t wanted = kind_permitted[i] ? field.turns : 0;
    if (i == KIND_ANSWER && field.came[i] < wanted && field.longest > UDP_TIMEOUT / 2.0) {
      printf("%s: no frame for %.1f seconds: answers are judged once more\n", what, field.longest);
      all = false;
      continue;
    }
    ck_assert_msg(field.came[i] == wanted, "%s, %s: %llu of %llu came out, expected %llu", what, kind_names[i],
                  (unsigned long long)field.came[i], (unsigned long long)field.turns, (unsigned long long)wanted);
  }
  ck_assert_msg(field.came[0] == 0, "the gateway sent %llu packets of its own", (unsigned long long)field.came[0]);
  ck_assert_msg(all || ++field.attempts < ATTEMPTS, "%s: the machine stood still in each of %d attempts", what,
                ATTEMPTS);
  return all;
}

/* ---- reloads ---- */

static struct ruleset *compile(const struct variant *variant) {
  struct ruleset *ruleset = NULL;
  struct compile_options options = {.now = {time(NULL)}, .own = lab_own(field.lab)};
  const struct policy *policy = variant_policy(variant, field.arena);
  ck_assert_ptr_nonnull(policy);
  check_worked(ruleset_compile(policy, &options, field.arena, &ruleset, &field.error));
  return ruleset;
}

static size_t load(const struct ruleset *ruleset) {
  size_t operations = 0;
  check_worked(nftables_apply(field.nftables, ruleset, (struct instant){time(NULL)}, &operations, NULL, &field.error));
  return operations;
}

/* Brings the kernel to the one and to the other in turn, the second first, as often as is wanted and while traffic has
 * rounds to go. Returns how often. */
static size_t reload_in_turn(const struct ruleset *const rulesets[2], size_t *ret_operations) {
  size_t done = 0, reloads = wanted_reloads();
  *ret_operations = 0;
  while (done < reloads || (atomic_load(&field.rounds) < ROUNDS && field.traffic_status == 0))
    *ret_operations += load(rulesets[++done % 2]);
  return done;
}

START_TEST(without_reloads_every_packet_is_accounted_for) {
  static const struct variant plain = {.other_flows = 3};
  struct timespec pause = {.tv_nsec = 10000000};
  open_field();
  (void)load(compile(&plain));
  do {
    start_traffic();
    while (atomic_load(&field.rounds) < 2 * ROUNDS && field.traffic_status == 0)
      nanosleep(&pause, NULL);
    stop_traffic();
    print_traffic("without reloads", 0, 0);
  } while (!nothing_was_lost_or_leaked("without reloads"));
  close_field();
}
END_TEST

START_TEST(AC_M1_reloads_of_every_kind_at_full_rate_lose_nothing_and_let_nothing_through) {
  const struct change *change = &changes[_i];
  open_field();
  const struct ruleset *rulesets[] = {compile(&change->one), compile(&change->other)};
  do {
    size_t operations;
    (void)load(rulesets[0]);
    start_traffic();
    size_t done = reload_in_turn(rulesets, &operations);
    stop_traffic();
    print_traffic(change->what, done, operations);
    ck_assert_msg(operations >= done, "%s: nothing was changed", change->what);
  } while (!nothing_was_lost_or_leaked(change->what));
  close_field();
}
END_TEST

START_TEST(AC_A8_between_closed_and_open_nothing_forbidden_passes) {
  static const struct variant plain = {.other_flows = 3};
  struct ruleset *closed = NULL;
  struct compile_options options = {.now = {time(NULL)}, .own = NULL};
  size_t operations;
  open_field();
  options.own = lab_own(field.lab);
  const struct ruleset *open = compile(&plain);
  check_worked(
      ruleset_compile_closed(variant_policy(&plain, field.arena), &options, field.arena, &closed, &field.error));
  (void)load(closed);
  start_traffic();
  size_t done = reload_in_turn((const struct ruleset *const[]){closed, open}, &operations);
  (void)load(closed);
  stop_traffic();
  print_traffic("closed, open, closed", done, operations);
  ck_assert_uint_eq(count_leaked(), 0);
  ck_assert_msg(field.came[KIND_NEW] > 0 && field.came[KIND_NEW] < field.turns, "it was open at times, and closed");
  uint64_t before = field.turns;
  start_traffic();
  stop_traffic();
  ck_assert_uint_gt(before, 0);
  ck_assert_uint_eq(count_leaked(), 0);
  ck_assert_msg(count_lost() == field.turns * 3, "closed, nothing passes");
  close_field();
}
END_TEST

/* ---- the test itself can fail ---- */

static void write_nft(const struct ruleset *ruleset, const char *before, const char *path) {
  FILE *out = fopen(path, "w");
  ck_assert_ptr_nonnull(out);
  fprintf(out, "%s", before);
  ck_assert_int_eq(ruleset_print_nft(out, ruleset, (struct instant){time(NULL)}), 0);
  fclose(out);
}

/* Loads by nft until something went wrong, but not for ever. */
static size_t spoil(const char *command, uint64_t (*count)(void)) {
  size_t reloads = 0;
  do {
    start_traffic();
    for (int i = 0; i < 10; i++, reloads++)
      ck_assert_int_eq(lab_command("%s", command), 0);
    stop_traffic();
  } while (count() == 0 && reloads < SPOILED_RELOADS);
  return reloads;
}

/* replace: a command that makes the table anew from the file named behind it; head: what stands first in the file. */
static size_t spoil_with(const char *head, const char *replace, const char *what, uint64_t (*count)(void)) {
  static const struct variant plain = {.other_flows = 3};
  char path[] = "/tmp/kido-rate-XXXXXX", command[128];
  const struct ruleset *ruleset = compile(&plain);
  (void)load(ruleset);
  close(mkstemp(path));
  write_nft(ruleset, head, path);
  snprintf(command, sizeof(command), "%s %s", replace, path);
  size_t reloads = spoil(command, count);
  unlink(path);
  print_traffic(what, reloads, 0);
  return reloads;
}

START_TEST(a_table_deleted_and_added_in_one_transaction_is_seen_to_lose_packets) {
  open_field();
  size_t reloads = spoil_with("delete table inet kido\n", "nft -f", "deleted and added at once", count_lost);
  ck_assert_msg(count_lost() > 0, "in %zu reloads no loss was seen", reloads);
  close_field();
}
END_TEST

START_TEST(a_table_deleted_before_it_is_added_is_seen_to_let_packets_through) {
  open_field();
  size_t reloads = spoil_with("", "nft delete table inet kido && nft -f", "deleted, then added", count_leaked);
  ck_assert_msg(count_leaked() > 0, "in %zu reloads no leak was seen", reloads);
  close_field();
}
END_TEST

/* In a process of its own, which the lab may keep: whether this kernel takes frames from a program. */
static bool kernel_can(void) {
  pid_t child = fork();
  if (child == 0) {
    static const struct variant widest = {.away = true};
    struct lab_options options = {.no_capture = true};
    field.arena = arena_new(0);
    struct generator_kind kind = {.kind = KIND_NEW, .packet.protocol = PROTOCOL_UDP};
    bool ready =
        lab_new(variant_policy(&widest, field.arena), &options, &field.lab, &field.error) == 0 &&
        address_parse("10.1.0.9", &kind.packet.source) && address_parse("10.2.0.9", &kind.packet.destination) &&
        generator_new(field.lab, 0, &kind, 1, &field.left, &field.error) == 0 &&
        sieve_new(field.lab, &field.sieve, &field.error) == 0 && generator_run(field.left, 1, &field.error) == 0;
    if (!ready)
      printf("skipped: %s\n", field.error.message);
    fflush(stdout);
    _exit(ready ? EXIT_SUCCESS : SKIPPED);
  }
  int status = 0;
  return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
}

int main(void) {
  lab_require();
  if (!kernel_can())
    return SKIPPED;
  Suite *suite = suite_create("reload at full rate");
  TCase *test = tcase_create("rate");
  tcase_set_timeout(test, 900);
  tcase_add_test(test, without_reloads_every_packet_is_accounted_for);
  tcase_add_loop_test(test, AC_M1_reloads_of_every_kind_at_full_rate_lose_nothing_and_let_nothing_through, 0, CHANGES);
  tcase_add_test(test, AC_A8_between_closed_and_open_nothing_forbidden_passes);
  tcase_add_test(test, a_table_deleted_and_added_in_one_transaction_is_seen_to_lose_packets);
  tcase_add_test(test, a_table_deleted_before_it_is_added_is_seen_to_let_packets_through);
  suite_add_tcase(suite, test);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
