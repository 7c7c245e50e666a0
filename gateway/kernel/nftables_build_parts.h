/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_KERNEL_NFTABLES_BUILD_PARTS_H
#define KIDO_KERNEL_NFTABLES_BUILD_PARTS_H

#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>

#include "kernel/nftables_build.h"

/* What the files of the builder share. */

/* Writes the header of a message about our table, with `room` bytes behind it, and notes whom it is for. */
int build_message_open(struct nftables_batch *batch, enum nf_tables_msg_types type, uint16_t flags, size_t room,
                       const struct operation *operation, size_t first_element, struct nlmsghdr **ret_message,
                       struct error *error);
/* The message is whole. */
void build_message_close(struct nftables_batch *batch, const struct nlmsghdr *message);

/* nft's user data: tags of one byte, lengths of one byte. */
struct user_data {
  uint8_t bytes[NFT_USERDATA_MAXLEN];
  uint32_t length;
  bool overflow;
};

void user_data_put(struct user_data *data, uint8_t tag, const void *value, size_t size);
void user_data_put_u32(struct user_data *data, uint8_t tag, uint32_t value);          /* host order */
void user_data_put_comment(struct user_data *data, uint8_t tag, const char *comment); /* NULL: nothing */

int build_refuse_comment(const char *kind, const char *name, struct error *error);
int build_refuse_memory(struct error *error);
bool build_name_fits(const char *name);
int build_check_name(const char *name, struct error *error);

/* ---- nftables_build_rule.c ---- */

enum { BUILD_EXPRESSION_ROOM = 512 }; /* more than any one expression takes */

uint32_t build_verdict_number(enum verdict_code code);
int build_rule(struct nftables_batch *batch, const struct operation *operation, struct nlmsghdr *message,
               struct error *error);

/* ---- nftables_build_elements.c ---- */

/* As many messages as the elements take. */
int build_elements(struct nftables_batch *batch, const struct operation *operation, struct error *error);
/* Which element of a message holds the byte at `offset`, counted from the message's first. */
size_t build_element_at(const struct nlmsghdr *message, uint32_t offset);

#endif
