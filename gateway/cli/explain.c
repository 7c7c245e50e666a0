/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/explain.h"

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

const char *explain_sentence(const struct question *question, const struct query *query,
                             const struct decision *decision) {
  struct arena *arena = question->invocation->arena;
  const char *verdict = decision->allow ? language_choose(question->language, "許可", "allow")
                                        : language_choose(question->language, "拒否", "deny");
  zone_index from = query->in_zone;
  const char *text = arena_printf(
      arena, "%s: %s → %s %s%s — %s", verdict, end_text(question, &question->source, from),
      end_text(question, &question->destination, decision->to_zone), service_argument_text(&question->service, arena),
      question->role == ROLE_REPLY      ? language_choose(question->language, " の応答", " reply")
      : question->role == ROLE_ORIGINAL ? language_choose(question->language, " の続き", " later packet")
                                        : "",
      reason_label(decision->reason, question->language));
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
