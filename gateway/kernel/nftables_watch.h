/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_KERNEL_NFTABLES_WATCH_H
#define KIDO_KERNEL_NFTABLES_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* Who changed nf_tables. The kernel says so at the end of each transaction. */
struct nftables_change {
  bool foreign;  /* somebody else's transaction was among them, or so much came that some was lost */
  uint32_t pid;  /* of the last of the others; 0 when it was lost */
  char name[17]; /* its program; "" when it was lost */
};

/* A non-blocking socket that becomes readable when anybody changes the ruleset. */
int nftables_watch_open(int *ret_fd, struct error *error);
/* Takes what has come. own_pid: transactions of that process are ours. */
struct nftables_change nftables_watch_drain(int fd, uint32_t own_pid);

/* One message of the kernel; pure. True when it ends a transaction, and then who made it. */
bool nftables_watch_parse(const void *message, uint32_t length, uint32_t *ret_pid, char ret_name[static 17]);

#endif
