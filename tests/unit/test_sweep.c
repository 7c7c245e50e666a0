/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "policy/read.h"
#include "proof/sweep.h"

static const char TEXT[] =
    "policy = { name = \"p\"; number = \"1\"; basis = \"b\"; effective = \"2026-04-01\"; model = \"alpha\";\n"
    "  timezone = \"Asia/Tokyo\"; language = \"en\"; };\n"
    "zones = {\n"
    "  left = { class = \"lgwan\"; interfaces = [ \"left0\" ]; networks = [ \"10.1.0.0/24\" ]; };\n"
    "  right = { class = \"ot\"; interfaces = [ \"right0\" ]; networks = [ \"10.2.0.0/24\" ]; };\n"
    "};\n"
    "hosts = { l = { zone = \"left\"; address = \"10.1.0.9\"; }; r = { zone = \"right\"; address = \"10.2.0.9\"; }; "
    "};\n"
    "flows = {\n"
    "  F-web = { from = \"l\"; to = \"r\"; services = [ \"tcp/80\" ]; method = \"ops\"; purpose = \"p\"; owner = "
    "\"o\";\n"
    "    approval = { by = \"b\"; role = \"ciso\"; document = \"d\"; date = \"2026-04-01\"; author = \"a\"; };\n"
    "    review = \"2027-01-01\"; };\n"
    "  F-old = { from = \"l\"; to = \"r\"; services = [ \"tcp/81\" ]; method = \"ops\"; purpose = \"p\"; owner = "
    "\"o\";\n"
    "    approval = { by = \"b\"; role = \"ciso\"; document = \"d\"; date = \"2026-04-01\"; author = \"a\"; };\n"
    "    review = \"2026-10-01\"; expires = \"2026-11-01\"; };\n"
    "};\n";

static struct arena *arena;
static const struct policy *policy;
static struct address_set own;
static struct address_range own_range = {{FAMILY_IPV4, {10, 1, 0, 1}}, {FAMILY_IPV4, {10, 1, 0, 1}}};

static void set_up(void) {
  arena = arena_new(0);
  struct diagnostic_list diagnostics;
  struct error error = {0};
  diagnostic_list_init(&diagnostics, arena, LANGUAGE_ENGLISH);
  ck_assert_msg(policy_read_text("p", TEXT, strlen(TEXT), arena, false, &policy, &diagnostics, &error) == 0, "%s",
                error.message);
  own = (struct address_set){&own_range, 1};
}

static void tear_down(void) {
  arena_free(arena);
}

static struct address address_of(const char *text) {
  struct address address;
  ck_assert(address_parse(text, &address));
  return address;
}

static struct sweep_connection connection_of(const char *source, const char *destination, uint16_t port,
                                             const char *flow) {
  return (struct sweep_connection){.protocol = PROTOCOL_TCP,
                                   .source = address_of(source),
                                   .destination = address_of(destination),
                                   .source_port = 40000,
                                   .destination_port = port,
                                   .flow = flow != NULL ? policy_find_flow(policy, flow) : NULL};
}

START_TEST(what_the_policy_would_not_create_is_listed) {
  static const struct {
    const char *source, *destination;
    uint16_t port;
    const char *flow;
    bool listed, passes;
    enum reason reason;
  } cases[] = {
      {"10.1.0.9", "10.2.0.9", 80, "F-web", false, false, REASON_FLOW},
      {"10.1.0.9", "10.2.0.9", 80, NULL, false, false, REASON_FLOW},    /* marked by nobody: lawful all the same */
      {"10.1.0.9", "10.2.0.9", 80, "F-old", false, false, REASON_FLOW}, /* another flow would create it */
      {"10.1.0.9", "10.2.0.9", 81, "F-old", true, false, REASON_EXPIRED},
      {"10.1.0.9", "10.2.0.9", 22, "F-web", true, true, REASON_NO_FLOW}, /* a mark that it should not have */
      {"10.1.0.9", "10.2.0.9", 22, NULL, true, false, REASON_NO_FLOW},
      {"10.2.0.9", "10.1.0.9", 80, "F-web", true, true, REASON_NO_FLOW_THIS_DIRECTION},
      {"127.0.0.1", "10.2.0.9", 80, "F-web", true, false, REASON_UNKNOWN_ZONE}, /* the guard stops it */
      {"10.1.0.9", "10.1.0.1", 22, NULL, true, false, REASON_NO_FLOW},
      {"10.1.0.1", "10.1.0.1", 22, NULL, false, false, REASON_FLOW}, /* to itself */
  };
  struct sweep_connection connection =
      connection_of(cases[_i].source, cases[_i].destination, cases[_i].port, cases[_i].flow);
  struct sweep_question question = {.policy = policy, .own = &own};
  bool without_offset;
  ck_assert(instant_parse("2026-11-24T12:00:00+09:00", &question.now, &without_offset));
  struct sweep_finding *findings = NULL;
  size_t count = 0;
  ck_assert_int_eq(sweep_find(&question, &connection, 1, arena, &findings, &count), 0);
  ck_assert_uint_eq(count, cases[_i].listed);
  if (count > 0) {
    ck_assert_str_eq(reason_name(findings[0].decision.reason), reason_name(cases[_i].reason));
    ck_assert_int_eq(findings[0].passes, cases[_i].passes);
    ck_assert_ptr_eq(findings[0].flow, connection.flow);
  }
}
END_TEST

START_TEST(findings_name_their_connection_and_zones) {
  struct sweep_connection connections[] = {
      connection_of("10.1.0.9", "10.2.0.9", 80, "F-web"),
      connection_of("10.2.0.9", "10.1.0.9", 7, NULL),
      connection_of("10.1.0.9", "10.2.0.9", 80, "F-web"),
      connection_of("10.1.0.9", "10.2.0.8", 80, "F-web"),
  };
  struct sweep_question question = {.policy = policy, .own = &own};
  bool without_offset;
  ck_assert(instant_parse("2026-11-24T12:00:00+09:00", &question.now, &without_offset));
  struct sweep_finding *findings = NULL;
  size_t count = 0;
  ck_assert_int_eq(sweep_find(&question, connections, 4, arena, &findings, &count), 0);
  ck_assert_uint_eq(count, 2);
  ck_assert_uint_eq(findings[0].connection, 1);
  ck_assert_int_eq(findings[0].from, policy_find_zone(policy, "right"));
  ck_assert_int_eq(findings[0].to, policy_find_zone(policy, "left"));
  ck_assert_uint_eq(findings[1].connection, 3);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("sweep");
  TCase *tests = tcase_create("connections");
  tcase_add_checked_fixture(tests, set_up, tear_down);
  tcase_add_loop_test(tests, what_the_policy_would_not_create_is_listed, 0, 10);
  tcase_add_test(tests, findings_name_their_connection_and_zones);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
