/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_KERNEL_NEIGHBOURS_H
#define KIDO_KERNEL_NEIGHBOURS_H

#include <stddef.h>

#include "base/address.h"
#include "base/arena.h"
#include "base/error.h"
#include "kernel/topology.h"
#include "policy/policy.h"

/*
 * What the gateway sends to a pinned host goes to the pinned MAC, whoever answers ARP or neighbour discovery for its
 * address: a permanent entry in the kernel's neighbour table. The entries bear a protocol number of their own, so that
 * those of others are left alone.
 */
struct neighbour {
  unsigned interface; /* index */
  struct address address;
  struct mac mac;
};

/*
 * The entries that a policy asks for on this machine: each single address of a host with one MAC and `direct` scope,
 * on the interface of its zone in whose attached network it lies. Returns 0 or -ENOMEM.
 */
int neighbours_plan(const struct policy *policy, const struct topology *topology, struct arena *arena,
                    struct neighbour **ret_neighbours, size_t *ret_count);

/* Makes our entries in the kernel these and no others. 0, or a negative errno with *error; what could be done is done.
 */
int neighbours_bring(const struct neighbour *neighbours, size_t count, struct error *error);

#endif
