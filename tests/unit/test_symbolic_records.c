/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Recorded rulesets (tests/rulesets), with every expression that a kernel had, rule by rule through both meanings of
 * nftables: neither has a hole, what only asks leaves nothing undecided, and what is not understood does.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/netfilter.h>

#include "live.h"
#include "proof/concrete.h"
#include "proof/symbolic.h"

enum { NODES = 4000000 };

static const char *const records[] = {"expressions", "ip", "ip6", "link", "nat", "sets", "synproxy"};

static const struct situation situations[] = {
    {PATH_FORWARD, "lan0", "lan1", FAMILY_IPV4, TRACKING_OPENS},
    {PATH_INPUT, "lo", NULL, FAMILY_IPV4, TRACKING_OPENS},
    {PATH_INPUT, "lan0", NULL, FAMILY_IPV6, TRACKING_OPENS},
    {PATH_OUTPUT, NULL, "lan0", FAMILY_IPV4, TRACKING_REPLY},
    {PATH_INPUT, "lan0", NULL, FAMILY_IPV4, TRACKING_INVALID},
    {PATH_FORWARD, "lo", NULL, FAMILY_IPV6, TRACKING_RELATED_REPLY},
};

/* What can be followed, or be taken both ways, whatever it says. */
static bool only_reads(const struct live_rule *rule) {
  for (size_t i = 0; i < rule->expression_count; i++) {
    const struct live_expression *expression = &rule->expressions[i];
    bool reads = expression->kind == LIVE_IMMEDIATE || expression->kind == LIVE_COMPARE ||
                 expression->kind == LIVE_RANGE || expression->kind == LIVE_BITWISE ||
                 expression->kind == LIVE_PAYLOAD || expression->kind == LIVE_ASK || expression->kind == LIVE_LIMIT ||
                 expression->kind == LIVE_QUOTA || expression->kind == LIVE_LOG;
    if (!reads || expression->unmodelled != NULL || (expression->is_verdict && expression->verdict.chain != NULL)) {
      return false;
    }
  }
  return true;
}

static bool not_understood(const struct live_rule *rule) {
  for (size_t i = 0; i < rule->expression_count; i++) {
    if (rule->expressions[i].unmodelled != NULL) {
      return true;
    }
  }
  return false;
}

static void judge_one_packet(const struct live_ruleset *ruleset, const struct surroundings *surroundings,
                             const struct situation *situation, struct arena *arena) {
  uint8_t frame[74] = {
      [12] = situation->family == FAMILY_IPV4 ? 0x08 : 0x86, [13] = situation->family == FAMILY_IPV4 ? 0x00 : 0xdd};
  frame[14] = situation->family == FAMILY_IPV4 ? 0x45 : 0x60;
  frame[17] = situation->family == FAMILY_IPV4 ? 60 : 0;
  frame[23] = 6;
  struct probe probe = {.situation = *situation, .frame = frame, .length = sizeof(frame)};
  struct concrete_result result;
  ck_assert_int_eq(concrete_judge(ruleset, surroundings, &probe, arena, &result), 0);
}

/* Returns whether anything was left undecided. */
static bool judge_all(const struct live_ruleset *ruleset, const struct live_rule *rule, const char *text) {
  struct surroundings surroundings = {0};
  bool undecided = false;
  for (size_t i = 0; i < sizeof(situations) / sizeof(situations[0]); i++) {
    struct arena *arena = arena_new(0);
    struct diagram_store *store = diagram_store_new(NODES);
    struct space *space = space_new(arena);
    struct symbolic *machine = symbolic_new(ruleset, &surroundings, space, store, arena);
    struct symbolic_result result;
    ck_assert_int_eq(symbolic_judge(machine, &situations[i], &result), 0);
    ck_assert_msg(result.unmodelled_count == 0 || !only_reads(rule), "%s: %s", text, result.unmodelled[0].why);
    undecided = undecided || result.unmodelled_count > 0;
    judge_one_packet(ruleset, &surroundings, &situations[i], arena);
    diagram_store_free(store);
    arena_free(arena);
  }
  return undecided;
}

/* The chain alone in its table, the table alone in the ruleset, and one rule after the other alone in the chain. */
static void judge_chain(const struct live_table *table, const struct live_chain *chain, struct arena *arena) {
  bool ip = table->family == NFPROTO_INET || table->family == NFPROTO_IPV4;
  for (size_t i = 0; i < chain->rule_count; i++) {
    struct live_chain alone = *chain;
    struct live_table single = *table;
    struct live_ruleset ruleset = {.tables = &single, .table_count = 1};
    alone.rules = &chain->rules[i];
    alone.rule_count = 1;
    alone.table = &single;
    single.chains = &alone;
    single.chain_count = 1;
    const char *text = live_rule_text(&chain->rules[i], arena);
    bool undecided = judge_all(&ruleset, &chain->rules[i], text);
    bool on_the_way = ip && chain->hook <= NF_INET_LOCAL_OUT && strcmp(chain->type, "filter") == 0;
    ck_assert_msg(undecided || !on_the_way || !not_understood(&chain->rules[i]), "%s is understood", text);
  }
}

START_TEST(both_meanings_go_through_what_kernels_told_rule_by_rule) {
  struct arena *arena = arena_new(0);
  const struct live_ruleset *ruleset =
      live_from_file(arena_printf(arena, "%s/tests/rulesets/%s.ruleset", KIDO_SOURCE_DIRECTORY, records[_i]), arena);
  for (size_t i = 0; i < ruleset->table_count; i++) {
    const struct live_table *table = &ruleset->tables[i];
    for (size_t j = 0; j < table->chain_count && table->family != NFPROTO_BRIDGE; j++) {
      if (table->chains[j].base) {
        judge_chain(table, &table->chains[j], arena);
      }
    }
  }
  arena_free(arena);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("symbolic_records");
  TCase *tests = tcase_create("all");
  tcase_add_loop_test(tests, both_meanings_go_through_what_kernels_told_rule_by_rule, 0,
                      (int)(sizeof(records) / sizeof(records[0])));
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
