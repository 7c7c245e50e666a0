/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A change of a loaded ruleset against the running kernel: what is sent and asked for it, and what becomes of it when
 * something goes wrong on the way. The linker puts a layer (change_layer.c) between nftables*.c and netlink.c (--wrap),
 * which counts and spoils. Each test is a process in a network namespace of its own.
 */
#include "change.h"

#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sample_ruleset.h"
#include "shell.h"

struct arena *arena;
struct nftables *nftables;
struct instant now;
struct error trouble;
struct refusal refusal;

static void enter(void) {
  ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
  arena = arena_new(0);
  now.seconds = time(NULL);
  ck_assert_msg(nftables_open(&nftables, &trouble) == 0, "%s", trouble.message);
}

static void leave(void) {
  nftables_close(nftables);
  arena_free(arena);
}

char *run(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  char *command = arena_vprintf(arena, format, arguments);
  va_end(arguments);
  int status = -1;
  char *output = shell_output(arena, command, &status);
  ck_assert_msg(output != NULL && status == 0, "'%s' failed: %s", command, output != NULL ? output : "-");
  return output;
}

uint32_t generation(void) {
  uint32_t value = 0;
  ck_assert_int_eq(nftables_generation(nftables, &value, &trouble), 0);
  return value;
}

void check_kernel_holds(const struct ruleset *wanted) {
  const char *what = "";
  struct ruleset *found = NULL;
  ck_assert_msg(nftables_read(nftables, "kido", (struct instant){time(NULL)}, arena, &found, &trouble) == 0, "%s",
                trouble.message);
  ck_assert_msg(found->present && ruleset_equal(found, wanted, arena, &what), "%s", what);
}

size_t apply(const struct ruleset *wanted) {
  size_t changes = 0;
  memset(&seen, 0, sizeof seen);
  int status = nftables_apply(nftables, wanted, (struct instant){time(NULL)}, &changes, &refusal, &trouble);
  ck_assert_msg(status == 0, "%d: %s", status, trouble.message);
  return changes;
}

struct ruleset *marks(size_t count) {
  struct ruleset *ruleset = sample_large_ruleset(arena, count);
  ruleset->sets[0].timeouts = true;
  return ruleset;
}

struct element *element_of(struct ruleset *ruleset, size_t index) {
  return &ruleset->sets[0].elements[index];
}

void remove_element(struct ruleset *ruleset, size_t index) {
  struct set *set = &ruleset->sets[0];
  memmove(&set->elements[index], &set->elements[index + 1], (set->element_count - index - 1) * sizeof(struct element));
  set->element_count--;
}

static Suite *suite(void) {
  Suite *whole = suite_create("change");
  TCase *tests = tcase_create("change");
  tcase_add_checked_fixture(tests, enter, leave);
  tcase_set_timeout(tests, 120);
  suite_add_tcase(whole, tests);
  TCase *large = tcase_create("large"); /* what takes minutes on an emulated processor */
  tcase_add_checked_fixture(large, enter, leave);
  tcase_set_timeout(large, 120);
  add_costs(tests, large);
  add_faults(tests, large);
  add_company(tests);
  add_gate(tests);
  suite_add_tcase(whole, large);
  return whole;
}

int main(void) {
  if (geteuid() != 0) {
    puts("root is needed");
    return 77;
  }
  SRunner *runner = srunner_create(suite());
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
