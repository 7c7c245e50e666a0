/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <string.h>

#include <linux/netfilter/nf_tables.h>

#include "proof/symbolic_parts.h"

/* The meaning of expressions that do not read the packet: they work on registers, look things up, or decide. */

/* Newer than the headers of older systems. */
enum { BITWISE_MASK_XOR, BITWISE_LEFT, BITWISE_RIGHT, BITWISE_AND, BITWISE_OR, BITWISE_XOR };
enum { OBJECT_COUNTER = 1, OBJECT_QUOTA, OBJECT_CT_HELPER, OBJECT_LIMIT, OBJECT_CONNLIMIT };

#define NEVER_WRITTEN "read of a register that this rule did not write"

/* ---- comparing ---- */

/* Where the answer is not known it is what an unknown says. */
static diagram with_doubt(struct run *run, diagram answer, bool doubt, const char *what) {
  if (!doubt)
    return answer;
  return diagram_and(run->machine->store, answer, run_unknown(run, UNKNOWN_ANSWER, what));
}

struct asked { /* of the leaves of a word */
  struct symbolic *machine;
  const struct live_expression *expression;
  uint32_t zero;
  bool swapped;
};

static int compare_bytes(const struct live_expression *expression, const uint8_t *bytes, const uint8_t *with) {
  return memcmp(bytes, with, expression->data_length);
}

static bool comparison_holds(const struct live_expression *expression, const uint8_t *bytes) {
  int order = compare_bytes(expression, bytes, expression->data);
  if (expression->kind == LIVE_RANGE) {
    bool inside = order >= 0 && compare_bytes(expression, bytes, expression->data_to) <= 0;
    return inside == (expression->operation == NFT_RANGE_EQ);
  }
  const bool holds[] = {
      [NFT_CMP_EQ] = order == 0,
      [NFT_CMP_NEQ] = order != 0,
      [NFT_CMP_LT] = order<0, [NFT_CMP_LTE] = order <= 0, [NFT_CMP_GT] = order> 0,
      [NFT_CMP_GTE] = order >= 0,
  };
  return holds[expression->operation];
}

static uint32_t leaf_holds(void *context, uint32_t leaf) {
  const struct asked *asked = context;
  leaf = leaf != 0 ? leaf : asked->zero;
  struct mark_word word = symbolic_mark(asked->machine, leaf);
  uint8_t bytes[4];
  if (leaf == 0 || word.unknown || word.keep != 0)
    return 0;
  word_bytes(word.flip, asked->swapped, bytes);
  return comparison_holds(asked->expression, bytes);
}

static diagram compare_bits(struct run *run, const struct live_expression *expression, const struct bit *bits) {
  struct symbolic *machine = run->machine;
  struct diagram_store *store = machine->store;
  unsigned count = expression->data_length * 8;
  bool doubt, doubt_too = false, inverted = false;
  diagram answer;
  if (expression->kind == LIVE_RANGE) {
    answer = diagram_and(store, bits_compare(machine, bits, count, COMPARE_LEAST, expression->data, &doubt),
                         bits_compare(machine, bits, count, COMPARE_MOST, expression->data_to, &doubt_too));
    inverted = expression->operation == NFT_RANGE_NEQ;
  } else {
    static const enum comparison COMPARISONS[] = {
        [NFT_CMP_EQ] = COMPARE_EQUAL, [NFT_CMP_NEQ] = COMPARE_EQUAL, [NFT_CMP_LT] = COMPARE_LEAST,
        [NFT_CMP_LTE] = COMPARE_MOST, [NFT_CMP_GT] = COMPARE_MOST,   [NFT_CMP_GTE] = COMPARE_LEAST,
    };
    unsigned operation = expression->operation;
    answer = bits_compare(machine, bits, count, COMPARISONS[operation], expression->data, &doubt);
    inverted = operation == NFT_CMP_NEQ || operation == NFT_CMP_LT || operation == NFT_CMP_GT;
  }
  answer = with_doubt(run, answer, doubt || doubt_too, "comparison");
  return inverted ? diagram_not(store, answer) : answer;
}

static void compare_word(struct run *run, const struct live_expression *expression, const struct word *word) {
  struct symbolic *machine = run->machine;
  struct diagram_store *store = machine->store;
  struct asked asked = {machine, expression, word->zero, word->swapped};
  struct open_leaves rest;
  diagram answer =
      diagram_map(store, operation_number(machine, OPERATION_COMPARE, expression, word->swapped, word->zero),
                  leaf_holds, &asked, word->leaves);
  word_open_leaves(machine, word, &rest);
  for (size_t i = 0; i < rest.count && !rest.more; i++) {
    struct bit bits[32];
    uint32_t meant = rest.leaves[i] != 0 ? rest.leaves[i] : word->zero;
    diagram region = diagram_and(store, run->condition, diagram_where(store, word->leaves, rest.leaves[i]));
    if (region == DIAGRAM_FALSE)
      continue;
    word_bits(machine, symbolic_mark(machine, meant), word->swapped, bits);
    answer = diagram_choose(store, region, compare_bits(run, expression, bits), answer);
  }
  if (rest.more)
    run_unmodelled(run, run->condition, "comparison of too many kinds of marks");
  run_narrow(run, answer);
}

static bool comparison_is_known(const struct live_expression *expression) {
  if (expression->data == NULL || expression->data_length == 0 || expression->data_length > LIVE_REGISTER_BYTES)
    return false;
  if (expression->kind == LIVE_RANGE)
    return expression->data_to != NULL && expression->data_to_length == expression->data_length &&
           (expression->operation == NFT_RANGE_EQ || expression->operation == NFT_RANGE_NEQ);
  return expression->operation <= NFT_CMP_GTE;
}

static void compare_run(struct run *run, const struct live_expression *expression) {
  struct bit bits[REGISTER_BITS];
  if (!comparison_is_known(expression)) {
    run_unmodelled(run, run->condition, "comparison of an unknown kind");
    return;
  }
  const struct word *word = registers_word(&run->registers, expression->source, expression->data_length);
  if (word != NULL)
    compare_word(run, expression, word);
  else if (registers_read(run->machine, &run->registers, expression->source, expression->data_length, bits))
    run_narrow(run, compare_bits(run, expression, bits));
  else
    run_unmodelled(run, run->condition, NEVER_WRITTEN);
}

/* ---- calculating ---- */

struct masking {
  struct symbolic *machine;
  uint32_t mask, flip;
};

static uint32_t leaf_masked(void *context, uint32_t leaf) {
  const struct masking *masking = context;
  struct mark_word word = symbolic_mark(masking->machine, leaf);
  if (leaf == 0)
    return 0;
  if (word.unknown && masking->mask != 0)
    return leaf;
  return word_intern(masking->machine,
                     (struct mark_word){word.keep & masking->mask, (word.flip & masking->mask) ^ masking->flip, false});
}

static uint32_t number_of(const uint8_t *bytes, bool swapped) {
  uint32_t number;
  memcpy(&number, bytes, sizeof(number));
  return swapped ? __builtin_bswap32(number) : number;
}

static void mask_word(struct run *run, const struct live_expression *expression, const struct word *word) {
  struct symbolic *machine = run->machine;
  struct masking masking = {machine, number_of(expression->data, word->swapped),
                            number_of(expression->data_to, word->swapped)};
  unsigned operation = operation_number(machine, OPERATION_MASK, NULL, masking.mask, masking.flip);
  struct word masked = {diagram_map(machine->store, operation, leaf_masked, &masking, word->leaves),
                        leaf_masked(&masking, word->zero), word->swapped};
  registers_write_word(&run->registers, expression->destination, masked);
}

static bool mask_bits(struct run *run, const struct live_expression *expression) {
  struct bit bits[REGISTER_BITS];
  if (!registers_read(run->machine, &run->registers, expression->source, expression->length, bits))
    return false;
  for (unsigned i = 0; i < expression->length * 8; i++) {
    bool mask = (expression->data[i / 8] >> (7 - i % 8)) & 1, flip = (expression->data_to[i / 8] >> (7 - i % 8)) & 1;
    if (!mask)
      bits[i] = bit_constant(flip);
    else if (flip)
      bits[i] = bit_not(run->machine, bits[i]);
  }
  struct bit *there = registers_write(&run->registers, expression->destination, expression->length);
  if (there != NULL)
    memcpy(there, bits, sizeof(*bits) * 8 * expression->length);
  return there != NULL;
}

static void mask_run(struct run *run, const struct live_expression *expression) {
  if (expression->data == NULL || expression->data_to == NULL || expression->data_length != expression->length ||
      expression->data_to_length != expression->length) {
    run_unmodelled(run, run->condition, "bitwise of an unknown kind");
    return;
  }
  const struct word *word = registers_word(&run->registers, expression->source, expression->length);
  if (word != NULL)
    mask_word(run, expression, word);
  else if (!mask_bits(run, expression))
    run_unmodelled(run, run->condition, NEVER_WRITTEN);
}

/* Words of four bytes are numbers of this machine; what is shifted out of one goes into the next. */
static void shift_bits(const struct bit *bits, unsigned count, unsigned shift, bool left, struct bit *ret_bits) {
  for (unsigned i = 0; i < count; i++) { /* i: significance, over all words */
    struct bit moved = bit_constant(false);
    unsigned from = left ? i + shift : i - shift;
    if (left ? from < count : i >= shift)
      moved = bits[from / 32 * 32 + host_bit(4, from % 32)];
    ret_bits[i / 32 * 32 + host_bit(4, i % 32)] = moved;
  }
}

static void shift_run(struct run *run, const struct live_expression *expression) {
  struct bit bits[REGISTER_BITS], moved[REGISTER_BITS];
  unsigned whole = (expression->length + 3) / 4 * 4;
  if (expression->data == NULL || expression->data_length != 4 || number_of(expression->data, false) - 1 >= 31) {
    run_unmodelled(run, run->condition, "shift of an unknown kind");
    return;
  }
  if (!registers_read(run->machine, &run->registers, expression->source, whole, bits)) {
    run_unmodelled(run, run->condition, "shift of a register that was not written, or of a mark of many values");
    return;
  }
  shift_bits(bits, whole * 8, number_of(expression->data, false), expression->operation == BITWISE_LEFT, moved);
  struct bit *there = registers_write(&run->registers, expression->destination, whole);
  if (there != NULL)
    memcpy(there, moved, (size_t)whole * 8 * sizeof(*bits));
}

static struct bit join_bits(struct symbolic *machine, unsigned operation, struct bit left, struct bit right) {
  struct diagram_store *store = machine->store;
  if (left.kind == BIT_UNKNOWN || right.kind == BIT_UNKNOWN)
    return bit_unknown();
  diagram a = bit_set(machine, left), b = bit_set(machine, right);
  if (operation == BITWISE_AND)
    return bit_function(diagram_and(store, a, b));
  return bit_function(operation == BITWISE_OR ? diagram_or(store, a, b) : diagram_xor(store, a, b));
}

static void join_run(struct run *run, const struct live_expression *expression) {
  struct bit left[REGISTER_BITS], right[REGISTER_BITS];
  unsigned length = expression->length;
  if (!expression->has_source_data ||
      !registers_read(run->machine, &run->registers, expression->source, length, left) ||
      !registers_read(run->machine, &run->registers, expression->source_data, length, right)) {
    run_unmodelled(run, run->condition, "bitwise on two registers");
    return;
  }
  struct bit *there = registers_write(&run->registers, expression->destination, length);
  for (unsigned i = 0; there != NULL && i < length * 8; i++)
    there[i] = join_bits(run->machine, expression->operation, left[i], right[i]);
}

static bool length_fits(const struct live_expression *expression) {
  return expression->length > 0 && expression->length <= LIVE_REGISTER_BYTES &&
         expression->source <= LIVE_REGISTER_BYTES && expression->destination <= LIVE_REGISTER_BYTES &&
         expression->length <= LIVE_REGISTER_BYTES - expression->destination;
}

static void bitwise_run(struct run *run, const struct live_expression *expression) {
  static void (*const OPERATIONS[])(struct run *, const struct live_expression *) = {
      [BITWISE_MASK_XOR] = mask_run, [BITWISE_LEFT] = shift_run, [BITWISE_RIGHT] = shift_run,
      [BITWISE_AND] = join_run,      [BITWISE_OR] = join_run,    [BITWISE_XOR] = join_run,
  };
  if (expression->operation > BITWISE_XOR || !length_fits(expression))
    run_unmodelled(run, run->condition, "bitwise of an unknown kind");
  else
    OPERATIONS[expression->operation](run, expression);
}

static void byteorder_run(struct run *run, const struct live_expression *expression) {
  struct bit bits[REGISTER_BITS];
  unsigned size = expression->size, length = expression->length;
  bool known = (size == 2 && length == 2) || (size == 4 && length % 4 == 0);
  if (!known || !length_fits(expression)) {
    run_unmodelled(run, run->condition, "byteorder of an unknown kind");
    return;
  }
  const struct word *word = size == 4 ? registers_word(&run->registers, expression->source, length) : NULL;
  if (word != NULL) {
    struct word copy = *word;
    copy.swapped = copy.swapped != host_is_little();
    registers_write_word(&run->registers, expression->destination, copy);
    return;
  }
  if (!registers_read(run->machine, &run->registers, expression->source, length, bits)) {
    run_unmodelled(run, run->condition, NEVER_WRITTEN);
    return;
  }
  struct bit *there = registers_write(&run->registers, expression->destination, length);
  for (unsigned i = 0; there != NULL && i < length * 8; i++)
    there[i / (size * 8) * size * 8 + host_bit(size, i % (size * 8))] = bits[i];
}

static void immediate_run(struct run *run, const struct live_expression *expression) {
  if (expression->is_verdict)
    run_settle(run, run->condition, &expression->verdict);
  else if (expression->data == NULL || expression->data_length == 0)
    run_unmodelled(run, run->condition, "immediate without data");
  else
    registers_write_bytes(&run->registers, expression->destination, expression->data, expression->data_length);
}

/* ---- looking up ---- */

struct verdict_leaves {
  uint32_t *leaves;
  size_t count, capacity;
  struct symbolic *machine;
};

static bool note_leaf(void *context, uint32_t leaf) {
  struct verdict_leaves *list = context;
  void *items = list->leaves;
  if (leaf == 0)
    return true;
  if (arena_grow(list->machine->arena, &items, list->count, &list->capacity, sizeof(*list->leaves)) < 0) {
    list->machine->failed = true;
    return false;
  }
  list->leaves = items;
  list->leaves[list->count++] = leaf;
  return true;
}

/* An element with expressions that may say no. */
static diagram without_doubtful(struct run *run, const struct found *found, diagram hit) {
  if (diagram_and(run->machine->store, hit, found->doubtful) == DIAGRAM_FALSE)
    return hit;
  return diagram_and(run->machine->store, hit,
                     diagram_or(run->machine->store, diagram_not(run->machine->store, found->doubtful),
                                run_unknown(run, UNKNOWN_ANSWER, "expressions of an element")));
}

static diagram found_hit(struct run *run, const struct found *found) {
  struct diagram_store *store = run->machine->store;
  diagram hit = diagram_support(store, found->leaf);
  diagram doubt = diagram_and(store, diagram_and(store, hit, found->doubt), run->condition);
  if (doubt != DIAGRAM_FALSE)
    hit = diagram_choose(store, found->doubt,
                         diagram_and(store, hit, run_unknown(run, UNKNOWN_ANSWER, "lookup of what cannot be known")),
                         hit);
  return hit;
}

static void lookup_verdict(struct run *run, const struct live_expression *expression, const struct found *found) {
  struct symbolic *machine = run->machine;
  struct verdict_leaves list = {.machine = machine};
  run_unmodelled(run, found->doubt, "verdict of what cannot be known");
  run_narrow(run, without_doubtful(run, found, diagram_support(machine->store, found->leaf)));
  diagram here = diagram_choose(machine->store, run->condition, found->leaf, DIAGRAM_FALSE);
  diagram_leaves(machine->store, here, note_leaf, &list);
  for (size_t i = 0; i < list.count; i++) {
    const struct live_verdict *verdict = found_verdict(machine, expression->set, list.leaves[i]);
    if (verdict != NULL)
      run_settle(run, diagram_where(machine->store, here, list.leaves[i]), verdict);
  }
}

static void lookup_value(struct run *run, const struct live_expression *expression, const struct found *found) {
  struct symbolic *machine = run->machine;
  struct diagram_store *store = machine->store;
  if (expression->set->data_length > 4) { /* nothing that is stamped or asked for here */
    run_narrow(run, without_doubtful(run, found, found_hit(run, found)));
    registers_write_unknown(&run->registers, expression->destination, expression->set->data_length);
    return;
  }
  diagram leaves = found->leaf;
  if (found->doubt != DIAGRAM_FALSE)
    leaves = diagram_choose(store, found->doubt, diagram_leaf(store, word_unknown(machine)), leaves);
  run_narrow(run, without_doubtful(run, found, found_hit(run, found)));
  registers_write_word(&run->registers, expression->destination, (struct word){leaves, 0, false});
}

static void lookup_set(struct run *run, const struct live_expression *expression, const struct found *found) {
  struct diagram_store *store = run->machine->store;
  bool inverted = (expression->flags & NFT_LOOKUP_F_INV) != 0;
  if (inverted && expression->set->has_catch_all) {
    run_unmodelled(run, run->condition, "\"not in\" a set with a catch-all element: kernels answer differently");
    return;
  }
  diagram hit = found_hit(run, found);
  if (inverted)
    run_narrow(run, diagram_not(store, hit));
  else
    run_narrow(run, without_doubtful(run, found, hit));
}

static bool rule_drops(const struct live_rule *rule) {
  const struct live_expression *last =
      rule->expression_count > 0 ? &rule->expressions[rule->expression_count - 1] : NULL;
  return last != NULL && last->is_verdict && last->verdict.code == LIVE_DROP;
}

/* A set that packets change: nobody knows what is in it. Where being in it means to be dropped it is a bound (slots
 * that are taken), and so a condition. */
static void lookup_changing(struct run *run, const struct live_expression *expression) {
  diagram unknown = run_unknown(run, rule_drops(run->rule) ? UNKNOWN_THROTTLE : UNKNOWN_ANSWER,
                                "lookup in a set that packets change");
  if (expression->verdict_map || expression->set->data_kind == LIVE_OBJECTS) {
    run_unmodelled(run, run->condition, "map that packets change");
    return;
  }
  run_narrow(run, unknown);
  if (expression->has_destination && expression->set->data_length <= 4)
    registers_write_word(&run->registers, expression->destination,
                         (struct word){DIAGRAM_FALSE, word_unknown(run->machine), false});
  else if (expression->has_destination)
    registers_write_unknown(&run->registers, expression->destination, expression->set->data_length);
}

static bool lookup_find(struct run *run, const struct live_expression *expression, struct found *ret_found) {
  struct symbolic *machine = run->machine;
  const char *why = expression->set == NULL ? "set that is not there" : set_unmodelled(machine, expression->set);
  struct found found = {DIAGRAM_FALSE, DIAGRAM_FALSE, DIAGRAM_FALSE};
  if (why == NULL)
    found = set_lookup(run, expression->set, expression->source, &why);
  if (why != NULL) {
    run_unmodelled(run, run->condition, why);
    return false;
  }
  if (expression->set->data_kind != LIVE_NO_DATA)
    run_unmodelled(run, diagram_where(machine->store, found.leaf, LEAF_CONFLICT), "elements overlap and disagree");
  *ret_found = found;
  return run->condition != DIAGRAM_FALSE;
}

static void lookup_run(struct run *run, const struct live_expression *expression) {
  struct found found;
  if (expression->set != NULL && set_is_changing(run->machine, expression->set)) {
    lookup_changing(run, expression);
    return;
  }
  if (!lookup_find(run, expression, &found))
    return;
  if (expression->verdict_map)
    lookup_verdict(run, expression, &found);
  else if (expression->has_destination)
    lookup_value(run, expression, &found);
  else
    lookup_set(run, expression, &found);
}

/* ---- what packets change ---- */

static bool nested_is_throttle(const struct live_expression *expression) {
  for (size_t i = 0; i < expression->nested_count; i++) {
    enum live_kind kind = expression->nested[i].kind;
    if (expression->nested[i].unmodelled != NULL || kind == LIVE_QUOTA || kind == LIVE_OTHER)
      return false;
  }
  return true;
}

/* Whether there was room, whether the element was there, what it carries: nobody knows. Taking out never fails. */
static void dynset_run(struct run *run, const struct live_expression *expression) {
  bool throttle = nested_is_throttle(expression);
  if (expression->operation == NFT_DYNSET_OP_DELETE)
    return;
  run_narrow(run, run_unknown(run, throttle ? UNKNOWN_THROTTLE : UNKNOWN_ANSWER, throttle ? "slots" : "dynset"));
}

static void throttle_run(struct run *run, const struct live_expression *expression) {
  run_narrow(run, run_unknown(run, UNKNOWN_THROTTLE, expression->kind == LIVE_LIMIT ? "limit" : "connlimit"));
}

static void quota_run(struct run *run, const struct live_expression *expression) {
  (void)expression;
  run_narrow(run, run_unknown(run, UNKNOWN_ANSWER, "quota"));
}

static void object_run(struct run *run, const struct live_expression *expression) {
  unsigned type = expression->operation;
  if (expression->object == NULL) { /* by map: a miss ends the rule */
    struct found found;
    if (expression->set != NULL && set_is_changing(run->machine, expression->set)) {
      lookup_changing(run, expression);
      return;
    }
    if (!lookup_find(run, expression, &found))
      return;
    run_narrow(run, without_doubtful(run, &found, found_hit(run, &found)));
  }
  if (type == OBJECT_COUNTER)
    return;
  if (type == OBJECT_LIMIT || type == OBJECT_CONNLIMIT)
    run_narrow(run, run_unknown(run, UNKNOWN_THROTTLE, type == OBJECT_LIMIT ? "limit" : "connlimit"));
  else if (type == OBJECT_QUOTA)
    run_narrow(run, run_unknown(run, UNKNOWN_ANSWER, "quota"));
  else
    run_unmodelled(run, run->condition, "object of a kind that is not followed");
}

/* ---- all ---- */

static void nothing_run(struct run *run, const struct live_expression *expression) {
  (void)run, (void)expression;
}

static void reject_run(struct run *run, const struct live_expression *expression) {
  static const struct live_verdict DROP = {.code = LIVE_DROP};
  (void)expression;
  run_settle(run, run->condition, &DROP);
}

/* What only reads something of the packet or the machine into its register, or stops the rule. */
static void ask_run(struct run *run, const struct live_expression *expression) {
  run_narrow(run, run_unknown(run, UNKNOWN_ANSWER, expression->name));
  if (expression->has_destination)
    registers_write_unknown(&run->registers, expression->destination, expression->length);
}

static void other_run(struct run *run, const struct live_expression *expression) {
  run_unmodelled(run, run->condition, expression->unmodelled != NULL ? expression->unmodelled : expression->name);
}

static void refused_run(struct run *run, const struct live_expression *expression) {
  run_unmodelled(run, run->condition, expression->name != NULL ? expression->name : "expression that is not followed");
}

bool expression_matters(const struct live_expression *expression) {
  if (expression->unmodelled != NULL)
    return true;
  switch (expression->kind) {
  case LIVE_IMMEDIATE:
    return expression->is_verdict;
  case LIVE_LOOKUP:
    return expression->verdict_map;
  case LIVE_OBJECT_REFERENCE:
    return expression->operation != OBJECT_COUNTER;
  case LIVE_COMPARE:
  case LIVE_RANGE:
  case LIVE_BITWISE:
  case LIVE_BYTEORDER:
  case LIVE_PAYLOAD:
  case LIVE_META:
  case LIVE_CT:
  case LIVE_DYNSET:
  case LIVE_EXTHDR:
  case LIVE_COUNTER:
  case LIVE_LOG:
  case LIVE_LAST:
  case LIVE_LIMIT:
  case LIVE_QUOTA:
  case LIVE_CONNLIMIT:
  case LIVE_ASK:
    return false;
  default:
    return true;
  }
}

void expression_run(struct run *run, const struct live_expression *expression) {
  static void (*const MEANINGS[LIVE_KIND_COUNT_])(struct run *, const struct live_expression *) = {
      [LIVE_IMMEDIATE] = immediate_run, [LIVE_COMPARE] = compare_run,
      [LIVE_RANGE] = compare_run,       [LIVE_BITWISE] = bitwise_run,
      [LIVE_BYTEORDER] = byteorder_run, [LIVE_PAYLOAD] = payload_run,
      [LIVE_PAYLOAD_SET] = refused_run, [LIVE_META] = meta_run,
      [LIVE_META_SET] = meta_set_run,   [LIVE_CT] = ct_run,
      [LIVE_CT_SET] = ct_set_run,       [LIVE_LOOKUP] = lookup_run,
      [LIVE_DYNSET] = dynset_run,       [LIVE_EXTHDR] = exthdr_run,
      [LIVE_EXTHDR_SET] = refused_run,  [LIVE_COUNTER] = nothing_run,
      [LIVE_LOG] = nothing_run,         [LIVE_LAST] = nothing_run,
      [LIVE_LIMIT] = throttle_run,      [LIVE_QUOTA] = quota_run,
      [LIVE_CONNLIMIT] = throttle_run,  [LIVE_OBJECT_REFERENCE] = object_run,
      [LIVE_REJECT] = reject_run,       [LIVE_NOTRACK] = notrack_run,
      [LIVE_NAT] = refused_run,         [LIVE_ASK] = ask_run,
      [LIVE_OTHER] = other_run,
  };
  if (expression->kind >= LIVE_KIND_COUNT_)
    refused_run(run, expression);
  else if (expression->unmodelled != NULL && expression->kind != LIVE_OTHER)
    run_unmodelled(run, run->condition, expression->unmodelled);
  else
    MEANINGS[expression->kind](run, expression);
}
