/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CONTROL_KERNEL_PENDING_H
#define KIDO_CONTROL_KERNEL_PENDING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "base/arena.h"
#include "base/error.h"

int topology_own_addresses(struct arena *arena, struct address_set *ret_own, struct error *error);
int system_set_forwarding(bool on, struct error *error);
int system_harden(struct error *error);
struct connection_counts;
int connection_counts_read(struct arena *arena, const struct connection_counts **ret, struct error *error);
uint64_t connection_counts_of(const struct connection_counts *counts, uint32_t mark);

#endif
