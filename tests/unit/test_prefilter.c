/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel withholds changes nothing of what is told: the same traffic is judged by two watches, of which one
 * gets only what its own filters give, run by an interpreter. Among lawful conversations some of which are heavy there
 * is all that can go wrong: forged and rewritten frames of these very conversations, wrong sides, wrong MACs, shapes
 * that are not canonical, flows that end, policies that change.
 */
#include <check.h>
#include <pcap/dlt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/if_packet.h>

#include "classic_bpf.h"
#include "policy/read.h"
#include "watch/watch_parts.h"

enum {
  INSIDE,
  OUTSIDE,
  FAR,
  WIRES,
  CONVERSATIONS = 40,
  HEAVY = 8,
  SNAP = 384,
  TEXT_SIZE = 8192,
  LOG_SIZE = 1 << 20,
  LINES = 16384
};

static const int64_t MILLISECOND = 1000000, SECOND = 1000000000;
#define MIDNIGHT (1795532400LL * SECOND) /* in Tokyo, of 2026-11-25 */
#define START (MIDNIGHT - 12 * SECOND)

static const struct mac GATEWAY[] = {{{2, 0, 0, 0, 0, 0xa1}}, {{2, 0, 0, 0, 0, 0xa2}}, {{2, 0, 0, 0, 0, 0xa3}}};
static const struct mac HOSTS[] = {{{2, 0, 0, 0, 0, 1}}, {{2, 0, 0, 0, 0, 2}}, {{2, 0, 0, 0, 0, 3}}};
static const struct mac STRANGER = {{2, 0, 0, 0, 0, 0x66}};

struct listener {
  struct watch *watch;
  char *told;
  size_t length;
};

static struct listener everything, filtered;
static struct filter filters[WIRES];
static uint64_t random_state, frames_sent, frames_withheld;
static int64_t clock_now;

static uint32_t random_below(uint32_t limit) {
  random_state = random_state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(random_state >> 33) % limit;
}

/* ---- the watches ---- */

static void tell(void *context, struct event *event, const struct timezone *timezone) {
  struct listener *listener = context;
  (void)timezone;
  bool first = event->id[0] == '\0';
  strcpy(event->id, "x");
  if (!first && event->still_going)
    return; /* when it is told again hangs on a budget that all share, and on the order in a table */
  if (!first && strcmp(event->kind, "dual-homed") == 0)
    return; /* how often a machine is met depends on what the fast way leaves over */
  char source[ADDRESS_TEXT_SIZE] = "-", destination[ADDRESS_TEXT_SIZE] = "-";
  if (event->source.family != FAMILY_NONE)
    address_format(&event->source, source);
  if (event->destination.family != FAMILY_NONE)
    address_format(&event->destination, destination);
  /* When an alert ends hangs on how often it came back, which is remembered in a table of few places. */
  long long time = event->still_going ? (long long)event->time.seconds : -1;
  int length = snprintf(listener->told + listener->length, LOG_SIZE - listener->length,
                        "%lld %s %s>%s %s %d %s:%d>%s:%d %s %s %llu %llu\n", time, event->kind,
                        event->zone != NULL ? event->zone : "-", event->other_zone != NULL ? event->other_zone : "-",
                        event->interface != NULL ? event->interface : "-", event->protocol, source, event->source_port,
                        destination, event->destination_port, event->reason != NULL ? event->reason : "-",
                        event->flow != NULL ? event->flow : "-", (unsigned long long)event->count,
                        (unsigned long long)event->bytes);
  listener->length += (size_t)length;
  ck_assert_uint_lt(listener->length, LOG_SIZE - TEXT_SIZE);
}

static const char POLICY[] =
    "policy = { name = \"t\"; number = \"%s\"; model = \"alpha\"; timezone = \"Asia/Tokyo\"; };\n"
    "zones = {\n"
    " lgwan = { class = \"lgwan\"; interfaces = [ \"in0\" ]; networks = [ \"10.1.0.0/24\", \"2400:1::/64\" ]; };\n"
    " internet = { class = \"internet\"; interfaces = [ \"out0\" ];\n"
    "  networks = [ \"10.2.0.0/24\", \"2400:2::/64\" ]; };\n"
    " far = { class = \"management\"; interfaces = [ \"far0\" ]; networks = [ \"10.3.0.0/24\" ]; };\n"
    "};\n"
    "hosts = {\n"
    " a = { zone = \"lgwan\"; address = \"10.1.0.0/25\"; };\n"
    " p = { zone = \"lgwan\"; address = \"10.1.0.2\"; mac = \"02:00:00:00:00:01\"; };\n"
    " b = { zone = \"internet\"; address = \"10.2.0.0/25\"; };\n"
    " a6 = { zone = \"lgwan\"; address = \"2400:1::/64\"; };\n"
    " b6 = { zone = \"internet\"; address = \"2400:2::/64\"; };\n"
    "};\nflows = {\n"
    " F-1 = { from = \"a\"; to = \"b\"; services = [ \"tcp/443\", \"udp/53\" ]; method = \"ops\"; };\n"
    " F-2 = { from = \"a\"; to = \"b\"; services = [ \"tcp/8443\" ]; method = \"ops\"; expires = \"2026-11-24\"; };\n"
    " F-3 = { from = \"a6\"; to = \"b6\"; services = [ \"tcp/443\", \"udp/53\" ]; method = \"ops\"; };\n%s};\n";

static void set_policy(const char *number, const char *more, bool pending) {
  static char text[TEXT_SIZE];
  struct listener *listeners[] = {&everything, &filtered};
  int length = snprintf(text, sizeof text, POLICY, number, more);
  for (size_t i = 0; i < 2; i++) {
    struct arena *arena = arena_new(0);
    struct diagnostic_list list;
    struct error error = {0};
    const struct policy *policy = NULL;
    diagnostic_list_init(&list, arena, LANGUAGE_ENGLISH);
    ck_assert_int_eq(policy_read_text("test", text, (size_t)length, arena, true, &policy, &list, &error), 0);
    for (size_t d = 0; d < list.count; d++)
      ck_assert_msg(policy != NULL, "%s", list.items[d].message);
    ck_assert_ptr_nonnull(policy);
    ck_assert_int_eq(watch_set_policy(listeners[i]->watch, policy, arena, pending, clock_now), 0);
  }
}

static void listen_to(struct listener *listener) {
  static const char *const wires[] = {"in0", "out0", "far0"};
  static const char *const own[] = {"10.1.0.1", "10.2.0.1", "10.3.0.1"};
  struct address_range ranges[WIRES];
  listener->told = calloc(1, LOG_SIZE);
  listener->length = 0;
  struct watch_settings settings = {.connections = 4096, .tell = tell, .context = listener};
  listener->watch = watch_new(&settings);
  for (int wire = 0; wire < WIRES; wire++) {
    ck_assert_int_eq(watch_add_wire(listener->watch, wires[wire], NULL), wire);
    watch_add_gateway_mac(listener->watch, wire, &GATEWAY[wire]);
    ck_assert(address_parse(own[wire], &ranges[wire].first));
    ranges[wire].last = ranges[wire].first;
  }
  ck_assert_int_eq(watch_set_own(listener->watch, ranges, WIRES), 0);
}

static void withhold(bool any) {
  for (int wire = 0; wire < WIRES; wire++) {
    struct filter_tuple tuples[FILTER_TUPLES];
    size_t count = any ? watch_list_withheld(filtered.watch, wire, tuples, FILTER_TUPLES) : 0;
    filter_build(tuples, count, SNAP, FILTER_ROOM, &filters[wire]);
  }
}

static void set_up(void) {
  clock_now = START;
  frames_sent = frames_withheld = 0;
  listen_to(&everything);
  listen_to(&filtered);
  withhold(false);
  set_policy("1", "", false);
}

static void tear_down(void) {
  watch_free(everything.watch);
  watch_free(filtered.watch);
  free(everything.told);
  free(filtered.told);
}

static void advance(void) {
  watch_advance(everything.watch, clock_now);
  watch_advance(filtered.watch, clock_now);
}

/* What a running watchman does each tenth of a second, and what each second. */
static void look_after(void) {
  static int64_t chosen_at;
  advance();
  if (!watch_withholding_stands(filtered.watch, clock_now))
    withhold(false);
  if (clock_now - chosen_at < SECOND && clock_now >= chosen_at)
    return;
  chosen_at = clock_now;
  watch_choose_withheld(filtered.watch, clock_now);
  withhold(true);
}

/* ---- frames ---- */

struct sketch {
  int wire;
  bool leaving, ipv6, tagged;
  uint8_t protocol, flags;
  uint8_t source[16], destination[16];
  uint16_t source_port, destination_port;
  const struct mac *mac; /* of the host; NULL: that of the wire */
  unsigned payload;
  uint32_t sequence;
  uint16_t identification, fragment;
  int spoiled; /* a byte of the frame that is changed; -1: none */
  uint8_t spoil;
};

static void put16(uint8_t *bytes, unsigned value) {
  bytes[0] = (uint8_t)(value >> 8);
  bytes[1] = (uint8_t)value;
}

static void put_transport(const struct sketch *shape, unsigned length, uint8_t *bytes) {
  put16(bytes, shape->source_port);
  put16(bytes + 2, shape->destination_port);
  if (shape->protocol == PROTOCOL_UDP) {
    put16(bytes + 4, length);
    return;
  }
  put16(bytes + 4, shape->sequence >> 16);
  put16(bytes + 6, shape->sequence & 0xffff);
  bytes[12] = 0x50;
  bytes[13] = shape->flags;
}

static unsigned put_ip(const struct sketch *shape, uint8_t *ip) {
  unsigned header = shape->ipv6 ? 40 : 20;
  unsigned length = (shape->protocol == PROTOCOL_TCP ? 20 : 8) + shape->payload;
  size_t size = shape->ipv6 ? 16 : 4;
  ip[0] = shape->ipv6 ? 0x60 : 0x45;
  put16(ip + (shape->ipv6 ? 4 : 2), length + (shape->ipv6 ? 0 : 20));
  if (!shape->ipv6) {
    put16(ip + 4, shape->identification);
    put16(ip + 6, shape->fragment);
  }
  ip[shape->ipv6 ? 6 : 9] = shape->protocol;
  ip[shape->ipv6 ? 7 : 8] = shape->leaving ? 63 : 64;
  memcpy(ip + (shape->ipv6 ? 8 : 12), shape->source, size);
  memcpy(ip + (shape->ipv6 ? 8 : 12) + size, shape->destination, size);
  put_transport(shape, length, ip + header);
  return header + length;
}

static bool is_given(const struct sketch *shape, const uint8_t *bytes, uint32_t length) {
  struct classic_bpf_frame frame = {.bytes = bytes,
                                    .captured = length,
                                    .length = length,
                                    .vlan_tag_present = shape->tagged,
                                    .packet_type = shape->leaving ? PACKET_OUTGOING : PACKET_HOST,
                                    .random = random_below(UINT32_MAX)};
  size_t given = classic_bpf_run(filters[shape->wire].instructions, filters[shape->wire].count, &frame);
  ck_assert(given == 0 || given == SNAP);
  return given != 0;
}

static void show(struct listener *listener, const struct sketch *shape, const uint8_t *bytes, uint32_t length) {
  uint8_t with_tag[512];
  if (shape->tagged) { /* as libpcap puts it back */
    memcpy(with_tag, bytes, 12);
    memcpy(with_tag + 12, (const uint8_t[]){0x81, 0x00, 0x00, 0x07}, 4);
    memcpy(with_tag + 16, bytes + 12, length - 12);
    bytes = with_tag;
    length += 4;
  }
  struct captured_frame frame = {.time = clock_now,
                                 .data = bytes,
                                 .captured = length < SNAP ? length : SNAP,
                                 .length = length,
                                 .link_type = DLT_EN10MB};
  watch_frame(listener->watch, shape->wire, &frame);
}

static void send_sketch(const struct sketch *shape) {
  uint8_t bytes[400] = {0};
  const struct mac *host = shape->mac != NULL ? shape->mac : &HOSTS[shape->wire];
  memcpy(bytes, (shape->leaving ? host : &GATEWAY[shape->wire])->bytes, 6);
  memcpy(bytes + 6, (shape->leaving ? &GATEWAY[shape->wire] : host)->bytes, 6);
  put16(bytes + 12, shape->ipv6 ? 0x86dd : 0x0800);
  uint32_t length = 14 + put_ip(shape, bytes + 14);
  length = length < 60 ? 60 : length;
  if (shape->spoiled >= 0)
    bytes[shape->spoiled] ^= shape->spoil;
  bool given = is_given(shape, bytes, length);
  frames_sent++;
  frames_withheld += !given;
  show(&everything, shape, bytes, length);
  if (given)
    show(&filtered, shape, bytes, length);
  clock_now += 100000;
  if (clock_now % (10 * MILLISECOND) < 100000)
    advance(); /* so that what is due is told at the same time by both */
}

/* ---- traffic ---- */

/* One direction of conversation `number`: TCP to 443 or 8443, or UDP to 53, of either family. */
static struct sketch part_of(unsigned number, bool reply) {
  struct sketch shape = {.wire = reply ? OUTSIDE : INSIDE,
                         .ipv6 = number % 4 == 3,
                         .protocol = number % 5 == 4 ? PROTOCOL_UDP : PROTOCOL_TCP,
                         .flags = TCP_ACK,
                         .payload = random_below(100),
                         .sequence = random_below(1u << 30),
                         .identification = (uint16_t)random_below(65536),
                         .spoiled = -1};
  uint8_t client[16] = {10, 1, 0, (uint8_t)(2 + number)}, server[16] = {10, 2, 0, 9};
  uint8_t client6[16] = {0x24, 0, 0, 1, [15] = (uint8_t)(2 + number)}, server6[16] = {0x24, 0, 0, 2, [15] = 9};
  uint16_t client_port = (uint16_t)(50000 + number);
  uint16_t server_port = shape.protocol == PROTOCOL_UDP ? 53 : number % 8 == 1 && !shape.ipv6 ? 8443 : 443;
  memcpy(reply ? shape.destination : shape.source, shape.ipv6 ? client6 : client, 16);
  memcpy(reply ? shape.source : shape.destination, shape.ipv6 ? server6 : server, 16);
  shape.source_port = reply ? server_port : client_port;
  shape.destination_port = reply ? client_port : server_port;
  return shape;
}

static struct sketch leaving(const struct sketch *entered, int wire) {
  struct sketch shape = *entered;
  shape.leaving = true;
  shape.wire = wire;
  shape.mac = NULL;
  return shape;
}

/* In by its wire, out by the other. */
static void forward(const struct sketch *shape) {
  struct sketch out = leaving(shape, shape->wire == INSIDE ? OUTSIDE : INSIDE);
  send_sketch(shape);
  send_sketch(&out);
}

static void open_conversation(unsigned number) {
  struct sketch shape = part_of(number, false);
  shape.flags = TCP_SYN;
  forward(&shape);
  shape = part_of(number, true);
  shape.flags = TCP_SYN | TCP_ACK;
  forward(&shape);
}

static void talk(void) {
  unsigned number = random_below(20) == 0 ? random_below(CONVERSATIONS) : random_below(HEAVY);
  struct sketch shape = part_of(number, random_below(3) == 0);
  shape.flags = random_below(2) == 0 ? TCP_ACK : TCP_ACK | TCP_PSH;
  forward(&shape);
}

/* ---- what goes wrong ---- */

/* A heavy conversation's own frame, from where it may not come. */
static void forge(void) {
  struct sketch shape = part_of(random_below(HEAVY), random_below(2) == 0);
  int goal = shape.wire == INSIDE ? OUTSIDE : INSIDE;
  shape.wire = FAR;
  send_sketch(&shape);
  struct sketch out = leaving(&shape, goal);
  if (random_below(2) == 0)
    send_sketch(&out);
}

/* Came in as something forbidden, and leaves as a frame of a heavy conversation. */
static void rewrite(void) {
  struct sketch out = part_of(random_below(HEAVY), false), in = out;
  in.wire = FAR;
  in.ipv6 = false;
  memcpy(in.source, (const uint8_t[16]){10, 3, 0, 7}, 16);
  memcpy(in.destination, (const uint8_t[16]){10, 2, 0, 9}, 16);
  in.source_port = 40000;
  send_sketch(&in);
  out = leaving(&out, OUTSIDE);
  send_sketch(&out);
}

/* ... as a new conversation that the policy allows. */
static void masquerade(void) {
  struct sketch out = part_of(0, false), in;
  out.source_port = (uint16_t)(30000 + random_below(1000));
  out.flags = random_below(2) == 0 ? TCP_SYN : TCP_ACK;
  in = out;
  in.wire = FAR;
  memcpy(in.source, (const uint8_t[16]){10, 3, 0, 7}, 16);
  send_sketch(&in);
  out = leaving(&out, OUTSIDE);
  send_sketch(&out);
}

static void change_mac(void) {
  struct sketch shape = part_of(random_below(HEAVY), random_below(2) == 0);
  shape.mac = &STRANGER;
  forward(&shape);
}

static void open_from_the_wrong_side(void) {
  struct sketch shape = part_of(random_below(CONVERSATIONS), true);
  shape.flags = TCP_SYN;
  shape.destination_port = (uint16_t)(shape.destination_port + random_below(2));
  forward(&shape);
  struct sketch answer = part_of(0, false);
  memcpy(answer.source, shape.destination, 16);
  memcpy(answer.destination, shape.source, 16);
  answer.ipv6 = shape.ipv6;
  answer.protocol = shape.protocol;
  answer.source_port = shape.destination_port;
  answer.destination_port = shape.source_port;
  forward(&answer);
}

static void spoil(void) {
  struct sketch shape = part_of(random_below(HEAVY), random_below(2) == 0);
  shape.spoiled = (int)(12 + random_below(60));
  shape.spoil = (uint8_t)(1u << random_below(8));
  send_sketch(&shape);
}

static void fragment(void) {
  struct sketch shape = part_of(random_below(HEAVY), random_below(2) == 0);
  static const uint16_t words[] = {0x2000, 0x0010, 0x2008, 0x4000};
  shape.fragment = words[random_below(4)];
  forward(&shape);
}

static void tag(void) {
  struct sketch shape = part_of(random_below(HEAVY), random_below(2) == 0);
  shape.tagged = true;
  send_sketch(&shape);
}

static void reach_far(void) {
  struct sketch shape = part_of(random_below(HEAVY), false);
  memcpy(shape.destination, (const uint8_t[16]){10, 3, 0, 7}, 16);
  shape.ipv6 = false;
  memcpy(shape.source, (const uint8_t[16]){10, 1, 0, 2}, 16);
  send_sketch(&shape);
  struct sketch out = leaving(&shape, FAR);
  if (random_below(2) == 0)
    send_sketch(&out);
}

static void (*const faults[])(void) = {forge, rewrite,  masquerade, change_mac, open_from_the_wrong_side,
                                       spoil, fragment, tag,        reach_far};

/* ---- the tests ---- */

static int by_text(const void *left, const void *right) {
  return strcmp(*(char *const *)left, *(char *const *)right);
}

/* Sorted: in which order alerts end is that of a table, which hangs on secrets. */
static size_t lines_of(const struct listener *listener, char *ret_lines[LINES]) {
  static char texts[2][LOG_SIZE];
  char *text = texts[listener == &filtered];
  size_t count = 0;
  memcpy(text, listener->told, listener->length + 1);
  for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
    ck_assert_uint_lt(count, LINES);
    ret_lines[count++] = line;
  }
  qsort(ret_lines, count, sizeof *ret_lines, by_text);
  return count;
}

static void compare(void) {
  static char *one[LINES], *other[LINES];
  watch_flush(everything.watch);
  watch_flush(filtered.watch);
  size_t count = lines_of(&everything, one), other_count = lines_of(&filtered, other);
  for (size_t i = 0; i < count && i < other_count; i++)
    ck_assert_msg(strcmp(one[i], other[i]) == 0, "told: %s\nfiltered: %s", one[i], other[i]);
  ck_assert_uint_eq(count, other_count);
}

static void finish(void) {
  for (int i = 0; i < 150; i++, clock_now += 100 * MILLISECOND)
    look_after();
  watch_finish(everything.watch, clock_now);
  watch_finish(filtered.watch, clock_now);
  compare();
}

/* seconds: of traffic; one frame in `rare` is a fault, 0: none. */
static void run(unsigned seconds, unsigned rare) {
  for (int64_t end = clock_now + seconds * SECOND, next = clock_now; clock_now < end;) {
    if (rare > 0 && random_below(rare) == 0)
      faults[random_below(sizeof faults / sizeof faults[0])]();
    else
      talk();
    if (clock_now < next)
      continue;
    next = clock_now + 100 * MILLISECOND;
    look_after();
  }
}

static void open_all(void) {
  for (unsigned i = 0; i < CONVERSATIONS; i++)
    open_conversation(i);
}

START_TEST(bulk_is_withheld_as_it_comes_in) {
  random_state = 1;
  open_all();
  run(4, 0);
  frames_sent = frames_withheld = 0;
  run(4, 0);
  ck_assert_msg(frames_withheld > frames_sent * 3 / 10, "%llu of %llu", (unsigned long long)frames_withheld,
                (unsigned long long)frames_sent);
  ck_assert_uint_lt(frames_withheld, frames_sent / 2); /* what leaves never is */
  finish();
  ck_assert_str_eq(everything.told, "");
}
END_TEST

START_TEST(every_event_is_told_all_the_same) {
  random_state = (uint64_t)_i * 7919 + 3;
  unsigned rare = _i % 2 == 0 ? 200 : 2000; /* a storm, or events one by one */
  open_all();
  run(6, rare);
  set_policy("2", " F-9 = { from = \"a\"; to = \"b\"; services = [ \"tcp/22\" ]; method = \"ops\"; };\n", true);
  run(1, rare);
  set_policy("2", " F-9 = { from = \"a\"; to = \"b\"; services = [ \"tcp/22\" ]; method = \"ops\"; };\n", false);
  run(3, rare);
  ck_assert_int_lt(clock_now, MIDNIGHT);
  run(8, rare); /* and a flow ends */
  ck_assert_uint_gt(frames_withheld, frames_sent / 12);
  finish();
  static const char *const kinds[] = {" crossing ", " attempt ", " spoofed "};
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
    ck_assert_msg(strstr(everything.told, kinds[i]) != NULL, "no%s", kinds[i]);
}
END_TEST

START_TEST(nothing_is_withheld_while_policies_are_exchanged_or_before_a_flow_ends) {
  random_state = 5;
  open_all();
  run(4, 0);
  ck_assert(watch_withholding_stands(filtered.watch, clock_now));
  ck_assert_uint_gt(filters[INSIDE].tuples, 0);
  set_policy("2", "", true);
  ck_assert(!watch_withholding_stands(filtered.watch, clock_now));
  look_after();
  ck_assert_uint_eq(filters[INSIDE].tuples + filters[OUTSIDE].tuples, 0);
  set_policy("2", "", false);
  run(3, 0);
  ck_assert_uint_gt(filters[INSIDE].tuples, 0);
  ck_assert(!watch_withholding_stands(filtered.watch, MIDNIGHT - 2 * SECOND));
}
END_TEST

START_TEST(a_conversation_that_falls_silent_is_no_longer_withheld) {
  random_state = 6;
  open_all();
  run(3, 0);
  ck_assert_uint_gt(filters[INSIDE].tuples, 0);
  for (int i = 0; i < 25; i++, clock_now += 100 * MILLISECOND)
    look_after();
  ck_assert_uint_eq(filters[INSIDE].tuples, 0);
}
END_TEST

/* As if the choice had been wrong: the conversation is denied, and one of its frames comes as a sample. */
START_TEST(a_sample_that_is_a_finding_is_told) {
  random_state = 7;
  open_all();
  run(3, 0);
  struct filter_tuple tuple;
  ck_assert_uint_eq(watch_list_withheld(filtered.watch, INSIDE, &tuple, 1), 1);
  struct packet packet = {.source = tuple.source,
                          .destination = tuple.destination,
                          .protocol = tuple.protocol,
                          .source_port = tuple.source_port,
                          .destination_port = tuple.destination_port};
  struct connection_key key;
  connections_key(filtered.watch->connections, &packet, &key);
  connections_find(filtered.watch->connections, &key)->allowed = false;
  withhold(false);
  for (unsigned i = 0; i < HEAVY; i++) {
    struct sketch sample = part_of(i, false);
    send_sketch(&sample);
  }
  watch_flush(filtered.watch);
  watch_advance(filtered.watch, clock_now);
  ck_assert_msg(strstr(filtered.told, "blind") != NULL && strstr(filtered.told, "prefilter-mismatch") != NULL, "%s",
                filtered.told);
  ck_assert(!watch_withholding_stands(filtered.watch, clock_now));
  look_after();
  ck_assert_uint_eq(filters[INSIDE].tuples, 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("prefilter");
  TCase *all = tcase_create("all");
  tcase_add_checked_fixture(all, set_up, tear_down);
  tcase_set_timeout(all, 60);
  tcase_add_test(all, bulk_is_withheld_as_it_comes_in);
  tcase_add_loop_test(all, every_event_is_told_all_the_same, 0, 8);
  tcase_add_test(all, nothing_is_withheld_while_policies_are_exchanged_or_before_a_flow_ends);
  tcase_add_test(all, a_conversation_that_falls_silent_is_no_longer_withheld);
  tcase_add_test(all, a_sample_that_is_a_finding_is_told);
  suite_add_tcase(suite, all);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
