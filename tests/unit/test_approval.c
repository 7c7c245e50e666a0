/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/approval.h"
#include "policy/read.h"

/* D18: a change is written as what the flows and the number become; the confirmed policy is always the same. */

static const char HEAD[] =
    "policy = { name = \"p\"; number = \"%s\"; basis = \"b\"; effective = \"2026-04-01\"; model = \"alpha\";\n"
    "  timezone = \"Asia/Tokyo\"; language = \"en\"; };\n"
    "zones = {\n"
    "  left = { class = \"lgwan\"; interfaces = [ \"left0\" ]; networks = [ \"10.1.0.0/24\" ]; };\n"
    "  right = { class = \"ot\"; interfaces = [ \"right0\" ]; networks = [ \"10.2.0.0/24\" ]; };\n"
    "};\n"
    "hosts = {\n"
    "  l = { zone = \"left\"; address = \"%s\"; };\n"
    "  l2 = { zone = \"left\"; address = \"10.1.0.10\"; };\n"
    "  r = { zone = \"right\"; address = \"10.2.0.9\"; };\n"
    "};\n"
    "flows = {\n%s};\n";
#define FLOW(name, from, services, document, date, more)                                                               \
  "  " name " = { from = " from "; to = \"r\"; services = [ " services " ]; method = \"ops\"; purpose = \"p\";"        \
  " owner = \"o\"; approval = { by = \"b\"; role = \"ciso\"; document = \"" document "\"; date = \"" date              \
  "\"; author = \"a\"; }; review = \"2027-01-01\"; " more " };\n"

#define OLD FLOW("F-1", "\"l\"", "\"tcp/80-90\"", "d", "2026-04-01", "")
#define OTHER FLOW("F-2", "\"l2\"", "\"tcp/80\"", "e", "2026-04-01", "")

static struct arena *arena;

static void set_up(void) {
  arena = arena_new(0);
}

static void tear_down(void) {
  arena_free(arena);
}

static const struct policy *read_policy(const char *number, const char *address, const char *flows) {
  struct diagnostic_list diagnostics;
  const struct policy *policy = NULL;
  const char *text = arena_printf(arena, HEAD, number, address, flows);
  diagnostic_list_init(&diagnostics, arena, LANGUAGE_ENGLISH);
  ck_assert_int_eq(policy_read_text("policy", text, strlen(text), arena, false, &policy, &diagnostics, NULL), 0);
  ck_assert_msg(policy && diagnostics.errors == 0, "%s", diagnostics.count > 0 ? diagnostics.items[0].message : "?");
  return policy;
}

static struct diagnostic_list compare(const struct policy *before, const struct policy *after) {
  struct diagnostic_list diagnostics;
  diagnostic_list_init(&diagnostics, arena, LANGUAGE_ENGLISH);
  ck_assert_int_eq(approval_check(before, after, (struct instant){1775000000}, &diagnostics), 0);
  for (size_t i = 0; i < diagnostics.count; i++) {
    ck_assert_str_eq(diagnostics.items[i].code, "D18");
  }
  return diagnostics;
}

static const struct {
  const char *name, *before, *after;
  size_t errors;
} FLOWS[] = {
    {"nothing changed but the order", OLD OTHER, OTHER OLD, 0},
    {"a port more", OLD, FLOW("F-1", "\"l\"", "\"tcp/80-91\"", "d", "2026-04-01", ""), 1},
    {"another protocol", OLD, FLOW("F-1", "\"l\"", "\"tcp/80-90\", \"udp/80\"", "d", "2026-04-01", ""), 1},
    {"a host more", OLD, FLOW("F-1", "[ \"l\", \"l2\" ]", "\"tcp/80-90\"", "d", "2026-04-01", ""), 1},
    {"a zone for a host", OLD, FLOW("F-1", "\"zone:left\"", "\"tcp/80-90\"", "d", "2026-04-01", "reason = \"r\";"), 1},
    {"a port more, and another document", OLD, FLOW("F-1", "\"l\"", "\"tcp/80-91\"", "d2", "2026-04-01", ""), 0},
    {"a port more, and another date", OLD, FLOW("F-1", "\"l\"", "\"tcp/80-91\"", "d", "2026-04-02", ""), 0},
    {"a port less", OLD, FLOW("F-1", "\"l\"", "\"tcp/80-89\"", "d", "2026-04-01", ""), 0},
    {"the same ports, written in two", OLD, FLOW("F-1", "\"l\"", "\"tcp/80-85\", \"tcp/86-90\"", "d", "2026-04-01", ""),
     0},
    {"a new flow with its own approval", OLD, OLD FLOW("F-3", "\"l\"", "\"tcp/99\"", "f", "2026-04-01", ""), 0},
    {"a new flow under a document that approves others too", OLD,
     OLD FLOW("F-3", "\"l\"", "\"tcp/99\"", "d", "2026-04-01", ""), 0},
    {"renamed", OLD, FLOW("F-9", "\"l\"", "\"tcp/80-90\"", "d", "2026-04-01", ""), 0},
    {"renamed and wider", OLD, FLOW("F-9", "\"l\"", "\"tcp/80-91\"", "d", "2026-04-01", ""), 1},
    {"renamed and narrower", OLD, FLOW("F-9", "\"l\"", "\"tcp/80\"", "d", "2026-04-01", ""), 0},
    {"split", OLD,
     FLOW("F-8", "\"l\"", "\"tcp/80\"", "d", "2026-04-01", "")
         FLOW("F-9", "\"l\"", "\"tcp/81-90\"", "d", "2026-04-01", ""),
     0},
    {"renamed, and covered by what another flow allowed", OLD FLOW("F-2", "\"l\"", "\"tcp/91\"", "e", "2026-04-01", ""),
     FLOW("F-9", "\"l\"", "\"tcp/80-91\"", "d", "2026-04-01", ""), 0},
    {"taken out", OLD OTHER, OTHER, 0},
};

START_TEST(what_a_flow_covers_needs_its_approval) {
  const struct policy *before = read_policy("1", "10.1.0.9", FLOWS[_i].before);
  const struct policy *after = read_policy("2", "10.1.0.9", FLOWS[_i].after);
  struct diagnostic_list found = compare(before, after);
  ck_assert_msg(found.errors == FLOWS[_i].errors, "%s: %zu errors, not %zu: %s", FLOWS[_i].name, found.errors,
                FLOWS[_i].errors, found.count > 0 ? found.items[0].message : "");
}
END_TEST

START_TEST(a_host_that_moves_takes_its_flows_along) {
  const struct policy *before = read_policy("1", "10.1.0.9", OLD);
  struct diagnostic_list found = compare(before, read_policy("2", "10.1.0.77", OLD));
  ck_assert_uint_eq(found.errors, 1);
  ck_assert_str_eq(found.items[0].subject, "F-1");
}
END_TEST

START_TEST(what_became_allowed_is_told_with_an_example) {
  const struct policy *before = read_policy("1", "10.1.0.9", OLD);
  const struct policy *after =
      read_policy("2", "10.1.0.9", FLOW("F-1", "\"l\"", "\"tcp/80-91\"", "d", "2026-04-01", ""));
  struct diagnostic_list found = compare(before, after);
  ck_assert_uint_eq(found.errors, 1);
  ck_assert_msg(strstr(found.items[0].message, "10.1.0.9 → 10.2.0.9 tcp/91") != NULL, "%s", found.items[0].message);
  ck_assert_msg(strstr(found.items[0].message, "'d' of 2026-04-01") != NULL, "%s", found.items[0].message);
  ck_assert_uint_eq(found.items[0].related_count, 1);
  ck_assert_msg(strstr(found.items[0].related[0].message, "10.2.0.9:91") != NULL, "%s",
                found.items[0].related[0].message);
  ck_assert_uint_eq(found.items[0].place.line, after->flows[0].place.line);
  ck_assert_ptr_nonnull(found.items[0].hint);
}
END_TEST

#define WINDOW(start, end) "window = ( { start = \"" start "\"; end = \"" end "\"; attended = true; } );"
static const struct {
  const char *before, *after;
  size_t errors;
} TIMES[] = {
    {"expires = \"2026-12-01\";", "expires = \"2026-12-02\";", 1},
    {"expires = \"2026-12-01\";", "", 1},
    {"expires = \"2026-12-01\";", "expires = \"2026-11-30\";", 0},
    {"", "expires = \"2026-12-01\";", 0},
    {WINDOW("2026-11-25T10:00:00+09:00", "2026-11-25T18:00:00+09:00"),
     WINDOW("2026-11-25T10:00:00+09:00", "2026-11-25T18:00:01+09:00"), 1},
    {WINDOW("2026-11-25T10:00:00+09:00", "2026-11-25T18:00:00+09:00"),
     WINDOW("2026-11-25T11:00:00+09:00", "2026-11-25T12:00:00+09:00"), 0},
    {WINDOW("2026-11-25T10:00:00+09:00", "2026-11-25T18:00:00+09:00"), "", 1},
    {"", WINDOW("2026-11-25T10:00:00+09:00", "2026-11-25T18:00:00+09:00"), 0},
    {"hours = \"mon-fri 08:30-17:15\";", "hours = \"mon-fri 08:30-17:16\";", 1},
    {"hours = \"mon-fri 08:30-17:15\";", "hours = \"mon-sat 08:30-17:15\";", 1},
    {"hours = \"mon-fri 08:30-17:15\";", "hours = \"tue-fri 09:00-17:15\";", 0},
    {"hours = \"mon-fri 22:00-02:00\";", "hours = \"mon-fri 22:00-03:00\";", 1},
    {"hours = \"mon-fri 22:00-02:00\";", "hours = \"tue-sat 00:00-02:00\";", 0},
    {"hours = \"mon-fri 08:30-17:15\";", "", 1},
    {"hours = \"mon-fri 08:30-17:15\";", "hours = \"mon-fri 00:00-24:00\";", 1},
    {"hours = \"mon-fri 00:00-24:00\";", "hours = \"mon-fri 08:30-17:15\";", 0},
    {"hours = \"mon-fri 00:00-24:00\";", "hours = \"mon-sat 00:00-24:00\";", 1},
    {"limit = { new_per_second = 10; };", "limit = { new_per_second = 11; };", 1},
    {"limit = { new_per_second = 10; };", "limit = { new_per_second = 9; };", 0},
    {"limit = { connections = 10; };", "limit = { new_per_second = 9; };", 1},
    {"limit = { connections = 10; };", "", 1},
    {"", "limit = { connections = 10; };", 0},
};

static const char *timed(const char *more, const char *document) {
  return arena_printf(
      arena,
      "  F-1 = { from = \"l\"; to = \"r\"; services = [ \"tcp/80\" ]; method = \"ops\"; purpose = \"p\";"
      " owner = \"o\"; approval = { by = \"b\"; role = \"ciso\"; document = \"%s\"; date = \"2026-04-01\";"
      " author = \"a\"; }; review = \"2027-01-01\"; %s };\n",
      document, more);
}

START_TEST(what_lasts_longer_needs_its_approval) {
  const struct policy *before = read_policy("1", "10.1.0.9", timed(TIMES[_i].before, "d"));
  struct diagnostic_list found = compare(before, read_policy("2", "10.1.0.9", timed(TIMES[_i].after, "d")));
  ck_assert_msg(found.errors == TIMES[_i].errors, "%s -> %s: %zu errors", TIMES[_i].before, TIMES[_i].after,
                found.errors);
  found = compare(before, read_policy("2", "10.1.0.9", timed(TIMES[_i].after, "d2")));
  ck_assert_uint_eq(found.errors, 0);
}
END_TEST

static const struct policy *read_edited(const char *number, const char *flows, const char *from, const char *to) {
  struct diagnostic_list diagnostics;
  const struct policy *policy = NULL;
  const char *text = arena_printf(arena, HEAD, number, "10.1.0.9", flows), *at = strstr(text, from);
  ck_assert_ptr_nonnull(at);
  text = arena_printf(arena, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
  diagnostic_list_init(&diagnostics, arena, LANGUAGE_ENGLISH);
  ck_assert_int_eq(policy_read_text("policy", text, strlen(text), arena, false, &policy, &diagnostics, NULL), 0);
  ck_assert_msg(policy && diagnostics.errors == 0, "%s", diagnostics.count > 0 ? diagnostics.items[0].message : "?");
  return policy;
}

START_TEST(hours_mean_others_in_another_timezone) {
  const char *flows = timed("hours = \"mon-fri 08:30-17:15\";", "d");
  const struct policy *before = read_policy("1", "10.1.0.9", flows);
  struct diagnostic_list found = compare(before, read_edited("2", flows, "Asia/Tokyo", "UTC"));
  ck_assert_uint_eq(found.errors, 1);
  ck_assert_str_eq(found.items[0].subject, "F-1");
  found = compare(before, read_edited("1", flows, "Asia/Tokyo", "UTC"));
  ck_assert_uint_eq(found.errors, 2); /* the number, too */
  found = compare(before, read_edited("2", flows, "Asia/Tokyo", "Asia/Seoul"));
  ck_assert_uint_eq(found.errors, 0);              /* the same clock */
  flows = timed("expires = \"2026-12-01\";", "d"); /* its end, nine hours later */
  found = compare(read_policy("1", "10.1.0.9", flows), read_edited("2", flows, "Asia/Tokyo", "UTC"));
  ck_assert_uint_eq(found.errors, 1);
  found = compare(read_edited("1", flows, "Asia/Tokyo", "UTC"), read_policy("2", "10.1.0.9", flows));
  ck_assert_uint_eq(found.errors, 0);
}
END_TEST

START_TEST(a_host_without_its_mac_means_more) {
  static const char plain[] = "address = \"10.1.0.9\";", one[] = "address = \"10.1.0.9\"; mac = \"02:00:00:00:00:01\";",
                    two[] = "address = \"10.1.0.9\"; mac = [ \"02:00:00:00:00:01\", \"02:00:00:00:00:02\" ];";
  static const struct {
    const char *before, *after;
    size_t errors;
  } cases[] = {{one, plain, 1}, {plain, one, 0}, {one, two, 1}, {two, one, 0}, {one, one, 0}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct diagnostic_list found =
        compare(read_edited("1", OLD, plain, cases[i].before), read_edited("2", OLD, plain, cases[i].after));
    ck_assert_msg(found.errors == cases[i].errors, "case %zu: %zu errors", i, found.errors);
  }
}
END_TEST

/* What the guard refused in any case passes when the policy exempts it: by the same flow, written alike. */
START_TEST(an_exemption_lets_flows_mean_more) {
  const char *networks = "networks = [ \"10.2.0.0/24\" ]",
             *special = "networks = [ \"10.2.0.0/24\", \"198.51.100.0/24\" ]";
  const char *flows =
      "  F-1 = { from = \"l\"; to = \"zone:right\"; services = [ \"tcp/80\" ]; method = \"ops\"; purpose = "
      "\"p\"; owner = \"o\"; approval = { by = \"b\"; role = \"ciso\"; document = \"d\"; date = "
      "\"2026-04-01\"; author = \"a\"; }; review = \"2027-01-01\"; reason = \"r\"; };\n";
  const struct policy *before = read_edited("1", flows, networks, special);
  struct diagnostic_list diagnostics;
  const struct policy *after = NULL;
  const char *whole = arena_printf(arena, HEAD, "2", "10.1.0.9", flows), *at = strstr(whole, networks);
  whole = arena_printf(arena, "%.*s%s%s", (int)(at - whole), whole, special, at + strlen(networks));
  at = strstr(whole, "timezone");
  whole = arena_printf(arena, "%.*sspecial_exempt = [ \"198.51.100.0/24\" ]; %s", (int)(at - whole), whole, at);
  diagnostic_list_init(&diagnostics, arena, LANGUAGE_ENGLISH);
  ck_assert_int_eq(policy_read_text("policy", whole, strlen(whole), arena, false, &after, &diagnostics, NULL), 0);
  struct diagnostic_list found = compare(before, after);
  ck_assert_uint_eq(found.errors, 1);
  ck_assert_str_eq(found.items[0].subject, "F-1");
  ck_assert_uint_eq(compare(after, before).errors, 0);
}
END_TEST

static const struct {
  const char *name, *number, *flows;
  size_t errors;
} NUMBERS[] = {
    {"the same text", "1", OLD OTHER, 0},
    {"the same meaning in another order", "1", OTHER OLD, 0},
    {"less under the same number", "1", OLD, 1},
    {"less under another", "2", OLD, 0},
    {"more, approved, under the same number", "1", OLD OTHER FLOW("F-3", "\"l\"", "\"tcp/99\"", "f", "2026-04-01", ""),
     1},
    {"more, approved, under another", "2", OLD OTHER FLOW("F-3", "\"l\"", "\"tcp/99\"", "f", "2026-04-01", ""), 0},
    {"an end, under the same number", "1",
     OTHER FLOW("F-1", "\"l\"", "\"tcp/80-90\"", "d", "2026-04-01", "expires = \"2026-12-01\";"), 1},
    {"another purpose", "1",
     OTHER "  F-1 = { from = \"l\"; to = \"r\"; services = [ \"tcp/80-90\" ]; method = \"ops\"; purpose = \"q\";"
           " owner = \"o\"; approval = { by = \"b\"; role = \"ciso\"; document = \"d\"; date = \"2026-04-01\"; author "
           "= \"a\"; };"
           " review = \"2027-01-01\"; };\n",
     0},
};

START_TEST(what_means_something_else_needs_another_number) {
  const struct policy *before = read_policy("1", "10.1.0.9", OLD OTHER);
  struct diagnostic_list found = compare(before, read_policy(NUMBERS[_i].number, "10.1.0.9", NUMBERS[_i].flows));
  ck_assert_msg(found.errors == NUMBERS[_i].errors, "%s: %zu errors: %s", NUMBERS[_i].name, found.errors,
                found.count > 0 ? found.items[0].message : "");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("approval");
  TCase *tests = tcase_create("approval");
  tcase_add_checked_fixture(tests, set_up, tear_down);
  tcase_add_loop_test(tests, what_a_flow_covers_needs_its_approval, 0, sizeof FLOWS / sizeof FLOWS[0]);
  tcase_add_test(tests, a_host_that_moves_takes_its_flows_along);
  tcase_add_test(tests, what_became_allowed_is_told_with_an_example);
  tcase_add_loop_test(tests, what_lasts_longer_needs_its_approval, 0, sizeof TIMES / sizeof TIMES[0]);
  tcase_add_test(tests, hours_mean_others_in_another_timezone);
  tcase_add_test(tests, a_host_without_its_mac_means_more);
  tcase_add_test(tests, an_exemption_lets_flows_mean_more);
  tcase_add_loop_test(tests, what_means_something_else_needs_another_number, 0, sizeof NUMBERS / sizeof NUMBERS[0]);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
