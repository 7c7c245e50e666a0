/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The engine of the proof against Z3, a solver by others: are two lists of boxes, where the earlier box wins, the same
 * function? Z3 is asked of the same boxes as arithmetic; where it finds a packet on which they differ, that packet must
 * differ here too. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#ifndef KIDO_Z3
int main(void) {
  puts("skipped: built without Z3 (Debian: libz3-dev)");
  return 77;
}
#else
#include <string.h>
#include <z3.h>

#include "proof/diagram.h"

enum { FIELDS = 4, KEY = 1 + 4 + 4 + 2, VARIABLES = 8 * KEY, BOXES = 24, ROUNDS = 40 };
static const unsigned WIDTHS[FIELDS] = {8, 32, 32, 16};

struct list {
  uint32_t first[2 * BOXES][FIELDS], last[2 * BOXES][FIELDS], values[2 * BOXES];
  size_t count;
};

static struct diagram_store *store;
static Z3_context solver_context;
static Z3_ast numbers[FIELDS];
static uint64_t seed;

static uint32_t random_below(uint32_t limit) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(seed >> 33) % limit;
}

static void set_up(void) {
  static const char *const names[FIELDS] = {"protocol", "destination", "source", "port"};
  seed = 7;
  store = diagram_store_new(0);
  ck_assert_ptr_nonnull(store);
  Z3_config config = Z3_mk_config();
  solver_context = Z3_mk_context(config);
  Z3_del_config(config);
  for (int i = 0; i < FIELDS; i++)
    numbers[i] = Z3_mk_const(solver_context, Z3_mk_string_symbol(solver_context, names[i]),
                             Z3_mk_bv_sort(solver_context, WIDTHS[i]));
}

static void tear_down(void) {
  Z3_del_context(solver_context);
  store = diagram_store_free(store);
}

/* ---- lists ---- */

static void random_box(struct list *list) {
  size_t i = list->count++;
  uint32_t host = 0x0a000000 | random_below(4) << 8 | random_below(8), length = random_below(3) == 0 ? 8 : 0;
  list->first[i][0] = list->last[i][0] = random_below(2) == 0 ? 6 : 17;
  list->first[i][1] = host & ~((1u << length) - 1);
  list->last[i][1] = host | ((1u << length) - 1);
  list->first[i][2] = random_below(4) == 0 ? 0 : 0xc0a80000 + random_below(1000);
  list->last[i][2] = list->first[i][2] == 0 ? UINT32_MAX : list->first[i][2] + random_below(300);
  list->first[i][3] = random_below(100);
  list->last[i][3] = list->first[i][3] + random_below(3) * random_below(30);
  list->values[i] = 1 + random_below(3);
}

static void copy_box(struct list *to, const struct list *from, size_t box) {
  memcpy(to->first[to->count], from->first[box], sizeof *to->first);
  memcpy(to->last[to->count], from->last[box], sizeof *to->last);
  to->values[to->count++] = from->values[box];
}

/* The same boxes, some in two halves. */
static void split_boxes(struct list *to, const struct list *from) {
  to->count = 0;
  for (size_t i = 0; i < from->count; i++) {
    uint32_t field = random_below(FIELDS);
    copy_box(to, from, i);
    if (from->first[i][field] == from->last[i][field])
      continue;
    uint32_t middle = from->first[i][field] + (from->last[i][field] - from->first[i][field]) / 2;
    to->last[to->count - 1][field] = middle;
    copy_box(to, from, i);
    to->first[to->count - 1][field] = middle + 1;
  }
}

/* One change, which may or may not matter. */
static void plant(struct list *list) {
  size_t box = random_below((uint32_t)list->count), other = random_below((uint32_t)list->count);
  uint32_t field = 1 + random_below(FIELDS - 1);
  struct list old = *list;
  switch (random_below(4)) {
  case 0:
    list->last[box][field] += list->last[box][field] < 0xffff;
    break;
  case 1:
    list->first[box][field] += list->first[box][field] < list->last[box][field];
    break;
  case 2:
    list->values[box] = 1 + random_below(3);
    break;
  default: /* two change places */
    list->count = box;
    copy_box(list, &old, other);
    list->count = other;
    copy_box(list, &old, box);
    list->count = old.count;
  }
}

/* ---- both readings ---- */

static void put(uint8_t *key, const uint32_t *values) {
  size_t at = 0;
  for (int field = 0; field < FIELDS; field++)
    for (unsigned shift = WIDTHS[field]; shift > 0; shift -= 8)
      key[at++] = (uint8_t)(values[field] >> (shift - 8));
}

static diagram draw(const struct list *list) {
  static unsigned variables[VARIABLES];
  uint8_t first[2 * BOXES][KEY], last[2 * BOXES][KEY];
  struct diagram_box boxes[2 * BOXES];
  struct diagram_field fields[FIELDS];
  for (unsigned i = 0; i < VARIABLES; i++)
    variables[i] = i;
  for (unsigned field = 0, from = 0; field < FIELDS; from += WIDTHS[field++])
    fields[field] = (struct diagram_field){&variables[from], WIDTHS[field]};
  for (size_t i = 0; i < list->count; i++) {
    put(first[i], list->first[i]);
    put(last[i], list->last[i]);
    boxes[i] = (struct diagram_box){first[i], last[i], list->values[i]};
  }
  return diagram_boxes(store, fields, FIELDS, boxes, list->count, 0, NULL, NULL);
}

static Z3_ast number(uint32_t value, Z3_sort sort) {
  return Z3_mk_unsigned_int(solver_context, value, sort);
}

static Z3_ast inside(const struct list *list, size_t box) {
  Z3_ast parts[2 * FIELDS];
  for (int field = 0; field < FIELDS; field++) {
    Z3_sort sort = Z3_mk_bv_sort(solver_context, WIDTHS[field]);
    parts[2 * field] = Z3_mk_bvuge(solver_context, numbers[field], number(list->first[box][field], sort));
    parts[2 * field + 1] = Z3_mk_bvule(solver_context, numbers[field], number(list->last[box][field], sort));
  }
  return Z3_mk_and(solver_context, 2 * FIELDS, parts);
}

static Z3_ast formula(const struct list *list) {
  Z3_sort sort = Z3_mk_bv_sort(solver_context, 8);
  Z3_ast result = number(0, sort);
  for (size_t i = list->count; i-- > 0;)
    result = Z3_mk_ite(solver_context, inside(list, i), number(list->values[i], sort), result);
  return result;
}

static uint32_t value_at(diagram of, const uint32_t *point) {
  uint8_t key[KEY], bits[VARIABLES];
  uint32_t value;
  put(key, point);
  for (unsigned bit = 0; bit < VARIABLES; bit++)
    bits[bit] = key[bit / 8] >> (7 - bit % 8) & 1;
  ck_assert(diagram_value(store, of, bits, &value));
  return value;
}

static void check_model(Z3_model model, diagram left, diagram right) {
  uint32_t point[FIELDS];
  for (int field = 0; field < FIELDS; field++) {
    Z3_ast value;
    ck_assert(Z3_model_eval(solver_context, model, numbers[field], true, &value));
    ck_assert(Z3_get_numeral_uint(solver_context, value, &point[field]));
  }
  ck_assert_uint_ne(value_at(left, point), value_at(right, point));
}

/* Whether both are the same, which Z3 must find too. */
static bool compare(const struct list *left, const struct list *right) {
  diagram ours_left = draw(left), ours_right = draw(right);
  Z3_solver solver = Z3_mk_solver(solver_context);
  Z3_solver_inc_ref(solver_context, solver);
  Z3_ast same = Z3_mk_eq(solver_context, formula(left), formula(right));
  Z3_solver_assert(solver_context, solver, Z3_mk_not(solver_context, same));
  Z3_lbool differs = Z3_solver_check(solver_context, solver);
  ck_assert_int_ne(differs, Z3_L_UNDEF);
  ck_assert_int_eq(differs == Z3_L_FALSE, ours_left == ours_right);
  if (differs == Z3_L_TRUE) {
    Z3_model model = Z3_solver_get_model(solver_context, solver);
    Z3_model_inc_ref(solver_context, model);
    check_model(model, ours_left, ours_right);
    Z3_model_dec_ref(solver_context, model);
  }
  Z3_solver_dec_ref(solver_context, solver);
  return differs == Z3_L_FALSE;
}

START_TEST(lists_are_equal_when_z3_says_so) {
  static struct list list, same;
  int equal = 0;
  for (int round = 0; round < ROUNDS; round++) {
    list.count = 0;
    for (uint32_t boxes = 2 + random_below(BOXES - 2); boxes > 0; boxes--)
      random_box(&list);
    split_boxes(&same, &list);
    ck_assert(compare(&list, &same));
    plant(&same);
    equal += compare(&list, &same);
  }
  ck_assert_int_gt(equal, ROUNDS / 10); /* both answers came up */
  ck_assert_int_lt(equal, ROUNDS * 9 / 10);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("diagram against Z3");
  TCase *tests = tcase_create("Z3");
  tcase_set_timeout(tests, 60);
  tcase_add_checked_fixture(tests, set_up, tear_down);
  tcase_add_test(tests, lists_are_equal_when_z3_says_so);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
#endif
