/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Judging by conversations, generations and the gateway's own addresses, without files and sockets. */
#include <check.h>
#include <pcap/dlt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/read.h"
#include "watch/watch.h"

enum { INSIDE, OUTSIDE, KINDS_MOST = 64, TEXT_SIZE = 8192 };
static const int64_t START = 1795482000LL * 1000000000, MILLISECOND = 1000000;

static const struct mac GATEWAY[] = {{{2, 0, 0, 0, 0, 0xa1}}, {{2, 0, 0, 0, 0, 0xa2}}};
static const struct mac HOSTS[] = {{{2, 0, 0, 0, 0, 9}}, {{2, 0, 0, 0, 1, 9}}}, PINNED = {{2, 0, 0, 0, 0, 0x77}};

static struct watch *watch;
static int64_t clock_now;
static char told[TEXT_SIZE]; /* first records only: "crossing lgwan>internet;" */
static char policy_of_last[16];

/* ---- evidence ---- */

enum { KEPT_OF_EACH = 3 };
static unsigned kept, told_with_evidence;
static uint8_t kept_bytes[60];
static char kept_interface[16];

/* The event that a frame belongs to was told before. */
static void keep(void *context, const char *id, const char *interface, const struct captured_frame *captured) {
  (void)context;
  ck_assert_str_eq(id, "x");
  kept++;
  memcpy(kept_bytes, captured->data, captured->captured < sizeof kept_bytes ? captured->captured : sizeof kept_bytes);
  snprintf(kept_interface, sizeof kept_interface, "%s", interface);
}

static void tell(void *context, struct event *event, const struct timezone *timezone) {
  (void)context, (void)timezone;
  if (event->id[0] != '\0')
    return;
  told_with_evidence += event->evidence != NULL;
  strcpy(event->id, "x");
  size_t length = strlen(told);
  snprintf(told + length, sizeof told - length, "%s %s>%s;", event->kind, event->zone != NULL ? event->zone : "-",
           event->other_zone != NULL ? event->other_zone : "-");
  snprintf(policy_of_last, sizeof policy_of_last, "%s", event->policy);
  ck_assert_ptr_nonnull(event->message);
  ck_assert_ptr_nonnull(event->what_to_do);
  ck_assert_ptr_nonnull(event->clause);
}

static const char HEAD[] =
    "policy = { name = \"t\"; number = \"%s\"; model = \"alpha\"; timezone = \"Asia/Tokyo\"; };\n"
    "zones = {\n"
    " lgwan = { class = \"lgwan\"; interfaces = [ \"in0\" ]; networks = [ \"10.1.0.0/24\" ]; };\n"
    " internet = { class = \"internet\"; interfaces = [ \"out0\" ]; on_deny = \"reject\";\n"
    "  networks = [ \"10.2.0.0/24\" ]; };\n"
    " far = { class = \"management\"; interfaces = [ \"far0\" ]; networks = [ \"10.3.0.0/24\" ]; };\n"
    "};\n"
    "hosts = {\n"
    " a = { zone = \"lgwan\"; address = \"10.1.0.0/25\"; };\n"
    " p = { zone = \"lgwan\"; address = \"10.1.0.200\"; mac = \"02:00:00:00:00:77\"; };\n"
    " b = { zone = \"internet\"; address = \"10.2.0.0/25\"; };\n"
    "};\nflows = {\n";

static const char FLOWS[] =
    " F-1 = { from = \"a\"; to = \"b\"; services = [ \"tcp/443\", \"udp/53\", \"icmp/echo-request\" ];\n"
    "  method = \"screen\"; };\n"
    " F-2 = { from = \"gateway\"; to = \"b\"; services = [ \"tcp/25\" ]; method = \"ops\"; };\n"
    " F-3 = { from = \"p\"; to = \"b\"; services = [ \"tcp/443\" ]; method = \"screen\"; };\n";

static const char WITH_SSH[] =
    " F-9 = { from = \"a\"; to = \"b\"; services = [ \"tcp/22\" ]; method = \"screen\"; };\n";

static void set_restricted(const char *number, const char *more, const struct restrictions *restrictions,
                           bool pending) {
  static char text[TEXT_SIZE];
  int length = snprintf(text, sizeof text, HEAD, number);
  length += snprintf(text + length, sizeof text - (size_t)length, "%s%s};\n", FLOWS, more);
  struct arena *arena = arena_new(0);
  struct diagnostic_list list;
  struct error error = {0};
  const struct policy *policy = NULL;
  diagnostic_list_init(&list, arena, LANGUAGE_ENGLISH);
  ck_assert_int_eq(policy_read_text("test", text, (size_t)length, arena, true, &policy, &list, &error), 0);
  ck_assert_ptr_nonnull(policy);
  ck_assert_int_eq(watch_set_restricted_policy(watch, policy, restrictions, arena, pending, clock_now), 0);
}

static void set_policy(const char *number, const char *more, bool pending) {
  set_restricted(number, more, NULL, pending);
}

static void set_up(void) {
  struct watch_settings settings = {.connections = 1024, .tell = tell, .keep = keep, .keep_frames = KEPT_OF_EACH};
  told[0] = '\0';
  kept = told_with_evidence = 0;
  clock_now = START;
  watch = watch_new(&settings);
  ck_assert_int_eq(watch_add_wire(watch, "in0", NULL), INSIDE);
  ck_assert_int_eq(watch_add_wire(watch, "out0", NULL), OUTSIDE);
  watch_add_gateway_mac(watch, INSIDE, &GATEWAY[INSIDE]);
  watch_add_gateway_mac(watch, OUTSIDE, &GATEWAY[OUTSIDE]);
  struct address_range own[2];
  ck_assert(address_parse("10.1.0.1", &own[0].first) && address_parse("10.2.0.1", &own[1].first));
  own[0].last = own[0].first;
  own[1].last = own[1].first;
  ck_assert_int_eq(watch_set_own(watch, own, 2), 0);
  set_policy("1", "", false);
}

static void tear_down(void) {
  watch = watch_free(watch);
}

/* ---- frames ---- */

struct sent {
  int wire;
  bool leaving;
  const char *source, *destination;
  uint8_t protocol;
  uint16_t source_port, destination_port; /* ICMP: type in source_port */
  uint8_t flags;
  const struct mac *source_mac; /* NULL: by the direction */
};

static void put_address(uint8_t *bytes, const char *text) {
  struct address address;
  ck_assert(address_parse(text, &address));
  memcpy(bytes, address.bytes, 4);
}

static void put_transport(const struct sent *sent, uint8_t *bytes) {
  bytes[0] = (uint8_t)(sent->source_port >> 8);
  bytes[1] = (uint8_t)sent->source_port;
  if (sent->protocol == PROTOCOL_ICMP) {
    bytes[0] = (uint8_t)sent->source_port;
    bytes[1] = 0;
    return;
  }
  bytes[2] = (uint8_t)(sent->destination_port >> 8);
  bytes[3] = (uint8_t)sent->destination_port;
  if (sent->protocol == PROTOCOL_UDP)
    bytes[5] = 26;
  bytes[12] = 0x50;
  bytes[13] = sent->flags;
}

static void send_shape(const struct sent *sent) {
  uint8_t bytes[60] = {0};
  const struct mac *gateway = &GATEWAY[sent->wire];
  const struct mac *source = sent->source_mac != NULL ? sent->source_mac : sent->leaving ? gateway : &HOSTS[sent->wire];
  memcpy(bytes, sent->leaving ? HOSTS[sent->wire].bytes : gateway->bytes, 6);
  memcpy(bytes + 6, source->bytes, 6);
  bytes[12] = 8;
  bytes[14] = 0x45;
  bytes[17] = 46;
  bytes[22] = 64;
  bytes[23] = sent->protocol;
  put_address(bytes + 26, sent->source);
  put_address(bytes + 30, sent->destination);
  put_transport(sent, bytes + 34);
  struct captured_frame frame = {
      .time = clock_now, .data = bytes, .captured = 60, .length = 60, .link_type = DLT_EN10MB};
  watch_frame(watch, sent->wire, &frame);
  watch_flush(watch);
  clock_now += MILLISECOND;
}

/* An ARP answer: `mac` says that it has the address. */
static void claim(int wire, const struct mac *mac, const char *address) {
  static const uint8_t head[] = {8, 6, 0, 1, 8, 0, 6, 4, 0, 2};
  uint8_t bytes[60];
  memset(bytes, 0xff, 6);
  memcpy(bytes + 6, mac->bytes, 6);
  memcpy(bytes + 12, head, sizeof head);
  memcpy(bytes + 22, mac->bytes, 6);
  put_address(bytes + 28, address);
  memset(bytes + 32, 0xff, 6);
  put_address(bytes + 38, address);
  memset(bytes + 42, 0, sizeof bytes - 42);
  struct captured_frame frame = {
      .data = bytes, .captured = sizeof bytes, .length = sizeof bytes, .link_type = DLT_EN10MB, .time = clock_now};
  clock_now += MILLISECOND;
  watch_frame(watch, wire, &frame);
  watch_flush(watch);
}

static void enter(int wire, const char *source, const char *destination, uint8_t protocol, uint16_t source_port,
                  uint16_t destination_port, uint8_t flags) {
  send_shape(&(struct sent){wire, false, source, destination, protocol, source_port, destination_port, flags, NULL});
}

static void leave(int wire, const char *source, const char *destination, uint8_t protocol, uint16_t source_port,
                  uint16_t destination_port, uint8_t flags) {
  send_shape(&(struct sent){wire, true, source, destination, protocol, source_port, destination_port, flags, NULL});
}

static void pass(int milliseconds) {
  clock_now += milliseconds * MILLISECOND;
  watch_advance(watch, clock_now);
}

static void expect(const char *events) {
  pass(300);
  ck_assert_str_eq(told, events);
}

/* ---- the tests ---- */

START_TEST(replies_and_later_packets_follow_their_opener) {
  enter(INSIDE, "10.1.0.5", "10.2.0.5", 6, 50000, 443, TCP_SYN);
  leave(OUTSIDE, "10.1.0.5", "10.2.0.5", 6, 50000, 443, TCP_SYN);
  enter(OUTSIDE, "10.2.0.5", "10.1.0.5", 6, 443, 50000, TCP_SYN | TCP_ACK);
  leave(INSIDE, "10.2.0.5", "10.1.0.5", 6, 443, 50000, TCP_SYN | TCP_ACK);
  enter(INSIDE, "10.1.0.5", "10.2.0.5", 6, 50000, 443, TCP_ACK);
  expect("");
}
END_TEST

START_TEST(a_conversation_that_began_before_the_watch_is_taken_up) {
  leave(INSIDE, "10.2.0.5", "10.1.0.5", 6, 443, 50000, TCP_ACK);
  leave(OUTSIDE, "10.1.0.6", "10.2.0.5", 6, 50000, 443, TCP_ACK | TCP_PSH);
  leave(INSIDE, "10.2.0.5", "10.1.0.7", 17, 53, 40000, 0);
  leave(INSIDE, "10.2.0.5", "10.1.0.7", 1, 0, 0, 0);
  expect("");
}
END_TEST

START_TEST(a_connection_from_the_wrong_side_stays_denied_although_it_looks_like_a_reply) {
  leave(INSIDE, "10.2.0.5", "10.1.0.5", 6, 443, 50000, TCP_SYN);
  expect("crossing internet>lgwan;");
  leave(OUTSIDE, "10.1.0.5", "10.2.0.5", 6, 50000, 443, TCP_SYN | TCP_ACK);
  leave(INSIDE, "10.2.0.5", "10.1.0.5", 6, 443, 50000, TCP_ACK);
  expect("crossing internet>lgwan;"); /* one cause */
}
END_TEST

START_TEST(a_lawful_opener_ends_the_memory_of_a_denied_one) {
  enter(OUTSIDE, "10.2.0.5", "10.1.0.5", 17, 53, 53, 0);
  enter(OUTSIDE, "10.2.0.9", "10.1.0.5", 6, 443, 50000, TCP_SYN);
  expect("attempt internet>lgwan;");
  leave(OUTSIDE, "10.1.0.5", "10.2.0.9", 6, 50000, 443, TCP_SYN);
  leave(INSIDE, "10.2.0.9", "10.1.0.5", 6, 443, 50000, TCP_SYN | TCP_ACK);
  expect("attempt internet>lgwan;");
}
END_TEST

START_TEST(a_forged_packet_does_not_spoil_the_conversation_that_it_imitates) {
  enter(INSIDE, "10.1.0.5", "10.2.0.5", 6, 50000, 443, TCP_SYN);
  enter(OUTSIDE, "10.1.0.5", "10.2.0.5", 6, 50000, 443, TCP_ACK); /* from the wrong wire */
  expect("spoofed internet>lgwan;");
  leave(OUTSIDE, "10.1.0.5", "10.2.0.5", 6, 50000, 443, TCP_ACK);
  expect("spoofed internet>lgwan;");
}
END_TEST

START_TEST(a_pinned_host_from_another_mac_is_seen_in_the_middle_of_its_connection) {
  struct sent sent = {INSIDE, false, "10.1.0.200", "10.2.0.5", 6, 50000, 443, TCP_SYN, &PINNED};
  send_shape(&sent);
  sent.flags = TCP_ACK;
  send_shape(&sent);
  send_shape(&sent);
  expect("");
  sent.source_mac = &HOSTS[INSIDE];
  send_shape(&sent);
  expect("spoofed lgwan>-;");
}
END_TEST

START_TEST(AC_E7_who_answers_arp_for_the_gateway_or_a_pinned_host_is_told) {
  claim(INSIDE, &PINNED, "10.1.0.200");
  claim(INSIDE, &HOSTS[INSIDE], "10.1.0.5");
  claim(OUTSIDE, &GATEWAY[OUTSIDE], "10.2.0.1");
  expect("");
  claim(INSIDE, &HOSTS[INSIDE], "10.1.0.200");
  expect("identity-theft lgwan>-;");
  claim(OUTSIDE, &HOSTS[OUTSIDE], "10.2.0.1");
  expect("identity-theft lgwan>-;identity-theft internet>-;");
}
END_TEST

START_TEST(own_packets_are_judged_by_the_flows_of_the_gateway) {
  leave(OUTSIDE, "10.2.0.1", "10.2.0.5", 6, 40000, 25, TCP_SYN);
  enter(OUTSIDE, "10.2.0.5", "10.2.0.1", 6, 25, 40000, TCP_SYN | TCP_ACK);
  leave(OUTSIDE, "10.2.0.1", "10.2.0.5", 6, 40000, 25, TCP_ACK);
  expect("");
  leave(OUTSIDE, "10.2.0.1", "10.2.0.5", 6, 40000, 80, TCP_SYN);
  expect("crossing gateway>internet;");
}
END_TEST

START_TEST(what_the_kernel_answers_of_its_own_accord_is_no_crossing) {
  enter(OUTSIDE, "10.2.0.5", "10.2.0.1", 1, 8, 0, 0);
  leave(OUTSIDE, "10.2.0.1", "10.2.0.5", 1, 0, 0, 0);
  enter(OUTSIDE, "10.2.0.5", "10.2.0.1", 6, 50000, 22, TCP_SYN);
  leave(OUTSIDE, "10.2.0.1", "10.2.0.5", 6, 22, 50000, TCP_RST | TCP_ACK);
  expect("attempt internet>gateway;attempt internet>gateway;");
  leave(OUTSIDE, "10.2.0.1", "10.2.0.5", 6, 22, 50000, TCP_SYN | TCP_ACK); /* a service that is not allowed */
  expect("attempt internet>gateway;attempt internet>gateway;crossing internet>gateway;");
}
END_TEST

START_TEST(a_multicast_source_is_false_and_link_local_talk_is_not) {
  enter(INSIDE, "169.254.3.3", "10.2.0.5", 17, 1, 2, 0);
  enter(INSIDE, "0.0.0.0", "255.255.255.255", 17, 68, 67, 0);
  enter(INSIDE, "10.1.0.5", "224.0.0.251", 17, 5353, 5353, 0);
  expect("");
  enter(INSIDE, "224.0.0.9", "10.2.0.5", 17, 1, 2, 0);
  enter(INSIDE, "10.2.0.9", "224.0.0.251", 17, 5353, 5353, 0);
  expect("spoofed lgwan>-;bypass lgwan>internet;");
}
END_TEST

START_TEST(the_answer_of_reject_is_no_crossing) {
  enter(OUTSIDE, "10.2.0.5", "10.1.0.5", 6, 50000, 22, TCP_SYN);
  leave(OUTSIDE, "10.1.0.5", "10.2.0.5", 6, 22, 50000, TCP_RST | TCP_ACK);
  expect("attempt internet>lgwan;");
  leave(OUTSIDE, "10.1.0.9", "10.2.0.5", 6, 22, 50000, TCP_RST | TCP_ACK); /* nothing was refused here */
  expect("attempt internet>lgwan;crossing lgwan>internet;");
}
END_TEST

/* No answer of the gateway: it came in from there. */
START_TEST(a_reset_that_came_in_is_no_answer_of_reject) {
  enter(OUTSIDE, "10.2.0.5", "10.1.0.5", 6, 50000, 22, TCP_SYN);
  expect("attempt internet>lgwan;");
  enter(INSIDE, "10.1.0.5", "10.2.0.5", 6, 22, 50000, TCP_RST | TCP_ACK);
  leave(OUTSIDE, "10.1.0.5", "10.2.0.5", 6, 22, 50000, TCP_RST | TCP_ACK);
  expect("attempt internet>lgwan;crossing internet>lgwan;");
}
END_TEST

START_TEST(what_looks_like_a_word_of_the_gateway_and_came_in_is_a_crossing) {
  static const struct {
    const char *destination;
    uint8_t protocol;
    uint16_t source_port, destination_port;
    uint8_t flags;
  } reports[] = {{"10.2.0.5", 6, 22, 50000, TCP_RST}, {"10.2.0.5", 1, 0, 0, 0}, {"10.2.0.255", 17, 99, 99, 0}};
  enter(INSIDE, "10.2.0.1", reports[_i].destination, reports[_i].protocol, reports[_i].source_port,
        reports[_i].destination_port, reports[_i].flags);
  leave(OUTSIDE, "10.2.0.1", reports[_i].destination, reports[_i].protocol, reports[_i].source_port,
        reports[_i].destination_port, reports[_i].flags);
  pass(300);
  ck_assert_msg(strstr(told, "crossing gateway>internet;") != NULL, "%s", told);
}
END_TEST

/* Link-local addresses of IPv4 are forwarded like any other. */
START_TEST(a_link_local_source_that_leaves_for_a_machine_is_a_crossing) {
  enter(INSIDE, "169.254.3.3", "10.2.0.5", 17, 1, 2, 0);
  leave(OUTSIDE, "169.254.3.3", "10.2.0.5", 17, 1, 2, 0);
  leave(OUTSIDE, "169.254.3.3", "224.0.0.251", 17, 5353, 5353, 0);
  expect("crossing ->internet;");
}
END_TEST

START_TEST(while_policies_are_exchanged_both_are_accepted_and_then_the_new_one_alone) {
  set_policy("2", WITH_SSH, true);
  leave(OUTSIDE, "10.1.0.5", "10.2.0.5", 6, 50000, 22, TCP_SYN);
  leave(OUTSIDE, "10.1.0.5", "10.2.0.5", 6, 50000, 443, TCP_SYN);
  expect("");
  set_policy("2", WITH_SSH, false);
  leave(OUTSIDE, "10.1.0.5", "10.2.0.5", 6, 50001, 22, TCP_SYN);
  expect("");
  set_policy("3", "", false);
  leave(OUTSIDE, "10.1.0.5", "10.2.0.5", 6, 50001, 22, TCP_ACK); /* on its way */
  expect("");
  leave(OUTSIDE, "10.1.0.5", "10.2.0.5", 6, 50001, 22, TCP_ACK);
  expect("crossing lgwan>internet;");
  ck_assert_str_eq(policy_of_last, "3");
}
END_TEST

START_TEST(a_pending_policy_that_does_not_come_is_forgotten) {
  set_policy("2", WITH_SSH, true);
  watch_drop_pending(watch);
  leave(OUTSIDE, "10.1.0.5", "10.2.0.5", 6, 50000, 22, TCP_SYN);
  expect("crossing lgwan>internet;");
}
END_TEST

START_TEST(what_never_left_is_an_attempt_and_what_left_is_not) {
  enter(INSIDE, "10.1.0.5", "10.2.0.5", 6, 50000, 22, TCP_SYN);
  leave(OUTSIDE, "10.1.0.5", "10.2.0.5", 6, 50000, 22, TCP_SYN);
  expect("crossing lgwan>internet;");
  enter(INSIDE, "10.1.0.6", "10.2.0.5", 6, 50000, 22, TCP_SYN);
  expect("crossing lgwan>internet;attempt lgwan>internet;");
}
END_TEST

START_TEST(frames_of_a_finding_are_kept_the_first_few) {
  for (unsigned i = 0; i < KEPT_OF_EACH + 2; i++)
    leave(OUTSIDE, "10.1.0.5", "10.2.0.5", 6, 50000, 22, TCP_SYN);
  ck_assert_uint_eq(kept, KEPT_OF_EACH);
  ck_assert_str_eq(kept_interface, "out0");
  ck_assert_uint_eq(kept_bytes[29], 5); /* the end of the source */
  ck_assert_uint_eq(told_with_evidence, 1);
}
END_TEST

/* It is told when it did not come out, a moment later, while other frames are judged. */
START_TEST(the_frame_of_an_attempt_is_its_own) {
  enter(INSIDE, "10.1.0.6", "10.2.0.5", 6, 50000, 22, TCP_SYN);
  clock_now += 300 * MILLISECOND;
  enter(INSIDE, "10.1.0.5", "10.2.0.5", 6, 50000, 443, TCP_SYN);
  expect("attempt lgwan>internet;");
  ck_assert_uint_eq(kept, 1);
  ck_assert_str_eq(kept_interface, "in0");
  ck_assert_uint_eq(kept_bytes[29], 6);
  ck_assert_uint_eq(told_with_evidence, 1);
}
END_TEST

START_TEST(what_is_no_frame_has_no_evidence) {
  watch_is_blind(watch, INSIDE, "interface-down", 1, true, clock_now);
  ck_assert_uint_eq(kept, 0);
  ck_assert_uint_eq(told_with_evidence, 0);
}
END_TEST

START_TEST(blindness_lasts_until_it_ends) {
  watch_is_blind(watch, INSIDE, "interface-down", 1, true, clock_now);
  expect("blind lgwan>-;");
  ck_assert_uint_eq(watch_open_alerts(watch, EVENT_CRITICAL), 1);
  pass(60000);
  ck_assert_uint_eq(watch_open_alerts(watch, EVENT_CRITICAL), 1);
  watch_sees_again(watch, INSIDE, "interface-down", clock_now);
  ck_assert_uint_eq(watch_open_alerts(watch, EVENT_CRITICAL), 0);
}
END_TEST

/* ---- what holds the policy back ---- */

static void open_connections(void) {
  enter(INSIDE, "10.1.0.5", "10.2.0.5", 6, 50000, 443, TCP_SYN);
  leave(OUTSIDE, "10.1.0.5", "10.2.0.5", 6, 50000, 443, TCP_SYN);
  enter(INSIDE, "10.1.0.6", "10.2.0.5", 6, 50000, 443, TCP_SYN);
  leave(OUTSIDE, "10.1.0.6", "10.2.0.5", 6, 50000, 443, TCP_SYN);
  expect("");
}

START_TEST(blindness_outlasts_a_clock_that_is_set) {
  static const int64_t steps[] = {86400, -86400};
  watch_is_blind(watch, INSIDE, "policy-differs", 1, true, clock_now);
  expect("blind lgwan>-;");
  clock_now += steps[_i] * 1000000000;
  watch_clock_stepped(watch, clock_now);
  expect("blind lgwan>-;blind lgwan>-;"); /* what was told stays in the list */
  ck_assert_uint_eq(watch_open_alerts(watch, EVENT_CRITICAL), 1);
  watch_sees_again(watch, INSIDE, "policy-differs", clock_now);
  ck_assert_uint_eq(watch_open_alerts(watch, EVENT_CRITICAL), 0);
}
END_TEST

START_TEST(a_cut_pair_is_silent_or_it_is_a_crossing) {
  static const struct cut cuts[] = {
      {.kind = CUT_PAIR, .zone = "internet", .other_zone = "lgwan", .by = "x", .why = "y"},
      {.kind = CUT_ZONE, .zone = "lgwan", .by = "x", .why = "y"},
      {.kind = CUT_ALL, .by = "x", .why = "y"},
  };
  static const struct restrictions none = {0};
  struct restrictions restrictions = {.cuts = &cuts[_i], .cut_count = 1};
  open_connections();
  set_restricted("1", "", &restrictions, true);
  leave(OUTSIDE, "10.1.0.5", "10.2.0.5", 6, 50000, 443, TCP_ACK); /* either is accepted */
  set_restricted("1", "", &restrictions, false);
  leave(OUTSIDE, "10.1.0.5", "10.2.0.5", 6, 50000, 443, TCP_ACK); /* on its way */
  expect("");
  enter(INSIDE, "10.1.0.5", "10.2.0.5", 6, 50000, 443, TCP_ACK);
  expect("attempt lgwan>internet;");
  leave(INSIDE, "10.2.0.5", "10.1.0.6", 6, 443, 50000, TCP_ACK);
  expect("attempt lgwan>internet;crossing internet>lgwan;");
  set_restricted("1", "", &none, false);
  pass(1000);
  leave(OUTSIDE, "10.1.0.5", "10.2.0.5", 6, 50000, 443, TCP_ACK);
  expect("attempt lgwan>internet;crossing internet>lgwan;");
}
END_TEST

START_TEST(a_cut_host_is_cut_from_everybody_and_nobody_else_is) {
  struct cut cut = {.kind = CUT_HOST, .by = "x", .why = "y"};
  struct restrictions restrictions = {.cuts = &cut, .cut_count = 1};
  ck_assert(address_parse("10.2.0.5", &cut.address));
  open_connections();
  set_restricted("1", "", &restrictions, false);
  pass(1000);
  leave(OUTSIDE, "10.1.0.5", "10.2.0.6", 6, 50000, 443, TCP_SYN);
  leave(OUTSIDE, "10.2.0.1", "10.2.0.6", 6, 40000, 25, TCP_SYN);
  expect("");
  leave(OUTSIDE, "10.1.0.5", "10.2.0.5", 6, 50000, 443, TCP_ACK);
  expect("crossing lgwan>internet;");
  leave(OUTSIDE, "10.2.0.1", "10.2.0.5", 6, 40000, 25, TCP_SYN);
  expect("crossing lgwan>internet;crossing gateway>internet;");
}
END_TEST

/* Flows F-1, F-2, F-3; zones lgwan, internet, far. */
START_TEST(what_a_trial_allows_ends_at_its_deadline) {
  struct instant deadline = {START / 1000000000 + 5};
  struct instant flows[] = {deadline, INSTANT_NEVER, INSTANT_NEVER}, within[] = {deadline, deadline, deadline};
  struct restrictions restrictions = {.flow_deadlines = flows, .within_deadlines = within};
  set_restricted("1", "", &restrictions, false);
  pass(1000);
  open_connections();
  pass(5000);
  leave(OUTSIDE, "10.1.0.200", "10.2.0.5", 6, 50000, 443, TCP_SYN);
  expect("");
  leave(OUTSIDE, "10.1.0.5", "10.2.0.5", 6, 50000, 443, TCP_ACK);
  expect("crossing lgwan>internet;");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("judge");
  TCase *all = tcase_create("all");
  tcase_add_checked_fixture(all, set_up, tear_down);
  tcase_add_test(all, replies_and_later_packets_follow_their_opener);
  tcase_add_test(all, a_conversation_that_began_before_the_watch_is_taken_up);
  tcase_add_test(all, a_connection_from_the_wrong_side_stays_denied_although_it_looks_like_a_reply);
  tcase_add_test(all, a_lawful_opener_ends_the_memory_of_a_denied_one);
  tcase_add_test(all, a_forged_packet_does_not_spoil_the_conversation_that_it_imitates);
  tcase_add_test(all, a_pinned_host_from_another_mac_is_seen_in_the_middle_of_its_connection);
  tcase_add_test(all, own_packets_are_judged_by_the_flows_of_the_gateway);
  tcase_add_test(all, AC_E7_who_answers_arp_for_the_gateway_or_a_pinned_host_is_told);
  tcase_add_test(all, what_the_kernel_answers_of_its_own_accord_is_no_crossing);
  tcase_add_test(all, a_multicast_source_is_false_and_link_local_talk_is_not);
  tcase_add_test(all, the_answer_of_reject_is_no_crossing);
  tcase_add_test(all, a_reset_that_came_in_is_no_answer_of_reject);
  tcase_add_loop_test(all, what_looks_like_a_word_of_the_gateway_and_came_in_is_a_crossing, 0, 3);
  tcase_add_test(all, a_link_local_source_that_leaves_for_a_machine_is_a_crossing);
  tcase_add_test(all, while_policies_are_exchanged_both_are_accepted_and_then_the_new_one_alone);
  tcase_add_test(all, a_pending_policy_that_does_not_come_is_forgotten);
  tcase_add_test(all, what_never_left_is_an_attempt_and_what_left_is_not);
  tcase_add_test(all, frames_of_a_finding_are_kept_the_first_few);
  tcase_add_test(all, the_frame_of_an_attempt_is_its_own);
  tcase_add_test(all, what_is_no_frame_has_no_evidence);
  tcase_add_test(all, blindness_lasts_until_it_ends);
  tcase_add_loop_test(all, blindness_outlasts_a_clock_that_is_set, 0, 2);
  tcase_add_loop_test(all, a_cut_pair_is_silent_or_it_is_a_crossing, 0, 3);
  tcase_add_test(all, a_cut_host_is_cut_from_everybody_and_nobody_else_is);
  tcase_add_test(all, what_a_trial_allows_ends_at_its_deadline);
  suite_add_tcase(suite, all);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
