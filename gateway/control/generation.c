/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/generation.h"

#include <errno.h>
#include <string.h>

#include "policy/read.h"

static int fill(struct generation *generation, const char *text, size_t size, struct error *error) {
  struct diagnostic_list diagnostics;
  diagnostic_list_init(&diagnostics, generation->arena, LANGUAGE_ENGLISH);
  char *copy = arena_strndup(generation->arena, text, size);
  if (!copy) {
    return error_set(error, ENOMEM, "no memory for the policy");
  }
  generation->text = copy;
  generation->size = size;
  int result =
      policy_read_text("policy", copy, size, generation->arena, false, &generation->policy, &diagnostics, error);
  if (result < 0) {
    return result;
  }
  if (!generation->policy || diagnostics.errors > 0 || diagnostics.out_of_memory) {
    return error_set(error, EBADMSG, "the canonical form of the policy does not read back: %s",
                     diagnostics.count > 0 ? diagnostics.items[0].message : "no memory");
  }
  generation->forces = ARENA_ARRAY(generation->arena, generation->policy->flow_count, enum force_state);
  return generation->forces || generation->policy->flow_count == 0 ? 0 : error_set(error, ENOMEM, "no memory");
}

int generation_new(const char *text, size_t size, struct generation **ret_generation, struct error *error) {
  struct arena *arena = arena_new(0);
  struct generation *generation = arena ? ARENA_NEW(arena, struct generation) : NULL;
  if (!generation) {
    arena_free(arena);
    return error_set(error, ENOMEM, "no memory for the policy");
  }
  generation->arena = arena;
  int result = fill(generation, text, size, error);
  if (result < 0) {
    arena_free(arena);
    return result;
  }
  *ret_generation = generation;
  return 0;
}

struct generation *generation_free(struct generation *generation) {
  if (generation) {
    arena_free(generation->arena);
  }
  return NULL;
}

int generation_set_record(struct generation *generation, const struct confirmed_policy *record) {
  const struct policy_header *header = &generation->policy->header;
  struct confirmed_policy copy = *record;
  copy.text = NULL;
  copy.size = 0;
  copy.by = arena_strdup(generation->arena, record->by ? record->by : "");
  copy.confirmed_by = arena_strdup(generation->arena, record->confirmed_by ? record->confirmed_by : "");
  copy.policy_number = header->number.text ? header->number.text : "";
  copy.policy_name = header->name.text ? header->name.text : "";
  memcpy(copy.sha256, generation->policy->sha256, sizeof copy.sha256);
  if (!copy.by || !copy.confirmed_by) {
    return -ENOMEM;
  }
  generation->record = copy;
  return 0;
}

struct instant generation_next_change(const struct generation *generation, const struct restrictions *restrictions,
                                      struct instant now) {
  struct instant next = INSTANT_NEVER;
  for (size_t i = 0; i < generation->policy->flow_count; i++) {
    struct instant until = INSTANT_NEVER;
    restricted_flow_force(generation->policy, restrictions, &generation->policy->flows[i], now, &until);
    if (until.seconds > now.seconds && until.seconds < next.seconds) {
      next = until;
    }
  }
  return next;
}

void generation_update_forces(struct generation *generation, const struct restrictions *restrictions,
                              struct instant now, force_changed *changed, void *context) {
  for (size_t i = 0; i < generation->policy->flow_count; i++) {
    const struct flow *flow = &generation->policy->flows[i];
    enum force_state before = generation->forces[i];
    enum force_state after = restricted_flow_force(generation->policy, restrictions, flow, now, NULL);
    generation->forces[i] = after;
    if (changed && before != after) {
      changed(flow, before, after, context);
    }
  }
}
