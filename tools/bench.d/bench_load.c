/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "control/gate.h"
#include "kernel/nftables.h"
#include "rules/compile.h"
#include "rules/difference.h"
#include "rules/print.h"

static void enter_namespace(void) {
  if (unshare(CLONE_NEWNET) < 0) {
    bench_fail("a network namespace cannot be made: %s", strerror(errno));
  }
}

static double of_time(const struct timeval *time) {
  return (double)time->tv_sec * 1e3 + (double)time->tv_usec / 1e3;
}

/* The parent is this small program, so that peak memory is the command's own. */
int bench_measure(int count, char **arguments) {
  (void)count;
  enter_namespace();
  double start = bench_milliseconds();
  pid_t child = fork();
  if (child < 0) {
    bench_fail("cannot fork: %s", strerror(errno));
  }
  if (child == 0) {
    execvp(arguments[0], arguments);
    _exit(127);
  }
  int status = 0;
  struct rusage usage;
  if (wait4(child, &status, 0, &usage) < 0) {
    bench_fail("cannot wait: %s", strerror(errno));
  }
  printf("{\"wall\": %.3f, \"user\": %.3f, \"system\": %.3f, \"peak\": %ld, \"status\": %d}\n",
         bench_milliseconds() - start, of_time(&usage.ru_utime), of_time(&usage.ru_stime), usage.ru_maxrss,
         WIFEXITED(status) ? WEXITSTATUS(status) : -1);
  return EXIT_SUCCESS;
}

int bench_text(int count, char **arguments) {
  (void)count;
  struct arena *arena = arena_new(0);
  const struct ruleset *ruleset = bench_compile(bench_policy(arguments[0], arena), arena);
  int status = ruleset_print_nft(stdout, ruleset, (struct instant){time(NULL)});
  arena_free(arena);
  return status == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static size_t count_elements(const struct ruleset *ruleset) {
  size_t count = 0;
  for (size_t i = 0; i < ruleset->set_count; i++) {
    count += ruleset->sets[i].element_count;
  }
  return count;
}

static struct nftables *open_nftables(void) {
  struct nftables *nftables = NULL;
  struct error error = {0};
  if (nftables_open(&nftables, &error) < 0) {
    bench_fail("%s", error.message);
  }
  return nftables;
}

static double apply(struct nftables *nftables, const struct ruleset *ruleset, size_t *ret_changes) {
  struct error error = {0};
  double start = bench_processor_milliseconds();
  if (nftables_apply(nftables, ruleset, (struct instant){time(NULL)}, ret_changes, NULL, &error) < 0) {
    bench_fail("%s", error.message);
  }
  return bench_processor_milliseconds() - start;
}

/* One transaction from empty, without reading back: what the kernel takes, and what building costs. */
static double send_from_empty(struct nftables *nftables, const struct ruleset *ruleset) {
  struct arena *arena = arena_new(0);
  struct ruleset nothing = {.table = ruleset->table};
  struct delta *delta = NULL;
  struct error error = {0};
  double start = bench_processor_milliseconds();
  if (ruleset_difference(&nothing, ruleset, arena, &delta) < 0 ||
      nftables_send(nftables, delta, PHASE_ADD, (struct instant){time(NULL)}, 0, NULL, &error) < 0) {
    bench_fail("%s", error.message);
  }
  double time = bench_processor_milliseconds() - start;
  arena_free(arena);
  return time;
}

int bench_load(int count, char **arguments) {
  (void)count;
  struct arena *arena = arena_new(0);
  struct nftables *nftables = open_nftables();
  double start = bench_processor_milliseconds();
  const struct policy *policy = bench_policy(arguments[0], arena);
  double read = bench_processor_milliseconds();
  const struct ruleset *ruleset = bench_compile(policy, arena);
  double compiled = bench_processor_milliseconds();
  double sent = send_from_empty(nftables, ruleset);
  size_t changes = 0;
  double confirmed = apply(nftables, ruleset, &changes);
  if (changes != 0) {
    bench_fail("the kernel does not hold what was sent");
  }
  printf("{\"elements\": %zu, \"read\": %.3f, \"compile\": %.3f, \"send\": %.3f, \"confirm\": %.3f}\n",
         count_elements(ruleset), read - start, compiled - read, sent, confirmed);
  nftables_close(nftables);
  arena_free(arena);
  return EXIT_SUCCESS;
}

/* The last flow of the file is the one that changes. */
static const struct policy *without_last_flow(const struct policy *policy, struct arena *arena) {
  struct policy *copy = arena_memdup(arena, policy, sizeof(*policy));
  if (copy == NULL || copy->flow_count == 0) {
    bench_fail("a policy without flows");
  }
  copy->flow_count--;
  return copy;
}

/* The three transactions only, against the generation that was read before. */
static double send_phases(struct nftables *nftables, const struct ruleset *from, const struct ruleset *to) {
  struct arena *arena = arena_new(0);
  struct delta *delta = NULL;
  struct error error = {0};
  if (ruleset_difference(from, to, arena, &delta) < 0) {
    bench_fail("no memory");
  }
  double start = bench_processor_milliseconds();
  for (unsigned phase = 0; phase < PHASE_COUNT_; phase++) {
    if (nftables_send(nftables, delta, (enum phase)phase, (struct instant){time(NULL)}, 0, NULL, &error) < 0) {
      bench_fail("%s", error.message);
    }
  }
  double time = bench_processor_milliseconds() - start;
  arena_free(arena);
  return time;
}

/* What an apply of one change takes, by the clock, once the difference is known; the first one reads all. */
struct change_times {
  double first, whole, difference, no_op;
};

static double clock_apply(struct nftables *nftables, const struct ruleset *ruleset, size_t *ret_changes) {
  struct error error = {0};
  double start = bench_milliseconds();
  if (nftables_apply(nftables, ruleset, (struct instant){time(NULL)}, ret_changes, NULL, &error) < 0) {
    bench_fail("%s", error.message);
  }
  return bench_milliseconds() - start;
}

static double clock_difference(const struct ruleset *from, const struct ruleset *to) {
  struct arena *arena = arena_new(0);
  struct delta *delta = NULL;
  double start = bench_milliseconds();
  if (ruleset_difference(from, to, arena, &delta) < 0) {
    bench_fail("no memory");
  }
  double time = bench_milliseconds() - start;
  arena_free(arena);
  return time;
}

static int compare_doubles(const void *left, const void *right) {
  const double *first = left, *second = right;
  return (*first > *second) - (*first < *second);
}

static double median(double *values, size_t count) {
  qsort(values, count, sizeof(*values), compare_doubles);
  return values[count / 2];
}

enum { CHANGES = 21 };

/* The flow goes and comes again. */
static struct change_times clock_changes(struct nftables *nftables, const struct ruleset *full,
                                         const struct ruleset *less) {
  struct change_times times = {0};
  double whole[CHANGES], difference[CHANGES], no_op[CHANGES];
  size_t changes = 0;
  times.first = clock_apply(nftables, full, &changes);
  for (unsigned i = 0; i < CHANGES; i++) {
    const struct ruleset *from = i % 2 == 0 ? full : less, *to = i % 2 == 0 ? less : full;
    difference[i] = clock_difference(nftables_known(nftables, (struct instant){time(NULL)}), to);
    whole[i] = clock_apply(nftables, to, &changes);
    if (changes == 0 || from == to) {
      bench_fail("a change that is none");
    }
    no_op[i] = clock_apply(nftables, to, &changes);
  }
  times.whole = median(whole, CHANGES);
  times.difference = median(difference, CHANGES);
  times.no_op = median(no_op, CHANGES);
  return times;
}

int bench_change(int count, char **arguments) {
  (void)count;
  struct arena *arena = arena_new(0);
  struct nftables *nftables = open_nftables();
  const struct policy *policy = bench_policy(arguments[0], arena);
  double start = bench_milliseconds();
  const struct ruleset *full = bench_compile(policy, arena);
  double compiled = bench_milliseconds() - start;
  const struct ruleset *less = bench_compile(without_last_flow(policy, arena), arena);
  size_t changes = 0;
  apply(nftables, full, &changes);
  nftables_forget(nftables);
  double read = apply(nftables, less, &changes);
  double sent = send_phases(nftables, less, full);
  size_t left = 0;
  apply(nftables, full, &left);
  struct change_times times = clock_changes(nftables, full, less);
  printf("{\"elements\": %zu, \"changes\": %zu, \"apply\": %.3f, \"send\": %.3f, \"wrong\": %zu, \"compile\": %.3f, "
         "\"difference\": %.3f, \"known\": %.3f, \"no_op\": %.3f}\n",
         count_elements(full), changes, read, sent, left, compiled, times.difference, times.whole, times.no_op);
  nftables_close(nftables);
  arena_free(arena);
  return EXIT_SUCCESS;
}

/* ---- time passes: one window closes and opens again, by kidod's own way ---- */

static const struct flow *timed_flow(const struct policy *policy) {
  for (size_t i = 0; i < policy->flow_count; i++) {
    struct instant until;
    if (policy_flow_force(policy, &policy->flows[i], (struct instant){time(NULL)}, &until) == FORCE_YES &&
        until.seconds != INSTANT_NEVER.seconds) {
      return &policy->flows[i];
    }
  }
  bench_fail("no flow in force that ends");
}

static double clock_bring(struct gate *gate, const struct gate_aim *aim) {
  struct arena *arena = arena_new(0);
  struct error error = {0};
  double start = bench_milliseconds();
  if (gate_bring(gate, aim, (struct instant){time(NULL)}, arena, NULL, NULL, &error) < 0) {
    bench_fail("%s", error.message);
  }
  double time = bench_milliseconds() - start;
  arena_free(arena);
  return time;
}

int bench_window(int count, char **arguments) {
  (void)count;
  struct arena *arena = arena_new(0);
  struct gate *gate = NULL;
  struct error error = {0};
  const struct policy *policy = bench_policy(arguments[0], arena);
  struct closed_window closed = {.flow = timed_flow(policy)->name, .until = {time(NULL) + 3600}, .by = "", .why = ""};
  struct restrictions none = {0}, restrictions = {.closed_windows = &closed, .closed_window_count = 1};
  struct gate_aim open = {.policy = policy, .open = true, .restrictions = &none};
  struct gate_aim shut = {.policy = policy, .open = true, .restrictions = &restrictions};
  if (gate_new(&gate, &error) < 0) {
    bench_fail("%s", error.message);
  }
  double times[CHANGES], no_op[CHANGES];
  double first = clock_bring(gate, &open);
  for (unsigned i = 0; i < CHANGES; i++) {
    times[i] = clock_bring(gate, i % 2 == 0 ? &shut : &open);
    no_op[i] = clock_bring(gate, i % 2 == 0 ? &shut : &open);
  }
  printf("{\"first\": %.3f, \"window\": %.3f, \"no_op\": %.3f}\n", first, median(times, CHANGES),
         median(no_op, CHANGES));
  gate_free(gate);
  arena_free(arena);
  return EXIT_SUCCESS;
}
