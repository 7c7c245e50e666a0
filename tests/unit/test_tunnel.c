/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packets within packets, and machines that packets name beside their addresses: what is told of them. */
#include <check.h>
#include <pcap/dlt.h>
#include <stdio.h>
#include <string.h>

#include "layers.h"
#include "policy/read.h"
#include "watch/watch.h"

enum { INSIDE, OUTSIDE, CORE, WIRES, TEXT_SIZE = 8192, RECIPE_SIZE = 1024 };
static const int64_t START = 1795482000LL * 1000000000, MILLISECOND = 1000000;

static struct watch *watch;
static int64_t clock_now;
static char told[TEXT_SIZE]; /* first records only: "tunnel lgwan>internet gre;" */
static char message[1024];
static uint64_t count_of_last;

static void tell(void *context, struct event *event, const struct timezone *timezone) {
  (void)context, (void)timezone;
  count_of_last = event->count;
  if (event->id[0] != '\0')
    return;
  strcpy(event->id, "x");
  size_t length = strlen(told);
  snprintf(told + length, sizeof told - length, "%s %s>%s %s;", event->kind, event->zone != NULL ? event->zone : "-",
           event->other_zone != NULL ? event->other_zone : "-", event->reason != NULL ? event->reason : "-");
  snprintf(message, sizeof message, "%s", event->message);
}

static const char HEAD[] =
    "policy = { name = \"t\"; number = \"1\"; model = \"alpha\"; timezone = \"Asia/Tokyo\"; };\n"
    "zones = {\n"
    " lgwan = { class = \"lgwan\"; interfaces = [ \"in0\" ]; networks = [ \"10.1.0.0/24\", \"2409:1::/64\" ]; };\n"
    " internet = { class = \"internet\"; interfaces = [ \"out0\" ];\n"
    "  networks = [ \"10.2.0.0/24\", \"2409:2::/64\" ]; };\n"
    " core = { class = \"mynumber\"; interfaces = [ \"core0\" ]; networks = [ \"10.9.0.0/24\", \"2409:9::/64\" ]; };\n"
    " world = { class = \"cloud\"; interfaces = [ \"world0\" ]; networks = [ \"172.31.0.0/24\", \"2002::/16\" ];\n"
    "  default_route = true; };\n"
    "};\n"
    "hosts = {\n"
    " a = { zone = \"lgwan\"; address = [ \"10.1.0.0/25\", \"2409:1::/65\" ]; };\n"
    " b = { zone = \"internet\"; address = [ \"10.2.0.0/25\", \"2409:2::/65\" ]; };\n"
    " c = { zone = \"core\"; address = \"10.9.0.7\"; mac = \"02:00:00:00:00:77\"; };\n"
    "};\n"
    "services = { wireguard-site = [ \"udp/40001\" ]; };\n"
    "flows = {\n"
    " F-1 = { from = \"a\"; to = \"b\"; services = [ \"tcp/443\", \"udp/53\", \"udp/8443\" ]; method = \"screen\"; "
    "};\n";

static void set_policy(const char *services) {
  static char text[TEXT_SIZE];
  int length = snprintf(text, sizeof text, "%s", HEAD);
  if (services[0] != '\0')
    length += snprintf(text + length, sizeof text - (size_t)length,
                       " F-2 = { from = \"a\"; to = \"b\"; services = [ %s ]; method = \"ops\"; };\n", services);
  length += snprintf(text + length, sizeof text - (size_t)length, "};\n");
  struct arena *arena = arena_new(0);
  struct diagnostic_list list;
  struct error error = {0};
  const struct policy *policy = NULL;
  diagnostic_list_init(&list, arena, LANGUAGE_ENGLISH);
  ck_assert_int_eq(policy_read_text("test", text, (size_t)length, arena, true, &policy, &list, &error), 0);
  ck_assert_ptr_nonnull(policy);
  ck_assert_int_eq(watch_set_policy(watch, policy, arena, false, clock_now), 0);
}

static void set_own(void) {
  static const char *const texts[] = {"10.1.0.1", "10.2.0.1", "10.9.0.1"};
  struct address_range own[WIRES];
  for (int i = 0; i < WIRES; i++) {
    ck_assert(address_parse(texts[i], &own[i].first));
    own[i].last = own[i].first;
  }
  ck_assert_int_eq(watch_set_own(watch, own, WIRES), 0);
}

static void set_up(void) {
  static const char *const names[] = {"in0", "out0", "core0"};
  struct watch_settings settings = {
      .connections = 1024, .tell = tell, .language = LANGUAGE_ENGLISH, .language_forced = true};
  told[0] = '\0';
  clock_now = START;
  watch = watch_new(&settings);
  for (int i = 0; i < WIRES; i++) {
    ck_assert_int_eq(watch_add_wire(watch, names[i], NULL), i);
    watch_add_gateway_mac(watch, i, &(struct mac){{2, 0, 0, 0, 0, (uint8_t)(0xa1 + i)}});
  }
  set_own();
  set_policy("");
}

static void tear_down(void) {
  watch = watch_free(watch);
}

/* ---- frames ---- */

enum way { IN, OUT, ON };

static void show(int wire, enum way way, const char *recipe) {
  char whole[RECIPE_SIZE], gateway[24], machine[24];
  uint8_t bytes[LAYERS_MOST];
  snprintf(gateway, sizeof gateway, "0200000000a%d", wire + 1);
  snprintf(machine, sizeof machine, "02000000000%d", wire + 1);
  snprintf(whole, sizeof whole, "eth:%s>%s %s", way == IN ? gateway : "02000000000f", way == OUT ? gateway : machine,
           recipe);
  size_t length = layers_build(whole, bytes);
  struct captured_frame frame = {.time = clock_now,
                                 .data = bytes,
                                 .captured = (uint32_t)length,
                                 .length = (uint32_t)length,
                                 .link_type = DLT_EN10MB};
  watch_frame(watch, wire, &frame);
  watch_flush(watch);
  clock_now += MILLISECOND;
}

static void expect(const char *events, const char *name) {
  clock_now += 300 * MILLISECOND;
  watch_advance(watch, clock_now);
  ck_assert_msg(strcmp(told, events) == 0, "%s\n  told: %s\n  due:  %s", name, told, events);
}

#define AB "ip4:10.1.0.5>10.2.0.5" /* lawful: lgwan to internet */
#define BB "ip4:10.2.0.5>10.2.0.6" /* within internet */
#define BB6 "ip6:2409:2::5>2409:2::6"
#define AX "ip4:10.1.0.9>10.2.0.9 tcp:50000>22" /* of lgwan, not allowed */
#define AX6 "ip6:2409:1::9>2409:2::9 tcp:50000>22"
#define HTTPS "ip4:10.1.0.9>10.2.0.9 tcp:50000>443" /* allowed by F-1 */
#define HOME "ip4:10.2.0.50>10.2.0.60 tcp:50000>80"
#define FAR "ip4:10.1.0.9>10.9.0.9 tcp:50000>22"
/* Ends F-2 and begins a flow to the rest of the world. */
#define TO_WORLD                                                                                                       \
  "\"tcp/22\" ]; method = \"ops\"; };\n F-3 = { from = \"a\"; to = \"zone:world\"; services = [ \"tcp/443\""
#define ETH "eth:020000000aaa>020000000bbb"

static const struct {
  const char *services; /* that F-2 allows from a to b */
  int wire;
  enum way way;
  const char *recipe, *told;
} sights[] = {
    /* On a wire between others: whatever is carried, and whoever carries it. */
    {"", OUTSIDE, ON, BB " " AX, "tunnel internet>lgwan inner-packet;"},
    {"", OUTSIDE, ON, BB " " HOME, "tunnel internet>internet ip-in-ip;"},
    {"", OUTSIDE, ON, BB " gre " AX, "tunnel internet>lgwan inner-packet;"},
    {"", OUTSIDE, ON, BB " gre " ETH " " AX, "tunnel internet>lgwan inner-packet;"},
    {"", OUTSIDE, ON, BB " ip4:10.2.0.7>10.2.0.8 gre " AX, "tunnel internet>lgwan inner-packet;"},
    {"", OUTSIDE, ON, BB " " AX6, "tunnel internet>lgwan inner-packet;"},
    {"", OUTSIDE, ON, BB6 " " AX, "tunnel internet>lgwan inner-packet;"},
    {"", OUTSIDE, ON, BB " udp:40000>4789 vxlan " ETH " " AX, "tunnel internet>lgwan inner-packet;"},
    {"", OUTSIDE, ON, BB " udp:40000>6081 geneve " ETH " " AX, "tunnel internet>lgwan inner-packet;"},
    {"", OUTSIDE, ON, BB " udp:40000>8472 vxlan " ETH " " AX, "tunnel internet>lgwan inner-packet;"},
    {"", OUTSIDE, ON, BB " udp:40000>33333 vxlan " ETH " " AX, "tunnel internet>lgwan inner-packet;"},
    {"", OUTSIDE, ON, BB " udp:40000>33333 vxlan " ETH " " HOME, "tunnel internet>internet vxlan;"},
    {"", OUTSIDE, ON, BB " udp:3544>50000 " AX6, "tunnel internet>lgwan inner-packet;"},
    {"", OUTSIDE, ON, BB "/50 fill:60", "tunnel internet>internet esp;"},
    {"", OUTSIDE, ON, "ip4:10.2.0.5>10.1.0.6/50 fill:60", "tunnel internet>lgwan esp;"},
    {"", OUTSIDE, ON, BB " udp:40000>51820 raw:01000000 fill:144", "tunnel internet>internet wireguard;"},
    {"", OUTSIDE, ON, BB " udp:40000>1194 raw:3811223344556677880000000000", "tunnel internet>internet openvpn;"},
    {"", OUTSIDE, ON, BB " udp:500>500 raw:1122334455667788000000000000000021202208000000000000001c",
     "tunnel internet>internet ike;"},
    {"", OUTSIDE, ON, BB " udp:1701>1701 l2tp " AX, "tunnel internet>lgwan inner-packet;"},
    {"", OUTSIDE, ON, BB " ah " AX, "tunnel internet>lgwan inner-packet;"},
    {"", OUTSIDE, ON,
     BB " gre eth:ffffffffffff>020000000bbb type:0806 raw:0001080006040001020000000bbb0a01000902aabbccddee"
        "0a010001",
     "tunnel internet>lgwan inner-packet;"},
    {"", OUTSIDE, ON, BB " gre eth:020000000aaa>020000000077 " HOME, "tunnel internet>core inner-mac;"},
    /* Neither IP nor ARP. */
    {"", OUTSIDE, ON, "mpls " AX, "tunnel internet>lgwan inner-packet;"},
    {"", OUTSIDE, ON, "mpls " HOME, "unknown-segment internet>- foreign-protocol;"},
    {"", OUTSIDE, ON, "pppoe " AX, "tunnel internet>lgwan inner-packet;"},
    {"", OUTSIDE, ON, "nsh " AX, "tunnel internet>lgwan inner-packet;"},
    {"", OUTSIDE, ON, "pbb " ETH " " AX, "tunnel internet>lgwan inner-packet;"},
    {"", OUTSIDE, ON, "llc-ip " AX, "tunnel internet>lgwan inner-packet;"},
    {"", OUTSIDE, ON, "mpls gre fill:40", "unknown-segment internet>- foreign-protocol;"},
    /* In fragments: the first shows what is in it, the later ones what they are. */
    {"", OUTSIDE, ON, "ip4-first:10.2.0.5>10.2.0.6 gre " AX " fill:4", "tunnel internet>lgwan inner-packet;"},
    {"", OUTSIDE, ON, "ip4-later:10.2.0.5>10.2.0.6/47 fill:40", "tunnel internet>internet gre;"},
    /* Into the gateway: what it stops is an attempt, unless a zone shows that the outer packet hides. */
    {"", INSIDE, IN, AB " gre " AX, "attempt lgwan>internet tunnel;"},
    {"", INSIDE, IN, AB " gre " FAR, "tunnel lgwan>core inner-packet;"},
    {"", INSIDE, IN, "ip4:10.1.0.5>8.8.8.8 ip6:2001:0:1::1>2001:0:2::2 tcp:50000>80", "attempt lgwan>world tunnel;"},
    {"", INSIDE, IN, "ip4:10.1.0.5>8.8.8.8 udp:40000>3544 ip6:fe80::1>ff02::2/58 raw:85000000 fill:4",
     "attempt lgwan>world tunnel;"},
    {"", INSIDE, IN, AB " udp:40000>51820 raw:01000000 fill:144", "attempt lgwan>internet no-flow;"},
    {"", INSIDE, IN, "ip4:10.1.0.5>10.1.0.1 gre " AX, "tunnel lgwan>internet inner-packet;"},
    {"", INSIDE, IN, "ip4:10.1.0.5>10.1.0.1 gre ip4:10.1.0.7>10.1.0.8 tcp:50000>80", "attempt lgwan>gateway tunnel;"},
    /* Out of the gateway. */
    {"", OUTSIDE, OUT, AB " gre " AX, "tunnel lgwan>internet gre;"},
    {"", OUTSIDE, OUT, AB " gre " FAR, "tunnel lgwan>core inner-packet;"},
    {"", OUTSIDE, OUT, AB " udp:40000>4789 vxlan " ETH " " HTTPS, "tunnel lgwan>internet vxlan;"},
    {"", OUTSIDE, OUT, AB "/50 fill:60", "tunnel lgwan>internet esp;"},
    {"", OUTSIDE, OUT, "ip4:10.2.0.1>10.2.0.5 gre " HOME, "tunnel gateway>internet gre;"},
    /* Within a lawful conversation of another service. */
    {"", INSIDE, IN, AB " udp:40000>53 vxlan " ETH " " HTTPS, "tunnel lgwan>internet vxlan;"},
    {"", OUTSIDE, OUT, AB " udp:40000>8443 raw:01000000 fill:144", "tunnel lgwan>internet wireguard;"},
    {"", OUTSIDE, OUT, AB " udp:51820>53 raw:01000000 fill:144", "tunnel lgwan>internet wireguard;"},
    {"\"icmp/echo-request\"", OUTSIDE, OUT, AB " echo " HTTPS, "tunnel lgwan>internet icmp-tunnel;"},
    {"\"icmp/echo-request\"", OUTSIDE, OUT, AB " echo raw:d5200880 fill:40", "tunnel lgwan>internet icmp-tunnel;"},
    {"\"icmp/echo-request\"", OUTSIDE, OUT, AB " echo fill:56", ""},
    /* Named by a flow. */
    {"\"proto/47\"", OUTSIDE, OUT, AB " gre " HTTPS, ""},
    {"\"proto/47\"", OUTSIDE, OUT, AB " gre " AX, "tunnel lgwan>internet inner-packet;"},
    {"\"proto/47\"", INSIDE, IN, AB " gre " AX, "tunnel lgwan>internet inner-packet;"},
    {"\"proto/47\"", OUTSIDE, OUT, AB " gre " FAR, "tunnel lgwan>core inner-packet;"},
    {"\"proto/47\"", OUTSIDE, OUT, AB " gre " HOME, ""},
    {"\"proto/47\"", INSIDE, OUT, "ip4:10.2.0.5>10.1.0.5 gre ip4:10.2.0.9>10.1.0.9 tcp:443>50000",
     "tunnel internet>lgwan inner-packet;"},
    {"\"proto/47\"", OUTSIDE, OUT, AB " gre ip4:10.1.0.9>10.2.0.9 udp:40000>53 vxlan " ETH " " AX,
     "tunnel lgwan>internet inner-packet;"},
    {"\"proto/47\"", INSIDE, OUT, "ip4:10.2.0.5>10.1.0.5 gre ip4:10.2.0.9>10.1.0.9 tcp:443>50000/18", ""},
    {"\"proto/47\"", INSIDE, OUT, "ip4:10.2.0.5>10.1.0.5 gre ip4:10.2.0.9>10.1.0.9 tcp:443>50000/16", ""},
    {"\"proto/47\"", OUTSIDE, OUT, AB " gre ip4:10.1.0.9>10.2.0.9 tcp:50000>443/16", ""},
    {"\"proto/50\"", OUTSIDE, OUT, AB "/50 fill:60", ""},
    {"\"proto/50\"", INSIDE, OUT, "ip4:10.2.0.5>10.1.0.5/50 fill:60", ""},
    {"\"udp/4500\"", OUTSIDE, OUT, AB " udp:4500>4500 raw:00001234 fill:60", ""},
    {"\"udp/4500\"", OUTSIDE, OUT, AB " udp:4500>4500 raw:01000000 fill:144", "tunnel lgwan>internet wireguard;"},
    {"\"udp/51820\"", OUTSIDE, OUT, AB " udp:40000>51820 raw:01000000 fill:144", ""},
    {"\"udp/51820\"", INSIDE, OUT, "ip4:10.2.0.5>10.1.0.5 udp:51820>40000 raw:02000000 fill:88", ""},
    {"\"udp/51820\"", OUTSIDE, OUT, AB " udp:40000>51820 vxlan " ETH " " HTTPS, "tunnel lgwan>internet vxlan;"},
    {"\"udp/40001\"", OUTSIDE, OUT, AB " udp:40000>40001 raw:01000000 fill:144", "tunnel lgwan>internet wireguard;"},
    {"\"wireguard-site\"", OUTSIDE, OUT, AB " udp:40000>40001 raw:01000000 fill:144", ""},
    {"\"wireguard-site\"", OUTSIDE, OUT, AB " udp:40000>40001 vxlan " ETH " " HTTPS, "tunnel lgwan>internet vxlan;"},
    {"\"udp/4789\"", OUTSIDE, OUT, AB " udp:40000>4789 vxlan " ETH " " HTTPS, ""},
    {"\"udp/4789\"", OUTSIDE, OUT, AB " udp:40000>4789 vxlan " ETH " " AX, "tunnel lgwan>internet inner-packet;"},
    {"\"udp/3544\"", OUTSIDE, OUT, AB " udp:40000>3544 " AX6, "tunnel lgwan>internet inner-packet;"},
    /* Machines that are named otherwise. */
    {"", OUTSIDE, ON, "ip6:2409:2::5>64:ff9b::10.1.0.5 tcp:50000>443", "tunnel internet>lgwan nat64;"},
    {"", OUTSIDE, IN, "ip6:2409:2::5>64:ff9b::10.1.0.5 tcp:50000>443", "attempt internet>lgwan special-destination;"},
    {"", OUTSIDE, ON, "ip6:2409:2::5>2002:a01:5::1 tcp:50000>443", "tunnel internet>lgwan 6to4;"},
    {"", OUTSIDE, ON, "ip6:2409:2::5>fe80::5efe:a01:5 tcp:50000>443", "tunnel internet>lgwan isatap;"},
    {"", OUTSIDE, ON, "ip6:2409:2::5>::ffff:10.1.0.5 tcp:50000>443", "tunnel internet>lgwan ipv4-mapped;"},
    {"", OUTSIDE, ON, "ip4:10.2.0.5>10.2.0.6,10.1.0.5 tcp:50000>443", "tunnel internet>lgwan source-route;"},
    {"", OUTSIDE, IN, "ip4:10.2.0.5>10.2.0.1,10.1.0.5 tcp:50000>443", "attempt internet>lgwan ip-options;"},
    {"", OUTSIDE, ON, BB6 " routing:2409:1::5 tcp:50000>443", "tunnel internet>lgwan routing-header;"},
    {"", OUTSIDE, ON, BB6 " home:2409:1::5 tcp:50000>443", "tunnel internet>lgwan home-address;"},
    {"", OUTSIDE, ON, BB " ip6:2409:2::5>2002:a01:5::1 tcp:50000>443", "tunnel internet>lgwan 6to4;"},
    {"", OUTSIDE, ON, "ip4:10.2.0.5>10.2.0.6,10.2.0.7 tcp:50000>443", "unknown-segment internet>- source-route;"},
    {"", OUTSIDE, ON, BB6 " routing:2409:2::7 tcp:50000>443", "unknown-segment internet>- routing-header;"},
    {TO_WORLD, INSIDE, IN, "ip6:2409:1::5>2002:a02:5::1 tcp:50000>443", ""},
    {TO_WORLD, INSIDE, IN, "ip6:2409:1::5>2002:a09:5::1 tcp:50000>443", "tunnel lgwan>core 6to4;"},
    {"", OUTSIDE, IN, "ip4:10.2.0.9>10.1.0.9 icmp-error " AX, "attempt internet>lgwan icmp;"},
    {"", OUTSIDE, ON, "ip4:10.2.0.5>224.0.0.18 ah " AX, "tunnel internet>lgwan inner-packet;"},
    /* Nothing of the kind. */
    {"", OUTSIDE, ON, "ip4:10.2.0.5>224.0.0.18/51 raw:700400000000000100000001 fill:32", ""},
    {"", OUTSIDE, ON, "ip6:fe80::5>ff02::5/50 fill:60", ""},
    {"", OUTSIDE, ON, BB " udp:40000>4789 raw:0102030405060708", ""},
    {"", INSIDE, IN, AB " udp:40000>53 raw:123401000001000000000000", ""},
    {"", OUTSIDE, ON, "ip6:fe80::5efe:a02:5>ff02::2/58 raw:85000000 fill:4", ""},
    {"", OUTSIDE, ON, "ip6:::>ff02::1:ff00:5/58 raw:8700000000000000 raw:24090002000000000000000000000005", ""},
};

enum { SIGHTS = sizeof sights / sizeof sights[0] };

START_TEST(a_frame_on_a_wire_is_told_as_what_it_is) {
  set_policy(sights[_i].services);
  show(sights[_i].wire, sights[_i].way, sights[_i].recipe);
  expect(sights[_i].told, sights[_i].recipe);
}
END_TEST

START_TEST(a_tunnel_that_begins_within_a_lawful_conversation_is_found) {
  for (int i = 0; i < 5; i++) {
    show(INSIDE, IN, AB " udp:40000>8443 raw:1700112233445566 fill:20");
    show(OUTSIDE, OUT, AB " udp:40000>8443 raw:1700112233445566 fill:20");
  }
  expect("", "ordinary datagrams");
  show(INSIDE, IN, AB " udp:40000>8443 vxlan " ETH " " FAR);
  show(OUTSIDE, OUT, AB " udp:40000>8443 vxlan " ETH " " FAR);
  show(INSIDE, IN, AB " udp:40000>8443 raw:04000000112233440500000000000000 fill:16");
  show(INSIDE, IN, AB " udp:40000>8443 raw:1700112233445566 fill:20");
  expect("tunnel lgwan>core inner-packet;tunnel lgwan>internet wireguard;", "a tunnel in the middle");
}
END_TEST

/* The way of a packet into the gateway and out of it is one cause. */
START_TEST(a_tunnel_through_the_gateway_is_one_alert) {
  for (int i = 0; i < 3; i++) {
    show(INSIDE, IN, AB " udp:40000>53 vxlan " ETH " " HTTPS);
    show(OUTSIDE, OUT, AB " udp:40000>53 vxlan " ETH " " HTTPS);
  }
  expect("tunnel lgwan>internet vxlan;", "both sides");
  watch_finish(watch, clock_now);
  ck_assert_uint_eq(count_of_last, 6);
}
END_TEST

START_TEST(both_directions_of_a_tunnel_and_all_its_ports_are_one_alert) {
  show(OUTSIDE, ON, BB " udp:500>500 raw:1122334455667788000000000000000021202208000000000000001c");
  show(OUTSIDE, ON, "ip4:10.2.0.6>10.2.0.5 udp:500>500 raw:1122334455667788000000000000000021202208000000000000001c");
  show(OUTSIDE, ON, BB " udp:4500>4500 raw:00001234 fill:60");
  show(OUTSIDE, ON, "ip4:10.2.0.6>10.2.0.5 udp:4500>4500 raw:00001234 fill:60");
  expect("tunnel internet>internet ike;", "IPsec");
  show(OUTSIDE, ON, "ip4:10.2.0.7>10.2.0.5 udp:4500>4500 raw:00001234 fill:60");
  expect("tunnel internet>internet ike;tunnel internet>internet esp;", "another machine");
}
END_TEST

START_TEST(what_came_in_forbidden_and_left_as_a_tunnel_is_no_attempt) {
  show(INSIDE, IN, AB " gre " AX);
  show(OUTSIDE, OUT, AB " gre " AX);
  expect("tunnel lgwan>internet gre;", "in and out");
}
END_TEST

START_TEST(a_tunnel_whose_outer_address_was_rewritten_is_a_disguised_crossing) {
  show(INSIDE, IN, AB " udp:40000>4789 vxlan " ETH " " HTTPS);
  show(OUTSIDE, OUT, "ip4:10.2.0.1>10.2.0.5 udp:40000>4789 vxlan " ETH " " HTTPS);
  expect("disguised-crossing lgwan>internet rewritten-source;", "over UDP");
  show(INSIDE, IN, AB " gre " HTTPS);
  show(OUTSIDE, OUT, "ip4:10.2.0.1>10.2.0.5 gre " HTTPS);
  expect("disguised-crossing lgwan>internet rewritten-source;disguised-crossing lgwan>internet rewritten-source;",
         "of its own protocol");
}
END_TEST

START_TEST(an_encrypted_tunnel_that_a_flow_names_is_told_when_it_becomes_another) {
  set_policy("\"udp/51820\"");
  for (int i = 0; i < 4; i++) {
    show(INSIDE, IN, AB " udp:40000>51820 raw:04000000112233440500000000000000 fill:16");
    show(OUTSIDE, OUT, AB " udp:40000>51820 raw:04000000112233440500000000000000 fill:16");
  }
  expect("", "what the flow names");
  show(OUTSIDE, OUT, AB " udp:40000>51820 vxlan " ETH " " HTTPS);
  expect("tunnel lgwan>internet vxlan;", "another tunnel at its port");
}
END_TEST

START_TEST(each_packet_within_a_tunnel_that_a_flow_names_is_judged) {
  set_policy("\"proto/47\"");
  for (int i = 0; i < 4; i++) {
    show(INSIDE, IN, AB " gre " HTTPS);
    show(OUTSIDE, OUT, AB " gre " HTTPS);
  }
  expect("", "what the flows allow");
  show(INSIDE, IN, AB " gre " FAR);
  expect("tunnel lgwan>core inner-packet;", "another packet in the same tunnel");
}
END_TEST

static void nest(char *recipe, size_t size, int layers) {
  snprintf(recipe, size, "%s", BB);
  for (int i = 0; i < layers; i++) {
    size_t at = strlen(recipe);
    snprintf(recipe + at, size - at, " ip4:10.2.0.%d>10.2.0.%d", 20 + i, 40 + i);
  }
  size_t at = strlen(recipe);
  snprintf(recipe + at, size - at, " ip4:10.1.0.9>10.2.0.9 tcp:50000>22");
}

START_TEST(eight_layers_are_judged_and_more_are_a_finding) {
  char recipe[RECIPE_SIZE];
  nest(recipe, sizeof recipe, 7);
  show(OUTSIDE, ON, recipe);
  expect("tunnel internet>lgwan inner-packet;", "eight layers");
  told[0] = '\0';
  clock_now += 60000 * MILLISECOND;
  watch_advance(watch, clock_now);
  nest(recipe, sizeof recipe, 8);
  show(OUTSIDE, ON, recipe);
  expect("tunnel internet>internet nested-too-deep;", "nine layers");
}
END_TEST

START_TEST(the_message_names_the_packet_within) {
  show(OUTSIDE, ON, BB " gre " AX);
  expect("tunnel internet>lgwan inner-packet;", "gre");
  ck_assert_msg(strstr(message, "10.1.0.9 -> 10.2.0.9") != NULL, "%s", message);
}
END_TEST

/* The outsider reports to the gateway about a packet that only LGWAN could have sent. */
START_TEST(an_icmp_error_to_the_gateway_that_quotes_another_zone_is_a_crossing) {
  show(OUTSIDE, IN, "ip4:10.2.0.5>10.2.0.1 icmp-error " AX);
  expect("crossing lgwan>internet quoted-packet;", "an error to the gateway");
}
END_TEST

START_TEST(an_icmp_error_about_a_lawful_conversation_is_nothing) {
  show(OUTSIDE, OUT, HTTPS);
  show(OUTSIDE, IN, "ip4:10.2.0.9>10.1.0.9 icmp-error " HTTPS);
  expect("", "an error about what may pass");
}
END_TEST

START_TEST(while_policies_are_exchanged_what_either_names_is_no_tunnel) {
  static char text[TEXT_SIZE];
  int length =
      snprintf(text, sizeof text,
               "%s F-2 = { from = \"a\"; to = \"b\"; services = [ \"proto/47\" ]; method = \"ops\"; };\n};\n", HEAD);
  struct arena *arena = arena_new(0);
  struct diagnostic_list list;
  struct error error = {0};
  const struct policy *policy = NULL;
  diagnostic_list_init(&list, arena, LANGUAGE_ENGLISH);
  ck_assert_int_eq(policy_read_text("test", text, (size_t)length, arena, true, &policy, &list, &error), 0);
  ck_assert_int_eq(watch_set_policy(watch, policy, arena, true, clock_now), 0);
  show(INSIDE, IN, AB " gre " HTTPS);
  show(OUTSIDE, OUT, AB " gre " HTTPS);
  expect("", "the next policy names it");
}
END_TEST

START_TEST(while_policies_are_exchanged_what_lies_right_by_either_is_not_foreign) {
  static char text[TEXT_SIZE];
  snprintf(text, sizeof text, "%s};\n", HEAD);
  char *networks = strstr(text, "\"10.2.0.0/24\"");
  char *core = strstr(text, "10.9.0.0/24");
  memcpy(networks, "\"10.9.0.0/24\"", strlen("\"10.9.0.0/24\"")); /* they change places */
  memcpy(core, "10.2.0.0/24", strlen("10.2.0.0/24"));
  struct arena *arena = arena_new(0);
  struct diagnostic_list list;
  struct error error = {0};
  const struct policy *policy = NULL;
  diagnostic_list_init(&list, arena, LANGUAGE_ENGLISH);
  ck_assert_int_eq(policy_read_text("test", text, strlen(text), arena, true, &policy, &list, &error), 0);
  show(OUTSIDE, ON, "mpls ip4:10.9.0.70>10.2.0.70 tcp:50000>80");
  expect("tunnel internet>core inner-packet;", "before");
  ck_assert_int_eq(watch_set_policy(watch, policy, arena, true, clock_now), 0);
  told[0] = '\0';
  show(OUTSIDE, ON, "mpls ip4:10.9.0.70>10.2.0.70 tcp:50000>80");
  show(OUTSIDE, ON, "mpls ip4:10.2.0.70>10.9.0.70 tcp:50000>80");
  expect("unknown-segment internet>- foreign-protocol;", "meanwhile");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("tunnel");
  TCase *all = tcase_create("all");
  tcase_add_checked_fixture(all, set_up, tear_down);
  tcase_add_loop_test(all, a_frame_on_a_wire_is_told_as_what_it_is, 0, SIGHTS);
  tcase_add_test(all, a_tunnel_that_begins_within_a_lawful_conversation_is_found);
  tcase_add_test(all, a_tunnel_through_the_gateway_is_one_alert);
  tcase_add_test(all, both_directions_of_a_tunnel_and_all_its_ports_are_one_alert);
  tcase_add_test(all, what_came_in_forbidden_and_left_as_a_tunnel_is_no_attempt);
  tcase_add_test(all, a_tunnel_whose_outer_address_was_rewritten_is_a_disguised_crossing);
  tcase_add_test(all, an_encrypted_tunnel_that_a_flow_names_is_told_when_it_becomes_another);
  tcase_add_test(all, each_packet_within_a_tunnel_that_a_flow_names_is_judged);
  tcase_add_test(all, eight_layers_are_judged_and_more_are_a_finding);
  tcase_add_test(all, the_message_names_the_packet_within);
  tcase_add_test(all, an_icmp_error_to_the_gateway_that_quotes_another_zone_is_a_crossing);
  tcase_add_test(all, an_icmp_error_about_a_lawful_conversation_is_nothing);
  tcase_add_test(all, while_policies_are_exchanged_what_either_names_is_no_tunnel);
  tcase_add_test(all, while_policies_are_exchanged_what_lies_right_by_either_is_not_foreign);
  suite_add_tcase(suite, all);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
