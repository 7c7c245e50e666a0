/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "two_wires.h"

#include <check.h>
#include <pcap/dlt.h>
#include <stdio.h>
#include <string.h>

#include "policy/read.h"

enum { IPV4_HEADER = 20, FRAME_MOST = 384, TEXT_SIZE = 16384 };

static const struct mac GATEWAY[] = {{{2, 0, 0, 0, 0, 0xa1}}, {{2, 0, 0, 0, 0, 0xa2}}};
static const struct mac HOSTS[] = {{{2, 0, 0, 0, 0, 8}}, {{2, 0, 0, 0, 0, 9}}};
static const int64_t START = 1795482000LL * 1000000000, MILLISECOND = 1000000;

static const char HEAD[] =
    "policy = { name = \"t\"; number = \"1\"; model = \"alpha\"; timezone = \"Asia/Tokyo\"; };\n"
    "zones = {\n"
    " lgwan = { class = \"lgwan\"; interfaces = [ \"in0\" ]; networks = [ \"10.1.0.0/24\", \"2409:1::/64\" ]; };\n"
    " internet = { class = \"internet\"; interfaces = [ \"out0\" ];\n"
    "  networks = [ \"10.2.0.0/24\", \"2409:2::/64\" ]; };\n"
    "};\n"
    "hosts = {\n"
    " a = { zone = \"lgwan\"; address = \"10.1.0.0/25\"; };\n"
    " b = { zone = \"internet\"; address = \"10.2.0.0/25\"; };\n"
    " a6 = { zone = \"lgwan\"; address = \"2409:1::/65\"; };\n"
    " b6 = { zone = \"internet\"; address = \"2409:2::/65\"; };\n"
    "};\nflows = {\n";

/* ---- telling ---- */

static void tell(void *context, struct event *event, const struct timezone *timezone) {
  struct two_wires *wires = context;
  (void)timezone;
  wires->events++;
  wires->count = event->count;
  if (event->id[0] != '\0')
    return;
  strcpy(event->id, "x");
  size_t length = strlen(wires->told);
  snprintf(wires->told + length, sizeof wires->told - length, "%s %s>%s %s;", event->kind,
           event->zone != NULL ? event->zone : "-", event->other_zone != NULL ? event->other_zone : "-",
           event->reason != NULL ? event->reason : "-");
  snprintf(wires->message, sizeof wires->message, "%s", event->message);
  snprintf(wires->flow, sizeof wires->flow, "%s", event->flow != NULL ? event->flow : "");
}

/* ---- life ---- */

void two_wires_set_policy(struct two_wires *wires, const char *flows) {
  static char text[TEXT_SIZE];
  int length = snprintf(text, sizeof text, "%s%s};\n", HEAD, flows);
  ck_assert_uint_lt((size_t)length, sizeof text);
  struct arena *arena = arena_new(0);
  struct diagnostic_list list;
  struct error error = {0};
  const struct policy *policy = NULL;
  diagnostic_list_init(&list, arena, LANGUAGE_ENGLISH);
  ck_assert_int_eq(policy_read_text("test", text, (size_t)length, arena, true, &policy, &list, &error), 0);
  ck_assert_ptr_nonnull(policy);
  ck_assert_int_eq(watch_set_policy(wires->watch, policy, arena, false, wires->now), 0);
}

static void add_own(struct two_wires *wires) {
  static const char *const texts[] = {"10.1.0.1", "10.2.0.1", "2409:1::1", "2409:2::1"};
  struct address_range own[sizeof texts / sizeof texts[0]];
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    ck_assert(address_parse(texts[i], &own[i].first));
    own[i].last = own[i].first;
  }
  ck_assert_int_eq(watch_set_own(wires->watch, own, sizeof texts / sizeof texts[0]), 0);
}

void two_wires_open_with(struct two_wires *wires, const char *flows, struct watch_settings *settings) {
  memset(wires, 0, sizeof *wires);
  wires->now = START;
  wires->step = MILLISECOND;
  settings->tell = tell;
  settings->context = wires;
  settings->language = LANGUAGE_ENGLISH;
  settings->language_forced = true;
  wires->watch = watch_new(settings);
  ck_assert_int_eq(watch_add_wire(wires->watch, "in0", NULL), INSIDE);
  ck_assert_int_eq(watch_add_wire(wires->watch, "out0", NULL), OUTSIDE);
  watch_add_gateway_mac(wires->watch, INSIDE, &GATEWAY[INSIDE]);
  watch_add_gateway_mac(wires->watch, OUTSIDE, &GATEWAY[OUTSIDE]);
  add_own(wires);
  two_wires_set_policy(wires, flows);
}

void two_wires_open(struct two_wires *wires, const char *flows) {
  struct watch_settings settings = {.connections = 4096};
  two_wires_open_with(wires, flows, &settings);
}

void two_wires_close(struct two_wires *wires) {
  wires->watch = watch_free(wires->watch);
}

/* ---- frames ---- */

struct writer {
  uint8_t bytes[FRAME_MOST];
  size_t length;
};

static void put(struct writer *writer, const void *bytes, size_t size) {
  if (writer->length + size > sizeof writer->bytes)
    ck_abort_msg("a frame is too long"); /* an assertion a byte would be slow */
  if (size > 0)
    memcpy(writer->bytes + writer->length, bytes, size);
  writer->length += size;
}

static void put8(struct writer *writer, unsigned value) {
  put(writer, &(uint8_t){(uint8_t)value}, 1);
}

static void put16(struct writer *writer, unsigned value) {
  put8(writer, value >> 8 & 0xff);
  put8(writer, value & 0xff);
}

static void put32(struct writer *writer, uint32_t value) {
  put16(writer, value >> 16);
  put16(writer, value & 0xffff);
}

static void put_transport(struct writer *writer, const struct test_packet *packet) {
  if (packet->protocol == PROTOCOL_ICMP || packet->protocol == PROTOCOL_ICMPV6) {
    put16(writer, (unsigned)packet->source_port << 8);
    put16(writer, 0);
    put16(writer, packet->destination_port);
    put16(writer, packet->sequence);
    return;
  }
  put16(writer, packet->source_port);
  put16(writer, packet->destination_port);
  if (packet->protocol == PROTOCOL_UDP) {
    put16(writer, (unsigned)(8 + packet->size + packet->unseen));
    put16(writer, 0);
    return;
  }
  put32(writer, packet->sequence);
  put32(writer, packet->acknowledgement);
  put16(writer, 0x5000u | packet->flags);
  put16(writer, 0xffff);
  put32(writer, 0);
}

static size_t transport_size(const struct test_packet *packet) {
  return packet->protocol == PROTOCOL_TCP ? 20 : 8;
}

static void put_ipv4(struct writer *writer, const struct test_packet *packet, size_t carried,
                     const struct address *source, const struct address *destination) {
  put16(writer, 0x4500);
  put16(writer, (unsigned)(IPV4_HEADER + carried));
  put16(writer, packet->identification);
  put16(writer, packet->fragment);
  put16(writer, (packet->leaving ? 63u : 64u) << 8 | packet->protocol);
  put16(writer, 0);
  put(writer, source->bytes, 4);
  put(writer, destination->bytes, 4);
}

static void put_ipv6(struct writer *writer, const struct test_packet *packet, size_t carried,
                     const struct address *source, const struct address *destination) {
  put32(writer, 0x60000000);
  put16(writer, (unsigned)carried);
  put16(writer, (unsigned)packet->protocol << 8 | (packet->leaving ? 63u : 64u));
  put(writer, source->bytes, 16);
  put(writer, destination->bytes, 16);
}

static void put_network(struct writer *writer, const struct test_packet *packet, size_t carried) {
  struct address source, destination;
  if (!address_parse(packet->source, &source) || !address_parse(packet->destination, &destination))
    ck_abort_msg("%s or %s is no address", packet->source, packet->destination);
  bool ipv6 = source.family == FAMILY_IPV6;
  put16(writer, ipv6 ? 0x86dd : 0x0800);
  (ipv6 ? put_ipv6 : put_ipv4)(writer, packet, carried, &source, &destination);
}

/* Returns the length of the frame, of which as much is written as a capture takes. */
static size_t put_frame(struct writer *writer, const struct test_packet *packet) {
  bool later = (packet->fragment & 0x1fff) != 0;
  size_t header = later ? 0 : transport_size(packet);
  const struct mac *gateway = &GATEWAY[packet->wire];
  put(writer, packet->leaving ? HOSTS[packet->wire].bytes : gateway->bytes, 6);
  put(writer, packet->leaving ? gateway->bytes : HOSTS[packet->wire].bytes, 6);
  put_network(writer, packet, header + packet->size + packet->unseen);
  if (!later)
    put_transport(writer, packet);
  size_t before = writer->length, room = FRAME_MOST - before;
  put(writer, packet->payload, packet->size < room ? packet->size : room);
  return before + packet->size;
}

void two_wires_send(struct two_wires *wires, const struct test_packet *packet) {
  struct writer writer = {.length = 0};
  uint32_t length = (uint32_t)put_frame(&writer, packet) + packet->unseen;
  struct captured_frame frame = {.time = wires->now,
                                 .data = writer.bytes,
                                 .captured = (uint32_t)writer.length,
                                 .length = length,
                                 .link_type = DLT_EN10MB};
  watch_frame(wires->watch, packet->wire, &frame);
  wires->now += wires->step;
}

void two_wires_forward(struct two_wires *wires, const struct test_packet *packet) {
  struct test_packet out = *packet;
  out.wire = packet->wire == INSIDE ? OUTSIDE : INSIDE;
  out.leaving = true;
  two_wires_send(wires, packet);
  two_wires_send(wires, &out);
}

void two_wires_pass(struct two_wires *wires, int64_t milliseconds) {
  wires->now += milliseconds * MILLISECOND;
  watch_advance(wires->watch, wires->now);
}

void two_wires_expect(struct two_wires *wires, int milliseconds, const char *told) {
  two_wires_pass(wires, milliseconds);
  ck_assert_str_eq(wires->told, told);
  wires->told[0] = '\0';
}
