/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CONTROL_GATE_H
#define KIDO_CONTROL_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/instant.h"
#include "kernel/nftables.h"
#include "kernel/nftables_tables.h"
#include "policy/policy.h"
#include "policy/restrictions.h"

/*
 * The gate in the kernel: the table `inet kido` and the sysctls, brought to a policy or closed. Forwarding is turned on
 * only after the rules stand and were read back, and off before they close.
 */
struct gate;

#define GATE_TABLE "kido"

/* What should stand in the kernel. */
struct gate_aim {
  const struct policy *policy;             /* NULL: none was ever confirmed */
  bool open;                               /* false: closed, but for the `gateway` flows of the policy */
  bool still;                              /* open, but forwarding is not turned on yet */
  const struct restrictions *restrictions; /* NULL: none */
};

int gate_new(struct gate **ret_gate, struct error *error);
/* The netlink port by which it changes the ruleset; 0 before the first change. */
uint32_t gate_port(const struct gate *gate);
struct gate *gate_free(struct gate *gate); /* leaves the kernel as it is; NULL is allowed; returns NULL */

/* From the next load on, no other program can change the table; where the kernel knows no such thing, nothing changes
 * (OWNERSHIP_UNSUPPORTED). To be called before the first load. */
int gate_own_table(struct gate *gate, enum ownership *ret_ownership, struct error *error);

/* fd: of nftables_watch_open(); it is not told of the gate's own large changes. missed: called when others may have
 * changed something meanwhile. -1: nobody listens any more. */
void gate_spare(struct gate *gate, int fd, void (*missed)(void *context), void *context);

/* From now on the gate logs some of what it denies to that NFLOG group; 0: none. */
void gate_log_denials(struct gate *gate, uint16_t group);

/* Reads the gateway's own addresses; *ret_changed: they are others than before. */
int gate_learn_addresses(struct gate *gate, bool *ret_changed, struct error *error);

/* Those it learned last; they stay until it learns others. */
const struct address_set *gate_own_addresses(const struct gate *gate);

/* Compiles and brings the kernel to it. *ret_changes, *ret_refusal may be NULL; texts of the refusal live in the arena.
 */
int gate_bring(struct gate *gate, const struct gate_aim *aim, struct instant now, struct arena *arena,
               size_t *ret_changes, struct refusal *ret_refusal, struct error *error);

/* Compares the kernel with the aim. *ret_what is NULL when it is equal, else names the first difference. */
int gate_compare(struct gate *gate, const struct gate_aim *aim, struct instant now, struct arena *arena,
                 const char **ret_what, struct error *error);

/* The table as it is, with counters. */
int gate_read(struct gate *gate, struct instant now, struct arena *arena, struct ruleset **ret_ruleset,
              struct error *error);

/* The kernel's count of changes of its ruleset, by whomever. */
int gate_generation(struct gate *gate, uint32_t *ret_generation, struct error *error);

/* The tables of others, as they are now. */
int gate_other_tables(struct gate *gate, struct arena *arena, struct nftables_table_list *ret_list,
                      struct error *error);

#endif
