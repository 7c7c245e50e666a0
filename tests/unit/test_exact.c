/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Exact answers about policies against policy/decide, packet by packet. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dice.h"
#include "policy/check.h"
#include "policy/decide.h"
#include "policy/print.h"
#include "policy/read.h"
#include "policy_text.h"
#include "proof/exact.h"
#include "random_policy_text.h"
#include "random_restrictions.h"
#include "sample_town.h"

enum { ROUNDS = 12, PACKETS = 3000, ADDRESS_ROOM = 2000 };

static const char NOON[] = "2026-11-24T12:00:00+09:00";

/* Two policies under comparison. */
struct bench {
  struct arena *arena;
  struct dice dice;
  struct instant now;
  struct exact_side sides[2]; /* before, after */
  struct restrictions drawn[2];
  struct address addresses[ADDRESS_ROOM];
  size_t address_count;
  struct exact_difference difference;
};

/* ---- packets ---- */

static void note_range(struct bench *bench, const struct address_range *range) {
  struct address beside;
  if (bench->address_count + 4 > ADDRESS_ROOM)
    return;
  bench->addresses[bench->address_count++] = range->first;
  bench->addresses[bench->address_count++] = range->last;
  if (address_previous(&range->first, &beside))
    bench->addresses[bench->address_count++] = beside;
  if (address_next(&range->last, &beside))
    bench->addresses[bench->address_count++] = beside;
}

static void collect(struct bench *bench, const struct policy *policy) {
  for (size_t i = 0; i < policy->zone_count; i++)
    for (size_t j = 0; j < policy->zones[i].local.count; j++)
      note_range(bench, &policy->zones[i].local.ranges[j]);
  for (size_t i = 0; i < policy->host_count; i++)
    for (size_t j = 0; j < policy->hosts[i].address_count; j++)
      note_range(bench, &policy->hosts[i].addresses[j].range);
  ck_assert(address_parse("8.8.8.8", &bench->addresses[bench->address_count++]));
}

static void aim(struct bench *bench, const struct policy *policy, struct packet *packet) {
  if (policy == NULL || policy->flow_count == 0)
    return;
  const struct flow *flow = &policy->flows[dice_below(&bench->dice, (unsigned)policy->flow_count)];
  const struct endpoint *from = &flow->from[dice_below(&bench->dice, (unsigned)flow->from_count)];
  const struct endpoint *to = &flow->to[dice_below(&bench->dice, (unsigned)flow->to_count)];
  const struct service *service = &flow->services[dice_below(&bench->dice, (unsigned)flow->service_count)];
  struct packet aimed = *packet;
  if (from->kind == ENDPOINT_HOST)
    aimed.source = from->host->addresses[dice_below(&bench->dice, (unsigned)from->host->address_count)].range.first;
  if (to->kind == ENDPOINT_HOST)
    aimed.destination = to->host->addresses[dice_below(&bench->dice, (unsigned)to->host->address_count)].range.last;
  if (aimed.source.family != aimed.destination.family)
    return;
  aimed.protocol = service->protocol;
  aimed.icmp_type = service->icmp_type;
  aimed.destination_port = dice_percent(&bench->dice, 50) ? service->first_port : service->last_port;
  if (dice_percent(&bench->dice, 20))
    aimed.destination_port++;
  *packet = aimed;
}

static void choose_mac(struct bench *bench, const struct policy *policy, struct packet *packet) {
  for (size_t i = 0; policy != NULL && i < policy->host_count; i++) {
    const struct host *host = &policy->hosts[i];
    for (size_t j = 0; host->mac_count != 0 && j < host->address_count; j++)
      if (range_contains(&host->addresses[j].range, &packet->source) && dice_percent(&bench->dice, 40))
        packet->source_mac = host->macs[dice_below(&bench->dice, (unsigned)host->mac_count)];
  }
}

/* An ordinary opener: what boxes speak of. */
static struct packet random_packet(struct bench *bench) {
  static const uint8_t protocols[] = {6, 17, 1, 58, 47, 50, 132, 4};
  static const uint16_t ports[] = {443, 53, 3544, 22};
  struct packet packet = {.protocol = protocols[dice_below(&bench->dice, sizeof protocols)], .has_source_mac = true};
  do {
    packet.source = bench->addresses[dice_below(&bench->dice, (unsigned)bench->address_count)];
    packet.destination = bench->addresses[dice_below(&bench->dice, (unsigned)bench->address_count)];
  } while (packet.source.family != packet.destination.family);
  packet.destination_port = ports[dice_below(&bench->dice, 4)];
  packet.icmp_type = packet.source.family == FAMILY_IPV4 ? 8 : 128;
  if (dice_percent(&bench->dice, 75))
    aim(bench, bench->sides[dice_below(&bench->dice, 2)].policy, &packet);
  if (packet.protocol == PROTOCOL_TCP)
    packet.tcp_flags = TCP_SYN;
  packet.source_mac = (struct mac){{2, 9, 9, 9, 9, (uint8_t)dice_below(&bench->dice, 4)}};
  choose_mac(bench, bench->sides[0].policy, &packet);
  choose_mac(bench, bench->sides[1].policy, &packet);
  return packet;
}

/* ---- what decide says ---- */

static bool side_allows(const struct bench *bench, const struct exact_side *side, const struct packet *packet,
                        const char *from, const char *to, struct decision *ret_decision) {
  if (side->policy == NULL)
    return false;
  struct query query = {.packet = *packet,
                        .in_zone = policy_find_zone(side->policy, from),
                        .out_zone = policy_find_zone(side->policy, to)};
  struct circumstances circumstances = {.now = bench->now, .restrictions = side->restrictions};
  if (query.in_zone == ZONE_NONE || query.out_zone == ZONE_NONE)
    return false;
  *ret_decision = policy_decide(side->policy, &circumstances, &query);
  return ret_decision->allow;
}

/* ---- what boxes say ---- */

static bool pins_elsewhere(const struct policy *policy, const char *zone, const struct packet *packet) {
  for (size_t i = 0; policy != NULL && i < policy->host_count; i++) {
    const struct host *host = &policy->hosts[i];
    bool pinned = host->mac_count != 0 && host->mac_scope == MAC_SCOPE_DIRECT;
    for (size_t j = 0; pinned && host->zone == policy_find_zone(policy, zone) && j < host->address_count; j++)
      for (size_t k = 0; range_contains(&host->addresses[j].range, &packet->source) && k < host->mac_count; k++)
        if (mac_equal(&host->macs[k], &packet->source_mac))
          return true;
  }
  return false;
}

static bool box_has(const struct bench *bench, const struct policy *policy, const struct exact_box *box,
                    const struct packet *packet, const char *from, const char *to) {
  bool icmp = packet->protocol == PROTOCOL_ICMP || packet->protocol == PROTOCOL_ICMPV6;
  unsigned port = icmp ? packet->icmp_type : packet->destination_port;
  if (strcmp(policy_zone_name(policy, box->from), from) != 0 || strcmp(policy_zone_name(policy, box->to), to) != 0 ||
      !range_contains(&box->source, &packet->source) || !range_contains(&box->destination, &packet->destination) ||
      packet->protocol < box->first_protocol || packet->protocol > box->last_protocol || port < box->first_port ||
      port > box->last_port)
    return false;
  if (box->has_mac)
    return mac_equal(&box->mac, &packet->source_mac);
  return !box->other_macs || (!pins_elsewhere(bench->sides[0].policy, from, packet) &&
                              !pins_elsewhere(bench->sides[1].policy, from, packet));
}

static bool boxes_have(const struct bench *bench, const struct policy *policy, const struct exact_box *boxes,
                       size_t count, const struct packet *packet, const char *from, const char *to) {
  for (size_t i = 0; i < count; i++)
    if (box_has(bench, policy, &boxes[i], packet, from, to))
      return true;
  return false;
}

static const char *describe(struct bench *bench, const struct packet *packet, const char *from, const char *to) {
  char source[ADDRESS_TEXT_SIZE], destination[ADDRESS_TEXT_SIZE], mac[MAC_TEXT_SIZE];
  return arena_printf(bench->arena, "%s (%s) -> %s (%s) protocol %u port %u type %u mac %s",
                      address_format(&packet->source, source), from, address_format(&packet->destination, destination),
                      to, packet->protocol, packet->destination_port, packet->icmp_type,
                      mac_format(&packet->source_mac, mac));
}

/* ---- one comparison ---- */

static void compare(struct bench *bench) {
  ck_assert_int_eq(
      exact_compare(&bench->sides[0], &bench->sides[1], NULL, bench->now, WHEN_NOW, bench->arena, &bench->difference),
      0);
}

static void check_example(struct bench *bench, const struct exact_box *box, int side) {
  const struct policy *policy = bench->sides[side].policy;
  const char *from = policy_zone_name(policy, box->from), *to = policy_zone_name(policy, box->to);
  struct decision here = {0}, there = {0};
  const char *what = describe(bench, &box->example, from, to);
  ck_assert_msg(side_allows(bench, &bench->sides[side], &box->example, from, to, &here), "%s: denied as %s", what,
                reason_name(here.reason));
  ck_assert_msg(!side_allows(bench, &bench->sides[1 - side], &box->example, from, to, &there), "%s: allowed", what);
  ck_assert_msg(here.flow == box->flow, "%s: by flow %s, not %s", what, here.flow != NULL ? here.flow->name : "-",
                box->flow != NULL ? box->flow->name : "-");
  ck_assert_msg(box_has(bench, policy, box, &box->example, from, to), "%s: outside of its box", what);
}

static void check_packet(struct bench *bench, const struct packet *packet, const char *from, const char *to) {
  const struct exact_difference *difference = &bench->difference;
  struct decision old = {0}, new = {0};
  bool before = side_allows(bench, &bench->sides[0], packet, from, to, &old);
  bool after = side_allows(bench, &bench->sides[1], packet, from, to, &new);
  bool opened =
      boxes_have(bench, bench->sides[1].policy, difference->opened, difference->opened_count, packet, from, to);
  bool closed =
      boxes_have(bench, bench->sides[0].policy, difference->closed, difference->closed_count, packet, from, to);
  ck_assert_msg(opened == (after && !before) && closed == (before && !after), "%s: before %s, after %s; told as %s",
                describe(bench, packet, from, to), reason_name(old.reason), reason_name(new.reason),
                opened   ? "opened"
                : closed ? "closed"
                         : "nothing");
}

static const char *zone_of(const struct bench *bench, const struct address *address, int side) {
  return policy_zone_name(bench->sides[side].policy, policy_zone_of_address(bench->sides[side].policy, NULL, address));
}

static void check_packets(struct bench *bench) {
  for (int i = 0; i < PACKETS; i++) {
    struct packet packet = random_packet(bench);
    int side = (int)dice_below(&bench->dice, 2);
    const char *from = zone_of(bench, &packet.source, side), *to = zone_of(bench, &packet.destination, side);
    if (dice_percent(&bench->dice, 10))
      to = "gateway";
    else if (dice_percent(&bench->dice, 10))
      from = "gateway";
    if (strcmp(from, "-") != 0 && strcmp(to, "-") != 0)
      check_packet(bench, &packet, from, to);
  }
}

static void check_all(struct bench *bench) {
  const struct exact_difference *difference = &bench->difference;
  ck_assert(difference->complete);
  ck_assert_int_eq(difference->equal, difference->opened_count + difference->closed_count == 0);
  for (size_t i = 0; i < difference->opened_count; i++)
    check_example(bench, &difference->opened[i], 1);
  for (size_t i = 0; i < difference->closed_count; i++)
    check_example(bench, &difference->closed[i], 0);
  check_packets(bench);
}

static unsigned throw_below(void *context, unsigned limit) {
  return dice_below(context, limit);
}

static void open_bench(struct bench *bench, uint64_t seed) {
  *bench = (struct bench){.arena = arena_new(0), .dice = {seed}, .now = instant_of_text(NOON)};
}

static void take_policies(struct bench *bench, const char *before, const char *after) {
  bench->sides[0].policy = policy_of_text(bench->arena, before);
  bench->sides[1].policy = policy_of_text(bench->arena, after);
  collect(bench, bench->sides[0].policy);
  collect(bench, bench->sides[1].policy);
}

START_TEST(a_changed_policy_is_told_to_the_packet) {
  size_t opened = 0, closed = 0;
  for (uint64_t round = 0; round < ROUNDS; round++) {
    static struct bench bench;
    open_bench(&bench, round + 1);
    struct dice dice = {round + 70};
    char *text = random_policy_text(&dice, bench.now, bench.arena);
    take_policies(&bench, text, random_policy_vary(&dice, text, bench.now, bench.arena));
    const struct chance chance = {throw_below, &bench.dice};
    for (int i = 0; round % 2 == 1 && i < 2; i++) {
      bench.drawn[i] = random_restrictions(&chance, bench.sides[i].policy, bench.addresses, bench.address_count,
                                           bench.now, bench.arena);
      bench.sides[i].restrictions = &bench.drawn[i];
    }
    compare(&bench);
    check_all(&bench);
    opened += bench.difference.opened_count;
    closed += bench.difference.closed_count;
    arena_free(bench.arena);
  }
  ck_assert_uint_gt(opened, 10);
  ck_assert_uint_gt(closed, 10);
}
END_TEST

/* Other zones, other hosts, other pins. */
START_TEST(two_policies_with_nothing_in_common_are_compared) {
  for (uint64_t round = 0; round < 3; round++) {
    static struct bench bench;
    open_bench(&bench, round + 1);
    struct dice one = {round + 700}, other = {round + 900};
    take_policies(&bench, random_policy_text(&one, bench.now, bench.arena),
                  random_policy_text(&other, bench.now, bench.arena));
    compare(&bench);
    if (bench.difference.complete)
      check_all(&bench);
    arena_free(bench.arena);
  }
}
END_TEST

/* ---- the town ---- */

/* The town with one text in place of another. */
static char *edited(struct arena *arena, const char *text, const char *old, const char *new) {
  const char *at = strstr(text, old);
  ck_assert_msg(at != NULL, "%s", old);
  return arena_printf(arena, "%.*s%s%s", (int)(at - text), text, new, at + strlen(old));
}

START_TEST(a_rewritten_policy_is_equal) {
  static struct bench bench;
  open_bench(&bench, 1);
  char *text = sample_town_text(bench.arena);
  char *rewritten = edited(bench.arena, text, "lg-term", "lg-terminals-of-the-staff");
  for (char *at; (at = strstr(rewritten, "\"lg-term\"")) != NULL;)
    rewritten = edited(bench.arena, rewritten, "\"lg-term\"", "\"lg-terminals-of-the-staff\"");
  take_policies(&bench, text, rewritten);
  compare(&bench);
  ck_assert(bench.difference.equal && bench.difference.complete);
  ck_assert_uint_eq(bench.difference.opened_count + bench.difference.closed_count, 0);
  arena_free(bench.arena);
}
END_TEST

static void compare_edited(struct bench *bench, const char *old, const char *new) {
  open_bench(bench, 1);
  char *text = sample_town_text(bench->arena);
  take_policies(bench, text, edited(bench->arena, text, old, new));
  compare(bench);
  check_all(bench);
}

/* ---- small policies, looked at box by box ---- */

#define HEAD                                                                                                           \
  "policy = { name = \"s\"; number = \"1\"; model = \"alpha\"; };\nzones = {\n"                                        \
  " a = { class = \"lgwan\"; interfaces = [ \"e0\" ]; networks = [ \"10.0.0.0/24\" ]; };\n"                            \
  " b = { class = \"relay\"; interfaces = [ \"e1\" ]; networks = [ \"10.1.0.0/24\" ]; };\n};\n"
#define HOSTS(mac)                                                                                                     \
  "hosts = { h = { zone = \"a\"; address = \"10.0.0.5\";" mac " };\n"                                                  \
  " i = { zone = \"a\"; address = \"10.0.0.6\"; mac = \"02:00:00:00:00:06\"; };\n"                                     \
  " s = { zone = \"b\"; address = [ \"10.1.0.1\", \"10.1.0.2\" ]; }; };\n"
#define FLOW_WITH(name, from, services, more)                                                                          \
  name " = { from = \"" from "\"; to = \"s\"; services = [ " services " ]; method = \"ops\"; " more " };\n"
#define FLOW(name, from, services) FLOW_WITH(name, from, services, "")

static void compare_small(struct bench *bench, const char *before, const char *after) {
  open_bench(bench, 1);
  take_policies(bench, before, after);
  compare(bench);
  check_all(bench);
}

START_TEST(a_new_flow_is_one_box) {
  static struct bench bench;
  compare_small(&bench, HEAD HOSTS("") "flows = {" FLOW("F1", "h", "\"tcp/80\"") "};",
                HEAD HOSTS("") "flows = {" FLOW("F1", "h", "\"tcp/80\"") FLOW("F2", "h", "\"tcp/443-445\"") "};");
  const struct exact_difference *difference = &bench.difference;
  ck_assert_uint_eq(difference->closed_count, 0);
  ck_assert_uint_eq(difference->opened_count, 1);
  const struct exact_box *box = &difference->opened[0];
  char text[RANGE_TEXT_SIZE];
  ck_assert_str_eq(range_format(&box->source, text), "10.0.0.5");
  ck_assert_str_eq(range_format(&box->destination, text), "10.1.0.1-10.1.0.2");
  ck_assert_int_eq(box->first_protocol, PROTOCOL_TCP);
  ck_assert_int_eq(box->last_protocol, PROTOCOL_TCP);
  ck_assert_int_eq(box->first_port, 443);
  ck_assert_int_eq(box->last_port, 445);
  ck_assert(!box->has_mac && !box->other_macs);
  ck_assert_str_eq(box->flow->name, "F2");
  ck_assert_int_eq(box->example.destination_port, 443);
  arena_free(bench.arena);
}
END_TEST

START_TEST(a_host_that_is_pinned_closes_other_macs) {
  static struct bench bench;
  compare_small(&bench, HEAD HOSTS("") "flows = {" FLOW("F1", "h", "\"tcp/80\"") "};",
                HEAD HOSTS(" mac = \"02:00:00:00:00:05\";") "flows = {" FLOW("F1", "h", "\"tcp/80\"") "};");
  const struct exact_difference *difference = &bench.difference;
  ck_assert_uint_eq(difference->opened_count, 0);
  ck_assert_uint_eq(difference->closed_count, 1);
  ck_assert(difference->closed[0].other_macs && !difference->closed[0].has_mac);
  arena_free(bench.arena);
}
END_TEST

START_TEST(a_host_with_another_mac_is_told_by_both) {
  static struct bench bench;
  compare_small(&bench, HEAD HOSTS(" mac = \"02:00:00:00:00:05\";") "flows = {" FLOW("F1", "h", "\"tcp/80\"") "};",
                HEAD HOSTS(" mac = \"02:00:00:00:00:07\";") "flows = {" FLOW("F1", "h", "\"tcp/80\"") "};");
  const struct exact_difference *difference = &bench.difference;
  ck_assert_uint_eq(difference->opened_count, 1);
  ck_assert_uint_eq(difference->closed_count, 1);
  ck_assert(difference->opened[0].has_mac && difference->opened[0].mac.bytes[5] == 7);
  ck_assert(difference->closed[0].has_mac && difference->closed[0].mac.bytes[5] == 5);
  arena_free(bench.arena);
}
END_TEST

START_TEST(forwarding_within_a_zone_is_told) {
  static struct bench bench;
  const char *text = HEAD HOSTS("") "flows = {" FLOW("F1", "h", "\"tcp/80\"") "};";
  open_bench(&bench, 1);
  take_policies(&bench, text,
                edited(bench.arena, text, "interfaces = [ \"e0\" ];", "interfaces = [ \"e0\" ]; within = \"allow\";"));
  compare(&bench);
  check_all(&bench);
  ck_assert_uint_gt(bench.difference.opened_count, 3); /* TCP, UDP round Teredo, echo, other protocols round tunnels */
  for (size_t i = 0; i < bench.difference.opened_count; i++)
    ck_assert_ptr_null(bench.difference.opened[i].flow);
  arena_free(bench.arena);
}
END_TEST

START_TEST(against_no_policy_everything_is_new) {
  static struct bench bench;
  open_bench(&bench, 1);
  take_policies(&bench, sample_town_text(bench.arena), sample_town_text(bench.arena));
  bench.sides[0].policy = NULL;
  compare(&bench);
  ck_assert(!bench.difference.equal);
  ck_assert_uint_eq(bench.difference.closed_count, 0);
  for (size_t i = 0; i < bench.difference.opened_count; i++)
    check_example(&bench, &bench.difference.opened[i], 1);
  arena_free(bench.arena);
}
END_TEST

START_TEST(time_counts_unless_it_is_not_to) {
  static struct bench bench;
  compare_small(&bench, HEAD HOSTS("") "flows = {" FLOW_WITH("F1", "h", "\"tcp/80\"", "expires = \"2026-11-23\";") "};",
                HEAD HOSTS("") "flows = {" FLOW("F1", "h", "\"tcp/80\"") "};");
  ck_assert_uint_eq(bench.difference.opened_count, 1);
  ck_assert_int_eq(
      exact_compare(&bench.sides[0], &bench.sides[1], NULL, bench.now, WHEN_EVER, bench.arena, &bench.difference), 0);
  ck_assert(bench.difference.equal);
  arena_free(bench.arena);
}
END_TEST

START_TEST(the_same_packets_at_other_times_are_told) {
  static const struct {
    const char *before, *after;
    size_t retimed;
  } cases[] = {
      {"expires = \"2027-01-01\";", "expires = \"2027-01-01\";", 0},
      {"expires = \"2027-01-01\";", "expires = \"2027-01-02\";", 1},
      {"expires = \"2027-01-01\";", "", 1},
      {"hours = \"mon-fri 08:30-17:15\";", "hours = \"mon-fri 08:30-17:15\";", 0},
      {"hours = \"mon-fri 08:30-17:15\";", "hours = \"mon-sat 08:30-17:15\";", 1},
      {"", "limit = { new_per_second = 5; };", 1},
      /* windows written otherwise */
      {"window = ( { start = \"2026-12-01T00:00:00+09:00\"; end = \"2026-12-03T00:00:00+09:00\"; } );",
       "window = ( { start = \"2026-12-02T00:00:00+09:00\"; end = \"2026-12-03T00:00:00+09:00\"; }, { start = "
       "\"2026-12-01T00:00:00+09:00\"; end = \"2026-12-02T00:00:00+09:00\"; } );",
       0},
      {"window = ( { start = \"2026-12-01T00:00:00+09:00\"; end = \"2026-12-03T00:00:00+09:00\"; } );",
       "window = ( { start = \"2026-12-01T00:00:00+09:00\"; end = \"2026-12-02T00:00:00+09:00\"; }, { start = "
       "\"2026-12-02T00:00:01+09:00\"; end = \"2026-12-03T00:00:00+09:00\"; } );",
       1},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    static struct bench bench;
    open_bench(&bench, 1);
    static const char form[] =
        "%s%sflows = { F1 = { from = \"h\"; to = \"s\"; services = [ \"tcp/80\" ]; method = \"ops\"; %s }; };";
    take_policies(&bench, arena_printf(bench.arena, form, HEAD, HOSTS(""), cases[i].before),
                  arena_printf(bench.arena, form, HEAD, HOSTS(""), cases[i].after));
    ck_assert_int_eq(exact_compare(&bench.sides[0], &bench.sides[1], NULL, bench.now, WHEN_FROM_NOW_ON, bench.arena,
                                   &bench.difference),
                     0);
    ck_assert(bench.difference.equal && bench.difference.complete);
    ck_assert_msg(bench.difference.retimed_count == cases[i].retimed, "%s / %s", cases[i].before, cases[i].after);
    arena_free(bench.arena);
  }
}
END_TEST

/* What one flow stops to cover in time another one may still. */
START_TEST(times_are_those_of_all_flows_together) {
  static struct bench bench;
  open_bench(&bench, 1);
  take_policies(&bench, HEAD HOSTS("") "flows = {" FLOW("F1", "h", "\"tcp/80\"") FLOW("F2", "h", "\"tcp/1-100\"") "};",
                HEAD HOSTS("") "flows = {" FLOW_WITH("F1", "h", "\"tcp/80\"", "expires = \"2027-01-01\";")
                    FLOW("F2", "h", "\"tcp/1-100\"") "};");
  ck_assert_int_eq(exact_compare(&bench.sides[0], &bench.sides[1], NULL, bench.now, WHEN_FROM_NOW_ON, bench.arena,
                                 &bench.difference),
                   0);
  ck_assert(bench.difference.equal);
  ck_assert_uint_eq(bench.difference.retimed_count, 0);
  arena_free(bench.arena);
}
END_TEST

/* ---- widening ---- */

static void widen(struct bench *bench, const char *before, const char *after) {
  open_bench(bench, 1);
  take_policies(bench, before, after);
  const struct policy *old = bench->sides[0].policy, *new = bench->sides[1].policy;
  ck_assert_int_eq(exact_widening(old, policy_find_flow(old, "F1"), new, policy_find_flow(new, "F1"), bench->arena,
                                  &bench->difference),
                   0);
}

START_TEST(a_flow_is_held_against_its_own_past) {
  static struct bench bench;
  /* that another flow covered it does not excuse */
  widen(&bench, HEAD HOSTS("") "flows = {" FLOW("F1", "h", "\"tcp/80\"") FLOW("F2", "h", "\"tcp/1-1000\"") "};",
        HEAD HOSTS("") "flows = {" FLOW("F1", "h", "\"tcp/80-81\"") FLOW("F2", "h", "\"tcp/1-1000\"") "};");
  ck_assert_uint_eq(bench.difference.opened_count, 1);
  ck_assert_int_eq(bench.difference.opened[0].first_port, 81);
  ck_assert_int_eq(bench.difference.opened[0].last_port, 81);
  arena_free(bench.arena);
  /* narrowed, and written otherwise */
  widen(&bench, HEAD HOSTS("") "flows = {" FLOW("F1", "h", "\"tcp/80-90\"") "};",
        HEAD HOSTS("") "flows = {" FLOW("F1", "h", "\"tcp/80-84\", \"tcp/85-89\"") "};");
  ck_assert_uint_eq(bench.difference.opened_count, 0);
  ck_assert_uint_eq(bench.difference.closed_count, 1);
  arena_free(bench.arena);
  /* a sender that is no longer pinned */
  widen(&bench, HEAD HOSTS(" mac = \"02:00:00:00:00:05\";") "flows = {" FLOW("F1", "h", "\"tcp/80\"") "};",
        HEAD HOSTS("") "flows = {" FLOW("F1", "h", "\"tcp/80\"") "};");
  ck_assert_uint_eq(bench.difference.opened_count, 1);
  ck_assert(bench.difference.opened[0].other_macs);
  arena_free(bench.arena);
}
END_TEST

START_TEST(a_flow_between_other_zones_is_wholly_new) {
  static struct bench bench;
  const char *turned = HEAD HOSTS("") "flows = { F1 = { from = \"s\"; to = \"h\"; services = [ \"tcp/80\" ]; method = "
                                      "\"ops\"; }; };";
  widen(&bench, HEAD HOSTS("") "flows = {" FLOW("F1", "h", "\"tcp/80\"") "};", turned);
  ck_assert_uint_eq(bench.difference.opened_count, 1);
  arena_free(bench.arena);
}
END_TEST

/* ---- who can reach ---- */

START_TEST(who_can_reach_a_zone_is_who_is_allowed_to) {
  for (uint64_t round = 0; round < 4; round++) {
    static struct bench bench;
    open_bench(&bench, round + 1);
    struct dice dice = {round + 40};
    char *text = random_policy_text(&dice, bench.now, bench.arena);
    take_policies(&bench, text, text);
    const struct policy *policy = bench.sides[1].policy;
    bench.sides[0].policy = NULL;
    for (zone_index zone = ZONE_GATEWAY; zone < (zone_index)policy->zone_count; zone++) {
      struct exact_box *boxes = NULL;
      size_t count = 0;
      bool complete = false;
      if (zone == ZONE_NONE)
        continue;
      ck_assert_int_eq(
          exact_who_can_reach(policy, NULL, zone, NULL, bench.now, false, bench.arena, &boxes, &count, &complete), 0);
      ck_assert(complete);
      for (size_t i = 0; i < count; i++)
        check_example(&bench, &boxes[i], 1);
      for (int i = 0; i < PACKETS / 4; i++) {
        struct packet packet = random_packet(&bench);
        struct decision decision = {0};
        const char *from = zone_of(&bench, &packet.source, 1), *to = policy_zone_name(policy, zone);
        bool expected = side_allows(&bench, &bench.sides[1], &packet, from, to, &decision);
        ck_assert_msg(boxes_have(&bench, policy, boxes, count, &packet, from, to) == expected, "%s: %s",
                      describe(&bench, &packet, from, to), reason_name(decision.reason));
      }
    }
    arena_free(bench.arena);
  }
}
END_TEST

START_TEST(a_host_is_asked_about_alone) {
  struct arena *arena = arena_new(0);
  const struct policy *policy = policy_of_text(arena, sample_town_text(arena));
  struct address_range host, *range = &host;
  const char *reason;
  ck_assert(range_parse("10.110.0.11", range, &reason));
  struct exact_box *boxes = NULL;
  size_t count = 0;
  bool complete = false;
  ck_assert_int_eq(exact_who_can_reach(policy, NULL, policy_find_zone(policy, "mynumber"), range, instant_of_text(NOON),
                                       true, arena, &boxes, &count, &complete),
                   0);
  ck_assert(complete);
  ck_assert_uint_gt(count, 0);
  for (size_t i = 0; i < count; i++)
    ck_assert(range_equal(&boxes[i].destination, range));
  arena_free(arena);
}
END_TEST

/* ---- universal ---- */

START_TEST(any_packet_at_any_time_is_found) {
  static const struct {
    const char *flow;
    bool any;
  } cases[] = {
      {FLOW("F1", "h", "\"tcp/80\""), true},
      {FLOW_WITH("F1", "h", "\"tcp/80\"", "expires = \"2026-11-24\";"), true},
      {FLOW_WITH("F1", "h", "\"tcp/80\"", "expires = \"2026-11-23\";"), false},
      {FLOW_WITH("F1", "h", "\"tcp/80\"", "hours = \"sat-sun 08:30-17:15\";"), true},
      {"F1 = { from = \"s\"; to = \"h\"; services = [ \"tcp/80\" ]; method = \"ops\"; };", false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct arena *arena = arena_new(0);
    char *text = arena_printf(arena, "%s flows = { %s };", HEAD HOSTS(""), cases[i].flow);
    const struct policy *policy = policy_of_text(arena, text);
    struct exact_pair pair = {.from = 0, .to = 1};
    ck_assert_int_eq(exact_any_packet(policy, instant_of_text(NOON), arena, &pair, 1), 0);
    ck_assert_msg(pair.any == cases[i].any, "%s", cases[i].flow);
    arena_free(arena);
  }
}
END_TEST

/* Two judges of one sentence: policy/expect looks for a packet flow by flow, the sets know all of them. */
START_TEST(universal_expectations_are_judged_alike) {
  unsigned any = 0, none = 0;
  for (uint64_t round = 0; round < 20; round++) {
    struct arena *arena = arena_new(0);
    struct dice dice = {round + 500};
    struct instant now = instant_of_text(NOON);
    struct policy policy = *policy_of_text(arena, random_policy_text(&dice, now, arena));
    for (zone_index from = ZONE_GATEWAY; from < (zone_index)policy.zone_count; from++)
      for (zone_index to = ZONE_GATEWAY; to < (zone_index)policy.zone_count; to++) {
        if (from == ZONE_NONE || to == ZONE_NONE || (from == ZONE_GATEWAY && to == ZONE_GATEWAY))
          continue;
        struct expectation expectation = {.name = "case", .universal = true, .valid = true};
        expectation.from = (struct expectation_end){.kind = EXPECT_ZONE, .zone = from};
        expectation.to = (struct expectation_end){.kind = EXPECT_ZONE, .zone = to};
        policy.expectations = &expectation;
        policy.expectation_count = 1;
        struct diagnostic_list diagnostics;
        diagnostic_list_init(&diagnostics, arena, LANGUAGE_ENGLISH);
        struct expectation_result result = policy_check_expectations(&policy, now, &diagnostics);
        struct exact_pair pair = {.from = from, .to = to};
        ck_assert_int_eq(exact_any_packet(&policy, now, arena, &pair, 1), 0);
        ck_assert_msg(pair.any == (result.failed == 1), "round %u: %s to %s: %d", (unsigned)round,
                      policy_zone_name(&policy, from), policy_zone_name(&policy, to), pair.any);
        any += pair.any;
        none += !pair.any;
      }
    arena_free(arena);
  }
  ck_assert_uint_gt(any, 20);
  ck_assert_uint_gt(none, 20);
}
END_TEST

/* ---- flows that are for nothing ---- */

static const char *worth_name(enum flow_worth worth) {
  static const char *const names[] = {"used", "never matches", "shadowed", "redundant"};
  return names[worth];
}

/* "F3 shadowed by F1 F2; ..." */
static const char *uses_text(struct arena *arena, const struct policy *policy, struct instant now) {
  struct flow_use *uses = NULL;
  bool complete = false;
  const char *text = "";
  ck_assert_int_eq(exact_flow_use(policy, now, NULL, arena, &uses, &complete), 0);
  ck_assert(complete);
  for (size_t i = 0; i < policy->flow_count; i++) {
    if (uses[i].worth == WORTH_USED)
      continue;
    text = arena_printf(arena, "%s%s %s", text, policy->flows[i].name, worth_name(uses[i].worth));
    for (size_t j = 0; j < uses[i].by_count; j++)
      text = arena_printf(arena, "%s %s", text, uses[i].by[j]->name);
    text = arena_printf(arena, "%s; ", text);
  }
  return text;
}

START_TEST(flows_that_are_for_nothing_are_told) {
  static const struct {
    const char *flows, *expected;
  } cases[] = {
      {FLOW("F1", "h", "\"tcp/80\"") FLOW("F2", "h", "\"tcp/81\""), ""},
      {FLOW("F1", "h", "\"tcp/1-100\"") FLOW("F2", "h", "\"tcp/80\""), "F2 shadowed F1; "},
      {FLOW("F1", "h", "\"tcp/80\"") FLOW("F2", "h", "\"tcp/1-100\""), "F1 redundant F2; "},
      {FLOW("F1", "h", "\"tcp/80\"") FLOW("F2", "h", "\"tcp/80\""), "F2 shadowed F1; "},
      {FLOW("F1", "h", "\"tcp/80\"") FLOW("F2", "h", "\"tcp/80\"") FLOW("F3", "h", "\"tcp/80\""),
       "F2 shadowed F1; F3 shadowed F1; "},
      {FLOW("F1", "h", "\"tcp/1-50\"") FLOW("F2", "h", "\"tcp/51-90\"") FLOW("F3", "h", "\"tcp/40-60\""),
       "F3 shadowed F1 F2; "},
      {FLOW("F1", "h", "\"tcp/40-60\"") FLOW("F2", "h", "\"tcp/1-50\"") FLOW("F3", "h", "\"tcp/51-90\""),
       "F1 redundant F2 F3; "},
      /* time: what ends does not cover what goes on */
      {FLOW_WITH("F1", "h", "\"tcp/1-100\"", "expires = \"2027-01-01\";") FLOW("F2", "h", "\"tcp/80\""), ""},
      {FLOW("F1", "h", "\"tcp/1-100\"") FLOW_WITH("F2", "h", "\"tcp/80\"", "expires = \"2027-01-01\";"),
       "F2 shadowed F1; "},
      {FLOW_WITH("F1", "h", "\"tcp/1-100\"", "hours = \"mon-fri 08:30-17:15\";")
           FLOW_WITH("F2", "h", "\"tcp/80\"", "hours = \"mon-fri 08:30-17:15\";"),
       "F2 shadowed F1; "},
      {FLOW_WITH("F1", "h", "\"tcp/1-100\"", "hours = \"mon-fri 08:30-17:15\";")
           FLOW_WITH("F2", "h", "\"tcp/80\"", "hours = \"mon-fri 08:30-17:16\";"),
       ""},
      {FLOW_WITH("F1", "h", "\"tcp/80\"", "expires = \"2026-01-01\";") FLOW("F2", "h", "\"tcp/80\""), ""},
      /* a pinned sender is within an unpinned zone only by the guard */
      {"F1 = { from = \"zone:a\"; to = \"s\"; services = [ \"tcp/80\" ]; method = \"ops\"; };" FLOW("F2", "i",
                                                                                                    "\"tcp/80\""),
       "F2 shadowed F1; "},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct arena *arena = arena_new(0);
    const struct policy *policy =
        policy_of_text(arena, arena_printf(arena, "%s flows = { %s };", HEAD HOSTS(""), cases[i].flows));
    ck_assert_str_eq(uses_text(arena, policy, instant_of_text(NOON)), cases[i].expected);
    arena_free(arena);
  }
}
END_TEST

START_TEST(a_flow_of_which_the_guard_refuses_everything_never_matches) {
  static const char hosts[] = "hosts = { h = { zone = \"a\"; address = \"10.0.0.255\"; };\n"
                              " i = { zone = \"a\"; address = \"10.0.0.6\"; };\n"
                              " s = { zone = \"b\"; address = \"10.1.0.1\"; }; };\n";
  static const char flows[] =
      FLOW("F1", "h", "\"tcp/80\"") FLOW("F2", "i", "\"icmpv6/echo-request\"") FLOW("F3", "i", "\"tcp/80\"");
  struct arena *arena = arena_new(0);
  const struct policy *policy = policy_of_text(arena, arena_printf(arena, "%s%sflows = { %s };", HEAD, hosts, flows));
  ck_assert_str_eq(uses_text(arena, policy, instant_of_text(NOON)), "F1 never matches; F2 never matches; ");
  arena_free(arena);
}
END_TEST

/* The policy without these flows. */
static const struct policy *without_flows(struct arena *arena, const struct policy *policy, const bool *gone) {
  struct policy *rest = arena_memdup(arena, policy, sizeof *policy);
  rest->flows = ARENA_ARRAY(arena, policy->flow_count + 1, struct flow);
  rest->flow_count = 0;
  for (size_t i = 0; i < policy->flow_count; i++)
    if (!gone[i]) {
      rest->flows[rest->flow_count] = policy->flows[i];
      rest->flows[rest->flow_count].index = rest->flow_count;
      rest->flow_count++;
    }
  return rest;
}

static bool change_nothing(struct arena *arena, const struct policy *policy, const bool *gone, struct instant now,
                           enum authorised_when when) {
  const struct exact_side before = {.policy = policy}, after = {.policy = without_flows(arena, policy, gone)};
  struct exact_difference difference;
  ck_assert_int_eq(exact_compare(&before, &after, NULL, now, when, arena, &difference), 0);
  return difference.equal;
}

static bool depends_on_time(const struct flow *flow) {
  return flow->expires_set || flow->window_count != 0 || flow->hours.set;
}

/* Each flow a second time, before or behind it, often only a part of it. */
static const struct policy *doubled(struct arena *arena, const struct policy *policy, struct dice *dice) {
  struct policy *more = arena_memdup(arena, policy, sizeof *policy);
  more->flows = ARENA_ARRAY(arena, policy->flow_count * 2 + 1, struct flow);
  more->flow_count = 0;
  for (size_t i = 0; i < policy->flow_count; i++) {
    struct flow part = policy->flows[i];
    bool first = dice_percent(dice, 50);
    part.name = arena_printf(arena, "%s-part", part.name);
    part.service_count = dice_percent(dice, 50) ? 1 : part.service_count;
    part.from_count = dice_percent(dice, 50) ? 1 : part.from_count;
    part.to_count = dice_percent(dice, 50) ? 1 : part.to_count;
    part.expires_set = part.expires_set && dice_percent(dice, 80);
    more->flows[more->flow_count++] = first ? part : policy->flows[i];
    more->flows[more->flow_count++] = first ? policy->flows[i] : part;
  }
  for (size_t i = 0; i < more->flow_count; i++)
    more->flows[i].index = i;
  return more;
}

/* What is told may go, all of it at once; of what is left nothing may. */
START_TEST(what_is_for_nothing_may_go_and_nothing_else) {
  unsigned told = 0, kept = 0;
  for (uint64_t round = 0; round < 10; round++) {
    struct arena *arena = arena_new(0);
    struct dice dice = {round + 300};
    struct instant now = instant_of_text(NOON);
    const struct policy *policy = doubled(arena, policy_of_text(arena, random_policy_text(&dice, now, arena)), &dice);
    struct flow_use *uses = NULL;
    bool complete = false;
    ck_assert_int_eq(exact_flow_use(policy, now, NULL, arena, &uses, &complete), 0);
    ck_assert(complete);
    bool *gone = ARENA_ARRAY(arena, policy->flow_count + 1, bool);
    for (size_t i = 0; i < policy->flow_count; i++) {
      gone[i] = uses[i].worth == WORTH_SHADOWED || uses[i].worth == WORTH_REDUNDANT;
      told += gone[i];
    }
    ck_assert(change_nothing(arena, policy, gone, now, WHEN_NOW));
    ck_assert(change_nothing(arena, policy, gone, now, WHEN_FROM_NOW_ON));
    now.seconds += 5 * 86400;
    ck_assert(change_nothing(arena, policy, gone, now, WHEN_NOW));
    for (size_t i = 0; i < policy->flow_count && i < 30; i++) {
      const struct flow *flow = &policy->flows[i];
      if (gone[i] || depends_on_time(flow) || flow->limit.set || flow->from_zone == flow->to_zone ||
          uses[i].worth == WORTH_NEVER_MATCHES)
        continue;
      const struct policy *rest = without_flows(arena, policy, gone);
      bool *alone = ARENA_ARRAY(arena, policy->flow_count + 1, bool);
      for (size_t j = 0; j < rest->flow_count; j++) /* what ends, or has a limit, covers nothing: out with it, too */
        alone[j] = depends_on_time(&rest->flows[j]) || rest->flows[j].limit.set;
      const struct policy *lasting = without_flows(arena, rest, alone);
      bool *one = ARENA_ARRAY(arena, policy->flow_count + 1, bool);
      for (size_t j = 0; j < lasting->flow_count; j++)
        one[j] = strcmp(lasting->flows[j].name, flow->name) == 0;
      ck_assert_msg(!change_nothing(arena, lasting, one, now, WHEN_EVER), "round %u: %s", (unsigned)round, flow->name);
      kept++;
    }
    arena_free(arena);
  }
  ck_assert_uint_gt(told, 3);
  ck_assert_uint_gt(kept, 15);
}
END_TEST

START_TEST(an_edited_town_is_told_exactly) {
  static struct bench bench;
  compare_edited(&bench, "\"10.110.0.11\"", "\"10.110.0.12\"");
  arena_free(bench.arena);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("exact");
  TCase *all = tcase_create("all");
  tcase_set_timeout(all, 60);
  tcase_add_test(all, a_changed_policy_is_told_to_the_packet);
  tcase_add_test(all, two_policies_with_nothing_in_common_are_compared);
  tcase_add_test(all, a_rewritten_policy_is_equal);
  tcase_add_test(all, a_new_flow_is_one_box);
  tcase_add_test(all, a_host_that_is_pinned_closes_other_macs);
  tcase_add_test(all, a_host_with_another_mac_is_told_by_both);
  tcase_add_test(all, forwarding_within_a_zone_is_told);
  tcase_add_test(all, against_no_policy_everything_is_new);
  tcase_add_test(all, time_counts_unless_it_is_not_to);
  tcase_add_test(all, the_same_packets_at_other_times_are_told);
  tcase_add_test(all, times_are_those_of_all_flows_together);
  tcase_add_test(all, a_flow_is_held_against_its_own_past);
  tcase_add_test(all, a_flow_between_other_zones_is_wholly_new);
  tcase_add_test(all, who_can_reach_a_zone_is_who_is_allowed_to);
  tcase_add_test(all, a_host_is_asked_about_alone);
  tcase_add_test(all, any_packet_at_any_time_is_found);
  tcase_add_test(all, universal_expectations_are_judged_alike);
  tcase_add_test(all, flows_that_are_for_nothing_are_told);
  tcase_add_test(all, a_flow_of_which_the_guard_refuses_everything_never_matches);
  tcase_add_test(all, what_is_for_nothing_may_go_and_nothing_else);
  tcase_add_test(all, an_edited_town_is_told_exactly);
  suite_add_tcase(suite, all);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
