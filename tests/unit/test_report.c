/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The words of alerts. */
#include <check.h>
#include <string.h>

#include "base/arena.h"
#include "policy/read.h"
#include "watch/report.h"

static const char POLICY[] =
    "policy = { name = \"t\"; number = \"7\"; model = \"alpha\"; };\n"
    "zones = {\n"
    " lgwan = { class = \"lgwan\"; label = \"庁内\"; interfaces = \"in0\"; networks = "
    "\"10.1.0.0/24\"; };\n"
    " internet = { class = \"internet\"; interfaces = \"out0\"; networks = \"10.2.0.0/24\"; };\n"
    "};\n";

static struct arena *arena;
static const struct policy *policy;
static struct report_texts texts;

static void set_up(void) {
  struct diagnostic_list list;
  struct error error = {0};
  arena = arena_new(0);
  diagnostic_list_init(&list, arena, LANGUAGE_ENGLISH);
  ck_assert_int_eq(policy_read_text("t", POLICY, sizeof POLICY - 1, arena, true, &policy, &list, &error), 0);
  ck_assert_ptr_nonnull(policy);
}

static void tear_down(void) {
  arena = arena_free(arena);
}

static struct alert alert_of(enum finding_kind kind) {
  struct alert alert = {.scope = ALERT_CAUSE, .still_going = true};
  alert.finding = (struct finding){.kind = kind,
                                   .zone = 1,
                                   .other_zone = 0,
                                   .wire = 1,
                                   .entry_wire = WIRE_NONE,
                                   .direction = FRAME_PASSING,
                                   .protocol = -1,
                                   .source_port = -1,
                                   .destination_port = -1,
                                   .icmp_type = -1,
                                   .vlan = -1,
                                   .ethertype = -1,
                                   .reason = "second-path",
                                   .count = 3};
  ck_assert(address_parse("10.1.0.5", &alert.finding.source));
  return alert;
}

static struct event tell(const struct alert *alert, enum language language) {
  static const char *const wires[] = {"in0", "out0"};
  struct report_names names = {.policy = policy, .language = language, .wires = wires};
  struct event event;
  report_event(alert, &names, 0, &texts, &event);
  return event;
}

static bool has_japanese(const char *text) {
  while (*text != '\0' && (unsigned char)*text < 0xe3)
    text++;
  return *text != '\0';
}

START_TEST(every_kind_has_words_in_both_languages) {
  struct alert alert = alert_of((enum finding_kind)_i);
  tell(&alert, LANGUAGE_JAPANESE);
  ck_assert_msg(has_japanese(texts.message) && has_japanese(texts.what_to_do), "%s", texts.message);
  struct event event = tell(&alert, LANGUAGE_ENGLISH);
  ck_assert(event.message[0] != '\0' && !has_japanese(event.what_to_do));
  ck_assert_ptr_nonnull(event.clause);
}
END_TEST

START_TEST(a_bypass_names_the_wire_by_its_own_zone) {
  struct alert alert = alert_of(FINDING_BYPASS);
  struct event event = tell(&alert, LANGUAGE_JAPANESE);
  ck_assert_ptr_nonnull(strstr(event.message, "internet の線 out0 に、庁内（lgwan） の機器"));
  ck_assert_str_eq(event.zone, "internet");
  ck_assert_str_eq(event.other_zone, "lgwan");
}
END_TEST

START_TEST(the_last_record_says_that_it_ended) {
  struct alert alert = alert_of(FINDING_CROSSING);
  ck_assert_ptr_null(strstr(tell(&alert, LANGUAGE_JAPANESE).message, "終息"));
  alert.still_going = false;
  ck_assert_ptr_nonnull(strstr(tell(&alert, LANGUAGE_JAPANESE).message, "終息"));
  ck_assert_ptr_nonnull(strstr(tell(&alert, LANGUAGE_ENGLISH).message, "[ended]"));
}
END_TEST

START_TEST(a_watchman_who_slept_names_no_wire) {
  struct alert alert = alert_of(FINDING_BLIND);
  alert.finding.zone = alert.finding.other_zone = ZONE_NONE;
  alert.finding.wire = WIRE_NONE;
  alert.finding.source.family = FAMILY_NONE;
  alert.finding.reason = "stalled";
  struct event event = tell(&alert, LANGUAGE_JAPANESE);
  ck_assert_ptr_null(strstr(event.message, "領域外"));
  ck_assert_ptr_null(strstr(event.what_to_do, "- の"));
  ck_assert_ptr_null(event.interface);
}
END_TEST

START_TEST(a_storm_names_no_single_machine) {
  struct alert alert = alert_of(FINDING_CROSSING);
  alert.scope = ALERT_PAIR;
  alert.finding.source.family = FAMILY_NONE;
  ck_assert_ptr_nonnull(strstr(tell(&alert, LANGUAGE_JAPANESE).what_to_do, "多数 の機器"));
  ck_assert_ptr_null(strchr(texts.message, '*'));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("report");
  TCase *all = tcase_create("all");
  tcase_add_checked_fixture(all, set_up, tear_down);
  tcase_add_loop_test(all, every_kind_has_words_in_both_languages, 0, FINDING_KIND_COUNT_);
  tcase_add_test(all, a_bypass_names_the_wire_by_its_own_zone);
  tcase_add_test(all, the_last_record_says_that_it_ended);
  tcase_add_test(all, a_watchman_who_slept_names_no_wire);
  tcase_add_test(all, a_storm_names_no_single_machine);
  suite_add_tcase(suite, all);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
