/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proof/symbolic.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include <linux/netfilter.h>

#include "proof/symbolic_parts.h"

/* The machine, a packet's way through all base chains, and the answer without what cannot be known. */

/* The same diagrams come back with every interface and tracking, so what became of them is kept. */
enum settling {
  SETTLE_SOMEHOW,          /* exists over all that is unknown */
  SETTLE_SOMEHOW_THROTTLE, /* exists over throttles */
  SETTLE_ANYHOW_ANSWER,    /* for all answers */
  SETTLE_ANYHOW_THROTTLE,
};

struct settled {
  diagram of, result;
  enum settling how;
};

enum { SETTLED_SLOTS = 1 << 14 };

struct symbolic *symbolic_new(const struct live_ruleset *ruleset, const struct surroundings *surroundings,
                              struct space *space, struct diagram_store *store, struct arena *arena) {
  struct symbolic *machine = ARENA_NEW(arena, struct symbolic);
  if (machine == NULL)
    return NULL;
  machine->ruleset = ruleset;
  machine->surroundings = surroundings;
  machine->space = space;
  machine->store = store;
  machine->arena = arena;
  machine->settled = ARENA_ARRAY(arena, SETTLED_SLOTS, struct settled);
  if (machine->settled == NULL)
    return NULL;
  machine->merge_words = diagram_operation(store);
  machine->merge_leaves = diagram_operation(store);
  sets_prepare(machine);
  machine->other_interface = names_other(machine);
  return machine;
}

void symbolic_leave_out(struct symbolic *machine, symbolic_absent_function absent, void *context) {
  machine->absent = absent;
  machine->absent_context = context;
}

void symbolic_use_classes(struct symbolic *machine, struct classes *classes) {
  machine->classes = classes;
}

struct mark_word symbolic_mark(const struct symbolic *machine, uint32_t leaf) {
  if (leaf == 0 || leaf >= machine->words.count)
    return (struct mark_word){.unknown = true};
  return machine->words.words[leaf];
}

/* ---- without what cannot be known ---- */

static struct settled *settled_slot(struct symbolic *machine, diagram of, enum settling how) {
  return &machine->settled[(of * UINT32_C(2654435761) + (uint32_t)how) % SETTLED_SLOTS];
}

struct choice {
  const struct space *space;
  enum settling how;
};

static bool chosen(void *context, unsigned variable) {
  const struct choice *choice = context;
  const struct unknown *unknown = space_unknown(choice->space, variable);
  if (unknown == NULL)
    return false;
  if (choice->how == SETTLE_SOMEHOW)
    return true;
  return (unknown->kind == UNKNOWN_THROTTLE) == (choice->how != SETTLE_ANYHOW_ANSWER);
}

static diagram settle(struct symbolic *machine, diagram set, enum settling how) {
  if (!machine->met_answer) { /* what would be settled last is all there is */
    if (how == SETTLE_ANYHOW_ANSWER)
      return set;
    how = how == SETTLE_SOMEHOW ? SETTLE_SOMEHOW_THROTTLE : how;
  }
  if (!machine->met_unknown || set == DIAGRAM_FALSE || set == DIAGRAM_TRUE)
    return set;
  struct settled *slot = settled_slot(machine, set, how);
  if (slot->of == set && slot->how == how)
    return slot->result;
  struct choice choice = {machine->space, how};
  bool anyhow = how == SETTLE_ANYHOW_ANSWER || how == SETTLE_ANYHOW_THROTTLE;
  diagram result = anyhow ? diagram_for_all(machine->store, set, chosen, &choice)
                          : diagram_exists(machine->store, set, chosen, &choice);
  *slot = (struct settled){set, result, how};
  return result;
}

/* ---- the way ---- */

struct way {
  diagram early;  /* accepted by all before those of `passed` */
  diagram passed; /* accepted by all so far, or by the last of them (symbolic_result.early) */
  diagram undecided;
  struct effects effects;
};

static struct interface interface_of(const struct symbolic *machine, const char *name) {
  const struct surroundings *surroundings = machine->surroundings;
  if (name == NULL)
    return (struct interface){machine->other_interface, false, NULL};
  bool known = surroundings != NULL && surroundings->known;
  return (struct interface){name, true, known ? surroundings_find(surroundings, name) : NULL};
}

static void way_undecided(struct symbolic *machine, struct way *way, const struct live_chain *chain, diagram packets,
                          const char *why) {
  if (packets == DIAGRAM_FALSE)
    return;
  journal_add(machine,
              (struct journal_entry){.kind = JOURNAL_UNMODELLED, .chain = chain, .why = why, .where = packets});
  way->undecided = diagram_or(machine->store, way->undecided, packets);
  way->passed = diagram_difference(machine->store, way->passed, packets);
}

/* Chains that rewrite addresses are asked for the first packet of a connection; what they said holds for the others. */
static bool stop_is_asked(const struct stop *stop, enum situation_tracking tracking) {
  return !stop->nat || tracking == TRACKING_OPENS || tracking == TRACKING_OPENS_AGAIN;
}

/*
 * What was accepted so far may stand for itself while the next chain is asked about all packets, where nothing was
 * written that the chain could see, and where it does not hang on answers that both might hang on.
 */
static void way_set_apart(struct symbolic *machine, struct way *way) {
  const struct effects *effects = &way->effects;
  bool untouched = effects->mark == DIAGRAM_FALSE && effects->packet_mark == DIAGRAM_FALSE &&
                   effects->untracked == DIAGRAM_FALSE && way->undecided == DIAGRAM_FALSE;
  if (machine->classes == NULL || !untouched || settle(machine, way->passed, SETTLE_SOMEHOW) != way->passed)
    return;
  way->early = diagram_and(machine->store, way->early, way->passed);
  way->passed = machine->universe;
}

static void way_stop(struct symbolic *machine, struct view *view, const struct stop *stop, struct way *way) {
  struct diagram_store *store = machine->store;
  enum situation_tracking tracking = view->situation->tracking;
  struct effects effects = way->effects;
  bool nowhere = tracking == TRACKING_INVALID || tracking == TRACKING_UNTRACKED;
  if (stop->nat && nowhere)
    return;
  if (stop->unmodelled != NULL) {
    way_undecided(machine, way, stop->chain, way->passed, stop->unmodelled);
    return;
  }
  view->stage = stop->stage;
  way_set_apart(machine, way);
  /* What a rule took away from conntrack has no connection either. */
  diagram aside = stop->nat ? diagram_and(store, way->passed, effects.untracked) : DIAGRAM_FALSE;
  diagram asked = diagram_difference(store, way->passed, aside);
  struct outcome outcome = chain_run(machine, view, stop->chain, asked, &effects, 0);
  way->undecided = diagram_or(store, way->undecided, outcome.undecided);
  if (!stop_is_asked(stop, tracking)) {
    way->passed = diagram_difference(store, way->passed, outcome.undecided);
    return;
  }
  way->effects = effects;
  way->passed = outcome.accepted;
  if (stop->chain->policy_accept)
    way->passed = diagram_or(store, way->passed, outcome.returned);
  way->passed = diagram_or(store, way->passed, aside);
}

/* A table of bridges concerns packets of an interface that is one. */
static void way_bridges(struct symbolic *machine, const struct view *view, struct way *way) {
  for (size_t i = 0; i < machine->ruleset->table_count; i++) {
    const struct live_table *table = &machine->ruleset->tables[i];
    if (table->family != NFPROTO_BRIDGE || table->dormant || table->chain_count == 0)
      continue;
    const struct interface *ends[] = {&view->in, &view->out};
    for (size_t k = 0; k < 2; k++) {
      const struct link *link = ends[k]->link;
      bool plain = !ends[k]->named || (link != NULL && (link->kind == NULL || strcmp(link->kind, "bridge") != 0));
      if (!plain)
        way_undecided(machine, way, &table->chains[0], way->passed, "table of the family bridge");
    }
  }
}

static void way_egress(struct symbolic *machine, const struct situation *situation, struct way *way) {
  enum { NETDEV_EGRESS = 1 };
  for (size_t i = 0; situation->out != NULL && i < machine->ruleset->table_count; i++) {
    const struct live_table *table = &machine->ruleset->tables[i];
    for (size_t k = 0; table->family == NFPROTO_NETDEV && !table->dormant && k < table->chain_count; k++) {
      const struct live_chain *chain = &table->chains[k];
      bool here = false;
      for (size_t n = 0; n < chain->device_count; n++)
        here = here || strcmp(chain->devices[n], situation->out) == 0;
      if (chain->base && chain->hook == NETDEV_EGRESS && here)
        way_undecided(machine, way, chain, way->passed, "chain at the egress of a device");
    }
  }
}

/*
 * Packets that arrive whole. What arrives in pieces is put together before the hooks behind conntrack's see it, and
 * meets the same rules there; what the guard says of each piece is another question (symbolic_early()).
 */
static diagram whole_packets(struct symbolic *machine, enum address_family family) {
  struct diagram_store *store = machine->store;
  enum { MORE_FRAGMENTS_BIT = 2, BITS = 16 };
  diagram pieces = DIAGRAM_FALSE;
  for (unsigned bit = MORE_FRAGMENTS_BIT; bit < BITS; bit++)
    pieces =
        diagram_or(store, pieces, diagram_variable(store, space_field_variable(machine->space, FIELD_FRAGMENT, bit)));
  if (family == FAMILY_IPV6)
    pieces =
        diagram_or(store, pieces, diagram_variable(store, space_field_variable(machine->space, FIELD_HAS_FRAGMENT, 0)));
  return diagram_not(store, pieces);
}

/* An ICMP error; connections that a helper foresees are not followed (a rule that sets a helper is not). */
static diagram related_packets(struct symbolic *machine, enum address_family family) {
  uint8_t protocol = family == FAMILY_IPV4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
  struct diagram_field field = space_field(machine->space, FIELD_PROTOCOL, 0);
  return diagram_range(machine->store, &field, &protocol, &protocol);
}

static diagram universe_of(struct symbolic *machine, const struct situation *situation) {
  bool related = situation->tracking == TRACKING_RELATED_ORIGINAL || situation->tracking == TRACKING_RELATED_REPLY;
  diagram whole = whole_packets(machine, situation->family);
  return related ? diagram_and(machine->store, whole, related_packets(machine, situation->family)) : whole;
}

/* What is asked: about which packets, and whether only of base chains before routing and before a priority. */
struct asking {
  diagram packets;
  bool early;
  int32_t before_priority;
};

static int way_run(struct symbolic *machine, const struct situation *situation, const struct asking *asking,
                   struct way *way) {
  bool opens = situation->tracking == TRACKING_OPENS;
  struct mark_word mark = {.keep = opens ? 0 : UINT32_MAX, .flip = 0};
  struct view view = {
      .situation = situation, .in = interface_of(machine, situation->in), .out = interface_of(machine, situation->out)};
  struct stop *stops = NULL;
  size_t count = 0;
  way->passed = asking->packets;
  machine->universe = way->passed;
  way->early = way->passed;
  way->undecided = DIAGRAM_FALSE;
  way->effects = (struct effects){.mark = DIAGRAM_FALSE,
                                  .packet_mark = DIAGRAM_FALSE,
                                  .untracked = DIAGRAM_FALSE,
                                  .mark_start = word_intern(machine, mark),
                                  .packet_mark_start = word_unknown(machine)};
  if (order_make(machine, situation, asking->early, asking->before_priority, &stops, &count) < 0)
    return -ENOMEM;
  way_bridges(machine, &view, way);
  for (size_t i = 0; i < count; i++)
    way_stop(machine, &view, &stops[i], way);
  if (!asking->early)
    way_egress(machine, situation, way);
  return 0;
}

/* ---- words without it ---- */

struct merging {
  uint32_t unknown;
};

/* One word or another: anything, unless there is only one. */
static uint32_t words_merge(void *context, uint32_t left, uint32_t right) {
  const struct merging *merging = context;
  if (left == 0 || right == 0 || left == right)
    return left | right;
  return merging->unknown;
}

static diagram words_together(struct symbolic *machine, diagram left, diagram right) {
  struct merging merging = {word_unknown(machine)};
  return diagram_combine(machine->store, machine->merge_words, words_merge, &merging, left, right);
}

static bool is_unknown(void *context, unsigned variable) {
  const struct symbolic *machine = context;
  return space_unknown(machine->space, variable) != NULL;
}

/* Words whatever the unknown answers are. */
static diagram words_settle(struct symbolic *machine, diagram words) {
  struct merging merging = {word_unknown(machine)};
  if (!machine->met_unknown)
    return words;
  return diagram_gather(machine->store, machine->merge_words, words_merge, &merging, words, is_unknown, machine);
}

/* ---- the answer ---- */

static bool same_place(const struct unmodelled *there, const struct journal_entry *entry) {
  return there->chain == entry->chain && there->rule == entry->rule && strcmp(there->why, entry->why) == 0;
}

static void answer_unmodelled(struct symbolic *machine, const struct journal_entry *entry, struct unmodelled *list,
                              size_t *count) {
  diagram where = settle(machine, entry->where, SETTLE_SOMEHOW);
  for (size_t i = 0; i < *count; i++) {
    if (same_place(&list[i], entry)) {
      list[i].where = diagram_or(machine->store, list[i].where, where);
      return;
    }
  }
  list[(*count)++] = (struct unmodelled){entry->chain, entry->rule, entry->why, where};
}

static void answer_write(struct symbolic *machine, const struct journal_entry *entry, struct mark_write *list,
                         size_t *count) {
  diagram words = words_settle(machine, entry->where);
  for (size_t i = 0; i < *count; i++) {
    if (list[i].rule == entry->rule && list[i].chain == entry->chain) {
      list[i].words = words_together(machine, list[i].words, words);
      return;
    }
  }
  list[(*count)++] = (struct mark_write){entry->chain, entry->rule, words};
}

static void answer_throttle(const struct journal_entry *entry, unsigned *list, size_t *count) {
  for (size_t i = 0; i < *count; i++)
    if (list[i] == entry->variable)
      return;
  list[(*count)++] = entry->variable;
}

static int answer_journal(struct symbolic *machine, size_t first, struct symbolic_result *result) {
  size_t most = machine->journal_count - first + 1;
  struct unmodelled *unmodelled = ARENA_ARRAY(machine->arena, most, struct unmodelled);
  struct mark_write *writes = ARENA_ARRAY(machine->arena, most, struct mark_write);
  unsigned *throttles = ARENA_ARRAY(machine->arena, most, unsigned);
  if (unmodelled == NULL || writes == NULL || throttles == NULL)
    return -ENOMEM;
  for (size_t i = first; i < machine->journal_count; i++) {
    const struct journal_entry *entry = &machine->journal[i];
    if (entry->kind == JOURNAL_UNMODELLED)
      answer_unmodelled(machine, entry, unmodelled, &result->unmodelled_count);
    else if (entry->kind == JOURNAL_WRITE)
      answer_write(machine, entry, writes, &result->write_count);
    else
      answer_throttle(entry, throttles, &result->throttle_count);
  }
  result->unmodelled = unmodelled;
  result->writes = writes;
  result->throttles = throttles;
  return 0;
}

static int answer_make(struct symbolic *machine, const struct way *way, size_t first, struct symbolic_result *result) {
  struct diagram_store *store = machine->store;
  diagram sure = settle(machine, way->passed, SETTLE_ANYHOW_ANSWER);
  result->early = way->early;
  result->may = settle(machine, way->passed, SETTLE_SOMEHOW);
  result->must = settle(machine, sure, SETTLE_SOMEHOW_THROTTLE);
  result->throttled = diagram_difference(store, result->must, settle(machine, sure, SETTLE_ANYHOW_THROTTLE));
  result->undecided = settle(machine, way->undecided, SETTLE_SOMEHOW);
  diagram mark = way->effects.mark, kept = result->must;
  if (words_settle(machine, mark) != mark) /* it depends on what let the packet pass */
    kept = diagram_and(store, way->passed, kept);
  result->mark = words_settle(machine, words_resolve(machine, kept, mark, way->effects.mark_start));
  return answer_journal(machine, first, result);
}

static int judge(struct symbolic *machine, const struct situation *situation, const struct asking *asking,
                 struct symbolic_result *ret_result) {
  struct symbolic_result result = {.may = DIAGRAM_FALSE};
  struct way way;
  size_t first = machine->journal_count;
  int status = way_run(machine, situation, asking, &way);
  if (status == 0)
    status = answer_make(machine, &way, first, &result);
  if (status < 0 || machine->failed || diagram_store_failed(machine->store))
    return -ENOMEM;
  *ret_result = result;
  return 0;
}

int symbolic_judge(struct symbolic *machine, const struct situation *situation, struct symbolic_result *ret_result) {
  struct asking asking = {.packets = universe_of(machine, situation)};
  return judge(machine, situation, &asking, ret_result);
}

int symbolic_early(struct symbolic *machine, const struct situation *situation, diagram packets,
                   int32_t before_priority, struct symbolic_result *ret_result) {
  struct asking asking = {packets, true, before_priority};
  return judge(machine, situation, &asking, ret_result);
}
