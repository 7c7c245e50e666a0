/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "control/lockout.h"
#include "policy/read.h"
#include "sample_town.h"

static const char NOON[] = "2026-11-24T12:00:00+09:00";

static struct arena *arena;
static const struct policy *town;
static char *text;

static const struct policy *read_policy(const char *source, size_t size) {
  struct diagnostic_list diagnostics;
  struct error error = {0};
  const struct policy *policy = NULL;
  diagnostic_list_init(&diagnostics, arena, LANGUAGE_ENGLISH);
  ck_assert_msg(policy_read_text("town", source, size, arena, false, &policy, &diagnostics, &error) == 0, "%s",
                error.message);
  ck_assert_ptr_nonnull(policy);
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

/* The town with one text in place of another, wherever it stands. */
static const struct policy *changed(const char *from, const char *to) {
  char *result = arena_alloc(arena, 1 << 21), *end = result;
  const char *rest = text;
  ck_assert_ptr_nonnull(strstr(rest, from));
  for (const char *hit = strstr(rest, from); hit; hit = strstr(rest, from)) {
    end += sprintf(end, "%.*s%s", (int)(hit - rest), rest, to);
    rest = hit + strlen(from);
  }
  end += sprintf(end, "%s", rest);
  return read_policy(result, (size_t)(end - result));
}

static struct address address(const char *written) {
  struct address result;
  ck_assert(address_parse(written, &result));
  return result;
}

static struct instant noon(void) {
  struct instant result;
  bool without_offset;
  ck_assert(instant_parse(NOON, &result, &without_offset));
  return result;
}

static struct operator_way way(const char *from, unsigned port) {
  return (struct operator_way){.known = true,
                               .operator_address = address(from),
                               .gateway_address = address("10.199.0.1"),
                               .operator_port = 50022,
                               .gateway_port = (uint16_t)port};
}

static enum lockout judge(struct lockout_side before, struct lockout_side after, struct operator_way by) {
  struct address_range own_range = {address("10.199.0.1"), address("10.199.0.1")};
  struct address_set own;
  ck_assert_int_eq(address_set_build(arena, &own_range, 1, &own), 0);
  return lockout_judge(
      &(struct lockout_question){.before = before, .after = after, .way = by, .own = &own, .now = noon()});
}

static const char SSH_ENDS[] = "from = \"g-adm\"; to = \"gateway\"; services = [ \"tcp/22\" ];";

START_TEST(the_same_policy_locks_nobody_out) {
  ck_assert_int_eq(judge((struct lockout_side){town, NULL}, (struct lockout_side){town, NULL}, way("10.199.0.20", 22)),
                   LOCKOUT_NONE);
}
END_TEST

START_TEST(the_last_way_in_for_management_is_not_taken_away) {
  const struct policy *without = changed(SSH_ENDS, "from = \"gateway\"; to = \"g-adm\"; services = [ \"tcp/22\" ];");
  ck_assert_int_eq(
      judge((struct lockout_side){town, NULL}, (struct lockout_side){without, NULL}, (struct operator_way){0}),
      LOCKOUT_LAST_WAY_IN);
}
END_TEST

START_TEST(a_policy_that_never_had_a_way_in_takes_none_away) {
  const struct policy *without = changed(SSH_ENDS, "from = \"gateway\"; to = \"g-adm\"; services = [ \"tcp/22\" ];");
  ck_assert_int_eq(
      judge((struct lockout_side){without, NULL}, (struct lockout_side){without, NULL}, (struct operator_way){0}),
      LOCKOUT_NONE);
  ck_assert_int_eq(
      judge((struct lockout_side){NULL, NULL}, (struct lockout_side){without, NULL}, (struct operator_way){0}),
      LOCKOUT_NONE);
}
END_TEST

START_TEST(the_connection_of_the_operator_is_not_cut) {
  const struct policy *moved = changed(SSH_ENDS, "from = \"g-adm\"; to = \"gateway\"; services = [ \"tcp/2222\" ];");
  struct lockout_side before = {town, NULL}, after = {moved, NULL};
  ck_assert_int_eq(judge(before, after, (struct operator_way){0}), LOCKOUT_NONE);
  ck_assert_int_eq(judge(before, after, way("10.199.0.20", 22)), LOCKOUT_CONNECTION);
  ck_assert_int_eq(judge(before, after, way("10.199.0.20", 2222)), LOCKOUT_NONE);
}
END_TEST

START_TEST(a_connection_that_does_not_come_by_the_gate_is_not_its_matter) {
  const struct policy *moved = changed(SSH_ENDS, "from = \"g-adm\"; to = \"gateway\"; services = [ \"tcp/2222\" ];");
  struct lockout_side before = {town, NULL}, after = {moved, NULL};
  ck_assert_int_eq(judge(before, after, way("192.0.2.7", 22)), LOCKOUT_NONE);
  ck_assert_int_eq(judge(before, after, way("10.199.0.10", 22)), LOCKOUT_NONE);
}
END_TEST

START_TEST(an_emergency_cut_can_lock_out) {
  struct cut host = {.id = 1, .kind = CUT_HOST, .address = address("10.199.0.20"), .by = "", .why = ""};
  struct cut pair = {.id = 1, .kind = CUT_PAIR, .zone = "mgmt", .other_zone = "gateway", .by = "", .why = ""};
  struct cut all = {.id = 1, .kind = CUT_ALL, .by = "", .why = ""};
  struct restrictions by_host = {.cuts = &host, .cut_count = 1};
  struct restrictions by_pair = {.cuts = &pair, .cut_count = 1};
  struct restrictions by_all = {.cuts = &all, .cut_count = 1};
  struct lockout_side before = {town, NULL};
  ck_assert_int_eq(judge(before, (struct lockout_side){town, &by_host}, way("10.199.0.20", 22)), LOCKOUT_CONNECTION);
  ck_assert_int_eq(judge(before, (struct lockout_side){town, &by_host}, way("10.199.0.21", 22)), LOCKOUT_NONE);
  ck_assert_int_eq(judge(before, (struct lockout_side){town, &by_pair}, way("10.199.0.21", 22)), LOCKOUT_LAST_WAY_IN);
  ck_assert_int_eq(judge(before, (struct lockout_side){town, &by_all}, way("10.199.0.21", 22)), LOCKOUT_NONE);
}
END_TEST

START_TEST(an_expired_way_in_is_none) {
  const struct policy *expired =
      changed(SSH_ENDS, "from = \"g-adm\"; to = \"gateway\"; services = [ \"tcp/22\" ]; expires = \"2026-11-01\";");
  ck_assert_int_eq(
      judge((struct lockout_side){town, NULL}, (struct lockout_side){expired, NULL}, (struct operator_way){0}),
      LOCKOUT_LAST_WAY_IN);
}
END_TEST

START_TEST(a_request_tells_the_way_or_nothing) {
  struct control_request request = {0};
  ck_assert(!operator_way_of(&request).known);
  request.operator_address = (struct control_address){2, {10, 199, 0, 20}};
  ck_assert_msg(!operator_way_of(&request).known, "half a connection");
  request.gateway_address = (struct control_address){2, {10, 199, 0, 1}};
  request.operator_port = 50022;
  request.gateway_port = 22;
  struct operator_way by = operator_way_of(&request);
  struct address expected = address("10.199.0.20");
  ck_assert(by.known && address_equal(&by.operator_address, &expected));
  ck_assert_uint_eq(by.gateway_port, 22);
  request.gateway_address.family = 10;
  ck_assert_msg(!operator_way_of(&request).known, "two families");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("lockout");
  TCase *cases = tcase_create("lockout");
  tcase_add_checked_fixture(cases, set_up, tear_down);
  tcase_add_test(cases, the_same_policy_locks_nobody_out);
  tcase_add_test(cases, the_last_way_in_for_management_is_not_taken_away);
  tcase_add_test(cases, a_policy_that_never_had_a_way_in_takes_none_away);
  tcase_add_test(cases, the_connection_of_the_operator_is_not_cut);
  tcase_add_test(cases, a_connection_that_does_not_come_by_the_gate_is_not_its_matter);
  tcase_add_test(cases, an_emergency_cut_can_lock_out);
  tcase_add_test(cases, an_expired_way_in_is_none);
  tcase_add_test(cases, a_request_tells_the_way_or_nothing);
  suite_add_tcase(suite, cases);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
