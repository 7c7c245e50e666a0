/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_KERNEL_NFTABLES_TABLES_H
#define KIDO_KERNEL_NFTABLES_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"

/* A table in the kernel that is not ours. */
struct nftables_table {
  const char *name;
  const char *family; /* "inet", "ip", "ip6", "arp", "bridge", "netdev"; "?" for one that we do not know */
  size_t chain_count; /* base chains on hooks that IP packets take: they may drop, mark, translate or queue them */
  bool dormant;       /* switched off: its chains see nothing */
  bool owned;         /* only the program that made it can change it */
  bool persistent;    /* it outlives that program */
  uint32_t owner;     /* netlink port of that program, most often its pid; 0 when not owned */
};

/* It can change what becomes of a packet that ours lets pass. */
bool nftables_table_matters(const struct nftables_table *table);

struct nftables_table_list {
  struct nftables_table *items; /* by family, then by name */
  size_t count;
};

/* All tables but `inet <own>`, of one generation. */
int nftables_other_tables(const char *own, struct arena *arena, struct nftables_table_list *ret_list,
                          struct error *error);

/* Takes the kernel's answers to requests for tables, then for chains; pure. Returns 0, -ENOMEM or -EBADMSG. */
int nftables_tables_parse(const void *data, size_t length, const char *own, struct arena *arena,
                          struct nftables_table_list *ret_list, struct error *error);

#endif
