/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Operations on whole diagrams: each walks its operands from the top, and remembers what it answered. */
#include <stdlib.h>

#include "proof/diagram_parts.h"

static const size_t MOST_ANSWERS = (size_t)1 << 22;
static const unsigned MOST_OPERATIONS = TAG_BIT / TAG_KINDS - TAG_FIRST_FREE;

unsigned diagram_operation(struct diagram_store *store) {
  if (store->operations == MOST_OPERATIONS)
    diagram_fail(store);
  else
    store->operations++;
  return store->operations;
}

uint32_t diagram_tag(enum diagram_tag_kind kind, unsigned operation) {
  return TAG_BIT | (TAG_FIRST_FREE + (operation % MOST_OPERATIONS) * TAG_KINDS + kind);
}

/* ---- what was answered before ---- */

static size_t answer_hash(diagram left, diagram right, uint32_t operation) {
  uint64_t mixed = ((uint64_t)left << 32 | right) * 0x9e3779b97f4a7c15u;
  mixed = (mixed ^ mixed >> 32 ^ operation) * 0xd6e8feb86659fd93u;
  return (size_t)(mixed >> 32);
}

/* Of one operand: its nodes are walked nearly in the order in which they were made, so they have neighbouring places.
 */
static bool is_unary(uint32_t operation) {
  uint32_t tag = operation & ~TAG_BIT;
  if ((operation & TAG_BIT) == 0)
    return false;
  return tag < TAG_FIRST_FREE ? tag >= TAG_FIX : (tag - TAG_FIRST_FREE) % TAG_KINDS >= TAG_MAP;
}

static struct diagram_answer *answer_place(const struct diagram_store *store, diagram left, diagram right,
                                           uint32_t operation) {
  if (is_unary(operation))
    return &store->answers[(left + answer_hash(0, right, operation)) & (store->answer_count - 1)];
  return &store->answers[answer_hash(left, right, operation) & (store->answer_count - 1)];
}

static bool grow_answers(struct diagram_store *store, size_t count) {
  struct diagram_answer *old = store->answers, *answers = calloc(count, sizeof *answers);
  size_t old_count = store->answer_count;
  if (answers == NULL)
    return false;
  diagram_advise(answers, count * sizeof *answers);
  store->answers = answers;
  store->answer_count = count;
  for (size_t i = 0; i < old_count; i++)
    if (old[i].operation != 0)
      *answer_place(store, old[i].left, old[i].right, old[i].operation) = old[i];
  free(old);
  return true;
}

/* DIAGRAM_NONE: not known. */
static diagram recall(const struct diagram_store *store, diagram left, diagram right, uint32_t operation) {
  if (store->answer_count == 0)
    return DIAGRAM_NONE;
  const struct diagram_answer *answer = answer_place(store, left, right, operation);
  return answer->left == left && answer->right == right && answer->operation == operation ? answer->result
                                                                                          : DIAGRAM_NONE;
}

static diagram remember(struct diagram_store *store, diagram left, diagram right, uint32_t operation, diagram result) {
  if (result == DIAGRAM_NONE)
    return result;
  if (store->answer_count < store->bucket_count && store->answer_count < MOST_ANSWERS &&
      !grow_answers(store, store->bucket_count < MOST_ANSWERS ? store->bucket_count : MOST_ANSWERS))
    return diagram_fail(store);
  *answer_place(store, left, right, operation) = (struct diagram_answer){left, right, operation, result};
  return result;
}

/* ---- two operands ---- */

/* What a walk knows beside its operands. */
struct job {
  struct diagram_store *store;
  uint32_t tag;
  diagram_combine_function combine;
  diagram_map_function map;
  diagram_chosen_function chosen;
  void *context, *chosen_context;
  unsigned variable;
  uint32_t value;
  bool every;
};

enum { UNSETTLED = 0x7fffffff }; /* never a node: there are no more than that */

/* The answer where it follows from the operands at a glance. */
typedef diagram (*settle_function)(const struct job *job, diagram left, diagram right);
typedef diagram (*step_function)(const struct job *job, diagram left, diagram right);

struct branches {
  uint32_t variable;
  diagram left_low, left_high, right_low, right_high;
};

/* Both operands, split at the earliest variable that either asks. */
static struct branches split(const struct diagram_store *store, diagram left, diagram right) {
  const struct diagram_entry *l = &store->nodes[left], *r = &store->nodes[right];
  if (l->variable < r->variable)
    return (struct branches){l->variable, l->low, l->high, right, right};
  if (l->variable > r->variable)
    return (struct branches){r->variable, left, left, r->low, r->high};
  return (struct branches){l->variable, l->low, l->high, r->low, r->high};
}

static diagram combine_leaves(const struct job *job, diagram left, diagram right) {
  struct diagram_store *store = job->store;
  if (job->combine == NULL) /* a set with other leaves than 0 and 1 */
    return diagram_fail(store);
  return diagram_leaf(store, job->combine(job->context, store->nodes[left].low, store->nodes[right].low));
}

/* Made anew for each operation by the compiler, so that each is a tight loop of its own. */
static inline __attribute__((always_inline)) diagram walk(const struct job *job, diagram left, diagram right,
                                                          uint32_t tag, settle_function settle, step_function step) {
  struct diagram_store *store = job->store;
  diagram known = settle(job, left, right);
  if (known != UNSETTLED)
    return known;
  known = recall(store, left, right, tag);
  if (known != DIAGRAM_NONE || store->failed)
    return known;
  struct branches at = split(store, left, right);
  if (at.variable == LEAF_VARIABLE)
    return remember(store, left, right, tag, combine_leaves(job, left, right));
  diagram low = step(job, at.left_low, at.right_low), high = step(job, at.left_high, at.right_high);
  return remember(store, left, right, tag, diagram_make(store, at.variable, low, high));
}

static diagram settle_and(const struct job *job, diagram left, diagram right) {
  (void)job;
  if (left == DIAGRAM_FALSE || right == DIAGRAM_FALSE)
    return DIAGRAM_FALSE;
  if (left == right || right == DIAGRAM_TRUE)
    return left;
  return left == DIAGRAM_TRUE ? right : UNSETTLED;
}

static diagram settle_or(const struct job *job, diagram left, diagram right) {
  (void)job;
  if (left == DIAGRAM_TRUE || right == DIAGRAM_TRUE)
    return DIAGRAM_TRUE;
  if (left == right || right == DIAGRAM_FALSE)
    return left;
  return left == DIAGRAM_FALSE ? right : UNSETTLED;
}

static diagram settle_difference(const struct job *job, diagram left, diagram right) {
  (void)job;
  if (left == right || left == DIAGRAM_FALSE || right == DIAGRAM_TRUE)
    return DIAGRAM_FALSE;
  return right == DIAGRAM_FALSE ? left : UNSETTLED;
}

static diagram settle_xor(const struct job *job, diagram left, diagram right) {
  (void)job;
  if (left == right)
    return DIAGRAM_FALSE;
  if (left == DIAGRAM_FALSE)
    return right;
  if (right == DIAGRAM_FALSE)
    return left;
  return left + right == DIAGRAM_FALSE + DIAGRAM_TRUE ? DIAGRAM_TRUE : UNSETTLED;
}

static diagram settle_nothing(const struct job *job, diagram left, diagram right) {
  (void)job, (void)left, (void)right;
  return UNSETTLED;
}

static diagram settle_equal(const struct job *job, diagram left, diagram right) {
  (void)job;
  return left == right ? left : UNSETTLED;
}

/* 0 gives way. */
static diagram settle_merge(const struct job *job, diagram left, diagram right) {
  (void)job;
  if (left == DIAGRAM_FALSE)
    return right;
  return right == DIAGRAM_FALSE ? left : UNSETTLED;
}

static diagram settle_merge_idempotent(const struct job *job, diagram left, diagram right) {
  return left == right ? left : settle_merge(job, left, right);
}

static diagram and_step(const struct job *job, diagram left, diagram right) {
  return left > right ? walk(job, right, left, TAG_BIT | TAG_AND, settle_and, and_step)
                      : walk(job, left, right, TAG_BIT | TAG_AND, settle_and, and_step);
}

static diagram or_step(const struct job *job, diagram left, diagram right) {
  return left > right ? walk(job, right, left, TAG_BIT | TAG_OR, settle_or, or_step)
                      : walk(job, left, right, TAG_BIT | TAG_OR, settle_or, or_step);
}

static diagram difference_step(const struct job *job, diagram left, diagram right) {
  return walk(job, left, right, TAG_BIT | TAG_DIFFERENCE, settle_difference, difference_step);
}

static diagram xor_step(const struct job *job, diagram left, diagram right) {
  return left > right ? walk(job, right, left, TAG_BIT | TAG_XOR, settle_xor, xor_step)
                      : walk(job, left, right, TAG_BIT | TAG_XOR, settle_xor, xor_step);
}

static diagram combine_step(const struct job *job, diagram left, diagram right) {
  return walk(job, left, right, job->tag, settle_nothing, combine_step);
}

static diagram combine_idempotent_step(const struct job *job, diagram left, diagram right) {
  return walk(job, left, right, job->tag, settle_equal, combine_idempotent_step);
}

static diagram merge_step(const struct job *job, diagram left, diagram right) {
  return walk(job, left, right, job->tag, settle_merge, merge_step);
}

static diagram merge_idempotent_step(const struct job *job, diagram left, diagram right) {
  return walk(job, left, right, job->tag, settle_merge_idempotent, merge_idempotent_step);
}

/* All operations of two start here. */
static diagram start(const struct job *job, step_function step, diagram left, diagram right) {
  if (job->store->failed || left == DIAGRAM_NONE || right == DIAGRAM_NONE)
    return DIAGRAM_NONE;
  return step(job, left, right);
}

diagram diagram_and(struct diagram_store *store, diagram left, diagram right) {
  return start(&(struct job){.store = store}, and_step, left, right);
}

diagram diagram_or(struct diagram_store *store, diagram left, diagram right) {
  return start(&(struct job){.store = store}, or_step, left, right);
}

diagram diagram_difference(struct diagram_store *store, diagram left, diagram right) {
  return start(&(struct job){.store = store}, difference_step, left, right);
}

diagram diagram_xor(struct diagram_store *store, diagram left, diagram right) {
  return start(&(struct job){.store = store}, xor_step, left, right);
}

diagram diagram_not(struct diagram_store *store, diagram set) {
  return diagram_xor(store, set, DIAGRAM_TRUE);
}

diagram diagram_combine(struct diagram_store *store, unsigned operation, diagram_combine_function function,
                        void *context, diagram left, diagram right) {
  const struct job job = {
      .store = store, .tag = diagram_tag(TAG_COMBINE, operation), .combine = function, .context = context};
  return start(&job, combine_step, left, right);
}

diagram diagram_merge(struct diagram_store *store, uint32_t tag, diagram_combine_function function, void *context,
                      bool idempotent, diagram left, diagram right) {
  const struct job job = {.store = store, .tag = tag, .combine = function, .context = context};
  return start(&job, idempotent ? merge_idempotent_step : merge_step, left, right);
}

/* ---- three operands ---- */

static diagram at_or_below(const struct diagram_store *store, diagram node, uint32_t variable, bool value) {
  const struct diagram_entry *entry = &store->nodes[node];
  if (entry->variable != variable)
    return node;
  return value ? entry->high : entry->low;
}

static diagram choose_step(struct diagram_store *store, diagram set, diagram then, diagram otherwise) {
  if (then == otherwise || set == DIAGRAM_TRUE)
    return then;
  if (set == DIAGRAM_FALSE)
    return otherwise;
  if (then == DIAGRAM_TRUE && otherwise == DIAGRAM_FALSE)
    return set;
  diagram known = recall(store, set, then, otherwise);
  if (known != DIAGRAM_NONE || store->failed)
    return known;
  uint32_t variable = store->nodes[set].variable;
  if (variable == LEAF_VARIABLE)
    return diagram_fail(store);
  const uint32_t others[] = {store->nodes[then].variable, store->nodes[otherwise].variable};
  for (int i = 0; i < 2; i++)
    variable = others[i] < variable ? others[i] : variable;
  diagram branches[2];
  for (int i = 0; i < 2; i++)
    branches[i] =
        choose_step(store, at_or_below(store, set, variable, i != 0), at_or_below(store, then, variable, i != 0),
                    at_or_below(store, otherwise, variable, i != 0));
  return remember(store, set, then, otherwise, diagram_make(store, variable, branches[0], branches[1]));
}

diagram diagram_choose(struct diagram_store *store, diagram set, diagram then, diagram otherwise) {
  if (store->failed || set == DIAGRAM_NONE || then == DIAGRAM_NONE || otherwise == DIAGRAM_NONE)
    return DIAGRAM_NONE;
  return choose_step(store, set, then, otherwise);
}

/* ---- one operand ---- */

static diagram map_step(const struct job *job, diagram of) {
  struct diagram_store *store = job->store;
  diagram known = recall(store, of, job->value, job->tag);
  if (known != DIAGRAM_NONE || store->failed)
    return known;
  const struct diagram_entry at = store->nodes[of];
  if (at.variable == LEAF_VARIABLE)
    return remember(store, of, job->value, job->tag, diagram_leaf(store, job->map(job->context, at.low)));
  diagram low = map_step(job, at.low), high = map_step(job, at.high);
  return remember(store, of, job->value, job->tag, diagram_make(store, at.variable, low, high));
}

static diagram start_map(const struct job *job, diagram of) {
  return job->store->failed || of == DIAGRAM_NONE ? DIAGRAM_NONE : map_step(job, of);
}

diagram diagram_map(struct diagram_store *store, unsigned operation, diagram_map_function function, void *context,
                    diagram of) {
  const struct job job = {.store = store, .tag = diagram_tag(TAG_MAP, operation), .map = function, .context = context};
  return start_map(&job, of);
}

static uint32_t is_value(void *context, uint32_t value) {
  return value == *(const uint32_t *)context;
}

static uint32_t is_not_zero(void *context, uint32_t value) {
  (void)context;
  return value != 0;
}

diagram diagram_where(struct diagram_store *store, diagram of, uint32_t value) {
  const struct job job = {
      .store = store, .tag = TAG_BIT | TAG_WHERE, .value = value, .map = is_value, .context = &value};
  return start_map(&job, of);
}

diagram diagram_support(struct diagram_store *store, diagram of) {
  return start_map(&(struct job){.store = store, .tag = TAG_BIT | TAG_SUPPORT, .map = is_not_zero}, of);
}

static diagram quantify_step(const struct job *job, diagram set) {
  struct diagram_store *store = job->store;
  if (set <= DIAGRAM_TRUE)
    return set;
  diagram known = recall(store, set, 0, job->tag);
  if (known != DIAGRAM_NONE || store->failed)
    return known;
  const struct diagram_entry at = store->nodes[set];
  if (at.variable == LEAF_VARIABLE)
    return diagram_fail(store);
  diagram low = quantify_step(job, at.low), high = quantify_step(job, at.high), result;
  if (!job->chosen(job->context, at.variable))
    result = diagram_make(store, at.variable, low, high);
  else
    result = job->every ? diagram_and(store, low, high) : diagram_or(store, low, high);
  return remember(store, set, 0, job->tag, result);
}

static diagram quantify(struct diagram_store *store, diagram set, diagram_chosen_function chosen, void *context,
                        bool every) {
  if (store->failed || set == DIAGRAM_NONE)
    return DIAGRAM_NONE;
  const struct job job = {.store = store,
                          .tag = diagram_tag(TAG_QUANTIFY, diagram_operation(store)),
                          .chosen = chosen,
                          .context = context,
                          .every = every};
  return quantify_step(&job, set);
}

diagram diagram_exists(struct diagram_store *store, diagram set, diagram_chosen_function chosen, void *context) {
  return quantify(store, set, chosen, context, false);
}

diagram diagram_for_all(struct diagram_store *store, diagram set, diagram_chosen_function chosen, void *context) {
  return quantify(store, set, chosen, context, true);
}

static diagram gather_step(const struct job *job, uint32_t tag, diagram of) {
  struct diagram_store *store = job->store;
  const struct diagram_entry at = store->nodes[of];
  if (at.variable == LEAF_VARIABLE)
    return of;
  diagram known = recall(store, of, 0, tag);
  if (known != DIAGRAM_NONE || store->failed)
    return known;
  diagram low = gather_step(job, tag, at.low), high = gather_step(job, tag, at.high), result;
  if (!job->chosen(job->chosen_context, at.variable))
    result = diagram_make(store, at.variable, low, high);
  else
    result = start(job, combine_idempotent_step, low, high);
  return remember(store, of, 0, tag, result);
}

diagram diagram_gather(struct diagram_store *store, unsigned operation, diagram_combine_function function,
                       void *context, diagram of, diagram_chosen_function chosen, void *chosen_context) {
  const struct job job = {.store = store,
                          .tag = diagram_tag(TAG_COMBINE, operation),
                          .combine = function,
                          .context = context,
                          .chosen = chosen,
                          .chosen_context = chosen_context};
  return store->failed || of == DIAGRAM_NONE ? DIAGRAM_NONE : gather_step(&job, diagram_tag(TAG_GATHER, operation), of);
}

static diagram fix_step(const struct job *job, diagram of) {
  struct diagram_store *store = job->store;
  const struct diagram_entry at = store->nodes[of];
  if (at.variable >= job->variable)
    return at_or_below(store, of, job->variable, job->value != 0);
  diagram known = recall(store, of, 2 * job->variable + job->value, job->tag);
  if (known != DIAGRAM_NONE || store->failed)
    return known;
  diagram low = fix_step(job, at.low), high = fix_step(job, at.high);
  return remember(store, of, 2 * job->variable + job->value, job->tag, diagram_make(store, at.variable, low, high));
}

diagram diagram_fix(struct diagram_store *store, diagram of, unsigned variable, bool value) {
  if (store->failed || of == DIAGRAM_NONE)
    return DIAGRAM_NONE;
  const struct job job = {.store = store, .tag = TAG_BIT | TAG_FIX, .variable = variable, .value = value};
  return variable < DIAGRAM_VARIABLES ? fix_step(&job, of) : of;
}
