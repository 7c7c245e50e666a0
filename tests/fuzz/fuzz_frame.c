/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <pcap/dlt.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "policy/read.h"
#include "watch/watch.h"
#include "watch/watch_parts.h"

/*
 * Any frames on any wire: decoded and judged without a crash, and every finding told and closed. An input is a row of
 * records: wire (1 byte), link layer (1), length on the wire beyond what follows (1), length (2), bytes.
 */

enum { WIRES = 3, FRAMES_MOST = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char POLICY[] =
    "policy = { name = \"f\"; number = \"1\"; model = \"alpha\"; timezone = \"Asia/Tokyo\"; };\n"
    "zones = {\n"
    " lgwan = { class = \"lgwan\"; interfaces = [ \"a\" ]; networks = [ \"10.211.0.0/22\", \"10.210.0.0/24\" ]; };\n"
    " internet = { class = \"internet\"; interfaces = [ \"b\", \"b.5\" ]; on_deny = \"reject\";\n"
    "  networks = [ \"10.140.0.0/24\", \"2001:500::/64\" ]; };\n"
    " cloud = { class = \"cloud\"; interfaces = [ \"c\" ]; networks = [ \"172.31.250.0/29\" ]; default_route = true; "
    "};\n"
    " juki = { class = \"unrouted\"; networks = [ \"10.120.0.0/28\" ]; };\n"
    "};\n"
    "hosts = {\n"
    " t = { zone = \"lgwan\"; address = \"10.211.0.0/22\"; };\n"
    " s = { zone = \"lgwan\"; address = \"10.210.0.13\"; mac = \"02:00:5e:10:01:11\"; };\n"
    " v = { zone = \"internet\"; address = [ \"10.140.0.32/30\", \"2001:500::1\" ]; };\n"
    "};\n"
    "flows = {\n"
    " F-1 = { from = \"t\"; to = \"v\"; services = [ \"tcp/443\", \"udp/53\", \"icmp/echo-request\" ]; method = "
    "\"screen\"; };\n"
    " F-3 = { from = \"t\"; to = \"v\"; services = [ \"proto/47\", \"udp/4789\", \"udp/51820\" ]; method = \"screen\"; "
    "};\n"
    " F-2 = { from = \"gateway\"; to = \"s\"; services = [ \"tcp/25\" ]; method = \"ops\"; };\n"
    "};\n";

static void tell(void *context, struct event *event, const struct timezone *timezone) {
  (void)timezone;
  unsigned *open = context;
  if (event->id[0] == '\0') {
    memcpy(event->id, "f", 2);
    ++*open;
  }
  if (!event->still_going)
    --*open;
}

/*
 * The policy is read and laid out once, for a watch that sees no frame: that costs a hundred times what the frames of
 * an input do. Each input has a watch of its own, with tables of its own, which borrows what was laid out.
 */
static struct watch *lender;

static void read_policy(void) {
  struct arena *arena = arena_new(0);
  struct diagnostic_list list;
  struct error error = {0};
  const struct policy *policy = NULL;
  diagnostic_list_init(&list, arena, LANGUAGE_ENGLISH);
  if (policy_read_text("fuzz", POLICY, sizeof POLICY - 1, arena, true, &policy, &list, &error) < 0 || policy == NULL ||
      watch_set_policy(lender, policy, arena, false, 0) < 0)
    abort();
}

static void build_lender(void) {
  const struct watch_settings settings = {.connections = 64, .tell = tell};
  lender = watch_new(&settings);
  for (int i = 0; i < WIRES; i++) {
    char name[] = {(char)('a' + i), '\0'};
    struct mac mac = {{2, 0, 0x5e, 0, (uint8_t)i, 1}};
    if (lender == NULL || watch_add_wire(lender, name, NULL) != i || watch_add_gateway_mac(lender, i, &mac) < 0)
      abort();
  }
  read_policy();
}

static struct watch *borrow(unsigned *open) {
  const struct watch_settings settings = {.connections = 64,
                                          .machines = 64,
                                          .passages = FRAMES_MOST,
                                          .fragmented = FRAMES_MOST,
                                          .tell = tell,
                                          .context = open};
  struct watch *watch = watch_new(&settings);
  if (watch == NULL)
    abort();
  memcpy(watch->wires, lender->wires, WIRES * sizeof *watch->wires);
  watch->wire_count = WIRES;
  watch->gateway_mac_bits = lender->gateway_mac_bits;
  watch->current = lender->current;
  watch->epoch = lender->epoch;
  watch->index_epoch = lender->index_epoch;
  return watch;
}

static void give_back(struct watch *watch) {
  watch->wire_count = 0;
  watch->current = (struct generation){0};
  watch_free(watch);
}

static void see(struct watch *watch, struct cursor *input, int64_t time) {
  static const int link_types[] = {DLT_EN10MB, DLT_EN10MB, DLT_LINUX_SLL, DLT_LINUX_SLL2, DLT_RAW};
  unsigned wire = cursor_u8(input) % WIRES, link_type = cursor_u8(input) % 5, missing = cursor_u8(input);
  size_t length = cursor_be16(input);
  length = length < cursor_left(input) ? length : cursor_left(input);
  const uint8_t *bytes = cursor_take(input, length);
  uint8_t *exact = malloc(length + 1);
  if (bytes == NULL || exact == NULL) {
    free(exact);
    return;
  }
  memcpy(exact, bytes, length);
  struct captured_frame frame = {.time = time,
                                 .data = exact,
                                 .captured = (uint32_t)length,
                                 .length = (uint32_t)length + missing,
                                 .link_type = link_types[link_type]};
  watch_frame(watch, (int)wire, &frame);
  free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const int64_t start = 1795482000LL * 1000000000, step = 30000000;
  unsigned open = 0;
  if (lender == NULL)
    build_lender();
  struct watch *watch = borrow(&open);
  struct cursor input;
  cursor_init(&input, data, size);
  int64_t time = start;
  for (int i = 0; i < FRAMES_MOST && cursor_left(&input) > 0; i++, time += step)
    see(watch, &input, time);
  watch_finish(watch, time);
  if (open != 0)
    abort(); /* an alert that was never closed */
  give_back(watch);
  return 0;
}
