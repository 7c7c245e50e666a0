/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "proof/diagram.h"

/* Functions of few bits against tables of all their values: what the engine answers must be the very node that the
 * table of the answer gives. */
enum { BITS = 7, CELLS = 1 << BITS, ROUNDS = 150 };

struct table {
  uint32_t cells[CELLS]; /* variable 0 is the most significant bit of the index */
};

static uint64_t seed;

static uint32_t random_below(uint32_t limit) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(seed >> 33) % limit;
}

static struct diagram_store *store;

static void set_up(void) {
  seed = 20261123;
  store = diagram_store_new(0);
  ck_assert_ptr_nonnull(store);
}

static void tear_down(void) {
  store = diagram_store_free(store);
}

static diagram from_cells(const uint32_t *cells, unsigned variable) {
  if (variable == BITS)
    return diagram_leaf(store, cells[0]);
  return diagram_node(store, variable, from_cells(cells, variable + 1),
                      from_cells(cells + (1u << (BITS - variable - 1)), variable + 1));
}

static diagram from_table(const struct table *table) {
  return from_cells(table->cells, 0);
}

/* Dense, thin or with few distinct halves, so that diagrams are of all shapes. */
static struct table random_table(uint32_t values) {
  struct table table;
  uint32_t kind = random_below(4), mask = random_below(CELLS);
  for (uint32_t i = 0; i < CELLS; i++) {
    if (kind == 0)
      table.cells[i] = random_below(values);
    else if (kind == 1)
      table.cells[i] = random_below(20) == 0 ? random_below(values) : 0;
    else
      table.cells[i] = ((i & mask) * 2654435761u >> 13) % values;
  }
  return table;
}

static void bits_of(uint32_t cell, uint8_t *bits) {
  for (unsigned v = 0; v < BITS; v++)
    bits[v] = cell >> (BITS - 1 - v) & 1;
}

START_TEST(a_diagram_has_the_values_of_its_table) {
  for (int round = 0; round < ROUNDS; round++) {
    struct table table = random_table(5);
    diagram one = from_table(&table);
    for (uint32_t cell = 0; cell < CELLS; cell++) {
      uint8_t bits[BITS];
      uint32_t value;
      bits_of(cell, bits);
      ck_assert(diagram_value(store, one, bits, &value));
      ck_assert_uint_eq(value, table.cells[cell]);
    }
  }
}
END_TEST

START_TEST(each_variable_is_a_function_of_its_own) {
  static diagram variables[DIAGRAM_VARIABLES];
  for (unsigned v = 256; v < DIAGRAM_VARIABLES; v *= 2) /* those that share a place while the store is small */
    ck_assert_uint_ne(diagram_variable(store, v), diagram_variable(store, 0));
  tear_down();
  set_up();
  for (unsigned v = 0; v < DIAGRAM_VARIABLES; v++) {
    variables[v] = diagram_variable(store, v);
    ck_assert(v == 0 || variables[v] > variables[v - 1]); /* made now: none is one of the earlier ones */
  }
  for (unsigned v = 0; v < DIAGRAM_VARIABLES; v++)
    ck_assert_uint_eq(diagram_variable(store, v), variables[v]);
}
END_TEST

/* ---- operations on sets ---- */

typedef diagram (*set_operation)(struct diagram_store *, diagram, diagram);

static diagram not_left(struct diagram_store *of, diagram left, diagram right) {
  (void)right;
  return diagram_not(of, left);
}

static const struct set_case {
  set_operation operation;
  uint32_t result[4]; /* for 00, 01, 10, 11 */
} SET_CASES[] = {
    {diagram_and, {0, 0, 0, 1}}, {diagram_or, {0, 1, 1, 1}}, {diagram_difference, {0, 0, 1, 0}},
    {diagram_xor, {0, 1, 1, 0}}, {not_left, {1, 1, 0, 0}},
};

START_TEST(operations_on_sets_agree_with_tables) {
  const struct set_case *one = &SET_CASES[_i];
  for (int round = 0; round < ROUNDS; round++) {
    struct table left = random_table(2), right = random_table(2), expected;
    for (uint32_t i = 0; i < CELLS; i++)
      expected.cells[i] = one->result[2 * left.cells[i] + right.cells[i]];
    ck_assert_uint_eq(one->operation(store, from_table(&left), from_table(&right)), from_table(&expected));
  }
}
END_TEST

START_TEST(choose_takes_each_side_where_it_belongs) {
  for (int round = 0; round < ROUNDS; round++) {
    struct table set = random_table(2), then = random_table(4), otherwise = random_table(4), expected;
    for (uint32_t i = 0; i < CELLS; i++)
      expected.cells[i] = set.cells[i] != 0 ? then.cells[i] : otherwise.cells[i];
    diagram result = diagram_choose(store, from_table(&set), from_table(&then), from_table(&otherwise));
    ck_assert_uint_eq(result, from_table(&expected));
  }
}
END_TEST

/* ---- operations on leaves ---- */

static uint32_t weighted(void *context, uint32_t left, uint32_t right) {
  return (left * 3 + right) % *(const uint32_t *)context;
}

static uint32_t plus_one(void *context, uint32_t value) {
  return (value + 1) % *(const uint32_t *)context;
}

START_TEST(combine_and_map_go_leaf_by_leaf) {
  uint32_t modulus[] = {7, 2};
  unsigned operations[] = {diagram_operation(store), diagram_operation(store)};
  for (int round = 0; round < ROUNDS; round++) {
    struct table left = random_table(5), right = random_table(5), combined, mapped;
    int i = round % 2; /* each with a number of its own: neither may get the other's answers */
    for (uint32_t cell = 0; cell < CELLS; cell++) {
      combined.cells[cell] = (left.cells[cell] * 3 + right.cells[cell]) % modulus[i];
      mapped.cells[cell] = (left.cells[cell] + 1) % modulus[i];
    }
    diagram l = from_table(&left), r = from_table(&right);
    ck_assert_uint_eq(diagram_combine(store, operations[i], weighted, &modulus[i], l, r), from_table(&combined));
    ck_assert_uint_eq(diagram_map(store, operations[i], plus_one, &modulus[i], l), from_table(&mapped));
  }
}
END_TEST

START_TEST(operations_with_numbers_of_their_own_do_not_mix) {
  uint32_t modulus[] = {7, 5};
  struct table left = random_table(5), right = random_table(5);
  diagram l = from_table(&left), r = from_table(&right);
  unsigned first = diagram_operation(store), second = diagram_operation(store);
  ck_assert_uint_ne(first, second);
  ck_assert_uint_ne(diagram_combine(store, first, weighted, &modulus[0], l, r),
                    diagram_combine(store, second, weighted, &modulus[1], l, r));
}
END_TEST

START_TEST(where_and_support_are_the_sets_of_leaves) {
  for (int round = 0; round < ROUNDS; round++) {
    struct table table = random_table(4), where, support;
    uint32_t value = random_below(5);
    for (uint32_t i = 0; i < CELLS; i++) {
      where.cells[i] = table.cells[i] == value;
      support.cells[i] = table.cells[i] != 0;
    }
    diagram one = from_table(&table);
    ck_assert_uint_eq(diagram_where(store, one, value), from_table(&where));
    ck_assert_uint_eq(diagram_support(store, one), from_table(&support));
  }
}
END_TEST

/* ---- quantifying ---- */

static bool in_mask(void *context, unsigned variable) {
  return (*(const uint32_t *)context >> (BITS - 1 - variable) & 1) != 0;
}

START_TEST(quantifiers_ask_all_values_of_the_chosen) {
  for (int round = 0; round < ROUNDS; round++) {
    struct table table = random_table(2), some, all;
    uint32_t mask = random_below(CELLS);
    for (uint32_t i = 0; i < CELLS; i++) {
      some.cells[i] = 0;
      all.cells[i] = 1;
      for (uint32_t j = 0; j < CELLS; j++)
        if ((i & ~mask) == (j & ~mask)) {
          some.cells[i] |= table.cells[j];
          all.cells[i] &= table.cells[j];
        }
    }
    diagram one = from_table(&table);
    ck_assert_uint_eq(diagram_exists(store, one, in_mask, &mask), from_table(&some));
    ck_assert_uint_eq(diagram_for_all(store, one, in_mask, &mask), from_table(&all));
  }
}
END_TEST

static uint32_t greater(void *context, uint32_t left, uint32_t right) {
  (void)context;
  return left > right ? left : right;
}

START_TEST(gather_combines_all_values_of_the_chosen) {
  for (int round = 0; round < ROUNDS; round++) {
    struct table table = random_table(6), gathered = {{0}};
    uint32_t mask = random_below(CELLS);
    unsigned operation = diagram_operation(store);
    for (uint32_t i = 0; i < CELLS; i++)
      for (uint32_t j = 0; j < CELLS; j++)
        if ((i & ~mask) == (j & ~mask))
          gathered.cells[i] = greater(NULL, gathered.cells[i], table.cells[j]);
    ck_assert_uint_eq(diagram_gather(store, operation, greater, NULL, from_table(&table), in_mask, &mask),
                      from_table(&gathered));
  }
}
END_TEST

START_TEST(fix_is_the_function_with_the_bit_given) {
  for (int round = 0; round < ROUNDS; round++) {
    struct table table = random_table(4), fixed;
    unsigned variable = random_below(BITS);
    uint32_t value = random_below(2), bit = 1u << (BITS - 1 - variable);
    for (uint32_t i = 0; i < CELLS; i++)
      fixed.cells[i] = table.cells[value != 0 ? i | bit : i & ~bit];
    ck_assert_uint_eq(diagram_fix(store, from_table(&table), variable, value != 0), from_table(&fixed));
  }
}
END_TEST

/* ---- asking ---- */

static uint32_t preference_of(uint32_t cell, uint32_t preferred) {
  return cell ^ preferred; /* the least is served first */
}

START_TEST(a_witness_is_the_most_preferred_member) {
  for (int round = 0; round < ROUNDS; round++) {
    struct table table = random_table(2);
    uint32_t preferred = random_below(CELLS), best = CELLS, found = 0;
    uint8_t bits[BITS], wanted[BITS];
    for (uint32_t i = 0; i < CELLS; i++)
      if (table.cells[i] != 0 && (best == CELLS || preference_of(i, preferred) < preference_of(best, preferred)))
        best = i;
    bits_of(preferred, wanted);
    bool some = diagram_witness(store, from_table(&table), wanted, BITS, bits);
    ck_assert_int_eq(some, best != CELLS);
    for (unsigned v = 0; some && v < BITS; v++)
      found = found << 1 | bits[v];
    if (some)
      ck_assert_uint_eq(found, best);
  }
}
END_TEST

START_TEST(without_preferences_a_witness_prefers_zeros) {
  uint8_t bits[3];
  diagram set = diagram_or(store, diagram_variable(store, 1), diagram_variable(store, 2));
  ck_assert(diagram_witness(store, set, NULL, 3, bits));
  ck_assert_mem_eq(bits, "\0\0\1", 3);
  ck_assert(!diagram_witness(store, DIAGRAM_FALSE, NULL, 3, bits));
}
END_TEST

struct leaf_list {
  uint32_t values[CELLS];
  size_t count, limit;
};

static bool keep_leaf(void *context, uint32_t value) {
  struct leaf_list *list = context;
  list->values[list->count++] = value;
  return list->count < list->limit;
}

START_TEST(counting_agrees_with_tables) {
  for (int round = 0; round < ROUNDS; round++) {
    struct table table = random_table(2), many = random_table(6);
    struct leaf_list leaves = {.limit = CELLS}, few = {.limit = 1};
    uint32_t members = 0, seen = 0, reached = 0;
    for (uint32_t i = 0; i < CELLS; i++) {
      members += table.cells[i];
      seen |= 1u << many.cells[i];
    }
    ck_assert_double_eq(diagram_count(store, from_table(&table), BITS + 3), 8.0 * members);
    diagram one = from_table(&many);
    diagram_leaves(store, one, keep_leaf, &leaves);
    for (size_t i = 0; i < leaves.count; i++)
      reached |= 1u << leaves.values[i];
    ck_assert_uint_eq(reached, seen);
    ck_assert_uint_eq(leaves.count, (size_t)__builtin_popcount(seen));
    diagram_leaves(store, one, keep_leaf, &few);
    ck_assert_uint_eq(few.count, 1);
  }
}
END_TEST

START_TEST(size_counts_shared_nodes_once) {
  diagram x = diagram_variable(store, 0), y = diagram_variable(store, 1), z = diagram_variable(store, 2);
  ck_assert_uint_eq(diagram_size(store, DIAGRAM_TRUE), 0);
  ck_assert_uint_eq(diagram_size(store, x), 1);
  ck_assert_uint_eq(diagram_size(store, diagram_xor(store, diagram_xor(store, x, y), z)), 5);
}
END_TEST

/* ---- laws, on diagrams too large for tables ---- */

enum { WIDE = 96 };

static diagram random_set(unsigned depth) {
  if (depth == 0)
    return diagram_variable(store, random_below(WIDE));
  diagram left = random_set(depth - 1), right = random_set(depth - 1);
  switch (random_below(4)) {
  case 0:
    return diagram_or(store, left, right);
  case 1:
    return diagram_xor(store, left, right);
  case 2:
    return diagram_difference(store, left, right);
  default:
    return diagram_and(store, left, right);
  }
}

START_TEST(sets_obey_the_laws_of_algebra) {
  for (int round = 0; round < 40; round++) {
    diagram a = random_set(3), b = random_set(3), c = random_set(3);
    diagram not_a = diagram_not(store, a), not_b = diagram_not(store, b);
    ck_assert_uint_eq(diagram_not(store, not_a), a);
    ck_assert_uint_eq(diagram_and(store, a, b), diagram_and(store, b, a));
    ck_assert_uint_eq(diagram_not(store, diagram_and(store, a, b)), diagram_or(store, not_a, not_b));
    ck_assert_uint_eq(diagram_and(store, a, diagram_or(store, b, c)),
                      diagram_or(store, diagram_and(store, a, b), diagram_and(store, a, c)));
    ck_assert_uint_eq(diagram_or(store, a, diagram_and(store, a, b)), a);
    ck_assert_uint_eq(diagram_difference(store, a, b), diagram_and(store, a, not_b));
    ck_assert_uint_eq(diagram_xor(store, a, b),
                      diagram_or(store, diagram_difference(store, a, b), diagram_difference(store, b, a)));
    ck_assert_uint_eq(diagram_choose(store, a, b, c),
                      diagram_or(store, diagram_and(store, a, b), diagram_and(store, not_a, c)));
    ck_assert_uint_eq(diagram_and(store, a, not_a), DIAGRAM_FALSE);
    ck_assert_uint_eq(diagram_or(store, a, not_a), DIAGRAM_TRUE);
  }
}
END_TEST

START_TEST(the_order_of_a_union_does_not_matter) {
  enum { SETS = 60 };
  diagram sets[SETS], first = DIAGRAM_FALSE;
  for (int i = 0; i < SETS; i++) {
    sets[i] = DIAGRAM_TRUE;
    for (int literal = 0; literal < 12; literal++) {
      diagram variable = diagram_variable(store, random_below(20));
      sets[i] = diagram_and(store, sets[i], random_below(2) == 0 ? variable : diagram_not(store, variable));
    }
    first = diagram_or(store, first, sets[i]);
  }
  for (int round = 0; round < 5; round++) {
    diagram again = DIAGRAM_FALSE;
    for (uint32_t left = SETS; left > 0; left--) {
      uint32_t at = random_below(left);
      diagram one = sets[at];
      sets[at] = sets[left - 1];
      sets[left - 1] = one;
      again = diagram_or(store, again, one);
    }
    ck_assert_uint_eq(again, first);
  }
}
END_TEST

/* ---- boxes ---- */

/* Three fields over ten variables, with gaps between and within. */
enum { FIELDS = 3, BOXES = 14, POINTS = 1 << 10 };
static const unsigned VARIABLES[FIELDS][5] = {{0, 1, 4}, {6, 7, 8, 9, 30}, {31, 33}};
static const struct diagram_field FIELD_LIST[FIELDS] = {{VARIABLES[0], 3}, {VARIABLES[1], 5}, {VARIABLES[2], 2}};
enum { LAST_VARIABLE = 33 };

struct box_list {
  uint8_t first[BOXES][FIELDS], last[BOXES][FIELDS];
  struct diagram_box boxes[BOXES];
};

static void random_range(unsigned width, uint8_t *first, uint8_t *last) {
  uint32_t size = 1u << width, from = random_below(size), to = random_below(size);
  switch (random_below(4)) {
  case 0: /* all */
    from = 0;
    to = size - 1;
    break;
  case 1: /* one */
    to = from;
    break;
  case 2: /* a prefix */
    size = 1u << random_below(width + 1);
    from = from / size * size;
    to = from + size - 1;
    break;
  default:
    break;
  }
  *first = (uint8_t)(from < to ? from : to);
  *last = (uint8_t)(from < to ? to : from);
}

static void random_boxes(struct box_list *list, uint32_t values) {
  for (int i = 0; i < BOXES; i++) {
    for (int field = 0; field < FIELDS; field++)
      random_range(FIELD_LIST[field].width, &list->first[i][field], &list->last[i][field]);
    list->boxes[i] = (struct diagram_box){list->first[i], list->last[i], 1 + random_below(values)};
  }
}

struct point {
  uint8_t values[FIELDS];
  uint8_t bits[LAST_VARIABLE + 1];
};

static struct point point_of(uint32_t number) {
  struct point point = {{(uint8_t)(number >> 7), number >> 2 & 31, number & 3}, {0}};
  for (int field = 0; field < FIELDS; field++)
    for (unsigned bit = 0; bit < FIELD_LIST[field].width; bit++)
      point.bits[VARIABLES[field][bit]] = point.values[field] >> (FIELD_LIST[field].width - 1 - bit) & 1;
  return point;
}

static bool inside(const uint8_t *first, const uint8_t *last, const struct point *point) {
  for (int field = 0; field < FIELDS; field++)
    if (point->values[field] < first[field] || point->values[field] > last[field])
      return false;
  return true;
}

static uint32_t sum(void *context, uint32_t left, uint32_t right) {
  (void)context;
  return left + right;
}

static uint32_t value_at(diagram of, const struct point *point) {
  uint32_t value;
  ck_assert(diagram_value(store, of, point->bits, &value));
  return value;
}

START_TEST(boxes_have_their_values_where_they_lie) {
  for (int round = 0; round < ROUNDS; round++) {
    struct box_list list;
    random_boxes(&list, round % 2 == 0 ? 3 : 100);
    size_t count = random_below(BOXES + 1);
    diagram earliest = diagram_boxes(store, FIELD_LIST, FIELDS, list.boxes, count, 0, NULL, NULL);
    diagram total = diagram_boxes(store, FIELD_LIST, FIELDS, list.boxes, count, 0, sum, NULL);
    for (uint32_t number = 0; number < POINTS; number++) {
      struct point point = point_of(number);
      uint32_t first = 0, all = 0;
      for (size_t i = 0; i < count; i++)
        if (inside(list.first[i], list.last[i], &point)) {
          first = first != 0 ? first : list.boxes[i].value;
          all += list.boxes[i].value;
        }
      ck_assert_uint_eq(value_at(earliest, &point), first);
      ck_assert_uint_eq(value_at(total, &point), all);
    }
  }
}
END_TEST

START_TEST(boxes_in_another_order_are_the_same_node) {
  for (int round = 0; round < ROUNDS; round++) {
    struct box_list list;
    random_boxes(&list, 4);
    diagram before = diagram_boxes(store, FIELD_LIST, FIELDS, list.boxes, BOXES, 1, sum, NULL);
    for (uint32_t left = BOXES; left > 1; left--) {
      uint32_t at = random_below(left);
      struct diagram_box one = list.boxes[at];
      list.boxes[at] = list.boxes[left - 1];
      list.boxes[left - 1] = one;
    }
    ck_assert_uint_eq(diagram_boxes(store, FIELD_LIST, FIELDS, list.boxes, BOXES, 1, sum, NULL), before);
  }
}
END_TEST

START_TEST(many_overlapping_boxes_keep_their_order) {
  enum { MANY = 500 };
  static uint8_t first[MANY][FIELDS], last[MANY][FIELDS];
  static struct diagram_box boxes[MANY];
  for (int i = 0; i < MANY; i++) {
    for (int field = 0; field < FIELDS; field++)
      random_range(FIELD_LIST[field].width, &first[i][field], &last[i][field]);
    if (i < MANY - 20) /* small ones first, so that later ones show through */
      last[i][1] = first[i][1];
    boxes[i] = (struct diagram_box){first[i], last[i], 1 + random_below(1000)};
  }
  diagram all = diagram_boxes(store, FIELD_LIST, FIELDS, boxes, MANY, 0, NULL, NULL);
  for (uint32_t number = 0; number < POINTS; number++) {
    struct point point = point_of(number);
    int i = 0;
    while (i < MANY && !inside(first[i], last[i], &point))
      i++;
    ck_assert_uint_eq(value_at(all, &point), i < MANY ? boxes[i].value : 0);
  }
}
END_TEST

START_TEST(boxes_that_hold_nothing_are_nothing) {
  uint8_t first[FIELDS] = {3, 9, 1}, last[FIELDS] = {4, 8, 2};
  struct diagram_box empty = {first, last, 7}, worthless = {first, first, 0};
  ck_assert_uint_eq(diagram_boxes(store, FIELD_LIST, FIELDS, &empty, 1, 0, NULL, NULL), DIAGRAM_FALSE);
  ck_assert_uint_eq(diagram_boxes(store, FIELD_LIST, FIELDS, &worthless, 1, 0, NULL, NULL), DIAGRAM_FALSE);
  struct diagram_box list[] = {worthless, {first, first, 7}, {first, first, 8}};
  ck_assert_uint_eq(diagram_boxes(store, FIELD_LIST, FIELDS, list, 3, 0, NULL, NULL),
                    diagram_boxes(store, FIELD_LIST, FIELDS, list + 1, 1, 0, NULL, NULL));
  ck_assert_uint_eq(diagram_boxes(store, FIELD_LIST, FIELDS, NULL, 0, 0, NULL, NULL), DIAGRAM_FALSE);
  ck_assert_uint_eq(diagram_range(store, &FIELD_LIST[1], first + 1, last + 1), DIAGRAM_FALSE);
}
END_TEST

START_TEST(a_range_is_the_set_of_its_numbers) {
  for (uint8_t from = 0; from < 32; from++)
    for (uint8_t to = from; to < 32; to++) {
      diagram range = diagram_range(store, &FIELD_LIST[1], &from, &to);
      for (uint8_t number = 0; number < 32; number++) {
        struct point point = point_of((uint32_t)number << 2);
        ck_assert_uint_eq(value_at(range, &point), number >= from && number <= to);
      }
    }
}
END_TEST

START_TEST(a_field_of_128_bits_is_counted_exactly) {
  unsigned variables[128];
  for (unsigned i = 0; i < 128; i++)
    variables[i] = 10 + i;
  struct diagram_field field = {variables, 128};
  uint8_t first[16] = {0x20, 1, 0x0d, 0xb8}, last[16] = {0x20, 1, 0x0d, 0xb8, 1, 2, 3};
  first[15] = 5;
  last[15] = 9;
  diagram range = diagram_range(store, &field, first, last);
  ck_assert_double_eq(diagram_count(store, range, 138), (0x010203p72 + 5) * 1024);
  memset(first, 0, 16);
  memset(last, 0xff, 16);
  ck_assert_uint_eq(diagram_range(store, &field, first, last), DIAGRAM_TRUE);
}
END_TEST

/* ---- cover ---- */

struct cover {
  uint8_t first[POINTS][FIELDS], last[POINTS][FIELDS];
  size_t count;
};

static void keep_box(void *context, const uint8_t *first, const uint8_t *last) {
  struct cover *cover = context;
  memcpy(cover->first[cover->count], first, FIELDS);
  memcpy(cover->last[cover->count++], last, FIELDS);
}

/* No range of the box can be wider by one. */
static bool is_maximal(diagram set, const uint8_t *first, const uint8_t *last) {
  for (int field = 0; field < FIELDS; field++)
    for (int up = 0; up < 2; up++) {
      uint8_t wide_first[FIELDS], wide_last[FIELDS];
      memcpy(wide_first, first, FIELDS);
      memcpy(wide_last, last, FIELDS);
      if (up ? last[field] == (1 << FIELD_LIST[field].width) - 1 : first[field] == 0)
        continue;
      wide_first[field] = (uint8_t)(up ? last[field] + 1 : first[field] - 1);
      wide_last[field] = wide_first[field];
      struct diagram_box slice = {wide_first, wide_last, 1};
      diagram more = diagram_boxes(store, FIELD_LIST, FIELDS, &slice, 1, 0, NULL, NULL);
      if (diagram_difference(store, more, set) == DIAGRAM_FALSE)
        return false;
    }
  return true;
}

START_TEST(a_cover_is_exact_and_its_boxes_are_maximal) {
  static struct cover cover;
  for (int round = 0; round < 60; round++) {
    struct box_list list;
    random_boxes(&list, 1);
    size_t count = random_below(BOXES / 2 + 1);
    diagram set = diagram_boxes(store, FIELD_LIST, FIELDS, list.boxes, count, 0, NULL, NULL), together = DIAGRAM_FALSE;
    if (round % 3 == 0)
      set = diagram_not(store, set);
    bool more = true;
    cover.count = 0;
    size_t told = diagram_cover(store, set, FIELD_LIST, FIELDS, POINTS, keep_box, &cover, &more);
    ck_assert(!more);
    ck_assert_uint_eq(told, cover.count);
    for (size_t i = 0; i < told; i++) {
      struct diagram_box box = {cover.first[i], cover.last[i], 1};
      together = diagram_or(store, together, diagram_boxes(store, FIELD_LIST, FIELDS, &box, 1, 0, NULL, NULL));
      ck_assert(is_maximal(set, box.first, box.last));
    }
    ck_assert_uint_eq(together, set);
    ck_assert_uint_le(told, set == DIAGRAM_FALSE ? 0 : 6 * count + 1);
  }
}
END_TEST

START_TEST(a_cover_finds_the_boxes_that_people_wrote) {
  static struct cover cover;
  uint8_t first[3][FIELDS] = {{1, 3, 0}, {0, 8, 1}, {6, 0, 3}}, last[3][FIELDS] = {{5, 12, 0}, {4, 20, 2}, {6, 31, 3}};
  struct diagram_box boxes[3];
  bool more;
  for (int i = 0; i < 3; i++)
    boxes[i] = (struct diagram_box){first[i], last[i], 1};
  diagram set = diagram_boxes(store, FIELD_LIST, FIELDS, boxes, 3, 0, NULL, NULL);
  cover.count = 0;
  ck_assert_uint_le(diagram_cover(store, set, FIELD_LIST, FIELDS, POINTS, keep_box, &cover, &more), 4);
  for (int i = 0; i < 3; i++) {
    size_t at = 0;
    while (at < cover.count &&
           (memcmp(cover.first[at], first[i], FIELDS) != 0 || memcmp(cover.last[at], last[i], FIELDS) != 0))
      at++;
    ck_assert_uint_lt(at, cover.count);
  }
}
END_TEST

START_TEST(a_cover_stops_at_its_limit_and_says_so) {
  static struct cover cover;
  bool more = false;
  diagram set = DIAGRAM_FALSE;
  for (uint8_t i = 0; i < 32; i += 2)
    set = diagram_or(store, set, diagram_range(store, &FIELD_LIST[1], &i, &i));
  cover.count = 0;
  ck_assert_uint_eq(diagram_cover(store, set, FIELD_LIST, FIELDS, 5, keep_box, &cover, &more), 5);
  ck_assert(more);
  cover.count = 0;
  ck_assert_uint_eq(diagram_cover(store, set, FIELD_LIST, FIELDS, 16, keep_box, &cover, &more), 16);
  ck_assert(!more);
}
END_TEST

START_TEST(a_cover_says_when_other_variables_matter) {
  static struct cover cover;
  bool more = false;
  diagram set = diagram_and(store, diagram_variable(store, 0), diagram_variable(store, 2));
  cover.count = 0;
  ck_assert_uint_eq(diagram_cover(store, set, FIELD_LIST, FIELDS, POINTS, keep_box, &cover, &more), 0);
  ck_assert(more);
}
END_TEST

/* ---- the budget ---- */

static bool is_even(void *context, unsigned variable) {
  (void)context;
  return variable % 2 == 0;
}

/* Something of everything. */
static diagram work(struct diagram_store *on) {
  static struct cover cover;
  struct box_list list;
  uint32_t modulus = 9;
  bool more;
  seed = 5;
  random_boxes(&list, 5);
  unsigned operation = diagram_operation(on);
  diagram boxes = diagram_boxes(on, FIELD_LIST, FIELDS, list.boxes, BOXES, operation, NULL, NULL);
  diagram sums = diagram_boxes(on, FIELD_LIST, FIELDS, list.boxes, BOXES, operation, sum, NULL);
  diagram combined = diagram_combine(on, operation, weighted, &modulus, boxes, sums);
  diagram mapped = diagram_map(on, operation, plus_one, &modulus, combined);
  diagram set = diagram_where(on, mapped, 3);
  diagram other = diagram_exists(on, diagram_support(on, boxes), is_even, NULL);
  mapped = diagram_gather(on, operation, greater, NULL, mapped, is_even, NULL);
  diagram third = diagram_xor(on, set, diagram_fix(on, diagram_for_all(on, other, is_even, NULL), 7, true));
  diagram chosen = diagram_choose(on, diagram_not(on, third), mapped, combined);
  cover.count = 0;
  diagram_cover(on, set, FIELD_LIST, FIELDS, 40, keep_box, &cover, &more);
  diagram_count(on, third, 40);
  diagram_size(on, chosen);
  return diagram_choose(on, diagram_difference(on, third, other), chosen, diagram_leaf(on, 123456));
}

static void check_spent(struct diagram_store *on) {
  uint8_t bits[LAST_VARIABLE + 1] = {0};
  uint32_t value;
  struct leaf_list leaves = {.limit = CELLS};
  ck_assert(diagram_store_failed(on));
  ck_assert_uint_eq(diagram_leaf(on, 0), DIAGRAM_NONE);
  ck_assert_uint_eq(diagram_variable(on, 0), DIAGRAM_NONE);
  ck_assert_uint_eq(diagram_and(on, DIAGRAM_TRUE, DIAGRAM_TRUE), DIAGRAM_NONE);
  ck_assert_uint_eq(diagram_choose(on, DIAGRAM_TRUE, DIAGRAM_TRUE, DIAGRAM_NONE), DIAGRAM_NONE);
  ck_assert_uint_eq(diagram_fix(on, DIAGRAM_NONE, 1, false), DIAGRAM_NONE);
  ck_assert_uint_eq(diagram_size(on, DIAGRAM_NONE), 0);
  ck_assert_double_eq(diagram_count(on, DIAGRAM_NONE, 3), 0);
  ck_assert(!diagram_witness(on, DIAGRAM_NONE, NULL, 1, bits));
  ck_assert(!diagram_value(on, DIAGRAM_NONE, bits, &value));
  diagram_leaves(on, DIAGRAM_NONE, keep_leaf, &leaves);
  ck_assert_uint_eq(leaves.count, 0);
}

START_TEST(a_spent_budget_ends_everything_cleanly) {
  diagram whole = work(store);
  size_t needed = diagram_store_nodes(store);
  ck_assert_uint_ne(whole, DIAGRAM_NONE);
  for (size_t budget = 1; budget <= needed + 1; budget++) {
    struct diagram_store *small = diagram_store_new(budget);
    diagram result = work(small);
    ck_assert_uint_le(diagram_store_nodes(small), budget < 2 ? 2 : budget);
    if (budget < needed) {
      ck_assert_uint_eq(result, DIAGRAM_NONE);
      check_spent(small);
    } else {
      ck_assert_uint_eq(result, whole);
    }
    diagram_store_free(small);
  }
}
END_TEST

START_TEST(what_stood_before_the_budget_was_spent_can_be_asked) {
  struct diagram_store *small = diagram_store_new(4);
  uint8_t bits[2] = {1, 1};
  uint32_t value;
  diagram one = diagram_node(small, 1, DIAGRAM_FALSE, diagram_leaf(small, 77));
  ck_assert_uint_eq(diagram_variable(small, 0), DIAGRAM_NONE);
  ck_assert(diagram_value(small, one, bits, &value));
  ck_assert_uint_eq(value, 77);
  ck_assert_uint_eq(diagram_size(small, one), 1);
  diagram_store_free(small);
}
END_TEST

START_TEST(a_broken_contract_spends_the_store) {
  diagram late = diagram_variable(store, 5);
  ck_assert_uint_eq(diagram_node(store, 5, late, DIAGRAM_TRUE), DIAGRAM_NONE);
  check_spent(store);
  tear_down();
  set_up();
  ck_assert_uint_eq(diagram_variable(store, DIAGRAM_VARIABLES), DIAGRAM_NONE);
  check_spent(store);
  tear_down();
  set_up();
  diagram leaf = diagram_leaf(store, 2), other = diagram_leaf(store, 3);
  ck_assert_uint_eq(diagram_and(store, leaf, other), DIAGRAM_NONE);
  check_spent(store);
}
END_TEST

/* ---- sizes ---- */

START_TEST(the_deepest_diagram_can_be_worked_on) {
  diagram odd = DIAGRAM_FALSE, all = DIAGRAM_TRUE;
  for (unsigned v = DIAGRAM_VARIABLES; v-- > 0;) {
    all = diagram_node(store, v, DIAGRAM_FALSE, all);
    odd = v % 2 != 0 ? diagram_node(store, v, odd, diagram_not(store, odd)) : odd;
  }
  diagram both = diagram_and(store, odd, all);
  ck_assert_uint_ne(both, DIAGRAM_NONE);
  ck_assert_uint_eq(diagram_exists(store, diagram_or(store, odd, all), is_even, NULL) == DIAGRAM_NONE, 0);
  ck_assert_uint_gt(diagram_size(store, odd), DIAGRAM_VARIABLES / 2);
  ck_assert_uint_ne(diagram_choose(store, odd, all, both), DIAGRAM_NONE);
}
END_TEST

START_TEST(memory_starts_small_and_is_linear) {
  ck_assert_uint_lt(diagram_store_bytes(store), 16384);
  diagram all = DIAGRAM_FALSE;
  for (uint32_t i = 0; i < 2000; i++) {
    diagram one = diagram_leaf(store, 2 + i);
    for (unsigned v = 40; v-- > 0;)
      one = random_below(2) == 0 ? diagram_node(store, v, one, DIAGRAM_FALSE)
                                 : diagram_node(store, v, DIAGRAM_FALSE, one);
    all = one;
  }
  ck_assert_uint_ne(all, DIAGRAM_NONE);
  ck_assert_uint_gt(diagram_store_nodes(store), 70000);
  ck_assert_uint_lt(diagram_store_bytes(store), 100 * diagram_store_nodes(store));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("diagram");
  TCase *sets = tcase_create("sets"), *boxes = tcase_create("boxes"), *limits = tcase_create("limits");
  TCase *const cases[] = {sets, boxes, limits};
  for (size_t i = 0; i < 3; i++) {
    tcase_add_checked_fixture(cases[i], set_up, tear_down);
    suite_add_tcase(suite, cases[i]);
  }
  tcase_add_test(sets, a_diagram_has_the_values_of_its_table);
  tcase_add_test(sets, each_variable_is_a_function_of_its_own);
  tcase_add_loop_test(sets, operations_on_sets_agree_with_tables, 0, sizeof SET_CASES / sizeof *SET_CASES);
  tcase_add_test(sets, choose_takes_each_side_where_it_belongs);
  tcase_add_test(sets, combine_and_map_go_leaf_by_leaf);
  tcase_add_test(sets, operations_with_numbers_of_their_own_do_not_mix);
  tcase_add_test(sets, where_and_support_are_the_sets_of_leaves);
  tcase_add_test(sets, quantifiers_ask_all_values_of_the_chosen);
  tcase_add_test(sets, gather_combines_all_values_of_the_chosen);
  tcase_add_test(sets, fix_is_the_function_with_the_bit_given);
  tcase_add_test(sets, a_witness_is_the_most_preferred_member);
  tcase_add_test(sets, without_preferences_a_witness_prefers_zeros);
  tcase_add_test(sets, counting_agrees_with_tables);
  tcase_add_test(sets, size_counts_shared_nodes_once);
  tcase_add_test(sets, sets_obey_the_laws_of_algebra);
  tcase_add_test(sets, the_order_of_a_union_does_not_matter);
  tcase_add_test(boxes, boxes_have_their_values_where_they_lie);
  tcase_add_test(boxes, boxes_in_another_order_are_the_same_node);
  tcase_add_test(boxes, many_overlapping_boxes_keep_their_order);
  tcase_add_test(boxes, boxes_that_hold_nothing_are_nothing);
  tcase_add_test(boxes, a_range_is_the_set_of_its_numbers);
  tcase_add_test(boxes, a_field_of_128_bits_is_counted_exactly);
  tcase_add_test(boxes, a_cover_is_exact_and_its_boxes_are_maximal);
  tcase_add_test(boxes, a_cover_finds_the_boxes_that_people_wrote);
  tcase_add_test(boxes, a_cover_stops_at_its_limit_and_says_so);
  tcase_add_test(boxes, a_cover_says_when_other_variables_matter);
  tcase_add_test(limits, a_spent_budget_ends_everything_cleanly);
  tcase_add_test(limits, what_stood_before_the_budget_was_spent_can_be_asked);
  tcase_add_test(limits, a_broken_contract_spends_the_store);
  tcase_add_test(limits, the_deepest_diagram_can_be_worked_on);
  tcase_add_test(limits, memory_starts_small_and_is_linear);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
