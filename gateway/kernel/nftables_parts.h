/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_KERNEL_NFTABLES_PARTS_H
#define KIDO_KERNEL_NFTABLES_PARTS_H

#include <time.h>

#include <linux/netfilter/nf_tables.h>

#include "kernel/netlink.h"
#include "kernel/nftables.h"
#include "kernel/nftables_build.h"

/* What the files of nftables*.c that use sockets share. */

enum { NFTABLES_TABLE_PERSIST = 4 }; /* NFT_TABLE_F_PERSIST of kernel 6.9 */

struct nftables {
  char what[RULESET_NAME_MAX + 80]; /* text of the last refusal */
};

/* ---- nftables_ask.c: time and small requests ---- */

int64_t clock_milliseconds(clockid_t clock);
/* The instant in milliseconds: when it is the present second, with the part of it that has passed. */
int64_t instant_milliseconds(struct instant now);
/* Longer with every attempt. */
void nftables_pause(unsigned attempt);

enum { GENERATION_MARK = 0xffff }; /* the half of the generation that every message carries */

/* An attribute of a request. A list of them ends at a zero type, or after the second. */
struct request_name {
  uint16_t type;
  const char *text;
};

/* family: NFPROTO_*. Adds the messages of the answer. */
int nftables_ask(struct netlink *netlink, enum nf_tables_msg_types type, uint16_t flags, uint8_t family,
                 const struct request_name names[static 2], int marker, struct netlink_answer *answer,
                 struct error *error);
int nftables_ask_generation(struct netlink *netlink, uint32_t *ret_generation, struct error *error);

/*
 * Asks the same of fresh sockets until all answers are of one generation. record: one attempt; -EINTR: again. On
 * success *ret_answer is the caller's to free.
 */
struct recording {
  struct netlink *netlink;
  int marker;
  struct netlink_answer answer;
  const void *context;
};
int nftables_record(int (*record)(struct recording *recording, struct error *error), const void *context,
                    struct netlink_answer *ret_answer, uint32_t *ret_generation, struct error *error);

/* ---- nftables_read.c ---- */

int nftables_read_at(const char *table, int64_t now, struct arena *arena, struct ruleset **ret_ruleset,
                     struct error *error);

/* ---- nftables_send.c ---- */

int nftables_send_at(struct nftables *nftables, const struct delta *delta, enum phase phase, int64_t now,
                     uint32_t generation, struct refusal *ret_refusal, struct error *error);

#endif
