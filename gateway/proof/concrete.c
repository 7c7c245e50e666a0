/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One packet through all hooks of its way.
 *
 * In each hook the base chains of all tables whose family fits stand in the order of their priorities. "accept" ends a
 * base chain and goes on with the next; "drop" is the end. Conntrack has its own place among them, before which rules
 * see no connection. Of base chains with equal priority the kernel asks the one that was registered last first, which a
 * listing does not show; so both orders are tried, and only where they differ it is said that nothing can be said.
 */
#include "proof/concrete.h"

#include <errno.h>
#include <limits.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

#include "proof/concrete_parts.h"

enum {
  DEPTH = 16,              /* jumps within jumps */
  RULES_AT_MOST = 1 << 20, /* a ruleset from a file may go in circles */
  PRIORITY_CONNTRACK = -200,
  PRIORITY_DEFRAGMENTATION = -400,
  HOOK_NETDEV_INGRESS = 0,
  HOOK_NETDEV_EGRESS = 1,
  HOOK_INET_INGRESS = 5,
  STAGES_AT_MOST = 5,
};

/* ---- the way of a packet ---- */

struct stage_fact {
  unsigned hook;
  bool in, out; /* interfaces that rules see */
};
static const struct stage_fact stage_facts[STAGE_COUNT_] = {
    [STAGE_INGRESS] = {HOOK_INET_INGRESS, true, false}, [STAGE_PREROUTING] = {NF_INET_PRE_ROUTING, true, false},
    [STAGE_INPUT] = {NF_INET_LOCAL_IN, true, false},    [STAGE_FORWARD] = {NF_INET_FORWARD, true, true},
    [STAGE_OUTPUT] = {NF_INET_LOCAL_OUT, false, true},  [STAGE_POSTROUTING] = {NF_INET_POST_ROUTING, true, true},
    [STAGE_EGRESS] = {UINT_MAX, false, true},
};

static const enum concrete_stage ways[][STAGES_AT_MOST + 1] = {
    [PATH_FORWARD] = {STAGE_INGRESS, STAGE_PREROUTING, STAGE_FORWARD, STAGE_POSTROUTING, STAGE_EGRESS, STAGE_COUNT_},
    [PATH_INPUT] = {STAGE_INGRESS, STAGE_PREROUTING, STAGE_INPUT, STAGE_COUNT_},
    [PATH_OUTPUT] = {STAGE_OUTPUT, STAGE_POSTROUTING, STAGE_EGRESS, STAGE_COUNT_},
};

static void enter_stage(struct concrete_machine *machine, enum concrete_stage stage) {
  const struct situation *situation = &machine->probe->situation;
  machine->stage = stage;
  machine->in = situation->in;
  machine->out = situation->out;
  machine->has_in = stage_facts[stage].in && situation->path != PATH_OUTPUT;
  machine->has_out = stage_facts[stage].out;
  machine->view = stage == STAGE_INGRESS                              ? &machine->early
                  : stage == STAGE_PREROUTING || stage == STAGE_INPUT ? &machine->arrived
                                                                      : &machine->leaving;
}

/* ---- which chains hang there ---- */

static bool family_fits(const struct concrete_machine *machine, unsigned family) {
  return family == NFPROTO_INET ||
         family == (machine->probe->situation.family == FAMILY_IPV6 ? NFPROTO_IPV6 : NFPROTO_IPV4);
}

static bool has_device(const struct live_chain *chain, const char *name) {
  for (size_t i = 0; name != NULL && i < chain->device_count; i++)
    if (strcmp(chain->devices[i], name) == 0)
      return true;
  return false;
}

static bool is_nat(const struct live_chain *chain) {
  return chain->type != NULL && strcmp(chain->type, "nat") == 0;
}

static bool hangs_here(const struct concrete_machine *machine, const struct live_table *table,
                       const struct live_chain *chain) {
  const struct situation *situation = &machine->probe->situation;
  if (!chain->base)
    return false;
  if (table->family == NFPROTO_NETDEV)
    return machine->stage == STAGE_INGRESS  ? chain->hook == HOOK_NETDEV_INGRESS && has_device(chain, situation->in)
           : machine->stage == STAGE_EGRESS ? chain->hook == HOOK_NETDEV_EGRESS && has_device(chain, situation->out)
                                            : false;
  if (machine->stage == STAGE_INGRESS)
    return table->family == NFPROTO_INET && chain->hook == HOOK_INET_INGRESS && has_device(chain, situation->in);
  return family_fits(machine, table->family) && chain->hook == stage_facts[machine->stage].hook;
}

struct hanging {
  const struct live_chain *chain;
  const struct live_table *table;
  int32_t priority, within; /* chains of type nat share one place among the others, and have an order of their own */
};

static int32_t place_of(const struct concrete_machine *machine, const struct live_chain *chain) {
  if (!is_nat(chain))
    return chain->priority;
  return machine->stage == STAGE_PREROUTING || machine->stage == STAGE_OUTPUT ? -100 : 100;
}

static int order_of(const struct hanging *left, const struct hanging *right) {
  if (left->priority != right->priority)
    return left->priority < right->priority ? -1 : 1;
  return left->within < right->within ? -1 : left->within > right->within;
}

/* Later ones first, among equals. */
static bool stands_before(struct concrete_machine *machine, const struct hanging *left, const struct hanging *right) {
  int order = order_of(left, right);
  if (order != 0)
    return order < 0;
  machine->ties = true;
  bool later = left->table == right->table ? left->chain->handle > right->chain->handle
                                           : left->table->handle > right->table->handle;
  return later != machine->reversed;
}

static void put_in_order(struct concrete_machine *machine, struct hanging *all, size_t count, struct hanging next) {
  size_t at = count;
  for (; at > 0 && stands_before(machine, &next, &all[at - 1]); at--)
    all[at] = all[at - 1];
  all[at] = next;
}

static int find_hanging(struct concrete_machine *machine, struct hanging **ret_all, size_t *ret_count) {
  struct hanging *all = NULL;
  size_t count = 0, capacity = 0;
  for (size_t i = 0; i < machine->ruleset->table_count; i++) {
    const struct live_table *table = &machine->ruleset->tables[i];
    for (size_t j = 0; !table->dormant && j < table->chain_count; j++) {
      const struct live_chain *chain = &table->chains[j];
      if (!hangs_here(machine, table, chain))
        continue;
      if (arena_grow(machine->arena, (void **)&all, count, &capacity, sizeof(*all)) < 0)
        return -ENOMEM;
      struct hanging next = {chain, table, place_of(machine, chain), is_nat(chain) ? chain->priority : 0};
      put_in_order(machine, all, count++, next);
    }
  }
  *ret_all = all;
  *ret_count = count;
  return 0;
}

/* ---- conntrack's place ---- */

static bool has_connection(enum situation_tracking tracking) {
  return tracking != TRACKING_INVALID && tracking != TRACKING_UNTRACKED;
}

/* A packet over the loopback interface has met conntrack when it was sent. */
static void meet_conntrack(struct concrete_machine *machine, int32_t priority) {
  const struct situation *situation = &machine->probe->situation;
  bool begins = machine->stage == STAGE_PREROUTING || machine->stage == STAGE_OUTPUT;
  bool loop = situation->path != PATH_OUTPUT && situation->in != NULL && strcmp(situation->in, "lo") == 0;
  if (machine->looked || machine->stage == STAGE_INGRESS)
    return;
  if (begins && priority == PRIORITY_CONNTRACK)
    machine->ties = true;
  if (begins && !loop && (machine->reversed ? priority <= PRIORITY_CONNTRACK : priority < PRIORITY_CONNTRACK))
    return;
  machine->looked = true;
  machine->connection = has_connection(situation->tracking) && !machine->untracked;
}

/* Conntrack puts fragments together wherever a rule asks about connections. */
static bool wakes_conntrack(const struct live_expression *expression) {
  switch (expression->kind) {
  case LIVE_CT:
  case LIVE_CT_SET:
  case LIVE_NOTRACK:
  case LIVE_CONNLIMIT:
  case LIVE_NAT:
  case LIVE_OTHER:
    return true;
  case LIVE_OBJECT_REFERENCE:
    return expression->operation != NFT_OBJECT_COUNTER && expression->operation != NFT_OBJECT_QUOTA &&
           expression->operation != NFT_OBJECT_LIMIT;
  default:
    return false;
  }
}

static bool asks_about_connections(const struct live_rule *rule) {
  for (size_t i = 0; i < rule->expression_count; i++)
    if (wakes_conntrack(&rule->expressions[i]))
      return true;
  return false;
}

static bool puts_fragments_together(const struct concrete_machine *machine) {
  if (!concrete_is_fragment(machine->probe))
    return false;
  for (size_t i = 0; i < machine->ruleset->table_count; i++) {
    const struct live_table *table = &machine->ruleset->tables[i];
    for (size_t j = 0; family_fits(machine, table->family) && j < table->chain_count; j++)
      for (size_t k = 0; k < table->chains[j].rule_count; k++)
        if (asks_about_connections(&table->chains[j].rules[k]))
          return true;
  }
  return false;
}

static void meet_defragmentation(struct concrete_machine *machine, int32_t priority) {
  if (machine->stage != STAGE_PREROUTING || machine->view == &machine->whole)
    return;
  if (priority == PRIORITY_DEFRAGMENTATION)
    machine->ties = true;
  if (machine->reversed ? priority <= PRIORITY_DEFRAGMENTATION : priority < PRIORITY_DEFRAGMENTATION)
    return;
  if (machine->untracked && machine->whole.packet != machine->arrived.packet)
    concrete_unknown(machine, "a fragment that is not tracked");
  machine->view = &machine->whole;
}

/* ---- chains ---- */

struct frame {
  const struct live_chain *chain;
  size_t next;
};

struct walker {
  struct frame stack[DEPTH];
  size_t depth;
  const struct live_chain *chain;
  size_t next; /* rule */
};

static int add_step(struct concrete_machine *machine, const struct concrete_step *step) {
  struct concrete_result *result = &machine->result;
  if (arena_grow(machine->arena, (void **)&result->steps, result->step_count, &machine->step_capacity,
                 sizeof(*result->steps)) < 0)
    return -ENOMEM;
  result->steps[result->step_count++] = *step;
  return 0;
}

static void enter_chain(struct concrete_machine *machine, struct walker *walker, const struct live_chain *chain) {
  walker->chain = chain;
  walker->next = 0;
  machine->chain = chain;
  machine->rule = NULL;
  if (chain->unmodelled != NULL)
    concrete_unknown(machine, chain->unmodelled);
}

/* Behind the last jump; false when there was none. */
static bool go_back(struct concrete_machine *machine, struct walker *walker) {
  if (walker->depth == 0)
    return false;
  walker->depth--;
  walker->chain = walker->stack[walker->depth].chain;
  walker->next = walker->stack[walker->depth].next;
  machine->chain = walker->chain;
  return true;
}

/* The end of one rule, or of a base chain. */
enum walk_end { WALK_ON, WALK_ACCEPT, WALK_DROP, WALK_END };

static enum walk_end give_up(struct concrete_machine *machine, const char *why) {
  return concrete_unknown(machine, why) == ANSWER_CONTINUE ? WALK_ACCEPT : WALK_DROP;
}

static enum walk_end follow(struct concrete_machine *machine, struct walker *walker,
                            const struct live_verdict *verdict) {
  switch (verdict->code) {
  case LIVE_ACCEPT:
    return WALK_ACCEPT;
  case LIVE_DROP:
    return WALK_DROP;
  case LIVE_RETURN:
    return go_back(machine, walker) ? WALK_ON : WALK_END;
  case LIVE_JUMP:
  case LIVE_GOTO:
    if (verdict->chain == NULL)
      return give_up(machine, "a chain that is not there");
    if (verdict->code == LIVE_JUMP && walker->depth == DEPTH)
      return give_up(machine, "more jumps within jumps than the kernel allows");
    if (verdict->code == LIVE_JUMP)
      walker->stack[walker->depth++] = (struct frame){walker->chain, walker->next};
    enter_chain(machine, walker, verdict->chain);
    return WALK_ON;
  default:
    return give_up(machine, "hands the packet to a program (queue)");
  }
}

static int walk_rule(struct concrete_machine *machine, struct walker *walker, enum walk_end *ret_end) {
  const struct live_rule *rule = &walker->chain->rules[walker->next++];
  struct concrete_step step = {.chain = walker->chain, .rule = rule};
  machine->rules_left--;
  enum concrete_answer answer = concrete_rule(machine, rule, &step.stopped_at);
  step.has_verdict = answer == ANSWER_VERDICT;
  if (step.has_verdict)
    step.verdict = machine->verdict;
  *ret_end = step.has_verdict ? follow(machine, walker, &step.verdict) : WALK_ON;
  return add_step(machine, &step);
}

static int walk_policy(struct concrete_machine *machine, const struct live_chain *chain, enum walk_end *ret_end) {
  struct concrete_step step = {.chain = chain, .has_verdict = true};
  step.verdict.code = chain->policy_accept ? LIVE_ACCEPT : LIVE_DROP;
  machine->chain = chain;
  machine->rule = NULL;
  *ret_end = chain->policy_accept ? WALK_ACCEPT : WALK_DROP;
  return add_step(machine, &step);
}

/* 0 or -ENOMEM; the result says what became of the packet. */
static int walk_base(struct concrete_machine *machine, const struct live_chain *base) {
  struct walker walker = {.depth = 0};
  enum walk_end end = WALK_ON;
  int error = 0;
  enter_chain(machine, &walker, base);
  while (end == WALK_ON && error == 0) {
    if (walker.next == walker.chain->rule_count)
      end = go_back(machine, &walker) ? WALK_ON : WALK_END;
    else if (machine->rules_left == 0)
      end = give_up(machine, "rules that do not end");
    else
      error = walk_rule(machine, &walker, &end);
  }
  if (end == WALK_END && error == 0)
    error = walk_policy(machine, base, &end);
  machine->result.accepted = end == WALK_ACCEPT;
  machine->result.chain = machine->chain;
  machine->result.rule = machine->rule;
  return error;
}

/* Chains of type nat are asked about the packet that opens a connection, and no other. */
static int walk_hanging(struct concrete_machine *machine, const struct hanging *hanging) {
  meet_defragmentation(machine, hanging->priority);
  meet_conntrack(machine, hanging->priority);
  if (is_nat(hanging->chain) && !(machine->connection && machine->probe->situation.tracking == TRACKING_OPENS))
    return 0;
  machine->family = hanging->table->family == NFPROTO_NETDEV          ? NFPROTO_NETDEV
                    : machine->probe->situation.family == FAMILY_IPV6 ? NFPROTO_IPV6
                                                                      : NFPROTO_IPV4;
  if (hanging->table->unmodelled != NULL) {
    machine->chain = hanging->chain;
    machine->rule = NULL;
    concrete_unknown(machine, hanging->table->unmodelled);
  }
  return walk_base(machine, hanging->chain);
}

static int walk_stage(struct concrete_machine *machine, enum concrete_stage stage) {
  struct hanging *all = NULL;
  size_t count = 0;
  enter_stage(machine, stage);
  int error = find_hanging(machine, &all, &count);
  for (size_t i = 0; i < count && error == 0 && machine->result.accepted; i++)
    error = walk_hanging(machine, &all[i]);
  if (stage != STAGE_INGRESS)
    meet_conntrack(machine, INT32_MAX);
  return error;
}

/* ---- the whole ---- */

static void find_tuple(struct concrete_machine *machine) {
  const struct probe *probe = machine->probe;
  const struct situation *situation = &probe->situation;
  struct original_tuple own = concrete_tuple(&machine->whole, situation->family);
  bool related = situation->tracking == TRACKING_RELATED_ORIGINAL || situation->tracking == TRACKING_RELATED_REPLY;
  if (situation->tracking != TRACKING_OPENS && probe->original.source.family != FAMILY_NONE)
    machine->original = probe->original;
  else if (situation->tracking == TRACKING_REPLY)
    machine->original = concrete_turn_tuple(&own);
  else if (!related)
    machine->original = own;
}

static int run(struct concrete_machine *machine) {
  const struct probe *probe = machine->probe;
  if (concrete_look(machine, puts_fragments_together(machine)) < 0)
    return -ENOMEM;
  find_tuple(machine);
  machine->packet_mark = probe->packet_mark;
  machine->rules_left = RULES_AT_MOST;
  machine->result.accepted = true;
  machine->result.connection_mark = probe->situation.tracking == TRACKING_OPENS ? 0 : probe->connection_mark;
  const enum concrete_stage *way = ways[probe->situation.path];
  int error = 0;
  for (size_t i = 0; way[i] != STAGE_COUNT_ && machine->result.accepted && error == 0; i++)
    error = walk_stage(machine, way[i]);
  return error;
}

static bool same_end(const struct concrete_result *left, const struct concrete_result *right) {
  return left->accepted == right->accepted && left->connection_mark == right->connection_mark &&
         left->mark_written == right->mark_written;
}

int concrete_judge(const struct live_ruleset *ruleset, const struct surroundings *surroundings,
                   const struct probe *probe, struct arena *arena, struct concrete_result *ret_result) {
  struct concrete_machine machine = {.ruleset = ruleset, .surroundings = surroundings, .probe = probe, .arena = arena};
  struct concrete_machine other = machine;
  int error = run(&machine);
  if (error == 0 && machine.ties) {
    other.reversed = true;
    error = run(&other);
    if (machine.result.unmodelled == NULL &&
        (!same_end(&machine.result, &other.result) || other.result.unmodelled != NULL))
      machine.result.unmodelled = other.result.unmodelled != NULL
                                      ? other.result.unmodelled
                                      : "chains of equal priority, whose order a listing does not show";
  }
  if (error == 0)
    *ret_result = machine.result;
  return error;
}
