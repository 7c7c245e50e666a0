/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which flows are for nothing. The openers of a pair of zones fall into regions, each with the flows that cover it, and
 * there are as many regions as leaves of the diagram. A flow without a region never matches; one that has company in
 * each of its regions is not needed. From the last flow to the first, what is not needed is taken out, and the company
 * of those before it is what is still there: so of two equal flows the later one is told, and all that are told may go.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proof/exact_parts.h"

enum { MOST_MEMBERS = 1 << 23, FLOWS_NAMED = 8 };

struct region {
  struct flow_list list;
  bool covered; /* while the flows that cover one are chosen */
};

struct survey {
  struct desk desk;
  const struct policy *policy;
  struct authorised *authorised;
  struct region *regions;
  size_t region_count, region_capacity, member_count;
  uint32_t *of_flow; /* regions, flow by flow */
  size_t *first;     /* of each flow in of_flow; one more at the end */
  bool *taken_out;
  bool failed, more;
};

/* ---- regions ---- */

static bool note_region(void *context, uint32_t leaf) {
  struct survey *survey = context;
  if (leaf == 0)
    return true;
  struct flow_list list = authorised_flows(survey->authorised, leaf);
  survey->member_count += list.count;
  survey->more = survey->more || survey->member_count > MOST_MEMBERS;
  if (survey->more)
    return false;
  survey->failed = arena_grow(survey->desk.scratch, (void **)&survey->regions, survey->region_count,
                              &survey->region_capacity, sizeof *survey->regions) < 0;
  if (!survey->failed)
    survey->regions[survey->region_count++] = (struct region){.list = list};
  return !survey->failed;
}

static void survey_pair(struct survey *survey, const struct zone_pair *pair, enum address_family family) {
  struct diagram_store *store = survey->desk.store;
  struct situation situation = desk_situation(pair, family);
  diagram openers = authorised_openers(survey->authorised, pair, family, true);
  if (openers == DIAGRAM_FALSE || desk_trust(&survey->desk, openers) == DIAGRAM_NONE)
    return;
  diagram passing = authorised_packets(survey->authorised, pair, &situation);
  diagram here = diagram_choose(store, passing, openers, DIAGRAM_FALSE);
  if (desk_trust(&survey->desk, here) != DIAGRAM_NONE)
    diagram_leaves(store, here, note_region, survey);
}

static void survey_all(struct survey *survey) {
  zone_index zones = (zone_index)survey->policy->zone_count;
  for (zone_index from = ZONE_GATEWAY; from < zones; from++)
    for (zone_index to = ZONE_GATEWAY; to < zones; to++) {
      struct zone_pair pair = {from, to, false};
      if (from == ZONE_NONE || to == ZONE_NONE || from == to)
        continue;
      survey_pair(survey, &pair, FAMILY_IPV4);
      survey_pair(survey, &pair, FAMILY_IPV6);
    }
}

/* Turns "flows of a region" into "regions of a flow". */
static int index_regions(struct survey *survey) {
  size_t flows = survey->policy->flow_count;
  survey->first = ARENA_ARRAY(survey->desk.scratch, flows + 2, size_t);
  survey->of_flow = ARENA_ARRAY(survey->desk.scratch, survey->member_count + 1, uint32_t);
  survey->taken_out = ARENA_ARRAY(survey->desk.scratch, flows + 1, bool);
  if (survey->first == NULL || survey->of_flow == NULL || survey->taken_out == NULL)
    return -ENOMEM;
  for (size_t i = 0; i < survey->region_count; i++)
    for (size_t j = 0; j < survey->regions[i].list.count; j++)
      survey->first[survey->regions[i].list.flows[j]->index + 2]++;
  for (size_t i = 2; i < flows + 2; i++)
    survey->first[i] += survey->first[i - 1];
  size_t *next = survey->first + 1; /* first free place of each flow; in the end where the next one begins */
  for (size_t i = 0; i < survey->region_count; i++)
    for (size_t j = 0; j < survey->regions[i].list.count; j++)
      survey->of_flow[next[survey->regions[i].list.flows[j]->index]++] = (uint32_t)i;
  return 0;
}

/* ---- who covers whom ---- */

static bool may_cover(const struct survey *survey, const struct flow *outer, const struct flow *inner) {
  return outer != inner && !survey->taken_out[outer->index] && !outer->limit.set && desk_outlasts(outer, inner);
}

static struct region *region_of(const struct survey *survey, const struct flow *flow, size_t number) {
  return &survey->regions[survey->of_flow[survey->first[flow->index] + number]];
}

static size_t region_count(const struct survey *survey, const struct flow *flow) {
  return survey->first[flow->index + 1] - survey->first[flow->index];
}

static const struct flow *company_in(const struct survey *survey, const struct flow *flow,
                                     const struct region *region) {
  for (size_t i = 0; i < region->list.count; i++)
    if (may_cover(survey, region->list.flows[i], flow))
      return region->list.flows[i];
  return NULL;
}

static bool is_needed(const struct survey *survey, const struct flow *flow) {
  for (size_t i = 0; i < region_count(survey, flow); i++)
    if (company_in(survey, flow, region_of(survey, flow, i)) == NULL)
      return true;
  return false;
}

static int compare_index(const void *left, const void *right) {
  const struct flow *one = *(const struct flow *const *)left, *other = *(const struct flow *const *)right;
  return one->index < other->index ? -1 : one->index > other->index;
}

static bool has_flow(const struct region *region, const struct flow *flow) {
  return bsearch(&flow, region->list.flows, region->list.count, sizeof(const struct flow *), compare_index) != NULL;
}

/* The first single flow that covers all of it; NULL: none does. */
static const struct flow *one_that_covers(const struct survey *survey, const struct flow *flow) {
  const struct region *shortest = region_of(survey, flow, 0);
  for (size_t i = 1; i < region_count(survey, flow); i++)
    if (region_of(survey, flow, i)->list.count < shortest->list.count)
      shortest = region_of(survey, flow, i);
  for (size_t i = 0; i < shortest->list.count; i++) {
    const struct flow *candidate = shortest->list.flows[i];
    bool covers = may_cover(survey, candidate, flow);
    for (size_t j = 0; covers && j < region_count(survey, flow); j++)
      covers = has_flow(region_of(survey, flow, j), candidate);
    if (covers)
      return candidate;
  }
  return NULL;
}

/* A few that do it together: region by region, the first that covers one that is still open. */
static size_t some_that_cover(const struct survey *survey, const struct flow *flow, const struct flow **chosen,
                              size_t room) {
  size_t count = 0;
  for (size_t i = 0; i < region_count(survey, flow); i++)
    region_of(survey, flow, i)->covered = false;
  for (size_t i = 0; i < region_count(survey, flow) && count < room; i++) {
    const struct flow *found = company_in(survey, flow, region_of(survey, flow, i));
    if (region_of(survey, flow, i)->covered || found == NULL)
      continue;
    chosen[count++] = found;
    for (size_t j = i; j < region_count(survey, flow); j++)
      region_of(survey, flow, j)->covered =
          region_of(survey, flow, j)->covered || has_flow(region_of(survey, flow, j), found);
  }
  qsort(chosen, count, sizeof(const struct flow *), compare_index);
  return count;
}

static int name_cover(const struct survey *survey, const struct flow *flow, struct flow_use *ret_use) {
  const struct flow **by = ARENA_ARRAY(survey->desk.arena, FLOWS_NAMED, const struct flow *);
  if (by == NULL)
    return -ENOMEM;
  by[0] = one_that_covers(survey, flow);
  size_t count = by[0] != NULL ? 1 : some_that_cover(survey, flow, by, FLOWS_NAMED);
  bool earlier = by[count - 1]->index < flow->index;
  *ret_use = (struct flow_use){earlier ? WORTH_SHADOWED : WORTH_REDUNDANT, by, count};
  return 0;
}

/* ---- flow by flow ---- */

static bool is_judged(const struct survey *survey, const struct flow *flow) {
  const struct policy *policy = survey->policy;
  const zone_index ends[] = {flow->from_zone, flow->to_zone};
  for (size_t i = 0; i < 2; i++)
    if (ends[i] == ZONE_NONE || (ends[i] >= 0 && policy->zones[ends[i]].class == CLASS_UNROUTED))
      return false;
  return flow->from_zone != flow->to_zone && flow->service_count != 0 && !flow->limit.set &&
         authorised_counts(survey->authorised, flow);
}

static int judge_flow(struct survey *survey, const struct flow *flow, struct flow_use *ret_use) {
  *ret_use = (struct flow_use){.worth = WORTH_USED};
  if (!is_judged(survey, flow) || survey->taken_out[flow->index])
    return 0;
  if (region_count(survey, flow) == 0) {
    ret_use->worth = WORTH_NEVER_MATCHES;
    return 0;
  }
  if (is_needed(survey, flow))
    return 0;
  survey->taken_out[flow->index] = true;
  return name_cover(survey, flow, ret_use);
}

static int judge_all(struct survey *survey, const bool *gone, struct flow_use *uses) {
  int result = index_regions(survey);
  for (size_t i = 0; result == 0 && gone != NULL && i < survey->policy->flow_count; i++)
    survey->taken_out[i] = gone[i];
  for (size_t i = survey->policy->flow_count; result == 0 && i-- > 0;)
    result = judge_flow(survey, &survey->policy->flows[i], &uses[i]);
  return result;
}

int exact_flow_use(const struct policy *policy, struct instant now, const bool *gone, struct arena *arena,
                   struct flow_use **ret_uses, bool *ret_complete) {
  const struct authorised_question question = {.policy = policy, .now = now, .when = WHEN_FROM_NOW_ON};
  struct survey survey = {.policy = policy};
  struct flow_use *uses = ARENA_ARRAY(arena, policy->flow_count + 1, struct flow_use);
  int result = desk_open(&survey.desk, arena);
  if (result == 0)
    survey.authorised = authorised_new(&question, survey.desk.space, survey.desk.store, survey.desk.scratch);
  if (uses == NULL || survey.authorised == NULL)
    result = -ENOMEM;
  if (result == 0)
    survey_all(&survey);
  bool complete = !survey.more && !survey.failed && !desk_overdrawn(&survey.desk);
  if (result == 0 && complete)
    result = judge_all(&survey, gone, uses);
  desk_close(&survey.desk);
  if (result < 0)
    return result;
  *ret_uses = uses; /* all of them in use, where it is not known better */
  *ret_complete = complete;
  return 0;
}
