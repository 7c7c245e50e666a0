/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "proof/diagram.h"

/*
 * Any operations on functions of up to 12 bits, each made twice: as a diagram and as the table of all its values. The
 * diagram must be the very node that the table gives; or nothing at all, when the store's budget is spent. An input is
 * the number of variables, the budget, and a row of operations with their operands.
 */

enum {
  MOST_VARIABLES = 12,
  CELLS = 1 << MOST_VARIABLES,
  SLOTS = 6,
  STEPS_MOST = 40,
  BOXES_MOST = 8,
  FIELDS = 3,
  MODULI = 8
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct function {
  diagram node;
  uint32_t cells[CELLS]; /* variable 0 is the most significant bit of the index */
};

struct fuzz {
  struct diagram_store *store;
  unsigned variables;
  uint32_t cells; /* in use */
  struct function slots[SLOTS], result;
  struct cursor input;
  unsigned operations[MODULI], sum; /* numbers of operations */
};

static void check(bool holds) {
  if (!holds)
    abort();
}

/* ---- both readings ---- */

static diagram from_cells(const struct fuzz *fuzz, const uint32_t *cells, unsigned variable) {
  if (variable == fuzz->variables)
    return diagram_leaf(fuzz->store, cells[0]);
  size_t half = (size_t)1 << (fuzz->variables - variable - 1);
  return diagram_node(fuzz->store, variable, from_cells(fuzz, cells, variable + 1),
                      from_cells(fuzz, cells + half, variable + 1));
}

static uint32_t bit_of(const struct fuzz *fuzz, unsigned variable) {
  return 1u << (fuzz->variables - 1 - variable);
}

static struct function *any_slot(struct fuzz *fuzz) {
  return &fuzz->slots[cursor_u8(&fuzz->input) % SLOTS];
}

static unsigned any_variable(struct fuzz *fuzz) {
  return cursor_u8(&fuzz->input) % fuzz->variables;
}

/* Operations on sets are given sets. */
static void make_set(struct fuzz *fuzz, struct function *function) {
  function->node = diagram_support(fuzz->store, function->node);
  for (uint32_t i = 0; i < fuzz->cells; i++)
    function->cells[i] = function->cells[i] != 0;
}

/* ---- operations: each makes fuzz->result ---- */

static void make_variable(struct fuzz *fuzz) {
  unsigned variable = any_variable(fuzz);
  fuzz->result.node = diagram_variable(fuzz->store, variable);
  for (uint32_t i = 0; i < fuzz->cells; i++)
    fuzz->result.cells[i] = (i & bit_of(fuzz, variable)) != 0;
}

static void make_leaf(struct fuzz *fuzz) {
  uint32_t value = cursor_u8(&fuzz->input) % 5;
  fuzz->result.node = diagram_leaf(fuzz->store, value);
  for (uint32_t i = 0; i < fuzz->cells; i++)
    fuzz->result.cells[i] = value;
}

static void make_table(struct fuzz *fuzz) {
  uint32_t row = cursor_be16(&fuzz->input);
  for (uint32_t i = 0; i < fuzz->cells; i++)
    fuzz->result.cells[i] = row >> i % 16 & (1 + i / 512);
  fuzz->result.node = from_cells(fuzz, fuzz->result.cells, 0);
}

static void make_of_sets(struct fuzz *fuzz) {
  struct function *left = any_slot(fuzz), *right = any_slot(fuzz);
  unsigned operation = cursor_u8(&fuzz->input) % 5;
  static diagram (*const operations[])(struct diagram_store *, diagram, diagram) = {diagram_and, diagram_or,
                                                                                    diagram_difference, diagram_xor};
  static const uint32_t truth[] = {8, 14, 4, 6, 3}; /* bit 2 * left + right */
  make_set(fuzz, left);
  make_set(fuzz, right);
  fuzz->result.node = operation == 4 ? diagram_not(fuzz->store, left->node)
                                     : operations[operation](fuzz->store, left->node, right->node);
  for (uint32_t i = 0; i < fuzz->cells; i++)
    fuzz->result.cells[i] = truth[operation] >> (2 * left->cells[i] + right->cells[i]) & 1;
}

static void make_choice(struct fuzz *fuzz) {
  struct function *set = any_slot(fuzz), *then = any_slot(fuzz), *otherwise = any_slot(fuzz);
  make_set(fuzz, set);
  fuzz->result.node = diagram_choose(fuzz->store, set->node, then->node, otherwise->node);
  for (uint32_t i = 0; i < fuzz->cells; i++)
    fuzz->result.cells[i] = set->cells[i] != 0 ? then->cells[i] : otherwise->cells[i];
}

static uint32_t weighted(void *context, uint32_t left, uint32_t right) {
  return (left * 3 + right) % *(const uint32_t *)context;
}

static uint32_t plus_one(void *context, uint32_t value) {
  return (value + 1) % *(const uint32_t *)context;
}

static void make_combination(struct fuzz *fuzz) {
  const struct function *left = any_slot(fuzz), *right = any_slot(fuzz);
  uint32_t modulus = 2 + cursor_u8(&fuzz->input) % (MODULI - 2);
  fuzz->result.node =
      diagram_combine(fuzz->store, fuzz->operations[modulus], weighted, &modulus, left->node, right->node);
  for (uint32_t i = 0; i < fuzz->cells; i++)
    fuzz->result.cells[i] = weighted(&modulus, left->cells[i], right->cells[i]);
}

static void make_map(struct fuzz *fuzz) {
  const struct function *of = any_slot(fuzz);
  uint32_t modulus = 2 + cursor_u8(&fuzz->input) % (MODULI - 2);
  fuzz->result.node = diagram_map(fuzz->store, fuzz->operations[modulus], plus_one, &modulus, of->node);
  for (uint32_t i = 0; i < fuzz->cells; i++)
    fuzz->result.cells[i] = plus_one(&modulus, of->cells[i]);
}

static void make_where(struct fuzz *fuzz) {
  const struct function *of = any_slot(fuzz);
  uint32_t value = cursor_u8(&fuzz->input) % 5;
  fuzz->result.node = diagram_where(fuzz->store, of->node, value);
  for (uint32_t i = 0; i < fuzz->cells; i++)
    fuzz->result.cells[i] = of->cells[i] == value;
}

static bool is_chosen(void *context, unsigned variable) {
  return (*(const uint32_t *)context >> variable & 1) != 0;
}

static void make_quantified(struct fuzz *fuzz) {
  struct function *of = any_slot(fuzz);
  uint32_t mask = cursor_be16(&fuzz->input);
  bool every = cursor_u8(&fuzz->input) % 2 != 0;
  make_set(fuzz, of);
  fuzz->result.node = every ? diagram_for_all(fuzz->store, of->node, is_chosen, &mask)
                            : diagram_exists(fuzz->store, of->node, is_chosen, &mask);
  memcpy(fuzz->result.cells, of->cells, fuzz->cells * sizeof *of->cells);
  for (unsigned variable = 0; variable < fuzz->variables; variable++)
    for (uint32_t i = 0, bit = bit_of(fuzz, variable); (mask >> variable & 1) != 0 && i < fuzz->cells; i++)
      if ((i & bit) == 0) {
        uint32_t low = fuzz->result.cells[i], high = fuzz->result.cells[i | bit];
        fuzz->result.cells[i] = fuzz->result.cells[i | bit] = every ? low & high : low | high;
      }
}

static void make_fixed(struct fuzz *fuzz) {
  const struct function *of = any_slot(fuzz);
  unsigned variable = any_variable(fuzz);
  bool value = cursor_u8(&fuzz->input) % 2 != 0;
  uint32_t bit = bit_of(fuzz, variable);
  fuzz->result.node = diagram_fix(fuzz->store, of->node, variable, value);
  for (uint32_t i = 0; i < fuzz->cells; i++)
    fuzz->result.cells[i] = of->cells[value ? i | bit : i & ~bit];
}

/* ---- boxes ---- */

static const unsigned VARIABLES[MOST_VARIABLES] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};

struct layout {
  struct diagram_field fields[FIELDS];
  unsigned shifts[FIELDS]; /* of the field in a cell's number */
};

/* All variables, in three fields of any width. */
static struct layout any_layout(struct fuzz *fuzz) {
  struct layout layout;
  unsigned from = 0;
  for (int field = 0; field < FIELDS; field++) {
    unsigned left = fuzz->variables - from, width = cursor_u8(&fuzz->input) % (left + 1);
    if (field == FIELDS - 1)
      width = left;
    layout.fields[field] = (struct diagram_field){VARIABLES + from, width};
    from += width;
    layout.shifts[field] = fuzz->variables - from;
  }
  return layout;
}

static uint32_t field_of(const struct layout *layout, int field, uint32_t cell) {
  return cell >> layout->shifts[field] & ((1u << layout->fields[field].width) - 1);
}

/* The bytes of a field: none, one or two. */
static uint32_t read_number(const uint8_t **bytes, unsigned width) {
  uint32_t number = 0;
  for (unsigned i = 0; i < (width + 7) / 8; i++)
    number = number << 8 | *(*bytes)++;
  return number;
}

static bool inside(const struct layout *layout, const uint8_t *first, const uint8_t *last, uint32_t cell) {
  bool result = true;
  for (int field = 0; field < FIELDS; field++) {
    unsigned width = layout->fields[field].width;
    uint32_t from = read_number(&first, width), to = read_number(&last, width), at = field_of(layout, field, cell);
    result = result && from <= at && at <= to;
  }
  return result;
}

struct boxes {
  uint8_t first[BOXES_MOST][2 * FIELDS], last[BOXES_MOST][2 * FIELDS];
  struct diagram_box list[BOXES_MOST];
  size_t count;
};

static void any_boxes(struct fuzz *fuzz, const struct layout *layout, struct boxes *boxes) {
  boxes->count = cursor_u8(&fuzz->input) % (BOXES_MOST + 1);
  for (size_t i = 0; i < boxes->count; i++) {
    size_t at = 0;
    for (int field = 0; field < FIELDS; field++)
      for (unsigned left = layout->fields[field].width; left > 0; left -= left % 8 == 0 ? 8 : left % 8) {
        uint8_t most = (uint8_t)(left % 8 == 0 ? 0xff : (1 << left % 8) - 1);
        boxes->first[i][at] = cursor_u8(&fuzz->input) & most;
        boxes->last[i][at++] = cursor_u8(&fuzz->input) & most;
      }
    boxes->list[i] =
        (struct diagram_box){boxes->first[i], boxes->last[i], cursor_u8(&fuzz->input) % 4}; /* 0: not a box */
  }
}

static uint32_t sum(void *context, uint32_t left, uint32_t right) {
  (void)context;
  return left + right;
}

static void make_boxes(struct fuzz *fuzz) {
  struct layout layout = any_layout(fuzz);
  bool add = cursor_u8(&fuzz->input) % 2 != 0;
  struct boxes boxes;
  any_boxes(fuzz, &layout, &boxes);
  fuzz->result.node =
      diagram_boxes(fuzz->store, layout.fields, FIELDS, boxes.list, boxes.count, fuzz->sum, add ? sum : NULL, NULL);
  for (uint32_t cell = 0; cell < fuzz->cells; cell++) {
    uint32_t first = 0, all = 0;
    for (size_t i = 0; i < boxes.count; i++)
      if (boxes.list[i].value != 0 && inside(&layout, boxes.first[i], boxes.last[i], cell)) {
        first = first != 0 ? first : boxes.list[i].value;
        all += boxes.list[i].value;
      }
    fuzz->result.cells[cell] = add ? all : first;
  }
}

struct covered {
  struct fuzz *fuzz;
  const struct layout *layout;
};

static void cover_box(void *context, const uint8_t *first, const uint8_t *last) {
  const struct covered *covered = context;
  for (uint32_t cell = 0; cell < covered->fuzz->cells; cell++)
    if (inside(covered->layout, first, last, cell))
      covered->fuzz->result.cells[cell] = 1;
}

/* Makes the set again, of its cover. */
static void make_cover(struct fuzz *fuzz) {
  struct layout layout = any_layout(fuzz);
  struct function *set = any_slot(fuzz);
  struct covered covered = {fuzz, &layout};
  bool more;
  make_set(fuzz, set);
  memset(fuzz->result.cells, 0, fuzz->cells * sizeof *fuzz->result.cells);
  size_t limit = 24;
  size_t told = diagram_cover(fuzz->store, set->node, layout.fields, FIELDS, limit, cover_box, &covered, &more);
  check(more || memcmp(fuzz->result.cells, set->cells, fuzz->cells * sizeof *set->cells) == 0);
  check(told == limit || !more || diagram_store_failed(fuzz->store));
  for (uint32_t cell = 0; cell < fuzz->cells; cell++)
    check(fuzz->result.cells[cell] <= set->cells[cell]);
  fuzz->result.node = from_cells(fuzz, fuzz->result.cells, 0);
}

/* ---- questions ---- */

static bool seen_leaf(void *context, uint32_t value) {
  *(uint64_t *)context ^= (uint64_t)1 << value % 64;
  return true;
}

static void ask(struct fuzz *fuzz) {
  const struct function *of = &fuzz->result;
  uint8_t preferred[MOST_VARIABLES], bits[MOST_VARIABLES];
  uint32_t wanted = cursor_be16(&fuzz->input) % fuzz->cells, best = fuzz->cells, members = 0, found = 0;
  for (unsigned variable = 0; variable < fuzz->variables; variable++)
    preferred[variable] = (wanted & bit_of(fuzz, variable)) != 0;
  for (uint32_t i = 0; i < fuzz->cells; i++) {
    members += of->cells[i] != 0;
    if (of->cells[i] != 0 && (best == fuzz->cells || (i ^ wanted) < (best ^ wanted)))
      best = i;
  }
  check(diagram_witness(fuzz->store, of->node, preferred, fuzz->variables, bits) == (best < fuzz->cells));
  for (unsigned variable = 0; best < fuzz->cells && variable < fuzz->variables; variable++)
    found |= bits[variable] != 0 ? bit_of(fuzz, variable) : 0;
  check(best == fuzz->cells || found == best);
  check(diagram_count(fuzz->store, of->node, fuzz->variables) == members);
  uint64_t expected = 0, seen = 0; /* told twice, a leaf would be missing: all are below 64 */
  for (uint32_t i = 0; i < fuzz->cells; i++)
    expected |= (uint64_t)1 << of->cells[i] % 64;
  diagram_leaves(fuzz->store, of->node, seen_leaf, &seen);
  check(seen == expected);
}

static void (*const OPERATIONS[])(struct fuzz *fuzz) = {make_variable,   make_leaf,        make_table, make_of_sets,
                                                        make_choice,     make_combination, make_map,   make_where,
                                                        make_quantified, make_fixed,       make_boxes, make_cover};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz *fuzz = calloc(1, sizeof *fuzz);
  check(fuzz != NULL);
  cursor_init(&fuzz->input, data, size);
  fuzz->variables = 1 + cursor_u8(&fuzz->input) % MOST_VARIABLES;
  fuzz->cells = 1u << fuzz->variables;
  fuzz->store = diagram_store_new(cursor_be16(&fuzz->input));
  check(fuzz->store != NULL);
  for (int i = 0; i < MODULI; i++)
    fuzz->operations[i] = diagram_operation(fuzz->store);
  fuzz->sum = diagram_operation(fuzz->store);
  for (int step = 0; step < STEPS_MOST && cursor_left(&fuzz->input) > 0; step++) {
    OPERATIONS[cursor_u8(&fuzz->input) % (sizeof OPERATIONS / sizeof *OPERATIONS)](fuzz);
    if (diagram_store_failed(fuzz->store)) {
      check(diagram_leaf(fuzz->store, 0) == DIAGRAM_NONE);
      break;
    }
    diagram again = from_cells(fuzz, fuzz->result.cells, 0);
    check(fuzz->result.node == again || diagram_store_failed(fuzz->store));
    ask(fuzz);
    *any_slot(fuzz) = fuzz->result;
  }
  diagram_store_free(fuzz->store);
  free(fuzz);
  return 0;
}
