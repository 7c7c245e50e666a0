/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Changing the policy under traffic: no permitted packet is lost, no forbidden one passes, and a connection whose flow
 * is withdrawn stops at its next packet, in both directions, whether or not any process of ours is alive.
 *
 * The laboratory handles each frame before its write returns, so every single packet is accounted for.
 */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <libnetfilter_conntrack/libnetfilter_conntrack.h>

#include "duel.h"
#include "rules/compile.h"
#include "town.h"

/* ---- policies: one base and what changes ---- */

static const char header[] =
    "policy = { name = \"reload\"; number = \"1\"; basis = \"b\"; effective = \"2026-04-01\"; model = \"alpha\"; "
    "timezone = \"Asia/Tokyo\"; language = \"en\"; "
    "half_open_limit = 65536; };\n"; /* a slot for each port: nobody answers the openings of these tests */

static const char zones[] =
    "  left = { class = \"lgwan\"; interfaces = [ \"left0\" ]; networks = [ \"10.1.0.0/24\" ]; };\n"
    "  right = { class = \"ot\"; interfaces = [ \"right0\" ]; networks = [ \"10.2.0.0/24\" ]; };\n";

static const char further_zone[] =
    "  away = { class = \"management\"; interfaces = [ \"away0\" ]; networks = [ \"10.3.0.0/24\" ]; };\n";

static const char hosts[] = "  l = { zone = \"left\"; address = \"10.1.0.9\"; };\n"
                            "  l-near = { zone = \"left\"; address = \"10.1.0.8/30\"; };\n"
                            "  l-wide = { zone = \"left\"; address = \"10.1.0.0/24\"; };\n"
                            "  l-other = { zone = \"left\"; address = \"10.1.0.20-10.1.0.40\"; };\n"
                            "  r = { zone = \"right\"; address = \"10.2.0.9\"; };\n"
                            "  r-wide = { zone = \"right\"; address = \"10.2.0.0/24\"; };\n"
                            "  r-other = { zone = \"right\"; address = \"10.2.0.50\"; };\n";

static const char further_host[] = "  a = { zone = \"away\"; address = \"10.3.0.9\"; };\n";

static void write_flow(FILE *out, const char *name, const char *from, const char *to, const char *services,
                       const char *more) {
  fprintf(
      out,
      "  %s = { from = \"%s\"; to = \"%s\"; services = [ %s ]; method = \"ops\"; purpose = \"p\"; owner = \"o\"; "
      "approval = { by = \"b\"; role = \"ciso\"; document = \"d\"; date = \"2026-04-01\"; author = \"a\"; }; review "
      "= \"2027-01-01\"; %s };\n",
      name, from, to, services, more);
}

/* What a policy of these tests consists of. */
struct policy_shape {
  const char *name;      /* of the flow that the traffic uses */
  const char *from, *to; /* its ends */
  bool split;            /* its two services stand in two flows */
  bool further_zone;
  unsigned other_flows; /* flows beside it that nobody uses */
  unsigned other_base;  /* number of the first of them */
};

static const struct policy *shape_policy(const struct policy_shape *shape, struct arena *arena) {
  char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  ck_assert_ptr_nonnull(out);
  fprintf(out, "%szones = {\n%s%s};\nhosts = {\n%s%s};\nservices = { };\nflows = {\n", header, zones,
          shape->further_zone ? further_zone : "", hosts, shape->further_zone ? further_host : "");
  if (shape->split) {
    write_flow(out, shape->name, shape->from, shape->to, "\"udp/53\"", "");
    write_flow(out, "F-split", shape->from, shape->to, "\"udp/1000-1010\", \"tcp/80\"", "");
  } else {
    write_flow(out, shape->name, shape->from, shape->to, "\"udp/53\", \"udp/1000-1010\", \"tcp/80\"", "");
  }
  for (unsigned i = 0; i < shape->other_flows; i++) {
    char name[32], services[64];
    unsigned number = shape->other_base + i;
    snprintf(name, sizeof(name), "F-other-%u", number);
    snprintf(services, sizeof(services), "\"tcp/%u\", \"udp/%u-%u\"", 2000 + number * 3, 2000 + number * 3,
             2001 + number * 3);
    write_flow(out, name, "l-other", number % 2 == 0 ? "r-other" : "r-wide", services, "");
  }
  if (shape->further_zone)
    write_flow(out, "F-away", "a", "l", "\"tcp/443\"", "");
  fprintf(out, "};\n");
  fclose(out);
  const struct policy *policy = town_policy("reload.conf", text, arena);
  free(text);
  return policy;
}

/* One after the other, again and again. Every one of them covers the traffic's flow and nothing that is forbidden. */
static const struct policy_shape shapes[] = {
    {"F-1", "l", "r", false, false, 3, 0},
    {"F-1", "l", "r", false, false, 3, 0}, /* nothing changed */
    {"F-1", "l", "r", false, false, 4, 0}, /* one added */
    {"F-1", "l", "r", false, false, 3, 1}, /* one removed */
    {"F-renamed", "l", "r", false, false, 3, 1},
    {"F-renamed", "l-near", "r", false, false, 3, 1},      /* widened */
    {"F-renamed", "l-wide", "r-wide", false, false, 3, 1}, /* widened at both ends */
    {"F-renamed", "l", "r", false, false, 3, 1},           /* narrowed */
    {"F-1", "l", "r", true, false, 3, 1},                  /* split in two */
    {"F-1", "l-near", "r-wide", true, false, 3, 1},
    {"F-1", "l", "r", false, true, 3, 1},             /* a zone more */
    {"F-1", "l", "r", false, false, 3, 1},            /* and gone */
    {"F-whole", "l-wide", "r", true, true, 120, 500}, /* the whole policy */
    {"F-1", "l", "r", false, false, 3, 0},            /* and back */
};

/* ---- the gateway ---- */

static struct arena *arena;
static struct lab *lab;
static struct nftables *nftables;

static void open_lab(void) {
  static const struct policy_shape widest = {"F-1", "l", "r", false, true, 0, 0};
  struct error error = {0};
  arena = arena_new(0);
  const struct policy *policy = shape_policy(&widest, arena);
  ck_assert_ptr_nonnull(policy);
  ck_assert_msg(lab_new(policy, NULL, &lab, &error) == 0, "%s", error.message);
  ck_assert_msg(nftables_open(&nftables, &error) == 0, "%s", error.message);
}

static void close_lab(void) {
  nftables_close(nftables);
  lab_free(lab);
  arena_free(arena);
}

static size_t load_policy(const struct policy *policy) {
  struct arena *scratch = arena_new(0);
  struct error error = {0};
  struct ruleset *ruleset;
  size_t changes = 0;
  struct compile_options options = {.now = {time(NULL)}, .own = lab_own(lab)};
  ck_assert_msg(ruleset_compile(policy, &options, scratch, &ruleset, &error) == 0, "%s", error.message);
  int code = nftables_apply(nftables, ruleset, options.now, &changes, NULL, &error);
  ck_assert_msg(code == 0, "%s", error.message);
  arena_free(scratch);
  return changes;
}

static void load_text(const char *text) {
  const struct policy *policy = town_policy("reload.conf", text, arena);
  ck_assert_ptr_nonnull(policy);
  (void)load_policy(policy);
}

static struct lab_probe probe_of(const char *source, const char *destination, uint8_t protocol, uint16_t sport,
                                 uint16_t dport) {
  struct lab_probe probe = {0};
  struct packet *packet = &probe.recipe.packet;
  ck_assert(address_parse(source, &packet->source) && address_parse(destination, &packet->destination));
  packet->protocol = protocol;
  packet->source_port = sport;
  packet->destination_port = dport;
  packet->tcp_flags = protocol == PROTOCOL_TCP ? TCP_SYN : 0;
  probe.recipe.source_mac.bytes[0] = 2;
  probe.interface = lab_interface_of(lab, &packet->source);
  return probe;
}

static bool passes(struct lab_probe *probe) {
  ck_assert_int_eq(lab_run(lab, probe, 1), 0);
  return probe->outcome != LAB_NOWHERE;
}

/* ---- a live TCP connection ---- */

struct connection {
  struct lab_probe forward, backward;
  uint32_t sent_forward, sent_backward; /* next sequence numbers */
};

static bool connection_send(struct connection *connection, bool forward, uint8_t flags) {
  struct lab_probe *probe = forward ? &connection->forward : &connection->backward;
  uint32_t *own = forward ? &connection->sent_forward : &connection->sent_backward;
  probe->recipe.packet.tcp_flags = flags;
  probe->recipe.tcp_sequence = *own;
  probe->recipe.tcp_acknowledgement =
      (flags & TCP_ACK) != 0 ? (forward ? connection->sent_backward : connection->sent_forward) : 0;
  bool passed = passes(probe);
  if (passed)
    *own += (uint32_t)LAB_FRAME_TAIL_SIZE + ((flags & TCP_SYN) != 0 ? 1 : 0);
  return passed;
}

static struct connection connection_open(const char *source, const char *destination, uint16_t sport, uint16_t dport) {
  struct connection connection = {.sent_forward = 1000, .sent_backward = 9000};
  connection.forward = probe_of(source, destination, PROTOCOL_TCP, sport, dport);
  connection.backward = probe_of(destination, source, PROTOCOL_TCP, dport, sport);
  ck_assert(connection_send(&connection, true, TCP_SYN));
  ck_assert(connection_send(&connection, false, TCP_SYN | TCP_ACK));
  ck_assert(connection_send(&connection, true, TCP_ACK));
  ck_assert(connection_send(&connection, false, TCP_ACK | TCP_PSH));
  return connection;
}

struct mark_search {
  uint16_t source_port;
  bool found;
  uint32_t mark;
};

static int see_entry(enum nf_conntrack_msg_type type, struct nf_conntrack *entry, void *context) {
  struct mark_search *search = context;
  (void)type;
  if (ntohs(nfct_get_attr_u16(entry, ATTR_ORIG_PORT_SRC)) == search->source_port) {
    search->found = true;
    search->mark = nfct_get_attr_u32(entry, ATTR_MARK);
  }
  return NFCT_CB_CONTINUE;
}

static uint32_t mark_of(uint16_t source_port) {
  struct mark_search search = {.source_port = source_port};
  struct nfct_handle *handle = nfct_open(CONNTRACK, 0);
  uint8_t family = AF_INET;
  ck_assert_ptr_nonnull(handle);
  nfct_callback_register(handle, NFCT_T_ALL, see_entry, &search);
  ck_assert_int_eq(nfct_query(handle, NFCT_Q_DUMP, &family), 0);
  nfct_close(handle);
  ck_assert_msg(search.found, "no connection from port %u", source_port);
  return search.mark;
}

/* ---- traffic under reloads ---- */

enum kind { KIND_ESTABLISHED, KIND_ANSWER, KIND_NEW, KIND_FORBIDDEN_PORT, KIND_FORBIDDEN_REVERSE, KIND_COUNT };

static const char *const kind_names[KIND_COUNT] = {"established", "answers", "new", "forbidden port",
                                                   "forbidden reverse"};
static const bool kind_permitted[KIND_COUNT] = {true, true, true, false, false};

enum { ROUND = 100, PORTS = 20000 };

struct traffic {
  pthread_t thread;
  atomic_bool stop;
  uint64_t sent[KIND_COUNT], came[KIND_COUNT];
  uint64_t rounds;
  int failure;
};

static struct lab_probe kind_probe(enum kind kind, uint64_t number) {
  uint16_t port = (uint16_t)(20000 + number % PORTS);
  switch (kind) {
  case KIND_ESTABLISHED:
    return probe_of("10.1.0.9", "10.2.0.9", PROTOCOL_UDP, 1234, 53);
  case KIND_ANSWER:
    return probe_of("10.2.0.9", "10.1.0.9", PROTOCOL_UDP, 53, 1234);
  case KIND_NEW:
    return probe_of("10.1.0.9", "10.2.0.9", PROTOCOL_UDP, port, (uint16_t)(1000 + number % 11));
  case KIND_FORBIDDEN_PORT:
    return probe_of("10.1.0.9", "10.2.0.9", PROTOCOL_UDP, port, 54);
  default:
    return probe_of("10.2.0.9", "10.1.0.9", PROTOCOL_UDP, port, 53);
  }
}

static void pause_microseconds(long microseconds) {
  struct timespec pause = {.tv_nsec = microseconds * 1000};
  nanosleep(&pause, NULL);
}

static void *run_traffic(void *context) {
  struct traffic *traffic = context;
  static struct lab_probe probes[ROUND];
  uint64_t number = 0;
  while (!atomic_load(&traffic->stop) && traffic->failure == 0) {
    for (size_t i = 0; i < ROUND; i++)
      probes[i] = kind_probe((enum kind)(i % KIND_COUNT), number++);
    traffic->failure = lab_run(lab, probes, ROUND);
    for (size_t i = 0; i < ROUND; i++) {
      traffic->sent[i % KIND_COUNT]++;
      traffic->came[i % KIND_COUNT] += probes[i].outcome == LAB_FORWARDED;
    }
    traffic->rounds++;
    if (traffic->rounds % 16 == 0)
      pause_microseconds(100); /* the reloads must get their turn, and so must the collector of old connections */
  }
  return NULL;
}

static void start_traffic(struct traffic *traffic) {
  /* Openers of the established connections first: they are not "new" in any later packet. */
  struct lab_probe first = kind_probe(KIND_ESTABLISHED, 0);
  ck_assert(passes(&first));
  ck_assert_int_eq(pthread_create(&traffic->thread, NULL, run_traffic, traffic), 0);
}

static void stop_traffic(struct traffic *traffic, const char *title) {
  atomic_store(&traffic->stop, true);
  ck_assert_int_eq(pthread_join(traffic->thread, NULL), 0);
  ck_assert_int_eq(traffic->failure, 0);
  printf("%s:", title);
  for (int i = 0; i < KIND_COUNT; i++)
    printf(" %s %llu of %llu%s", kind_names[i], (unsigned long long)traffic->came[i],
           (unsigned long long)traffic->sent[i], i + 1 < KIND_COUNT ? "," : "\n");
  for (int i = 0; i < KIND_COUNT; i++) {
    uint64_t wanted = kind_permitted[i] ? traffic->sent[i] : 0;
    ck_assert_uint_gt(traffic->sent[i], 0);
    ck_assert_msg(traffic->came[i] == wanted, "%s: %llu of %llu came out, expected %llu", kind_names[i],
                  (unsigned long long)traffic->came[i], (unsigned long long)traffic->sent[i],
                  (unsigned long long)wanted);
  }
}

static void settle(void) {
  (void)lab_set("net/netfilter/nf_conntrack_udp_timeout", "2"); /* or the table fills with what is "new" */
}

START_TEST(without_reloads_the_laboratory_loses_nothing) {
  open_lab();
  (void)load_policy(shape_policy(&shapes[0], arena));
  settle();
  struct traffic traffic = {0};
  start_traffic(&traffic);
  sleep(2);
  stop_traffic(&traffic, "control without reloads");
  close_lab();
}
END_TEST

/* KIDO_RELOADS in the environment asks for more. */
static size_t wanted_reloads(void) {
  const char *text = getenv("KIDO_RELOADS");
  size_t number = text != NULL ? strtoul(text, NULL, 10) : 0;
  return number > 0 ? number : 200;
}

START_TEST(AC_M1_two_hundred_reloads_lose_nothing_and_let_nothing_through) {
  const size_t shape_count = sizeof(shapes) / sizeof(shapes[0]);
  open_lab();
  const struct policy *policies[sizeof(shapes) / sizeof(shapes[0])];
  for (size_t i = 0; i < shape_count; i++) {
    policies[i] = shape_policy(&shapes[i], arena);
    ck_assert_ptr_nonnull(policies[i]);
  }
  (void)load_policy(policies[0]);
  settle();
  struct traffic traffic = {0};
  size_t changes = 0, reloads = wanted_reloads();
  start_traffic(&traffic);
  for (size_t i = 1; i <= reloads; i++)
    changes += load_policy(policies[i % shape_count]);
  printf("%zu reloads, %zu operations\n", reloads, changes);
  stop_traffic(&traffic, "during reloads");
  close_lab();
}
END_TEST

START_TEST(a_reload_of_the_same_policy_sends_nothing) {
  open_lab();
  const struct policy *policy = shape_policy(&shapes[12], arena);
  ck_assert_uint_gt(load_policy(policy), 0);
  uint32_t before, after;
  struct error error = {0};
  ck_assert_int_eq(nftables_generation(nftables, &before, &error), 0);
  ck_assert_uint_eq(load_policy(policy), 0);
  ck_assert_int_eq(nftables_generation(nftables, &after, &error), 0);
  ck_assert_uint_eq(before, after);
  close_lab();
}
END_TEST

/* ---- withdrawal ---- */

#define FLOW_PAPERS                                                                                                    \
  "method = \"ops\"; purpose = \"p\"; owner = \"o\"; approval = { by = \"b\"; role = \"ciso\"; document = \"d\"; "     \
  "date "                                                                                                              \
  "= \"2026-04-01\"; author = \"a\"; }; review = \"2027-01-01\"; "

static char *two_flows(const char *first_name, const char *first, const char *second) {
  return arena_printf(arena, "%szones = {\n%s%s};\nhosts = {\n%s%s};\nservices = { };\nflows = {\n%s%s%s%s%s };\n",
                      header, zones, further_zone, hosts, further_host, first != NULL ? first_name : "",
                      first != NULL ? " = { from = \"l\"; to = \"r\"; services = [ \"tcp/80\" ]; " FLOW_PAPERS : "",
                      first != NULL ? first : "", first != NULL ? " };\n" : "", second);
}

static const char neighbour_flow[] =
    "  F-2 = { from = \"l\"; to = \"r\"; services = [ \"tcp/81\" ]; " FLOW_PAPERS "};\n";

START_TEST(AC_M4_a_withdrawn_flow_stops_at_the_next_packet_in_both_directions_and_its_neighbour_goes_on) {
  open_lab();
  load_text(two_flows("  F-1", "", neighbour_flow));
  struct connection first = connection_open("10.1.0.9", "10.2.0.9", 40001, 80);
  struct connection answers_only = connection_open("10.1.0.9", "10.2.0.9", 40003, 80);
  struct connection neighbour = connection_open("10.1.0.9", "10.2.0.9", 40002, 81);
  load_text(two_flows(NULL, NULL, neighbour_flow));
  ck_assert_msg(!connection_send(&answers_only, false, TCP_ACK), "an answer passed");
  ck_assert_msg(!connection_send(&first, true, TCP_ACK), "a packet in the opener's direction passed");
  ck_assert_msg(!connection_send(&first, false, TCP_ACK), "an answer passed");
  ck_assert(connection_send(&neighbour, true, TCP_ACK));
  ck_assert(connection_send(&neighbour, false, TCP_ACK));
  close_lab();
}
END_TEST

START_TEST(a_flow_that_is_narrowed_keeps_what_it_still_covers_and_drops_the_rest) {
  open_lab();
  load_text(two_flows("  F-1", NULL,
                      "  F-1 = { from = \"l-wide\"; to = \"r\"; services = [ \"tcp/80-90\" ]; " FLOW_PAPERS "};\n"));
  struct connection kept = connection_open("10.1.0.9", "10.2.0.9", 40001, 80);
  struct connection other_port = connection_open("10.1.0.9", "10.2.0.9", 40002, 90);
  struct connection other_source = connection_open("10.1.0.77", "10.2.0.9", 40003, 80);
  load_text(two_flows("  F-1", "", neighbour_flow));
  ck_assert_msg(connection_send(&kept, false, TCP_ACK), "what is still covered goes on, answers first");
  ck_assert(connection_send(&kept, true, TCP_ACK));
  ck_assert(!connection_send(&other_port, true, TCP_ACK));
  ck_assert(!connection_send(&other_port, false, TCP_ACK));
  ck_assert(!connection_send(&other_source, true, TCP_ACK));
  ck_assert(!connection_send(&other_source, false, TCP_ACK));
  close_lab();
}
END_TEST

START_TEST(a_renamed_flow_keeps_its_connections_and_their_mark) {
  open_lab();
  load_text(two_flows("  F-1", "", neighbour_flow));
  struct connection connection = connection_open("10.1.0.9", "10.2.0.9", 40001, 80);
  uint32_t before = mark_of(40001);
  ck_assert_uint_ne(before, 0);
  load_text(two_flows("  F-other-name", "note = \"rewritten\";", neighbour_flow));
  ck_assert(connection_send(&connection, false, TCP_ACK));
  ck_assert(connection_send(&connection, true, TCP_ACK));
  ck_assert_uint_eq(mark_of(40001), before);
  close_lab();
}
END_TEST

START_TEST(a_flow_that_comes_back_takes_its_connections_on_again) {
  open_lab();
  load_text(two_flows("  F-1", "", neighbour_flow));
  struct connection connection = connection_open("10.1.0.9", "10.2.0.9", 40001, 80);
  load_text(two_flows(NULL, NULL, neighbour_flow));
  ck_assert(!connection_send(&connection, true, TCP_ACK));
  load_text(two_flows("  F-1", "", neighbour_flow));
  ck_assert(connection_send(&connection, false, TCP_ACK));
  ck_assert(connection_send(&connection, true, TCP_ACK));
  close_lab();
}
END_TEST

static char *moment(int64_t seconds) {
  time_t at = (time_t)seconds;
  struct tm civil;
  gmtime_r(&at, &civil);
  return arena_printf(arena, "%04d-%02d-%02dT%02d:%02d:%02dZ", civil.tm_year + 1900, civil.tm_mon + 1, civil.tm_mday,
                      civil.tm_hour, civil.tm_min, civil.tm_sec);
}

/* Loads from a child that is gone before this returns. */
static void load_and_die(const char *text) {
  pid_t child = fork();
  ck_assert_int_ge(child, 0);
  if (child == 0) {
    struct error error = {0};
    nftables = NULL;
    if (nftables_open(&nftables, &error) < 0)
      _exit(1);
    load_text(text);
    _exit(0);
  }
  int status;
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  ck_assert_int_eq(status, 0);
}

START_TEST(AC_M5_an_expiry_ends_connections_with_no_process_of_ours_alive) {
  open_lab();
  nftables = nftables_close(nftables);
  int64_t now = time(NULL);
  char *expires = arena_printf(arena, "expires = \"%s\";", moment(now + 6));
  load_and_die(two_flows("  F-1", expires, neighbour_flow));
  struct connection first = connection_open("10.1.0.9", "10.2.0.9", 40001, 80);
  struct connection neighbour = connection_open("10.1.0.9", "10.2.0.9", 40002, 81);
  while (time(NULL) < now + 4) {
    ck_assert_msg(connection_send(&first, true, TCP_ACK), "it ended before its time");
    pause_microseconds(100000);
  }
  while (time(NULL) < now + 7)
    pause_microseconds(100000);
  ck_assert(!connection_send(&first, false, TCP_ACK));
  ck_assert(!connection_send(&first, true, TCP_ACK));
  struct lab_probe opener = probe_of("10.1.0.9", "10.2.0.9", PROTOCOL_TCP, 40009, 80);
  ck_assert(!passes(&opener));
  ck_assert(connection_send(&neighbour, true, TCP_ACK));
  ck_assert(connection_send(&neighbour, false, TCP_ACK));
  close_lab();
}
END_TEST

START_TEST(AC_M6_a_window_opens_at_its_start_and_closes_by_itself) {
  open_lab();
  int64_t now = time(NULL);
  char *window =
      arena_printf(arena, "expires = \"%s\"; window = ( { start = \"%s\"; end = \"%s\"; attended = true; } );",
                   moment(now + 3600), moment(now + 5), moment(now + 11));
  char *text = two_flows("  F-1", window, neighbour_flow);
  load_text(text);
  struct lab_probe early = probe_of("10.1.0.9", "10.2.0.9", PROTOCOL_TCP, 40001, 80);
  ck_assert_msg(!passes(&early), "before its start");
  while (time(NULL) < now + 6)
    pause_microseconds(100000);
  load_text(text); /* what kidod does at the start */
  struct connection inside = connection_open("10.1.0.9", "10.2.0.9", 40002, 80);
  while (time(NULL) < now + 12)
    pause_microseconds(100000);
  ck_assert(!connection_send(&inside, true, TCP_ACK));
  ck_assert(!connection_send(&inside, false, TCP_ACK));
  close_lab();
}
END_TEST

START_TEST(when_the_first_of_two_overlapping_flows_ends_the_second_carries_its_connections_on) {
  open_lab();
  int64_t now = time(NULL);
  char *expires = arena_printf(arena, "expires = \"%s\";", moment(now + 6));
  load_text(two_flows("  F-1", expires,
                      "  F-2 = { from = \"l-wide\"; to = \"r\"; services = [ \"tcp/70-90\" ]; " FLOW_PAPERS "};\n"));
  struct connection connection = connection_open("10.1.0.9", "10.2.0.9", 40001, 80);
  uint32_t before = mark_of(40001);
  while (time(NULL) < now + 7)
    pause_microseconds(100000);
  ck_assert_msg(connection_send(&connection, false, TCP_ACK), "an answer is lost when the first flow ends");
  ck_assert(connection_send(&connection, true, TCP_ACK));
  ck_assert_uint_ne(mark_of(40001), before);
  struct lab_probe opener = probe_of("10.1.0.9", "10.2.0.9", PROTOCOL_TCP, 40009, 80);
  ck_assert(passes(&opener));
  close_lab();
}
END_TEST

START_TEST(AC_A8_the_closed_gate_ends_every_connection_between_zones) {
  open_lab();
  load_text(two_flows("  F-1", "", neighbour_flow));
  struct connection connection = connection_open("10.1.0.9", "10.2.0.9", 40001, 80);
  struct error error = {0};
  struct ruleset *closed;
  struct compile_options options = {.now = {time(NULL)}, .own = lab_own(lab)};
  ck_assert_int_eq(ruleset_compile_closed(NULL, &options, arena, &closed, &error), 0);
  int code = nftables_apply(nftables, closed, options.now, NULL, NULL, &error);
  ck_assert_msg(code == 0, "%s", error.message);
  ck_assert(!connection_send(&connection, true, TCP_ACK));
  ck_assert(!connection_send(&connection, false, TCP_ACK));
  struct lab_probe opener = probe_of("10.1.0.9", "10.2.0.9", PROTOCOL_TCP, 40009, 80);
  ck_assert(!passes(&opener));
  close_lab();
}
END_TEST

/* ---- limits ---- */

static char *limited(const char *services, const char *limit) {
  return two_flows(NULL, NULL,
                   arena_printf(arena,
                                "  F-L = { from = \"l\"; to = \"r\"; services = [ %s ]; limit = { %s }; " FLOW_PAPERS
                                "};\n%s",
                                services, limit, neighbour_flow));
}

static unsigned count_openings(uint16_t port, unsigned count, uint16_t first_source_port) {
  unsigned passed = 0;
  for (unsigned i = 0; i < count; i++) {
    struct lab_probe opener = probe_of("10.1.0.9", "10.2.0.9", PROTOCOL_TCP, (uint16_t)(first_source_port + i), port);
    passed += passes(&opener);
  }
  return passed;
}

START_TEST(a_limit_on_new_connections_holds_and_spares_what_is_open_and_other_flows) {
  open_lab();
  load_text(limited("\"tcp/80\"", "new_per_second = 5;"));
  struct connection open = connection_open("10.1.0.9", "10.2.0.9", 40001, 80);
  time_t began = time(NULL);
  unsigned passed = count_openings(80, 200, 41000), seconds = (unsigned)(time(NULL) - began);
  ck_assert_msg(passed >= 1 && passed <= 20 + 5 * seconds, "%u of 200 openings in %u s passed a limit of 5 a second",
                passed, seconds);
  ck_assert(connection_send(&open, true, TCP_ACK));
  ck_assert(connection_send(&open, false, TCP_ACK));
  ck_assert_uint_eq(count_openings(81, 50, 42000), 50);
  sleep(2);
  ck_assert_msg(count_openings(80, 1, 43000) == 1, "after a while there is room again");
  close_lab();
}
END_TEST

START_TEST(a_limit_on_connections_holds_and_spares_what_is_open) {
  open_lab();
  load_text(limited("\"tcp/80\"", "connections = 3;"));
  struct connection open = connection_open("10.1.0.9", "10.2.0.9", 40001, 80);
  unsigned passed = count_openings(80, 20, 41000);
  ck_assert_uint_eq(passed, 2);
  ck_assert(connection_send(&open, true, TCP_ACK));
  ck_assert(connection_send(&open, false, TCP_ACK));
  close_lab();
}
END_TEST

START_TEST(connections_that_are_judged_again_do_not_count_against_the_limit) {
  enum { CONNECTIONS = 20 };
  open_lab();
  load_text(
      two_flows(NULL, NULL, "  F-L = { from = \"l\"; to = \"r\"; services = [ \"tcp/80-90\" ]; " FLOW_PAPERS "};\n"));
  struct connection open[CONNECTIONS];
  for (unsigned i = 0; i < CONNECTIONS; i++)
    open[i] = connection_open("10.1.0.9", "10.2.0.9", (uint16_t)(40001 + i), 80);
  load_text(limited("\"tcp/80\"", "new_per_second = 1; connections = 5;")); /* narrowed: new marks for all */
  for (unsigned i = 0; i < CONNECTIONS; i++) {
    ck_assert_msg(connection_send(&open[i], i % 2 == 0, TCP_ACK), "connection %u is lost to the limit", i);
    ck_assert(connection_send(&open[i], i % 2 != 0, TCP_ACK));
  }
  close_lab();
}
END_TEST

/* ---- hours ---- */

enum { TOKYO_OFFSET = 32400 };

static char *tokyo_minute(int64_t seconds) {
  time_t at = (time_t)seconds + TOKYO_OFFSET;
  struct tm civil;
  gmtime_r(&at, &civil);
  return arena_printf(arena, "%02d:%02d", civil.tm_hour, civil.tm_min);
}

/* The next full minute at least twenty seconds away; not midnight, which no hours can end at. */
static int64_t next_minute(int64_t now) {
  int64_t minute = (now + 20) / 60 * 60 + 60;
  return strcmp(tokyo_minute(minute), "00:00") == 0 ? minute + 60 : minute;
}

START_TEST(hours_end_in_the_kernel_and_begin_with_a_reload) {
  enum { HOUR = 3600 };
  open_lab();
  int64_t turn = next_minute(time(NULL));
  char *ends = arena_printf(arena, "hours = \"mon-sun %s-%s\";", tokyo_minute(turn - HOUR), tokyo_minute(turn));
  char *begins = arena_printf(arena,
                              "  F-2 = { from = \"l\"; to = \"r\"; services = [ \"tcp/81\" ]; hours = \"mon-sun "
                              "%s-%s\"; " FLOW_PAPERS "};\n",
                              tokyo_minute(turn), tokyo_minute(turn + HOUR + 60));
  char *text = two_flows("  F-1", ends, begins);
  load_text(text);
  struct connection inside = connection_open("10.1.0.9", "10.2.0.9", 40001, 80);
  struct lab_probe early = probe_of("10.1.0.9", "10.2.0.9", PROTOCOL_TCP, 40002, 81);
  ck_assert_msg(!passes(&early), "before its hours");
  while (time(NULL) < turn - 2)
    pause_microseconds(200000);
  ck_assert_msg(connection_send(&inside, true, TCP_ACK), "it ended before its hours did");
  while (time(NULL) < turn + 1)
    pause_microseconds(200000);
  struct lab_probe late = probe_of("10.1.0.9", "10.2.0.9", PROTOCOL_TCP, 40003, 80);
  ck_assert_msg(!connection_send(&inside, false, TCP_ACK), "an answer after the hours");
  ck_assert_msg(!connection_send(&inside, true, TCP_ACK), "a packet after the hours");
  ck_assert(!passes(&late));
  load_text(text); /* what kidod does at the turn */
  struct lab_probe begun = probe_of("10.1.0.9", "10.2.0.9", PROTOCOL_TCP, 40004, 81);
  ck_assert(passes(&begun));
  close_lab();
}
END_TEST

int main(void) {
  lab_require();
  Suite *suite = suite_create("reload");
  TCase *test = tcase_create("reload");
  tcase_set_timeout(test, 600);
  tcase_add_test(test, without_reloads_the_laboratory_loses_nothing);
  tcase_add_test(test, AC_M1_two_hundred_reloads_lose_nothing_and_let_nothing_through);
  tcase_add_test(test, a_reload_of_the_same_policy_sends_nothing);
  tcase_add_test(test, AC_M4_a_withdrawn_flow_stops_at_the_next_packet_in_both_directions_and_its_neighbour_goes_on);
  tcase_add_test(test, a_flow_that_is_narrowed_keeps_what_it_still_covers_and_drops_the_rest);
  tcase_add_test(test, a_renamed_flow_keeps_its_connections_and_their_mark);
  tcase_add_test(test, a_flow_that_comes_back_takes_its_connections_on_again);
  tcase_add_test(test, AC_M5_an_expiry_ends_connections_with_no_process_of_ours_alive);
  tcase_add_test(test, AC_M6_a_window_opens_at_its_start_and_closes_by_itself);
  tcase_add_test(test, when_the_first_of_two_overlapping_flows_ends_the_second_carries_its_connections_on);
  tcase_add_test(test, AC_A8_the_closed_gate_ends_every_connection_between_zones);
  tcase_add_test(test, a_limit_on_new_connections_holds_and_spares_what_is_open_and_other_flows);
  tcase_add_test(test, a_limit_on_connections_holds_and_spares_what_is_open);
  tcase_add_test(test, connections_that_are_judged_again_do_not_count_against_the_limit);
  tcase_add_test(test, hours_end_in_the_kernel_and_begin_with_a_reload);
  suite_add_tcase(suite, test);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
