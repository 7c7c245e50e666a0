/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two policies compared by what they let pass, not by their text. */
#include "base/text.h"
#include "cli/box_print.h"
#include "cli/verb.h"
#include "control/box_json.h"
#include "proof/exact.h"

struct two_policies {
  const struct invocation *invocation;
  struct policy_reading old, new;
  enum language language;
};

/* An invalid policy means nothing: it is neither equal to another one nor different. */
static int read_side(const struct invocation *invocation, size_t argument, struct policy_reading *ret_reading) {
  int code = invocation_read_valid_policy(invocation, invocation->arguments[argument], ret_reading);
  if (code != EXIT_CODE_NO)
    return code;
  const char *file = text_escape(invocation->arena, invocation->arguments[argument]);
  invocation_complain(invocation, "%s に誤りがあるため比較できません", "%s has errors, so there is no comparison",
                      file != NULL ? file : "");
  return EXIT_CODE_NO_ANSWER;
}

static bool is_equal(const struct exact_difference *difference) {
  return difference->equal && difference->retimed_count == 0;
}

static json_t *difference_to_json(const struct two_policies *policies, const struct exact_difference *difference) {
  return json_pack("{s:s, s:b, s:o, s:o, s:o, s:b}", "schema", "kido.diff/1", "equal", is_equal(difference), "opened",
                   boxes_to_json(policies->new.policy, difference->opened, difference->opened_count), "closed",
                   boxes_to_json(policies->old.policy, difference->closed, difference->closed_count), "retimed",
                   boxes_to_json(policies->new.policy, difference->retimed, difference->retimed_count), "complete",
                   difference->complete);
}

/* One kind of change. What opens is what needs a look, so it is red. */
struct part {
  const char *japanese, *english, *sign, *colour;
};
static const struct part OPENED = {"新しく許可される通信", "newly allowed", "+", "\033[31m"};
static const struct part CLOSED = {"新しく拒否される通信", "newly denied", "-", "\033[32m"};
static const struct part RETIMED = {"許可される期間、時間帯、上限が変わる通信",
                                    "allowed at other times or within other limits", "~", "\033[33m"};

static void print_part(const struct two_policies *policies, const struct part *part, const struct policy *policy,
                       const struct exact_box *boxes, size_t count) {
  const struct box_page page = {.invocation = policies->invocation,
                                .policy = policy,
                                .language = policies->language,
                                .sign = part->sign,
                                .colour = part->colour};
  if (count == 0)
    return;
  printf("%s\n", language_choose(policies->language, part->japanese, part->english));
  box_print_all(&page, boxes, count);
}

static void print_difference(const struct two_policies *policies, const struct exact_difference *difference) {
  const struct policy *old = policies->old.policy, *new = policies->new.policy;
  if (is_equal(difference))
    printf("%s\n", language_choose(policies->language, "等しい: どのパケットの判定も変わりません",
                                   "equal: no packet is judged otherwise"));
  print_part(policies, &OPENED, new, difference->opened, difference->opened_count);
  print_part(policies, &CLOSED, old, difference->closed, difference->closed_count);
  print_part(policies, &RETIMED, new, difference->retimed, difference->retimed_count);
}

static int answer(const struct two_policies *policies, const struct exact_difference *difference) {
  const struct invocation *invocation = policies->invocation;
  bool any = difference->opened_count + difference->closed_count + difference->retimed_count != 0;
  int code = is_equal(difference) ? EXIT_CODE_YES : any ? EXIT_CODE_NO : EXIT_CODE_NO_ANSWER;
  if (!difference->complete)
    invocation_complain(invocation, "違いが多すぎるため、すべては示していません",
                        "there is more than is shown here: too much of it differs");
  if (invocation->json)
    return invocation_print_json(invocation, difference_to_json(policies, difference), code);
  print_difference(policies, difference);
  return invocation_finish(invocation, code);
}

int verb_diff(const struct invocation *invocation) {
  struct two_policies policies = {.invocation = invocation};
  if (invocation->policy_file != NULL)
    return invocation_usage(invocation, "diff は比べる二つのポリシーを引数に取り、--policy は使いません",
                            "diff takes the two policies as arguments, not --policy");
  int code = read_side(invocation, 0, &policies.old);
  if (code == EXIT_CODE_YES)
    code = read_side(invocation, 1, &policies.new);
  if (code != EXIT_CODE_YES)
    return code;
  policies.language = policies.new.diagnostics.language;
  const struct exact_side before = {.policy = policies.old.policy}, after = {.policy = policies.new.policy};
  struct exact_difference difference;
  if (exact_compare(&before, &after, NULL, invocation->now, WHEN_FROM_NOW_ON, invocation->arena, &difference) < 0) {
    invocation_complain(invocation, "メモリが足りません", "out of memory");
    return EXIT_CODE_NO_ANSWER;
  }
  return answer(&policies, &difference);
}
