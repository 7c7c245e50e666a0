/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>

#include "kernel/nftables_attributes.h"
#include "kernel/nftables_parse.h"
#include "kernel/nftables_parts.h"

/* The dumps besides the elements, in the order that the parser wants. */
static const struct dump {
  enum nf_tables_msg_types type;
  uint16_t table_attribute; /* 0: the kernel filters nothing, the parser does */
} dumps[] = {
    {NFT_MSG_GETCHAIN, 0},
    {NFT_MSG_GETRULE, NFTA_RULE_TABLE},
    {NFT_MSG_GETOBJ, NFTA_OBJ_TABLE},
    {NFT_MSG_GETFLOWTABLE, NFTA_FLOWTABLE_TABLE},
    {NFT_MSG_GETSET, NFTA_SET_TABLE},
};

static int ask(struct recording *recording, enum nf_tables_msg_types type, uint16_t flags,
               const struct request_name names[static 2], struct error *error) {
  return nftables_ask(recording->netlink, type, flags, NFPROTO_INET, names, recording->marker, &recording->answer,
                      error);
}

static int dump_elements(struct recording *recording, const struct nlmsghdr *message, struct error *error) {
  struct attributes attributes;
  attributes_split_message(message, sizeof(struct nfgenmsg), UINT32_MAX, &attributes);
  const char *name = attributes_string(&attributes, NFTA_SET_NAME);
  bool dynamic = (attributes_u32(&attributes, NFTA_SET_FLAGS, 0) & NFT_SET_EVAL) != 0;
  if (name == NULL || dynamic) {
    return 0;
  }
  char copy[NFT_NAME_MAXLEN];
  snprintf(copy, sizeof(copy), "%s", name); /* the answer moves while it grows */
  const struct request_name names[2] = {{NFTA_SET_ELEM_LIST_TABLE, recording->context}, {NFTA_SET_ELEM_LIST_SET, copy}};
  return ask(recording, NFT_MSG_GETSETELEM, NLM_F_DUMP, names, error);
}

/* Asks for the elements of every set in the part of the answer that lists sets. */
static int dump_all_elements(struct recording *recording, size_t sets_start, struct error *error) {
  size_t end = recording->answer.length;
  size_t position = sets_start;
  while (end - position >= NLMSG_HDRLEN) {
    const struct nlmsghdr *message = (const struct nlmsghdr *)(const void *)(recording->answer.data + position);
    size_t step = netlink_align(message->nlmsg_len);
    if (message->nlmsg_len < NLMSG_HDRLEN || step > end - position) {
      return error_set(error, EBADMSG, "the kernel's list of sets is garbled");
    }
    if (message->nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWSET)) {
      int status = dump_elements(recording, message, error);
      if (status < 0) {
        return status;
      }
    }
    position += step;
  }
  return 0;
}

static int dump_table(struct recording *recording, struct error *error) {
  size_t sets_start = 0;
  for (size_t i = 0; i < sizeof(dumps) / sizeof(dumps[0]); i++) {
    const struct request_name names[2] = {{dumps[i].table_attribute, recording->context}};
    sets_start = recording->answer.length;
    int status = ask(recording, dumps[i].type, NLM_F_DUMP, names, error);
    if (status < 0) {
      return status;
    }
  }
  return dump_all_elements(recording, sets_start, error);
}

static int record_table(struct recording *recording, struct error *error) {
  const struct request_name names[2] = {{NFTA_TABLE_NAME, recording->context}};
  int status = ask(recording, NFT_MSG_GETTABLE, 0, names, error);
  if (status == -ENOENT) {
    return 0;
  }
  if (status == 0) {
    status = dump_table(recording, error);
    status = status == -ENOENT ? -EINTR : status; /* it was there a moment ago */
  }
  return status;
}

int nftables_read_at(const char *table, int64_t now, struct arena *arena, struct ruleset **ret_ruleset,
                     struct error *error) {
  struct netlink_answer answer = {0};
  uint32_t generation = 0;
  int status = nftables_record(record_table, table, &answer, &generation, error);
  if (status != 0) {
    error_wrap(error, "cannot read the table '%s'", table);
    return status;
  }
  struct nftables_parser *parser = nftables_parser_new(arena, table, now);
  if (parser == NULL) {
    error_set(error, ENOMEM, "no memory for the ruleset that was read");
    status = -ENOMEM;
  } else {
    status = nftables_parser_feed(parser, answer.data, answer.length, error);
  }
  if (status == 0) {
    status = nftables_parser_finish(parser, generation, ret_ruleset, error);
  }
  netlink_answer_free(&answer);
  return status;
}

int nftables_read(struct nftables *nftables, const char *table, struct instant now, struct arena *arena,
                  struct ruleset **ret_ruleset, struct error *error) {
  (void)nftables;
  return nftables_read_at(table, instant_milliseconds(now), arena, ret_ruleset, error);
}
