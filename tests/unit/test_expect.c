/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "policy/check.h"
#include "policy/read.h"

#define PAPERS                                                                                                         \
  "purpose = \"p\"; owner = \"o\"; review = \"2027-02-28\"; approval = { by = \"b\"; role = \"ciso\"; document = "     \
  "\"d\"; date = \"2026-04-01\"; author = \"a\"; };"

/* The doctrine has nothing to say here: only what the flows mean counts. */
static const char TOWN[] =
    "policy = { name = \"t\"; number = \"1\"; basis = \"b\"; effective = \"2026-04-01\"; model = \"alpha\"; timezone = "
    "\"Asia/Tokyo\"; language = \"en\"; };\n"
    "zones = {\n"
    "  lgwan = { class = \"lgwan\"; interfaces = [ \"e0\", \"e1\" ]; networks = [ \"10.1.0.0/24\", \"10.1.1.0/24\" ]; "
    "within = \"allow\"; };\n"
    "  internet = { class = \"internet\"; interfaces = [ \"e2\" ]; networks = [ \"10.2.0.0/24\", \"2400:2::/64\" ]; "
    "};\n"
    "  mgmt = { class = \"management\"; interfaces = [ \"e3\" ]; networks = [ \"10.3.0.0/24\" ]; };\n"
    "  school = { class = \"unrouted\"; networks = [ \"10.9.0.0/24\" ]; };\n"
    "};\n"
    "hosts = {\n"
    "  low = { zone = \"lgwan\"; address = \"10.1.0.0/25\"; };\n"
    "  high = { zone = \"lgwan\"; address = \"10.1.0.128/25\"; };\n"
    "  all = { zone = \"lgwan\"; address = \"10.1.0.0/24\"; };\n"
    "  web = { zone = \"internet\"; address = \"10.2.0.8/30\"; };\n"
    "  six = { zone = \"internet\"; address = \"2400:2::8\"; };\n"
    "  adm = { zone = \"mgmt\"; address = \"10.3.0.20/30\"; };\n"
    "};\n"
    "flows = {\n"
    "  F-1 = { from = \"low\"; to = \"web\"; services = [ \"tcp/443\", \"udp/5000-5010\" ]; method = "
    "\"screen\"; " PAPERS " };\n"
    "  F-2 = { from = \"high\"; to = \"web\"; services = [ \"tcp/443\" ]; method = \"screen\"; " PAPERS " };\n"
    "  F-3 = { from = \"adm\"; to = \"gateway\"; services = [ \"tcp/22\" ]; method = \"ops\"; " PAPERS " };\n"
    "  F-4 = { from = \"web\"; to = \"low\"; services = [ \"tcp/80\" ]; method = \"exception\"; expires = "
    "\"2026-06-30\"; " PAPERS " };\n"
    "  F-5 = { from = \"adm\"; to = \"low\"; services = [ \"tcp/22\" ]; method = \"ops\"; window = ( { start = "
    "\"2026-12-01T10:00:00+09:00\"; end = \"2026-12-01T12:00:00+09:00\"; attended = true; } ); " PAPERS " };\n"
    "};\n";

static const char NOW[] = "2026-11-24T12:00:00+09:00";

/* Runs one case; returns the failures and, in *ret_message, the first diagnostic. */
static size_t run(struct arena *arena, const char *expectation, const char **ret_message) {
  const struct policy *policy;
  struct diagnostic_list diagnostics;
  struct error error;
  struct instant now;
  bool without_offset;
  char *text = arena_printf(arena, "%sexpect = ( { name = \"case\"; %s } );\n", TOWN, expectation);
  diagnostic_list_init(&diagnostics, arena, LANGUAGE_ENGLISH);
  ck_assert(instant_parse(NOW, &now, &without_offset));
  ck_assert_int_eq(policy_read_text("t.conf", text, strlen(text), arena, true, &policy, &diagnostics, &error), 0);
  ck_assert_msg(diagnostics.errors == 0, "%s: %s", expectation, diagnostics.count ? diagnostics.items[0].message : "");
  struct expectation_result result = policy_check_expectations(policy, now, &diagnostics);
  ck_assert_uint_eq(result.passed + result.failed, 1);
  ck_assert_uint_eq(diagnostics.errors, result.failed);
  ck_assert(diagnostics.count == 0 || strcmp(diagnostics.items[0].code, "E01") == 0);
  *ret_message = diagnostics.count != 0 ? diagnostics.items[0].message : "";
  return result.failed;
}

START_TEST(cases_hold_for_every_packet_that_they_name) {
  static const struct {
    const char *expectation, *failure; /* NULL: it holds; else a part of the message */
  } cases[] = {
      {"from = \"low\"; to = \"web\"; service = \"tcp/443\"; verdict = \"allow\";", NULL},
      {"from = \"all\"; to = \"web\"; service = \"tcp/443\"; verdict = \"allow\";", NULL},
      {"from = \"10.1.0.0/23\"; to = \"web\"; service = \"tcp/443\"; verdict = \"allow\";", "10.1.1.0 to 10.2.0.8"},
      {"from = \"all\"; to = \"10.2.0.8/29\"; service = \"tcp/443\"; verdict = \"allow\";", "to 10.2.0.12"},
      {"from = \"all\"; to = \"web\"; service = \"udp/5000\"; verdict = \"allow\";", "10.1.0.128"},
      {"from = \"low\"; to = \"web\"; service = \"udp/5000-5010\"; verdict = \"allow\";", NULL},
      {"from = \"low\"; to = \"web\"; service = \"udp/5000-5011\"; verdict = \"allow\";", "udp/5011"},
      {"from = \"low\"; to = \"web\"; service = \"tcp/443\"; verdict = \"allow\"; flow = \"F-1\";", NULL},
      {"from = \"low\"; to = \"web\"; service = \"tcp/443\"; verdict = \"allow\"; flow = \"F-2\";", "by F-1"},
      {"from = \"low\"; to = \"10.1.1.9\"; service = \"tcp/443\"; verdict = \"allow\"; flow = \"F-2\";", "within"},
      {"from = \"low\"; to = \"10.1.1.9\"; service = \"proto/99\"; verdict = \"allow\";", NULL},
      {"from = \"low\"; to = \"10.1.1.9\"; service = \"proto/47\"; verdict = \"allow\";", "tunnel"},
      {"from = \"low\"; to = \"10.1.1.9\"; service = \"udp/3000-4000\"; verdict = \"allow\";", "udp/3544"},
      {"from = \"low\"; to = \"10.1.1.9\"; service = \"udp/3544-3545\"; verdict = \"deny\";", "udp/3545"},
      {"from = \"low\"; to = \"10.1.1.9\"; service = \"udp/3544\"; verdict = \"deny\";", NULL},
      {"from = \"adm\"; to = \"gateway\"; service = \"tcp/22\"; verdict = \"allow\"; flow = \"F-3\";", NULL},
      {"from = \"10.3.0.0/24\"; to = \"gateway\"; service = \"tcp/22\"; verdict = \"allow\";", "10.3.0.0"},
      {"from = \"low\"; to = \"gateway\"; service = \"tcp/22\"; verdict = \"deny\";", NULL},
      {"from = \"10.3.0.0/24\"; to = \"gateway\"; service = \"tcp/22\"; verdict = \"deny\";", "F-3"},
      {"from = \"10.0.0.0/8\"; to = \"10.2.0.0/16\"; service = \"udp/1-65535\"; verdict = \"deny\";", "udp/5000"},
      {"from = \"10.0.0.0/8\"; to = \"10.2.0.0/16\"; service = \"tcp/444-65535\"; verdict = \"deny\";", NULL},
      {"from = \"10.2.0.0/16\"; to = \"10.0.0.0/8\"; service = \"tcp/80\"; verdict = \"deny\";", NULL},
      {"from = \"web\"; to = \"low\"; service = \"tcp/80\"; verdict = \"allow\"; at = \"2026-06-30T23:00:00+09:00\";",
       NULL},
      {"from = \"web\"; to = \"low\"; service = \"tcp/80\"; verdict = \"allow\";", "expired"},
      {"from = \"web\"; to = \"low\"; service = \"tcp/443\"; verdict = \"allow\";", "no-flow-this-direction"},
      {"from = \"8.8.8.8\"; to = \"low\"; service = \"tcp/80\"; verdict = \"deny\";", NULL},
      {"from = \"10.9.0.1\"; to = \"low\"; service = \"tcp/80\"; verdict = \"deny\";", NULL},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    struct arena *arena = arena_new(0);
    const char *message;
    size_t failed = run(arena, cases[i].expectation, &message);
    ck_assert_msg(failed == (cases[i].failure != NULL), "%s: %s", cases[i].expectation, message);
    ck_assert_msg(failed == 0 || strstr(message, cases[i].failure) != NULL, "%s: %s", cases[i].expectation, message);
    arena_free(arena);
  }
}
END_TEST

START_TEST(pairs_of_zones_are_judged_for_every_packet_at_any_time) {
  static const struct {
    const char *from, *to, *verdict, *failure;
  } cases[] = {
      {"lgwan", "mgmt", "deny", NULL},
      {"lgwan", "internet", "deny", "F-1"},
      {"internet", "lgwan", "deny", NULL},        /* F-4 is history */
      {"mgmt", "lgwan", "deny", "2026-12-01T10"}, /* its window is yet to come */
      {"lgwan", "lgwan", "deny", "within"},
      {"internet", "internet", "deny", NULL},
      {"lgwan", "lgwan", "allow", NULL},
      {"lgwan", "internet", "allow", "does not pass"},
      {"mgmt", "gateway", "deny", "F-3"},
      {"lgwan", "gateway", "deny", NULL},
      {"gateway", "mgmt", "deny", NULL},
      {"school", "lgwan", "deny", NULL},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    struct arena *arena = arena_new(0);
    const char *message, *expectation = arena_printf(arena, "from_zone = \"%s\"; to_zone = \"%s\"; verdict = \"%s\";",
                                                     cases[i].from, cases[i].to, cases[i].verdict);
    size_t failed = run(arena, expectation, &message);
    ck_assert_msg(failed == (cases[i].failure != NULL), "%s: %s", expectation, message);
    ck_assert_msg(failed == 0 || strstr(message, cases[i].failure) != NULL, "%s: %s", expectation, message);
    arena_free(arena);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("expect");
  TCase *cases = tcase_create("all");
  tcase_add_test(cases, cases_hold_for_every_packet_that_they_name);
  tcase_add_test(cases, pairs_of_zones_are_judged_for_every_packet_at_any_time);
  suite_add_tcase(suite, cases);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
