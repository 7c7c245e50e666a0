/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <string.h>

#include "control/controller_parts.h"
#include "policy/packet.h"

/* A plan as kido.plan/1. */
enum { FLOW_LIMIT = 1000, RANGE_LIMIT = 64, SERVICE_TEXT_SIZE = 40 };

/* ---- boxes ---- */

static json_t *set_to_json(const struct address_set *set) {
  json_t *array = json_array();
  for (size_t i = 0; i < set->count && i < RANGE_LIMIT; i++) {
    char text[RANGE_TEXT_SIZE];
    json_array_append_new(array, json_string(range_format(&set->ranges[i], text)));
  }
  if (set->count > RANGE_LIMIT) {
    json_array_append_new(array, json_string("..."));
  }
  return array;
}

static const char *service_text(const struct plan_service *service, char text[static SERVICE_TEXT_SIZE]) {
  static const struct {
    uint8_t protocol;
    const char *name;
  } names[] = {{PROTOCOL_TCP, "tcp"}, {PROTOCOL_UDP, "udp"}, {PROTOCOL_ICMP, "icmp"}, {PROTOCOL_ICMPV6, "icmpv6"}};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    if (names[i].protocol == service->protocol) {
      if (service->first == service->last) {
        snprintf(text, SERVICE_TEXT_SIZE, "%s/%u", names[i].name, service->first);
      } else {
        snprintf(text, SERVICE_TEXT_SIZE, "%s/%u-%u", names[i].name, service->first, service->last);
      }
      return text;
    }
  }
  snprintf(text, SERVICE_TEXT_SIZE, "proto/%u", service->protocol);
  return text;
}

static json_t *services_to_json(const struct plan_box *box) {
  json_t *array = json_array();
  for (size_t i = 0; i < box->service_count && i < RANGE_LIMIT; i++) {
    char text[SERVICE_TEXT_SIZE];
    json_array_append_new(array, json_string(service_text(&box->services[i], text)));
  }
  if (box->service_count > RANGE_LIMIT) {
    json_array_append_new(array, json_string("..."));
  }
  return array;
}

static json_t *boxes_to_json(const struct plan_box *boxes, size_t count) {
  json_t *array = json_array();
  for (size_t i = 0; i < count; i++) {
    json_array_append_new(array, json_pack("{s:o, s:o, s:o}", "source", set_to_json(&boxes[i].source), "destination",
                                           set_to_json(&boxes[i].destination), "service", services_to_json(&boxes[i])));
  }
  return array;
}

/* ---- flows ---- */

static json_t *ends_to_json(const struct endpoint *ends, size_t count, const struct policy *policy) {
  json_t *array = json_array();
  for (size_t i = 0; i < count && i < RANGE_LIMIT; i++) {
    const char *name = ends[i].kind == ENDPOINT_HOST ? ends[i].host->name : policy_zone_name(policy, ends[i].zone);
    json_array_append_new(array, ends[i].kind == ENDPOINT_ZONE ? json_sprintf("zone:%s", name) : json_string(name));
  }
  return array;
}

static json_t *force_to_json(const struct controller *controller, const struct flow *flow, enum force_state state,
                             struct instant until) {
  return flow ? json_pack("{s:s, s:o}", "state", force_state_name(state), "until",
                          controller_instant_to_json(controller, until))
              : json_null();
}

static json_t *flow_to_json(const struct controller *controller, const struct plan_question *question,
                            const struct plan_flow *change) {
  const struct plan_side *side = change->after ? &question->after : &question->before;
  const struct policy *policy = side->policy;
  const struct flow *flow = change->after ? change->after : change->before;
  if (!flow) {
    return NULL;
  }
  bool renamed = change->kind == PLAN_RENAMED && change->before;
  return json_pack("{s:s, s:s, s:s?, s:s, s:s, s:o, s:o, s:o, s:o, s:b, s:b, s:o, s:o, s:s?}", "flow", flow->name,
                   "kind", plan_flow_kind_name(change->kind), "before_name", renamed ? change->before->name : NULL,
                   "from_zone", policy_zone_name(policy, flow->from_zone), "to_zone",
                   policy_zone_name(policy, flow->to_zone), "from", ends_to_json(flow->from, flow->from_count, policy),
                   "to", ends_to_json(flow->to, flow->to_count, policy), "opened",
                   boxes_to_json(change->opened, change->opened_count), "closed",
                   boxes_to_json(change->closed, change->closed_count), "times_differ", change->retimed,
                   "limit_differs", change->relimited, "before",
                   force_to_json(controller, change->before, change->force_before, change->until_before), "after",
                   force_to_json(controller, change->after, change->force_after, change->until_after), "purpose",
                   flow->purpose.text);
}

static json_t *flows_to_json(const struct controller *controller, const struct plan_question *question,
                             const struct plan *plan) {
  json_t *array = json_array();
  for (size_t i = 0; i < plan->flow_count && i < FLOW_LIMIT; i++) {
    json_array_append_new(array, flow_to_json(controller, question, &plan->flows[i]));
  }
  return array;
}

static json_t *counts_to_json(const struct plan *plan) {
  json_int_t counts[PLAN_FLOW_KIND_COUNT_] = {0};
  json_t *object = json_object();
  for (size_t i = 0; i < plan->flow_count; i++) {
    counts[plan->flows[i].kind]++;
  }
  for (int kind = 0; kind < PLAN_FLOW_KIND_COUNT_; kind++) {
    json_object_set_new(object, plan_flow_kind_name((enum plan_flow_kind)kind), json_integer(counts[kind]));
  }
  return object;
}

/* ---- zones, hosts, keys ---- */

static json_t *node_to_json(const char *what, const struct plan_node *node) {
  json_t *keys = json_array();
  for (size_t i = 0; i < node->key_count; i++) {
    json_array_append_new(keys, json_string(node->keys[i]));
  }
  return json_pack("{s:s, s:s, s:o}", what, node->name, "kind",
                   !node->before  ? "added"
                   : !node->after ? "removed"
                                  : "changed",
                   "keys", keys);
}

static json_t *nodes_to_json(const char *what, const struct plan_node *nodes, size_t count) {
  json_t *array = json_array();
  for (size_t i = 0; i < count && i < FLOW_LIMIT; i++) {
    json_array_append_new(array, node_to_json(what, &nodes[i]));
  }
  return array;
}

static json_t *header_to_json(const struct plan *plan) {
  json_t *keys = json_array();
  for (size_t i = 0; i < plan->header.key_count; i++) {
    json_array_append_new(keys, json_string(plan->header.keys[i]));
  }
  return keys;
}

/* ---- connections ---- */

static json_t *connection_to_json(const struct plan_connection *live) {
  const struct connection *connection = live->connection;
  const struct connection_tuple *tuple = &connection->original;
  char source[ADDRESS_TEXT_SIZE], destination[ADDRESS_TEXT_SIZE];
  bool icmp = connection->protocol == PROTOCOL_ICMP || connection->protocol == PROTOCOL_ICMPV6;
  return json_pack("{s:s?, s:i, s:s, s:o, s:s, s:o, s:o, s:I}", "flow", live->flow ? live->flow->name : NULL,
                   "protocol", (int)connection->protocol, "src", address_format(&tuple->source, source), "sport",
                   icmp ? json_null() : json_integer(tuple->source_port), "dst",
                   address_format(&tuple->destination, destination), "dport",
                   icmp ? json_null() : json_integer(tuple->destination_port), "icmp_type",
                   icmp ? json_integer(tuple->icmp_type) : json_null(), "bytes",
                   (json_int_t)connection->bytes[0] + (json_int_t)connection->bytes[1]);
}

static json_t *connections_to_json(const struct plan_connections *list) {
  json_t *flows = json_array(), *examples = json_array();
  for (size_t i = 0; i < list->tally_count && i < FLOW_LIMIT; i++) {
    json_array_append_new(flows,
                          json_pack("{s:s?, s:I}", "flow", list->tallies[i].flow ? list->tallies[i].flow->name : NULL,
                                    "count", (json_int_t)list->tallies[i].count));
  }
  for (size_t i = 0; i < list->example_count; i++) {
    json_array_append_new(examples, connection_to_json(&list->examples[i]));
  }
  return json_pack("{s:I, s:o, s:o}", "count", (json_int_t)list->count, "flows", flows, "connections", examples);
}

static json_t *effect_to_json(const struct plan_effect *effect) {
  return json_pack("{s:I, s:o, s:o, s:I}", "total", (json_int_t)effect->total, "cut", connections_to_json(&effect->cut),
                   "opened", connections_to_json(&effect->opened), "unjudged", (json_int_t)effect->unjudged);
}

/* ---- the whole ---- */

static json_t *policy_to_json(const struct policy *policy) {
  return policy ? json_pack("{s:s?, s:s}", "number", policy->header.number.text, "sha256", policy->sha256)
                : json_null();
}

static json_t *lockout_to_json(enum lockout lockout, enum language language) {
  return lockout == LOCKOUT_NONE
             ? json_null()
             : json_pack("{s:s, s:s}", "kind", lockout_name(lockout), "message", lockout_message(lockout, language));
}

json_t *controller_plan_to_json(const struct controller *controller, const struct plan_question *question,
                                const struct plan *plan, const struct plan_effect *effect, enum lockout lockout,
                                enum language language) {
  return json_pack("{s:s, s:b, s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s}", "schema", "kido.plan/1",
                   "ok", true, "equal", plan->equal, "same_text", plan->same_text, "before",
                   policy_to_json(question->before.policy), "after", policy_to_json(question->after.policy), "counts",
                   counts_to_json(plan), "flows", flows_to_json(controller, question, plan), "zones",
                   nodes_to_json("zone", plan->zones, plan->zone_count), "hosts",
                   nodes_to_json("host", plan->hosts, plan->host_count), "policy_keys", header_to_json(plan),
                   "connections", effect_to_json(effect), "lockout", lockout_to_json(lockout, language), "language",
                   language == LANGUAGE_JAPANESE ? "ja" : "en");
}
