/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/proof_json.h"

#include <string.h>

#include "base/text.h"
#include "control/packet_json.h"
#include "policy/decide.h"

/* ---- rules and packets ---- */

/* Names that come from the kernel may hold any byte; JSON holds text. */
static const char *text_of(const char *name, struct arena *arena) {
  const char *escaped = name ? text_escape(arena, name) : NULL;
  return escaped ? escaped : "";
}

static json_t *text_or_null(const char *name, struct arena *arena) {
  return name ? json_string(text_of(name, arena)) : json_null();
}

/* What a chain does where no rule decided. */
static const char *policy_text(const struct live_chain *chain) {
  return !chain->base ? "" : chain->policy_accept ? "policy accept" : "policy drop";
}

static json_t *rule_to_json(const struct live_chain *chain, const struct live_rule *rule, struct arena *arena) {
  if (!chain) {
    return json_null();
  }
  return json_pack("{s:s, s:s, s:s, s:o, s:s}", "family", live_family_name(chain->table->family), "table",
                   text_of(chain->table->name, arena), "chain", text_of(chain->name, arena), "handle",
                   rule ? json_integer((json_int_t)rule->handle) : json_null(), "text",
                   text_of(rule ? live_rule_text(rule, arena) : policy_text(chain), arena));
}

static zone_index zone_of(const struct policy *policy, const char *interface) {
  return interface ? policy_zone_of_interface(policy, interface) : ZONE_NONE;
}

static struct packet_way way_of(const struct policy *policy, const struct situation *situation, struct arena *arena) {
  bool in = situation->in && situation->path != PATH_OUTPUT, out = situation->out && situation->path != PATH_INPUT;
  return (struct packet_way){
      .from = situation->path == PATH_OUTPUT ? ZONE_GATEWAY : zone_of(policy, situation->in),
      .to = situation->path == PATH_INPUT ? ZONE_GATEWAY : zone_of(policy, situation->out),
      .in = in ? text_of(situation->in, arena) : NULL,
      .out = out ? text_of(situation->out, arena) : NULL,
  };
}

static json_t *frame_to_json(const struct counterexample *example) {
  static const char digits[] = "0123456789abcdef";
  char text[2 * sizeof example->frame + 1];
  size_t length = example->frame_length <= sizeof example->frame ? example->frame_length : 0;
  for (size_t i = 0; i < length; i++) {
    text[2 * i] = digits[example->frame[i] >> 4];
    text[2 * i + 1] = digits[example->frame[i] & 0xf];
  }
  return length == 0 ? json_null() : json_stringn(text, 2 * length);
}

static const char *verdict_text(bool allow) {
  return allow ? "allow" : "deny";
}

/* The opener stands the other way round when the packet is a reply. */
static json_t *opener_to_json(const struct policy *policy, const struct counterexample *example, struct arena *arena) {
  enum situation_tracking tracking = example->situation.tracking;
  if (tracking == TRACKING_OPENS || tracking == TRACKING_INVALID || tracking == TRACKING_UNTRACKED) {
    return json_null();
  }
  struct packet_way way = way_of(policy, &example->situation, arena);
  bool turned = tracking == TRACKING_REPLY || tracking == TRACKING_RELATED_REPLY;
  struct packet_way opener = turned ? (struct packet_way){way.to, way.from, way.out, way.in} : way;
  return packet_to_json(policy, &opener, &example->opener);
}

/* The prover speaks the language of the policy; two languages on one page help nobody. */
static const char *message_of(const struct proof_view *view, const struct counterexample *example,
                              struct arena *arena) {
  return view->language == view->policy->header.language ? text_of(example->message, arena) : "";
}

static json_t *example_to_json(const struct proof_view *view, const struct counterexample *example,
                               struct arena *arena) {
  const struct policy *policy = view->policy;
  struct packet_way way = way_of(policy, &example->situation, arena);
  json_t *object = packet_to_json(policy, &way, &example->packet);
  json_t *more = json_pack(
      "{s:s, s:s, s:o, s:o, s:s, s:s, s:s, s:s, s:s?, s:o, s:I, s:I, s:i, s:o, s:s}", "policy",
      verdict_text(example->policy.allow), "kernel", verdict_text(example->kernel_allows), "rule",
      rule_to_json(example->chain, example->rule, arena), "at", place_to_json(&example->place), "claim",
      proof_claim_name(example->claim), "state", situation_tracking_name(example->situation.tracking), "reason",
      reason_name(example->policy.reason), "reason_text", reason_label(example->policy.reason, view->language), "flow",
      example->flow ? example->flow->name : NULL, "opener", opener_to_json(policy, example, arena), "mark",
      (json_int_t)example->connection_mark, "status", (json_int_t)example->connection_status, "tcp_flags",
      (int)example->packet.tcp_flags, "frame", frame_to_json(example), "message", message_of(view, example, arena));
  if (!object || !more || json_object_update(object, more) < 0) {
    json_decref(object);
    object = NULL;
  }
  json_decref(more);
  return object;
}

/* ---- lists ---- */

static json_t *pairs_to_json(const struct proof_view *view) {
  json_t *array = json_array();
  for (size_t i = 0; i < view->proof->pair_count; i++) {
    const struct proof_pair *pair = &view->proof->pairs[i];
    json_array_append_new(array, json_pack("{s:o, s:o, s:s, s:I}", "from_zone", zone_to_json(view->policy, pair->from),
                                           "to_zone", zone_to_json(view->policy, pair->to), "result",
                                           proof_result_name(pair->result), "nodes", (json_int_t)pair->nodes));
  }
  return array;
}

static json_t *examples_to_json(const struct proof_view *view, struct arena *arena) {
  json_t *array = json_array();
  for (size_t i = 0; i < view->proof->counterexample_count; i++) {
    json_array_append_new(array, example_to_json(view, &view->proof->counterexamples[i], arena));
  }
  return array;
}

static json_t *bypass_to_json(const struct proof_view *view, const struct bypass *bypass, struct arena *arena) {
  static const char *const states[] = {
      [BYPASS_OPEN] = "open", [BYPASS_UNKNOWN] = "unknown", [BYPASS_ASSUMED] = "assumed"};
  return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o}", "kind", bypass->kind, "detail", text_of(bypass->detail, arena),
                   "state", states[bypass->state], "left", zone_to_json(view->policy, bypass->left), "right",
                   zone_to_json(view->policy, bypass->right), "rule", rule_to_json(bypass->chain, bypass->rule, arena));
}

/* assumed: those that were not looked at; else the others. */
static json_t *bypasses_to_json(const struct proof_view *view, bool assumed, struct arena *arena) {
  json_t *array = json_array();
  for (size_t i = 0; i < view->proof->bypass_count && json_array_size(array) < PROOF_LIST_LIMIT; i++) {
    const struct bypass *bypass = &view->proof->bypasses[i];
    if ((bypass->state == BYPASS_ASSUMED) == assumed) {
      json_array_append_new(array, bypass_to_json(view, bypass, arena));
    }
  }
  return array;
}

/* A table, a chain or a rule, whichever it is. */
static json_t *gap_place_to_json(const struct proof_gap *gap, struct arena *arena) {
  if (gap->chain) {
    return rule_to_json(gap->chain, gap->rule, arena);
  }
  return json_pack("{s:s?, s:o, s:n, s:n, s:s}", "family", gap->table ? live_family_name(gap->table->family) : NULL,
                   "table", text_or_null(gap->table ? gap->table->name : NULL, arena), "chain", "handle", "text", "");
}

static json_t *gap_to_json(const struct proof_view *view, const struct proof_gap *gap, struct arena *arena) {
  json_t *object = gap_place_to_json(gap, arena);
  if (object) {
    json_object_set_new(object, "why", json_string(text_of(gap->why, arena)));
    json_object_set_new(object, "from_zone", zone_to_json(view->policy, gap->from));
    json_object_set_new(object, "to_zone", zone_to_json(view->policy, gap->to));
  }
  return object;
}

static json_t *gaps_to_json(const struct proof_view *view, struct arena *arena) {
  json_t *array = json_array();
  for (size_t i = 0; i < view->proof->gap_count && i < PROOF_LIST_LIMIT; i++) {
    json_array_append_new(array, gap_to_json(view, &view->proof->gaps[i], arena));
  }
  return array;
}

static json_t *conditions_to_json(const struct proof_view *view, struct arena *arena) {
  json_t *array = json_array();
  for (size_t i = 0; i < view->proof->condition_count && i < PROOF_LIST_LIMIT; i++) {
    const struct proof_condition *condition = &view->proof->conditions[i];
    const struct unknown *unknown = condition->unknown;
    json_array_append_new(array, json_pack("{s:s?, s:o, s:o, s:o, s:o, s:o}", "what", unknown ? unknown->what : NULL,
                                           "from_zone", zone_to_json(view->policy, condition->from), "to_zone",
                                           zone_to_json(view->policy, condition->to), "table",
                                           text_or_null(unknown ? unknown->table : NULL, arena), "chain",
                                           text_or_null(unknown ? unknown->chain : NULL, arena), "handle",
                                           unknown ? json_integer((json_int_t)unknown->rule) : json_null()));
  }
  return array;
}

static json_t *claims_to_json(const struct proof *proof) {
  json_t *object = json_object();
  for (int claim = 0; claim < CLAIM_COUNT_; claim++) {
    json_object_set_new(object, proof_claim_name((enum proof_claim)claim),
                        json_string(proof_result_name(proof->claims[claim])));
  }
  return object;
}

static size_t beyond(size_t count) {
  return count > PROOF_LIST_LIMIT ? count - PROOF_LIST_LIMIT : 0;
}

static json_t *more_to_json(const struct proof *proof) {
  return json_pack("{s:I, s:I, s:I}", "bypasses", (json_int_t)beyond(proof->bypass_count), "unmodelled",
                   (json_int_t)beyond(proof->gap_count), "conditions", (json_int_t)beyond(proof->condition_count));
}

/* ---- the whole ---- */

/* The keys that need a proof, or the same keys with nothing in them. */
static json_t *add_proof(json_t *object, const struct proof_view *view, struct arena *arena) {
  const struct proof *proof = view->proof;
  json_t *examples = proof ? examples_to_json(view, arena) : json_array();
  json_t *first = json_array_get(examples, 0);
  json_object_set_new(object, "pairs", proof ? pairs_to_json(view) : json_array());
  json_object_set_new(object, "counterexample", first ? json_incref(first) : json_null());
  json_object_set_new(object, "bypasses", proof ? bypasses_to_json(view, false, arena) : json_array());
  json_object_set_new(object, "unmodelled", proof ? gaps_to_json(view, arena) : json_array());
  json_object_set_new(object, "claims", proof ? claims_to_json(proof) : json_null());
  json_object_set_new(object, "counterexamples", examples);
  json_object_set_new(object, "conditions", proof ? conditions_to_json(view, arena) : json_array());
  json_object_set_new(object, "assumptions", proof ? bypasses_to_json(view, true, arena) : json_array());
  json_object_set_new(object, "more", proof ? more_to_json(proof) : json_null());
  json_object_set_new(object, "nodes", proof ? json_integer((json_int_t)proof->nodes) : json_null());
  return object;
}

static json_t *restrictions_to_counts(const struct restrictions *restrictions) {
  static const struct restrictions none = {0};
  const struct restrictions *held = restrictions ? restrictions : &none;
  return json_pack("{s:I, s:I, s:b, s:b}", "cuts", (json_int_t)held->cut_count, "closed_windows",
                   (json_int_t)held->closed_window_count, "clock_doubtful", held->clock_doubtful, "trial",
                   held->flow_deadlines != NULL);
}

static json_t *add_origin(json_t *object, const struct proof_view *view, struct arena *arena) {
  const struct snapshot *snapshot = view->snapshot;
  const struct policy *policy = view->policy;
  char at[INSTANT_TEXT_SIZE];
  if (policy) {
    instant_format(policy->header.timezone, view->now, at);
  }
  json_object_set_new(object, "policy_number",
                      policy && policy->header.number.text ? json_string(policy->header.number.text) : json_null());
  json_object_set_new(object, "policy_source", json_string(view->source));
  json_object_set_new(object, "restrictions", restrictions_to_counts(view->restrictions));
  json_object_set_new(object, "gate", json_string(view->gate_closed ? "closed" : "open"));
  json_object_set_new(object, "offline", json_boolean(view->offline));
  json_object_set_new(object, "network_namespace",
                      snapshot && snapshot->network_namespace ? json_integer((json_int_t)snapshot->network_namespace)
                                                              : json_null());
  json_object_set_new(object, "boot", snapshot && snapshot->boot[0] ? json_string(snapshot->boot) : json_null());
  json_object_set_new(object, "at", policy ? json_string(at) : json_null());
  json_object_set_new(object, "milliseconds", json_integer((json_int_t)view->milliseconds));
  json_object_set_new(object, "message", text_or_null(view->message, arena));
  json_object_set_new(object, "language", json_string(view->language == LANGUAGE_JAPANESE ? "ja" : "en"));
  return object;
}

json_t *proof_to_json(const struct proof_view *view, struct arena *arena) {
  const struct proof *proof = view->proof;
  json_t *object = json_pack("{s:s, s:s, s:s?, s:o}", "schema", "kido.verify/1", "result",
                             proof_result_name(proof ? proof->result : PROOF_UNDECIDED), "policy_sha256",
                             view->policy ? view->policy->sha256 : NULL, "kernel_generation",
                             view->snapshot ? json_integer((json_int_t)view->snapshot->generation) : json_null());
  return object ? add_origin(add_proof(object, view, arena), view, arena) : NULL;
}
