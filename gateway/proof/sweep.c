/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proof/sweep.h"

#include <errno.h>

static bool is_own(const struct sweep_question *question, const struct address *address) {
  return question->own != NULL && address_set_contains(question->own, address);
}

static struct query query_of(const struct sweep_question *question, const struct sweep_connection *connection) {
  return (struct query){
      .packet = {.source = connection->source,
                 .destination = connection->destination,
                 .protocol = connection->protocol,
                 .source_port = connection->source_port,
                 .destination_port = connection->destination_port,
                 .icmp_type = connection->icmp_type,
                 .icmp_code = connection->icmp_code,
                 .tcp_flags = connection->protocol == PROTOCOL_TCP ? TCP_SYN : 0},
      .in_zone = is_own(question, &connection->source)
                     ? ZONE_GATEWAY
                     : policy_zone_of_address(question->policy, question->own, &connection->source),
      .out_zone = is_own(question, &connection->destination) ? ZONE_GATEWAY : ZONE_NONE,
      .role = ROLE_OPENS,
  };
}

/* What one flow alone allows the whole policy allows too: most connections are done with a look at their own. */
static struct decision decide(const struct sweep_question *question, const struct sweep_connection *connection) {
  const struct query query = query_of(question, connection);
  const struct circumstances circumstances = {
      .now = question->now, .own = question->own, .restrictions = question->restrictions};
  struct policy alone = *question->policy;
  struct flow flow;
  if (connection->flow != NULL) {
    flow = *connection->flow;
    alone.flows = &flow;
    alone.flow_count = 1;
    struct decision decision = policy_decide(&alone, &circumstances, &query);
    if (decision.allow) {
      decision.flow = connection->flow;
      return decision;
    }
  }
  return policy_decide(question->policy, &circumstances, &query);
}

/* The guard looks at every packet, whatever connection it belongs to. */
static bool is_of_guard(enum reason reason) {
  return reason >= REASON_SPECIAL_SOURCE && reason <= REASON_UNKNOWN_ZONE;
}

static bool joins(const struct flow *flow, zone_index from, zone_index to) {
  return (flow->from_zone == from && flow->to_zone == to) || (flow->from_zone == to && flow->to_zone == from);
}

static bool still_passes(const struct sweep_question *question, const struct sweep_connection *connection,
                         const struct decision *decision) {
  const struct flow *flow = connection->flow;
  return flow != NULL && !is_of_guard(decision->reason) && joins(flow, decision->from_zone, decision->to_zone) &&
         restricted_flow_force(question->policy, question->restrictions, flow, question->now, NULL) == FORCE_YES &&
         !restrictions_cut_zones(question->restrictions, question->policy, flow->from_zone, flow->to_zone);
}

int sweep_find(const struct sweep_question *question, const struct sweep_connection *connections, size_t count,
               struct arena *arena, struct sweep_finding **ret_findings, size_t *ret_count) {
  struct sweep_finding *findings = NULL;
  size_t found = 0, capacity = 0;
  for (size_t i = 0; i < count; i++) {
    const struct sweep_connection *connection = &connections[i];
    if (is_own(question, &connection->source) && is_own(question, &connection->destination)) {
      continue;
    }
    struct decision decision = decide(question, connection);
    if (decision.allow) {
      continue;
    }
    if (arena_grow(arena, (void **)&findings, found, &capacity, sizeof(*findings)) < 0) {
      return -ENOMEM;
    }
    findings[found++] = (struct sweep_finding){
        .connection = i,
        .from = decision.from_zone,
        .to = decision.to_zone,
        .flow = connection->flow,
        .decision = decision,
        .passes = still_passes(question, connection, &decision),
    };
  }
  *ret_findings = findings;
  *ret_count = found;
  return 0;
}
