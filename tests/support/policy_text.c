/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy_text.h"

#include <check.h>
#include <string.h>

#include "policy/read.h"

const struct policy *policy_of_text(struct arena *arena, const char *text) {
  struct diagnostic_list diagnostics;
  struct error error = {0};
  const struct policy *policy = NULL;
  diagnostic_list_init(&diagnostics, arena, LANGUAGE_ENGLISH);
  ck_assert_int_eq(policy_read_text("test", text, strlen(text), arena, true, &policy, &diagnostics, &error), 0);
  ck_assert_ptr_nonnull(policy);
  for (size_t i = 0; i < diagnostics.count; i++)
    ck_assert_msg(diagnostics.items[i].severity != SEVERITY_ERROR, "%s", diagnostics.items[i].message);
  return policy;
}

struct instant instant_of_text(const char *text) {
  struct instant result;
  bool without_offset;
  ck_assert_msg(instant_parse(text, &result, &without_offset), "%s", text);
  return result;
}
