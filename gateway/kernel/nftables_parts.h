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

/* What the kernel was last proven to hold. */
struct memory {
  struct arena *arena; /* NULL before the first time */
  bool proven;         /* it may hold it still: ask its generation */
  const struct ruleset *ruleset;
  uint32_t generation;
  int64_t clock;     /* milliseconds since 1970 less those of the monotonic clock, by which elements end */
  int64_t first_end; /* of an element, in seconds; INT64_MAX: none ends */
  size_t compact;    /* bytes of the arena when the ruleset was copied into it as a whole */
};

/* Who listens to changes, and is not told of our large ones. */
struct listener {
  int fd; /* -1: nobody */
  void (*missed)(void *context);
  void *context;
  bool spared; /* in this apply */
};

struct nftables {
  struct listener listener;
  struct netlink *sender; /* batches; NULL until the first */
  struct netlink *reader; /* small requests; NULL until the first, and after a failure */
  struct memory memory;
  enum ownership ownership;
  char what[RULESET_NAME_MAX + 80]; /* text of the last refusal */
};

/* The socket, opened when there is none yet. */
int nftables_need(struct netlink **netlink, struct error *error);

/* ---- nftables_ask.c: time and small requests ---- */

int64_t clock_milliseconds(clockid_t clock);
/* The instant in milliseconds. When it was just now, then the present: it took time to compile, and timeouts count from
 * when they are sent. */
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

/* ---- nftables_confirm.c: reading back no more than what was touched ---- */

/* Returns 0 when the kernel holds what is wanted of all that the delta touched, and its generation is that one; else
 * -EAGAIN or another failure, and nothing is known. */
int nftables_confirm_touched(struct netlink *netlink, const struct delta *delta, const struct ruleset *wanted,
                             int64_t now, uint32_t generation, struct arena *arena, struct error *error);
/* Brings the counters of delta->carried up to date. */
int nftables_read_carried(struct netlink *netlink, const struct delta *delta, const struct ruleset *wanted, int64_t now,
                          uint32_t generation, struct arena *arena, struct error *error);

/* ---- nftables_owner.c ---- */

/* What must be done so that the table is ours. */
enum claim {
  CLAIM_NOTHING, /* it is, or nobody asked for it, or there is none yet */
  CLAIM_ANEW,    /* it was made by somebody who did not ask for it: only a new table can be owned */
};

/* Takes a table that its owner left behind. Returns an enum claim or a negative errno. */
int nftables_claim(struct nftables *nftables, const char *table, struct error *error);

/* ---- nftables_memory.c ---- */

void memory_free(struct memory *memory);
/* Keeps a copy of all of it; without memory (-ENOMEM) nothing is known. */
int memory_take(struct memory *memory, const struct ruleset *ruleset, uint32_t generation, int64_t now);
/* Copies only what the delta touched. */
int memory_update(struct memory *memory, const struct delta *delta, const struct ruleset *ruleset, uint32_t generation,
                  int64_t now);
int64_t memory_clock(int64_t now);
/* Whether time went on as the elements' timeouts did: false after a step of the clock and after a suspend. */
bool memory_keeps_time(const struct memory *memory, int64_t now);

/* Takes out the elements whose end has come. */
int memory_leave_out_ended(struct memory *memory, int64_t now);

/* What stands of a ruleset at this moment: elements whose end has come are left out. known: sets that it shares with
 * that one need no look; NULL for none. Returns 0 or -ENOMEM. */
int ruleset_living(const struct ruleset *from, const struct ruleset *known, int64_t now, struct arena *arena,
                   const struct ruleset **ret_ruleset);

#endif
