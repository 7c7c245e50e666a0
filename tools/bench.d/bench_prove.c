/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "bench.h"
#include "kernel/nftables.h"
#include "kernel/snapshot.h"
#include "proof/decode.h"
#include "proof/prove.h"
#include "rules/compile.h"

/* The parts of one proof, in milliseconds; of processor time, since a proof asks nobody but the kernel. */
struct parts {
  double take, decode, prove;
  size_t elements, nodes, bytes;
  enum proof_result result;
};

static void enter_namespace(void) {
  if (unshare(CLONE_NEWNET) < 0)
    bench_fail("a network namespace cannot be made: %s", strerror(errno));
}

static void load(const struct policy *policy, struct arena *arena) {
  struct nftables *nftables = NULL;
  struct error error = {0};
  struct refusal refusal = {0};
  struct instant now = {time(NULL)};
  if (nftables_open(&nftables, &error) < 0 ||
      nftables_apply(nftables, bench_compile(policy, arena), now, NULL, &refusal, &error) < 0)
    bench_fail("%s", error.message);
  nftables_close(nftables);
}

static size_t count_elements(const struct live_ruleset *ruleset) {
  size_t count = 0;
  for (size_t i = 0; i < ruleset->table_count; i++)
    for (size_t j = 0; j < ruleset->tables[i].set_count; j++)
      count += ruleset->tables[i].sets[j].element_count;
  return count;
}

static struct parts measure(const struct policy *policy) {
  static const struct surroundings nothing_known = {0};
  struct parts parts = {0};
  struct arena *arena = arena_new(SIZE_MAX);
  struct snapshot snapshot;
  struct live_ruleset *ruleset;
  struct proof proof;
  struct error error = {0};
  uint32_t *identities;
  double begin = bench_processor_milliseconds();
  if (snapshot_take(arena, &snapshot, &error) < 0)
    bench_fail("%s", error.message);
  parts.take = bench_processor_milliseconds() - begin;
  begin = bench_processor_milliseconds();
  if (decode_ruleset(&snapshot, arena, &ruleset, &error) < 0)
    bench_fail("%s", error.message);
  parts.decode = bench_processor_milliseconds() - begin;
  begin = bench_processor_milliseconds();
  if (flow_marks(policy, arena, &identities) < 0)
    bench_fail("no memory");
  struct proof_question question = {
      .policy = policy, .ruleset = ruleset, .surroundings = &nothing_known, .identities = identities};
  if (prove(&question, (struct instant){time(NULL)}, arena, &proof, &error) < 0)
    bench_fail("%s", error.message);
  parts.prove = bench_processor_milliseconds() - begin;
  parts.elements = count_elements(ruleset);
  parts.nodes = proof.nodes;
  parts.bytes = proof.bytes;
  parts.result = proof.result;
  arena_free(arena);
  return parts;
}

int bench_prove(int count, char **arguments) {
  enter_namespace();
  struct arena *arena = arena_new(SIZE_MAX);
  const struct policy *policy = bench_policy(arguments[0], arena);
  long rounds = count > 1 ? strtol(arguments[1], NULL, 10) : 1;
  load(policy, arena);
  for (long i = 0; i < rounds; i++) {
    struct parts parts = measure(policy);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("{\"take\": %.1f, \"decode\": %.1f, \"prove\": %.1f, \"elements\": %zu, \"nodes\": %zu, \"megabytes\": "
           "%.1f, \"peak\": %ld, \"result\": \"%s\"}\n",
           parts.take, parts.decode, parts.prove, parts.elements, parts.nodes, (double)parts.bytes / 1048576,
           usage.ru_maxrss, proof_result_name(parts.result));
    fflush(stdout);
  }
  arena_free(arena);
  return EXIT_SUCCESS;
}
