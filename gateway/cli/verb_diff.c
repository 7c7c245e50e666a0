/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two policies compared by what they let pass, not by their text. */
#include "base/text.h"
#include "cli/box_print.h"
#include "cli/verb.h"
#include "control/box_json.h"
#include "proof/exact.h"

#define RED "\033[31m"
#define GREEN "\033[32m"

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

static json_t *difference_to_json(const struct two_policies *policies, const struct exact_difference *difference) {
  return json_pack("{s:s, s:b, s:o, s:o, s:b}", "schema", "kido.diff/1", "equal", difference->equal, "opened",
                   boxes_to_json(policies->new.policy, difference->opened, difference->opened_count), "closed",
                   boxes_to_json(policies->old.policy, difference->closed, difference->closed_count), "complete",
                   difference->complete);
}

static void print_part(const struct two_policies *policies, bool opened, const struct exact_box *boxes, size_t count) {
  const char *title = opened ? language_choose(policies->language, "新しく許可される通信", "newly allowed")
                             : language_choose(policies->language, "新しく拒否される通信", "newly denied");
  const struct box_page page = {.invocation = policies->invocation,
                                .policy = opened ? policies->new.policy : policies->old.policy,
                                .language = policies->language,
                                .sign = opened ? "+" : "-",
                                .colour = opened ? RED : GREEN}; /* what opens is what needs a look */
  if (count == 0)
    return;
  printf("%s\n", title);
  box_print_all(&page, boxes, count);
}

static void print_difference(const struct two_policies *policies, const struct exact_difference *difference) {
  if (difference->equal)
    printf("%s\n", language_choose(policies->language, "等しい: どのパケットの判定も変わりません",
                                   "equal: no packet is judged otherwise"));
  print_part(policies, true, difference->opened, difference->opened_count);
  print_part(policies, false, difference->closed, difference->closed_count);
}

static int answer(const struct two_policies *policies, const struct exact_difference *difference) {
  const struct invocation *invocation = policies->invocation;
  bool any = difference->opened_count + difference->closed_count != 0;
  int code = difference->equal ? EXIT_CODE_YES : any ? EXIT_CODE_NO : EXIT_CODE_NO_ANSWER;
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
