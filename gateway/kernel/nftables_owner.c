/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>

#include "kernel/nftables_attributes.h"
#include "kernel/nftables_parts.h"

/*
 * Theory of operation.
 *
 * A table with the owner flag belongs to one netlink socket, by its port: batches that change it are refused (EPERM)
 * when they come by another. When the socket is closed, the kernel deletes the table, unless it has the persist flag
 * (kernel 6.9): then the owner flag is taken off, and whoever adds the table again with both flags is its next owner. A
 * table without the persist flag never gets an owner. Kernel: nf_tables_updtable(), nft_rcv_nl_event().
 */
static const uint32_t owned_flags = NFT_TABLE_F_OWNER | NFTABLES_TABLE_PERSIST;

static struct nlmsghdr *message_at(const struct nftables_batch *batch, size_t index) {
  return (struct nlmsghdr *)(void *)(batch->data + batch->messages[index].offset);
}

/* Sends operations on a table. existing: the first one adds a table that is there. Returns 0 or a negative errno;
 * *ret_refused: what the kernel said. */
static int send_table(struct nftables *nftables, const char *table, const struct operation *operations, size_t count,
                      bool existing, int *ret_refused, struct error *error) {
  struct nftables_batch batch;
  struct netlink_complaint complaint = {0};
  bool acknowledged = false;
  int status = nftables_need(&nftables->sender, error);
  if (status == 0) {
    status = nftables_batch_begin(&batch, table, 0, 0, 1, error);
    batch.table_flags = owned_flags;
    for (size_t i = 0; status == 0 && i < count; i++) {
      status = nftables_batch_add(&batch, &operations[i], error);
    }
    if (status == 0 && existing) {
      message_at(&batch, 0)->nlmsg_flags &= (uint16_t)~NLM_F_EXCL;
    }
    if (status == 0) {
      status = nftables_batch_end(&batch, error);
    }
    if (status == 0) {
      status = netlink_send_batch(nftables->sender, batch.data, batch.length, nftables_batch_last_sequence(&batch),
                                  &complaint, &acknowledged, error);
    }
    nftables_batch_free(&batch);
  }
  *ret_refused = complaint.code;
  return status;
}

int nftables_own(struct nftables *nftables, enum ownership *ret_ownership, struct error *error) {
  static const struct operation trial[] = {{.kind = OPERATION_ADD_TABLE}, {.kind = OPERATION_DELETE_TABLE}};
  int refused = 0;
  int status =
      send_table(nftables, "kido-owner-trial", trial, sizeof(trial) / sizeof(trial[0]), false, &refused, error);
  if (status < 0) {
    return status;
  }
  if (refused != 0 && refused != EINVAL && refused != EOPNOTSUPP) {
    return error_set(error, refused, "the kernel refuses a table with an owner: %s", strerror(refused));
  }
  nftables->ownership = refused == 0 ? OWNERSHIP_HELD : OWNERSHIP_UNSUPPORTED;
  *ret_ownership = nftables->ownership;
  return 0;
}

/* The flags of a table; 0 for one that is not there. */
static int ask_flags(const char *table, uint32_t *ret_flags, struct error *error) {
  const struct request_name names[2] = {{NFTA_TABLE_NAME, table}};
  struct netlink *netlink = NULL;
  struct netlink_answer answer = {0};
  struct attributes attributes = {0};
  int status = netlink_open(NETLINK_NETFILTER, &netlink, error);
  if (status == 0) {
    status = nftables_ask(netlink, NFT_MSG_GETTABLE, 0, NFPROTO_INET, names, -1, &answer, error);
  }
  if (status == 0 && answer.length >= NLMSG_HDRLEN) {
    attributes_split_message((const struct nlmsghdr *)(const void *)answer.data, sizeof(struct nfgenmsg), UINT32_MAX,
                             &attributes);
    *ret_flags = attributes_u32(&attributes, NFTA_TABLE_FLAGS, 0);
  }
  netlink_answer_free(&answer);
  netlink_close(netlink);
  return status;
}

int nftables_claim(struct nftables *nftables, const char *table, struct error *error) {
  static const struct operation add = {.kind = OPERATION_ADD_TABLE};
  uint32_t flags = 0;
  if (nftables->ownership != OWNERSHIP_HELD) {
    return CLAIM_NOTHING;
  }
  int status = ask_flags(table, &flags, error);
  if (status == -ENOENT) {
    return CLAIM_NOTHING;
  }
  if (status < 0 || flags & NFT_TABLE_F_OWNER) {
    return status < 0 ? status : CLAIM_NOTHING;
  }
  if ((flags & NFTABLES_TABLE_PERSIST) == 0) {
    return CLAIM_ANEW;
  }
  int refused = 0;
  status = send_table(nftables, table, &add, 1, true, &refused, error);
  if (status == 0 && refused != 0) {
    return error_set(error, refused, "the table '%s' cannot be taken over: %s", table, strerror(refused));
  }
  return status < 0 ? status : CLAIM_NOTHING;
}
