/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/casualties.h"
#include "rules/compile.h"
#include "sample_town.h"

static struct arena *arena;
static const struct policy *town;
static uint32_t *marks;
static struct instant noon;

static void set_up(void) {
  arena = arena_new(0);
  town = sample_town(arena);
  ck_assert_ptr_nonnull(town);
  ck_assert_int_eq(flow_marks(town, arena, &marks), 0);
  bool without_offset;
  ck_assert(instant_parse("2026-11-24T12:00:00+09:00", &noon, &without_offset));
}

static void tear_down(void) {
  arena_free(arena);
}

static struct address address(const char *written) {
  struct address result;
  ck_assert(address_parse(written, &result));
  return result;
}

static struct cut cut_host(const char *written) {
  return (struct cut){.id = 1, .kind = CUT_HOST, .address = address(written), .by = "", .why = ""};
}

static struct cut cut_zones(enum cut_kind kind, const char *zone, const char *other) {
  return (struct cut){.id = 1, .kind = kind, .zone = zone, .other_zone = other, .by = "", .why = ""};
}

/* A connection of a flow; NULL: of none. */
static struct connection connection(const char *flow, const char *source, const char *destination) {
  return (struct connection){.protocol = 6,
                             .original = {.source = address(source), .destination = address(destination)},
                             .mark = flow ? marks[policy_find_flow(town, flow)->index] : 0,
                             .bytes = {100, 1000}};
}

static struct casualty_list find(const struct cut *cut, const struct cut *beside, struct connection *connections,
                                 size_t count) {
  const struct restrictions alone = {.cuts = cut, .cut_count = 1},
                            others = {.cuts = beside, .cut_count = beside != NULL};
  const struct casualty_question question = {.policy = town, .cuts = &alone, .beside = &others, .now = noon};
  const struct connection_list list = {.items = connections, .count = count};
  struct casualty_list result;
  ck_assert_int_eq(casualties_find(&question, &list, arena, &result), 0);
  return result;
}

static const struct casualty *find_flow(const struct casualty_list *list, const char *flow) {
  for (size_t i = 0; i < list->count; i++) {
    if (list->items[i].flow && strcmp(list->items[i].flow->name, flow) == 0) {
      return &list->items[i];
    }
  }
  return NULL;
}

START_TEST(a_host_stops_its_own_connections_and_a_part_of_its_flows) {
  struct connection connections[] = {connection("F-301", "10.211.3.9", "10.140.0.32"),
                                     connection("F-301", "10.211.3.9", "10.140.0.33"),
                                     connection("F-301", "10.211.3.8", "10.140.0.32")};
  const struct cut cut = cut_host("10.211.3.9");
  struct casualty_list list = find(&cut, NULL, connections, 3);
  const struct casualty *casualty = find_flow(&list, "F-301");
  ck_assert_ptr_nonnull(casualty);
  ck_assert_uint_eq(casualty->connections, 2);
  ck_assert_uint_eq(casualty->bytes, 2200);
  ck_assert(!casualty->whole);
  ck_assert_uint_eq(list.connections, 2);
  ck_assert_ptr_null(find_flow(&list, "F-302"));
}
END_TEST

START_TEST(a_pair_stops_all_between_the_two_either_way_and_nothing_else) {
  struct connection connections[] = {connection("F-301", "10.211.3.9", "10.140.0.32")};
  for (int turn = 0; turn < 2; turn++) {
    const struct cut cut =
        turn == 0 ? cut_zones(CUT_PAIR, "lgwan", "internet") : cut_zones(CUT_PAIR, "internet", "lgwan");
    struct casualty_list list = find(&cut, NULL, connections, 1);
    ck_assert_uint_eq(list.connections, 1);
    ck_assert(find_flow(&list, "F-301")->whole && find_flow(&list, "F-302")->whole);
    for (size_t i = 0; i < list.count; i++) {
      const char *from = policy_zone_name(town, list.items[i].from), *to = policy_zone_name(town, list.items[i].to);
      ck_assert(strcmp(from, "lgwan") == 0 || strcmp(from, "internet") == 0);
      ck_assert(strcmp(to, "lgwan") == 0 || strcmp(to, "internet") == 0);
    }
  }
}
END_TEST

START_TEST(flows_that_nobody_uses_are_listed_too) {
  const struct cut cut = cut_zones(CUT_PAIR, "lgwan", "internet");
  struct casualty_list list = find(&cut, NULL, NULL, 0);
  ck_assert_ptr_nonnull(find_flow(&list, "F-301"));
  ck_assert_uint_eq(list.connections, 0);
}
END_TEST

START_TEST(what_is_cut_off_anyway_is_not_counted_again) {
  struct connection connections[] = {connection("F-301", "10.211.3.9", "10.140.0.32")};
  const struct cut host = cut_host("10.211.3.9"), zone = cut_zones(CUT_ZONE, "lgwan", NULL);
  struct casualty_list list = find(&host, &zone, connections, 1);
  ck_assert_uint_eq(list.count, 0);
  list = find(&zone, &host, connections, 1);
  ck_assert_uint_eq(list.connections, 0);
  ck_assert_ptr_nonnull(find_flow(&list, "F-301"));
}
END_TEST

START_TEST(everything_leaves_the_way_in_of_management) {
  const struct cut cut = cut_zones(CUT_ALL, NULL, NULL);
  struct casualty_list list = find(&cut, NULL, NULL, 0);
  size_t in_force = 0;
  for (size_t i = 0; i < town->flow_count; i++) {
    const struct flow *flow = &town->flows[i];
    bool stands = policy_flow_force(town, flow, noon, NULL) == FORCE_YES;
    bool way_in = flow->to_zone == ZONE_GATEWAY || flow->from_zone == ZONE_GATEWAY;
    in_force += stands && !way_in ? 1 : 0;
    if (stands && !way_in) {
      ck_assert_msg(find_flow(&list, flow->name), "%s", flow->name);
    }
  }
  ck_assert_uint_gt(in_force, 20);
  for (size_t i = 0; i < list.count; i++) {
    bool management = list.items[i].to == ZONE_GATEWAY && list.items[i].from >= 0 &&
                      town->zones[list.items[i].from].class == CLASS_MANAGEMENT;
    ck_assert(!management);
  }
}
END_TEST

START_TEST(a_connection_without_a_flow_in_force_passes_no_more_and_is_not_counted) {
  struct connection connections[] = {connection(NULL, "10.211.3.9", "10.140.0.32"),
                                     connection("F-302", "10.211.3.9", "10.140.0.32")};
  connections[1].mark ^= 0x55555555;
  const struct cut cut = cut_zones(CUT_ALL, NULL, NULL);
  ck_assert_uint_eq(find(&cut, NULL, connections, 2).connections, 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("casualties");
  TCase *group = tcase_create("casualties");
  tcase_add_checked_fixture(group, set_up, tear_down);
  tcase_add_test(group, a_host_stops_its_own_connections_and_a_part_of_its_flows);
  tcase_add_test(group, a_pair_stops_all_between_the_two_either_way_and_nothing_else);
  tcase_add_test(group, flows_that_nobody_uses_are_listed_too);
  tcase_add_test(group, what_is_cut_off_anyway_is_not_counted_again);
  tcase_add_test(group, everything_leaves_the_way_in_of_management);
  tcase_add_test(group, a_connection_without_a_flow_in_force_passes_no_more_and_is_not_counted);
  suite_add_tcase(suite, group);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
