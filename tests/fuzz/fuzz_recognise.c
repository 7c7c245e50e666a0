/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <pcap/dlt.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/read.h"
#include "watch/essence.h"
#include "watch/recognise.h"

/*
 * Payload of allowed connections, from any bytes, through our wrapper into nDPI. An input is a series of packets: a
 * byte that chooses flow, direction and how the headers lie, a length, the payload.
 */

enum { HEAD = 14 + 20 + 20, PAYLOAD_MOST = 400, FLOWS = 8 };

static const char POLICY[] =
    "policy = { name = \"t\"; number = \"1\"; model = \"alpha\"; timezone = \"Asia/Tokyo\"; };\n"
    "zones = {\n"
    " lgwan = { class = \"lgwan\"; interfaces = [ \"in0\" ]; networks = [ \"10.1.0.0/24\" ]; };\n"
    " internet = { class = \"internet\"; interfaces = [ \"out0\" ]; networks = [ \"10.2.0.0/24\" ]; };\n"
    "};\n"
    "hosts = { a = { zone = \"lgwan\"; address = \"10.1.0.5\"; }; b = { zone = \"internet\"; address = \"10.2.0.5\"; "
    "}; };\n"
    "flows = {\n"
    " F-1 = { from = \"a\"; to = \"b\"; services = [ \"tcp/443\" ]; method = \"screen\"; protocol = \"tls\"; };\n"
    " F-2 = { from = \"a\"; to = \"b\"; services = [ \"tcp/3389\" ]; method = \"screen\"; protocol = \"rdp\"; };\n"
    " F-3 = { from = \"a\"; to = \"b\"; services = [ \"tcp/25\" ]; method = \"screen\"; protocol = \"smtp\"; };\n"
    " F-4 = { from = \"a\"; to = \"b\"; services = [ \"tcp/445\" ]; method = \"screen\"; protocol = \"smb\"; };\n"
    " F-5 = { from = \"a\"; to = \"b\"; services = [ \"udp/53\" ]; method = \"screen\"; protocol = \"dns\"; };\n"
    " F-6 = { from = \"a\"; to = \"b\"; services = [ \"udp/161\" ]; method = \"screen\"; protocol = \"snmp\"; };\n"
    " F-7 = { from = \"a\"; to = \"b\"; services = [ \"udp/5060\" ]; method = \"screen\"; protocol = \"sip\"; };\n"
    " F-8 = { from = \"a\"; to = \"b\"; services = [ \"tcp/80\" ]; method = \"screen\"; protocol = \"http\"; };\n"
    "};\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds) {
  if (!holds)
    abort();
}

static const struct policy *read_policy(void) {
  static struct arena *arena; /* kept: what it holds lives as long as the program */
  arena = arena_new(0);
  struct diagnostic_list list;
  struct error error = {0};
  const struct policy *policy = NULL;
  require(arena != NULL);
  diagnostic_list_init(&list, arena, LANGUAGE_ENGLISH);
  require(policy_read_text("fuzz", POLICY, sizeof POLICY - 1, arena, true, &policy, &list, &error) == 0);
  require(policy != NULL && policy->flow_count == FLOWS);
  return policy;
}

static void put16(uint8_t *bytes, size_t value) {
  bytes[0] = (uint8_t)(value >> 8);
  bytes[1] = (uint8_t)value;
}

/* Returns its length. */
static size_t write_frame(uint8_t *bytes, const struct flow *flow, uint8_t choice, const uint8_t *payload,
                          size_t size) {
  static const uint8_t client[] = {10, 1, 0, 5}, server[] = {10, 2, 0, 5};
  bool up = (choice & 8) != 0, tcp = flow->services[0].protocol == PROTOCOL_TCP;
  size_t transport = tcp ? 20 : 8, length = 20 + transport + size;
  uint8_t *ip = bytes + 14, *header = ip + 20;
  memset(bytes, 0, HEAD);
  put16(bytes + 12, 0x0800);
  ip[0] = 0x45;
  put16(ip + 2, (choice & 16) != 0 ? 65535 : length);
  ip[8] = 64;
  ip[9] = flow->services[0].protocol;
  memcpy(ip + 12, up ? client : server, 4);
  memcpy(ip + 16, up ? server : client, 4);
  put16(header + (up ? 0 : 2), 50000);
  put16(header + (up ? 2 : 0), flow->services[0].first_port);
  put16(header + 4, tcp ? 1 : (choice & 32) != 0 ? 65535 : 8 + size);
  header[tcp ? 12 : 7] = tcp ? (choice & 64) != 0 ? 0xf0 : 0x50 : header[7];
  header[tcp ? 13 : 7] = tcp ? TCP_ACK | TCP_PSH : header[7];
  memcpy(header + transport, payload, size);
  return 14 + length;
}

static void show(struct recogniser *recogniser, struct connections *connections, const struct flow *flow,
                 const uint8_t *bytes, size_t length, unsigned left) {
  uint8_t *exact = malloc(length);
  require(exact != NULL);
  memcpy(exact, bytes, length);
  struct captured_frame captured = {
      .data = exact, .captured = (uint32_t)length, .length = (uint32_t)length + 100, .link_type = DLT_EN10MB};
  struct frame frame;
  struct connection_key key;
  const char *name = NULL;
  frame_decode(&captured, &frame);
  (void)essence_of(&captured, &frame);
  if (frame.content == CONTENT_IP) {
    connections_key(connections, &frame.packet, &key);
    enum recognition answer = recogniser_see(recogniser, &key, flow, &captured, &frame, left, &name);
    require((answer == RECOGNISE_WRONG) == (name != NULL));
  }
  free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const struct policy *policy;
  static struct recogniser *recogniser;
  static struct connections *connections;
  if (policy == NULL) {
    policy = read_policy();
    recogniser = recogniser_new(8);
    connections = connections_new(8);
    require(recogniser != NULL && connections != NULL && recogniser_set_policy(recogniser, policy) == 0);
  }
  unsigned left = RECOGNISE_PACKETS;
  for (size_t at = 0; at + 2 <= size && left > 0; left--) {
    uint8_t choice = data[at], bytes[HEAD + PAYLOAD_MOST];
    size_t wanted = data[at + 1] * 2u, there = size - at - 2;
    size_t payload = wanted < there ? wanted : there;
    payload = payload < PAYLOAD_MOST ? payload : PAYLOAD_MOST;
    const struct flow *flow = &policy->flows[data[0] % FLOWS];
    size_t length = write_frame(bytes, flow, choice, data + at + 2, payload);
    show(recogniser, connections, flow, bytes, length, left);
    at += 2 + payload;
  }
  return 0;
}
