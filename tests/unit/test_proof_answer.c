/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/proof_print.h"
#include "control/proof_json.h"
#include "control/proof_text.h"

/* A proof as JSON and as text: made by hand, for what the prover finds is not the matter here. */

static struct arena *arena;
static struct zone zones[] = {
    {.name = "left", .interfaces = (struct text[]){{.text = "left0"}}, .interface_count = 1},
    {.name = "right", .interfaces = (struct text[]){{.text = "right0"}}, .interface_count = 1}};
static struct policy policy = {.header = {.number = {.text = "8-12"}, .language = LANGUAGE_ENGLISH},
                               .zones = zones,
                               .zone_count = 2,
                               .sha256 = "0123456789abcdef"};
static const struct live_table ours = {.family = 1, .name = "kido"}, foreign = {.family = 2, .name = "na\x1bt\xff"};
static struct live_rule rule = {.handle = 42};
static struct live_chain chain = {.table = &ours, .name = "forward", .base = true, .rules = &rule, .rule_count = 1};
static struct live_chain stranger = {.table = &foreign, .name = "post\nrouting", .base = true};
static struct snapshot snapshot = {.generation = 7};
static struct counterexample example;
static struct proof proof;

static void set_up(void) {
  arena = arena_new(0);
  policy.header.timezone = timezone_load(arena, "UTC");
  example = (struct counterexample){
      .claim = CLAIM_NEW,
      .situation = {.path = PATH_FORWARD, .in = "left0", .out = "right0", .family = FAMILY_IPV4},
      .packet = {.protocol = PROTOCOL_TCP, .source_port = 50000, .destination_port = 443},
      .policy = {.allow = false, .reason = REASON_NO_FLOW},
      .kernel_allows = true,
      .chain = &chain,
      .rule = &rule,
      .place = {.file = "policy.conf", .line = 30},
      .frame = {0xde, 0xad},
      .frame_length = 2,
      .message = "the message"};
  address_parse("10.1.0.5", &example.packet.source);
  address_parse("10.2.0.9", &example.packet.destination);
  proof = (struct proof){.result = PROOF_REFUTED, .counterexamples = &example, .counterexample_count = 1};
}

static void tear_down(void) {
  arena_free(arena);
}

static json_t *answer(void) {
  struct proof_view view = {.policy = &policy,
                            .source = "file",
                            .snapshot = &snapshot,
                            .proof = &proof,
                            .now = {1775000000},
                            .language = LANGUAGE_ENGLISH};
  json_t *object = proof_to_json(&view, arena);
  ck_assert_ptr_nonnull(object);
  return object;
}

static void expect_keys(const json_t *object, const char *const *keys, size_t count) {
  const char *key;
  json_t *value;
  size_t i = 0;
  json_object_foreach((json_t *)(uintptr_t)object, key, value) {
    if (i < count) {
      ck_assert_str_eq(key, keys[i]);
    }
    i++;
  }
  ck_assert_uint_ge(i, count);
}

#define EXPECT_KEYS(object, ...)                                                                                       \
  do {                                                                                                                 \
    const char *const expected_keys[] = {__VA_ARGS__};                                                                 \
    expect_keys(object, expected_keys, sizeof expected_keys / sizeof expected_keys[0]);                                \
  } while (0)

static const char *text_at(const json_t *object, const char *key) {
  const char *text = json_string_value(json_object_get(object, key));
  ck_assert_msg(text != NULL, "no text at %s", key);
  return text;
}

/* The page, without the end of the arena's life mattering. */
static char *print(const json_t *object, bool colour) {
  char *text = NULL;
  size_t size;
  struct invocation invocation = {.arena = arena, .language = LANGUAGE_ENGLISH};
  FILE *stream = open_memstream(&text, &size);
  proof_print(stream, &invocation, object, colour);
  fclose(stream);
  return text;
}

START_TEST(the_keys_of_the_contract_come_first_and_in_its_order) {
  json_t *object = answer();
  EXPECT_KEYS(object, "schema", "result", "policy_sha256", "kernel_generation", "pairs", "counterexample", "bypasses",
              "unmodelled");
  EXPECT_KEYS(json_object_get(object, "counterexample"), "from_zone", "to_zone", "in", "out", "src", "dst", "protocol",
              "sport", "dport", "icmp_type", "icmp_code", "src_mac", "policy", "kernel", "rule", "at");
  EXPECT_KEYS(json_object_get(json_object_get(object, "counterexample"), "rule"), "family", "table", "chain", "handle",
              "text");
  ck_assert_str_eq(text_at(object, "schema"), "kido.verify/1");
  ck_assert_str_eq(text_at(object, "result"), "refuted");
  json_decref(object);
}
END_TEST

START_TEST(a_counterexample_names_packet_policy_and_rule) {
  json_t *object = answer();
  const json_t *found = json_object_get(object, "counterexample");
  ck_assert_str_eq(text_at(found, "from_zone"), "left");
  ck_assert_str_eq(text_at(found, "to_zone"), "right");
  ck_assert_str_eq(text_at(found, "in"), "left0");
  ck_assert_str_eq(text_at(found, "policy"), "deny");
  ck_assert_str_eq(text_at(found, "kernel"), "allow");
  ck_assert_str_eq(text_at(found, "reason"), "no-flow");
  ck_assert_str_eq(text_at(found, "frame"), "dead");
  ck_assert_int_eq(json_integer_value(json_object_get(found, "dport")), 443);
  ck_assert(json_is_null(json_object_get(found, "icmp_type")));
  ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(found, "rule"), "handle")), 42);
  ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(found, "at"), "line")), 30);
  json_decref(object);
}
END_TEST

START_TEST(what_the_gateway_sends_and_gets_has_it_as_an_end) {
  static const struct {
    enum situation_path path;
    const char *from, *to;
  } cases[] = {{PATH_FORWARD, "left", "right"}, {PATH_INPUT, "left", "gateway"}, {PATH_OUTPUT, "gateway", "right"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    example.situation.path = cases[i].path;
    json_t *object = answer();
    ck_assert_str_eq(text_at(json_object_get(object, "counterexample"), "from_zone"), cases[i].from);
    ck_assert_str_eq(text_at(json_object_get(object, "counterexample"), "to_zone"), cases[i].to);
    json_decref(object);
  }
}
END_TEST

START_TEST(the_opener_of_a_reply_goes_the_other_way) {
  example.situation.tracking = TRACKING_REPLY;
  json_t *object = answer();
  const json_t *opener = json_object_get(json_object_get(object, "counterexample"), "opener");
  ck_assert_str_eq(text_at(opener, "from_zone"), "right");
  ck_assert_str_eq(text_at(opener, "in"), "right0");
  json_decref(object);
}
END_TEST

START_TEST(a_packet_of_no_connection_has_no_opener) {
  static const enum situation_tracking none[] = {TRACKING_OPENS, TRACKING_INVALID, TRACKING_UNTRACKED};
  for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
    example.situation.tracking = none[i];
    json_t *object = answer();
    ck_assert(json_is_null(json_object_get(json_object_get(object, "counterexample"), "opener")));
    json_decref(object);
  }
}
END_TEST

START_TEST(names_that_are_no_text_stop_neither_json_nor_a_terminal) {
  struct proof_gap gap = {.table = &foreign, .chain = &stranger, .why = "\x1b[2J\xfe"};
  struct bypass bypass = {.kind = "nat",
                          .detail = "\x1b]0;",
                          .state = BYPASS_OPEN,
                          .left = ZONE_NONE,
                          .right = ZONE_NONE,
                          .chain = &stranger};
  example.chain = &stranger;
  example.rule = NULL;
  example.situation.in = "le\x1b\xff";
  proof.gaps = &gap;
  proof.bypasses = &bypass;
  proof.gap_count = proof.bypass_count = 1;
  json_t *object = answer();
  char *page = print(object, false);
  ck_assert_ptr_null(strchr(page, '\x1b'));
  ck_assert_ptr_nonnull(strstr(page, "post\\x0arouting"));
  free(page);
  json_decref(object);
}
END_TEST

START_TEST(what_was_not_looked_at_is_no_way_round) {
  struct bypass bypasses[] = {{.kind = "tc", .detail = "not looked at", .state = BYPASS_ASSUMED},
                              {.kind = "bridge", .detail = "br0 joins", .state = BYPASS_OPEN}};
  proof.bypasses = bypasses;
  proof.bypass_count = 2;
  json_t *object = answer();
  ck_assert_uint_eq(json_array_size(json_object_get(object, "bypasses")), 1);
  ck_assert_uint_eq(json_array_size(json_object_get(object, "assumptions")), 1);
  ck_assert_str_eq(text_at(json_array_get(json_object_get(object, "bypasses"), 0), "kind"), "bridge");
  json_decref(object);
}
END_TEST

START_TEST(long_lists_end_and_say_so) {
  struct proof_gap *gaps = ARENA_ARRAY(arena, PROOF_LIST_LIMIT + 3, struct proof_gap);
  for (size_t i = 0; i < PROOF_LIST_LIMIT + 3; i++) {
    gaps[i] = (struct proof_gap){.table = &ours, .chain = &chain, .why = "queue", .from = 0, .to = 1};
  }
  proof.gaps = gaps;
  proof.gap_count = PROOF_LIST_LIMIT + 3;
  json_t *object = answer();
  ck_assert_uint_eq(json_array_size(json_object_get(object, "unmodelled")), PROOF_LIST_LIMIT);
  ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(object, "more"), "unmodelled")), 3);
  json_decref(object);
}
END_TEST

START_TEST(each_result_has_its_headline_and_exit_code) {
  static const struct {
    enum proof_result result;
    bool example, kernel_allows, policy_allows;
    int code;
    const char *headline;
  } cases[] = {
      {PROOF_PROVEN, false, false, false, EXIT_CODE_YES, "proven: the kernel does what the policy says"},
      {PROOF_REFUTED, true, true, false, EXIT_CODE_NO,
       "refuted: the kernel lets a packet pass that the policy does not allow"},
      {PROOF_REFUTED, true, false, true, EXIT_CODE_NO, "refuted: the kernel drops a packet that the policy allows"},
      {PROOF_REFUTED, true, true, true, EXIT_CODE_NO, "refuted: the kernel's rules are not what the policy says"},
      {PROOF_REFUTED, false, false, false, EXIT_CODE_NO, "refuted: there is a way between zones round the gate"},
      {PROOF_UNDECIDED, false, false, false, EXIT_CODE_NO_ANSWER,
       "undecided: there are packets about which nothing could be shown"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    proof.result = cases[i].result;
    proof.counterexample_count = cases[i].example ? 1 : 0;
    example.kernel_allows = cases[i].kernel_allows;
    example.policy.allow = cases[i].policy_allows;
    json_t *object = answer();
    char *page = print(object, false);
    ck_assert_str_eq(proof_headline(object, LANGUAGE_ENGLISH), cases[i].headline);
    ck_assert_int_eq(proof_exit_code(object), cases[i].code);
    ck_assert(strncmp(page, cases[i].headline, strlen(cases[i].headline)) == 0);
    free(page);
    json_decref(object);
  }
}
END_TEST

START_TEST(a_proof_that_was_not_made_is_undecided) {
  struct proof_view view = {.policy = &policy, .source = "file", .message = "no kernel", .language = LANGUAGE_ENGLISH};
  json_t *object = proof_to_json(&view, arena);
  ck_assert_str_eq(text_at(object, "result"), "undecided");
  ck_assert(json_is_null(json_object_get(object, "kernel_generation")));
  ck_assert_str_eq(text_at(object, "message"), "no kernel");
  ck_assert_int_eq(proof_exit_code(object), EXIT_CODE_NO_ANSWER);
  json_decref(object);
  ck_assert_int_eq(proof_exit_code(NULL), EXIT_CODE_NO_ANSWER);
}
END_TEST

START_TEST(the_advice_fits_what_was_found) {
  static const struct {
    bool allows, foreign;
    const char *says;
  } cases[] = {{true, false, "kido cut pair left right --why"},
               {false, false, "Nothing leaks"},
               {false, true, "nft delete rule ip na"},
               {true, true, "nft delete rule ip na"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    example.kernel_allows = cases[i].allows;
    example.policy.allow = !cases[i].allows;
    example.chain = cases[i].foreign ? &stranger : &chain;
    json_t *object = answer();
    const char *advice = proof_advice(object, LANGUAGE_ENGLISH, arena);
    ck_assert_msg(strstr(advice, cases[i].says) != NULL, "%s", advice);
    json_decref(object);
  }
}
END_TEST

START_TEST(a_difference_within_a_zone_is_cut_by_the_zone) {
  example.situation.out = "left0";
  json_t *object = answer();
  ck_assert_ptr_nonnull(strstr(proof_advice(object, LANGUAGE_ENGLISH, arena), "kido cut zone left "));
  json_decref(object);
}
END_TEST

START_TEST(an_ipv6_address_with_a_port_stands_in_brackets) {
  address_parse("2001:db8::5", &example.packet.source);
  json_t *object = answer();
  ck_assert_str_eq(proof_packet_text(json_object_get(object, "counterexample"), LANGUAGE_ENGLISH, arena),
                   "left (left0) [2001:db8::5]:50000 → right (right0) 10.2.0.9:443, tcp");
  json_decref(object);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("proof_answer");
  TCase *tests = tcase_create("answer");
  tcase_add_checked_fixture(tests, set_up, tear_down);
  tcase_add_test(tests, the_keys_of_the_contract_come_first_and_in_its_order);
  tcase_add_test(tests, a_counterexample_names_packet_policy_and_rule);
  tcase_add_test(tests, what_the_gateway_sends_and_gets_has_it_as_an_end);
  tcase_add_test(tests, the_opener_of_a_reply_goes_the_other_way);
  tcase_add_test(tests, a_packet_of_no_connection_has_no_opener);
  tcase_add_test(tests, names_that_are_no_text_stop_neither_json_nor_a_terminal);
  tcase_add_test(tests, what_was_not_looked_at_is_no_way_round);
  tcase_add_test(tests, long_lists_end_and_say_so);
  tcase_add_test(tests, each_result_has_its_headline_and_exit_code);
  tcase_add_test(tests, a_proof_that_was_not_made_is_undecided);
  tcase_add_test(tests, the_advice_fits_what_was_found);
  tcase_add_test(tests, a_difference_within_a_zone_is_cut_by_the_zone);
  tcase_add_test(tests, an_ipv6_address_with_a_port_stands_in_brackets);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
