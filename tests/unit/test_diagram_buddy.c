/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The engine of the proof against BuDDy, an engine by others: the same functions, made in both. With the same order of
 * variables both are canonical, so they must agree in every count of nodes, and on which functions are the same. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#ifndef KIDO_BUDDY
int main(void) {
  puts("skipped: built without BuDDy (Debian: libbdd-dev)");
  return 77;
}
#else
#include <bdd.h>

#include "proof/diagram.h"

enum { VARIABLES = 20, POOL = 40, STEPS = 3000 };

struct pair {
  diagram ours;
  BDD theirs; /* with a reference */
};

static struct diagram_store *store;
static struct pair pool[POOL];
static uint64_t seed;

static uint32_t random_below(uint32_t limit) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(seed >> 33) % limit;
}

static void set_up(void) {
  seed = 41;
  store = diagram_store_new(0);
  ck_assert_ptr_nonnull(store);
  ck_assert_int_ge(bdd_init(1 << 18, 1 << 14), 0);
  bdd_setvarnum(VARIABLES);
  bdd_gbc_hook(NULL);
  for (int i = 0; i < POOL; i++) {
    unsigned variable = random_below(VARIABLES);
    pool[i] = (struct pair){diagram_variable(store, variable), bdd_addref(bdd_ithvar((int)variable))};
  }
}

static void tear_down(void) {
  bdd_done();
  store = diagram_store_free(store);
}

static void compare(const struct pair *pair) {
  ck_assert_uint_ne(pair->ours, DIAGRAM_NONE);
  ck_assert_uint_eq(diagram_size(store, pair->ours), (size_t)bdd_nodecount(pair->theirs));
  ck_assert_double_eq(diagram_count(store, pair->ours, VARIABLES), bdd_satcount(pair->theirs));
}

static bool is_chosen(void *context, unsigned variable) {
  return (*(const uint32_t *)context >> variable & 1) != 0;
}

static BDD chosen_variables(uint32_t mask) {
  BDD set = bdd_addref(bddtrue);
  for (int variable = 0; variable < VARIABLES; variable++)
    if ((mask >> variable & 1) != 0) {
      BDD more = bdd_addref(bdd_and(set, bdd_ithvar(variable)));
      bdd_delref(set);
      set = more;
    }
  return set;
}

static struct pair quantify(const struct pair *of, bool every) {
  uint32_t mask = random_below(1 << VARIABLES) & random_below(1 << VARIABLES);
  BDD variables = chosen_variables(mask);
  struct pair result = {every ? diagram_for_all(store, of->ours, is_chosen, &mask)
                              : diagram_exists(store, of->ours, is_chosen, &mask),
                        bdd_addref(every ? bdd_forall(of->theirs, variables) : bdd_exist(of->theirs, variables))};
  bdd_delref(variables);
  return result;
}

static struct pair fix(const struct pair *of) {
  unsigned variable = random_below(VARIABLES);
  bool value = random_below(2) != 0;
  BDD literal = value ? bdd_ithvar((int)variable) : bdd_nithvar((int)variable);
  return (struct pair){diagram_fix(store, of->ours, variable, value), bdd_addref(bdd_restrict(of->theirs, literal))};
}

static struct pair random_step(const struct pair *a, const struct pair *b, const struct pair *c) {
  switch (random_below(8)) {
  case 0:
    return (struct pair){diagram_and(store, a->ours, b->ours), bdd_addref(bdd_and(a->theirs, b->theirs))};
  case 1:
    return (struct pair){diagram_or(store, a->ours, b->ours), bdd_addref(bdd_or(a->theirs, b->theirs))};
  case 2:
    return (struct pair){diagram_difference(store, a->ours, b->ours),
                         bdd_addref(bdd_apply(a->theirs, b->theirs, bddop_diff))};
  case 3:
    return (struct pair){diagram_xor(store, a->ours, b->ours), bdd_addref(bdd_xor(a->theirs, b->theirs))};
  case 4:
    return (struct pair){diagram_not(store, a->ours), bdd_addref(bdd_not(a->theirs))};
  case 5:
    return (struct pair){diagram_choose(store, a->ours, b->ours, c->ours),
                         bdd_addref(bdd_ite(a->theirs, b->theirs, c->theirs))};
  case 6:
    return fix(a);
  default:
    return quantify(a, random_below(2) == 0);
  }
}

/* A function that has become constant, or a new beginning, is no use to go on with. */
static struct pair fresh(void) {
  unsigned variable = random_below(VARIABLES);
  return (struct pair){diagram_variable(store, variable), bdd_addref(bdd_ithvar((int)variable))};
}

START_TEST(random_functions_are_the_same_in_both) {
  for (int step = 0; step < STEPS; step++) {
    struct pair *slot = &pool[random_below(POOL)];
    struct pair next = random_step(&pool[random_below(POOL)], &pool[random_below(POOL)], &pool[random_below(POOL)]);
    compare(&next);
    if (next.ours <= DIAGRAM_TRUE || diagram_size(store, next.ours) > 2000) {
      bdd_delref(next.theirs);
      next = fresh();
    }
    bdd_delref(slot->theirs);
    *slot = next;
  }
  for (int i = 0; i < POOL; i++)
    for (int j = 0; j < i; j++)
      ck_assert_int_eq(pool[i].ours == pool[j].ours, pool[i].theirs == pool[j].theirs);
}
END_TEST

/* ---- boxes ---- */

enum { FIELDS = 3, BOXES = 300 };
static const unsigned WIDTHS[FIELDS] = {4, 8, 8};

static BDD bound(unsigned from, unsigned width, uint32_t value, bool at_least) {
  BDD result = bdd_addref(bddtrue);
  for (unsigned bit = width; bit-- > 0;) {
    int variable = (int)(from + bit);
    bool one = (value >> (width - 1 - bit) & 1) != 0;
    BDD literal = at_least ? bdd_ithvar(variable) : bdd_nithvar(variable), next;
    next = bdd_addref(one == at_least ? bdd_and(literal, result) : bdd_or(literal, result));
    bdd_delref(result);
    result = next;
  }
  return result;
}

static BDD their_box(const uint8_t *first, const uint8_t *last) {
  BDD result = bdd_addref(bddtrue);
  for (unsigned field = 0, from = 0; field < FIELDS; from += WIDTHS[field++]) {
    BDD least = bound(from, WIDTHS[field], first[field], true), most = bound(from, WIDTHS[field], last[field], false);
    BDD range = bdd_addref(bdd_and(least, most)), next = bdd_addref(bdd_and(result, range));
    bdd_delref(least);
    bdd_delref(most);
    bdd_delref(range);
    bdd_delref(result);
    result = next;
  }
  return result;
}

static struct pair both_of(const struct diagram_box *boxes, size_t count) {
  static unsigned variables[VARIABLES];
  struct diagram_field fields[FIELDS];
  for (unsigned i = 0; i < VARIABLES; i++)
    variables[i] = i;
  for (unsigned field = 0, from = 0; field < FIELDS; from += WIDTHS[field++])
    fields[field] = (struct diagram_field){&variables[from], WIDTHS[field]};
  struct pair pair = {diagram_boxes(store, fields, FIELDS, boxes, count, 0, NULL, NULL), bdd_addref(bddfalse)};
  for (size_t i = 0; i < count; i++) {
    BDD box = their_box(boxes[i].first, boxes[i].last), next = bdd_addref(bdd_or(pair.theirs, box));
    bdd_delref(box);
    bdd_delref(pair.theirs);
    pair.theirs = next;
  }
  return pair;
}

START_TEST(boxes_and_a_planted_difference_are_the_same_in_both) {
  static uint8_t first[BOXES][FIELDS], last[BOXES][FIELDS];
  static struct diagram_box boxes[BOXES];
  for (int round = 0; round < 30; round++) {
    uint32_t count = 1 + random_below(round < 15 ? 12 : BOXES);
    for (uint32_t i = 0; i < count; i++) {
      for (unsigned field = 0; field < FIELDS; field++) {
        uint32_t size = 1u << WIDTHS[field], from = random_below(size),
                 to = from + random_below(4) * random_below(size);
        first[i][field] = (uint8_t)from;
        last[i][field] = (uint8_t)(to < size ? to : size - 1);
      }
      boxes[i] = (struct diagram_box){first[i], last[i], 1};
    }
    struct pair before = both_of(boxes, count);
    compare(&before);
    uint8_t *planted = &last[random_below(count)][random_below(FIELDS)];
    *planted = *planted > 0 ? (uint8_t)(*planted - 1) : 0; /* may leave the box empty: it still is one less */
    struct pair after = both_of(boxes, count);
    ck_assert_int_eq(before.ours == after.ours, before.theirs == after.theirs);
    struct pair change = {diagram_xor(store, before.ours, after.ours),
                          bdd_addref(bdd_xor(before.theirs, after.theirs))};
    compare(&change);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("diagram against BuDDy");
  TCase *tests = tcase_create("BuDDy");
  tcase_add_checked_fixture(tests, set_up, tear_down);
  tcase_add_test(tests, random_functions_are_the_same_in_both);
  tcase_add_test(tests, boxes_and_a_planted_difference_are_the_same_in_both);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
#endif
