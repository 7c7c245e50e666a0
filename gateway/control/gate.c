/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/gate.h"

#include <errno.h>
#include <stdlib.h>

#include "control/timing.h"
#include "kernel/system.h"
#include "kernel/topology.h"
#include "rules/compile.h"

struct gate {
  struct nftables *nftables;
  struct arena *arena; /* of `own` */
  struct address_set own;
  uint16_t denied_log_group;
  struct timing *timing; /* of what stands in the kernel; NULL: not known, or closed */
};

int gate_new(struct gate **ret_gate, struct error *error) {
  struct gate *gate = calloc(1, sizeof *gate);
  if (!gate) {
    return error_set(error, ENOMEM, "no memory");
  }
  int result = nftables_open(&gate->nftables, error);
  if (result < 0) {
    free(gate);
    return result;
  }
  *ret_gate = gate;
  return 0;
}

struct gate *gate_free(struct gate *gate) {
  if (gate) {
    nftables_close(gate->nftables);
    timing_free(gate->timing);
    arena_free(gate->arena);
    free(gate);
  }
  return NULL;
}

uint32_t gate_port(const struct gate *gate) {
  return nftables_port(gate->nftables);
}

int gate_own_table(struct gate *gate, enum ownership *ret_ownership, struct error *error) {
  return nftables_own(gate->nftables, ret_ownership, error);
}

void gate_spare(struct gate *gate, int fd, void (*missed)(void *context), void *context) {
  nftables_spare(gate->nftables, fd, missed, context);
}

void gate_log_denials(struct gate *gate, uint16_t group) {
  gate->denied_log_group = group;
}

static bool sets_equal(const struct address_set *left, const struct address_set *right) {
  if (left->count != right->count) {
    return false;
  }
  for (size_t i = 0; i < left->count; i++) {
    if (!range_equal(&left->ranges[i], &right->ranges[i])) {
      return false;
    }
  }
  return true;
}

int gate_learn_addresses(struct gate *gate, bool *ret_changed, struct error *error) {
  struct arena *arena = arena_new(0);
  struct address_set own = {0};
  int result = arena ? topology_own_addresses(arena, &own, error) : error_set(error, ENOMEM, "no memory");
  if (result < 0) {
    arena_free(arena);
    return result;
  }
  *ret_changed = !sets_equal(&own, &gate->own);
  arena_free(gate->arena);
  gate->arena = arena;
  gate->own = own;
  return 0;
}

const struct address_set *gate_own_addresses(const struct gate *gate) {
  return &gate->own;
}

static int compile(const struct gate *gate, const struct gate_aim *aim, struct instant now, struct arena *arena,
                   struct ruleset **ret_ruleset, struct error *error) {
  struct compile_options options = {
      .now = now, .own = &gate->own, .restrictions = aim->restrictions, .denied_log_group = gate->denied_log_group};
  return aim->open ? ruleset_compile(aim->policy, &options, arena, ret_ruleset, error)
                   : ruleset_compile_closed(aim->policy, &options, arena, ret_ruleset, error);
}

/* The texts of a refusal point into the ruleset, which goes with its arena. */
static void keep_refusal(const struct refusal *refusal, struct arena *arena, struct refusal *ret_refusal) {
  *ret_refusal = *refusal;
  ret_refusal->what = refusal->what ? arena_strdup(arena, refusal->what) : NULL;
  const struct origin *origin = &refusal->origin;
  ret_refusal->origin.subject = origin->subject ? arena_strdup(arena, origin->subject) : NULL;
  ret_refusal->origin.place.file = origin->place.file ? arena_strdup(arena, origin->place.file) : NULL;
}

static struct timing_source source_of(const struct gate *gate, const struct gate_aim *aim, struct instant now) {
  return (struct timing_source){
      .policy = aim->policy, .restrictions = aim->restrictions, .own = &gate->own, .now = now};
}

/* What should stand, made from what stood when only time has passed since; NULL otherwise. */
static const struct ruleset *follow_time(struct gate *gate, const struct gate_aim *aim, struct instant now,
                                         struct arena *arena) {
  struct timing_source source = source_of(gate, aim, now);
  const struct ruleset *known = nftables_known(gate->nftables, now), *wanted = NULL;
  if (!known || !gate->timing || !aim->open || !timing_fits(gate->timing, &source) ||
      timing_ruleset(gate->timing, &source, known, arena, &wanted) < 0) {
    return NULL;
  }
  return wanted;
}

/* Without it, everything is compiled the next time. */
static void keep_timing(struct gate *gate, const struct gate_aim *aim, struct instant now,
                        const struct ruleset *ruleset) {
  struct timing_source source = source_of(gate, aim, now);
  gate->timing = timing_free(gate->timing);
  if (aim->open) {
    (void)timing_new(&source, ruleset, &gate->timing);
  }
}

static int load(struct gate *gate, const struct gate_aim *aim, struct instant now, struct arena *scratch,
                size_t *ret_changes, struct refusal *ret_refusal, struct error *error) {
  const struct ruleset *followed = follow_time(gate, aim, now, scratch);
  if (followed && nftables_apply(gate->nftables, followed, now, ret_changes, ret_refusal, error) == 0) {
    struct timing_source source = source_of(gate, aim, now);
    timing_accept(gate->timing, &source);
    return 0;
  }
  struct ruleset *wanted = NULL;
  int result = compile(gate, aim, now, scratch, &wanted, error);
  if (result == 0) {
    result = nftables_apply(gate->nftables, wanted, now, ret_changes, ret_refusal, error);
  }
  if (result == 0) {
    keep_timing(gate, aim, now, wanted);
  }
  return result;
}

static int open_forwarding(struct error *error) {
  int result = system_harden(error);
  return result < 0 ? result : system_set_forwarding(true, error);
}

/* A later one of several transactions was refused: what the first ones added goes again. */
static void go_back(struct gate *gate, struct instant now) {
  const struct ruleset *known = nftables_known(gate->nftables, now);
  if (known) {
    (void)nftables_apply(gate->nftables, known, now, NULL, NULL, NULL);
  }
}

static int bring(struct gate *gate, const struct gate_aim *aim, struct instant now, struct arena *arena,
                 size_t *ret_changes, struct refusal *ret_refusal, struct error *error) {
  struct refusal refusal = {.origin = {.subject = ""}};
  struct arena *scratch = arena_new(0);
  if (!scratch) {
    return error_set(error, ENOMEM, "no memory");
  }
  int result = load(gate, aim, now, scratch, ret_changes, &refusal, error);
  if (ret_refusal) {
    keep_refusal(&refusal, arena, ret_refusal);
  }
  if (result < 0) {
    go_back(gate, now);
  } else {
    result = aim->open && !aim->still ? open_forwarding(error) : system_harden(error);
  }
  arena_free(scratch);
  return result;
}

/* Forwarding and rules are two doors: one that cannot be closed is no reason to leave the other open. No memory is
 * needed for the first. */
static int close_both(struct gate *gate, const struct gate_aim *aim, struct instant now, struct arena *arena,
                      size_t *ret_changes, struct refusal *ret_refusal, struct error *error) {
  struct error later = {0};
  int first = system_set_forwarding(false, error);
  int second = bring(gate, aim, now, arena, ret_changes, ret_refusal, first < 0 ? &later : error);
  return first < 0 ? first : second;
}

int gate_bring(struct gate *gate, const struct gate_aim *aim, struct instant now, struct arena *arena,
               size_t *ret_changes, struct refusal *ret_refusal, struct error *error) {
  return aim->open ? bring(gate, aim, now, arena, ret_changes, ret_refusal, error)
                   : close_both(gate, aim, now, arena, ret_changes, ret_refusal, error);
}

int gate_read(struct gate *gate, struct instant now, struct arena *arena, struct ruleset **ret_ruleset,
              struct error *error) {
  return nftables_read(gate->nftables, GATE_TABLE, now, arena, ret_ruleset, error);
}

static int compare(struct gate *gate, const struct gate_aim *aim, struct instant now, struct arena *scratch,
                   const char **ret_what, struct error *error) {
  const struct ruleset *followed = follow_time(gate, aim, now, scratch);
  struct ruleset *compiled = NULL;
  int result = followed ? 0 : compile(gate, aim, now, scratch, &compiled, error);
  if (result == 0) {
    result = nftables_compare(gate->nftables, followed ? followed : compiled, now, scratch, ret_what, error);
  }
  if (result == 0 && compiled && !*ret_what) {
    keep_timing(gate, aim, now, compiled); /* it is what is known now */
  } else if (result == 0 && followed && !*ret_what) {
    struct timing_source source = source_of(gate, aim, now);
    timing_accept(gate->timing, &source);
  }
  return result;
}

int gate_compare(struct gate *gate, const struct gate_aim *aim, struct instant now, struct arena *arena,
                 const char **ret_what, struct error *error) {
  struct arena *scratch = arena_new(0);
  const char *what = NULL;
  int result = scratch ? compare(gate, aim, now, scratch, &what, error) : error_set(error, ENOMEM, "no memory");
  if (result == 0) {
    *ret_what = what ? arena_strdup(arena, what) : NULL;
  }
  arena_free(scratch);
  return result;
}

int gate_other_tables(struct gate *gate, struct arena *arena, struct nftables_table_list *ret_list,
                      struct error *error) {
  (void)gate;
  return nftables_other_tables(GATE_TABLE, arena, ret_list, error);
}

int gate_generation(struct gate *gate, uint32_t *ret_generation, struct error *error) {
  return nftables_generation(gate->nftables, ret_generation, error);
}
