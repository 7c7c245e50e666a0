/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_KERNEL_NFTABLES_BUILD_H
#define KIDO_KERNEL_NFTABLES_BUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "rules/difference.h"

/*
 * Operations become netlink messages in one buffer, which is one transaction when it is sent with one sendmsg().
 * Pure: no socket. The messages say the same as `nft -f` (1.0.6) would for the same ruleset, types and comments
 * included, so that `nft list ruleset` prints them alike.
 */

/* A message of the batch, and the operation that it is for. */
struct batch_message {
  size_t offset; /* in the buffer */
  const struct operation *operation;
  size_t first_element; /* *_ELEMENTS: the first one that the message holds */
};

struct nftables_batch {
  const char *table;
  int64_t now;          /* milliseconds since 1970: timeouts are relative to it */
  uint32_t table_flags; /* of a table that the batch adds; set after nftables_batch_begin() */
  char *data;
  size_t length;
  size_t capacity;
  struct batch_message *messages; /* sequence numbers follow that of the batch's beginning */
  size_t message_count;
  size_t message_capacity;
  uint32_t first_sequence; /* of the batch's beginning */
  uint32_t next_set_id;
};

/* Where in a batch the kernel found fault. */
struct batch_blame {
  const struct operation *operation;
  const struct element *element; /* NULL: the operation as a whole */
};

/* generation: the kernel refuses the batch when its own is another; 0: do not compare. The table's name must outlive
 * the batch. Returns 0 or -ENOMEM. */
int nftables_batch_begin(struct nftables_batch *batch, const char *table, int64_t now, uint32_t generation,
                         uint32_t sequence, struct error *error);
/* The operation must outlive the batch. Returns 0, -ENOMEM, -E2BIG (a comment or name that netlink cannot hold) or
 * -EINVAL (an expression that cannot be written). */
int nftables_batch_add(struct nftables_batch *batch, const struct operation *operation, struct error *error);
/* Asks for one acknowledgement, on the last message. The batch may be sent after this. */
int nftables_batch_end(struct nftables_batch *batch, struct error *error);
void nftables_batch_free(struct nftables_batch *batch);

uint32_t nftables_batch_last_sequence(const struct nftables_batch *batch);
/*
 * Which operation the message of that sequence number is for, and which element when the kernel also gave the offset of
 * the attribute it minds (0: none). False for a number that is not of an operation.
 */
bool nftables_batch_find(const struct nftables_batch *batch, uint32_t sequence, uint32_t attribute_offset,
                         struct batch_blame *ret_blame);

#endif
