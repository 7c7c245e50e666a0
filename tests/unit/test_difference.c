/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "policy/read.h"
#include "rules/compile.h"
#include "rules/difference.h"
#include "sample_town.h"

/*
 * Deltas are applied to a ruleset in memory that refuses what the kernel would refuse: objects that exist or are
 * missing, and objects that go while something still refers to them.
 */
enum { MANY = 4096 };

struct store {
  struct arena *arena;
  bool present;
  struct set sets[MANY];
  struct chain chains[MANY];
  struct counter counters[MANY];
  size_t set_count, chain_count, counter_count;
};

static struct set *store_set(struct store *store, const char *name) {
  for (size_t i = 0; i < store->set_count; i++)
    if (strcmp(store->sets[i].name, name) == 0)
      return &store->sets[i];
  return NULL;
}

static struct chain *store_chain(struct store *store, const char *name) {
  for (size_t i = 0; i < store->chain_count; i++)
    if (strcmp(store->chains[i].name, name) == 0)
      return &store->chains[i];
  return NULL;
}

static size_t store_counter(const struct store *store, const char *name) {
  size_t at = 0;
  while (at < store->counter_count && strcmp(store->counters[at].name, name) != 0)
    at++;
  return at;
}

/* ---- references ---- */

static bool rules_refer(const struct store *store, const char *name, enum expression_kind kind) {
  for (size_t i = 0; i < store->chain_count; i++)
    for (size_t j = 0; j < store->chains[i].rule_count; j++)
      for (size_t k = 0; k < store->chains[i].rules[j].expression_count; k++) {
        const struct expression *expression = &store->chains[i].rules[j].expressions[k];
        const char *target = kind == EXPRESSION_VERDICT ? expression->verdict.chain : expression->name;
        if (expression->kind == kind && target != NULL && strcmp(target, name) == 0)
          return true;
      }
  return false;
}

static bool elements_refer(const struct store *store, const char *chain) {
  for (size_t i = 0; i < store->set_count; i++)
    for (size_t j = 0; j < store->sets[i].element_count; j++) {
      const char *target = store->sets[i].elements[j].verdict.chain;
      if (target != NULL && strcmp(target, chain) == 0)
        return true;
    }
  return false;
}

static void check_rule(struct store *store, const struct rule *rule) {
  for (size_t i = 0; i < rule->expression_count; i++) {
    const struct expression *expression = &rule->expressions[i];
    if (expression->kind == EXPRESSION_LOOKUP)
      ck_assert_msg(store_set(store, expression->name) != NULL, "rule before its set %s", expression->name);
    if (expression->kind == EXPRESSION_COUNTER_OBJECT)
      ck_assert_uint_lt(store_counter(store, expression->name), store->counter_count);
    if (expression->kind == EXPRESSION_VERDICT && expression->verdict.chain != NULL)
      ck_assert_msg(store_chain(store, expression->verdict.chain) != NULL, "rule before its chain");
  }
}

/* ---- operations ---- */

static void add_elements(struct store *store, const struct operation *operation) {
  struct set *set = store_set(store, operation->set->name);
  ck_assert_ptr_nonnull(set);
  struct element *grown = ARENA_ARRAY(store->arena, set->element_count + operation->element_count, struct element);
  if (set->element_count > 0)
    memcpy(grown, set->elements, set->element_count * sizeof *grown);
  for (size_t i = 0; i < operation->element_count; i++) {
    const struct element *element = operation->elements[i];
    for (size_t j = 0; j < set->element_count && set->element_count < 100; j++)
      ck_assert_msg(element_compare_keys(set, &grown[j], element) != 0, "element exists in %s", set->name);
    if (element->verdict.chain != NULL)
      ck_assert_msg(store_chain(store, element->verdict.chain) != NULL, "element before its chain");
    grown[set->element_count + i] = *element;
  }
  set->elements = grown;
  set->element_count += operation->element_count;
}

static void delete_elements(struct store *store, const struct operation *operation) {
  struct set *set = store_set(store, operation->set->name);
  ck_assert_ptr_nonnull(set);
  for (size_t i = 0; i < operation->element_count; i++) {
    size_t at = 0;
    while (at < set->element_count && element_compare_keys(set, &set->elements[at], operation->elements[i]) != 0)
      at++;
    ck_assert_msg(at < set->element_count, "no such element in %s", set->name);
    set->elements[at] = set->elements[--set->element_count];
  }
}

static void add_rule(struct store *store, const struct operation *operation) {
  struct chain *chain = store_chain(store, operation->chain->name);
  ck_assert_ptr_nonnull(chain);
  check_rule(store, operation->rule);
  struct rule *grown = ARENA_ARRAY(store->arena, chain->rule_count + 1, struct rule);
  if (chain->rule_count > 0)
    memcpy(grown, chain->rules, chain->rule_count * sizeof *grown);
  grown[chain->rule_count++] = *operation->rule;
  chain->rules = grown;
}

static void add_set(struct store *store, const struct operation *operation) {
  ck_assert_ptr_null(store_set(store, operation->set->name));
  ck_assert_uint_lt(store->set_count, MANY);
  struct set *set = &store->sets[store->set_count++];
  *set = *operation->set;
  set->element_count = 0;
  set->elements = NULL;
}

static void add_chain(struct store *store, const struct operation *operation) {
  ck_assert_ptr_null(store_chain(store, operation->chain->name));
  ck_assert_uint_lt(store->chain_count, MANY);
  struct chain *chain = &store->chains[store->chain_count++];
  *chain = *operation->chain;
  chain->rule_count = 0;
  chain->rules = NULL;
}

static void delete_set(struct store *store, const struct operation *operation) {
  struct set *set = store_set(store, operation->set->name);
  ck_assert_ptr_nonnull(set);
  ck_assert_msg(!rules_refer(store, set->name, EXPRESSION_LOOKUP), "set %s is in use", set->name);
  *set = store->sets[--store->set_count];
}

static void delete_chain(struct store *store, const struct operation *operation) {
  struct chain *chain = store_chain(store, operation->chain->name);
  ck_assert_ptr_nonnull(chain);
  ck_assert_uint_eq(chain->rule_count, 0);
  ck_assert_msg(!rules_refer(store, chain->name, EXPRESSION_VERDICT) && !elements_refer(store, chain->name),
                "chain %s is in use", chain->name);
  *chain = store->chains[--store->chain_count];
}

static void delete_counter(struct store *store, const struct operation *operation) {
  size_t at = store_counter(store, operation->counter->name);
  ck_assert_uint_lt(at, store->counter_count);
  ck_assert(!rules_refer(store, operation->counter->name, EXPRESSION_COUNTER_OBJECT));
  store->counters[at] = store->counters[--store->counter_count];
}

static void apply_operation(struct store *store, const struct operation *operation) {
  switch (operation->kind) {
  case OPERATION_ADD_TABLE:
    ck_assert(!store->present);
    store->present = true;
    break;
  case OPERATION_DELETE_TABLE:
    ck_assert(store->present);
    store->present = false;
    store->set_count = store->chain_count = store->counter_count = 0;
    break;
  case OPERATION_ADD_COUNTER:
    ck_assert_uint_eq(store_counter(store, operation->counter->name), store->counter_count);
    store->counters[store->counter_count++] = *operation->counter;
    break;
  case OPERATION_DELETE_COUNTER:
    delete_counter(store, operation);
    break;
  case OPERATION_ADD_SET:
    add_set(store, operation);
    break;
  case OPERATION_DELETE_SET:
    delete_set(store, operation);
    break;
  case OPERATION_ADD_ELEMENTS:
    add_elements(store, operation);
    break;
  case OPERATION_DELETE_ELEMENTS:
    delete_elements(store, operation);
    break;
  case OPERATION_ADD_CHAIN:
    add_chain(store, operation);
    break;
  case OPERATION_DELETE_CHAIN:
    delete_chain(store, operation);
    break;
  case OPERATION_ADD_RULE:
    add_rule(store, operation);
    break;
  case OPERATION_FLUSH_CHAIN:
    ck_assert_ptr_nonnull(store_chain(store, operation->chain->name));
    store_chain(store, operation->chain->name)->rule_count = 0;
    break;
  }
}

/* ---- to and from a ruleset ---- */

static void load(struct store *store, const struct ruleset *ruleset) {
  store->present = ruleset->present;
  ck_assert_uint_lt(ruleset->set_count, MANY);
  for (size_t i = 0; i < ruleset->set_count; i++)
    store->sets[i] = ruleset->sets[i];
  for (size_t i = 0; i < ruleset->chain_count; i++)
    store->chains[i] = ruleset->chains[i];
  for (size_t i = 0; i < ruleset->counter_count; i++)
    store->counters[i] = ruleset->counters[i];
  store->set_count = ruleset->set_count;
  store->chain_count = ruleset->chain_count;
  store->counter_count = ruleset->counter_count;
  for (size_t i = 0; i < store->set_count; i++)
    store->sets[i].elements =
        arena_memdup(store->arena, ruleset->sets[i].elements, ruleset->sets[i].element_count * sizeof(struct element));
}

static int by_name(const void *left, const void *right) {
  const char *const *first = left, *const *second = right;
  return strcmp(*first, *second);
}

static int by_key(const void *left, const void *right, void *set) {
  return element_compare_keys(set, left, right);
}

static struct ruleset *unload(struct store *store) {
  struct ruleset *ruleset = ARENA_NEW(store->arena, struct ruleset);
  *ruleset = (struct ruleset){.table = "kido",
                              .present = store->present,
                              .sets = store->sets,
                              .set_count = store->set_count,
                              .chains = store->chains,
                              .chain_count = store->chain_count,
                              .counters = store->counters,
                              .counter_count = store->counter_count};
  qsort(store->sets, store->set_count, sizeof *store->sets, by_name);
  qsort(store->chains, store->chain_count, sizeof *store->chains, by_name);
  qsort(store->counters, store->counter_count, sizeof *store->counters, by_name);
  for (size_t i = 0; i < store->set_count; i++)
    if (store->sets[i].element_count > 0)
      qsort_r(store->sets[i].elements, store->sets[i].element_count, sizeof(struct element), by_key, &store->sets[i]);
  return ruleset;
}

/* ---- policies ---- */

static struct arena *arena;

static void setup(void) {
  arena = arena_new(0);
}

static void teardown(void) {
  arena = arena_free(arena);
}

/* The town with the first occurrence of `find` replaced. */
static struct ruleset *town_with(const char *find, const char *replace, const char *when) {
  char *text = sample_town_text(arena), *at = find == NULL || text == NULL ? text : strstr(text, find);
  ck_assert_ptr_nonnull(at);
  char *changed = arena_printf(arena, "%.*s%s%s", (int)(at - text), text, find == NULL ? "" : replace,
                               at + (find == NULL ? 0 : strlen(find)));
  struct diagnostic_list diagnostics;
  struct error error;
  const struct policy *policy;
  struct ruleset *ruleset;
  bool without_offset;
  struct compile_options options = {0};
  diagnostic_list_init(&diagnostics, arena, LANGUAGE_ENGLISH);
  ck_assert_int_eq(policy_read_text("town", changed, strlen(changed), arena, false, &policy, &diagnostics, &error), 0);
  ck_assert_msg(diagnostics.errors == 0, "%s", diagnostics.errors ? diagnostics.items[0].message : "");
  ck_assert(instant_parse(when, &options.now, &without_offset));
  ck_assert_int_eq(ruleset_compile(policy, &options, arena, &ruleset, &error), 0);
  return ruleset;
}

#define NOON "2026-11-24T12:00:00+09:00"

static struct delta *difference(const struct ruleset *from, const struct ruleset *to) {
  struct delta *delta;
  ck_assert_int_eq(ruleset_difference(from, to, arena, &delta), 0);
  return delta;
}

static void apply_phase(struct store *store, const struct delta *delta, enum phase phase) {
  for (size_t i = 0; i < delta->phases[phase].count; i++)
    apply_operation(store, &delta->phases[phase].items[i]);
}

/* Applies the delta phase by phase; what results must be the goal. */
static struct delta *check_change(const struct ruleset *from, const struct ruleset *to) {
  static struct store store;
  const char *what = "";
  struct delta *delta = difference(from, to);
  memset(&store, 0, sizeof store);
  store.arena = arena;
  load(&store, from);
  for (enum phase phase = PHASE_ADD; phase < PHASE_COUNT_; phase++)
    apply_phase(&store, delta, phase);
  ck_assert_msg(ruleset_equal(unload(&store), to, arena, &what), "%s", what);
  return delta;
}

static size_t count_of(const struct delta *delta, enum phase phase, enum operation_kind kind) {
  size_t count = 0;
  for (size_t i = 0; i < delta->phases[phase].count; i++)
    count += delta->phases[phase].items[i].kind == kind;
  return count;
}

START_TEST(equal_rulesets_need_nothing) {
  ck_assert(delta_empty(difference(town_with(NULL, NULL, NOON), town_with(NULL, NULL, NOON))));
}
END_TEST

START_TEST(an_empty_kernel_is_filled_in_one_transaction) {
  struct ruleset nothing = {.table = "kido"};
  struct delta *delta = check_change(&nothing, town_with(NULL, NULL, NOON));
  ck_assert_uint_gt(delta->phases[PHASE_ADD].count, 100);
  ck_assert_uint_eq(delta->phases[PHASE_SWAP].count, 0);
  ck_assert_uint_eq(delta->phases[PHASE_REMOVE].count, 0);
}
END_TEST

static const struct {
  const char *find, *replace, *when;
} changes[] = {
    {"from = \"lg-dns\"; to = \"x-dns\"", "from = \"lg-dns\"; to = \"x-ntp\"", NOON},   /* exact elements */
    {"from = \"lg-term\"; to = \"i-vb\"", "from = \"lg-term\"; to = \"i-cms\"", NOON},  /* ranges */
    {"services = [ \"tcp/3389\" ]", "services = [ \"tcp/3389\", \"udp/3389\" ]", NOON}, /* a new map */
    {"10.210.0.14\"; label", "10.210.0.15\"; label", NOON},                             /* a host moves */
    {"interfaces = [ \"ens1f2\" ]", "interfaces = [ \"ens1f2\", \"ens9\" ]", NOON},     /* an interface */
    {"remote = [ \"198.51.100.0/24\" ]", "remote = [ \"198.51.100.0/25\", \"198.51.100.128/25\" ]", NOON},
    {"\"10.211.0.0/22\" ];", "\"10.211.0.0/22\", \"10.212.0.0/24\" ];", NOON}, /* a zone grows */
    {"02:00:5e:10:01:11", "02:00:5e:10:01:99", NOON},                          /* another machine */
    {"expires = \"2027-03-31\"", "expires = \"2027-03-30\"", NOON},            /* another end */
    {"class = \"ot\";", "class = \"ot\"; on_deny = \"reject\";", NOON},
    {"label = \"LGWAN接続系\"", "label = \"LGWAN\"", NOON}, /* only words */
    {NULL, NULL, "2026-11-25T19:00:00+09:00"},              /* a window opens */
    {NULL, NULL, "2027-01-10T19:00:00+09:00"},              /* flows end */
};

START_TEST(every_change_arrives_and_can_be_taken_back) {
  struct ruleset *town = town_with(NULL, NULL, NOON);
  struct ruleset *other = town_with(changes[_i].find, changes[_i].replace, changes[_i].when);
  struct delta *delta = check_change(town, other);
  if (strstr(changes[_i].find == NULL ? "" : changes[_i].find, "remote") == NULL)
    ck_assert(!delta_empty(delta));
  check_change(other, town);
}
END_TEST

START_TEST(base_chains_are_never_touched_by_policies) {
  struct ruleset *town = town_with(NULL, NULL, NOON);
  for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
    struct delta *delta = difference(town, town_with(changes[i].find, changes[i].replace, changes[i].when));
    for (enum phase phase = PHASE_ADD; phase < PHASE_COUNT_; phase++)
      for (size_t j = 0; j < delta->phases[phase].count; j++) {
        const struct operation *operation = &delta->phases[phase].items[j];
        ck_assert(operation->chain == NULL || operation->chain->hook == HOOK_NONE);
        ck_assert_int_ne(operation->kind, OPERATION_FLUSH_CHAIN * (phase != PHASE_REMOVE));
      }
  }
}
END_TEST

START_TEST(a_flow_that_goes_costs_a_handful_of_elements) {
  struct ruleset *town = town_with(NULL, NULL, NOON);
  struct delta *delta =
      check_change(town, town_with("services = [ \"tcp+udp/53\" ];\n    method = \"lgwan_service\";",
                                   "services = [ \"udp/53\" ];\n    method = \"lgwan_service\";", NOON));
  ck_assert_uint_le(delta_count(delta), 8);
}
END_TEST

/* Revocation and authorisation each happen where difference.h says. */
START_TEST(marks_come_first_and_go_last) {
  struct ruleset *town = town_with(NULL, NULL, NOON);
  struct ruleset *other = town_with("from = \"lg-dns\"; to = \"x-dns\"", "from = \"lg-dns\"; to = \"x-ntp\"", NOON);
  struct delta *delta = difference(town, other);
  for (enum phase phase = PHASE_ADD; phase < PHASE_COUNT_; phase++)
    for (size_t i = 0; i < delta->phases[phase].count; i++) {
      const struct operation *operation = &delta->phases[phase].items[i];
      if (operation->set == NULL || strncmp(operation->set->name, "in_force.", 9) != 0)
        continue;
      if (operation->kind == OPERATION_ADD_ELEMENTS)
        ck_assert_int_eq(phase, PHASE_ADD);
      if (operation->kind == OPERATION_DELETE_ELEMENTS)
        ck_assert_int_eq(phase, PHASE_REMOVE);
    }
}
END_TEST

START_TEST(a_changed_end_keeps_the_count) {
  struct ruleset *town = town_with(NULL, NULL, NOON);
  struct ruleset *other = town_with("expires = \"2027-03-31\"", "expires = \"2027-03-30\"", NOON);
  for (size_t i = 0; i < town->set_count; i++)
    for (size_t j = 0; town->sets[i].counters && j < town->sets[i].element_count; j++)
      town->sets[i].elements[j].packets = 77;
  struct delta *delta = check_change(town, other);
  ck_assert_uint_eq(delta->phases[PHASE_SWAP].count, 2);
  ck_assert_int_eq(delta->phases[PHASE_SWAP].items[0].kind, OPERATION_DELETE_ELEMENTS);
  ck_assert_int_eq(delta->phases[PHASE_SWAP].items[1].kind, OPERATION_ADD_ELEMENTS);
  ck_assert_uint_eq(delta->phases[PHASE_SWAP].items[1].elements[0]->packets, 77);
}
END_TEST

/* ---- strangers ---- */

/* A copy of the town that a stranger may spoil, as it would be read back: nobody vouches for names. */
static struct ruleset *spoilable(void) {
  struct ruleset *town = town_with(NULL, NULL, NOON);
  for (size_t i = 0; i < town->set_count; i++)
    town->sets[i].sealed = false;
  for (size_t i = 0; i < town->chain_count; i++)
    town->chains[i].sealed = false;
  return town;
}

static struct chain *chain_of(struct ruleset *ruleset, const char *prefix) {
  for (size_t i = 0; i < ruleset->chain_count; i++)
    if (strncmp(ruleset->chains[i].name, prefix, strlen(prefix)) == 0)
      return &ruleset->chains[i];
  ck_abort_msg("no chain %s", prefix);
}

static struct set *set_of(struct ruleset *ruleset, const char *prefix) {
  for (size_t i = 0; i < ruleset->set_count; i++)
    if (strncmp(ruleset->sets[i].name, prefix, strlen(prefix)) == 0)
      return &ruleset->sets[i];
  ck_abort_msg("no set %s", prefix);
}

static void check_repair(struct ruleset *spoilt) {
  struct delta *delta = check_change(spoilt, spoilable());
  ck_assert_uint_eq(count_of(delta, PHASE_ADD, OPERATION_DELETE_TABLE), 0);
  ck_assert(!delta_empty(delta));
}

START_TEST(a_rule_that_somebody_slipped_in_is_taken_out) {
  static const char *const chains[] = {"forward", "pair.", "guard.", "open."};
  struct ruleset *spoilt = spoilable();
  struct chain *chain = chain_of(spoilt, chains[_i]);
  struct rule *rules = ARENA_ARRAY(arena, chain->rule_count + 1, struct rule);
  struct expression accept = {.kind = EXPRESSION_VERDICT, .verdict = {.code = VERDICT_ACCEPT}};
  memcpy(rules + 1, chain->rules, chain->rule_count * sizeof *rules);
  rules[0] = (struct rule){.expressions = &accept, .expression_count = 1};
  chain->rules = rules;
  chain->rule_count++;
  check_repair(spoilt);
}
END_TEST

START_TEST(a_foreign_expression_is_never_equal) {
  struct ruleset *spoilt = spoilable();
  chain_of(spoilt, "forward")->rules[0].expressions[0].kind = EXPRESSION_FOREIGN;
  check_repair(spoilt);
}
END_TEST

START_TEST(sealed_sets_that_were_compiled_are_told_apart_by_their_names) {
  struct ruleset *from = town_with(NULL, NULL, NOON), *to = town_with(NULL, NULL, NOON);
  size_t sealed = 0;
  for (size_t i = 0; i < from->set_count; i++) {
    ck_assert(from->sets[i].sealed || !from->sets[i].interval);
    sealed += from->sets[i].sealed;
    if (from->sets[i].sealed)
      from->sets[i].elements = NULL; /* nobody looks */
  }
  ck_assert_uint_gt(sealed, 0);
  ck_assert(delta_empty(difference(from, to)));
}
END_TEST

START_TEST(a_changed_element_of_a_set_that_counts_goes_on_with_its_counter) {
  struct ruleset *from = town_with(NULL, NULL, NOON), *to = town_with(NULL, NULL, NOON);
  struct set *held = set_of(from, "in_force.internet.seccloud"), *wanted = set_of(to, held->name);
  held->elements[0].packets = 5;
  held->elements[0].bytes = 500;
  wanted->elements[0].comment = "F-1, renamed";
  wanted->sealed = false; /* not as it was compiled */
  struct delta *delta = difference(from, to);
  const struct phase_operations *swap = &delta->phases[PHASE_SWAP];
  ck_assert_uint_eq(delta_count(delta), 2);
  ck_assert_int_eq(swap->items[1].kind, OPERATION_ADD_ELEMENTS);
  ck_assert_uint_eq(swap->items[1].elements[0]->packets, 5);
  ck_assert_uint_eq(swap->items[1].elements[0]->bytes, 500);
  ck_assert_uint_eq(delta->carried_count, 1);
  ck_assert_ptr_eq(delta->carried[0].element, swap->items[1].elements[0]);
  ck_assert_str_eq(delta->carried[0].set->name, held->name);
}
END_TEST

START_TEST(a_copy_needs_nothing_of_its_original) {
  struct ruleset *from = town_with(NULL, NULL, NOON), copy = *from;
  struct arena *other = arena_new(0);
  const char *what = "";
  copy.sets = arena_array(other, from->set_count, sizeof *copy.sets);
  copy.chains = arena_array(other, from->chain_count, sizeof *copy.chains);
  copy.counters = arena_array(other, from->counter_count, sizeof *copy.counters);
  for (size_t i = 0; i < from->set_count; i++)
    ck_assert_int_eq(set_copy(&from->sets[i], other, &copy.sets[i]), 0);
  for (size_t i = 0; i < from->chain_count; i++)
    ck_assert_int_eq(chain_copy(&from->chains[i], other, &copy.chains[i]), 0);
  for (size_t i = 0; i < from->counter_count; i++)
    ck_assert_int_eq(counter_copy(&from->counters[i], other, &copy.counters[i]), 0);
  arena_free(arena); /* the sanitizer sees who still looks there */
  arena = other;
  copy.table = "kido";
  ck_assert_msg(ruleset_equal(&copy, town_with(NULL, NULL, NOON), arena, &what), "%s", what);
}
END_TEST

START_TEST(elements_that_somebody_changed_are_put_right) {
  static const char *const sets[] = {"exact4.", "range4.", "zone4.", "forwarding", "in_force.internet.seccloud"};
  struct ruleset *spoilt = spoilable();
  struct set *set = set_of(spoilt, sets[_i]);
  ck_assert_uint_gt(set->element_count, 0);
  set->elements[0].mark ^= 1;
  set->elements[0].comment = "x";
  set->elements[0].verdict = (struct verdict){.code = set->data == MAP_VERDICT ? VERDICT_ACCEPT : VERDICT_NONE};
  check_repair(spoilt);
  spoilt = spoilable();
  set = set_of(spoilt, sets[_i]);
  set->elements++;
  set->element_count--;
  check_repair(spoilt);
  spoilt = spoilable();
  set = set_of(spoilt, sets[_i]);
  set->elements[0].key[0]--;
  if (!set->interval)
    set->elements[0].key_end[0]--;
  check_repair(spoilt);
}
END_TEST

START_TEST(chains_and_sets_of_strangers_go) {
  struct ruleset *town = spoilable(), *spoilt = spoilable();
  struct chain *chains = ARENA_ARRAY(arena, spoilt->chain_count + 1, struct chain);
  struct set *sets = ARENA_ARRAY(arena, spoilt->set_count + 1, struct set);
  memcpy(chains + 1, spoilt->chains, spoilt->chain_count * sizeof *chains);
  memcpy(sets + 1, spoilt->sets, spoilt->set_count * sizeof *sets);
  sets[0] = (struct set){.name = "aaa", .fields = {KEY_FIELD_MARK}, .field_count = 1, .key_size = 4, .foreign = true};
  struct expression accept = {.kind = EXPRESSION_VERDICT, .verdict = {.code = VERDICT_ACCEPT}};
  struct rule rule = {.expressions = &accept, .expression_count = 1};
  chains[0] = (struct chain){.name = "aaa", .hook = HOOK_FORWARD, .priority = -5, .rules = &rule, .rule_count = 1};
  spoilt->chains = chains;
  spoilt->sets = sets;
  spoilt->chain_count++;
  spoilt->set_count++;
  struct delta *delta = check_change(spoilt, town);
  ck_assert_uint_eq(delta_count(delta), 3);
}
END_TEST

START_TEST(what_cannot_change_in_place_is_made_anew_in_one_transaction) {
  struct ruleset *spoilt[4];
  for (size_t i = 0; i < 4; i++)
    spoilt[i] = spoilable();
  chain_of(spoilt[0], "forward")->policy_drop = false;
  set_of(spoilt[1], "forwarding")->foreign = true;
  spoilt[2]->dormant = true;
  spoilt[3]->foreign_count = 1;
  struct delta *delta = check_change(spoilt[_i], spoilable());
  ck_assert_uint_eq(count_of(delta, PHASE_ADD, OPERATION_DELETE_TABLE), 1);
  ck_assert_uint_eq(delta->phases[PHASE_SWAP].count + delta->phases[PHASE_REMOVE].count, 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("difference");
  TCase *tests = tcase_create("difference");
  tcase_add_checked_fixture(tests, setup, teardown);
  tcase_set_timeout(tests, 120);
  tcase_add_test(tests, equal_rulesets_need_nothing);
  tcase_add_test(tests, an_empty_kernel_is_filled_in_one_transaction);
  tcase_add_loop_test(tests, every_change_arrives_and_can_be_taken_back, 0, sizeof changes / sizeof *changes);
  tcase_add_test(tests, base_chains_are_never_touched_by_policies);
  tcase_add_test(tests, a_flow_that_goes_costs_a_handful_of_elements);
  tcase_add_test(tests, marks_come_first_and_go_last);
  tcase_add_test(tests, a_changed_end_keeps_the_count);
  tcase_add_loop_test(tests, a_rule_that_somebody_slipped_in_is_taken_out, 0, 4);
  tcase_add_test(tests, a_foreign_expression_is_never_equal);
  tcase_add_loop_test(tests, elements_that_somebody_changed_are_put_right, 0, 5);
  tcase_add_test(tests, sealed_sets_that_were_compiled_are_told_apart_by_their_names);
  tcase_add_test(tests, a_changed_element_of_a_set_that_counts_goes_on_with_its_counter);
  tcase_add_test(tests, a_copy_needs_nothing_of_its_original);
  tcase_add_test(tests, chains_and_sets_of_strangers_go);
  tcase_add_loop_test(tests, what_cannot_change_in_place_is_made_anew_in_one_transaction, 0, 4);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
