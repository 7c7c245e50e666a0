/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What frames carry, layer by layer. */
#include <check.h>
#include <pcap/dlt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layers.h"
#include "wire/frame.h"

enum { TEXT_SIZE = 512, LAYERS = 12, MUTATIONS = 3000 };

#define OUT4 "ip4:10.0.0.1>10.0.0.2"
#define OUT6 "ip6:2001:db8::1>2001:db8::2"
#define IN4 "ip4:10.1.0.1>10.1.0.2 tcp:50000>443"
#define IN6 "ip6:2001:db8:1::1>2001:db8:1::2 udp:50000>53 fill:9"
#define SEES4 "10.1.0.1>10.1.0.2/6:443"
#define SEES6 "2001:db8:1::1>2001:db8:1::2/17:53"
#define ETH "eth:020000000aaa>020000000bbb"
#define NAT "udp:40000>"

/* What is expected: the names from the outside in, with the packet of each inner layer. */
static const struct {
  const char *recipe, *sees;
} shapes[] = {
    {"eth " OUT4 " tcp:50000>443 fill:40", ""},
    {"eth " OUT4 " udp:50000>443 fill:40", ""},
    {"eth " OUT4 " " IN4, "ip-in-ip " SEES4},
    {"eth " OUT4 " " IN6, "6in4 " SEES6},
    {"eth " OUT6 " " IN4, "4in6 " SEES4},
    {"eth " OUT6 " " IN6, "6in6 " SEES6},
    {"eth " OUT4 "/94 " IN4, "ip-in-ip " SEES4},
    {"eth " OUT4 "/55 fill:20", "minimal-encapsulation"},
    {"eth " OUT4 "/98 fill:20", "minimal-encapsulation"},
    {"eth " OUT4 " gre " IN4, "gre " SEES4},
    {"eth " OUT4 " gre:full " IN6, "gre " SEES6},
    {"eth " OUT4 " gre " ETH " " IN4, "gretap " SEES4},
    {"eth " OUT4 " gre " ETH " vlan:7 " IN4, "gretap " SEES4},
    {"eth " OUT4 " gre mpls:2 " IN4, "gre - mpls " SEES4},
    {"eth " OUT4 " gre nsh " IN4, "gre - nsh " SEES4},
    {"eth " OUT4 " pptp:full " IN4, "pptp " SEES4},
    {"eth " OUT4 " pptp:short " IN6, "pptp " SEES6},
    {"eth " OUT4 " erspan:1 " ETH " " IN4, "erspan " SEES4},
    {"eth " OUT4 " erspan:2 " ETH " " IN4, "erspan " SEES4},
    {"eth " OUT4 " erspan:3 " ETH " " IN6, "erspan " SEES6},
    {"eth " OUT4 " wccp " IN4, "gre " SEES4},
    {"eth " OUT4 " etherip " ETH " " IN4, "etherip " SEES4},
    {"eth " OUT4 " " ETH " " IN4, "bridged-ethernet " SEES4},
    {"eth " OUT4 " mpls " IN4, "mpls " SEES4},
    {"eth " OUT4 " nsh " IN4, "nsh " SEES4},
    {"eth " OUT4 " ah " IN4, "ah " SEES4},
    {"eth " OUT6 " ah " IN4, "ah " SEES4},
    {"eth " OUT4 " ah gre " IN4, "ah " SEES4},
    {"eth " OUT4 " ah tcp:50000>443", "ah"},
    {"eth " OUT4 "/50 fill:40", "esp"},
    {"eth " OUT6 "/50 fill:40", "esp"},
    {"eth " OUT4 "/108 fill:40", "ipcomp"},
    {"eth " OUT4 " l2tpv3:0 " ETH " " IN4, "l2tp " SEES4},
    {"eth " OUT4 " l2tpv3:8 " ETH " " IN4, "l2tp " SEES4},
    {"eth " OUT4 " l2tpv3:12 " ETH " " IN6, "l2tp " SEES6},
    {"eth " OUT4 "/115 raw:00000000c80300140000000000000000", "l2tp"},
    /* at their ports */
    {"eth " OUT4 " " NAT "4789 vxlan " ETH " " IN4, "vxlan " SEES4},
    {"eth " OUT4 " " NAT "8472 vxlan " ETH " " IN6, "vxlan " SEES6},
    {"eth " OUT4 " " NAT "4790 gpe " IN4, "vxlan " SEES4},
    {"eth " OUT4 " " NAT "6081 geneve " ETH " " IN4, "geneve " SEES4},
    {"eth " OUT4 " " NAT "6081 geneve:3 " IN6, "geneve " SEES6},
    {"eth " OUT4 " " NAT "2152 gtp " IN4, "gtp " SEES4},
    {"eth " OUT4 " " NAT "2152 gtp:ext " IN4, "gtp " SEES4},
    {"eth " OUT4 " udp:1701>1701 l2tp " IN4, "l2tp " SEES4},
    {"eth " OUT4 " udp:1701>1701 l2tp:long " IN6, "l2tp " SEES6},
    {"eth " OUT4 " udp:1701>1701 l2tpv3-udp:4 " ETH " " IN4, "l2tp " SEES4},
    {"eth " OUT4 " " NAT "3544 " IN6, "teredo " SEES6},
    {"eth " OUT4 " udp:3544>50001 teredo " IN6, "teredo " SEES6},
    {"eth " OUT4 " udp:3544>50001 teredo:auth " IN6, "teredo " SEES6},
    {"eth " OUT4 " " NAT "4341 lisp " IN4, "lisp " SEES4},
    {"eth " OUT4 " " NAT "6080 gue " IN4, "ip-in-udp " SEES4},
    {"eth " OUT4 " " NAT "6635 mpls " IN4, "mpls " SEES4},
    {"eth " OUT4 " udp:4500>4500 raw:00001234 fill:60", "esp"},
    {"eth " OUT4 " udp:4500>61000 raw:00001234 fill:60", "esp"},
    {"eth " OUT4 " udp:4500>4500 raw:ff", "esp"},
    {"eth " OUT4 " udp:4500>4500 raw:000000001122334455667788000000000000000021202208000000000000001c", "ike"},
    {"eth " OUT4 " udp:500>500 raw:1122334455667788000000000000000021202208000000000000001c", "ike"},
    {"eth " OUT4 " udp:1194>1194 raw:48000001 fill:40", "openvpn"},
    /* anywhere */
    {"eth " OUT4 " " NAT "53 vxlan " ETH " " IN4, "vxlan " SEES4},
    {"eth " OUT6 " " NAT "443 vxlan " ETH " " IN4, "vxlan " SEES4},
    {"eth " OUT4 " " NAT "53 geneve " ETH " " IN4, "geneve " SEES4},
    {"eth " OUT4 " " NAT "53 gtp " IN4, "gtp " SEES4},
    {"eth " OUT4 " " NAT "53 " IN4, "ip-in-udp " SEES4},
    {"eth " OUT4 " " NAT "53 " IN6, "ip-in-udp " SEES6},
    {"eth " OUT4 " " NAT "53 ip6:2001:0:1::1>2001:db8::1 tcp:50000>80", "teredo 2001:0:1::1>2001:db8::1/6:80"},
    {"eth " OUT4 " " NAT "53 raw:01000000 fill:144", "wireguard"},
    {"eth " OUT4 " " NAT "53 raw:02000000 fill:88", "wireguard"},
    {"eth " OUT4 " " NAT "53 raw:03000000 fill:60", "wireguard"},
    {"eth " OUT4 " " NAT "53 raw:04000000112233440500000000000000 fill:16", "wireguard"},
    {"eth " OUT4 " " NAT "53 raw:3811223344556677880000000000", "openvpn"},
    {"eth " OUT4 " " NAT "53 raw:381122334455667788 fill:20 raw:0000000166554433 raw:0000000000", "openvpn"},
    {"eth " OUT4 " " NAT "53 raw:3811223344556677880000000166554433 fill:32 raw:0000000000", "openvpn"},
    {"eth " OUT4 " " NAT "53 raw:3811223300010000770000000166554433 fill:32 raw:0000000000", "openvpn"},
    {"eth " OUT4 " " NAT "53 raw:01000000000100ff00ff fill:138", "wireguard"},
    {"eth " OUT4 " " NAT "53 raw:c802000c0000000000000000", "l2tp"},
    {"eth " OUT4 " " NAT "53 raw:1122334455667788000000000000000021202208000000000000001c", "ike"},
    {"eth " OUT4 " echo " IN4, "icmp-tunnel " SEES4},
    {"eth " OUT4 " echo raw:d5200880 fill:40", "icmp-tunnel"},
    {"eth " OUT4 " echo fill:56", ""},
    {"eth " OUT4 " echo raw:45001122 fill:56", ""},
    /* by ethertype */
    {"eth mpls:3 " IN4, "mpls " SEES4},
    {"eth mpls " ETH " " IN4, "mpls " SEES4},
    {"eth mpls raw:00000000 " ETH " " IN4, "mpls " SEES4},
    {"eth pppoe " IN4, "pppoe " SEES4},
    {"eth pppoe:short " IN6, "pppoe " SEES6},
    {"eth type:8863 raw:11090000000401010000", "pppoe"},
    {"eth nsh " IN4, "nsh " SEES4},
    {"eth nsh:2 nsh " ETH " " IN6, "nsh - nsh " SEES6},
    {"eth pbb " ETH " " IN4, "pbb " SEES4},
    {"eth trill " ETH " " IN4, "trill " SEES4},
    {"eth hsr " IN4, "bridged-ethernet " SEES4},
    {"eth macsec " IN4, "macsec " SEES4},
    {"eth macsec:secret " IN4, "macsec"},
    {"eth " ETH " " IN4, "bridged-ethernet " SEES4},
    {"eth llc-ip " IN4, "llc-ip " SEES4},
    {"eth snap " IN4, ""},
    {"eth snap:bridged " ETH " " IN4, "bridged-ethernet " SEES4},
    /* nested */
    {"eth " OUT4 " ip4:10.5.0.1>10.5.0.2 gre " IN4, "ip-in-ip 10.5.0.1>10.5.0.2/47 gre " SEES4},
    {"eth " OUT4 " " NAT "4789 vxlan " ETH " ip4:10.5.0.1>10.5.0.2 " NAT "4789 vxlan " ETH " " IN4,
     "vxlan 10.5.0.1>10.5.0.2/17:4789 vxlan " SEES4},
    {"eth vlan:5 " OUT4 " gre " ETH " mpls pppoe " IN4, "gretap - mpls"},
    /* in fragments */
    {"eth ip4-first:10.0.0.1>10.0.0.2 gre " IN4 " fill:4", "gre " SEES4},
    {"eth ip4-later:10.0.0.1>10.0.0.2/47 fill:40", "gre"},
    {"eth ip4-first:10.0.0.1>10.0.0.2 gre type:0800 "
     "raw:450005dc00070000400600000a0100010a010002c35001bb0000000100000000500220000000000011223344",
     "gre " SEES4},
    {"eth ip4-later:10.0.0.1>10.0.0.2/17 fill:40", ""},
    /* what resembles a tunnel */
    {"eth " OUT4 " " NAT "53 raw:04000000112233440500000000000001 fill:16", ""},
    {"eth " OUT4 " udp:1701>40000 raw:00130000 raw:00000007 " ETH " " IN4, ""},
    {"eth " OUT4 " udp:40000>53 raw:04000000000100000000000003777777 raw:076578616d706c6503636f6d0000010001 fill:3",
     ""},
    {"eth " OUT4
     " udp:40000>53 raw:38010100000100000000000001 raw:61036e656c0a636c6f7564666c617265 raw:03636f6d0000010001",
     ""},
    {"eth " OUT4
     " udp:53>40000 raw:38018180000100010000000001 raw:61036e656c0a636c6f7564666c617265 raw:03636f6d0000010001 "
     "raw:c00c000100010000012c000401020304",
     ""},
    {"eth " OUT4
     " udp:40000>53 raw:50010100000100000000000001 raw:61036e656c0a636c6f7564666c617265 raw:03636f6d0000010001",
     ""},
    {"eth " OUT4 " udp:40000>53 raw:03000000000100000000000103777777 fill:48", ""},
    {"eth " OUT4 " udp:40000>53 raw:02000000000100000000000103777777 fill:76", ""},
    {"eth " OUT4 " udp:51820>53 raw:1234010000010000000000000377777703636f6d0000010001", ""},
    {"eth " OUT4 " udp:4500>53 raw:1234010000010000000000000377777703636f6d0000010001", ""},
    {"eth " OUT4 " udp:40000>4789 raw:080000000000010000", ""},
    {"eth " OUT4 " udp:1701>40000 raw:1732 fill:60", ""},
    {"eth " OUT4 " udp:1701>40000 raw:0002000100021234 fill:60", ""},
    {"eth " OUT4 " udp:40000>4341 fill:8 raw:45001122 fill:60", ""},
    {"eth " OUT4 " udp:40000>6080 raw:00041122450011223344 fill:60", ""},
    {"eth " OUT4 " udp:40000>53 raw:4500001c fill:24", ""},
    {"eth " OUT4 " udp:40000>443 raw:60112233 fill:40", ""},
    {"eth " OUT4 " udp:40000>1812 raw:01000026 fill:34", ""},
    {"eth " OUT4 " udp:40000>161 raw:30ff0020 fill:32", ""},
};

enum { SHAPES = sizeof shapes / sizeof shapes[0] };

static void say_packet(const struct frame *frame, char *text, size_t size) {
  char source[ADDRESS_TEXT_SIZE], destination[ADDRESS_TEXT_SIZE];
  size_t at = strlen(text);
  if (frame->content != CONTENT_IP) {
    snprintf(text + at, size - at, " -");
    return;
  }
  snprintf(text + at, size - at, " %s>%s/%u", address_format(&frame->packet.source, source),
           address_format(&frame->packet.destination, destination), frame->packet.protocol);
  at = strlen(text);
  if (frame->packet.destination_port != 0)
    snprintf(text + at, size - at, ":%u", frame->packet.destination_port);
}

/* Walks to the innermost layer; returns the number of layers. */
static int walk(const struct captured_frame *captured, char text[static TEXT_SIZE]) {
  struct frame layers[LAYERS];
  int depth = 0;
  text[0] = '\0';
  frame_decode(captured, &layers[0]);
  for (;; depth++) {
    size_t at = strlen(text);
    if (layers[depth].encapsulation != ENCAPSULATION_NONE)
      snprintf(text + at, TEXT_SIZE - at, "%s%s", at > 0 ? " " : "", encapsulation_name(layers[depth].encapsulation));
    struct hidden_address hidden[HIDDEN_MOST];
    ck_assert_uint_le(frame_hidden(captured, &layers[depth], hidden), HIDDEN_MOST);
    if (depth + 1 == LAYERS || !frame_decode_inner(captured, &layers[depth], &layers[depth + 1]))
      return depth;
    ck_assert_msg(layers[depth + 1].inner_form == INNER_HIDDEN || layers[depth + 1].inner_at > layers[depth].inner_at,
                  "a layer within begins no further on");
    say_packet(&layers[depth + 1], text, TEXT_SIZE);
  }
}

static struct captured_frame frame_of(const uint8_t *bytes, size_t captured, size_t length) {
  return (struct captured_frame){
      .time = 1, .data = bytes, .captured = (uint32_t)captured, .length = (uint32_t)length, .link_type = DLT_EN10MB};
}

START_TEST(a_frame_shows_what_it_carries) {
  uint8_t bytes[LAYERS_MOST];
  char text[TEXT_SIZE];
  size_t length = layers_build(shapes[_i].recipe, bytes);
  struct captured_frame captured = frame_of(bytes, length, length);
  walk(&captured, text);
  ck_assert_msg(strcmp(text, shapes[_i].sees) == 0, "%s\n  carries: %s\n  due:     %s", shapes[_i].recipe, text,
                shapes[_i].sees);
}
END_TEST

/* What is carried in a fragment ends before its lengths say so, and lawfully. */
START_TEST(nothing_carried_is_called_malformed) {
  uint8_t bytes[LAYERS_MOST];
  size_t length = layers_build(shapes[_i].recipe, bytes);
  struct captured_frame captured = frame_of(bytes, length, length);
  struct frame layers[LAYERS];
  frame_decode(&captured, &layers[0]);
  for (int depth = 0; depth + 1 < LAYERS && frame_decode_inner(&captured, &layers[depth], &layers[depth + 1]); depth++)
    ck_assert_msg(layers[depth + 1].fault == FAULT_NONE, "%s: %s", shapes[_i].recipe,
                  frame_fault_name(layers[depth + 1].fault));
}
END_TEST

/* At the end of a block of exactly that size, so that the sanitizer sees every byte read too far. */
static void walk_exact(const uint8_t *bytes, size_t captured, size_t length) {
  char text[TEXT_SIZE];
  uint8_t *exact = malloc(captured > 0 ? captured : 1);
  ck_assert_ptr_nonnull(exact);
  memcpy(exact, bytes, captured);
  struct captured_frame frame = frame_of(exact, captured, length);
  walk(&frame, text);
  free(exact);
}

START_TEST(a_frame_cut_anywhere_is_walked_as_far_as_it_goes) {
  uint8_t bytes[LAYERS_MOST];
  size_t length = layers_build(shapes[_i].recipe, bytes);
  for (size_t size = 0; size <= length; size++) {
    walk_exact(bytes, size, size);
    walk_exact(bytes, size, length);
  }
}
END_TEST

static uint32_t next_random(uint32_t *state) {
  *state ^= *state << 13;
  *state ^= *state >> 17;
  return *state ^= *state << 5;
}

START_TEST(a_frame_with_bytes_changed_is_walked) {
  uint8_t bytes[LAYERS_MOST];
  size_t length = layers_build(shapes[_i].recipe, bytes);
  uint32_t state = 2463534242u + (uint32_t)_i;
  for (int i = 0; i < MUTATIONS; i++) {
    uint8_t changed[LAYERS_MOST];
    memcpy(changed, bytes, length);
    for (unsigned n = 1 + next_random(&state) % 4; n > 0; n--)
      changed[next_random(&state) % length] = (uint8_t)next_random(&state);
    walk_exact(changed, length - next_random(&state) % 8, length);
  }
}
END_TEST

/* Random payloads of lawful sizes: none may look like a tunnel. */
START_TEST(chance_makes_no_tunnel) {
  uint8_t bytes[LAYERS_MOST];
  size_t length = layers_build("eth " OUT4 " udp:40000>443 fill:200", bytes);
  uint32_t state = 88172645u;
  for (int i = 0; i < 2000000; i++) {
    for (size_t at = 42; at < 96; at += 4) {
      uint32_t word = next_random(&state);
      memcpy(bytes + at, &word, 4);
    }
    struct captured_frame captured = frame_of(bytes, length, length);
    struct frame frame;
    frame_decode(&captured, &frame);
    ck_assert_msg(frame.encapsulation == ENCAPSULATION_NONE, "%s", encapsulation_name(frame.encapsulation));
  }
}
END_TEST

START_TEST(every_tunnel_over_udp_knows_its_ports) {
  static const struct {
    enum encapsulation encapsulation;
    uint16_t port;
  } rows[] = {
      {ENCAPSULATION_VXLAN, 4789},  {ENCAPSULATION_VXLAN, 8472},      {ENCAPSULATION_GENEVE, 6081},
      {ENCAPSULATION_TEREDO, 3544}, {ENCAPSULATION_WIREGUARD, 51820}, {ENCAPSULATION_OPENVPN, 1194},
      {ENCAPSULATION_ESP, 4500},    {ENCAPSULATION_IKE, 500},         {ENCAPSULATION_IKE, 4500},
      {ENCAPSULATION_L2TP, 1701},   {ENCAPSULATION_GTP, 2152},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    ck_assert(encapsulation_has_port(rows[i].encapsulation, rows[i].port));
    ck_assert(!encapsulation_has_port(rows[i].encapsulation, 53));
    ck_assert(!encapsulation_has_port(rows[i].encapsulation, 0));
  }
}
END_TEST

/* ---- hidden addresses ---- */

static const struct {
  const char *recipe, *sees;
} hiding[] = {
    {"eth ip6:2001:db8::1>64:ff9b::10.9.0.5 tcp:50000>443", "nat64 10.9.0.5;"},
    {"eth ip6:2001:db8::1>64:ff9b:1::10.9.0.5 tcp:50000>443", "nat64 10.9.0.5;"},
    {"eth ip6:2001:db8::1>::ffff:10.9.0.5 tcp:50000>443", "ipv4-mapped 10.9.0.5;"},
    {"eth ip6:2001:db8::1>::10.9.0.5 tcp:50000>443", "ipv4-mapped 10.9.0.5;"},
    {"eth ip6:2001:db8::1>2002:a09:5::1 tcp:50000>443", "6to4 10.9.0.5;"},
    {"eth ip6:2002:a09:5::1>2001:db8::1 tcp:50000>443", "6to4 10.9.0.5 source;"},
    {"eth ip6:2001:db8::1>2001:0:a09:5:0:ffff:f5f6:fffa tcp:50000>443",
     "teredo-address 10.9.0.5;teredo-address 10.9.0.5;"},
    {"eth ip6:fe80::5efe:a09:5>fe80::1 tcp:50000>443", "isatap 10.9.0.5 source;"},
    {"eth ip4:10.0.0.1>10.0.0.2,10.9.0.5 tcp:50000>443", "source-route 10.9.0.5;"},
    {"eth ip6:2001:db8::1>2001:db8::2 routing:2001:db8:9::5 tcp:50000>443", "routing-header 2001:db8:9::5;"},
    {"eth ip6:2001:db8::1>2001:db8::2 routing:2001:db8:9::5,4 tcp:50000>443", "routing-header 2001:db8:9::5;"},
    {"eth ip6:2001:db8::1>2001:db8::2 home:2001:db8:9::5 tcp:50000>443", "home-address 2001:db8:9::5 source;"},
    {"eth ip6:2001:db8::1>2001:db8::2 tcp:50000>443", ""},
    {"eth ip4:10.0.0.1>10.0.0.2 tcp:50000>443", ""},
};

enum { HIDING = sizeof hiding / sizeof hiding[0] };

static void say_hidden(const struct captured_frame *captured, char text[static TEXT_SIZE]) {
  struct frame frame;
  struct hidden_address hidden[HIDDEN_MOST];
  frame_decode(captured, &frame);
  size_t count = frame_hidden(captured, &frame, hidden);
  text[0] = '\0';
  for (size_t i = 0; i < count; i++) {
    char address[ADDRESS_TEXT_SIZE];
    size_t at = strlen(text);
    snprintf(text + at, TEXT_SIZE - at, "%s %s%s;", hidden_way_name(hidden[i].way),
             address_format(&hidden[i].address, address), hidden[i].of_source ? " source" : "");
  }
}

START_TEST(a_packet_shows_whom_else_it_names) {
  uint8_t bytes[LAYERS_MOST];
  char text[TEXT_SIZE];
  size_t length = layers_build(hiding[_i].recipe, bytes);
  struct captured_frame captured = frame_of(bytes, length, length);
  say_hidden(&captured, text);
  ck_assert_msg(strcmp(text, hiding[_i].sees) == 0, "%s\n  names: %s\n  due:   %s", hiding[_i].recipe, text,
                hiding[_i].sees);
  for (size_t size = 0; size <= length; size++)
    walk_exact(bytes, size, length);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("encapsulation");
  TCase *all = tcase_create("all");
  tcase_set_timeout(all, 60);
  tcase_add_loop_test(all, a_frame_shows_what_it_carries, 0, SHAPES);
  tcase_add_loop_test(all, nothing_carried_is_called_malformed, 0, SHAPES);
  tcase_add_loop_test(all, a_frame_cut_anywhere_is_walked_as_far_as_it_goes, 0, SHAPES);
  tcase_add_loop_test(all, a_frame_with_bytes_changed_is_walked, 0, SHAPES);
  tcase_add_test(all, chance_makes_no_tunnel);
  tcase_add_test(all, every_tunnel_over_udp_knows_its_ports);
  tcase_add_loop_test(all, a_packet_shows_whom_else_it_names, 0, HIDING);
  suite_add_tcase(suite, all);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
