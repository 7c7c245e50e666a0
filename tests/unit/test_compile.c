/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "policy/read.h"
#include "rules/boxes.h"
#include "rules/compile.h"
#include "rules/difference.h"
#include "rules/print.h"
#include "ruleset_machine.h"
#include "sample_town.h"

#define NOON "2026-11-24T12:00:00+09:00"

static struct arena *arena;

static void setup(void) {
  arena = arena_new(0);
}

static void teardown(void) {
  arena = arena_free(arena);
}

static struct instant at(const char *text) {
  struct instant instant;
  bool without_offset;
  ck_assert(instant_parse(text, &instant, &without_offset));
  return instant;
}

/* The town with the first occurrence of `find` replaced. */
static const struct policy *town_with(const char *find, const char *replace) {
  char *text = sample_town_text(arena), *place = text != NULL ? strstr(text, find) : NULL;
  struct diagnostic_list diagnostics;
  struct error error;
  const struct policy *policy;
  ck_assert_ptr_nonnull(place);
  char *changed = arena_printf(arena, "%.*s%s%s", (int)(place - text), text, replace, place + strlen(find));
  diagnostic_list_init(&diagnostics, arena, LANGUAGE_ENGLISH);
  ck_assert_int_eq(policy_read_text("town", changed, strlen(changed), arena, false, &policy, &diagnostics, &error), 0);
  ck_assert_msg(diagnostics.errors == 0, "%s", diagnostics.errors ? diagnostics.items[0].message : "");
  return policy;
}

static const struct policy *town(void) {
  return town_with("", "");
}

static struct ruleset *compile(const struct policy *policy, const char *when) {
  struct compile_options options = {.now = at(when)};
  struct ruleset *ruleset;
  struct error error;
  ck_assert_int_eq(ruleset_compile(policy, &options, arena, &ruleset, &error), 0);
  return ruleset;
}

static uint32_t mark_of(const struct policy *policy, const char *flow) {
  uint32_t *marks;
  ck_assert_int_eq(flow_marks(policy, arena, &marks), 0);
  return marks[policy_find_flow(policy, flow)->index];
}

/* ---- identity ---- */

START_TEST(marks_are_unique_and_never_reserved) {
  const struct policy *policy = town();
  uint32_t *marks;
  ck_assert_int_eq(flow_marks(policy, arena, &marks), 0);
  for (size_t i = 0; i < policy->flow_count; i++) {
    ck_assert_uint_ne(marks[i], 0);
    ck_assert_uint_ne(marks[i], UINT32_MAX);
    for (size_t j = 0; j < i; j++)
      ck_assert_uint_ne(marks[i], marks[j]);
  }
}
END_TEST

static const struct {
  const char *find, *replace, *flow;
} same_meaning[] = {
    {"F-101 = {", "F-999 = {", "F-999"},
    {"purpose = \"LGWAN名前解決\"", "purpose = \"名前\"", "F-101"},
    {"services = [ \"tcp+udp/53\" ]", "services = [ \"udp/53\", \"tcp/53\", \"tcp/53\" ]", "F-101"},
    {"from = \"lg-dns\"; to = \"x-dns\"", "from = [ \"lg-dns\" ]; to = [ \"x-dns\" ]", "F-101"},
    {"lg-ntp = {", "lg-anew = { zone = \"lgwan\"; address = \"10.210.0.99\"; };\n lg-ntp = {", "F-101"},
};

START_TEST(what_says_the_same_keeps_its_mark) {
  uint32_t before = mark_of(town(), "F-101");
  ck_assert_uint_eq(mark_of(town_with(same_meaning[_i].find, same_meaning[_i].replace), same_meaning[_i].flow), before);
}
END_TEST

static const struct {
  const char *find, *replace;
} other_meaning[] = {
    {"from = \"mn-kihon\"; to = \"lg-ntp\"", "from = \"mn-kihon\"; to = \"lg-dns\""},
    {"from = \"mn-kihon\"; to = \"lg-ntp\"; services = [ \"udp/123\" ]",
     "from = \"mn-kihon\"; to = \"lg-ntp\"; services = [ \"udp/124\" ]"},
    {"02:00:5e:10:01:11", "02:00:5e:10:01:12"},
    {"10.110.0.11", "10.110.0.12"},
};

START_TEST(what_says_another_thing_gets_another_mark) {
  ck_assert_uint_ne(mark_of(town_with(other_meaning[_i].find, other_meaning[_i].replace), "F-205"),
                    mark_of(town(), "F-205"));
}
END_TEST

/* ---- boxes ---- */

static struct cover cover(uint32_t owner, bool lasting, unsigned d, unsigned d2, unsigned p, unsigned p2, unsigned s,
                          unsigned s2) {
  return (struct cover){.box = {{d, p, s}, {d2, p2, s2}}, .owner = owner, .lasting = lasting};
}

/* Owners of a point in the order in which they are asked, by the covers and by the pieces. */
static void check_point(const struct cover *covers, size_t count, const struct piece_list *pieces,
                        const number *point) {
  uint32_t layer = 0;
  bool open = true;
  for (size_t i = 0; i < count && open; i++) {
    bool inside = true;
    for (size_t axis = 0; axis < AXIS_COUNT_; axis++)
      inside = inside && covers[i].box.first[axis] <= point[axis] && point[axis] <= covers[i].box.last[axis];
    if (!inside)
      continue;
    size_t found = 0;
    for (size_t j = 0; j < pieces->count; j++) {
      const struct piece *piece = &pieces->items[j];
      bool holds = piece->layer == layer;
      for (size_t axis = 0; axis < AXIS_COUNT_; axis++)
        holds = holds && piece->box.first[axis] <= point[axis] && point[axis] <= piece->box.last[axis];
      if (holds) {
        ck_assert_uint_eq(piece->owner, covers[i].owner);
        found++;
      }
    }
    ck_assert_uint_eq(found, 1);
    layer++;
    open = !covers[i].lasting;
  }
}

static unsigned below(uint64_t *seed, unsigned limit) {
  *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return (unsigned)(*seed >> 33) % limit;
}

START_TEST(every_point_has_its_owners_in_file_order) {
  enum { COVERS = 40, SIDE = 12 };
  uint64_t seed = (uint64_t)_i;
  struct cover covers[COVERS];
  for (uint32_t i = 0; i < COVERS; i++) {
    unsigned edge[6];
    for (size_t j = 0; j < 6; j += 2) {
      edge[j] = below(&seed, SIDE);
      edge[j + 1] = edge[j] + below(&seed, SIDE - edge[j]);
    }
    covers[i] = cover(i, below(&seed, 2) == 0, edge[0], edge[1], edge[2], edge[3], edge[4], edge[5]);
  }
  struct piece_list pieces = {0};
  ck_assert_int_eq(boxes_cut(covers, COVERS, 100000, arena, &pieces), 0);
  for (unsigned d = 0; d < SIDE; d++)
    for (unsigned p = 0; p < SIDE; p++)
      for (unsigned s = 0; s < SIDE; s++)
        check_point(covers, COVERS, &pieces, (const number[]){d, p, s});
}
END_TEST

START_TEST(too_many_pieces_are_refused) {
  enum { COVERS = 300 };
  static struct cover covers[COVERS];
  for (uint32_t i = 0; i < COVERS; i++)
    covers[i] = cover(i, false, i % 7, 1000 - i, i % 11, 1000 - i % 13, i, 1000 - i % 17);
  struct piece_list pieces = {0};
  ck_assert_int_eq(boxes_cut(covers, COVERS, 1000, arena, &pieces), -E2BIG);
}
END_TEST

/* ---- the ruleset as a whole ---- */

START_TEST(compiling_twice_gives_the_same) {
  const char *what = "";
  ck_assert_msg(ruleset_equal(compile(town(), NOON), compile(town(), NOON), arena, &what), "%s", what);
}
END_TEST

/* nft 1.0.6 aborts on six fields; libnftnl keeps names of 255 bytes. */
START_TEST(everything_stays_within_what_nft_can_list) {
  struct ruleset *ruleset = compile(town(), NOON);
  for (size_t i = 0; i < ruleset->set_count; i++) {
    ck_assert_uint_le(ruleset->sets[i].field_count, 5);
    ck_assert_uint_lt(strlen(ruleset->sets[i].name), RULESET_NAME_MAX);
  }
  for (size_t i = 0; i < ruleset->chain_count; i++)
    ck_assert_uint_lt(strlen(ruleset->chains[i].name), RULESET_NAME_MAX);
}
END_TEST

static bool is_base_rule_last(const struct chain *chain) {
  const struct rule *last = &chain->rules[chain->rule_count - 1];
  return last->expressions[last->expression_count - 1].verdict.code == VERDICT_DROP;
}

START_TEST(base_chains_drop_at_their_end_and_by_policy) {
  struct ruleset *ruleset = compile(town(), NOON);
  size_t base = 0;
  for (size_t i = 0; i < ruleset->chain_count; i++) {
    const struct chain *chain = &ruleset->chains[i];
    if (chain->hook == HOOK_NONE || strcmp(chain->name, "fragments") == 0)
      continue;
    base++;
    ck_assert(chain->policy_drop);
    ck_assert_msg(is_base_rule_last(chain), "%s", chain->name);
  }
  ck_assert_uint_eq(base, 4);
}
END_TEST

START_TEST(every_counter_is_used_and_can_be_read) {
  struct ruleset *ruleset = compile(town(), NOON);
  for (size_t i = 0; i < ruleset->counter_count; i++) {
    const char *from, *to, *reason;
    ck_assert(denied_counter_parse(ruleset->counters[i].name, arena, &from, &to, &reason));
    ck_assert_ptr_null(strchr(reason, '.'));
    ck_assert_ptr_null(strchr(from, '.'));
  }
}
END_TEST

START_TEST(counter_names_split_into_zones_and_reason) {
  const char *from, *to, *reason;
  ck_assert(denied_counter_parse("denied.lgwan.internet.no-flow", arena, &from, &to, &reason));
  ck_assert_str_eq(from, "lgwan");
  ck_assert_str_eq(to, "internet");
  ck_assert_str_eq(reason, "no-flow");
  ck_assert(denied_counter_parse("guard.lgwan.mac-mismatch", arena, &from, &to, &reason));
  ck_assert_str_eq(from, "lgwan");
  ck_assert_str_eq(to, "");
  ck_assert_str_eq(reason, "mac-mismatch");
  ck_assert(!denied_counter_parse("denied.lgwan", arena, &from, &to, &reason));
  ck_assert(!denied_counter_parse("guard", arena, &from, &to, &reason));
  ck_assert(!denied_counter_parse("other.a.b.c", arena, &from, &to, &reason));
  ck_assert(!denied_counter_parse("", arena, &from, &to, &reason));
}
END_TEST

START_TEST(every_element_of_a_flow_knows_its_line) {
  const struct policy *policy = town();
  struct ruleset *ruleset = compile(policy, NOON);
  for (size_t i = 0; i < ruleset->set_count; i++)
    for (size_t j = 0; ruleset->sets[i].data == MAP_MARK && j < ruleset->sets[i].element_count; j++) {
      const struct element *element = &ruleset->sets[i].elements[j];
      const struct flow *flow = policy_find_flow(policy, element->comment);
      ck_assert_ptr_nonnull(flow);
      ck_assert_uint_eq(element->origin.place.line, flow->place.line);
    }
}
END_TEST

static const struct element *in_force(const struct policy *policy, const struct ruleset *ruleset, const char *name) {
  const struct flow *flow = policy_find_flow(policy, name);
  const struct set *set = ruleset_find_set(ruleset, in_force_set_name(policy, flow->to_zone, flow->from_zone, arena));
  uint32_t mark = mark_of(policy, name);
  ck_assert_ptr_nonnull(set);
  for (size_t i = 0; i < set->element_count; i++)
    if (memcmp(set->elements[i].key, &mark, sizeof mark) == 0)
      return &set->elements[i];
  return NULL;
}

START_TEST(flows_are_in_force_until_they_end) {
  const struct policy *policy = town();
  struct ruleset *noon = compile(policy, NOON), *evening = compile(policy, "2026-11-25T19:00:00+09:00");
  ck_assert(in_force(policy, noon, "F-301")->expires.seconds == INT64_MAX);
  ck_assert_int_eq(in_force(policy, noon, "F-302")->expires.seconds, at("2027-01-01T00:00:00+09:00").seconds);
  ck_assert_ptr_null(in_force(policy, noon, "F-601"));
  ck_assert_int_eq(in_force(policy, evening, "F-601")->expires.seconds, at("2026-11-25T21:00:00+09:00").seconds);
  ck_assert_ptr_null(in_force(policy, compile(policy, "2027-01-05T12:00:00+09:00"), "F-302"));
}
END_TEST

static const struct chain *chain_named(const struct ruleset *ruleset, const char *prefix) {
  for (size_t i = 0; i < ruleset->chain_count; i++)
    if (strncmp(ruleset->chains[i].name, prefix, strlen(prefix)) == 0)
      return &ruleset->chains[i];
  return NULL;
}

START_TEST(a_limit_is_one_lookup_for_all_flows_of_a_pair) {
  static const char plain[] = "method = \"screen\";";
  static const char limited[] = "method = \"screen\"; limit = { new_per_second = 30; connections = 500; };";
  ck_assert_ptr_null(chain_named(compile(town(), NOON), "limit."));
  struct ruleset *ruleset = compile(town_with(plain, limited), NOON);
  const struct chain *chain = chain_named(ruleset, "limit.F-301");
  const struct set *map = ruleset_find_set(ruleset, "limited.lgwan.internet");
  ck_assert_ptr_nonnull(chain);
  ck_assert_uint_eq(chain->rule_count, 2);
  ck_assert_uint_eq(chain->rules[0].expressions[0].rate, 30);
  ck_assert_uint_eq(chain->rules[1].expressions[0].burst, 500);
  ck_assert_ptr_nonnull(map);
  ck_assert_uint_eq(map->element_count, 1);
  ck_assert_str_eq(map->elements[0].verdict.chain, chain->name);
}
END_TEST

START_TEST(without_memory_it_says_so) {
  const struct policy *policy = town();
  struct compile_options options = {.now = at(NOON)};
  size_t refused = 0;
  for (size_t limit = 1000; limit < 4000000; limit += limit / 9) {
    struct arena *small = arena_new(limit);
    struct ruleset *ruleset = NULL;
    struct error error;
    int status = ruleset_compile(policy, &options, small, &ruleset, &error);
    ck_assert(status == 0 || status == -ENOMEM);
    ck_assert((status == 0) == (ruleset != NULL));
    refused += status != 0;
    arena_free(small);
  }
  ck_assert_uint_gt(refused, 10);
}
END_TEST

START_TEST(long_labels_are_cut_between_characters) {
  const char *label =
      "label = \"無害化中継セグメント無害化中継セグメント無害化中継セグメント無害化中継セグメント\\\"\"";
  struct ruleset *ruleset = compile(town_with("label = \"無害化中継セグメント\"", label), NOON);
  for (size_t i = 0; i < ruleset->chain_count; i++) {
    const char *comment = ruleset->chains[i].comment;
    size_t bad;
    ck_assert(comment == NULL || (strlen(comment) < 128 && strchr(comment, '"') == NULL));
    ck_assert(comment == NULL || text_is_utf8(comment, strlen(comment), &bad));
  }
}
END_TEST

/* ---- the closed gate ---- */

static struct machine_packet packet(const char *in, const char *out, const char *source, const char *destination,
                                    uint16_t port) {
  struct machine_packet result = {.in_interface = in, .out_interface = out, .tracked = true, .state = 8};
  ck_assert(address_parse(source, &result.packet.source) && address_parse(destination, &result.packet.destination));
  result.packet.protocol = 6;
  result.packet.destination_port = port;
  result.packet.tcp_flags = TCP_SYN;
  result.opener = result.packet;
  return result;
}

static struct ruleset *compile_closed(const struct policy *policy) {
  struct compile_options options = {.now = at(NOON)};
  struct ruleset *ruleset;
  struct error error;
  ck_assert_int_eq(ruleset_compile_closed(policy, &options, arena, &ruleset, &error), 0);
  return ruleset;
}

START_TEST(a_closed_gate_passes_only_its_own_management) {
  struct ruleset *closed = compile_closed(town());
  struct machine_packet management = packet("eno1.990", NULL, "10.199.0.21", "10.199.0.1", 22);
  struct machine_packet screen = packet("ens1f1.211", "ens2f0.410", "10.211.0.5", "10.140.0.33", 443);
  struct machine_packet local = packet("lo", NULL, "127.0.0.1", "127.0.0.1", 22);
  ck_assert(machine_run(closed, &management).accept);
  ck_assert(machine_run(closed, &local).accept);
  ck_assert(!machine_run(closed, &screen).accept);
  ck_assert(machine_run(compile(town(), NOON), &screen).accept);
}
END_TEST

START_TEST(without_a_policy_only_loopback_passes) {
  struct ruleset *closed = compile_closed(NULL);
  struct machine_packet management = packet("eno1.990", NULL, "10.199.0.21", "10.199.0.1", 22);
  struct machine_packet local = packet("lo", NULL, "127.0.0.1", "127.0.0.1", 22);
  ck_assert(!machine_run(closed, &management).accept);
  ck_assert(machine_run(closed, &local).accept);
}
END_TEST

START_TEST(base_chains_are_the_same_open_and_closed) {
  struct ruleset *open = compile(town(), NOON), *closed = compile_closed(NULL);
  for (size_t i = 0; i < open->chain_count; i++) {
    const struct chain *chain = &open->chains[i], *other = ruleset_find_chain(closed, chain->name);
    if (chain->hook == HOOK_NONE)
      continue;
    ck_assert_ptr_nonnull(other);
    ck_assert_uint_eq(chain->rule_count, other->rule_count);
    for (size_t j = 0; j < chain->rule_count; j++)
      ck_assert(rule_equal(&chain->rules[j], &other->rules[j]));
  }
}
END_TEST

/* ---- half-open connections, records, the log of denials ---- */

static const struct rule *find_rule(const struct ruleset *ruleset, const char *text) {
  for (size_t i = 0; i < ruleset->chain_count; i++)
    for (size_t j = 0; j < ruleset->chains[i].rule_count; j++)
      if (strstr(ruleset->chains[i].rules[j].text, text) != NULL)
        return &ruleset->chains[i].rules[j];
  return NULL;
}

static const struct {
  const char *limit, *key;
} slots[] = {
    {"1", "tcp sport & 0x0 "},     {"2", "tcp sport & 0x2 "},        {"3", "tcp sport & 0x2 "},
    {"40", "tcp sport & 0x3e "},   {"256", "tcp sport & 0x1fe "},    {"511", "tcp sport & 0x1fe "},
    {"512", "tcp sport & 0x3fe "}, {"32768", "tcp sport & 0xfffe "}, {"65535", "tcp sport & 0xfffe "},
    {"65536", "tcp sport limit"},  {"1000000", "tcp sport limit"},
};

START_TEST(a_destination_has_as_many_slots_as_the_limit_allows) {
  const char *line = arena_printf(arena, "language = \"ja\"; half_open_limit = %s;", slots[_i].limit);
  struct ruleset *ruleset = compile(town_with("language  = \"ja\";", line), NOON);
  ck_assert_ptr_nonnull(find_rule(ruleset, arena_printf(arena, "add @half_open4 { ip daddr . %s", slots[_i].key)));
}
END_TEST

START_TEST(only_the_connections_of_flows_on_record_are_told) {
  static const char head[] = "from = \"lg-term\"; to = \"i-vb\"; services = [ \"tcp/443\" ];";
  struct ruleset *all = compile(town(), NOON);
  ck_assert_ptr_null(ruleset_find_set(all, "logged.lgwan.internet"));
  const struct policy *policy = town_with(head, arena_printf(arena, "log = \"none\"; %s", head));
  struct ruleset *some = compile(policy, NOON);
  const struct set *logged = ruleset_find_set(some, "logged.lgwan.internet");
  ck_assert_ptr_nonnull(logged);
  uint32_t quiet = mark_of(policy, "F-301"), loud = mark_of(policy, "F-302"), seen = 0;
  for (size_t i = 0; i < logged->element_count; i++) {
    uint32_t mark;
    memcpy(&mark, logged->elements[i].key, sizeof mark);
    ck_assert_uint_ne(mark, quiet);
    seen += mark == loud;
  }
  ck_assert_uint_eq(seen, 1);
  ck_assert_ptr_nonnull(find_rule(some, "ct state new ct mark @logged.lgwan.internet ct event set new,destroy"));
}
END_TEST

static struct ruleset *compile_logging(void) {
  struct compile_options options = {.now = at(NOON), .denied_log_group = 7};
  struct ruleset *ruleset;
  struct error error;
  ck_assert_int_eq(ruleset_compile(town(), &options, arena, &ruleset, &error), 0);
  return ruleset;
}

static bool counts_and_drops(const struct rule *rule) {
  bool counts = false;
  for (size_t i = 0; i < rule->expression_count; i++) {
    counts = counts || rule->expressions[i].kind == EXPRESSION_COUNTER_OBJECT;
    if (rule->expressions[i].kind == EXPRESSION_VERDICT && rule->expressions[i].verdict.code == VERDICT_DROP)
      return counts;
  }
  return false;
}

static bool asks_intervals(const struct ruleset *ruleset, const struct rule *rule) {
  for (size_t i = 0; i < rule->expression_count; i++)
    if (rule->expressions[i].kind == EXPRESSION_LOOKUP &&
        ruleset_find_set(ruleset, rule->expressions[i].name)->interval)
      return true;
  return false;
}

START_TEST(a_guard_asks_no_interval_set_before_its_shortcuts) {
  const struct ruleset *ruleset = compile(town(), NOON);
  size_t guards = 0;
  for (size_t i = 0; i < ruleset->chain_count; i++) {
    const struct chain *chain = &ruleset->chains[i];
    size_t towards = 0, odd = 0;
    if (strncmp(chain->name, "guard.", strlen("guard.")) != 0)
      continue;
    guards++;
    for (size_t j = 0; j < chain->rule_count && odd == 0; j++) {
      towards +=
          strstr(chain->rules[j].text, " @towards4.") != NULL || strstr(chain->rules[j].text, " @blocks4.") != NULL;
      odd = strstr(chain->rules[j].text, "goto odd.") != NULL;
      ck_assert_msg(!asks_intervals(ruleset, &chain->rules[j]), "%s: %s", chain->name, chain->rules[j].text);
    }
    ck_assert_msg(towards > 0 && odd > 0, "%s", chain->name);
  }
  ck_assert_uint_gt(guards, 5);
}
END_TEST

START_TEST(the_guard_stands_before_fragments_are_put_together) {
  enum { DEFRAGMENTATION = -400 };
  const struct ruleset *ruleset = compile(town(), NOON);
  ck_assert_int_lt(ruleset_find_chain(ruleset, "prerouting")->priority, DEFRAGMENTATION);
}
END_TEST

START_TEST(the_log_of_denials_stands_in_rules_that_decide_nothing) {
  struct ruleset *quiet = compile(town(), NOON), *logging = compile_logging();
  ck_assert_ptr_null(find_rule(quiet, "log "));
  size_t logs = 0;
  for (size_t i = 0; i < logging->chain_count; i++) {
    const struct chain *chain = &logging->chains[i];
    for (size_t j = 0; j < chain->rule_count; j++) {
      const struct rule *rule = &chain->rules[j];
      bool log = strstr(rule->text, "log prefix") != NULL;
      ck_assert_msg(chain->hook != HOOK_NONE || !counts_and_drops(rule), "%s: %s", chain->name, rule->text);
      ck_assert_msg(!log || rule->expressions[rule->expression_count - 1].kind == EXPRESSION_LOG, "%s", rule->text);
      ck_assert_msg(!log || strcmp(chain->rules[j + 1].text, "drop") == 0 ||
                        strstr(chain->name, "pair.") == chain->name,
                    "%s", chain->name);
      logs += log;
    }
  }
  ck_assert_uint_gt(logs, 10);
  ck_assert_ptr_nonnull(
      find_rule(logging, "limit rate 10/second burst 50 packets log prefix \"kido no-flow: \" group 7"));
}
END_TEST

START_TEST(base_chains_know_nothing_of_the_log) {
  struct ruleset *quiet = compile(town(), NOON), *logging = compile_logging();
  for (size_t i = 0; i < quiet->chain_count; i++) {
    const struct chain *chain = &quiet->chains[i], *other = ruleset_find_chain(logging, chain->name);
    for (size_t j = 0; chain->hook != HOOK_NONE && j < chain->rule_count; j++)
      ck_assert(rule_equal(&chain->rules[j], &other->rules[j]));
  }
}
END_TEST

/* ---- emergency cuts ---- */

static const struct cut some_cuts[] = {
    {.kind = CUT_HOST, .address = {FAMILY_IPV4, {10, 211, 3, 9}}, .by = "x", .why = "y"},
    {.kind = CUT_HOST, .address = {FAMILY_IPV4, {10, 210, 0, 12}}, .by = "x", .why = "y"}, /* pinned */
    {.kind = CUT_PAIR, .zone = "lgwan", .other_zone = "internet", .by = "x", .why = "y"},
    {.kind = CUT_PAIR, .zone = "lgwan", .other_zone = "gateway", .by = "x", .why = "y"},
    {.kind = CUT_ZONE, .zone = "seccloud", .by = "x", .why = "y"},
    {.kind = CUT_ALL, .by = "x", .why = "y"},
};

static struct ruleset *compile_cut(const struct policy *policy, const struct cut *cut) {
  const struct restrictions restrictions = {.cuts = cut, .cut_count = 1};
  struct compile_options options = {.now = at(NOON), .restrictions = &restrictions};
  struct ruleset *ruleset;
  struct error error;
  ck_assert_int_eq(ruleset_compile(policy, &options, arena, &ruleset, &error), 0);
  return ruleset;
}

static bool is_about_flows(const struct set *set) {
  static const char *const kinds[] = {"in_force.", "exact", "range", "limited."};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (strncmp(set->name, kinds[i], strlen(kinds[i])) == 0)
      return true;
  return false;
}

/* Flows keep their elements and counters, so that lifting the cut finds the connections as they were. */
START_TEST(a_cut_changes_guards_and_nothing_about_flows) {
  const struct policy *policy = town();
  const struct ruleset *before = compile(policy, NOON), *after = compile_cut(policy, &some_cuts[_i]);
  size_t about_flows = 0;
  for (size_t i = 0; i < before->set_count; i++) {
    const struct set *set = &before->sets[i], *now = ruleset_find_set(after, set->name);
    if (!is_about_flows(set))
      continue;
    about_flows++;
    ck_assert_msg(now != NULL && set_properties_equal(set, now) && set->element_count == now->element_count, "%s",
                  set->name);
    for (size_t j = 0; j < set->element_count; j++)
      ck_assert(element_equal(set, &set->elements[j], &now->elements[j], 0));
  }
  ck_assert_uint_gt(about_flows, 20);
  for (size_t i = 0; i < before->counter_count; i++)
    ck_assert_ptr_nonnull(ruleset_find_counter(after, before->counters[i].name));
}
END_TEST

START_TEST(a_cut_is_small_however_many_flows_there_are) {
  enum { OPERATIONS_PER_ZONE = 100 };
  const struct policy *policy = town();
  struct delta *delta;
  ck_assert_int_eq(ruleset_difference(compile(policy, NOON), compile_cut(policy, &some_cuts[_i]), arena, &delta), 0);
  ck_assert(!delta_empty(delta));
  ck_assert_uint_lt(delta_count(delta), policy->zone_count * OPERATIONS_PER_ZONE);
}
END_TEST

START_TEST(a_cut_of_what_the_policy_does_not_know_changes_nothing) {
  static const struct cut unknown = {.kind = CUT_PAIR, .zone = "lgwan", .other_zone = "gone", .by = "x", .why = "y"};
  const struct policy *policy = town();
  const char *what;
  ck_assert(ruleset_equal(compile(policy, NOON), compile_cut(policy, &unknown), arena, &what));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("compile");
  TCase *tests = tcase_create("compile");
  tcase_add_checked_fixture(tests, setup, teardown);
  tcase_set_timeout(tests, 60);
  tcase_add_test(tests, marks_are_unique_and_never_reserved);
  tcase_add_loop_test(tests, what_says_the_same_keeps_its_mark, 0, sizeof same_meaning / sizeof *same_meaning);
  tcase_add_loop_test(tests, what_says_another_thing_gets_another_mark, 0,
                      sizeof other_meaning / sizeof *other_meaning);
  tcase_add_loop_test(tests, every_point_has_its_owners_in_file_order, 0, 20);
  tcase_add_test(tests, too_many_pieces_are_refused);
  tcase_add_test(tests, compiling_twice_gives_the_same);
  tcase_add_test(tests, everything_stays_within_what_nft_can_list);
  tcase_add_test(tests, base_chains_drop_at_their_end_and_by_policy);
  tcase_add_test(tests, every_counter_is_used_and_can_be_read);
  tcase_add_test(tests, counter_names_split_into_zones_and_reason);
  tcase_add_test(tests, every_element_of_a_flow_knows_its_line);
  tcase_add_test(tests, flows_are_in_force_until_they_end);
  tcase_add_test(tests, a_limit_is_one_lookup_for_all_flows_of_a_pair);
  tcase_add_test(tests, without_memory_it_says_so);
  tcase_add_test(tests, long_labels_are_cut_between_characters);
  tcase_add_test(tests, a_closed_gate_passes_only_its_own_management);
  tcase_add_test(tests, without_a_policy_only_loopback_passes);
  tcase_add_test(tests, base_chains_are_the_same_open_and_closed);
  tcase_add_loop_test(tests, a_destination_has_as_many_slots_as_the_limit_allows, 0, sizeof slots / sizeof *slots);
  tcase_add_test(tests, only_the_connections_of_flows_on_record_are_told);
  tcase_add_test(tests, a_guard_asks_no_interval_set_before_its_shortcuts);
  tcase_add_test(tests, the_guard_stands_before_fragments_are_put_together);
  tcase_add_test(tests, the_log_of_denials_stands_in_rules_that_decide_nothing);
  tcase_add_test(tests, base_chains_know_nothing_of_the_log);
  int cuts = sizeof some_cuts / sizeof *some_cuts;
  tcase_add_loop_test(tests, a_cut_changes_guards_and_nothing_about_flows, 0, cuts);
  tcase_add_loop_test(tests, a_cut_is_small_however_many_flows_there_are, 0, cuts);
  tcase_add_test(tests, a_cut_of_what_the_policy_does_not_know_changes_nothing);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
