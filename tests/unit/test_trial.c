/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/decide.h"
#include "policy/read.h"
#include "rules/trial.h"

/* A policy, small changes to it, and what of the changed one ends when nobody confirms it. */

#define PAPERS                                                                                                         \
  "method = \"specific\"; purpose = \"p\"; owner = \"o\"; review = \"2027-01-01\"; approval = { by = \"x\"; "          \
  "role = \"ciso\"; document = \"d\"; date = \"2026-04-01\"; author = \"y\"; };"

static const char confirmed_text[] =
    "policy = { name = \"t\"; number = \"1\"; basis = \"b\"; effective = \"2026-04-01\"; model = \"alpha\";\n"
    " timezone = \"Asia/Tokyo\"; language = \"en\"; special_exempt = [ \"198.51.100.0/24\" ]; };\n"
    "zones = {\n"
    " a = { class = \"lgwan\"; interfaces = [ \"a0\", \"a1\" ]; within = \"allow\"; networks = [ \"10.1.0.0/24\" ]; "
    "};\n"
    " b = { class = \"ot\"; interfaces = [ \"b0\", \"b1\" ]; networks = [ \"10.2.0.0/24\" ]; };\n"
    " c = { class = \"management\"; interfaces = [ \"c0\" ]; networks = [ \"10.3.0.0/24\" ]; };\n"
    " d = { class = \"cloud\"; interfaces = [ \"d0\" ]; networks = [ \"10.4.0.0/24\" ]; default_route = true; };\n"
    " u = { class = \"unrouted\"; networks = [ \"9.9.9.0/24\" ]; };\n"
    "};\n"
    "hosts = {\n"
    " a-one = { zone = \"a\"; address = \"10.1.0.5\"; mac = \"02:00:00:00:0a:01\"; };\n"
    " a-two = { zone = \"a\"; address = \"10.1.0.6\"; };\n"
    " b-one = { zone = \"b\"; address = \"10.2.0.5\"; };\n"
    " c-one = { zone = \"c\"; address = \"10.3.0.5\"; };\n"
    " d-one = { zone = \"d\"; address = \"8.8.8.8\"; };\n"
    "};\n"
    "flows = {\n"
    " plain = { from = \"a-two\"; to = \"b-one\"; services = [ \"tcp/443\" ]; " PAPERS " };\n"
    " ends = { from = \"a-two\"; to = \"b-one\"; services = [ \"tcp/80\" ]; " PAPERS
    " expires = \"2026-11-24T12:05:00+09:00\"; };\n"
    " later = { from = \"a-two\"; to = \"b-one\"; services = [ \"tcp/81\" ]; " PAPERS
    " expires = \"2026-11-24T13:00:00+09:00\"; };\n"
    " daily = { from = \"a-two\"; to = \"b-one\"; services = [ \"tcp/82\" ]; " PAPERS
    " hours = \"mon-fri 08:00-17:00\"; };\n"
    " night = { from = \"a-two\"; to = \"b-one\"; services = [ \"tcp/83\" ]; " PAPERS
    " hours = \"mon-fri 20:00-23:00\"; };\n"
    " limited = { from = \"a-two\"; to = \"b-one\"; services = [ \"tcp/84\" ]; " PAPERS
    " limit = { connections = 5; new_per_second = 7; }; };\n"
    " admin = { from = \"c-one\"; to = \"gateway\"; services = [ \"tcp/22\" ]; " PAPERS " };\n"
    " out = { from = \"b-one\"; to = \"d-one\"; services = [ \"tcp/443\" ]; " PAPERS " };\n"
    "};\n";

static const char NOON[] = "2026-11-24T12:00:00+09:00", DEADLINE[] = "2026-11-24T12:10:00+09:00";

static struct arena *arena;

static void begin(void) {
  arena = arena_new(0);
}

static void end(void) {
  arena = arena_free(arena);
}

static struct instant instant(const char *text) {
  struct instant result;
  bool without_offset;
  ck_assert_msg(instant_parse(text, &result, &without_offset), "%s", text);
  return result;
}

static const struct policy *read_policy(const char *text) {
  struct diagnostic_list diagnostics;
  struct error error;
  const struct policy *policy;
  diagnostic_list_init(&diagnostics, arena, LANGUAGE_ENGLISH);
  int status = policy_read_text("test", text, strlen(text), arena, false, &policy, &diagnostics, &error);
  ck_assert_msg(status == 0, "%s", error.message);
  ck_assert_msg(diagnostics.errors == 0, "%s", diagnostics.errors ? diagnostics.items[0].message : "");
  return policy;
}

static const char *replaced(const char *from, const char *to) {
  const char *at = strstr(confirmed_text, from);
  ck_assert_msg(at != NULL, "%s", from);
  return arena_printf(arena, "%.*s%s%s", (int)(at - confirmed_text), confirmed_text, to, at + strlen(from));
}

/* "plain later=13:00 within:a": the names of what ends at the deadline, and what ends at another time. */
static const char *what_ends(const struct policy *pending, const struct restrictions *restrictions) {
  char *text = arena_strdup(arena, "");
  for (size_t i = 0; i < pending->flow_count; i++) {
    struct instant at = restrictions->flow_deadlines[i];
    char time[INSTANT_TEXT_SIZE];
    if (at.seconds == instant(DEADLINE).seconds)
      text = arena_printf(arena, "%s%s ", text, pending->flows[i].name);
    else if (at.seconds != INSTANT_NEVER.seconds)
      text = arena_printf(arena, "%s%s=%.5s ", text, pending->flows[i].name,
                          instant_format(pending->header.timezone, at, time) + 11);
  }
  for (size_t i = 0; i < pending->zone_count; i++)
    if (restrictions->within_deadlines[i].seconds != INSTANT_NEVER.seconds)
      text = arena_printf(arena, "%swithin:%s ", text, pending->zones[i].name);
  return text;
}

struct edit {
  const char *from, *to, *ends;
};

static const struct edit edits[] = {
    {"plain =", "renamed =", ""},
    {"a-two = {", "other-host = {zone = \"a\"; address = \"10.1.0.9\";};  a-two = {", ""},
    {"tcp/443", "tcp/444", "plain "},
    {"tcp/443\" ]", "tcp/443\", \"tcp/22\" ]", "plain "},
    {"10.2.0.5", "10.2.0.6", "plain ends later daily night limited out "},
    {"12:05:00", "12:20:00", "ends "},
    {"12:05:00", "12:01:00", ""},
    {"13:00:00", "14:00:00", "later=13:00 "},
    {" expires = \"2026-11-24T13:00:00+09:00\";", "", "later=13:00 "},
    {"08:00-17:00", "08:00-18:00", "daily=17:00 "},
    {"hours = \"mon-fri 08:00-17:00\";", "", "daily=17:00 "},
    {"hours = \"mon-fri 20:00-23:00\";", "", "night "},
    {"mon-fri 20:00-23:00", "mon-sat 20:00-23:00", "night "},
    {"08:00-17:00\";", "08:00-17:00\"; expires = \"2026-12-01\";", ""},
    {"tcp/443\" ]; ", "tcp/443\" ]; hours = \"mon-fri 01:00-02:00\"; ", ""},
    {"connections = 5", "connections = 6", "limited "},
    {"connections = 5; ", "", "limited "},
    {"new_per_second = 7; ", "", "limited "},
    {"connections = 5", "connections = 4", ""},
    {"tcp/443\" ]; ", "tcp/443\" ]; limit = { connections = 1; }; ", ""},
    {"tcp/443\" ]; ", "tcp/443\" ]; log = \"none\"; ", ""},
    {"a0\", \"a1", "a1\", \"a0", ""},
    {"a0\", \"a1", "a0\", \"a2", "plain ends later daily night limited within:a "},
    {"10.1.0.0/24\" ]", "10.1.0.0/24\", \"10.5.0.0/24\" ]", "plain ends later daily night limited within:a "},
    {"10.3.0.0/24\" ]; }", "10.3.0.0/24\" ]; on_deny = \"reject\"; }", "admin within:c "},
    {"b1\" ]; ", "b1\" ]; within = \"allow\"; ", "plain ends later daily night limited out within:b "},
    {" u = { class = \"unrouted\"; networks = [ \"9.9.9.0/24\" ]; };\n", "", "out within:d "},
    {"[ \"198.51.100.0/24\" ]", "[ ]", ""},
    {"[ \"198.51.100.0/24\" ]", "[ \"198.51.100.0/24\", \"192.0.2.0/25\" ]",
     "plain ends later daily night limited admin out within:a within:b within:c within:d within:u "},
    {" mac = \"02:00:00:00:0a:01\";", "", "plain ends later daily night limited within:a "},
    {"mac = \"02:00:00:00:0a:01\"", "mac = [ \"02:00:00:00:0a:01\", \"02:00:00:00:0a:02\" ]",
     "plain ends later daily night limited within:a "},
    {"10.3.0.5\";", "10.3.0.5\"; mac = \"02:00:00:00:0c:01\";", "admin "},
};

static struct restrictions deadlines(const struct policy *pending, const struct policy *confirmed) {
  struct restrictions restrictions = {.clock_doubtful = true};
  ck_assert_int_eq(trial_deadlines(pending, confirmed, instant(DEADLINE), instant(NOON), arena, &restrictions), 0);
  ck_assert_msg(restrictions.clock_doubtful, "the rest is left alone");
  restrictions.clock_doubtful = false;
  return restrictions;
}

START_TEST(what_only_the_pending_policy_allows_ends_at_the_deadline) {
  const struct policy *confirmed = read_policy(confirmed_text);
  const struct policy *pending = read_policy(replaced(edits[_i].from, edits[_i].to));
  struct restrictions restrictions = deadlines(pending, confirmed);
  ck_assert_msg(strcmp(what_ends(pending, &restrictions), edits[_i].ends) == 0, "%s -> %s: '%s' instead of '%s'",
                edits[_i].from, edits[_i].to, what_ends(pending, &restrictions), edits[_i].ends);
}
END_TEST

START_TEST(without_a_confirmed_policy_everything_ends) {
  const struct policy *pending = read_policy(confirmed_text);
  struct restrictions restrictions = deadlines(pending, NULL);
  ck_assert_str_eq(what_ends(pending, &restrictions),
                   "plain ends later daily night limited admin out within:a within:b within:c within:d within:u ");
}
END_TEST

/* ---- what it means ---- */

static struct address address(const char *text) {
  struct address result;
  ck_assert(address_parse(text, &result));
  return result;
}

/* Whether a policy lets the packet through; zones and wires by the policy's own view of the addresses. */
static bool allows(const struct policy *policy, const struct restrictions *restrictions, const char *source,
                   const char *destination, uint16_t port, const char *at) {
  static const struct address_set nothing = {0};
  struct circumstances circumstances = {.now = instant(at), .own = &nothing, .restrictions = restrictions};
  struct query query = {.packet = {.source = address(source),
                                   .destination = address(destination),
                                   .protocol = PROTOCOL_TCP,
                                   .source_port = 50000,
                                   .destination_port = port,
                                   .tcp_flags = TCP_SYN},
                        .out_zone = ZONE_NONE};
  query.in_zone = policy_zone_of_address(policy, NULL, &query.packet.source);
  return policy_decide(policy, &circumstances, &query).allow;
}

/* Never more than both before the deadline and the confirmed one after it; the same as pending until then. */
START_TEST(nothing_outlives_the_trial_that_was_not_confirmed) {
  static const char *const addresses[] = {"10.1.0.5", "10.1.0.6", "10.2.0.5", "10.2.0.6",
                                          "10.3.0.5", "8.8.8.8",  "9.9.9.9"};
  static const uint16_t ports[] = {22, 80, 81, 82, 83, 84, 443, 444};
  static const char *const before[] = {"2026-11-24T12:00:00+09:00", "2026-11-24T12:09:59+09:00"};
  static const char *const after[] = {"2026-11-24T12:10:00+09:00", "2026-11-24T13:30:00+09:00",
                                      "2026-11-24T17:30:00+09:00", "2026-11-24T21:00:00+09:00",
                                      "2026-11-28T21:00:00+09:00"};
  const struct policy *confirmed = read_policy(confirmed_text);
  const struct policy *pending = read_policy(replaced(edits[_i].from, edits[_i].to));
  struct restrictions restrictions = deadlines(pending, confirmed);
  enum { ADDRESSES = sizeof addresses / sizeof *addresses, PORTS = sizeof ports / sizeof *ports };
  for (size_t i = 0; i < (size_t)ADDRESSES * ADDRESSES * PORTS; i++) {
    const char *source = addresses[i % ADDRESSES], *destination = addresses[i / ADDRESSES % ADDRESSES];
    uint16_t port = ports[i / ADDRESSES / ADDRESSES];
    for (size_t j = 0; j < sizeof before / sizeof *before; j++)
      ck_assert(allows(pending, NULL, source, destination, port, before[j]) ==
                allows(pending, &restrictions, source, destination, port, before[j]));
    for (size_t j = 0; j < sizeof after / sizeof *after; j++)
      ck_assert_msg(!allows(pending, &restrictions, source, destination, port, after[j]) ||
                        allows(confirmed, NULL, source, destination, port, after[j]),
                    "%s > %s:%u at %s", source, destination, port, after[j]);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("trial");
  TCase *cases = tcase_create("all");
  tcase_add_checked_fixture(cases, begin, end);
  tcase_set_timeout(cases, 60);
  tcase_add_loop_test(cases, what_only_the_pending_policy_allows_ends_at_the_deadline, 0,
                      (int)(sizeof edits / sizeof *edits));
  tcase_add_test(cases, without_a_confirmed_policy_everything_ends);
  tcase_add_loop_test(cases, nothing_outlives_the_trial_that_was_not_confirmed, 0, (int)(sizeof edits / sizeof *edits));
  suite_add_tcase(suite, cases);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
