/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "policy/check.h"
#include "policy/decide.h"
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

/* ---- against asking about every packet ---- */

static const char *const SERVICES[] = {"tcp/10",        "tcp/10-12", "tcp/11-13",
                                       "udp/3543-3545", "udp/3544",  "icmp/echo-request"};
static const char *const RANGES[] = {"10.1.0.0/28", "10.1.0.8/29", "10.1.0.12/30", "10.1.0.15",   "10.1.0.3",
                                     "10.2.0.0/28", "10.2.0.0/29", "10.2.0.14/31", "10.2.0.6",    "10.0.0.0/14",
                                     "10.1.0.0/27", "10.2.0.4/30", "10.1.0.4/31",  "10.2.0.15/32"};
enum { SERVICE_COUNT = sizeof(SERVICES) / sizeof(SERVICES[0]), RANGE_COUNT = sizeof(RANGES) / sizeof(RANGES[0]) };

static size_t pick(size_t count) {
  return (size_t)rand() % count;
}

static const char *random_policy(struct arena *arena) {
  const char *text = arena_printf(
      arena,
      "policy = { name = \"t\"; number = \"1\"; basis = \"b\"; effective = \"2026-04-01\"; model = \"alpha\"; timezone "
      "= "
      "\"Asia/Tokyo\"; language = \"en\"; };\n"
      "zones = { lgwan = { class = \"lgwan\"; interfaces = [ \"e0\" ]; networks = [ \"10.1.0.0/28\" ]; within = "
      "\"%s\"; }; "
      "internet = { class = \"internet\"; interfaces = [ \"e2\" ]; networks = [ \"10.2.0.0/28\" ]; }; };\nhosts = {\n",
      pick(2) ? "allow" : "deny");
  for (unsigned i = 0; i < 8; i++) {
    size_t first = pick(16), last = first + pick(16 - first);
    text = arena_printf(arena, "%s  h%u = { zone = \"%s\"; address = \"10.%u.0.%zu-10.%u.0.%zu\"; };\n", text, i,
                        i < 4 ? "lgwan" : "internet", i < 4 ? 1U : 2U, first, i < 4 ? 1U : 2U, last);
  }
  text = arena_printf(arena, "%s};\nflows = {\n", text);
  for (unsigned i = 0; i < 5; i++) {
    size_t side = pick(2) * 4;
    text = arena_printf(
        arena,
        "%s  F-%u = { from = \"h%zu\"; to = \"h%zu\"; services = [ \"%s\" ]; method = \"screen\"; " PAPERS " };\n",
        text, i, side + pick(4), 4 - side + pick(4), SERVICES[pick(SERVICE_COUNT)]);
  }
  return arena_printf(arena,
                      "%s};\nexpect = ( { name = \"case\"; from = \"%s\"; to = \"%s\"; service = \"%s\"; verdict = "
                      "\"%s\"; } );\n",
                      text, RANGES[pick(RANGE_COUNT)], RANGES[pick(RANGE_COUNT)], SERVICES[pick(SERVICE_COUNT)],
                      pick(2) ? "allow" : "deny");
}

static bool is_broadcast(uint32_t address) {
  return address == 0x0a01000f || address == 0x0a02000f;
}

/* Whether the case holds for all addresses near the networks; a broadcast address counts only when it stands alone. */
static bool holds(const struct policy *policy, const struct expectation *expectation, struct instant now) {
  const struct service *service = &expectation->services[0];
  for (uint32_t source = 0x0a00fff0; source <= 0x0a020020; source += source == 0x0a010020 ? 0xffd0 : 1)
    for (uint32_t destination = 0x0a00fff0; destination <= 0x0a020020;
         destination += destination == 0x0a010020 ? 0xffd0 : 1)
      for (unsigned port = service->first_port; port <= service->last_port; port++) {
        struct query query = {.packet = {.source = address_from_ipv4(source),
                                         .destination = address_from_ipv4(destination),
                                         .protocol = service->protocol,
                                         .destination_port = (uint16_t)port,
                                         .icmp_type = service->icmp_type,
                                         .tcp_flags = TCP_SYN},
                              .out_zone = ZONE_NONE};
        if (!range_contains(&expectation->from.range, &query.packet.source) ||
            !range_contains(&expectation->to.range, &query.packet.destination))
          continue;
        if (expectation->expect_allow && ((is_broadcast(source) && range_size(&expectation->from.range) > 1) ||
                                          (is_broadcast(destination) && range_size(&expectation->to.range) > 1)))
          continue;
        query.in_zone = policy_zone_of_address(policy, NULL, &query.packet.source);
        if (policy_decide(policy, &(struct circumstances){.now = now}, &query).allow != expectation->expect_allow)
          return false;
      }
  return true;
}

START_TEST(cases_agree_with_asking_about_every_packet) {
  struct instant now;
  bool without_offset;
  size_t held = 0;
  ck_assert(instant_parse(NOW, &now, &without_offset));
  srand(4);
  for (int round = 0; round < 250; round++) {
    struct arena *arena = arena_new(0);
    const struct policy *policy;
    struct diagnostic_list diagnostics;
    struct error error;
    const char *text = random_policy(arena);
    diagnostic_list_init(&diagnostics, arena, LANGUAGE_ENGLISH);
    ck_assert_int_eq(policy_read_text("t.conf", text, strlen(text), arena, true, &policy, &diagnostics, &error), 0);
    ck_assert_msg(policy != NULL && policy->expectation_count == 1, "%s", text);
    if (policy->expectations[0].valid) {
      struct expectation_result result = policy_check_expectations(policy, now, &diagnostics);
      bool expected = holds(policy, &policy->expectations[0], now);
      ck_assert_msg((result.passed == 1) == expected, "%s", text);
      held += expected;
    }
    arena_free(arena);
  }
  ck_assert_uint_gt(held, 20);
  ck_assert_uint_lt(held, 230);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("expect");
  TCase *cases = tcase_create("all");
  tcase_add_test(cases, cases_hold_for_every_packet_that_they_name);
  tcase_add_test(cases, pairs_of_zones_are_judged_for_every_packet_at_any_time);
  tcase_add_test(cases, cases_agree_with_asking_about_every_packet);
  suite_add_tcase(suite, cases);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
