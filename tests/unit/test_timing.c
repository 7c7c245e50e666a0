/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "control/timing.h"
#include "random_restrictions.h"
#include "rules/compile.h"
#include "ruleset_machine.h"
#include "sample_town.h"

/* Rulesets that follow the time against rulesets that were compiled at that time. */
enum { STATE_NEW = 8, HOUR = 3600, DAY = 24 * HOUR };

static struct arena *arena, *passing; /* for what is compiled only to be compared */
static const struct policy *town;
static struct address_set own;
static struct instant noon; /* a Tuesday */

static void read_town(void) {
  bool without_offset;
  arena = arena_new(0);
  town = sample_town(arena);
  ck_assert_ptr_nonnull(town);
  ck_assert(instant_parse("2026-11-24T12:00:00+09:00", &noon, &without_offset));
}

static void free_town(void) {
  arena = arena_free(arena);
  passing = arena_free(passing);
}

static struct timing_source source_at(int64_t seconds, const struct restrictions *restrictions) {
  return (struct timing_source){
      .policy = town, .restrictions = restrictions, .own = &own, .now = {noon.seconds + seconds}};
}

static struct ruleset *compile_into(const struct timing_source *source, struct arena *place) {
  struct compile_options options = {.now = source->now, .own = source->own, .restrictions = source->restrictions};
  struct ruleset *ruleset = NULL;
  struct error error;
  ck_assert_int_eq(ruleset_compile(source->policy, &options, place, &ruleset, &error), 0);
  return ruleset;
}

static struct ruleset *compile(const struct timing_source *source) {
  return compile_into(source, arena);
}

/* Good until the next one. */
static struct ruleset *compile_in_passing(const struct timing_source *source) {
  arena_free(passing);
  passing = arena_new(0);
  return compile_into(source, passing);
}

static struct timing *timing_of(const struct timing_source *source, const struct ruleset *ruleset) {
  struct timing *timing = NULL;
  ck_assert_int_eq(timing_new(source, ruleset, &timing), 0);
  return timing;
}

static void check_sets_in_force(const struct ruleset *followed, const struct ruleset *compiled) {
  ck_assert_uint_gt(compiled->set_count, 0);
  for (size_t i = 0; i < compiled->set_count; i++) {
    const struct set *set = &compiled->sets[i];
    if (strncmp(set->name, "in_force.", strlen("in_force.")) != 0)
      continue;
    const struct set *found = ruleset_find_set(followed, set->name);
    ck_assert_ptr_nonnull(found);
    ck_assert_msg(found->element_count == set->element_count, "%s: %zu against %zu", set->name, found->element_count,
                  set->element_count);
    for (size_t j = 0; j < set->element_count; j++)
      ck_assert_msg(element_equal(set, &set->elements[j], &found->elements[j], 0), "%s: element %zu", set->name, j);
  }
}

static const char *interface_of(zone_index zone) {
  return zone == ZONE_GATEWAY || town->zones[zone].interface_count == 0 ? NULL : town->zones[zone].interfaces[0].text;
}

static struct machine_packet opener_of(const struct flow *flow, const struct service *service) {
  struct address_set from, to;
  ck_assert_int_eq(policy_end_addresses(town, flow->from, flow->from_count, flow->to_zone, arena, &from), 0);
  ck_assert_int_eq(policy_end_addresses(town, flow->to, flow->to_count, flow->from_zone, arena, &to), 0);
  struct machine_packet packet = {.in_interface = interface_of(flow->from_zone),
                                  .out_interface = interface_of(flow->to_zone),
                                  .tracked = true,
                                  .state = STATE_NEW};
  if (from.count > 0 && to.count > 0)
    packet.packet = (struct packet){.source = from.ranges[0].first,
                                    .destination = to.ranges[0].first,
                                    .protocol = service->protocol,
                                    .source_port = 40000,
                                    .destination_port = service->first_port,
                                    .icmp_type = service->icmp_type,
                                    .tcp_flags = service->protocol == PROTOCOL_TCP ? TCP_SYN : 0};
  packet.opener = packet.packet;
  return packet;
}

/* Every flow's first packet meets the same fate. */
static size_t check_meaning(const struct ruleset *followed, const struct ruleset *compiled) {
  size_t accepted = 0;
  for (size_t i = 0; i < town->flow_count; i++)
    for (size_t j = 0; j < town->flows[i].service_count; j++) {
      struct machine_packet packet = opener_of(&town->flows[i], &town->flows[i].services[j]);
      struct machine_result wanted = machine_run(compiled, &packet), result = machine_run(followed, &packet);
      ck_assert_msg(wanted.accept == result.accept, "%s: %d, not %d", town->flows[i].name, result.accept,
                    wanted.accept);
      accepted += result.accept;
    }
  return accepted;
}

static void check_followed(struct timing *timing, const struct timing_source *source, const struct ruleset *from) {
  const struct ruleset *followed = NULL, *compiled = compile_in_passing(source);
  ck_assert_int_eq(timing_ruleset(timing, source, from, arena, &followed), 0);
  check_sets_in_force(followed, compiled);
  check_meaning(followed, compiled);
}

START_TEST(time_that_passes_is_followed_without_compiling) {
  struct timing_source start = source_at(0, NULL);
  struct ruleset *from = compile(&start);
  struct timing *timing = timing_of(&start, from);
  ck_assert_uint_gt(check_meaning(from, from), 10);
  for (int64_t hours = 0; hours < 20 * 24; hours += 1) {
    struct timing_source source = source_at(hours * HOUR, NULL);
    ck_assert(timing_fits(timing, &source));
    if (hours % 7 == 0)
      check_followed(timing, &source, from);
  }
  for (int64_t days = 20; days < 1500; days += 50) {
    struct timing_source source = source_at(days * DAY + days % 24 * HOUR, NULL);
    ck_assert(timing_fits(timing, &source));
    check_followed(timing, &source, from);
  }
  timing_free(timing);
}
END_TEST

START_TEST(step_by_step_is_the_same_as_at_once) {
  struct timing_source start = source_at(0, NULL);
  const struct ruleset *from = compile(&start);
  struct timing *timing = timing_of(&start, from);
  size_t changes = 0;
  for (int64_t hours = 1; hours < 10 * 24; hours++) {
    struct timing_source source = source_at(hours * HOUR, NULL);
    const struct ruleset *next = NULL;
    ck_assert_int_eq(timing_ruleset(timing, &source, from, arena, &next), 0);
    check_sets_in_force(next, compile_in_passing(&source));
    changes += next != from;
    timing_accept(timing, &source);
    from = next;
  }
  ck_assert_uint_ge(changes, 2); /* a window opened and closed */
  timing_free(timing);
}
END_TEST

START_TEST(a_window_that_is_closed_for_a_while_is_followed) {
  struct timing_source start = source_at(0, NULL);
  const struct ruleset *from = compile(&start);
  struct timing *timing = timing_of(&start, from);
  size_t followed = 0;
  for (size_t i = 0; i < town->flow_count; i++) {
    struct closed_window closed = {
        .flow = town->flows[i].name, .until = {noon.seconds + DAY}, .by = "tester", .why = "test"};
    struct restrictions restrictions = {.closed_windows = &closed, .closed_window_count = 1};
    int64_t begin = (int64_t)i * 200;
    struct timing_source steps[] = {source_at(begin, &restrictions), source_at(begin + 60, &restrictions),
                                    source_at(begin + 120, NULL)};
    for (size_t j = 0; j < 3 && timing_fits(timing, &steps[j]); j++) {
      const struct ruleset *next = NULL;
      ck_assert_int_eq(timing_ruleset(timing, &steps[j], from, arena, &next), 0);
      check_sets_in_force(next, compile_in_passing(&steps[j]));
      timing_accept(timing, &steps[j]);
      followed += next != from;
      from = next;
    }
  }
  ck_assert_uint_ge(followed, 2);
  timing_free(timing);
}
END_TEST

START_TEST(what_did_not_change_is_shared) {
  struct timing_source start = source_at(0, NULL), later = source_at(30 * HOUR, NULL);
  const struct ruleset *from = compile(&start), *same = NULL, *next = NULL;
  struct timing *timing = timing_of(&start, from);
  ck_assert_int_eq(timing_ruleset(timing, &start, from, arena, &same), 0);
  ck_assert_ptr_eq(same, from);
  ck_assert_int_eq(timing_ruleset(timing, &later, from, arena, &next), 0);
  size_t others = 0;
  for (size_t i = 0; i < from->set_count; i++)
    others += next->sets[i].elements != from->sets[i].elements;
  ck_assert_ptr_ne(next, from);
  ck_assert_uint_eq(others, 1);
  ck_assert_ptr_eq(next->chains, from->chains);
  timing_free(timing);
}
END_TEST

START_TEST(another_policy_clock_cut_or_address_does_not_fit) {
  struct timing_source start = source_at(0, NULL), source = start;
  struct timing *timing = timing_of(&start, compile(&start));
  ck_assert(timing_fits(timing, &source));
  source = source_at(-1, NULL);
  ck_assert(!timing_fits(timing, &source));
  struct cut cut = {.id = 4, .kind = CUT_ALL, .by = "", .why = ""};
  struct restrictions restrictions = {.cuts = &cut, .cut_count = 1};
  source = source_at(0, &restrictions);
  ck_assert(!timing_fits(timing, &source));
  struct address_range range;
  ck_assert(address_parse("192.0.2.1", &range.first));
  range.last = range.first;
  struct address_set more = {.ranges = &range, .count = 1};
  source = source_at(0, NULL);
  source.own = &more;
  ck_assert(!timing_fits(timing, &source));
  struct policy other = *town;
  other.sha256[0] = other.sha256[0] == '0' ? '1' : '0';
  source = source_at(0, NULL);
  source.policy = &other;
  ck_assert(!timing_fits(timing, &source));
  timing_free(timing);
}
END_TEST

static size_t flow_where(bool lasting) {
  for (size_t i = 0; i < town->flow_count; i++) {
    struct instant until;
    bool lasts =
        policy_flow_force(town, &town->flows[i], noon, &until) == FORCE_YES && until.seconds == INSTANT_NEVER.seconds;
    if (lasts == lasting)
      return i;
  }
  ck_abort_msg("no such flow");
}

/* A flow that lasts may stand before others in the maps; once it ends, they must be made anew. */
START_TEST(a_lasting_flow_that_gets_a_deadline_does_not_fit) {
  struct timing_source start = source_at(0, NULL);
  struct timing *timing = timing_of(&start, compile(&start));
  struct instant *deadlines = ARENA_ARRAY(arena, town->flow_count, struct instant);
  for (size_t i = 0; i < town->flow_count; i++)
    deadlines[i] = INSTANT_NEVER;
  struct restrictions restrictions = {.flow_deadlines = deadlines};
  struct timing_source source = source_at(10, &restrictions);
  ck_assert(timing_fits(timing, &source));
  deadlines[flow_where(false)].seconds = noon.seconds + 100;
  ck_assert(timing_fits(timing, &source));
  deadlines[flow_where(true)].seconds = noon.seconds + 100;
  ck_assert(!timing_fits(timing, &source));
  timing_free(timing);
}
END_TEST

START_TEST(a_trial_that_is_confirmed_is_followed) {
  struct instant *deadlines = ARENA_ARRAY(arena, town->flow_count, struct instant);
  for (size_t i = 0; i < town->flow_count; i++)
    deadlines[i] = i % 2 == 0 ? INSTANT_NEVER : (struct instant){noon.seconds + 600};
  struct restrictions restrictions = {.flow_deadlines = deadlines};
  struct timing_source start = source_at(0, &restrictions);
  const struct ruleset *from = compile(&start);
  struct timing *timing = timing_of(&start, from);
  struct timing_source confirmed = source_at(60, NULL);
  ck_assert(timing_fits(timing, &confirmed));
  check_followed(timing, &confirmed, from);
  struct timing_source ended = source_at(700, &restrictions);
  ck_assert(timing_fits(timing, &ended));
  check_followed(timing, &ended, from);
  timing_free(timing);
}
END_TEST

static uint64_t seed = 4;

static unsigned below(void *context, unsigned limit) {
  (void)context;
  seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return (unsigned)(seed >> 33) % limit;
}

START_TEST(whatever_holds_a_policy_back_what_fits_is_right) {
  struct chance chance = {.below = below};
  struct address hosts[1];
  ck_assert(address_parse("10.1.1.1", &hosts[0]));
  size_t fits = 0;
  for (unsigned i = 0; i < 200; i++) {
    struct restrictions before = random_restrictions(&chance, town, hosts, 1, noon, arena);
    struct restrictions after =
        below(NULL, 2) == 0 ? before : random_restrictions(&chance, town, hosts, 1, noon, arena);
    after.cuts = before.cuts;
    after.cut_count = before.cut_count;
    struct timing_source start = source_at(below(NULL, 2 * DAY), &before);
    struct timing_source source = source_at(start.now.seconds - noon.seconds + below(NULL, 20 * DAY), &after);
    struct arena *kept = arena_new(0);
    const struct ruleset *from = compile_into(&start, kept);
    struct timing *timing = timing_of(&start, from);
    if (timing_fits(timing, &source)) {
      check_followed(timing, &source, from);
      fits++;
    }
    timing_free(timing);
    arena_free(kept);
  }
  ck_assert_uint_gt(fits, 20);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("timing");
  TCase *tests = tcase_create("timing");
  tcase_add_checked_fixture(tests, read_town, free_town);
  tcase_set_timeout(tests, 60);
  tcase_add_test(tests, time_that_passes_is_followed_without_compiling);
  tcase_add_test(tests, step_by_step_is_the_same_as_at_once);
  tcase_add_test(tests, a_window_that_is_closed_for_a_while_is_followed);
  tcase_add_test(tests, what_did_not_change_is_shared);
  tcase_add_test(tests, another_policy_clock_cut_or_address_does_not_fit);
  tcase_add_test(tests, a_lasting_flow_that_gets_a_deadline_does_not_fit);
  tcase_add_test(tests, a_trial_that_is_confirmed_is_followed);
  tcase_add_test(tests, whatever_holds_a_policy_back_what_fits_is_right);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
