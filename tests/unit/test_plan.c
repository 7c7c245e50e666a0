/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/plan.h"
#include "policy/packet.h"
#include "policy/read.h"
#include "rules/compile.h"
#include "sample_town.h"

static const char NOON[] = "2026-11-24T12:00:00+09:00";
static const char SCREEN[] = "from = \"lg-term\"; to = \"i-vb\"; services = [ \"tcp/443\" ];";

static struct arena *arena;
static char *text;
static const struct policy *town;

static const struct policy *read_policy(const char *source, size_t size) {
  struct diagnostic_list diagnostics;
  struct error error = {0};
  const struct policy *policy = NULL;
  diagnostic_list_init(&diagnostics, arena, LANGUAGE_ENGLISH);
  ck_assert_msg(policy_read_text("town", source, size, arena, false, &policy, &diagnostics, &error) == 0, "%s",
                error.message);
  ck_assert_msg(policy && diagnostics.errors == 0, "%s", diagnostics.count > 0 ? diagnostics.items[0].message : "");
  return policy;
}

static void set_up(void) {
  arena = arena_new(0);
  text = sample_town_text(arena);
  ck_assert_ptr_nonnull(text);
  town = read_policy(text, strlen(text));
}

static void tear_down(void) {
  arena_free(arena);
}

static const struct policy *changed(const char *from, const char *to) {
  size_t length = strlen(text) + strlen(to) + 1;
  char *result = arena_alloc(arena, length);
  const char *hit = strstr(text, from);
  ck_assert_msg(hit != NULL, "%s", from);
  snprintf(result, length, "%.*s%s%s", (int)(hit - text), text, to, hit + strlen(from));
  return read_policy(result, strlen(result));
}

static struct instant noon(void) {
  struct instant result;
  bool without_offset;
  ck_assert(instant_parse(NOON, &result, &without_offset));
  return result;
}

static struct plan compare(const struct policy *before, const struct policy *after) {
  struct plan_question question = {.before = {before, NULL}, .after = {after, NULL}, .now = noon()};
  struct plan plan;
  ck_assert_int_eq(plan_compare(&question, arena, &plan), 0);
  return plan;
}

/* "source destination services", ranges with a blank between. */
static void expect_box(const struct plan_box *box, const char *source, const char *destination, const char *service) {
  char got[RANGE_TEXT_SIZE], services[200] = "";
  ck_assert_uint_eq(box->source.count, 1);
  ck_assert_str_eq(range_format(&box->source.ranges[0], got), source);
  ck_assert_uint_eq(box->destination.count, 1);
  ck_assert_str_eq(range_format(&box->destination.ranges[0], got), destination);
  for (size_t i = 0; i < box->service_count; i++) {
    size_t length = strlen(services);
    snprintf(services + length, sizeof services - length, "%s%u/%u-%u", i == 0 ? "" : " ", box->services[i].protocol,
             box->services[i].first, box->services[i].last);
  }
  ck_assert_str_eq(services, service);
}

static const struct plan_flow *only_flow(const struct plan *plan, enum plan_flow_kind kind, const char *name) {
  ck_assert_uint_eq(plan->flow_count, 1);
  const struct plan_flow *change = &plan->flows[0];
  ck_assert_str_eq((change->after ? change->after : change->before)->name, name);
  ck_assert_str_eq(plan_flow_kind_name(change->kind), plan_flow_kind_name(kind));
  return change;
}

START_TEST(a_policy_is_equal_to_itself) {
  struct plan plan = compare(town, town);
  ck_assert(plan.equal && plan.same_text);
  ck_assert_uint_eq(plan.flow_count + plan.zone_count + plan.host_count + plan.header.key_count, 0);
}
END_TEST

START_TEST(what_only_reads_otherwise_is_equal) {
  static const struct {
    const char *from, *to;
  } cases[] = {
      {"purpose = \"仮想ブラウザ画面転送\"", "purpose = \"screens\""},
      {SCREEN, "to = \"i-vb\"; from = \"lg-term\"; services = [ \"tcp/443-443\" ];"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct plan plan = compare(town, changed(cases[i].from, cases[i].to));
    ck_assert_msg(plan.equal && plan.flow_count == 0, "%s", cases[i].to);
  }
}
END_TEST

START_TEST(a_flow_under_another_name_is_renamed) {
  struct policy *renamed = (struct policy *)(uintptr_t)changed("number ", "number ");
  struct flow *flow = (struct flow *)(uintptr_t)policy_find_flow(renamed, "F-301");
  flow->name = "F-999";
  struct plan plan = compare(town, renamed);
  const struct plan_flow *change = only_flow(&plan, PLAN_RENAMED, "F-999");
  ck_assert_str_eq(change->before->name, "F-301");
  ck_assert(plan.equal);
}
END_TEST

START_TEST(a_widened_flow_shows_what_it_newly_allows) {
  struct plan plan = compare(
      town, changed(SCREEN, "from = \"lg-term\"; to = \"i-vb\"; services = [ \"tcp/443\", \"tcp/8000-8010\" ];"));
  const struct plan_flow *change = only_flow(&plan, PLAN_WIDENED, "F-301");
  ck_assert(!plan.equal);
  ck_assert_uint_eq(change->opened_count, 1);
  ck_assert_uint_eq(change->closed_count, 0);
  expect_box(&change->opened[0], "10.211.0.0/22", "10.140.0.32/30", "6/8000-8010");
}
END_TEST

START_TEST(a_narrowed_flow_shows_what_it_no_longer_allows) {
  const struct policy *wide = changed(SCREEN, "from = \"lg-term\"; to = \"i-vb\"; services = [ \"tcp/440-450\" ];");
  struct plan plan = compare(wide, town);
  const struct plan_flow *change = only_flow(&plan, PLAN_NARROWED, "F-301");
  ck_assert_uint_eq(change->opened_count, 0);
  ck_assert_uint_eq(change->closed_count, 1);
  expect_box(&change->closed[0], "10.211.0.0/22", "10.140.0.32/30", "6/440-442 6/444-450");
}
END_TEST

START_TEST(a_moved_flow_shows_both) {
  struct plan plan = compare(town, changed(SCREEN, "from = \"lg-term\"; to = \"i-vb\"; services = [ \"udp/443\" ];"));
  const struct plan_flow *change = only_flow(&plan, PLAN_MOVED, "F-301");
  expect_box(&change->opened[0], "10.211.0.0/22", "10.140.0.32/30", "17/443-443");
  expect_box(&change->closed[0], "10.211.0.0/22", "10.140.0.32/30", "6/443-443");
}
END_TEST

START_TEST(a_host_that_shrinks_narrows_its_flows) {
  const char *host = "i-vb = { zone = \"internet\"; address = \"10.140.0.32/30\"";
  struct plan plan = compare(town, changed(host, "i-vb = { zone = \"internet\"; address = \"10.140.0.34/31\""));
  bool found = false;
  for (size_t i = 0; i < plan.flow_count; i++) {
    if (strcmp(plan.flows[i].after->name, "F-301") == 0) {
      ck_assert_int_eq(plan.flows[i].kind, PLAN_NARROWED);
      expect_box(&plan.flows[i].closed[0], "10.211.0.0/22", "10.140.0.32/31", "6/443-443");
      found = true;
    }
  }
  ck_assert(found);
}
END_TEST

START_TEST(from_a_closed_gate_everything_is_added) {
  struct plan plan = compare(NULL, town);
  ck_assert(!plan.equal && !plan.same_text);
  ck_assert_uint_eq(plan.flow_count, town->flow_count);
  ck_assert_uint_eq(plan.zone_count, town->zone_count);
  for (size_t i = 0; i < plan.flow_count; i++) {
    ck_assert_int_eq(plan.flows[i].kind, PLAN_ADDED);
    ck_assert_uint_ge(plan.flows[i].opened_count, 1);
  }
  plan = compare(town, NULL);
  ck_assert_uint_eq(plan.flow_count, town->flow_count);
  ck_assert_int_eq(plan.flows[0].kind, PLAN_REMOVED);
}
END_TEST

START_TEST(another_end_is_told) {
  struct plan plan =
      compare(town, changed(SCREEN, "from = \"lg-term\"; to = \"i-vb\"; services = [ \"tcp/443\" ]; expires = "
                                    "\"2026-12-01\";"));
  const struct plan_flow *change = only_flow(&plan, PLAN_RETIMED, "F-301");
  ck_assert(change->retimed && !change->relimited && !plan.equal);
  ck_assert(change->until_before.seconds == INSTANT_NEVER.seconds && change->until_after.seconds > noon().seconds);
}
END_TEST

START_TEST(another_limit_is_told) {
  struct plan plan =
      compare(town, changed(SCREEN, "from = \"lg-term\"; to = \"i-vb\"; services = [ \"tcp/443\" ]; limit = { "
                                    "connections = 5; };"));
  ck_assert(only_flow(&plan, PLAN_RETIMED, "F-301")->relimited);
}
END_TEST

START_TEST(zones_pins_and_keys_are_told) {
  static const struct {
    const char *from, *to, *zone, *host, *key;
  } cases[] = {
      {"interfaces = [ \"eno1.990\" ];", "interfaces = [ \"eno1.991\" ];", "mgmt", NULL, "interfaces"},
      {"mac = \"02:00:5e:10:01:11\"", "mac = \"02:00:5e:10:01:12\"", NULL, "mn-kihon", "mac"},
      {"half_open_limit = 256", "half_open_limit = 128", NULL, NULL, "half_open_limit"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    if (!strstr(text, cases[i].from)) {
      continue;
    }
    struct plan plan = compare(town, changed(cases[i].from, cases[i].to));
    ck_assert_msg(!plan.equal, "%s", cases[i].to);
    const struct plan_node *node = cases[i].zone ? &plan.zones[0] : cases[i].host ? &plan.hosts[0] : &plan.header;
    ck_assert_str_eq(node->keys[0], cases[i].key);
  }
}
END_TEST

/* ---- connections ---- */

static struct address address(const char *written) {
  struct address result;
  ck_assert(address_parse(written, &result));
  return result;
}

static struct connection tcp(const char *from, const char *to, uint16_t port, uint32_t mark) {
  return (struct connection){.protocol = PROTOCOL_TCP,
                             .original = {address(from), address(to), 40000, port, 0, 0},
                             .reply = {address(to), address(from), port, 40000, 0, 0},
                             .mark = mark};
}

static uint32_t mark_of(const struct policy *policy, const char *name) {
  uint32_t *marks;
  ck_assert_int_eq(flow_marks(policy, arena, &marks), 0);
  return marks[policy_find_flow(policy, name)->index];
}

static struct plan_effect judge(const struct policy *before, const struct policy *after, struct connection *items,
                                size_t count) {
  struct plan_question question = {.before = {before, NULL}, .after = {after, NULL}, .now = noon()};
  struct connection_list *list = ARENA_NEW(arena, struct connection_list);
  struct plan_effect effect;
  *list = (struct connection_list){items, count};
  ck_assert_int_eq(plan_judge_connections(&question, list, arena, &effect), 0);
  return effect;
}

START_TEST(connections_of_a_flow_that_goes_are_cut_and_no_others) {
  const struct policy *after = changed(SCREEN, "from = \"lg-term\"; to = \"i-vb\"; services = [ \"tcp/8443\" ];");
  uint32_t screen = mark_of(town, "F-301"), vdi = mark_of(town, "F-302");
  struct connection live[] = {tcp("10.211.0.5", "10.140.0.32", 443, screen),
                              tcp("10.211.0.6", "10.140.0.33", 443, screen),
                              tcp("10.210.0.30", "10.140.0.32", 3389, vdi)};
  struct plan_effect effect = judge(town, after, live, 3);
  ck_assert_uint_eq(effect.total, 3);
  ck_assert_uint_eq(effect.cut.count, 2);
  ck_assert_uint_eq(effect.cut.tally_count, 1);
  ck_assert_str_eq(effect.cut.tallies[0].flow->name, "F-301");
  ck_assert_uint_eq(effect.cut.example_count, 2);
  ck_assert_uint_eq(effect.opened.count, 0);
}
END_TEST

START_TEST(a_connection_that_is_over_is_not_live) {
  const struct policy *after = changed(SCREEN, "from = \"lg-term\"; to = \"i-vb\"; services = [ \"tcp/8443\" ];");
  struct connection live = tcp("10.211.0.5", "10.140.0.32", 443, mark_of(town, "F-301"));
  live.tcp_state = TCP_CONNTRACK_ESTABLISHED;
  ck_assert_uint_eq(judge(town, after, &live, 1).cut.count, 1);
  live.tcp_state = TCP_CONNTRACK_TIME_WAIT;
  struct plan_effect effect = judge(town, after, &live, 1);
  ck_assert_uint_eq(effect.cut.count + effect.total, 0);
}
END_TEST

START_TEST(a_narrowed_flow_keeps_the_connections_that_it_still_covers) {
  const struct policy *wide = changed(SCREEN, "from = \"lg-term\"; to = \"i-vb\"; services = [ \"tcp/443-8443\" ];");
  uint32_t mark = mark_of(wide, "F-301");
  struct connection live[] = {tcp("10.211.0.5", "10.140.0.32", 443, mark),
                              tcp("10.211.0.6", "10.140.0.33", 8443, mark)};
  struct plan_effect effect = judge(wide, town, live, 2);
  ck_assert_uint_eq(effect.cut.count, 1);
  ck_assert_uint_eq(effect.cut.examples[0].connection->original.destination_port, 8443);
}
END_TEST

START_TEST(a_connection_that_waits_for_its_flow_would_pass_again) {
  const struct policy *after =
      changed(SCREEN, "from = \"lg-term\"; to = \"i-vb\"; services = [ \"tcp/443\", \"tcp/8443\" ];");
  struct connection live[] = {tcp("10.211.0.5", "10.140.0.32", 8443, 12345), tcp("10.211.0.5", "10.140.0.32", 9, 0)};
  struct plan_effect effect = judge(town, after, live, 2);
  ck_assert_uint_eq(effect.opened.count, 1);
  ck_assert_str_eq(effect.opened.examples[0].flow->name, "F-301");
  ck_assert_uint_eq(effect.cut.count, 0);
  live[0].mark = mark_of(after, "F-301");
  effect = judge(town, after, live, 2);
  ck_assert_msg(effect.opened.count == 1, "it still carries the mark of a flow that comes back");
}
END_TEST

START_TEST(very_many_connections_are_counted_and_some_are_listed) {
  enum { MANY = 100000 };
  uint32_t screen = mark_of(town, "F-301");
  const struct policy *after = changed(SCREEN, "from = \"lg-term\"; to = \"i-vb\"; services = [ \"tcp/8443\" ];");
  struct connection *live = calloc(MANY, sizeof *live);
  for (size_t i = 0; i < MANY; i++) {
    live[i] = tcp("10.211.0.5", "10.140.0.32", 443, screen);
    live[i].original.source_port = (uint16_t)i;
  }
  struct plan_effect effect = judge(town, after, live, MANY);
  ck_assert_uint_eq(effect.cut.count + effect.unjudged, MANY);
  ck_assert_uint_eq(effect.cut.example_count, PLAN_EXAMPLE_LIMIT);
  effect = judge(town, town, live, MANY);
  ck_assert_uint_eq(effect.cut.count + effect.unjudged, 0);
  free(live);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("plan");
  TCase *cases = tcase_create("plan");
  tcase_add_checked_fixture(cases, set_up, tear_down);
  tcase_set_timeout(cases, 60);
  tcase_add_test(cases, a_policy_is_equal_to_itself);
  tcase_add_test(cases, what_only_reads_otherwise_is_equal);
  tcase_add_test(cases, a_flow_under_another_name_is_renamed);
  tcase_add_test(cases, a_widened_flow_shows_what_it_newly_allows);
  tcase_add_test(cases, a_narrowed_flow_shows_what_it_no_longer_allows);
  tcase_add_test(cases, a_moved_flow_shows_both);
  tcase_add_test(cases, a_host_that_shrinks_narrows_its_flows);
  tcase_add_test(cases, from_a_closed_gate_everything_is_added);
  tcase_add_test(cases, another_end_is_told);
  tcase_add_test(cases, another_limit_is_told);
  tcase_add_test(cases, zones_pins_and_keys_are_told);
  tcase_add_test(cases, connections_of_a_flow_that_goes_are_cut_and_no_others);
  tcase_add_test(cases, a_connection_that_is_over_is_not_live);
  tcase_add_test(cases, a_narrowed_flow_keeps_the_connections_that_it_still_covers);
  tcase_add_test(cases, a_connection_that_waits_for_its_flow_would_pass_again);
  tcase_add_test(cases, very_many_connections_are_counted_and_some_are_listed);
  suite_add_tcase(suite, cases);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
