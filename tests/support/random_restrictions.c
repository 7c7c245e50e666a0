/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "random_restrictions.h"

#include <stdio.h>
#include <stdlib.h>

enum { CUTS = 4, CLOSED = 3 };

static unsigned below(const struct chance *chance, unsigned limit) {
  return chance->below(chance->context, limit);
}

/* Any zone, the gateway as often as one of them, and a zone that no policy has. */
static const char *random_zone(const struct chance *chance, const struct policy *policy) {
  unsigned which = below(chance, (unsigned)policy->zone_count + 2);
  if (which < policy->zone_count)
    return policy->zones[which].name;
  return which == policy->zone_count ? "gateway" : "gone";
}

static struct cut random_cut(const struct chance *chance, const struct policy *policy, const struct address *hosts,
                             size_t host_count) {
  static const enum cut_kind kinds[] = {CUT_HOST, CUT_HOST, CUT_HOST, CUT_PAIR, CUT_PAIR,
                                        CUT_PAIR, CUT_PAIR, CUT_ZONE, CUT_ZONE, CUT_ALL};
  struct cut cut = {.kind = kinds[below(chance, sizeof kinds / sizeof *kinds)], .by = "tester", .why = "chance"};
  if (cut.kind == CUT_HOST)
    cut.address = hosts[below(chance, (unsigned)host_count)];
  if (cut.kind == CUT_PAIR || cut.kind == CUT_ZONE)
    cut.zone = random_zone(chance, policy);
  if (cut.kind == CUT_PAIR)
    cut.other_zone = random_zone(chance, policy);
  return cut;
}

static void add_cuts(const struct chance *chance, const struct policy *policy, const struct address *hosts,
                     size_t host_count, struct arena *arena, struct restrictions *restrictions) {
  struct cut *cuts = ARENA_ARRAY(arena, CUTS, struct cut);
  restrictions->cut_count = cuts == NULL || host_count == 0 ? 0 : 1 + below(chance, CUTS);
  for (size_t i = 0; i < restrictions->cut_count; i++) {
    cuts[i] = random_cut(chance, policy, hosts, host_count);
    cuts[i].id = i + 1;
  }
  restrictions->cuts = cuts;
}

static void add_closed(const struct chance *chance, const struct policy *policy, struct instant now,
                       struct arena *arena, struct restrictions *restrictions) {
  struct closed_window *closed = ARENA_ARRAY(arena, CLOSED, struct closed_window);
  restrictions->closed_window_count = closed == NULL || policy->flow_count == 0 ? 0 : CLOSED;
  for (size_t i = 0; i < restrictions->closed_window_count; i++) {
    const struct flow *flow = &policy->flows[below(chance, (unsigned)policy->flow_count)];
    closed[i] = (struct closed_window){.flow = flow->name,
                                       .until = {now.seconds + 1800 - (int64_t)below(chance, 2) * 3600},
                                       .by = "tester",
                                       .why = "chance"};
  }
  restrictions->closed_windows = closed;
}

/* Mostly never, else an hour away or long gone: nothing that would pass by while a test runs. */
static const struct instant *random_deadlines(const struct chance *chance, size_t count, struct instant now,
                                              struct arena *arena) {
  struct instant *deadlines = ARENA_ARRAY(arena, count, struct instant);
  for (size_t i = 0; deadlines != NULL && i < count; i++) {
    unsigned which = below(chance, 4);
    deadlines[i] = which < 2 ? INSTANT_NEVER : (struct instant){now.seconds + (which == 2 ? 3600 : -3600)};
  }
  return deadlines;
}

struct restrictions random_restrictions(const struct chance *chance, const struct policy *policy,
                                        const struct address *hosts, size_t host_count, struct instant now,
                                        struct arena *arena) {
  struct restrictions restrictions = {0};
  if (below(chance, 3) > 0)
    add_cuts(chance, policy, hosts, host_count, arena, &restrictions);
  if (below(chance, 3) == 0)
    add_closed(chance, policy, now, arena, &restrictions);
  if (below(chance, 3) == 0) {
    restrictions.flow_deadlines = random_deadlines(chance, policy->flow_count, now, arena);
    restrictions.within_deadlines = random_deadlines(chance, policy->zone_count, now, arena);
  }
  restrictions.clock_doubtful = below(chance, 10) == 0;
  return restrictions;
}

/* ---- in words ---- */

static void describe_deadlines(FILE *stream, const struct restrictions *restrictions, const struct policy *policy) {
  for (size_t i = 0; restrictions->flow_deadlines != NULL && i < policy->flow_count; i++)
    if (restrictions->flow_deadlines[i].seconds != INSTANT_NEVER.seconds)
      fprintf(stream, "%s ends %lld; ", policy->flows[i].name, (long long)restrictions->flow_deadlines[i].seconds);
  for (size_t i = 0; restrictions->within_deadlines != NULL && i < policy->zone_count; i++)
    if (restrictions->within_deadlines[i].seconds != INSTANT_NEVER.seconds)
      fprintf(stream, "within %s ends %lld; ", policy->zones[i].name,
              (long long)restrictions->within_deadlines[i].seconds);
}

const char *restrictions_describe(const struct restrictions *restrictions, const struct policy *policy,
                                  struct arena *arena) {
  char *text = NULL, address[ADDRESS_TEXT_SIZE];
  size_t size = 0;
  FILE *stream = open_memstream(&text, &size);
  if (stream == NULL)
    return "";
  for (size_t i = 0; i < restrictions->cut_count; i++) {
    const struct cut *cut = &restrictions->cuts[i];
    fprintf(stream, "cut %s %s %s; ", cut_kind_name(cut->kind),
            cut->kind == CUT_HOST ? address_format(&cut->address, address)
            : cut->zone != NULL   ? cut->zone
                                  : "",
            cut->other_zone != NULL ? cut->other_zone : "");
  }
  for (size_t i = 0; i < restrictions->closed_window_count; i++)
    fprintf(stream, "%s closed until %lld; ", restrictions->closed_windows[i].flow,
            (long long)restrictions->closed_windows[i].until.seconds);
  describe_deadlines(stream, restrictions, policy);
  fprintf(stream, "%s", restrictions->clock_doubtful ? "clock doubtful" : "");
  fclose(stream);
  const char *kept = arena_strdup(arena, text);
  free(text);
  return kept == NULL ? "" : kept;
}
