/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <limits.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "proof/symbolic_parts.h"

/*
 * Sets and maps. A lookup is a diagram over the bits of its key: boxes, where each field of the key is made of
 * variables in their order, perhaps with constants among them (an address under a mask); else element by element. What
 * was drawn for a set and a key is kept. A key that is a word is looked up leaf by leaf.
 */

enum { KEY_MOST = 64, KEY_FIELDS = 16, RUNS_MOST = 64 };

struct drawing { /* of one set over one key */
  struct drawing *next;
  diagram leaf, doubtful;
  bool doubt;        /* there are bits in the key that cannot be known: leaf is where it may be */
  struct bit bits[]; /* of the whole key */
};

struct key_field {
  unsigned offset, bytes;
  bool single; /* no element has a range here */
};

struct entry {
  const struct live_element *element;
  uint32_t leaf; /* as the set has them */
};

struct set_index {
  const struct live_set *set;
  struct entry *entries; /* by first key; without those that are taken for absent */
  size_t entry_count;
  bool has_catch_all;
  const char *unmodelled;
  bool changing;
  bool any_doubtful;
  struct key_field fields[KEY_FIELDS];
  unsigned field_count;
  bool ordered; /* entries can be searched: the whole key is one range, or none has a range */
  uint32_t catch_all;
  const struct live_verdict **verdicts; /* distinct ones */
  size_t verdict_count, verdict_capacity;
  struct drawing *drawings;
};

/* ---- what is known of a set ---- */

static bool expression_is_harmless(const struct live_expression *expression) {
  return expression->unmodelled == NULL && (expression->kind == LIVE_COUNTER || expression->kind == LIVE_LAST);
}

static bool element_is_doubtful(const struct live_element *element) {
  for (size_t i = 0; i < element->expression_count; i++)
    if (!expression_is_harmless(&element->expressions[i]))
      return true;
  return false;
}

static bool verdict_equal(const struct live_verdict *left, const struct live_verdict *right) {
  return left->code == right->code && left->chain == right->chain;
}

static uint32_t index_verdict(struct symbolic *machine, struct set_index *index, const struct live_verdict *verdict) {
  for (size_t i = index->verdict_count; i-- > 0;) /* neighbours often agree */
    if (verdict_equal(index->verdicts[i], verdict))
      return (uint32_t)i + 1;
  void *items = index->verdicts;
  if (arena_grow(machine->arena, &items, index->verdict_count, &index->verdict_capacity, sizeof(void *)) < 0) {
    machine->failed = true;
    return 1;
  }
  index->verdicts = items;
  index->verdicts[index->verdict_count++] = verdict;
  return (uint32_t)index->verdict_count;
}

static uint32_t element_leaf(struct symbolic *machine, struct set_index *index, const struct live_element *element) {
  const struct live_set *set = index->set;
  uint8_t bytes[4] = {0};
  uint32_t value = 0;
  if (set->data_kind == LIVE_VERDICTS)
    return index_verdict(machine, index, &element->verdict);
  if (set->data_kind != LIVE_VALUES)
    return 1;
  if (element->data == NULL || set->data_length > sizeof(bytes))
    return word_unknown(machine);
  memcpy(bytes, element->data, set->data_length);
  memcpy(&value, bytes, sizeof(value));
  return word_constant(machine, value);
}

static bool element_is_sound(const struct live_set *set, const struct live_element *element) {
  return element->first != NULL && element->last != NULL && (set->data_kind != LIVE_VALUES || element->data != NULL);
}

static const char *index_flaw(const struct live_set *set, const struct set_index *index) {
  unsigned end = 0;
  if (set->unmodelled != NULL)
    return set->unmodelled;
  if (set->key_length == 0 || set->key_length > KEY_MOST || index->field_count == 0)
    return "set with a key that cannot be read";
  for (unsigned i = 0; i < index->field_count; i++) {
    if (index->fields[i].bytes > set->key_length || index->fields[i].offset > set->key_length)
      return "set whose fields are not its key";
    end = index->fields[i].offset + index->fields[i].bytes;
    if (end > set->key_length)
      return "set whose fields are not its key";
  }
  if (set->field_count > 0 && (end + 3) / 4 * 4 != (set->key_length + 3) / 4 * 4)
    return "set whose fields are not its key";
  for (size_t i = 0; i < set->element_count; i++) {
    if (set->elements[i].unmodelled != NULL)
      return set->elements[i].unmodelled;
    if (!element_is_sound(set, &set->elements[i]))
      return "element that cannot be read";
  }
  if (set->has_catch_all && set->catch_all.unmodelled != NULL)
    return set->catch_all.unmodelled;
  return set->has_catch_all && set->data_kind == LIVE_VALUES && set->catch_all.data == NULL ? "catch-all without data"
                                                                                            : NULL;
}

static void index_fields(struct set_index *index) {
  const struct live_set *set = index->set;
  unsigned offset = 0;
  if (set->field_count > KEY_FIELDS)
    return;
  for (size_t i = 0; i < set->field_count; i++) {
    index->fields[index->field_count++] = (struct key_field){offset, set->field_lengths[i], true};
    offset += (set->field_lengths[i] + 3) / 4 * 4;
  }
  if (index->field_count == 0)
    index->fields[index->field_count++] = (struct key_field){0, set->key_length, true};
}

static bool entry_has_ranges(struct set_index *index, const struct live_element *element) {
  bool any = false;
  for (unsigned k = 0; k < index->field_count; k++) {
    struct key_field *field = &index->fields[k];
    if (memcmp(element->first + field->offset, element->last + field->offset, field->bytes) != 0) {
      field->single = false;
      any = true;
    }
  }
  return any;
}

static int entry_order(const void *left, const void *right, void *context) {
  const struct entry *a = left, *b = right;
  const unsigned *length = context;
  return memcmp(a->element->first, b->element->first, *length);
}

static bool is_absent(const struct symbolic *machine, const struct live_set *set, const struct live_element *element) {
  return machine->absent != NULL && machine->absent(machine->absent_context, set, element);
}

static void index_entries(struct symbolic *machine, struct set_index *index) {
  const struct live_set *set = index->set;
  unsigned length = set->key_length;
  bool ranges = false;
  index->entries = ARENA_ARRAY(machine->arena, set->element_count + 1, struct entry);
  if (index->entries == NULL) {
    machine->failed = true;
    return;
  }
  for (size_t i = 0; i < set->element_count; i++) {
    const struct live_element *element = &set->elements[i];
    if (is_absent(machine, set, element))
      continue;
    ranges = entry_has_ranges(index, element) || ranges;
    index->any_doubtful = index->any_doubtful || element_is_doubtful(element);
    index->entries[index->entry_count++] = (struct entry){element, element_leaf(machine, index, element)};
  }
  qsort_r(index->entries, index->entry_count, sizeof(*index->entries), entry_order, &length);
  index->ordered = !ranges || index->field_count == 1;
  index->has_catch_all = set->has_catch_all && !is_absent(machine, set, &set->catch_all);
  if (index->has_catch_all) {
    index->catch_all = element_leaf(machine, index, &set->catch_all);
    index->any_doubtful = index->any_doubtful || element_is_doubtful(&set->catch_all);
  }
}

static size_t index_slot(const struct symbolic *machine, const struct live_set *set) {
  size_t slot = (size_t)(((uint64_t)(uintptr_t)set * 0x9e3779b97f4a7c15u) >> 30) & (machine->set_slots - 1);
  while (machine->sets[slot] != NULL && machine->sets[slot]->set != set)
    slot = (slot + 1) & (machine->set_slots - 1);
  return slot;
}

/* NULL without memory. */
static struct set_index *index_of(struct symbolic *machine, const struct live_set *set) {
  if (machine->set_slots == 0)
    return NULL;
  size_t slot = index_slot(machine, set);
  if (machine->sets[slot] != NULL)
    return machine->sets[slot];
  struct set_index *index = ARENA_NEW(machine->arena, struct set_index);
  if (index == NULL) {
    machine->failed = true;
    return NULL;
  }
  machine->sets[slot] = index;
  index->set = set;
  index->changing = set->dynamic;
  index_fields(index);
  index->unmodelled = index_flaw(set, index);
  if (index->unmodelled == NULL)
    index_entries(machine, index);
  return index;
}

/* A rule that adds to a set, takes from it, or puts what packets say into it. */
static void note_changes(struct symbolic *machine, const struct live_chain *chain) {
  for (size_t i = 0; i < chain->rule_count; i++) {
    for (size_t k = 0; k < chain->rules[i].expression_count; k++) {
      const struct live_expression *expression = &chain->rules[i].expressions[k];
      struct set_index *index = NULL;
      if (expression->kind == LIVE_DYNSET && expression->set != NULL)
        index = index_of(machine, expression->set);
      if (index != NULL)
        index->changing = true;
    }
  }
}

void sets_prepare(struct symbolic *machine) {
  size_t count = 0;
  for (size_t i = 0; i < machine->ruleset->table_count; i++)
    count += machine->ruleset->tables[i].set_count;
  size_t slots = 64;
  while (slots < count * 2)
    slots *= 2;
  machine->sets = ARENA_ARRAY(machine->arena, slots, struct set_index *);
  machine->set_slots = machine->sets != NULL ? slots : 0;
  for (size_t i = 0; i < machine->ruleset->table_count; i++)
    for (size_t k = 0; k < machine->ruleset->tables[i].chain_count; k++)
      note_changes(machine, &machine->ruleset->tables[i].chains[k]);
}

bool set_is_changing(struct symbolic *machine, const struct live_set *set) {
  const struct set_index *index = index_of(machine, set);
  return index == NULL || index->changing;
}

const char *set_unmodelled(struct symbolic *machine, const struct live_set *set) {
  const struct set_index *index = index_of(machine, set);
  return index != NULL ? index->unmodelled : NULL;
}

const struct live_verdict *found_verdict(struct symbolic *machine, const struct live_set *set, uint32_t leaf) {
  const struct set_index *index = index_of(machine, set);
  return index != NULL && leaf > 0 && leaf <= index->verdict_count ? index->verdicts[leaf - 1] : NULL;
}

/* ---- one value ---- */

static bool field_holds(const struct key_field *field, const struct live_element *element, const uint8_t *key) {
  return memcmp(element->first + field->offset, key + field->offset, field->bytes) <= 0 &&
         memcmp(key + field->offset, element->last + field->offset, field->bytes) <= 0;
}

static bool element_holds(const struct set_index *index, const struct live_element *element, const uint8_t *key) {
  for (unsigned i = 0; i < index->field_count; i++)
    if (!field_holds(&index->fields[i], element, key))
      return false;
  return true;
}

static const struct entry *find_ordered(const struct set_index *index, const uint8_t *key) {
  size_t low = 0, high = index->entry_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (memcmp(index->entries[middle].element->first, key, index->set->key_length) <= 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low > 0 && element_holds(index, index->entries[low - 1].element, key) ? &index->entries[low - 1] : NULL;
}

/* The entry that holds the key, NULL: none; *ret_leaf: LEAF_CONFLICT where several disagree. */
static const struct entry *find_entry(const struct set_index *index, const uint8_t *key, uint32_t *ret_leaf) {
  const struct entry *found = NULL;
  bool conflict = false;
  if (index->ordered)
    found = find_ordered(index, key);
  for (size_t i = 0; i < index->entry_count && !index->ordered; i++) {
    const struct entry *entry = &index->entries[i];
    if (!element_holds(index, entry->element, key))
      continue;
    conflict = conflict || (found != NULL && entry->leaf != found->leaf);
    found = entry;
  }
  *ret_leaf = found != NULL ? found->leaf : index->catch_all;
  if (conflict)
    *ret_leaf = LEAF_CONFLICT;
  return found;
}

static bool found_is_doubtful(const struct set_index *index, const struct entry *found) {
  if (found == NULL)
    return index->has_catch_all && element_is_doubtful(&index->set->catch_all);
  return element_is_doubtful(found->element);
}

static struct found find_constant(const struct set_index *index, const struct bit *bits) {
  uint8_t key[KEY_MOST] = {0};
  struct found found = {DIAGRAM_FALSE, DIAGRAM_FALSE, DIAGRAM_FALSE};
  for (unsigned i = 0; i < index->set->key_length * 8; i++)
    key[i / 8] = (uint8_t)(key[i / 8] | bits[i].number << (7 - i % 8));
  uint32_t leaf;
  const struct entry *entry = find_entry(index, key, &leaf);
  found.leaf = leaf; /* made a diagram by the caller */
  found.doubtful = found_is_doubtful(index, entry) ? DIAGRAM_TRUE : DIAGRAM_FALSE;
  return found;
}

/* ---- boxes ---- */

/* Bits of a key that follow each other as variables do: a field of the boxes. */
struct key_run {
  unsigned variables[128];
  unsigned bits[128]; /* of the key, each */
  unsigned count;
  const struct key_field *range; /* the field that it is as a whole, where elements have ranges */
};

struct key_plan {
  struct key_run *runs;
  unsigned order[RUNS_MOST];
  size_t run_count;
  unsigned bytes; /* of all runs as boxes have them */
};

static bool plan_add(struct key_plan *plan, struct key_run **run, const struct key_field *range) {
  if (plan->run_count == RUNS_MOST)
    return false;
  *run = &plan->runs[plan->run_count++];
  (*run)->range = range;
  (*run)->count = 0;
  return true;
}

static bool plan_field(struct key_plan *plan, const struct key_field *field, const struct bit *bits) {
  struct key_run *run = NULL;
  for (unsigned i = field->offset * 8; i < (field->offset + field->bytes) * 8; i++) {
    if (bits[i].kind == BIT_CONSTANT)
      continue;
    if (bits[i].kind != BIT_VARIABLE)
      return false;
    unsigned before = run != NULL && run->count < 128 ? run->variables[run->count - 1] : UINT_MAX;
    bool follows = field->single ? before + 1 == bits[i].number && before != UINT_MAX : before < bits[i].number;
    if (!follows && ((run != NULL && !field->single) || !plan_add(plan, &run, field->single ? NULL : field)))
      return false;
    run->variables[run->count] = bits[i].number;
    run->bits[run->count++] = i;
  }
  return true;
}

static int run_order(const void *left, const void *right, void *context) {
  const struct key_plan *plan = context;
  unsigned a = plan->runs[*(const unsigned *)left].variables[0], b = plan->runs[*(const unsigned *)right].variables[0];
  return a < b ? -1 : a > b;
}

/* Fields of boxes in the order of their variables; false when the key is not of that kind. */
static bool plan_make(struct key_plan *plan, const struct set_index *index, const struct bit *bits) {
  for (unsigned i = 0; i < index->field_count; i++)
    if (!plan_field(plan, &index->fields[i], bits))
      return false;
  for (unsigned i = 0; i < plan->run_count; i++)
    plan->order[i] = i;
  qsort_r(plan->order, plan->run_count, sizeof(plan->order[0]), run_order, plan);
  for (size_t i = 0; i < plan->run_count; i++) {
    const struct key_run *run = &plan->runs[plan->order[i]];
    if (i + 1 < plan->run_count && run->variables[run->count - 1] >= plan->runs[plan->order[i + 1]].variables[0])
      return false;
    plan->bytes += (run->count + 7) / 8;
  }
  return true;
}

static bool key_bit(const uint8_t *key, unsigned bit) {
  return (key[bit / 8] >> (7 - bit % 8)) & 1;
}

/* Constant bits of fields without ranges must be the element's. */
static bool constants_fit(const struct set_index *index, const struct bit *bits, const struct live_element *element) {
  for (unsigned k = 0; k < index->field_count; k++) {
    const struct key_field *field = &index->fields[k];
    for (unsigned i = field->offset * 8; field->single && i < (field->offset + field->bytes) * 8; i++)
      if (bits[i].kind == BIT_CONSTANT && (bits[i].number != 0) != key_bit(element->first, i))
        return false;
  }
  return true;
}

/*
 * The field's number is made of the run's variables and of constants. Least number of the variables with which it is at
 * least `bound`; with `most`, greatest with which it is at most that. False: there is none.
 */
static bool bound_fit(const struct bit *bits, const struct key_field *field, const uint8_t *bound, bool most,
                      uint8_t *choice) {
  unsigned first = field->offset * 8, end = first + field->bytes * 8, turn = end;
  bool free = false;
  for (unsigned i = first; i < end; i++) {
    bool wanted = key_bit(bound, i);
    if (bits[i].kind == BIT_VARIABLE) {
      choice[i] = free ? most : wanted;
      if (!free && wanted == most)
        turn = i; /* here it may step to the far side of the bound */
    } else if (!free && (bits[i].number != 0) != wanted) {
      if ((bits[i].number != 0) == most) { /* on the wrong side, unless an earlier bit steps */
        if (turn == end)
          return false;
        for (unsigned k = turn; k < end; k++)
          choice[k] = k == turn ? !most : most;
        return true;
      }
      free = true;
    }
  }
  return true;
}

static void run_put(const struct key_run *run, const uint8_t *choice, uint8_t *bytes) {
  unsigned length = (run->count + 7) / 8;
  memset(bytes, 0, length);
  for (unsigned i = 0; i < run->count; i++) {
    unsigned place = length * 8 - run->count + i;
    if (choice[run->bits[i]] != 0)
      bytes[place / 8] = (uint8_t)(bytes[place / 8] | 0x80u >> (place % 8));
  }
}

/* Ranges of a field all of whose bits are constant have no run of their own. */
static bool ranges_fit(const struct set_index *index, const struct bit *bits, const struct live_element *element,
                       uint8_t *low, uint8_t *high) {
  for (unsigned k = 0; k < index->field_count; k++) {
    const struct key_field *field = &index->fields[k];
    unsigned first = field->offset * 8, end = first + field->bytes * 8;
    for (unsigned i = first; i < end && field->single; i++)
      low[i] = high[i] = key_bit(element->first, i);
    if (!field->single &&
        (!bound_fit(bits, field, element->first, false, low) || !bound_fit(bits, field, element->last, true, high)))
      return false;
    /* both bounds may be met apart and yet cross */
    for (unsigned i = first; i < end && !field->single; i++) {
      bool is_variable = bits[i].kind == BIT_VARIABLE;
      if (is_variable && low[i] != high[i]) {
        if (low[i] > high[i])
          return false;
        break;
      }
    }
  }
  return true;
}

static bool element_box(const struct set_index *index, const struct key_plan *plan, const struct bit *bits,
                        const struct live_element *element, uint8_t *first, uint8_t *last) {
  uint8_t low[KEY_MOST * 8], high[KEY_MOST * 8];
  if (!constants_fit(index, bits, element) || !ranges_fit(index, bits, element, low, high))
    return false;
  for (size_t i = 0; i < plan->run_count; i++) {
    const struct key_run *run = &plan->runs[plan->order[i]];
    run_put(run, low, first);
    run_put(run, high, last);
    first += (run->count + 7) / 8;
    last += (run->count + 7) / 8;
  }
  return true;
}

static uint32_t leaves_merge(void *context, uint32_t left, uint32_t right) {
  (void)context;
  if (left == 0 || right == 0 || left == right)
    return left | right;
  return LEAF_CONFLICT;
}

struct boxes {
  struct diagram_box *items;
  uint8_t *bytes;
  size_t count;
};

static size_t boxes_fill(const struct set_index *index, const struct key_plan *plan, const struct bit *bits,
                         bool doubtful, struct boxes *boxes) {
  uint8_t *bytes = boxes->bytes;
  boxes->count = 0;
  for (size_t i = 0; i < index->entry_count; i++) {
    const struct live_element *element = index->entries[i].element;
    if ((doubtful && !element_is_doubtful(element)) ||
        !element_box(index, plan, bits, element, bytes, bytes + plan->bytes))
      continue;
    boxes->items[boxes->count++] =
        (struct diagram_box){bytes, bytes + plan->bytes, doubtful ? 1 : index->entries[i].leaf};
    bytes += 2 * (size_t)plan->bytes;
  }
  return boxes->count;
}

static diagram boxes_draw(struct symbolic *machine, const struct key_plan *plan, const struct boxes *boxes) {
  struct diagram_field fields[RUNS_MOST];
  if (boxes->count == 0)
    return DIAGRAM_FALSE;
  if (plan->run_count == 0) { /* all is constant: each box is everything */
    uint32_t leaf = 0;
    for (size_t i = 0; i < boxes->count; i++)
      leaf = leaves_merge(NULL, leaf, boxes->items[i].value);
    return diagram_leaf(machine->store, leaf);
  }
  for (size_t i = 0; i < plan->run_count; i++) {
    const struct key_run *run = &plan->runs[plan->order[i]];
    fields[i] = (struct diagram_field){run->variables, run->count};
  }
  return diagram_boxes(machine->store, fields, plan->run_count, boxes->items, boxes->count, machine->merge_leaves,
                       leaves_merge, NULL);
}

/* ---- classes ---- */

/* The protocol that the rule has asked for before it looks up. */
static int protocol_of(const struct run *run) {
  static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6};
  struct diagram_store *store = run->machine->store;
  struct diagram_field field = space_field(run->machine->space, FIELD_PROTOCOL, 0);
  for (size_t i = 0; i < sizeof(protocols); i++) {
    diagram only = diagram_range(store, &field, &protocols[i], &protocols[i]);
    if (diagram_difference(store, run->condition, only) == DIAGRAM_FALSE)
      return protocols[i];
  }
  return CLASS_ANY_PROTOCOL;
}

enum use_of_classes {
  NO_CLASSES,
  CLASSES_OF_TUPLES, /* what flows are made of; guards are sets of one or two addresses, which both lines draw */
  CLASSES_OF_MARKS,  /* which flows are in force; whoever asks, marks are the same */
};

static enum use_of_classes use_of(const struct symbolic *machine, const struct set_index *index,
                                  const struct key_plan *plan) {
  unsigned marks = space_field_variable(machine->space, FIELD_MARK, space_field_width(FIELD_MARK) - 1);
  bool mark = true;
  if (machine->classes == NULL || index->any_doubtful || plan->run_count == 0 || plan->run_count > CLASS_FIELDS)
    return NO_CLASSES;
  for (size_t i = 0; i < plan->run_count; i++) {
    const struct key_run *key = &plan->runs[i];
    mark = mark && key->variables[key->count - 1] <= marks;
    if (key->variables[key->count - 1] - key->variables[0] != key->count - 1)
      return NO_CLASSES;
  }
  if (mark)
    return CLASSES_OF_MARKS;
  return index->set->data_kind == LIVE_VALUES && plan->run_count > 1 ? CLASSES_OF_TUPLES : NO_CLASSES;
}

static struct class_block *plan_block(const struct run *run, const struct set_index *index,
                                      const struct key_plan *plan) {
  enum { MARKS = 1 << 18 };
  struct classes *classes = run->machine->classes;
  struct class_field fields[CLASS_FIELDS];
  enum use_of_classes use = use_of(run->machine, index, plan);
  if (use == NO_CLASSES)
    return NULL;
  for (size_t i = 0; i < plan->run_count; i++) {
    const struct key_run *key = &plan->runs[plan->order[i]];
    fields[i] = (struct class_field){key->variables[0], key->count};
  }
  if (use == CLASSES_OF_MARKS)
    return classes_block(classes, NULL, CLASS_ANY_PROTOCOL, fields, plan->run_count, MARKS);
  return classes_block(classes, run->chain, protocol_of(run), fields, plan->run_count, index->entry_count);
}

/* The same as boxes_draw(), over the classes of the keys; false: it has to be drawn as it is. */
static bool classes_draw(struct symbolic *machine, struct class_block *block, const struct boxes *boxes,
                         diagram *ret_leaf) {
  uint32_t *numbers = calloc(boxes->count + 1, sizeof(*numbers));
  uint32_t *leaves = NULL;
  bool drawn = numbers != NULL && class_block_enter(block, boxes->items, boxes->count, numbers);
  if (drawn)
    leaves = calloc(class_block_count(block) + 1, sizeof(*leaves));
  for (size_t i = 0; leaves != NULL && i < boxes->count; i++)
    leaves[numbers[i]] = leaves_merge(NULL, leaves[numbers[i]], boxes->items[i].value);
  if (leaves != NULL)
    *ret_leaf = class_block_draw(block, leaves, class_block_count(block) + 1);
  machine->failed = machine->failed || numbers == NULL || (drawn && leaves == NULL);
  free(leaves);
  free(numbers);
  return drawn;
}

static bool draws_by_classes(struct symbolic *machine, const struct run *run, const struct set_index *index,
                             const struct key_plan *plan, const struct boxes *boxes, diagram *ret_leaf) {
  struct class_block *block = boxes->count > 0 ? plan_block(run, index, plan) : NULL;
  return block != NULL && classes_draw(machine, block, boxes, ret_leaf);
}

static bool draw_boxes(struct symbolic *machine, const struct run *run, const struct set_index *index,
                       const struct key_plan *plan, const struct bit *bits, struct drawing *drawing) {
  size_t count = index->entry_count + 1;
  struct boxes boxes = {.items = calloc(count, sizeof(*boxes.items)), .bytes = calloc(count, 2 * plan->bytes + 1)};
  bool enough = boxes.items != NULL && boxes.bytes != NULL;
  if (enough) {
    boxes_fill(index, plan, bits, false, &boxes);
    if (!draws_by_classes(machine, run, index, plan, &boxes, &drawing->leaf))
      drawing->leaf = boxes_draw(machine, plan, &boxes);
    if (index->any_doubtful && boxes_fill(index, plan, bits, true, &boxes) > 0)
      drawing->doubtful = diagram_support(machine->store, boxes_draw(machine, plan, &boxes));
  } else {
    machine->failed = true;
  }
  free(boxes.items);
  free(boxes.bytes);
  return enough;
}

/* ---- element by element ---- */

static diagram element_draw(struct symbolic *machine, const struct set_index *index, const struct bit *bits,
                            const struct live_element *element) {
  struct diagram_store *store = machine->store;
  diagram set = DIAGRAM_TRUE;
  for (unsigned k = index->field_count; k-- > 0 && set != DIAGRAM_FALSE;) {
    const struct key_field *field = &index->fields[k];
    const struct bit *here = bits + (size_t)field->offset * 8;
    const uint8_t *first = element->first + field->offset, *last = element->last + field->offset;
    bool doubt; /* stays within what is possible: told by the drawing */
    if (memcmp(first, last, field->bytes) == 0) {
      set = diagram_and(store, set, bits_compare(machine, here, field->bytes * 8, COMPARE_EQUAL, first, &doubt));
      continue;
    }
    set = diagram_and(store, set, bits_compare(machine, here, field->bytes * 8, COMPARE_LEAST, first, &doubt));
    set = diagram_and(store, set, bits_compare(machine, here, field->bytes * 8, COMPARE_MOST, last, &doubt));
  }
  return set;
}

/* Halves, so that what is joined is of one size. */
static diagram elements_draw(struct symbolic *machine, const struct set_index *index, const struct bit *bits,
                             size_t from, size_t to, bool doubtful) {
  struct diagram_store *store = machine->store;
  if (from == to)
    return DIAGRAM_FALSE;
  if (to - from == 1) {
    const struct live_element *element = index->entries[from].element;
    if (doubtful && !element_is_doubtful(element))
      return DIAGRAM_FALSE;
    return diagram_choose(store, element_draw(machine, index, bits, element),
                          diagram_leaf(store, doubtful ? 1 : index->entries[from].leaf), DIAGRAM_FALSE);
  }
  size_t middle = from + (to - from) / 2;
  return diagram_combine(store, machine->merge_leaves, leaves_merge, NULL,
                         elements_draw(machine, index, bits, from, middle, doubtful),
                         elements_draw(machine, index, bits, middle, to, doubtful));
}

/* ---- drawings ---- */

static uint32_t leaf_or_catch_all(void *context, uint32_t leaf) {
  const struct set_index *index = context;
  return leaf != 0 ? leaf : index->catch_all;
}

static void draw_catch_all(struct symbolic *machine, struct set_index *index, struct drawing *drawing) {
  struct diagram_store *store = machine->store;
  if (!index->has_catch_all)
    return;
  if (element_is_doubtful(&index->set->catch_all))
    drawing->doubtful = diagram_or(store, drawing->doubtful, diagram_where(store, drawing->leaf, 0));
  drawing->leaf = diagram_map(store, operation_number(machine, OPERATION_CATCH, index, 0, 0), leaf_or_catch_all, index,
                              drawing->leaf);
}

static bool bits_have(const struct set_index *index, const struct bit *bits, enum bit_kind kind) {
  for (unsigned k = 0; k < index->field_count; k++) {
    const struct key_field *field = &index->fields[k];
    for (unsigned i = field->offset * 8; i < (field->offset + field->bytes) * 8; i++)
      if (bits[i].kind == kind)
        return true;
  }
  return false;
}

static void draw(struct symbolic *machine, const struct run *run, struct set_index *index, const struct bit *bits,
                 struct drawing *drawing) {
  struct key_plan plan = {.runs = malloc(RUNS_MOST * sizeof(struct key_run))}; /* 64 KB, of which little is used */
  drawing->doubtful = DIAGRAM_FALSE;
  drawing->doubt = bits_have(index, bits, BIT_UNKNOWN);
  if (plan.runs == NULL || index->entries == NULL)
    machine->failed = true;
  else if (plan_make(&plan, index, bits))
    draw_boxes(machine, run, index, &plan, bits, drawing);
  else {
    drawing->leaf = elements_draw(machine, index, bits, 0, index->entry_count, false);
    if (index->any_doubtful)
      drawing->doubtful =
          diagram_support(machine->store, elements_draw(machine, index, bits, 0, index->entry_count, true));
  }
  draw_catch_all(machine, index, drawing);
  free(plan.runs);
}

static struct drawing *drawing_of(struct symbolic *machine, const struct run *run, struct set_index *index,
                                  const struct bit *bits) {
  size_t size = (size_t)index->set->key_length * 8 * sizeof(*bits);
  struct drawing *drawing = index->drawings;
  while (drawing != NULL && memcmp(drawing->bits, bits, size) != 0)
    drawing = drawing->next;
  if (drawing != NULL)
    return drawing;
  drawing = arena_alloc(machine->arena, sizeof(*drawing) + size);
  if (drawing == NULL) {
    machine->failed = true;
    return NULL;
  }
  memcpy(drawing->bits, bits, size);
  draw(machine, run, index, bits, drawing);
  drawing->next = index->drawings;
  index->drawings = drawing;
  return drawing;
}

static struct found lookup_bits(struct symbolic *machine, const struct run *run, struct set_index *index,
                                const struct bit *bits) {
  struct found found = {DIAGRAM_FALSE, DIAGRAM_FALSE, DIAGRAM_FALSE};
  bool constant = !bits_have(index, bits, BIT_UNKNOWN) && !bits_have(index, bits, BIT_VARIABLE) &&
                  !bits_have(index, bits, BIT_FUNCTION);
  if (constant) {
    found = find_constant(index, bits);
    found.leaf = diagram_leaf(machine->store, found.leaf);
    return found;
  }
  const struct drawing *drawing = drawing_of(machine, run, index, bits);
  if (drawing == NULL)
    return found;
  found.leaf = drawing->leaf;
  found.doubtful = drawing->doubtful;
  if (drawing->doubt) /* with a catch-all, what may be in an element may also be in none */
    found.doubt = diagram_support(machine->store, drawing->leaf);
  return found;
}

/* ---- a key that is a word ---- */

struct word_key {
  struct symbolic *machine;
  const struct set_index *index;
  uint32_t zero;
  bool swapped;
};

/* The key that a leaf stands for; false: it depends on the mark before, or is not known. */
static bool word_key_bytes(const struct word_key *key, uint32_t leaf, uint8_t bytes[static KEY_MOST]) {
  leaf = leaf != 0 ? leaf : key->zero;
  struct mark_word word = symbolic_mark(key->machine, leaf);
  if (leaf == 0 || word.unknown || word.keep != 0)
    return false;
  word_bytes(word.flip, key->swapped, bytes);
  return true;
}

static uint32_t word_lookup(void *context, uint32_t leaf) {
  const struct word_key *key = context;
  uint8_t bytes[KEY_MOST] = {0};
  uint32_t found;
  if (!word_key_bytes(key, leaf, bytes))
    return 0;
  find_entry(key->index, bytes, &found);
  return found;
}

static uint32_t word_doubtful(void *context, uint32_t leaf) {
  const struct word_key *key = context;
  uint8_t bytes[KEY_MOST] = {0};
  uint32_t found;
  return word_key_bytes(key, leaf, bytes) && found_is_doubtful(key->index, find_entry(key->index, bytes, &found));
}

static void lookup_kept(const struct run *run, struct set_index *index, const struct word *word, uint32_t leaf,
                        struct found *found) {
  struct symbolic *machine = run->machine;
  struct diagram_store *store = machine->store;
  struct bit bits[32];
  struct mark_word meant = symbolic_mark(machine, leaf != 0 ? leaf : word->zero);
  diagram region = diagram_where(store, word->leaves, leaf);
  word_bits(machine, meant, word->swapped, bits);
  struct found here = lookup_bits(machine, run, index, bits);
  if (meant.unknown)
    here = (struct found){diagram_leaf(store, word_unknown(machine)), DIAGRAM_FALSE, DIAGRAM_TRUE};
  found->leaf = diagram_choose(store, region, here.leaf, found->leaf);
  found->doubtful = diagram_choose(store, region, here.doubtful, found->doubtful);
  found->doubt = diagram_choose(store, region, here.doubt, found->doubt);
}

static struct found lookup_word(const struct run *run, struct set_index *index, const struct word *word,
                                const char **ret_unmodelled) {
  struct symbolic *machine = run->machine;
  struct word_key key = {machine, index, word->zero, word->swapped};
  struct open_leaves kept;
  struct found found = {DIAGRAM_FALSE, DIAGRAM_FALSE, DIAGRAM_FALSE};
  found.leaf =
      diagram_map(machine->store, operation_number(machine, OPERATION_LOOKUP, index, word->swapped, word->zero),
                  word_lookup, &key, word->leaves);
  if (index->any_doubtful)
    found.doubtful =
        diagram_map(machine->store, operation_number(machine, OPERATION_DOUBTFUL, index, word->swapped, word->zero),
                    word_doubtful, &key, word->leaves);
  word_open_leaves(machine, word, &kept);
  if (kept.more)
    *ret_unmodelled = "lookup of too many kinds of marks";
  for (size_t i = 0; i < kept.count && !kept.more; i++)
    lookup_kept(run, index, word, kept.leaves[i], &found);
  return found;
}

struct found set_lookup(struct run *run, const struct live_set *set, unsigned source, const char **ret_unmodelled) {
  struct found nothing = {DIAGRAM_FALSE, DIAGRAM_FALSE, DIAGRAM_FALSE};
  struct symbolic *machine = run->machine;
  struct set_index *index = index_of(machine, set);
  struct bit bits[KEY_MOST * 8];
  if (index == NULL)
    return nothing;
  const struct word *word = registers_word(&run->registers, source, set->key_length);
  if (word != NULL && index->field_count == 1)
    return lookup_word(run, index, word, ret_unmodelled);
  if (!registers_read(machine, &run->registers, source, set->key_length, bits)) {
    *ret_unmodelled = "lookup of a register that this rule did not write, or of a mark of many values with others";
    return nothing;
  }
  return lookup_bits(machine, run, index, bits);
}
