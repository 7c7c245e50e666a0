/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * Each commit raises the kernel's generation by one, so the phases of one apply follow each other without asking.
 *
 * An acknowledgement is not a commit, and a lost one not a failure: nftables_apply() believes only what it reads back.
 */
#include "kernel/nftables.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "kernel/nftables_parts.h"

enum { APPLY_ATTEMPTS = 5 };

int nftables_open(struct nftables **ret_nftables, struct error *error) {
  struct nftables *nftables = calloc(1, sizeof(*nftables));
  if (nftables == NULL) {
    return error_set(error, ENOMEM, "no memory for a netlink socket");
  }
  struct netlink *netlink = NULL;
  int status = netlink_open(NETLINK_NETFILTER, &netlink, error);
  if (status < 0) {
    free(nftables);
    return status;
  }
  netlink_close(netlink);
  *ret_nftables = nftables;
  return 0;
}

struct nftables *nftables_close(struct nftables *nftables) {
  free(nftables);
  return NULL;
}

int nftables_generation(struct nftables *nftables, uint32_t *ret_generation, struct error *error) {
  (void)nftables;
  struct netlink *netlink = NULL;
  int status = netlink_open(NETLINK_NETFILTER, &netlink, error);
  if (status == 0) {
    status = nftables_ask_generation(netlink, ret_generation, error);
  }
  netlink_close(netlink);
  return status;
}

/* One apply, over its attempts. Time goes on from the caller's instant by the machine's steady clock. */
struct application {
  struct nftables *nftables;
  const struct ruleset *wanted;
  int64_t now;
  int64_t started;
  size_t changes;
  struct refusal *refusal;
  struct error *error;
};

static int64_t application_now(const struct application *application) {
  return application->now + clock_milliseconds(CLOCK_BOOTTIME) - application->started;
}

static bool element_ended(const struct element *element, int64_t now) {
  return element->expires.seconds <= now / 1000;
}

static int copy_living_elements(const struct set *from, int64_t now, struct arena *arena, struct set *set) {
  set->elements = ARENA_ARRAY(arena, from->element_count, struct element);
  if (set->elements == NULL) {
    return -ENOMEM;
  }
  set->element_count = 0;
  for (size_t i = 0; i < from->element_count; i++) {
    if (!element_ended(&from->elements[i], now)) {
      set->elements[set->element_count++] = from->elements[i];
    }
  }
  return 0;
}

static bool any_ended(const struct set *set, int64_t now) {
  for (size_t i = 0; set->timeouts && i < set->element_count; i++) {
    if (element_ended(&set->elements[i], now)) {
      return true;
    }
  }
  return false;
}

/* What is wanted at this moment: elements whose end has come would not stay in the kernel. */
static int living_ruleset(const struct ruleset *from, int64_t now, struct arena *arena,
                          const struct ruleset **ret_ruleset) {
  struct ruleset *copy = NULL;
  for (size_t i = 0; i < from->set_count; i++) {
    if (!any_ended(&from->sets[i], now)) {
      continue;
    }
    if (copy == NULL) {
      copy = arena_memdup(arena, from, sizeof(*from));
      struct set *sets = arena_memdup(arena, from->sets, from->set_count * sizeof(*from->sets));
      if (copy == NULL || sets == NULL) {
        return -ENOMEM;
      }
      copy->sets = sets;
    }
    if (copy_living_elements(&from->sets[i], now, arena, &copy->sets[i]) < 0) {
      return -ENOMEM;
    }
  }
  *ret_ruleset = copy != NULL ? copy : from;
  return 0;
}

static uint32_t next_generation(uint32_t generation) {
  return generation + 1 == 0 ? 1 : generation + 1;
}

static int send_phases(struct application *application, const struct delta *delta, uint32_t generation) {
  for (unsigned phase = 0; phase < PHASE_COUNT_; phase++) {
    if (delta->phases[phase].count == 0) {
      continue;
    }
    int status = nftables_send_at(application->nftables, delta, (enum phase)phase, application_now(application),
                                  generation, application->refusal, application->error);
    if (status != 0) {
      return status;
    }
    application->changes += delta->phases[phase].count;
    generation = next_generation(generation);
  }
  return 0;
}

/* Reads back; -EAGAIN with the first difference when it is not what is wanted. */
static int confirm(struct application *application, struct arena *arena) {
  struct ruleset *found = NULL;
  const struct ruleset *wanted = NULL;
  const char *what = NULL;
  int status =
      nftables_read_at(application->wanted->table, application_now(application), arena, &found, application->error);
  if (status != 0) {
    return status;
  }
  if (living_ruleset(application->wanted, application_now(application), arena, &wanted) < 0) {
    return error_set(application->error, ENOMEM, "no memory to compare rulesets");
  }
  if (!found->present || !ruleset_equal(found, wanted, arena, &what)) {
    return error_set(application->error, EAGAIN, "the kernel does not hold what was sent: %s",
                     found->present && what != NULL ? what : "the table is gone");
  }
  return 0;
}

/* One attempt: 0 when equal; -EAGAIN, -ERESTART or -ENOENT when it may be tried again. */
static int apply_once(struct application *application, struct arena *arena) {
  struct ruleset *found = NULL;
  const struct ruleset *wanted = NULL;
  struct delta *delta = NULL;
  int64_t now = application_now(application);
  int status = nftables_read_at(application->wanted->table, now, arena, &found, application->error);
  if (status != 0) {
    return status;
  }
  if (living_ruleset(application->wanted, now, arena, &wanted) < 0 ||
      ruleset_difference(found, wanted, arena, &delta) < 0) {
    return error_set(application->error, ENOMEM, "no memory to compare rulesets");
  }
  if (delta_empty(delta)) {
    return 0;
  }
  status = send_phases(application, delta, found->generation);
  return status == 0 ? confirm(application, arena) : status;
}

static bool worth_another_attempt(int status) {
  return status == -EAGAIN || status == -ERESTART || status == -ENOENT;
}

int nftables_apply(struct nftables *nftables, const struct ruleset *wanted, struct instant now, size_t *ret_changes,
                   struct refusal *ret_refusal, struct error *error) {
  struct application application = {
      .nftables = nftables,
      .wanted = wanted,
      .now = instant_milliseconds(now),
      .started = clock_milliseconds(CLOCK_BOOTTIME),
      .refusal = ret_refusal,
      .error = error,
  };
  int status = -EAGAIN;
  for (unsigned attempt = 0; worth_another_attempt(status) && attempt < APPLY_ATTEMPTS; attempt++) {
    if (attempt > 0) {
      nftables_pause(attempt);
    }
    struct arena *arena = arena_new(0);
    if (arena == NULL) {
      return error_set(error, ENOMEM, "no memory to compare rulesets");
    }
    status = apply_once(&application, arena);
    arena_free(arena);
  }
  if (status == 0 && ret_changes != NULL) {
    *ret_changes = application.changes;
  }
  return status;
}
