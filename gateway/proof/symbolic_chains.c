/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "proof/symbolic_parts.h"

/* Chains: rules one after another over what remains, and runs that are remembered. */

/* What rules can see of a situation. */
struct sight {
  struct stage stage;
  const char *in, *out; /* NULL: unnamed */
  enum address_family family;
  enum situation_tracking tracking;
};

/* A run, and all on which it depended. */
struct remembered {
  struct remembered *next;
  const struct live_chain *chain;
  diagram packets;
  struct effects before, after;
  struct outcome outcome;
  struct sight sight;
  unsigned saw;                        /* the part of it that counted */
  const struct journal_entry *journal; /* what it said */
  size_t journal_count;
};

void journal_add(struct symbolic *machine, struct journal_entry entry) {
  void *items = machine->journal;
  if (arena_grow(machine->arena, &items, machine->journal_count, &machine->journal_capacity,
                 sizeof(*machine->journal)) < 0) {
    machine->failed = true;
    return;
  }
  machine->journal = items;
  machine->journal[machine->journal_count++] = entry;
}

void run_narrow(struct run *run, diagram set) {
  run->condition = diagram_and(run->machine->store, run->condition, set);
}

void run_unmodelled(struct run *run, diagram packets, const char *why) {
  struct diagram_store *store = run->machine->store;
  packets = diagram_and(store, packets, run->condition);
  if (packets == DIAGRAM_FALSE)
    return;
  journal_add(run->machine,
              (struct journal_entry){
                  .kind = JOURNAL_UNMODELLED, .chain = run->chain, .rule = run->rule, .why = why, .where = packets});
  run->outcome->undecided = diagram_or(store, run->outcome->undecided, packets);
  run->remaining = diagram_difference(store, run->remaining, packets);
  run->condition = diagram_difference(store, run->condition, packets);
}

diagram run_unknown(struct run *run, enum unknown_kind kind, const char *what) {
  struct symbolic *machine = run->machine;
  const struct unknown unknown = {.kind = kind,
                                  .table = run->chain->table->name,
                                  .chain = run->chain->name,
                                  .rule = run->rule != NULL ? run->rule->handle : 0,
                                  .expression = run->expression,
                                  .what = what};
  unsigned variable = space_unknown_variable(machine->space, &unknown);
  machine->met_unknown = true;
  machine->met_answer = machine->met_answer || kind == UNKNOWN_ANSWER;
  if (kind == UNKNOWN_THROTTLE)
    journal_add(machine, (struct journal_entry){.kind = JOURNAL_THROTTLE, .variable = variable});
  return diagram_variable(machine->store, variable);
}

/* ---- verdicts ---- */

static void settle_elsewhere(struct run *run, diagram packets, const struct live_verdict *verdict) {
  struct diagram_store *store = run->machine->store;
  struct outcome *outcome = run->outcome;
  struct outcome there = chain_run(run->machine, run->view, verdict->chain, packets, run->effects, run->depth + 1);
  outcome->accepted = diagram_or(store, outcome->accepted, there.accepted);
  outcome->undecided = diagram_or(store, outcome->undecided, there.undecided);
  if (verdict->code == LIVE_JUMP)
    run->remaining = diagram_or(store, run->remaining, there.returned);
  else /* who comes back from there goes on where this chain was called */
    outcome->returned = diagram_or(store, outcome->returned, there.returned);
}

void run_settle(struct run *run, diagram packets, const struct live_verdict *verdict) {
  struct diagram_store *store = run->machine->store;
  struct outcome *outcome = run->outcome;
  packets = diagram_and(store, packets, run->condition);
  if (packets == DIAGRAM_FALSE || verdict->code == LIVE_CONTINUE)
    return;
  if (verdict->code == LIVE_QUEUE) {
    run_unmodelled(run, packets, "verdict queue");
    return;
  }
  if ((verdict->code == LIVE_JUMP || verdict->code == LIVE_GOTO) && verdict->chain == NULL) {
    run_unmodelled(run, packets, "jump to a chain that is not there");
    return;
  }
  run->condition = diagram_difference(store, run->condition, packets);
  if (verdict->code == LIVE_BREAK)
    return;
  run->remaining = diagram_difference(store, run->remaining, packets);
  if (verdict->code == LIVE_ACCEPT)
    outcome->accepted = diagram_or(store, outcome->accepted, packets);
  else if (verdict->code == LIVE_RETURN)
    outcome->returned = diagram_or(store, outcome->returned, packets);
  else if (verdict->code == LIVE_JUMP || verdict->code == LIVE_GOTO)
    settle_elsewhere(run, packets, verdict);
}

/* ---- running ---- */

/* What stands behind the last expression that matters only counts. */
static size_t rule_end(const struct live_rule *rule) {
  size_t end = rule->expression_count;
  while (end > 0 && !expression_matters(&rule->expressions[end - 1]))
    end--;
  return end;
}

static void rule_run(struct run *run) {
  registers_clear(&run->registers);
  run->condition = run->remaining;
  if (run->rule->unmodelled != NULL) {
    run_unmodelled(run, run->condition, run->rule->unmodelled);
    return;
  }
  size_t end = rule_end(run->rule);
  for (size_t i = 0; i < end && run->condition != DIAGRAM_FALSE; i++) {
    run->expression = (unsigned)i;
    expression_run(run, &run->rule->expressions[i]);
  }
}

/* No kernel takes such chains; in a record they could be gone round for ever. */
static bool leads_to_itself(const struct symbolic *machine, const struct live_chain *chain, unsigned depth) {
  for (unsigned i = 0; i < depth; i++)
    if (machine->entered[i] == chain)
      return true;
  return false;
}

static struct outcome chain_run_rules(struct symbolic *machine, const struct view *view, const struct live_chain *chain,
                                      diagram packets, struct effects *effects, unsigned depth) {
  struct outcome outcome = {DIAGRAM_FALSE, DIAGRAM_FALSE, DIAGRAM_FALSE};
  struct run run = {.machine = machine,
                    .view = view,
                    .chain = chain,
                    .depth = depth,
                    .condition = packets,
                    .remaining = packets,
                    .effects = effects,
                    .outcome = &outcome};
  if (chain->unmodelled != NULL)
    run_unmodelled(&run, packets, chain->unmodelled);
  else if (depth > DEEPEST_JUMP)
    run_unmodelled(&run, packets, "jumps too deep");
  else if (leads_to_itself(machine, chain, depth))
    run_unmodelled(&run, packets, "chain that leads to itself");
  else
    machine->entered[depth] = chain;
  for (size_t i = 0; i < chain->rule_count && run.remaining != DIAGRAM_FALSE && run.remaining != DIAGRAM_NONE; i++) {
    run.rule = &chain->rules[i];
    rule_run(&run);
  }
  outcome.returned = diagram_or(machine->store, outcome.returned, run.remaining);
  return outcome;
}

/* ---- remembering ---- */

/*
 * The same chain is run with the same packets for every interface, IP version and tracking, so what a run has seen of
 * these is part of its key. Which part that is can only be said afterwards: there are few, and each is tried.
 */

static uint64_t mix(uint64_t hash, uint64_t value) {
  hash = (hash ^ value) * 0xff51afd7ed558ccdu;
  return hash ^ hash >> 29;
}

static uint64_t mix_name(uint64_t hash, const char *name) {
  for (; name != NULL && *name != '\0'; name++)
    hash = mix(hash, (unsigned char)*name);
  return mix(hash, name == NULL);
}

static uint64_t mix_sight(uint64_t hash, const struct sight *sight, unsigned saw) {
  hash = mix(hash, saw);
  if ((saw & SAW_IN) != 0)
    hash = mix_name(hash, sight->in);
  if ((saw & SAW_OUT) != 0)
    hash = mix_name(hash, sight->out);
  if ((saw & SAW_FAMILY) != 0)
    hash = mix(hash, (uint64_t)sight->family);
  if ((saw & SAW_TRACKING) != 0)
    hash = mix(hash, (uint64_t)sight->tracking);
  return hash; /* stages are few */
}

static size_t run_slot(const struct symbolic *machine, const struct remembered *run) {
  uint64_t hash = mix(mix((uintptr_t)run->chain, run->packets), run->before.mark);
  return (size_t)(mix_sight(hash, &run->sight, run->saw) >> 20) & (machine->run_slots - 1);
}

static bool names_equal(const char *left, const char *right) {
  return left == right || (left != NULL && right != NULL && strcmp(left, right) == 0);
}

static bool sights_fit(const struct sight *left, const struct sight *right, unsigned saw) {
  if ((saw & SAW_FAMILY) != 0 && left->family != right->family)
    return false;
  if ((saw & SAW_TRACKING) != 0 && left->tracking != right->tracking)
    return false;
  if ((saw & SAW_IN) != 0 && !names_equal(left->in, right->in))
    return false;
  if ((saw & SAW_OUT) != 0 && !names_equal(left->out, right->out))
    return false;
  return (saw & SAW_STAGE) == 0 || memcmp(&left->stage, &right->stage, sizeof(left->stage)) == 0;
}

/* wanted: chain, packets, effects before and sight of the run that is looked for. */
static const struct remembered *remembered_find(const struct symbolic *machine, const struct remembered *wanted) {
  struct remembered key = *wanted;
  for (unsigned saw = 0; machine->run_slots != 0 && saw <= SAW_ALL; saw++) {
    if ((machine->saw_ever & UINT32_C(1) << saw) == 0)
      continue;
    key.saw = saw;
    for (const struct remembered *run = machine->runs[run_slot(machine, &key)]; run != NULL; run = run->next)
      if (run->chain == key.chain && run->packets == key.packets && run->saw == saw &&
          memcmp(&run->before, &key.before, sizeof(key.before)) == 0 && sights_fit(&run->sight, &key.sight, saw))
        return run;
  }
  return NULL;
}

/* The run, as far as these packets are concerned: rules look at each packet by itself. */
static struct outcome remembered_play(struct symbolic *machine, const struct remembered *run, diagram packets,
                                      struct effects *effects) {
  struct diagram_store *store = machine->store;
  bool all = packets == run->packets;
  machine->saw |= run->saw;
  if (all)
    *effects = run->after;
  else if (memcmp(&run->after, &run->before, sizeof(run->after)) != 0)
    *effects = (struct effects){diagram_choose(store, packets, run->after.mark, DIAGRAM_FALSE),
                                diagram_choose(store, packets, run->after.packet_mark, DIAGRAM_FALSE),
                                diagram_and(store, packets, run->after.untracked), effects->mark_start,
                                effects->packet_mark_start};
  for (size_t i = 0; i < run->journal_count; i++) {
    struct journal_entry entry = run->journal[i];
    if (!all && entry.kind != JOURNAL_THROTTLE)
      entry.where = diagram_choose(store, packets, entry.where, DIAGRAM_FALSE);
    if (entry.kind == JOURNAL_THROTTLE || entry.where != DIAGRAM_FALSE)
      journal_add(machine, entry);
  }
  if (all)
    return run->outcome;
  return (struct outcome){diagram_and(store, packets, run->outcome.accepted),
                          diagram_and(store, packets, run->outcome.undecided),
                          diagram_and(store, packets, run->outcome.returned)};
}

static void remembered_widen(struct symbolic *machine) {
  size_t wider = machine->run_slots == 0 ? 1024 : machine->run_slots * 4, narrow = machine->run_slots;
  struct remembered **old = machine->runs;
  struct remembered **slots = ARENA_ARRAY(machine->arena, wider, struct remembered *);
  if (slots == NULL) {
    machine->failed = true;
    return;
  }
  machine->runs = slots;
  machine->run_slots = wider;
  for (size_t i = 0; i < narrow; i++) {
    for (struct remembered *run = old[i], *next; run != NULL; run = next) {
      struct remembered **slot = &slots[run_slot(machine, run)];
      next = run->next;
      run->next = *slot;
      *slot = run;
    }
  }
}

static void remembered_add(struct symbolic *machine, const struct remembered *run) {
  if (machine->run_count >= machine->run_slots)
    remembered_widen(machine);
  struct remembered *kept = ARENA_NEW(machine->arena, struct remembered);
  if (kept == NULL || machine->run_slots == 0) {
    machine->failed = true;
    return;
  }
  struct remembered **slot = &machine->runs[run_slot(machine, run)];
  *kept = *run;
  kept->next = *slot;
  *slot = kept;
  machine->run_count++;
  machine->saw_ever |= UINT32_C(1) << run->saw;
}

/* Writes for packets that have nothing to do with each other become one: a chain of many maps would else be cut to
 * those that came map by map. Which rule wrote is not asked by classes. */
static void journal_join(struct symbolic *machine, size_t first) {
  enum { MOST = 256 }; /* more would take longer than it saves */
  struct diagram_store *store = machine->store;
  size_t kept = first;
  if (machine->journal_count - first > MOST)
    return;
  for (size_t i = first; i < machine->journal_count; i++) {
    struct journal_entry entry = machine->journal[i];
    diagram written = entry.kind == JOURNAL_WRITE ? diagram_support(store, entry.where) : DIAGRAM_FALSE;
    struct journal_entry *before = NULL;
    for (size_t k = first; written != DIAGRAM_FALSE && k < kept && before == NULL; k++)
      if (machine->journal[k].kind == JOURNAL_WRITE &&
          diagram_and(store, written, diagram_support(store, machine->journal[k].where)) == DIAGRAM_FALSE)
        before = &machine->journal[k];
    if (before != NULL)
      before->where = diagram_choose(store, written, entry.where, before->where);
    else
      machine->journal[kept++] = entry;
  }
  machine->journal_count = kept;
}

/* Nothing that rules could see later was written so far. */
static bool effects_are_none(const struct effects *effects) {
  return effects->mark == DIAGRAM_FALSE && effects->packet_mark == DIAGRAM_FALSE && effects->untracked == DIAGRAM_FALSE;
}

/*
 * A chain that others lead to is run once for all packets, and the answer cut to those that came: what led there (the
 * guard of a zone, the state of a connection) is then no part of each of its diagrams. Where a mark was written before,
 * it matters who comes.
 */
struct outcome chain_run(struct symbolic *machine, const struct view *view, const struct live_chain *chain,
                         diagram packets, struct effects *effects, unsigned depth) {
  const struct situation *situation = view->situation;
  if (packets == DIAGRAM_FALSE || packets == DIAGRAM_NONE)
    return (struct outcome){packets, packets, packets};
  diagram wanted = packets;
  if (depth > 0 && effects_are_none(effects))
    packets = machine->universe;
  struct remembered run = {
      .chain = chain,
      .packets = packets,
      .before = *effects,
      .sight = {view->stage, situation->in, situation->out, situation->family, situation->tracking}};
  const struct remembered *known = remembered_find(machine, &run);
  if (known != NULL)
    return remembered_play(machine, known, wanted, effects);

  size_t journal = machine->journal_count;
  unsigned saw = machine->saw;
  machine->saw = 0;
  run.outcome = chain_run_rules(machine, view, chain, packets, effects, depth);
  run.after = *effects;
  if (machine->classes != NULL)
    journal_join(machine, journal);
  run.saw = machine->saw;
  run.journal_count = machine->journal_count - journal;
  if (run.journal_count != 0)
    run.journal = arena_memdup(machine->arena, &machine->journal[journal], run.journal_count * sizeof(*run.journal));
  machine->failed = machine->failed || (run.journal_count != 0 && run.journal == NULL);
  machine->saw |= saw;
  remembered_add(machine, &run);
  if (wanted == packets || machine->failed)
    return run.outcome;
  machine->journal_count = journal; /* it is said again, as far as it concerns those who came */
  *effects = run.before;
  return remembered_play(machine, &run, wanted, effects);
}
