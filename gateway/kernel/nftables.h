/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_KERNEL_NFTABLES_H
#define KIDO_KERNEL_NFTABLES_H

#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "rules/difference.h"
#include "rules/ruleset.h"

/*
 * The kernel's nf_tables over netlink. Building and parsing messages are pure functions (nftables_build.h,
 * nftables_parse.h); this is the one part that knows sockets. Kernel: net/netfilter/nf_tables_api.c.
 */
struct nftables;

int nftables_open(struct nftables **ret_nftables, struct error *error);
struct nftables *nftables_close(struct nftables *nftables); /* NULL is allowed; returns NULL */
/* The netlink port by which all its changes are made; 0 before the first. */
uint32_t nftables_port(const struct nftables *nftables);

int nftables_generation(struct nftables *nftables, uint32_t *ret_generation, struct error *error);

/*
 * Reads one inet table as a whole, consistent at one generation (interrupted dumps and a generation that moved are read
 * again, at most 20 times). A table that does not exist gives present = false. now: element timeouts become instants.
 */
int nftables_read(struct nftables *nftables, const char *table, struct instant now, struct arena *arena,
                  struct ruleset **ret_ruleset, struct error *error);

/* Which node of the ruleset the kernel refused. */
struct refusal {
  bool known;
  struct origin origin;
  const char *what; /* "element of set 'exact4…'"; NULL when unknown */
};

/*
 * Sends one phase as one transaction. generation: the kernel refuses (-ERESTART) if its generation is another by then;
 * 0: whatever it is. On a refusal nothing was changed and *ret_refusal (may be NULL) says which node is to blame.
 * A lost acknowledgement (-ENOBUFS) is reported as success: the caller reads back in any case.
 */
int nftables_send(struct nftables *nftables, const struct delta *delta, enum phase phase, struct instant now,
                  uint32_t generation, struct refusal *ret_refusal, struct error *error);

/*
 * Brings the kernel's table to `wanted`: reads, computes the difference, sends the phases, reads back and compares;
 * starts again (at most 5 times) when somebody else changed the ruleset in between. Returns 0 only when what the kernel
 * holds was read back and equals `wanted`. *ret_changes (may be NULL): operations sent; 0 for a no-op.
 *
 * What was proven so is remembered with the kernel's generation. While nobody else raises that, the next apply sends
 * the difference to what is remembered and reads back only what it touched; a no-op sends nothing.
 */
int nftables_apply(struct nftables *nftables, const struct ruleset *wanted, struct instant now, size_t *ret_changes,
                   struct refusal *ret_refusal, struct error *error);

/*
 * What the kernel was last proven to hold, by an apply or a comparison, without elements that ended since; NULL when
 * nothing was yet. Others may have changed it since: the next apply looks. That is cheapest for a ruleset whose sets
 * share their elements with this one. Stays until the next call that takes `nftables`, an apply of such a ruleset
 * included.
 */
const struct ruleset *nftables_known(struct nftables *nftables, struct instant now);
/* The next apply reads all. */
void nftables_forget(struct nftables *nftables);

/*
 * fd: of nftables_watch_open(). It does not listen while large transactions are sent. missed: called at the end of an
 * apply during which others may have changed something that it was not told of.
 */
void nftables_spare(struct nftables *nftables, int fd, void (*missed)(void *context), void *context);

enum ownership {
  OWNERSHIP_OFF,         /* nobody asked for it */
  OWNERSHIP_HELD,        /* no other program can change the table while `nftables` is open; then the table stays */
  OWNERSHIP_UNSUPPORTED, /* the kernel knows no table that outlives its owner: before 6.9 */
};

/*
 * Tables that are applied from now on belong to `nftables`; to be called before the first one. Asks the kernel whether
 * it can, by a transaction that leaves nothing behind. A table of an owner that is gone is taken over as it stands, one
 * without ever an owner is made anew.
 */
int nftables_own(struct nftables *nftables, enum ownership *ret_ownership, struct error *error);

/* Reads the table and compares it. *ret_what is NULL when it is equal, else names the first difference. */
int nftables_compare(struct nftables *nftables, const struct ruleset *wanted, struct instant now, struct arena *arena,
                     const char **ret_what, struct error *error);

#endif
