/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/sweeping.h"

#include <errno.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <stdlib.h>

#include "control/packet_json.h"
#include "rules/compile.h"

/* A flow by the mark of its connections. */
struct marked {
  uint32_t mark;
  const struct flow *flow;
};

struct marks {
  struct marked *items; /* by mark, then by place in the file */
  size_t count;
};

static int compare_marked(const void *left, const void *right) {
  const struct marked *a = left, *b = right;
  if (a->mark != b->mark) {
    return a->mark < b->mark ? -1 : 1;
  }
  return a->flow->index < b->flow->index ? -1 : a->flow->index > b->flow->index;
}

static int sort_marks(const struct policy *policy, struct arena *arena, struct marks *ret_marks) {
  uint32_t *marks = NULL;
  struct marked *items = ARENA_ARRAY(arena, policy->flow_count + 1, struct marked);
  if (items == NULL || flow_marks(policy, arena, &marks) < 0) {
    return -ENOMEM;
  }
  for (size_t i = 0; i < policy->flow_count; i++) {
    items[i] = (struct marked){marks[i], &policy->flows[i]};
  }
  qsort(items, policy->flow_count, sizeof(*items), compare_marked);
  *ret_marks = (struct marks){items, policy->flow_count};
  return 0;
}

static const struct flow *flow_of(const struct marks *marks, uint32_t mark) {
  size_t low = 0, high = marks->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (marks->items[middle].mark < mark) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low < marks->count && marks->items[low].mark == mark ? marks->items[low].flow : NULL;
}

/* Both sides have said that they have done, or one has given up: the kernel only waits to forget it. */
static bool is_over(const struct connection *connection) {
  return connection->protocol == PROTOCOL_TCP &&
         (connection->tcp_state == TCP_CONNTRACK_LAST_ACK || connection->tcp_state == TCP_CONNTRACK_TIME_WAIT ||
          connection->tcp_state == TCP_CONNTRACK_CLOSE);
}

static struct sweep_connection to_judge(const struct connection *connection, const struct marks *marks) {
  const struct connection_tuple *tuple = &connection->original;
  bool icmp = connection->protocol == PROTOCOL_ICMP || connection->protocol == PROTOCOL_ICMPV6;
  return (struct sweep_connection){
      .protocol = connection->protocol,
      .source = tuple->source,
      .destination = tuple->destination,
      .source_port = icmp ? 0 : tuple->source_port,
      .destination_port = icmp ? 0 : tuple->destination_port,
      .icmp_type = tuple->icmp_type,
      .icmp_code = tuple->icmp_code,
      .flow = flow_of(marks, connection->mark),
  };
}

int sweeping_judge(const struct sweep_question *question, const struct connection_list *connections,
                   struct arena *arena, struct sweeping *ret_sweeping) {
  struct marks marks;
  struct connection *items = ARENA_ARRAY(arena, connections->count + 1, struct connection);
  struct sweep_connection *judged = ARENA_ARRAY(arena, connections->count + 1, struct sweep_connection);
  struct sweep_finding *findings = NULL;
  struct sweeping sweeping = {.all.items = items};
  if (items == NULL || judged == NULL || sort_marks(question->policy, arena, &marks) < 0) {
    return -ENOMEM;
  }
  for (size_t i = 0; i < connections->count; i++) {
    if (!is_over(&connections->items[i])) {
      judged[sweeping.all.count] = to_judge(&connections->items[i], &marks);
      items[sweeping.all.count++] = connections->items[i];
    }
  }
  if (sweep_find(question, judged, sweeping.all.count, arena, &findings, &sweeping.count) < 0) {
    return -ENOMEM;
  }
  for (size_t i = 0; i < sweeping.count; i++) {
    sweeping.passing += findings[i].passes;
  }
  sweeping.findings = findings;
  *ret_sweeping = sweeping;
  return 0;
}

int sweeping_take(const struct sweep_question *question, struct arena *arena, struct sweeping *ret_sweeping,
                  struct error *error) {
  struct connection_list connections = {0};
  int status = conntrack_read(arena, &connections, error);
  if (status < 0) {
    return status;
  }
  return sweeping_judge(question, &connections, arena, ret_sweeping) < 0
             ? error_set(error, ENOMEM, "no memory for the connections")
             : 0;
}

/* ---- as JSON ---- */

static json_t *finding_to_json(const struct sweeping *sweeping, const struct sweep_finding *finding,
                               const struct policy *policy) {
  const struct connection *connection = &sweeping->all.items[finding->connection];
  char source[ADDRESS_TEXT_SIZE], destination[ADDRESS_TEXT_SIZE];
  const struct flow *flow = finding->flow;
  return json_pack("{s:o, s:o, s:i, s:s, s:i, s:s, s:i, s:s?, s:s, s:b}", "from_zone",
                   zone_to_json(policy, finding->from), "to_zone", zone_to_json(policy, finding->to), "protocol",
                   connection->protocol, "src", address_format(&connection->original.source, source), "sport",
                   connection->original.source_port, "dst",
                   address_format(&connection->original.destination, destination), "dport",
                   connection->original.destination_port, "flow", flow != NULL ? flow->name : NULL, "reason",
                   reason_name(finding->decision.reason), "passes", finding->passes);
}

json_t *sweeping_to_json(const struct sweeping *sweeping, const struct policy *policy) {
  json_t *examples = json_array();
  for (size_t i = 0; i < sweeping->count && i < SWEEPING_EXAMPLE_LIMIT; i++) {
    json_array_append_new(examples, finding_to_json(sweeping, &sweeping->findings[i], policy));
  }
  return json_pack("{s:I, s:I, s:I, s:o}", "looked", (json_int_t)sweeping->all.count, "found",
                   (json_int_t)sweeping->count, "passing", (json_int_t)sweeping->passing, "examples", examples);
}
