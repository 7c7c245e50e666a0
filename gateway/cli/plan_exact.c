/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/plan_exact.h"

#include <string.h>

#include "cli/box_print.h"
#include "cli/published.h"
#include "control/approval.h"
#include "control/box_json.h"
#include "policy/read.h"

enum { BOXES_SHOWN = 30 };

static const struct policy *read_published(const struct invocation *invocation, const struct published *published) {
  struct diagnostic_list diagnostics;
  const struct policy *policy = NULL;
  diagnostic_list_init(&diagnostics, invocation->arena, invocation->language);
  bool good = published->text && policy_read_text("policy", published->text, strlen(published->text), invocation->arena,
                                                  false, &policy, &diagnostics, NULL) == 0;
  return good && diagnostics.errors == 0 && !diagnostics.out_of_memory ? policy : NULL;
}

bool plan_exact_find(const struct invocation *invocation, const struct policy *policy, struct plan_exact *ret_exact) {
  struct published published;
  struct plan_exact exact = {.after = policy};
  if (published_read(invocation, &published) < 0 || !(exact.before = read_published(invocation, &published))) {
    return false;
  }
  const struct restrictions *held = published_restrictions_of(invocation, &published, exact.before);
  struct restrictions remaining = held ? *held : (struct restrictions){0};
  bool trial = remaining.flow_deadlines != NULL;
  remaining.flow_deadlines = remaining.within_deadlines = NULL; /* those of a trial are of its policy alone */
  const struct exact_side before = {.policy = exact.before, .restrictions = held};
  const struct exact_side after = {.policy = policy, .restrictions = &remaining};
  diagnostic_list_init(&exact.approvals, invocation->arena, invocation->language);
  if (exact_compare(&before, &after, NULL, invocation->now, WHEN_FROM_NOW_ON, invocation->arena, &exact.difference) <
          0 ||
      (!trial && approval_check(exact.before, policy, invocation->now, &exact.approvals) < 0)) {
    return false;
  }
  *ret_exact = exact;
  return true;
}

void plan_exact_to_json(const struct plan_exact *exact, json_t *plan) {
  const struct exact_difference *difference = exact ? &exact->difference : NULL;
  json_object_set_new(plan, "opened",
                      exact ? boxes_to_json(exact->after, difference->opened, difference->opened_count) : json_null());
  json_object_set_new(plan, "closed",
                      exact ? boxes_to_json(exact->before, difference->closed, difference->closed_count) : json_null());
  json_object_set_new(plan, "complete", exact ? json_boolean(difference->complete) : json_null());
  json_object_set_new(plan, "approvals", exact ? diagnostics_to_json(&exact->approvals) : json_null());
}

static void print_part(const struct invocation *invocation, const struct plan_exact *exact, bool opened,
                       enum language language) {
  const struct exact_box *boxes = opened ? exact->difference.opened : exact->difference.closed;
  size_t count = opened ? exact->difference.opened_count : exact->difference.closed_count;
  const char *colour = opened ? "\033[31m" : "\033[32m"; /* what opens is what needs a look */
  const struct box_page page = {.invocation = invocation,
                                .policy = opened ? exact->after : exact->before,
                                .language = language,
                                .sign = opened ? "+" : "-",
                                .colour = invocation->colour_output ? colour : ""};
  if (count == 0) {
    return;
  }
  printf("\n%s\n",
         opened ? language_choose(language, "全体として新しく通るパケット", "packets that pass anew, all in all")
                : language_choose(language, "全体として通らなくなるパケット", "packets that pass no more, all in all"));
  box_print_all(&page, boxes, count < BOXES_SHOWN ? count : BOXES_SHOWN);
  if (count > BOXES_SHOWN) {
    printf(language_choose(language, "ほか %zu 件 (--json ですべて)\n", "and %zu more (--json has them)\n"),
           count - BOXES_SHOWN);
  }
}

void plan_exact_print(const struct invocation *invocation, const struct plan_exact *exact, enum language language) {
  struct diagnostic_list approvals = exact->approvals;
  print_part(invocation, exact, true, language);
  print_part(invocation, exact, false, language);
  if (!exact->difference.complete) {
    printf("%s\n", language_choose(language, "違いが多すぎるため、すべては示していません",
                                   "there is more than is shown here: too much of it differs"));
  }
  if (approvals.count > 0) {
    printf("\n%s\n", language_choose(language, "このままでは apply は拒まれます", "as it is, apply would refuse it"));
    fflush(stdout);
    invocation_print_diagnostics(invocation, &approvals);
  }
}
