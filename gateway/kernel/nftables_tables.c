/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/nftables_tables.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>

#include "kernel/nftables_attributes.h"
#include "kernel/nftables_parts.h"

static const struct {
  uint8_t number;
  const char *name;
  bool carries_ip; /* its hooks see packets of IP */
} families[] = {
    {NFPROTO_INET, "inet", true}, {NFPROTO_IPV4, "ip", true},       {NFPROTO_IPV6, "ip6", true},
    {NFPROTO_ARP, "arp", false},  {NFPROTO_BRIDGE, "bridge", true}, {NFPROTO_NETDEV, "netdev", true},
};

struct table_parser {
  const char *own;
  struct arena *arena;
  struct nftables_table_list list;
  size_t capacity;
};

static const char *family_name(uint8_t number) {
  for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
    if (families[i].number == number) {
      return families[i].name;
    }
  }
  return "?";
}

static bool family_carries_ip(uint8_t number) {
  for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
    if (families[i].number == number) {
      return families[i].carries_ip;
    }
  }
  return true;
}

static uint8_t message_family(const struct nlmsghdr *message) {
  const struct nfgenmsg *header = mnl_nlmsg_get_payload(message);
  return header->nfgen_family;
}

static int parse_table(struct table_parser *parser, const struct nlmsghdr *message) {
  struct attributes attributes;
  attributes_split_message(message, sizeof(struct nfgenmsg), UINT32_MAX, &attributes);
  const char *name = attributes_string(&attributes, NFTA_TABLE_NAME);
  uint32_t flags = attributes_u32(&attributes, NFTA_TABLE_FLAGS, 0);
  uint32_t owner = attributes_u32(&attributes, NFTA_TABLE_OWNER, 0);
  if (attributes.malformed || name == NULL) {
    return -EBADMSG;
  }
  if (message_family(message) == NFPROTO_INET && strcmp(name, parser->own) == 0) {
    return 0;
  }
  struct nftables_table_list *list = &parser->list;
  if (arena_grow(parser->arena, (void **)&list->items, list->count, &parser->capacity, sizeof(*list->items)) < 0) {
    return -ENOMEM;
  }
  list->items[list->count++] = (struct nftables_table){.name = arena_strdup(parser->arena, name),
                                                       .family = family_name(message_family(message)),
                                                       .dormant = (flags & NFT_TABLE_F_DORMANT) != 0,
                                                       .owned = (flags & NFT_TABLE_F_OWNER) != 0,
                                                       .persistent = (flags & NFTABLES_TABLE_PERSIST) != 0,
                                                       .owner = owner};
  return arena_failed(parser->arena) ? -ENOMEM : 0;
}

static struct nftables_table *find_table(const struct table_parser *parser, const char *family, const char *name) {
  for (size_t i = 0; i < parser->list.count; i++) {
    struct nftables_table *table = &parser->list.items[i];
    if (strcmp(table->family, family) == 0 && strcmp(table->name, name) == 0) {
      return table;
    }
  }
  return NULL;
}

static int parse_chain(struct table_parser *parser, const struct nlmsghdr *message) {
  struct attributes attributes;
  attributes_split_message(message, sizeof(struct nfgenmsg), UINT32_MAX, &attributes);
  const char *table_name = attributes_string(&attributes, NFTA_CHAIN_TABLE);
  if (attributes.malformed || table_name == NULL) {
    return -EBADMSG;
  }
  if (attributes_have(&attributes, NFTA_CHAIN_HOOK) && family_carries_ip(message_family(message))) {
    struct nftables_table *table = find_table(parser, family_name(message_family(message)), table_name);
    if (table != NULL) {
      table->chain_count++;
    }
  }
  return 0;
}

static int parse_message(struct table_parser *parser, const struct nlmsghdr *message) {
  if (message->nlmsg_len < NLMSG_HDRLEN + sizeof(struct nfgenmsg)) {
    return 0;
  }
  switch (message->nlmsg_type) {
  case NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWTABLE:
    return parse_table(parser, message);
  case NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWCHAIN:
    return parse_chain(parser, message);
  default:
    return 0;
  }
}

static int compare_tables(const void *left, const void *right) {
  const struct nftables_table *first = left, *second = right;
  int order = strcmp(first->family, second->family);
  return order != 0 ? order : strcmp(first->name, second->name);
}

int nftables_tables_parse(const void *data, size_t length, const char *own, struct arena *arena,
                          struct nftables_table_list *ret_list, struct error *error) {
  struct table_parser parser = {.own = own, .arena = arena};
  size_t position = 0;
  while (length - position >= NLMSG_HDRLEN) {
    const struct nlmsghdr *message = (const struct nlmsghdr *)(const void *)((const char *)data + position);
    size_t left = length - position;
    int status = message->nlmsg_len < NLMSG_HDRLEN || message->nlmsg_len > left ? -EBADMSG : 0;
    status = status == 0 ? parse_message(&parser, message) : status;
    if (status < 0) {
      return error_set(error, -status, "the kernel's list of tables cannot be read");
    }
    size_t step = netlink_align(message->nlmsg_len);
    position += step < left ? step : left;
  }
  if (parser.list.count > 0) {
    qsort(parser.list.items, parser.list.count, sizeof(*parser.list.items), compare_tables);
  }
  *ret_list = parser.list;
  return 0;
}

static int record_tables(struct recording *recording, struct error *error) {
  static const enum nf_tables_msg_types dumps[] = {NFT_MSG_GETTABLE, NFT_MSG_GETCHAIN};
  static const struct request_name no_names[2];
  int status = 0;
  for (size_t i = 0; status == 0 && i < sizeof(dumps) / sizeof(dumps[0]); i++) {
    status = nftables_ask(recording->netlink, dumps[i], NLM_F_DUMP, NFPROTO_UNSPEC, no_names, recording->marker,
                          &recording->answer, error);
  }
  return status;
}

int nftables_other_tables(const char *own, struct arena *arena, struct nftables_table_list *ret_list,
                          struct error *error) {
  struct netlink_answer answer = {0};
  uint32_t generation = 0;
  int status = nftables_record(record_tables, NULL, &answer, &generation, error);
  if (status < 0) {
    return status;
  }
  status = nftables_tables_parse(answer.data, answer.length, own, arena, ret_list, error);
  netlink_answer_free(&answer);
  return status;
}

bool nftables_table_matters(const struct nftables_table *table) {
  return table->chain_count > 0 && !table->dormant;
}
