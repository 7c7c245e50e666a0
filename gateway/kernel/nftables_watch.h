/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_KERNEL_NFTABLES_WATCH_H
#define KIDO_KERNEL_NFTABLES_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/*
 * Who changed nf_tables, and whose tables. The kernel tells each change of a transaction, and at the end of it who made
 * it: the netlink port, the process and the name of its program. Ours is known by the port, for the process number is
 * that of the outermost pid namespace.
 */
enum { NFTABLES_PROGRAM_SIZE = 17 };

/* Who made a transaction; pid 0 and name "" where that was lost. */
struct nftables_author {
  uint32_t port, pid;
  char name[NFTABLES_PROGRAM_SIZE];
};

/* What was seen since the last look. Transactions of our own are not counted. */
struct nftables_change {
  unsigned ours;                             /* transactions that touched our table */
  unsigned others;                           /* that made, changed or removed tables and chains of others */
  bool table;                                /* among them some that made, changed or removed our table as a whole */
  bool lost;                                 /* so much came that some was lost: anything may have changed */
  struct nftables_author by_ours, by_others; /* who made the last of each */
};

/* The transaction that is being told. It may come in several datagrams. All zero at the beginning. */
struct nftables_transaction {
  bool ours, table, others;
};

/* A non-blocking socket that becomes readable when anybody changes the ruleset. */
int nftables_watch_open(int *ret_fd, struct error *error);

/* Stops listening for a while, and listens again. The kernel writes a message for every element that is added or
 * removed while anybody listens: a large transaction then takes three times as long. */
void nftables_watch_listen(int fd, bool on);

/* Takes what has come, and adds it. own_port: transactions by that port are ours. table: our inet table. */
void nftables_watch_drain(int fd, uint32_t own_port, const char *table, struct nftables_transaction *transaction,
                          struct nftables_change *change);

/* One message of the kernel; pure. True when it ends a transaction, and then who made it; else what it touches goes
 * into the transaction. */
bool nftables_watch_parse(const void *message, uint32_t length, const char *table,
                          struct nftables_transaction *transaction, struct nftables_author *ret_author);

#endif
