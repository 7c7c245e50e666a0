/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/print.h"
#include "policy/read.h"
#include "policy/schema.h"

#define EXAMPLES KIDO_SOURCE_DIRECTORY "/config/examples/"

static struct arena *arena;

static void setup(void) {
  arena = arena_new(0);
}

static void teardown(void) {
  arena_free(arena);
}

static const struct policy *must_read(const char *text, size_t length) {
  struct diagnostic_list list;
  struct error error = {0};
  const struct policy *policy = NULL;
  diagnostic_list_init(&list, arena, LANGUAGE_ENGLISH);
  ck_assert_int_eq(policy_read_text("t", text, length, arena, true, &policy, &list, &error), 0);
  ck_assert_msg(list.errors == 0, "%u: %s", list.count ? list.items[0].place.line : 0,
                list.count ? list.items[0].message : "");
  return policy;
}

static const struct policy *must_read_file(const char *name) {
  struct diagnostic_list list;
  struct error error = {0};
  const struct policy *policy = NULL;
  diagnostic_list_init(&list, arena, LANGUAGE_ENGLISH);
  ck_assert_int_eq(policy_read(arena_printf(arena, EXAMPLES "%s", name), arena, true, &policy, &list, &error), 0);
  ck_assert_msg(list.errors == 0, "%s: %s", name, list.count ? list.items[0].message : "");
  return policy;
}

static const char *print(const struct policy *policy) {
  size_t length;
  const char *text = policy_print(policy, arena, &length);
  ck_assert_ptr_nonnull(text);
  ck_assert_uint_eq(strlen(text), length);
  return text;
}

/* A policy with one flow with these keys beside those that it must have. */
static const struct policy *with_keys(const char *keys) {
  const char *text = arena_printf(
      arena,
      "policy = { name = \"t\"; number = \"1\"; model = \"alpha\"; };\n"
      "zones = { a = { class = \"lgwan\"; networks = \"10.2.0.0/24\"; };\n"
      "b = { class = \"internet\"; networks = \"10.3.0.0/24\"; }; };\n"
      "hosts = { one = { zone = \"a\"; address = \"10.2.0.1\"; }; two = { zone = \"b\"; address = \"10.3.0.2\"; }; };\n"
      "services = { web = [ \"tcp/80\", \"tcp/443\" ]; };\n"
      "flows = { F = { from = \"one\"; to = \"two\"; method = \"screen\"; %s%s }; };",
      strstr(keys, "services") ? "" : "services = \"tcp/1\"; ", keys);
  return must_read(text, strlen(text));
}

static const char *const examples[] = {"town.conf", "full.conf", "minimal.conf"};

START_TEST(what_is_printed_prints_itself_again) {
  const struct policy *policy = must_read_file(examples[_i]);
  const char *once = print(policy);
  const struct policy *again = must_read(once, strlen(once));
  ck_assert_str_eq(print(again), once);
  ck_assert_str_eq(again->sha256, policy->sha256);
}
END_TEST

struct form_case {
  const char *written, *printed;
};

static const struct form_case form_cases[] = {
    {"services = [ \"https\" ];", "services = \"tcp/443\";"},
    {"services = ( \"tcp/443\", \"udp/443\" );", "services = \"tcp+udp/443\";"},
    {"services = \"udp+tcp/53\";", "services = \"tcp+udp/53\";"},
    {"services = [ \"udp/53\", \"tcp/53\" ];", "services = [ \"udp/53\", \"tcp/53\" ];"},
    {"services = [ \"web\", \"icmp/8\", \"ping6\" ];",
     "services = [ \"web\", \"icmp/echo-request\", \"icmpv6/echo-request\" ];"},
    {"services = \"tcp/80-80\";", "services = \"tcp/80\";"},
    {"services = \"ica\";", "services = [ \"tcp+udp/1494\", \"tcp+udp/2598\" ];"},
    {"services = \"proto/132\";", "services = \"proto/132\";"},
    {"expires = \"2027-03-31\";", "expires = \"2027-03-31\";"},
    {"expires = \"2027-03-31T15:00:00Z\";", "expires = \"2027-03-31\";"},
    {"expires = \"2027-03-31T12:30+09:00\";", "expires = \"2027-03-31T12:30:00+09:00\";"},
    {"expires = \"2027-03-31T03:30Z\";", "expires = \"2027-03-31T12:30:00+09:00\";"},
    {"hours = \"mon,tue,wed,fri 08:30-17:15\";", "hours = \"mon-wed,fri 08:30-17:15\";"},
    {"hours = \"sat-mon 22:00-24:00\";", "hours = \"mon,sat,sun 22:00-24:00\";"},
    {"hours = \"mon-sun 22:00-05:00\";", "hours = \"mon-sun 22:00-05:00\";"},
    {"limit = { connections = 0x10; new_per_second = 1; };", "limit = { new_per_second = 1; connections = 16; };"},
    {"shape = { up_bytes_per_minute = 2147483648; };", "shape = { up_bytes_per_minute = 2147483648L; };"},
    {"window = { end = \"2027-03-02\"; start = \"2027-03-01\"; attended = false; };",
     "window = ( { start = \"2027-03-01\"; end = \"2027-03-02\"; } );"},
    {"purpose = \"a \\\"b\\\" \\\\ \\x41 \\n\\t\";", "purpose = \"a \\\"b\\\" \\\\ A \\n\\t\";"},
    {"purpose = \"画面\" \"転送\";", "purpose = \"画面転送\";"},
    {"x_b = \"2\"; note = \"n\"; x_a = \"1\"; reason = \"r\";",
     "reason = \"r\";\n    note = \"n\";\n    x_b = \"2\";\n    x_a = \"1\";"},
    {"approval = { date = \"2026-04-01\"; by = \"x\"; };", "approval = { by = \"x\"; date = \"2026-04-01\"; };"},
    {"log = \"new\";", "log = \"new\";"},
};

START_TEST(a_value_has_one_canonical_form) {
  const struct form_case *c = &form_cases[_i];
  const char *text = print(with_keys(c->written));
  ck_assert_msg(strstr(text, c->printed) != NULL, "%s\nis printed as\n%s", c->written, text);
  ck_assert_str_eq(print(must_read(text, strlen(text))), text);
}
END_TEST

START_TEST(what_equals_its_default_is_left_out) {
  const char *text = print(with_keys("purpose = \" \"; note = \"\";"));
  static const char *const absent[] = {"purpose", "note",    "label",    "default_route", "within",
                                       "on_deny", "routers", "approval", "expect",        "mac_scope"};
  for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
    ck_assert_msg(!strstr(text, absent[i]), "%s in\n%s", absent[i], text);
  ck_assert_ptr_nonnull(strstr(text, "timezone = \"Asia/Tokyo\";"));
  ck_assert_ptr_nonnull(strstr(text, "language = \"ja\";"));
}
END_TEST

START_TEST(the_hash_is_that_of_the_meaning_and_not_of_the_layout) {
  const struct policy *policy = with_keys("services = \"https\"; owner = \"x\";");
  const struct policy *same = with_keys("/* rewritten */ owner = \"x\"; services = ( \"tcp/443\" );");
  const struct policy *other = with_keys("services = \"https\"; owner = \"y\";");
  ck_assert_str_eq(policy->sha256, same->sha256);
  ck_assert_str_ne(policy->sha256, other->sha256);
}
END_TEST

/* The name of a key in front of " = ". */
static bool mentions(const char *text, const char *key) {
  const char *assignment = arena_printf(arena, "%s = ", key);
  for (const char *at = text; (at = strstr(at, assignment)) != NULL; at++)
    if (at == text || strchr(" \n", at[-1]))
      return true;
  return false;
}

START_TEST(the_full_example_has_every_key) {
  const char *text = print(must_read_file("full.conf"));
  for (int id = 0; id < SECTION_COUNT_; id++) {
    const struct schema_section *section = schema_section((enum schema_section_id)id);
    for (size_t i = 0; i < section->key_count; i++)
      ck_assert_msg(mentions(text, section->keys[i].name), "%s.%s is not in full.conf", section->name,
                    section->keys[i].name);
  }
  for (size_t top = 0; top < TOP_COUNT_; top++)
    ck_assert_msg(mentions(text, schema_top(top)->name), "%s", schema_top(top)->name);
}
END_TEST

START_TEST(without_memory_nothing_is_printed) {
  const struct policy *policy = must_read_file("town.conf");
  struct arena *small = arena_new(4096);
  size_t length = 7;
  ck_assert_ptr_null(policy_print(policy, small, &length));
  ck_assert_uint_eq(length, 7);
  arena_free(small);
}
END_TEST

#define ROWS(table) ((int)(sizeof(table) / sizeof((table)[0])))

int main(void) {
  Suite *suite = suite_create("policy print");
  TCase *cases = tcase_create("canonical form");
  tcase_add_checked_fixture(cases, setup, teardown);
  tcase_add_loop_test(cases, what_is_printed_prints_itself_again, 0, ROWS(examples));
  tcase_add_loop_test(cases, a_value_has_one_canonical_form, 0, ROWS(form_cases));
  tcase_add_test(cases, what_equals_its_default_is_left_out);
  tcase_add_test(cases, the_hash_is_that_of_the_meaning_and_not_of_the_layout);
  tcase_add_test(cases, the_full_example_has_every_key);
  tcase_add_test(cases, without_memory_nothing_is_printed);
  suite_add_tcase(suite, cases);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
