/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * Each commit raises the kernel's generation by one, so the phases of one apply follow each other without asking.
 *
 * An acknowledgement is not a commit, and a lost one not a failure: nftables_apply() believes only what it reads back.
 *
 * What was proven once stays known until the generation moves by another's hand. While it stands, an apply computes the
 * difference from memory, sends it, and reads back what it touched (nftables_confirm.c): its cost is that of the
 * change. Whatever does not come out as foreseen on that way, a generation that moved, an element that ended by itself
 * in between, an answer that was lost, ends in the other way: all is read, and all is read back.
 */
#include "kernel/nftables.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernel/nftables_parts.h"

enum { APPLY_ATTEMPTS = 5 };

int nftables_open(struct nftables **ret_nftables, struct error *error) {
  struct nftables *nftables = calloc(1, sizeof(*nftables));
  if (nftables == NULL) {
    return error_set(error, ENOMEM, "no memory for a netlink socket");
  }
  nftables->listener.fd = -1;
  int status = nftables_need(&nftables->reader, error);
  if (status < 0) {
    free(nftables);
    return status;
  }
  *ret_nftables = nftables;
  return 0;
}

struct nftables *nftables_close(struct nftables *nftables) {
  if (nftables != NULL) {
    netlink_close(nftables->sender);
    netlink_close(nftables->reader);
    memory_free(&nftables->memory);
    free(nftables);
  }
  return NULL;
}

uint32_t nftables_port(const struct nftables *nftables) {
  return nftables->sender ? netlink_port(nftables->sender) : 0;
}

int nftables_need(struct netlink **netlink, struct error *error) {
  return *netlink != NULL ? 0 : netlink_open(NETLINK_NETFILTER, netlink, error);
}

int nftables_generation(struct nftables *nftables, uint32_t *ret_generation, struct error *error) {
  int status = nftables_need(&nftables->reader, error);
  if (status == 0) {
    status = nftables_ask_generation(nftables->reader, ret_generation, error);
  }
  if (status < 0) {
    nftables->reader = netlink_close(nftables->reader);
  }
  return status;
}

/* One apply, over its attempts. Time goes on from the caller's instant by the machine's steady clock. */
struct application {
  struct nftables *nftables;
  const struct ruleset *wanted;
  int64_t now;
  int64_t started;
  size_t changes;
  unsigned attempts;
  uint32_t expected; /* the generation that our last transaction made; 0: none was sent */
  struct refusal *refusal;
  struct error *error;
};

static int64_t application_now(const struct application *application) {
  return application->now + clock_milliseconds(CLOCK_BOOTTIME) - application->started;
}

static uint32_t next_generation(uint32_t generation) {
  return generation + 1 == 0 ? 1 : generation + 1;
}

/* *generation: that of the difference; then what it has become. */
static int send_phases(struct application *application, const struct delta *delta, uint32_t *generation) {
  for (unsigned phase = 0; phase < PHASE_COUNT_; phase++) {
    if (delta->phases[phase].count == 0) {
      continue;
    }
    int status = nftables_send_at(application->nftables, delta, (enum phase)phase, application_now(application),
                                  *generation, application->refusal, application->error);
    if (status != 0) {
      return status;
    }
    application->changes += delta->phases[phase].count;
    *generation = next_generation(*generation);
    application->expected = *generation;
  }
  return 0;
}

static int no_memory(const struct application *application) {
  return error_set(application->error, ENOMEM, "no memory to compare rulesets");
}

/* ---- by memory ---- */

/* Whether it is still what the kernel holds. */
static bool memory_holds(struct application *application) {
  struct nftables *nftables = application->nftables;
  struct memory *memory = &nftables->memory;
  int64_t now = application_now(application);
  uint32_t generation = 0;
  if (!memory->proven) {
    return false;
  }
  bool holds = strcmp(memory->ruleset->table, application->wanted->table) == 0 && memory_keeps_time(memory, now) &&
               nftables_generation(nftables, &generation, application->error) == 0 &&
               generation == memory->generation && memory_leave_out_ended(memory, now) == 0;
  memory->proven = holds;
  return holds;
}

static int send_and_confirm(struct application *application, const struct delta *delta, const struct ruleset *wanted,
                            struct arena *arena) {
  struct nftables *nftables = application->nftables;
  uint32_t generation = nftables->memory.generation;
  int status = nftables_need(&nftables->reader, application->error);
  if (status == 0 && delta->carried_count > 0) {
    status = nftables_read_carried(nftables->reader, delta, wanted, application_now(application), generation, arena,
                                   application->error);
  }
  if (status == 0) {
    status = send_phases(application, delta, &generation);
  }
  if (status == 0) {
    status = nftables_confirm_touched(nftables->reader, delta, wanted, application_now(application), generation, arena,
                                      application->error);
  }
  if (status == 0 && memory_update(&nftables->memory, delta, wanted, generation, application_now(application)) < 0) {
    return no_memory(application);
  }
  return status;
}

static int apply_by_memory(struct application *application, struct arena *arena) {
  struct memory *memory = &application->nftables->memory;
  const struct ruleset *wanted = NULL;
  struct delta *delta = NULL;
  if (ruleset_living(application->wanted, memory->ruleset, application_now(application), arena, &wanted) < 0 ||
      ruleset_difference(memory->ruleset, wanted, arena, &delta) < 0) {
    return no_memory(application);
  }
  if (delta_empty(delta)) {
    return 0;
  }
  return delta_starts_anew(delta) ? -EAGAIN : send_and_confirm(application, delta, wanted, arena);
}

/* ---- by reading all ---- */

/* Reads back; -EAGAIN with the first difference when it is not what is wanted. */
static int confirm(struct application *application, struct arena *arena, uint32_t *ret_generation) {
  struct ruleset *found = NULL;
  const struct ruleset *wanted = NULL;
  const char *what = NULL;
  int status =
      nftables_read_at(application->wanted->table, application_now(application), arena, &found, application->error);
  if (status != 0) {
    return status;
  }
  if (ruleset_living(application->wanted, NULL, application_now(application), arena, &wanted) < 0) {
    return no_memory(application);
  }
  if (!found->present || !ruleset_equal(found, wanted, arena, &what)) {
    return error_set(application->error, EAGAIN, "the kernel does not hold what was sent: %s",
                     found->present && what != NULL ? what : "the table is gone");
  }
  *ret_generation = found->generation;
  return 0;
}

/* One attempt: 0 when equal; -EAGAIN, -ERESTART or -ENOENT when it may be tried again. */
static int apply_by_reading(struct application *application, struct arena *arena, uint32_t *ret_generation) {
  struct ruleset *found = NULL;
  const struct ruleset *wanted = NULL;
  struct delta *delta = NULL;
  int64_t now = application_now(application);
  int claim = nftables_claim(application->nftables, application->wanted->table, application->error);
  int status = claim < 0 ? claim : nftables_read_at(application->wanted->table, now, arena, &found, application->error);
  if (status != 0) {
    return status;
  }
  if (claim == CLAIM_ANEW) {
    found->foreign_count++; /* a property that cannot be changed in place */
  }
  if (ruleset_living(application->wanted, NULL, now, arena, &wanted) < 0 ||
      ruleset_difference(found, wanted, arena, &delta) < 0) {
    return no_memory(application);
  }
  *ret_generation = found->generation;
  if (delta_empty(delta)) {
    return 0;
  }
  uint32_t generation = found->generation;
  status = send_phases(application, delta, &generation);
  return status == 0 ? confirm(application, arena, ret_generation) : status;
}

/* What is proven is kept; where there is no memory for that, the next apply reads all. What was known before it is no
 * longer true, and must not pass for what stands. */
static void remember(struct memory *memory, const struct ruleset *proven, uint32_t generation, int64_t now) {
  if (memory_take(memory, proven, generation, now) < 0) {
    memory_free(memory);
  }
}

/* ---- both ---- */

static bool worth_another_attempt(int status) {
  return status == -EAGAIN || status == -ERESTART || status == -ENOENT;
}

static int attempt_apply(struct application *application, bool by_memory) {
  struct arena *arena = arena_new(0);
  uint32_t generation = 0;
  application->attempts++;
  if (arena == NULL) {
    return no_memory(application);
  }
  int status = by_memory ? apply_by_memory(application, arena) : apply_by_reading(application, arena, &generation);
  if (status == 0 && !by_memory) {
    remember(&application->nftables->memory, application->wanted, generation, application_now(application));
  }
  arena_free(arena);
  return status;
}

static int apply_by_attempts(struct application *application) {
  int status = -EAGAIN;
  for (unsigned attempt = 0; worth_another_attempt(status) && attempt < APPLY_ATTEMPTS; attempt++) {
    if (attempt > 0) {
      nftables_pause(attempt);
    }
    status = attempt_apply(application, false);
  }
  return status;
}

/* Only when nothing but our own transactions made the generation that was proven, nobody else was there. */
static void tell_listener(const struct application *application, int status) {
  const struct memory *memory = &application->nftables->memory;
  struct listener *listener = &application->nftables->listener;
  bool alone =
      status == 0 && application->attempts == 1 && memory->proven && memory->generation == application->expected;
  if (listener->spared && !alone) {
    listener->missed(listener->context);
  }
  listener->spared = false;
}

void nftables_spare(struct nftables *nftables, int fd, void (*missed)(void *context), void *context) {
  nftables->listener = (struct listener){.fd = fd, .missed = missed, .context = context};
}

int nftables_apply(struct nftables *nftables, const struct ruleset *wanted, struct instant now, size_t *ret_changes,
                   struct refusal *ret_refusal, struct error *error) {
  struct refusal refusal = {.origin = {.subject = ""}};
  struct application application = {
      .nftables = nftables,
      .wanted = wanted,
      .now = instant_milliseconds(now),
      .started = clock_milliseconds(CLOCK_BOOTTIME),
      .refusal = &refusal,
      .error = error,
  };
  int status = memory_holds(&application) ? attempt_apply(&application, true) : -EAGAIN;
  if (status != 0) {
    nftables->memory.proven = false;
    nftables->reader = netlink_close(nftables->reader); /* it may have answers left to what was asked */
    refusal = (struct refusal){.origin = {.subject = ""}};
    status = apply_by_attempts(&application);
  }
  tell_listener(&application, status);
  if (ret_refusal != NULL) {
    *ret_refusal = refusal;
  }
  if (status == 0 && ret_changes != NULL) {
    *ret_changes = application.changes;
  }
  return status;
}

const struct ruleset *nftables_known(struct nftables *nftables, struct instant now) {
  struct memory *memory = &nftables->memory;
  bool there = memory->arena != NULL && memory_leave_out_ended(memory, instant_milliseconds(now)) == 0;
  return there ? memory->ruleset : NULL;
}

void nftables_forget(struct nftables *nftables) {
  memory_free(&nftables->memory);
}

/* The kernel holds it: the memory of it is good again, or made. */
static void note_equal(struct nftables *nftables, const struct ruleset *wanted, uint32_t generation, int64_t now) {
  struct memory *memory = &nftables->memory;
  if (memory->ruleset != wanted) {
    remember(memory, wanted, generation, now);
    return;
  }
  memory->proven = true;
  memory->generation = generation;
  memory->clock = memory_clock(now);
}

int nftables_compare(struct nftables *nftables, const struct ruleset *wanted, struct instant now, struct arena *arena,
                     const char **ret_what, struct error *error) {
  struct ruleset *found = NULL;
  const struct ruleset *living = NULL;
  const char *what = NULL;
  int64_t present = instant_milliseconds(now);
  int status = nftables_read_at(wanted->table, present, arena, &found, error);
  if (status < 0) {
    return status;
  }
  if (ruleset_living(wanted, NULL, present, arena, &living) < 0) {
    return error_set(error, ENOMEM, "no memory to compare rulesets");
  }
  if (!found->present) {
    what = "the table is gone";
  } else if (!ruleset_equal(found, living, arena, &what)) {
    what = what != NULL ? what : "the table differs";
  } else {
    note_equal(nftables, wanted, found->generation, present);
  }
  *ret_what = what;
  return 0;
}
