/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random policies, random cuts, closed windows and deadlines over them, random and boundary packets: policy_decide()
 * and the kernel must agree. One gateway lives through all policies, so that every load is also a reload from some
 * other policy.
 *
 *   test_differential [--policies N] [--packets N] [--seconds N] [--seed N] [--long]
 *
 * A disagreement prints the seed of its policy; `--seed` with it repeats that one and its variation first.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "duel.h"
#include "random_policy.h"
#include "random_restrictions.h"
#include "rules/compile.h"
#include "town.h"

struct settings {
  unsigned long policies, packets, seconds;
  uint64_t seed;
};

enum { CARRIED_MAX = 60 };

struct totals {
  unsigned long policies, flows, followed;
  size_t compared, allowed, disagreements;
  size_t per_reason[REASON_COUNT_];
};

static bool take_number(const char *text, unsigned long *ret_number) {
  char *end;
  *ret_number = strtoul(text, &end, 0);
  return *text != '\0' && *end == '\0';
}

static bool take_options(int count, char **words, struct settings *settings) {
  const struct {
    const char *name;
    unsigned long *target;
  } table[] = {
      {"--policies", &settings->policies}, {"--packets", &settings->packets}, {"--seconds", &settings->seconds}};
  for (int i = 1; i < count; i++) {
    bool known = false;
    if (strcmp(words[i], "--long") == 0) {
      settings->policies = 5000;
      settings->seconds = 3600;
      continue;
    }
    if (i + 1 == count)
      return false;
    for (size_t j = 0; j < 3; j++)
      if (strcmp(words[i], table[j].name) == 0)
        known = take_number(words[i + 1], table[j].target);
    if (strcmp(words[i], "--seed") == 0) {
      settings->seed = strtoull(words[i + 1], NULL, 0);
      known = true;
    }
    if (!known)
      return false;
    i++;
  }
  return true;
}

static int64_t clock_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec;
}

/* ---- what the kernel holds ---- */

/* Reads the table back once more and compares it with a fresh compilation: the way by differences must lead to the same
 * place as a load from empty. */
static int check_read_back(const struct duel_field *field, struct nftables *nftables, struct error *error) {
  struct arena *arena = arena_new(0);
  struct compile_options options = {.now = field->circumstances.now,
                                    .own = field->circumstances.own,
                                    .restrictions = field->circumstances.restrictions};
  struct ruleset *wanted, *held;
  const char *what = "";
  int code = ruleset_compile(field->policy, &options, arena, &wanted, error);
  if (code == 0)
    code = nftables_read(nftables, "kido", (struct instant){time(NULL)}, arena, &held, error);
  if (code == 0 && !ruleset_equal(wanted, held, arena, &what))
    code = error_set(error, EPROTO, "what the kernel holds differs from what was compiled: %s", what);
  arena_free(arena);
  return code;
}

/* ---- one policy ---- */

static void add_totals(struct totals *totals, const struct duel_field *field) {
  totals->policies++;
  totals->flows += field->policy->flow_count;
  totals->compared += field->compared;
  totals->allowed += field->allowed;
  totals->disagreements += field->disagreements;
  for (int i = 0; i < REASON_COUNT_; i++)
    totals->per_reason[i] += field->per_reason[i];
}

/* Connections that the policy before let open. */
struct carried {
  struct lab_probe openers[CARRIED_MAX];
  size_t count;
};

/* What was open under the policy before meets this one; then what this one lets open is kept for the next. */
static int follow_carried(struct duel_field *field, struct carried *carried, struct totals *totals,
                          struct error *error) {
  long wrong = duel_follow_connections(field, carried->openers, carried->count);
  totals->followed += carried->count;
  carried->count = 0;
  return wrong < 0 ? error_set(error, (int)-wrong, "following connections: %s", strerror((int)-wrong)) : 0;
}

static int carry(struct duel_field *field, struct carried *carried, const struct duel_list *list, struct error *error) {
  carried->count = duel_choose_connections(field, list->items, list->count, carried->openers, CARRIED_MAX);
  int code = duel_open_connections(field, carried->openers, carried->count);
  return code < 0 ? error_set(error, -code, "connections that passed do not open again: %s", strerror(-code)) : 0;
}

/* Every second policy is the one before, changed a little: what was open then has a fate worth watching. */
static char *policy_text(struct dice *dice, uint64_t seed, bool varied, struct instant now, struct arena *arena) {
  struct dice before = {seed - 1};
  if (!varied)
    return random_policy_text(dice, now, arena);
  const char *text = random_policy_text(&before, now, arena);
  return text != NULL ? random_policy_vary(dice, text, now, arena) : NULL;
}

/* ---- restrictions ---- */

static unsigned below(void *context, unsigned limit) {
  return dice_below(context, limit);
}

/* Addresses of hosts and of the gateway, the first of each range. */
static struct address *worth_cutting(const struct policy *policy, const struct address_set *own, struct arena *arena,
                                     size_t *ret_count) {
  struct address *addresses = NULL;
  size_t count = 0, capacity = 0;
  for (size_t i = 0; i < policy->host_count; i++)
    for (size_t j = 0; j < policy->hosts[i].address_count; j++)
      if (arena_grow(arena, (void **)&addresses, count, &capacity, sizeof *addresses) == 0)
        addresses[count++] = policy->hosts[i].addresses[j].range.first;
  for (size_t i = 0; i < own->count; i++)
    if (arena_grow(arena, (void **)&addresses, count, &capacity, sizeof *addresses) == 0)
      addresses[count++] = own->ranges[i].first;
  *ret_count = count;
  return addresses;
}

static void draw_restrictions(struct duel_field *field, struct dice *dice, struct arena *arena) {
  const struct chance chance = {below, dice};
  size_t count;
  struct restrictions *restrictions = ARENA_NEW(arena, struct restrictions);
  const struct address *addresses = worth_cutting(field->policy, field->circumstances.own, arena, &count);
  if (restrictions == NULL || dice_percent(dice, 40))
    return;
  *restrictions = random_restrictions(&chance, field->policy, addresses, count, field->circumstances.now, arena);
  field->circumstances.restrictions = restrictions;
}

static int run_policy(struct lab *lab, struct nftables *nftables, const struct settings *settings, uint64_t seed,
                      bool varied, struct carried *carried, struct totals *totals) {
  struct arena *arena = arena_new(0);
  struct dice dice = {seed};
  struct instant now = {time(NULL)};
  struct error error = {0};
  char *text = policy_text(&dice, seed, varied, now, arena);
  const struct policy *policy = text != NULL ? town_policy("random.conf", text, arena) : NULL;
  struct duel_field field = {.lab = lab, .policy = policy, .scratch = arena, .log = stdout, .log_limit = 3};
  field.circumstances = (struct circumstances){.now = now, .own = lab_own(lab)};
  struct duel_list list = {0};
  if (policy != NULL)
    draw_restrictions(&field, &dice, arena);
  int code = policy == NULL ? error_set(&error, EINVAL, "the random policy does not read")
                            : duel_load(&field, nftables, &error);
  if (code == 0)
    code = follow_carried(&field, carried, totals, &error);
  if (code == 0)
    code = check_read_back(&field, nftables, &error);
  if (code == 0) {
    random_duels(&dice, &field, settings->packets, &list);
    long wrong = duel_run(&field, list.items, list.count);
    code = wrong < 0 ? error_set(&error, (int)-wrong, "the laboratory failed: %s", strerror((int)-wrong)) : 0;
  }
  if (code == 0)
    code = carry(&field, carried, &list, &error);
  if (code < 0)
    printf("FAILURE: %s\n", error.message);
  if (code < 0 || field.disagreements > 0)
    printf("policy of seed %llu%s:\n%s\n", (unsigned long long)(varied ? seed - 1 : seed), varied ? ", varied" : "",
           text != NULL ? text : "");
  if ((code < 0 || field.disagreements > 0) && field.circumstances.restrictions != NULL)
    printf("restricted: %s\n", restrictions_describe(field.circumstances.restrictions, policy, arena));
  if (policy != NULL)
    add_totals(totals, &field);
  duel_list_clear(&list);
  arena_free(arena);
  return code;
}

static void print_totals(const struct totals *totals) {
  printf("%lu policies with %lu flows: %zu packets compared (%zu allowed), %lu connections carried over, %zu "
         "disagreements\n",
         totals->policies, totals->flows, totals->compared, totals->allowed, totals->followed, totals->disagreements);
  for (int i = 0; i < REASON_COUNT_; i++)
    if (totals->per_reason[i] > 0)
      printf("  %-24s %zu\n", reason_name((enum reason)i), totals->per_reason[i]);
}

int main(int count, char **words) {
  struct settings settings = {.policies = 300, .packets = 200, .seconds = 90, .seed = dice_seed()};
  if (!take_options(count, words, &settings)) {
    fprintf(stderr, "usage: %s [--policies N] [--packets N] [--seconds N] [--seed N] [--long]\n", words[0]);
    return 2;
  }
  lab_require();
  printf("seed %llu\n", (unsigned long long)settings.seed);
  struct error error = {0};
  struct arena *arena = arena_new(0);
  struct lab_options options = {.spare_interfaces = random_spare_interfaces};
  const struct policy *topology = town_policy("topology.conf", random_topology(), arena);
  struct lab *lab = NULL;
  struct nftables *nftables = NULL;
  if (topology == NULL || lab_new(topology, &options, &lab, &error) < 0 || nftables_open(&nftables, &error) < 0) {
    fprintf(stderr, "%s\n", error.message);
    return EXIT_FAILURE;
  }
  struct totals totals = {0};
  struct carried *carried = calloc(1, sizeof(*carried));
  unsigned long failures = carried == NULL ? 1 : 0;
  int64_t end = clock_seconds() + (int64_t)settings.seconds;
  for (unsigned long i = 0; carried != NULL && i < settings.policies && clock_seconds() < end && failures < 5; i++) {
    int code = run_policy(lab, nftables, &settings, settings.seed + i, i % 2 == 1, carried, &totals);
    failures += code < 0 ? 1 : 0;
  }
  print_totals(&totals);
  free(carried);
  nftables_close(nftables);
  lab_free(lab);
  arena_free(arena);
  return failures == 0 && totals.disagreements == 0 && totals.compared > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
