/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/check_exact.h"

#include <string.h>

#include "control/box_json.h"
#include "proof/exact.h"

struct exact_check {
  const struct invocation *invocation;
  const struct policy *policy;
  struct diagnostic_list *diagnostics;
  size_t known; /* diagnostics that were there before */
};

static bool is_told(const struct exact_check *check, const char *code, const char *subject, const struct place *place) {
  for (size_t i = 0; i < check->known; i++) {
    const struct diagnostic *found = &check->diagnostics->items[i];
    if (strcmp(found->code, code) == 0 && strcmp(found->subject, subject) == 0 && found->place.line == place->line)
      return true;
  }
  return false;
}

/* With its column, for which the file is read again: not for thousands. */
static struct place place_of(const struct exact_check *check, struct place place, const char *token) {
  enum { POINTED_AT = 100 };
  return check->diagnostics->count - check->known < POINTED_AT ? place_of_token(place, token) : place;
}

/* ---- flows ---- */

static const char *names_of(const struct exact_check *check, const struct flow_use *use) {
  const char *names = use->by[0]->name;
  for (size_t i = 1; i < use->by_count && names != NULL; i++)
    names = arena_printf(check->invocation->arena, "%s, %s", names, use->by[i]->name);
  return names != NULL ? names : "";
}

static void tell_covered(const struct exact_check *check, const struct flow *flow, const struct flow_use *use) {
  struct diagnostic_list *list = check->diagnostics;
  struct diagnostic *found = diagnostic_add(
      list, SEVERITY_WARNING, "W05", place_of(check, flow->place, flow->name), flow->name,
      use->by_count == 1
          ? "この通信のうちガードが通すものは、すべて通信 %s に含まれています。削除しても何も遮断されません"
          : "この通信はすべて、通信 %s を合わせたものに含まれています。削除しても何も遮断されません",
      use->by_count == 1 ? "what the guard lets pass of it lies wholly within flow '%s'; removing it would stop nothing"
                         : "the flows %s together cover all of it; removing it would stop nothing",
      names_of(check, use));
  diagnostic_hint(list, found, "要らないほうを削除するか、この通信だけを認めるつもりなら広いほうを絞ってください",
                  "take out what is not needed; if only this one is meant, narrow the wider ones");
  for (size_t i = 0; i < use->by_count; i++)
    diagnostic_relate(list, found, place_of(check, use->by[i]->place, use->by[i]->name), "この通信を含む %s",
                      "'%s' contains it, or a part of it", use->by[i]->name);
}

static void tell_idle(const struct exact_check *check, const struct flow *flow) {
  struct diagnostic *found =
      diagnostic_add(check->diagnostics, SEVERITY_WARNING, "W21", place_of(check, flow->place, flow->name), flow->name,
                     "この通信に当たるパケットは、ガードがすべて遮断します", "the guard denies every packet of it");
  diagnostic_hint(check->diagnostics, found,
                  "両端のアドレスを確かめてください（特殊用途、ブロードキャスト、ほかの領域のアドレスなど）",
                  "look at the addresses of its ends: special-purpose, broadcast, or of another zone");
}

static void tell_flow(const struct exact_check *check, const struct flow *flow, const struct flow_use *use) {
  if (use->worth == WORTH_SHADOWED || use->worth == WORTH_REDUNDANT)
    tell_covered(check, flow, use);
  else if (use->worth == WORTH_NEVER_MATCHES && !is_told(check, "W21", flow->name, &flow->place))
    tell_idle(check, flow);
}

/* Flows that were told to lie within another one: they are gone, as far as others are asked about. */
static bool *find_gone(const struct exact_check *check) {
  bool *gone = ARENA_ARRAY(check->invocation->arena, check->policy->flow_count + 1, bool);
  for (size_t i = 0; gone != NULL && i < check->known; i++) {
    const struct diagnostic *told = &check->diagnostics->items[i];
    const struct flow *flow = strcmp(told->code, "W05") == 0 ? policy_find_flow(check->policy, told->subject) : NULL;
    if (flow != NULL)
      gone[flow->index] = true;
  }
  return gone;
}

static bool check_flows(const struct exact_check *check) {
  struct flow_use *uses = NULL;
  bool complete = false, *gone = find_gone(check);
  if (gone == NULL ||
      exact_flow_use(check->policy, check->invocation->now, gone, check->invocation->arena, &uses, &complete) < 0)
    return false;
  for (size_t i = 0; i < check->policy->flow_count; i++)
    tell_flow(check, &check->policy->flows[i], &uses[i]);
  return complete;
}

/* ---- universal expectations ---- */

static bool is_asked(const struct expectation *expectation) {
  return expectation->valid && expectation->universal && !expectation->expect_allow;
}

static void tell_expectation(const struct exact_check *check, const struct expectation *expectation,
                             const struct exact_box *box) {
  char source[ADDRESS_TEXT_SIZE], destination[ADDRESS_TEXT_SIZE], service[BOX_SERVICE_SIZE];
  struct diagnostic *found = diagnostic_add(
      check->diagnostics, SEVERITY_ERROR, "E01", place_of(check, expectation->verdict_place, "deny"), expectation->name,
      "拒否を期待したが、%s から %s への %s は %s により通ります", "expected deny, but %s to %s, %s passes by %s",
      address_format(&box->example.source, source), address_format(&box->example.destination, destination),
      box_service_text(box, service), box->flow != NULL ? box->flow->name : "within");
  diagnostic_hint(check->diagnostics, found, "通してはならないなら通信を狭め、正しいなら期待を改めてください",
                  "narrow the flow if this must not pass, or correct the expectation");
}

static bool check_expectations(const struct exact_check *check, struct expectation_result *result) {
  const struct policy *policy = check->policy;
  struct exact_pair *pairs = ARENA_ARRAY(check->invocation->arena, policy->expectation_count + 1, struct exact_pair);
  size_t count = 0;
  if (pairs == NULL)
    return false;
  for (size_t i = 0; i < policy->expectation_count; i++)
    if (is_asked(&policy->expectations[i]))
      pairs[count++] =
          (struct exact_pair){.from = policy->expectations[i].from.zone, .to = policy->expectations[i].to.zone};
  if (count == 0)
    return true;
  if (exact_any_packet(policy, check->invocation->now, check->invocation->arena, pairs, count) < 0)
    return false;
  count = 0;
  for (size_t i = 0; i < policy->expectation_count; i++) {
    const struct expectation *expectation = &policy->expectations[i];
    if (!is_asked(expectation) || !pairs[count++].any ||
        is_told(check, "E01", expectation->name, &expectation->verdict_place))
      continue;
    tell_expectation(check, expectation, &pairs[count - 1].example);
    result->passed--;
    result->failed++;
  }
  return true;
}

bool check_exactly(const struct invocation *invocation, const struct policy *policy,
                   struct diagnostic_list *diagnostics, struct expectation_result *result) {
  const struct exact_check check = {invocation, policy, diagnostics, diagnostics->count};
  if (check_flows(&check) && check_expectations(&check, result))
    return true;
  invocation_complain(invocation, "通信が複雑すぎるため、重なりと無条件の期待をすべては確かめていません",
                      "the flows are too intricate: not all overlaps and universal expectations were looked at");
  return false;
}
