/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lender.h"

#include <stdlib.h>
#include <string.h>

#include "policy/read.h"
#include "watch/watch_parts.h"

enum { HELD = 64 };

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
  for (int i = 0; i < LENDER_WIRES; i++) {
    char name[] = {(char)('a' + i), '\0'};
    struct mac mac = {{2, 0, 0x5e, 0, (uint8_t)i, 1}};
    if (lender == NULL || watch_add_wire(lender, name, NULL) != i || watch_add_gateway_mac(lender, i, &mac) < 0)
      abort();
  }
  read_policy();
}

struct watch *lender_borrow(unsigned *open) {
  if (lender == NULL)
    build_lender();
  const struct watch_settings settings = {
      .connections = 64, .machines = 64, .passages = HELD, .fragmented = HELD, .tell = tell, .context = open};
  struct watch *watch = watch_new(&settings);
  if (watch == NULL)
    abort();
  memcpy(watch->wires, lender->wires, LENDER_WIRES * sizeof *watch->wires);
  watch->wire_count = LENDER_WIRES;
  watch->gateway_mac_bits = lender->gateway_mac_bits;
  watch->current = lender->current;
  watch->epoch = lender->epoch;
  watch->index_epoch = lender->index_epoch;
  return watch;
}

void lender_give_back(struct watch *watch) {
  watch->wire_count = 0;
  watch->current = (struct generation){0};
  watch_free(watch);
}

void lender_see(struct watch *watch, unsigned wire, const struct captured_frame *captured) {
  uint8_t *exact = malloc(captured->captured + 1);
  if (exact == NULL)
    return;
  memcpy(exact, captured->data, captured->captured);
  struct captured_frame frame = *captured;
  frame.data = exact;
  watch_frame(watch, (int)(wire % LENDER_WIRES), &frame);
  free(exact);
}
