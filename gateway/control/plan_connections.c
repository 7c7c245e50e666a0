/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <stdlib.h>
#include <time.h>

#include "control/plan_parts.h"
#include "policy/decide.h"
#include "rules/compile.h"

/*
 * Theory of operation. Most connections carry the mark of a flow that stays in force: one look into a sorted array
 * passes them over. The others are judged as the kernel would judge them again, by what opened them, under the old
 * policy and under the new one. That costs as much as the policy has flows, so there is an end to it.
 */
enum { CLOCK_EVERY = 64 };

struct marked {
  uint32_t mark;
  const struct flow *flow;
};

/* The flows in force of one side, by mark. */
struct in_force {
  struct marked *items;
  size_t count;
};

struct judging {
  const struct plan_question *question;
  struct in_force before, after;
  struct plan_effect effect;
  uint64_t end; /* milliseconds of CLOCK_MONOTONIC */
  uint64_t judged;
  uint64_t *cut, *opened; /* counts by index of the flow of before, of after; one behind: no flow */
};

static uint64_t now_milliseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- marks ---- */

static int compare_marked(const void *left, const void *right) {
  const struct marked *a = left, *b = right;
  if (a->mark != b->mark) {
    return a->mark < b->mark ? -1 : 1;
  }
  return a->flow->index < b->flow->index ? -1 : a->flow->index > b->flow->index;
}

static int find_in_force(const struct plan_side *side, struct instant now, struct arena *arena, struct in_force *list) {
  size_t count = side->policy ? side->policy->flow_count : 0;
  uint32_t *marks = NULL;
  list->items = ARENA_ARRAY(arena, count + 1, struct marked);
  if (!list->items || (side->policy && flow_marks(side->policy, arena, &marks) < 0)) {
    return -ENOMEM;
  }
  for (size_t i = 0; i < count; i++) {
    const struct flow *flow = &side->policy->flows[i];
    if (restricted_flow_force(side->policy, side->restrictions, flow, now, NULL) == FORCE_YES &&
        !restrictions_cut_zones(side->restrictions, side->policy, flow->from_zone, flow->to_zone)) {
      list->items[list->count++] = (struct marked){marks[i], flow};
    }
  }
  qsort(list->items, list->count, sizeof *list->items, compare_marked);
  return 0;
}

static const struct flow *flow_of_mark(const struct in_force *list, uint32_t mark) {
  size_t low = 0, high = list->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (list->items[middle].mark < mark) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low < list->count && list->items[low].mark == mark ? list->items[low].flow : NULL;
}

/* ---- judging ---- */

/* Both sides have said that they have done, or one of them has given up: the kernel only waits to forget it. */
static bool is_over(const struct connection *connection) {
  return connection->protocol == PROTOCOL_TCP &&
         (connection->tcp_state == TCP_CONNTRACK_LAST_ACK || connection->tcp_state == TCP_CONNTRACK_TIME_WAIT ||
          connection->tcp_state == TCP_CONNTRACK_CLOSE);
}

static struct packet opener_of(const struct connection *connection) {
  const struct connection_tuple *tuple = &connection->original;
  bool icmp = connection->protocol == PROTOCOL_ICMP || connection->protocol == PROTOCOL_ICMPV6;
  return (struct packet){.source = tuple->source,
                         .destination = tuple->destination,
                         .protocol = connection->protocol,
                         .source_port = icmp ? 0 : tuple->source_port,
                         .destination_port = icmp ? 0 : tuple->destination_port,
                         .icmp_type = tuple->icmp_type,
                         .icmp_code = tuple->icmp_code,
                         .tcp_flags = connection->protocol == PROTOCOL_TCP ? TCP_SYN : 0};
}

static bool is_own(const struct judging *judging, const struct address *address) {
  return judging->question->own && address_set_contains(judging->question->own, address);
}

static struct decision decide(const struct judging *judging, const struct plan_side *side,
                              const struct packet *packet) {
  if (!side->policy) {
    return (struct decision){.allow = false};
  }
  const struct circumstances circumstances = {
      .now = judging->question->now, .own = judging->question->own, .restrictions = side->restrictions};
  const struct query query = {.packet = *packet,
                              .in_zone =
                                  is_own(judging, &packet->source)
                                      ? ZONE_GATEWAY
                                      : policy_zone_of_address(side->policy, judging->question->own, &packet->source),
                              .out_zone = is_own(judging, &packet->destination) ? ZONE_GATEWAY : ZONE_NONE,
                              .role = ROLE_OPENS};
  return policy_decide(side->policy, &circumstances, &query);
}

static bool in_time(struct judging *judging) {
  if (judging->judged++ % CLOCK_EVERY != 0) {
    return judging->end > 0;
  }
  if (judging->end > 0 && now_milliseconds() > judging->end) {
    judging->end = 0;
  }
  return judging->end > 0;
}

static void note(struct plan_connections *list, const struct connection *connection, const struct flow *flow,
                 uint64_t *counts, size_t without_flow) {
  list->count++;
  counts[flow ? flow->index : without_flow]++;
  if (list->example_count < PLAN_EXAMPLE_LIMIT) {
    list->examples[list->example_count++] = (struct plan_connection){connection, flow};
  }
}

/* What passes a connection on one side: the flow that it belongs to, else what covers its opener. */
static bool passes(const struct judging *judging, const struct plan_side *side, const struct flow *belongs_to,
                   const struct packet *opener, const struct flow **ret_flow) {
  struct decision decision = {.allow = true, .flow = belongs_to};
  if (!belongs_to) {
    decision = decide(judging, side, opener);
  }
  *ret_flow = decision.flow;
  return decision.allow;
}

static void judge(struct judging *judging, const struct connection *connection) {
  const struct plan_side *before = &judging->question->before, *after = &judging->question->after;
  const struct flow *old = connection->mark != 0 ? flow_of_mark(&judging->before, connection->mark) : NULL;
  const struct flow *new = connection->mark != 0 ? flow_of_mark(&judging->after, connection->mark) : NULL;
  if (old && new) {
    return;
  }
  if (!in_time(judging)) {
    judging->effect.unjudged++;
    return;
  }
  struct packet opener = opener_of(connection);
  bool passed = passes(judging, before, old, &opener, &old), will_pass = passes(judging, after, new, &opener, &new);
  if (passed && !will_pass) {
    note(&judging->effect.cut, connection, old, judging->cut, before->policy->flow_count);
  } else if (!passed && will_pass) {
    note(&judging->effect.opened, connection, new, judging->opened, after->policy->flow_count);
  }
}

/* ---- tallies ---- */

static int most_first(const void *left, const void *right) {
  const struct plan_tally *a = left, *b = right;
  if (a->count != b->count) {
    return a->count > b->count ? -1 : 1;
  }
  return a->flow && b->flow ? (a->flow->index > b->flow->index) - (a->flow->index < b->flow->index)
                            : (a->flow == NULL) - (b->flow == NULL);
}

static int make_tallies(const struct policy *policy, const uint64_t *counts, struct arena *arena,
                        struct plan_connections *list) {
  size_t flow_count = policy ? policy->flow_count : 0;
  list->tallies = ARENA_ARRAY(arena, flow_count + 1, struct plan_tally);
  if (!list->tallies) {
    return -ENOMEM;
  }
  for (size_t i = 0; i <= flow_count; i++) {
    if (counts[i] > 0) {
      list->tallies[list->tally_count++] = (struct plan_tally){i < flow_count ? &policy->flows[i] : NULL, counts[i]};
    }
  }
  qsort(list->tallies, list->tally_count, sizeof *list->tallies, most_first);
  return 0;
}

static int prepare(struct judging *judging, struct arena *arena) {
  const struct plan_question *question = judging->question;
  size_t before = question->before.policy ? question->before.policy->flow_count : 0;
  size_t after = question->after.policy ? question->after.policy->flow_count : 0;
  judging->cut = ARENA_ARRAY(arena, before + 1, uint64_t);
  judging->opened = ARENA_ARRAY(arena, after + 1, uint64_t);
  judging->effect.cut.examples = ARENA_ARRAY(arena, PLAN_EXAMPLE_LIMIT, struct plan_connection);
  judging->effect.opened.examples = ARENA_ARRAY(arena, PLAN_EXAMPLE_LIMIT, struct plan_connection);
  if (!judging->cut || !judging->opened || !judging->effect.cut.examples || !judging->effect.opened.examples) {
    return -ENOMEM;
  }
  int result = find_in_force(&question->before, question->now, arena, &judging->before);
  return result < 0 ? result : find_in_force(&question->after, question->now, arena, &judging->after);
}

int plan_judge_connections(const struct plan_question *question, const struct connection_list *connections,
                           struct arena *arena, struct plan_effect *ret_effect) {
  struct judging judging = {.question = question, .end = now_milliseconds() + PLAN_JUDGE_MILLISECONDS};
  int result = prepare(&judging, arena);
  if (result < 0) {
    return result;
  }
  for (size_t i = 0; i < connections->count; i++) {
    if (!is_over(&connections->items[i])) {
      judging.effect.total++;
      judge(&judging, &connections->items[i]);
    }
  }
  result = make_tallies(question->before.policy, judging.cut, arena, &judging.effect.cut);
  if (result == 0) {
    result = make_tallies(question->after.policy, judging.opened, arena, &judging.effect.opened);
  }
  if (result == 0) {
    *ret_effect = judging.effect;
  }
  return result;
}
