/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/explain.h"

#include "base/text.h"

static const char *end_text(const struct question *question, const struct end_argument *end, zone_index zone) {
  char address[ADDRESS_TEXT_SIZE];
  address_format(&end->address, address);
  const char *zone_name = policy_zone_name(question->policy, zone);
  const char *text = end->gateway ? "gateway"
                     : end->host != NULL
                         ? arena_printf(question->invocation->arena, "%s %s (%s)", end->host->name, address, zone_name)
                         : arena_printf(question->invocation->arena, "%s (%s)", address, zone_name);
  return text != NULL ? text : "";
}

/* " (cut 3: pair lgwan internet, since 2026-11-24T09:00:00+09:00, by suzuki: infected)" */
static const char *cut_text(const struct question *question, const struct cut *cut) {
  struct arena *arena = question->invocation->arena;
  char address[ADDRESS_TEXT_SIZE], at[INSTANT_TEXT_SIZE];
  if (cut == NULL)
    return "";
  const char *first = cut->kind == CUT_HOST ? address_format(&cut->address, address) : cut->zone;
  const char *what =
      arena_printf(arena, "%s%s%s%s%s", cut_kind_name(cut->kind), first != NULL ? " " : "", first != NULL ? first : "",
                   cut->other_zone != NULL ? " " : "", cut->other_zone != NULL ? cut->other_zone : "");
  const char *text = arena_printf(arena,
                                  language_choose(question->language, "（遮断 %llu: %s、%s から、操作 %s: %s）",
                                                  " (cut %llu: %s, since %s, by %s: %s)"),
                                  (unsigned long long)cut->id, what,
                                  instant_format(question->policy->header.timezone, cut->at, at), cut->by, cut->why);
  char *escaped = text != NULL ? text_escape(arena, text) : NULL;
  return escaped != NULL ? escaped : "";
}

const char *explain_sentence(const struct question *question, const struct query *query,
                             const struct decision *decision) {
  struct arena *arena = question->invocation->arena;
  const char *verdict = decision->allow ? language_choose(question->language, "許可", "allow")
                                        : language_choose(question->language, "拒否", "deny");
  zone_index from = query->in_zone;
  const char *text = arena_printf(
      arena, "%s: %s → %s %s%s — %s%s", verdict, end_text(question, &question->source, from),
      end_text(question, &question->destination, decision->to_zone), service_argument_text(&question->service, arena),
      question->role == ROLE_REPLY      ? language_choose(question->language, " の応答", " reply")
      : question->role == ROLE_ORIGINAL ? language_choose(question->language, " の続き", " later packet")
                                        : "",
      reason_label(decision->reason, question->language), cut_text(question, decision->cut));
  return text != NULL ? text : "";
}

static json_t *zone_or_null(const struct policy *policy, zone_index zone) {
  return zone == ZONE_NONE ? json_null() : json_string(policy_zone_name(policy, zone));
}

json_t *explain_to_json(const struct question *question, const struct decision *decision, const char *message) {
  const struct place *place = &decision->place;
  json_t *at =
      place->file != NULL ? json_pack("{s:s, s:I}", "file", place->file, "line", (json_int_t)place->line) : json_null();
  return json_pack("{s:s, s:s, s:s, s:s?, s:o, s:o, s:o, s:s}", "schema", "kido.explain/1", "verdict",
                   decision->allow ? "allow" : "deny", "reason", reason_name(decision->reason), "flow",
                   decision->flow != NULL ? decision->flow->name : NULL, "from_zone",
                   zone_or_null(question->policy, decision->from_zone), "to_zone",
                   zone_or_null(question->policy, decision->to_zone), "at", at, "message", message);
}
