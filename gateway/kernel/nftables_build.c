/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * The batch is one growing buffer; messages are written at its end after room for the largest one was made, because
 * neither libmnl nor libnftnl looks at the end of a buffer. Positions are kept as offsets: the buffer moves.
 *
 * Chains, sets, rules and counters are built by libnftnl. Elements are not: an object per element costs five times the
 * memory and most of the time of a large load. They are written straight as attributes, split over messages, for a
 * nested attribute cannot exceed 65535 bytes.
 *
 * The kernel keeps one-field interval sets as a tree of half-open intervals: a range is a start and, one above its last
 * key, an end element. nft adds an end at the lowest key when nothing starts there; we do so too, that both leave the
 * same state. What nft stores as user data only (byte orders, comments) is written byte for byte as 1.0.6 does: `nft
 * list` needs it to print keys and comments.
 */
#include "kernel/nftables_build.h"

#include <arpa/inet.h>
#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/object.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "kernel/nftables_attributes.h"

enum {
  SMALL_MESSAGE_ROOM = 4096,    /* a message without rules or elements: a few names and comments */
  EXPRESSION_ROOM = 512,        /* more than any one expression takes */
  ELEMENT_ROOM = 1024,          /* more than any one element takes: two keys, a chain's name, a comment */
  ELEMENT_LIST_LIMIT = 60000,   /* bytes of a nested list of elements; the format ends at 65535 */
  ELEMENT_MESSAGE_ROOM = 65536, /* the list and the names in front of it */
  KEY_TYPE_BITS = 6,            /* of each field's datatype in a set's key type */
};

static_assert((unsigned)ELEMENT_LIST_LIMIT + (unsigned)ELEMENT_ROOM < UINT16_MAX, "one more element must always fit");

static struct nlmsghdr *message_at(const struct nftables_batch *batch, size_t offset) {
  return (struct nlmsghdr *)(void *)(batch->data + offset);
}

static int batch_reserve(struct nftables_batch *batch, size_t room, struct error *error) {
  if (batch->capacity - batch->length >= room) {
    return 0;
  }
  size_t capacity = batch->capacity * 2 + room;
  if (capacity > INT_MAX) {
    return error_set(error, E2BIG, "a transaction of more than 2 GiB");
  }
  char *data = realloc(batch->data, capacity);
  if (data == NULL) {
    return error_set(error, ENOMEM, "no memory for a transaction of %zu bytes", capacity);
  }
  memset(data + batch->capacity, 0, capacity - batch->capacity);
  batch->data = data;
  batch->capacity = capacity;
  return 0;
}

static struct nlmsghdr *message_start(struct nftables_batch *batch, uint16_t type, uint16_t flags, uint16_t family,
                                      uint16_t resource) {
  uint32_t sequence = batch->first_sequence + (uint32_t)batch->message_count;
  if (batch->length > 0) {
    sequence++;
  }
  struct nlmsghdr *message = mnl_nlmsg_put_header(batch->data + batch->length);
  message->nlmsg_type = type;
  message->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
  message->nlmsg_seq = sequence;
  struct nfgenmsg *header = mnl_nlmsg_put_extra_header(message, sizeof(*header));
  header->nfgen_family = (uint8_t)family;
  header->version = NFNETLINK_V0;
  header->res_id = htons(resource);
  return message;
}

static int remember_message(struct nftables_batch *batch, const struct operation *operation, size_t first_element,
                            struct error *error) {
  if (batch->message_count == batch->message_capacity) {
    size_t capacity = batch->message_capacity * 2 + 64;
    struct batch_message *messages = reallocarray(batch->messages, capacity, sizeof(*messages));
    if (messages == NULL) {
      return error_set(error, ENOMEM, "no memory for a transaction of %zu messages", capacity);
    }
    batch->messages = messages;
    batch->message_capacity = capacity;
  }
  batch->messages[batch->message_count++] = (struct batch_message){batch->length, operation, first_element};
  return 0;
}

/* Writes the header of a message about our table and notes whom it is for. Its end is message_close(). */
static int message_open(struct nftables_batch *batch, enum nf_tables_msg_types type, uint16_t flags, size_t room,
                        const struct operation *operation, size_t first_element, struct nlmsghdr **ret_message,
                        struct error *error) {
  int status = batch_reserve(batch, room, error);
  if (status < 0) {
    return status;
  }
  struct nlmsghdr *message = message_start(batch, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, NFPROTO_INET, 0);
  status = remember_message(batch, operation, first_element, error);
  if (status == 0) {
    *ret_message = message;
  }
  return status;
}

static void message_close(struct nftables_batch *batch, const struct nlmsghdr *message) {
  batch->length += netlink_align(message->nlmsg_len);
}

int nftables_batch_begin(struct nftables_batch *batch, const char *table, int64_t now, uint32_t generation,
                         uint32_t sequence, struct error *error) {
  *batch = (struct nftables_batch){.table = table, .now = now, .first_sequence = sequence, .next_set_id = 1};
  int status = batch_reserve(batch, SMALL_MESSAGE_ROOM, error);
  if (status < 0) {
    return status;
  }
  struct nlmsghdr *message = message_start(batch, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
  if (generation != 0) {
    mnl_attr_put_u32(message, NFNL_BATCH_GENID, htonl(generation));
  }
  message_close(batch, message);
  return 0;
}

int nftables_batch_end(struct nftables_batch *batch, struct error *error) {
  int status = batch_reserve(batch, SMALL_MESSAGE_ROOM, error);
  if (status < 0) {
    return status;
  }
  if (batch->message_count > 0) {
    message_at(batch, batch->messages[batch->message_count - 1].offset)->nlmsg_flags |= NLM_F_ACK;
  }
  message_close(batch, message_start(batch, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
  return 0;
}

void nftables_batch_free(struct nftables_batch *batch) {
  free(batch->data);
  free(batch->messages);
  *batch = (struct nftables_batch){0};
}

uint32_t nftables_batch_last_sequence(const struct nftables_batch *batch) {
  return batch->first_sequence + (uint32_t)batch->message_count;
}

/* ---- user data: tags of one byte, lengths of one byte, as nft writes them ---- */

struct user_data {
  uint8_t bytes[NFT_USERDATA_MAXLEN];
  uint32_t length;
  bool overflow;
};

static void user_data_put(struct user_data *data, uint8_t tag, const void *value, size_t size) {
  if (size > UINT8_MAX || data->length + 2 + size > sizeof(data->bytes)) {
    data->overflow = true;
    return;
  }
  data->bytes[data->length] = tag;
  data->bytes[data->length + 1] = (uint8_t)size;
  memcpy(data->bytes + data->length + 2, value, size);
  data->length += (uint32_t)(2 + size);
}

static void user_data_put_u32(struct user_data *data, uint8_t tag, uint32_t value) {
  user_data_put(data, tag, &value, sizeof(value));
}

static void user_data_put_comment(struct user_data *data, uint8_t tag, const char *comment) {
  if (comment != NULL) {
    user_data_put(data, tag, comment, strlen(comment) + 1);
  }
}

static int refuse_comment(const char *kind, const char *name, struct error *error) {
  return error_set(error, E2BIG, "the comment of %s '%s' is too long for netlink", kind, name);
}

static int refuse_memory(struct error *error) {
  return error_set(error, ENOMEM, "no memory for a netlink message");
}

static bool name_fits(const char *name) {
  size_t length = strnlen(name, NFT_NAME_MAXLEN);
  return length > 0 && length < NFT_NAME_MAXLEN;
}

static int check_name(const char *name, struct error *error) {
  return name_fits(name) ? 0 : error_set(error, E2BIG, "the name '%.40s…' is too long for netlink", name);
}

/* ---- table, counters ---- */

static int add_table(struct nftables_batch *batch, const struct operation *operation, struct nlmsghdr *message,
                     struct error *error) {
  (void)operation;
  (void)error;
  mnl_attr_put_strz(message, NFTA_TABLE_NAME, batch->table);
  mnl_attr_put_u32(message, NFTA_TABLE_FLAGS, 0);
  return 0;
}

static int delete_table(struct nftables_batch *batch, const struct operation *operation, struct nlmsghdr *message,
                        struct error *error) {
  (void)operation;
  (void)error;
  mnl_attr_put_strz(message, NFTA_TABLE_NAME, batch->table);
  return 0;
}

static int add_counter(struct nftables_batch *batch, const struct operation *operation, struct nlmsghdr *message,
                       struct error *error) {
  const struct counter *counter = operation->counter;
  struct user_data data = {0};
  user_data_put_comment(&data, NFTNL_UDATA_OBJ_COMMENT, counter->comment);
  if (data.overflow) {
    return refuse_comment("counter", counter->name, error);
  }
  struct nftnl_obj *object = nftnl_obj_alloc();
  if (object == NULL) {
    return refuse_memory(error);
  }
  nftnl_obj_set_str(object, NFTNL_OBJ_TABLE, batch->table);
  nftnl_obj_set_str(object, NFTNL_OBJ_NAME, counter->name);
  nftnl_obj_set_u32(object, NFTNL_OBJ_TYPE, NFT_OBJECT_COUNTER);
  nftnl_obj_set_u64(object, NFTNL_OBJ_CTR_BYTES, counter->bytes);
  nftnl_obj_set_u64(object, NFTNL_OBJ_CTR_PKTS, counter->packets);
  if (data.length > 0) {
    nftnl_obj_set_data(object, NFTNL_OBJ_USERDATA, data.bytes, data.length);
  }
  nftnl_obj_nlmsg_build_payload(message, object);
  nftnl_obj_free(object);
  return 0;
}

static int delete_counter(struct nftables_batch *batch, const struct operation *operation, struct nlmsghdr *message,
                          struct error *error) {
  (void)error;
  mnl_attr_put_strz(message, NFTA_OBJ_TABLE, batch->table);
  mnl_attr_put_strz(message, NFTA_OBJ_NAME, operation->counter->name);
  mnl_attr_put_u32(message, NFTA_OBJ_TYPE, htonl(NFT_OBJECT_COUNTER));
  return 0;
}

/* ---- sets ---- */

/* The byte order of each datatype in nft 1.0.6, which says with it how to print keys (0: none, 1: host, 2: network). */
static const uint8_t field_byte_orders[FIELD_COUNT_] = {
    [FIELD_IPV4] = 2,      [FIELD_IPV6] = 2, [FIELD_ETHER] = 2,     [FIELD_PORT] = 2,        [FIELD_PROTOCOL] = 0,
    [FIELD_INTERFACE] = 1, [FIELD_MARK] = 1, [FIELD_ICMP_TYPE] = 2, [FIELD_ICMPV6_TYPE] = 2,
};

/* EXPR_CONCAT of nft's expressions, and no more about it: what nft writes for a set whose key was given by `type`. */
static const uint8_t concatenation_type_of[] = {NFTNL_UDATA_SET_TYPEOF_EXPR, 4, 13, 0, 0, 0,
                                                NFTNL_UDATA_SET_TYPEOF_DATA, 0};

static void set_user_data(const struct set *set, struct user_data *data) {
  bool concatenation = set->field_count > 1;
  user_data_put_u32(data, NFTNL_UDATA_SET_KEYBYTEORDER, concatenation ? 0 : field_byte_orders[set->fields[0]]);
  if (set->data != MAP_NONE) {
    user_data_put_u32(data, NFTNL_UDATA_SET_DATABYTEORDER, set->data == MAP_MARK ? 1 : 0);
  }
  if (concatenation) {
    user_data_put(data, NFTNL_UDATA_SET_KEY_TYPEOF, concatenation_type_of, sizeof(concatenation_type_of));
  }
  if (set->data != MAP_NONE) {
    user_data_put_u32(data, NFTNL_UDATA_SET_DATA_INTERVAL, 0);
  }
  user_data_put_comment(data, NFTNL_UDATA_SET_COMMENT, set->comment);
}

static uint32_t set_flags(const struct set *set) {
  uint32_t flags = 0;
  flags |= set->interval ? NFT_SET_INTERVAL : 0;
  flags |= set->data != MAP_NONE ? NFT_SET_MAP : 0;
  flags |= set->timeouts ? NFT_SET_TIMEOUT : 0;
  flags |= set->interval && set->field_count > 1 ? NFT_SET_CONCAT : 0;
  return flags;
}

static uint32_t set_key_type(const struct set *set) {
  uint32_t type = 0;
  for (size_t i = 0; i < set->field_count; i++) {
    type = type << KEY_TYPE_BITS | field_nft_type(set->fields[i]);
  }
  return type;
}

static void set_describe_data(const struct set *set, struct nftnl_set *object) {
  if (set->data == MAP_MARK) {
    nftnl_set_set_u32(object, NFTNL_SET_DATA_TYPE, field_nft_type(FIELD_MARK));
    nftnl_set_set_u32(object, NFTNL_SET_DATA_LEN, sizeof(uint32_t));
  } else if (set->data == MAP_VERDICT) {
    nftnl_set_set_u32(object, NFTNL_SET_DATA_TYPE, NFT_DATA_VERDICT);
    nftnl_set_set_u32(object, NFTNL_SET_DATA_LEN, 0);
  }
}

static void set_describe_size(const struct set *set, struct nftnl_set *object) {
  uint8_t lengths[NFT_REG32_COUNT] = {0};
  for (size_t i = 0; i < set->field_count; i++) {
    lengths[i] = (uint8_t)field_size(set->fields[i]);
  }
  if (set->size > 0) {
    nftnl_set_set_u32(object, NFTNL_SET_DESC_SIZE, set->size);
  }
  if (set->interval && set->field_count > 1) {
    nftnl_set_set_data(object, NFTNL_SET_DESC_CONCAT, lengths, (uint32_t)set->field_count);
  }
}

static int set_fill(struct nftables_batch *batch, const struct set *set, const struct user_data *data,
                    struct nftnl_set *object) {
  nftnl_set_set_str(object, NFTNL_SET_TABLE, batch->table);
  nftnl_set_set_str(object, NFTNL_SET_NAME, set->name);
  nftnl_set_set_u32(object, NFTNL_SET_FLAGS, set_flags(set));
  nftnl_set_set_u32(object, NFTNL_SET_KEY_TYPE, set_key_type(set));
  nftnl_set_set_u32(object, NFTNL_SET_KEY_LEN, (uint32_t)set->key_size);
  nftnl_set_set_u32(object, NFTNL_SET_ID, batch->next_set_id++);
  set_describe_data(set, object);
  set_describe_size(set, object);
  nftnl_set_set_data(object, NFTNL_SET_USERDATA, data->bytes, data->length);
  if (set->counters) {
    struct nftnl_expr *counter = nftnl_expr_alloc("counter");
    if (counter == NULL) {
      return -ENOMEM;
    }
    nftnl_set_add_expr(object, counter);
  }
  return 0;
}

static int add_set(struct nftables_batch *batch, const struct operation *operation, struct nlmsghdr *message,
                   struct error *error) {
  const struct set *set = operation->set;
  if (set->field_count == 0 || set->field_count > 5 || set->key_size > RULESET_DATA_MAX) {
    return error_set(error, EINVAL, "set '%s' has %zu fields", set->name, set->field_count);
  }
  struct user_data data = {0};
  set_user_data(set, &data);
  if (data.overflow) {
    return refuse_comment("set", set->name, error);
  }
  struct nftnl_set *object = nftnl_set_alloc();
  if (object == NULL) {
    return refuse_memory(error);
  }
  int status = set_fill(batch, set, &data, object);
  if (status == 0) {
    nftnl_set_nlmsg_build_payload(message, object);
  }
  nftnl_set_free(object);
  return status < 0 ? refuse_memory(error) : 0;
}

static int delete_set(struct nftables_batch *batch, const struct operation *operation, struct nlmsghdr *message,
                      struct error *error) {
  (void)error;
  mnl_attr_put_strz(message, NFTA_SET_TABLE, batch->table);
  mnl_attr_put_strz(message, NFTA_SET_NAME, operation->set->name);
  return 0;
}

/* ---- chains ---- */

static const uint32_t hook_numbers[] = {
    [HOOK_PREROUTING] = NF_INET_PRE_ROUTING,   [HOOK_INPUT] = NF_INET_LOCAL_IN,
    [HOOK_FORWARD] = NF_INET_FORWARD,          [HOOK_OUTPUT] = NF_INET_LOCAL_OUT,
    [HOOK_POSTROUTING] = NF_INET_POST_ROUTING,
};

static int add_chain(struct nftables_batch *batch, const struct operation *operation, struct nlmsghdr *message,
                     struct error *error) {
  const struct chain *chain = operation->chain;
  struct user_data data = {0};
  user_data_put_comment(&data, NFTNL_UDATA_CHAIN_COMMENT, chain->comment);
  if (data.overflow) {
    return refuse_comment("chain", chain->name, error);
  }
  struct nftnl_chain *object = nftnl_chain_alloc();
  if (object == NULL) {
    return refuse_memory(error);
  }
  nftnl_chain_set_str(object, NFTNL_CHAIN_TABLE, batch->table);
  nftnl_chain_set_str(object, NFTNL_CHAIN_NAME, chain->name);
  if (chain->hook != HOOK_NONE) {
    nftnl_chain_set_str(object, NFTNL_CHAIN_TYPE, "filter");
    nftnl_chain_set_u32(object, NFTNL_CHAIN_HOOKNUM, hook_numbers[chain->hook]);
    nftnl_chain_set_s32(object, NFTNL_CHAIN_PRIO, chain->priority);
    nftnl_chain_set_u32(object, NFTNL_CHAIN_POLICY, chain->policy_drop ? NF_DROP : NF_ACCEPT);
  }
  if (data.length > 0) {
    nftnl_chain_set_data(object, NFTNL_CHAIN_USERDATA, data.bytes, data.length);
  }
  nftnl_chain_nlmsg_build_payload(message, object);
  nftnl_chain_free(object);
  return 0;
}

static int delete_chain(struct nftables_batch *batch, const struct operation *operation, struct nlmsghdr *message,
                        struct error *error) {
  (void)error;
  mnl_attr_put_strz(message, NFTA_CHAIN_TABLE, batch->table);
  mnl_attr_put_strz(message, NFTA_CHAIN_NAME, operation->chain->name);
  return 0;
}

static int flush_chain(struct nftables_batch *batch, const struct operation *operation, struct nlmsghdr *message,
                       struct error *error) {
  (void)error;
  mnl_attr_put_strz(message, NFTA_RULE_TABLE, batch->table);
  mnl_attr_put_strz(message, NFTA_RULE_CHAIN, operation->chain->name);
  return 0;
}

/* ---- rules ---- */

static uint32_t register_number(uint8_t word) {
  return NFT_REG32_00 + (uint32_t)word;
}

static uint32_t verdict_number(enum verdict_code code) {
  static const int numbers[] = {
      [VERDICT_NONE] = NFT_CONTINUE, [VERDICT_ACCEPT] = NF_ACCEPT, [VERDICT_DROP] = NF_DROP,
      [VERDICT_JUMP] = NFT_JUMP,     [VERDICT_GOTO] = NFT_GOTO,    [VERDICT_RETURN] = NFT_RETURN,
  };
  return (uint32_t)numbers[code];
}

static void fill_meta(const struct expression *from, struct nftnl_expr *to) {
  nftnl_expr_set_u32(to, NFTNL_EXPR_META_KEY, from->key);
  if (from->kind == EXPRESSION_META) {
    nftnl_expr_set_u32(to, NFTNL_EXPR_META_DREG, register_number(from->destination));
  } else {
    nftnl_expr_set_u32(to, NFTNL_EXPR_META_SREG, register_number(from->source));
  }
}

static void fill_ct(const struct expression *from, struct nftnl_expr *to) {
  nftnl_expr_set_u32(to, NFTNL_EXPR_CT_KEY, from->key);
  if (from->kind == EXPRESSION_CT_SET) {
    nftnl_expr_set_u32(to, NFTNL_EXPR_CT_SREG, register_number(from->source));
    return;
  }
  nftnl_expr_set_u32(to, NFTNL_EXPR_CT_DREG, register_number(from->destination));
  if (from->direction != UINT8_MAX) {
    nftnl_expr_set_u8(to, NFTNL_EXPR_CT_DIR, from->direction);
  }
}

static void fill_payload(const struct expression *from, struct nftnl_expr *to) {
  nftnl_expr_set_u32(to, NFTNL_EXPR_PAYLOAD_BASE, from->key);
  nftnl_expr_set_u32(to, NFTNL_EXPR_PAYLOAD_OFFSET, from->offset);
  nftnl_expr_set_u32(to, NFTNL_EXPR_PAYLOAD_LEN, from->length);
  nftnl_expr_set_u32(to, NFTNL_EXPR_PAYLOAD_DREG, register_number(from->destination));
}

static void fill_extension_header(const struct expression *from, struct nftnl_expr *to) {
  nftnl_expr_set_u8(to, NFTNL_EXPR_EXTHDR_TYPE, (uint8_t)from->key);
  nftnl_expr_set_u32(to, NFTNL_EXPR_EXTHDR_OFFSET, from->offset);
  nftnl_expr_set_u32(to, NFTNL_EXPR_EXTHDR_LEN, from->length);
  if (from->present) {
    nftnl_expr_set_u32(to, NFTNL_EXPR_EXTHDR_FLAGS, NFT_EXTHDR_F_PRESENT);
  }
  nftnl_expr_set_u32(to, NFTNL_EXPR_EXTHDR_DREG, register_number(from->destination));
}

static void fill_bitwise(const struct expression *from, struct nftnl_expr *to) {
  nftnl_expr_set_u32(to, NFTNL_EXPR_BITWISE_SREG, register_number(from->source));
  nftnl_expr_set_u32(to, NFTNL_EXPR_BITWISE_DREG, register_number(from->destination));
  nftnl_expr_set_u32(to, NFTNL_EXPR_BITWISE_OP, NFT_BITWISE_BOOL);
  nftnl_expr_set_u32(to, NFTNL_EXPR_BITWISE_LEN, from->length);
  nftnl_expr_set_data(to, NFTNL_EXPR_BITWISE_MASK, from->mask, from->length);
  nftnl_expr_set_data(to, NFTNL_EXPR_BITWISE_XOR, from->xor, from->length);
}

static void fill_compare(const struct expression *from, struct nftnl_expr *to) {
  nftnl_expr_set_u32(to, NFTNL_EXPR_CMP_SREG, register_number(from->source));
  nftnl_expr_set_u32(to, NFTNL_EXPR_CMP_OP, from->key);
  nftnl_expr_set_data(to, NFTNL_EXPR_CMP_DATA, from->data, from->length);
}

static void fill_range(const struct expression *from, struct nftnl_expr *to) {
  nftnl_expr_set_u32(to, NFTNL_EXPR_RANGE_SREG, register_number(from->source));
  nftnl_expr_set_u32(to, NFTNL_EXPR_RANGE_OP, from->key);
  nftnl_expr_set_data(to, NFTNL_EXPR_RANGE_FROM_DATA, from->data, from->length);
  nftnl_expr_set_data(to, NFTNL_EXPR_RANGE_TO_DATA, from->mask, from->length);
}

static void fill_lookup(const struct expression *from, struct nftnl_expr *to) {
  nftnl_expr_set_u32(to, NFTNL_EXPR_LOOKUP_SREG, register_number(from->source));
  nftnl_expr_set_str(to, NFTNL_EXPR_LOOKUP_SET, from->name);
  if (from->to_verdict) {
    nftnl_expr_set_u32(to, NFTNL_EXPR_LOOKUP_DREG, NFT_REG_VERDICT);
  } else if (from->has_destination) {
    nftnl_expr_set_u32(to, NFTNL_EXPR_LOOKUP_DREG, register_number(from->destination));
  }
  if (from->invert) {
    nftnl_expr_set_u32(to, NFTNL_EXPR_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
  }
}

static void fill_immediate(const struct expression *from, struct nftnl_expr *to) {
  nftnl_expr_set_u32(to, NFTNL_EXPR_IMM_DREG, register_number(from->destination));
  nftnl_expr_set_data(to, NFTNL_EXPR_IMM_DATA, from->data, from->length);
}

static void fill_verdict(const struct expression *from, struct nftnl_expr *to) {
  nftnl_expr_set_u32(to, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
  nftnl_expr_set_u32(to, NFTNL_EXPR_IMM_VERDICT, verdict_number(from->verdict.code));
  if (from->verdict.chain != NULL) {
    nftnl_expr_set_str(to, NFTNL_EXPR_IMM_CHAIN, from->verdict.chain);
  }
}

static void fill_counter_object(const struct expression *from, struct nftnl_expr *to) {
  nftnl_expr_set_u32(to, NFTNL_EXPR_OBJREF_IMM_TYPE, NFT_OBJECT_COUNTER);
  nftnl_expr_set_str(to, NFTNL_EXPR_OBJREF_IMM_NAME, from->name);
}

static void fill_counter(const struct expression *from, struct nftnl_expr *to) {
  (void)from;
  nftnl_expr_set_u64(to, NFTNL_EXPR_CTR_PACKETS, 0);
  nftnl_expr_set_u64(to, NFTNL_EXPR_CTR_BYTES, 0);
}

static void fill_limit(const struct expression *from, struct nftnl_expr *to) {
  nftnl_expr_set_u64(to, NFTNL_EXPR_LIMIT_RATE, from->rate);
  nftnl_expr_set_u64(to, NFTNL_EXPR_LIMIT_UNIT, from->unit_seconds);
  nftnl_expr_set_u32(to, NFTNL_EXPR_LIMIT_BURST, from->burst);
  nftnl_expr_set_u32(to, NFTNL_EXPR_LIMIT_TYPE, NFT_LIMIT_PKTS);
  nftnl_expr_set_u32(to, NFTNL_EXPR_LIMIT_FLAGS, from->key);
}

static void fill_log(const struct expression *from, struct nftnl_expr *to) {
  nftnl_expr_set_u16(to, NFTNL_EXPR_LOG_GROUP, (uint16_t)from->key);
  if (from->name != NULL) {
    nftnl_expr_set_str(to, NFTNL_EXPR_LOG_PREFIX, from->name);
  }
}

static void fill_reject(const struct expression *from, struct nftnl_expr *to) {
  nftnl_expr_set_u32(to, NFTNL_EXPR_REJECT_TYPE, from->key >> 8);
  nftnl_expr_set_u8(to, NFTNL_EXPR_REJECT_CODE, (uint8_t)from->key);
}

static void fill_byte_order(const struct expression *from, struct nftnl_expr *to) {
  nftnl_expr_set_u32(to, NFTNL_EXPR_BYTEORDER_SREG, register_number(from->source));
  nftnl_expr_set_u32(to, NFTNL_EXPR_BYTEORDER_DREG, register_number(from->destination));
  nftnl_expr_set_u32(to, NFTNL_EXPR_BYTEORDER_OP, from->key);
  nftnl_expr_set_u32(to, NFTNL_EXPR_BYTEORDER_LEN, from->length);
  nftnl_expr_set_u32(to, NFTNL_EXPR_BYTEORDER_SIZE, from->offset);
}

struct expression_writer {
  const char *name;
  void (*fill)(const struct expression *from, struct nftnl_expr *to);
};

static const struct expression_writer expression_writers[EXPRESSION_FOREIGN + 1] = {
    [EXPRESSION_META] = {"meta", fill_meta},
    [EXPRESSION_CT] = {"ct", fill_ct},
    [EXPRESSION_CT_SET] = {"ct", fill_ct},
    [EXPRESSION_META_SET] = {"meta", fill_meta},
    [EXPRESSION_PAYLOAD] = {"payload", fill_payload},
    [EXPRESSION_EXTHDR] = {"exthdr", fill_extension_header},
    [EXPRESSION_BITWISE] = {"bitwise", fill_bitwise},
    [EXPRESSION_COMPARE] = {"cmp", fill_compare},
    [EXPRESSION_RANGE] = {"range", fill_range},
    [EXPRESSION_LOOKUP] = {"lookup", fill_lookup},
    [EXPRESSION_IMMEDIATE] = {"immediate", fill_immediate},
    [EXPRESSION_VERDICT] = {"immediate", fill_verdict},
    [EXPRESSION_COUNTER_OBJECT] = {"objref", fill_counter_object},
    [EXPRESSION_COUNTER] = {"counter", fill_counter},
    [EXPRESSION_LIMIT] = {"limit", fill_limit},
    [EXPRESSION_LOG] = {"log", fill_log},
    [EXPRESSION_REJECT] = {"reject", fill_reject},
    [EXPRESSION_BYTEORDER] = {"byteorder", fill_byte_order},
};

static bool expression_is_sound(const struct expression *expression) {
  bool has_data = expression->kind == EXPRESSION_COMPARE || expression->kind == EXPRESSION_IMMEDIATE ||
                  expression->kind == EXPRESSION_RANGE || expression->kind == EXPRESSION_BITWISE;
  bool needs_name = expression->kind == EXPRESSION_LOOKUP || expression->kind == EXPRESSION_COUNTER_OBJECT;
  return expression->kind < EXPRESSION_FOREIGN && expression_writers[expression->kind].name != NULL &&
         (!has_data || (expression->length > 0 && expression->length <= sizeof(expression->data))) &&
         (!needs_name || (expression->name != NULL && name_fits(expression->name))) &&
         (expression->name == NULL || strnlen(expression->name, RULESET_NAME_MAX) < RULESET_NAME_MAX) &&
         (expression->verdict.chain == NULL || name_fits(expression->verdict.chain));
}

static int rule_add_expressions(const struct rule *rule, struct nftnl_rule *object) {
  for (size_t i = 0; i < rule->expression_count; i++) {
    const struct expression *expression = &rule->expressions[i];
    if (!expression_is_sound(expression)) {
      return -EINVAL;
    }
    const struct expression_writer *writer = &expression_writers[expression->kind];
    struct nftnl_expr *item = nftnl_expr_alloc(writer->name);
    if (item == NULL) {
      return -ENOMEM;
    }
    writer->fill(expression, item);
    nftnl_rule_add_expr(object, item);
  }
  return 0;
}

static int add_rule(struct nftables_batch *batch, const struct operation *operation, struct nlmsghdr *message,
                    struct error *error) {
  const struct rule *rule = operation->rule;
  struct user_data data = {0};
  user_data_put_comment(&data, NFTNL_UDATA_RULE_COMMENT, rule->comment);
  if (data.overflow) {
    return refuse_comment("a rule of", operation->chain->name, error);
  }
  struct nftnl_rule *object = nftnl_rule_alloc();
  if (object == NULL) {
    return refuse_memory(error);
  }
  nftnl_rule_set_str(object, NFTNL_RULE_TABLE, batch->table);
  nftnl_rule_set_str(object, NFTNL_RULE_CHAIN, operation->chain->name);
  if (data.length > 0) {
    nftnl_rule_set_data(object, NFTNL_RULE_USERDATA, data.bytes, data.length);
  }
  int status = rule_add_expressions(rule, object);
  if (status == 0) {
    nftnl_rule_nlmsg_build_payload(message, object);
  } else {
    error_set(error, -status, "a rule of chain '%s' cannot be written as netlink", operation->chain->name);
  }
  nftnl_rule_free(object);
  return status;
}

/* ---- elements ---- */

/* A key as attribute: DATA { VALUE } inside the given type. */
static void put_key(struct nlmsghdr *message, uint16_t type, const uint8_t *key, size_t size) {
  struct nlattr *nest = mnl_attr_nest_start(message, type);
  mnl_attr_put(message, NFTA_DATA_VALUE, size, key);
  mnl_attr_nest_end(message, nest);
}

static void put_verdict(struct nlmsghdr *message, const struct verdict *verdict) {
  struct nlattr *nest = mnl_attr_nest_start(message, NFTA_DATA_VERDICT);
  mnl_attr_put_u32(message, NFTA_VERDICT_CODE, htonl(verdict_number(verdict->code)));
  if (verdict->chain != NULL) {
    mnl_attr_put_strz(message, NFTA_VERDICT_CHAIN, verdict->chain);
  }
  mnl_attr_nest_end(message, nest);
}

static void put_element_data(struct nlmsghdr *message, const struct set *set, const struct element *element) {
  if (set->data == MAP_NONE) {
    return;
  }
  struct nlattr *nest = mnl_attr_nest_start(message, NFTA_SET_ELEM_DATA);
  if (set->data == MAP_MARK) {
    mnl_attr_put_u32(message, NFTA_DATA_VALUE, element->mark);
  } else {
    put_verdict(message, &element->verdict);
  }
  mnl_attr_nest_end(message, nest);
}

/* A counter that goes on from where it was; one that starts at zero the kernel makes itself. */
static void put_element_counter(struct nlmsghdr *message, const struct set *set, const struct element *element) {
  if (!set->counters || (element->packets == 0 && element->bytes == 0)) {
    return;
  }
  struct nlattr *expression = mnl_attr_nest_start(message, NFTA_SET_ELEM_EXPR);
  mnl_attr_put_strz(message, NFTA_EXPR_NAME, "counter");
  struct nlattr *data = mnl_attr_nest_start(message, NFTA_EXPR_DATA);
  mnl_attr_put_u64(message, NFTA_COUNTER_BYTES, htobe64(element->bytes));
  mnl_attr_put_u64(message, NFTA_COUNTER_PACKETS, htobe64(element->packets));
  mnl_attr_nest_end(message, data);
  mnl_attr_nest_end(message, expression);
}

/* An end that has passed becomes the shortest timeout, because none would be for ever. */
static void put_element_timeout(const struct nftables_batch *batch, struct nlmsghdr *message,
                                const struct element *element) {
  if (element->expires.seconds == INSTANT_NEVER.seconds) {
    return;
  }
  int64_t end = 0;
  if (__builtin_mul_overflow(element->expires.seconds, (int64_t)1000, &end)) {
    end = element->expires.seconds < 0 ? INT64_MIN : INT64_MAX;
  }
  int64_t left = 0;
  if (__builtin_sub_overflow(end, batch->now, &left)) {
    left = end < 0 ? 1 : INT64_MAX;
  }
  mnl_attr_put_u64(message, NFTA_SET_ELEM_TIMEOUT, htobe64(left > 0 ? (uint64_t)left : 1));
}

static bool key_is_zero(const uint8_t *key, size_t size) {
  for (size_t i = 0; i < size; i++) {
    if (key[i] != 0) {
      return false;
    }
  }
  return true;
}

/* False when the key is the last one there is. */
static bool key_increment(uint8_t *key, size_t size) {
  for (size_t i = size; i-- > 0;) {
    if (++key[i] != 0) {
      return true;
    }
  }
  return false;
}

static bool uses_tree(const struct set *set) {
  return set->interval && set->field_count == 1;
}

static void put_interval_end(struct nlmsghdr *message, const uint8_t *key, size_t size) {
  struct nlattr *nest = mnl_attr_nest_start(message, NFTA_LIST_ELEM);
  mnl_attr_put_u32(message, NFTA_SET_ELEM_FLAGS, htonl(NFT_SET_ELEM_INTERVAL_END));
  put_key(message, NFTA_SET_ELEM_KEY, key, size);
  mnl_attr_nest_end(message, nest);
}

static int put_element(const struct nftables_batch *batch, struct nlmsghdr *message, const struct operation *operation,
                       const struct element *element) {
  const struct set *set = operation->set;
  bool adding = operation->kind == OPERATION_ADD_ELEMENTS;
  uint8_t end[RULESET_DATA_MAX];
  memcpy(end, element->key_end, sizeof(end));
  bool has_end = uses_tree(set) && key_increment(end, set->key_size);
  struct user_data data = {0};
  user_data_put_comment(&data, NFTNL_UDATA_SET_ELEM_COMMENT, element->comment);
  if (uses_tree(set) && !has_end) {
    user_data_put_u32(&data, NFTNL_UDATA_SET_ELEM_FLAGS, NFTNL_SET_ELEM_F_INTERVAL_OPEN);
  }
  if (data.overflow || (element->verdict.chain != NULL && !name_fits(element->verdict.chain))) {
    return -E2BIG;
  }
  struct nlattr *nest = mnl_attr_nest_start(message, NFTA_LIST_ELEM);
  if (adding && set->timeouts) {
    put_element_timeout(batch, message, element);
  }
  put_key(message, NFTA_SET_ELEM_KEY, element->key, set->key_size);
  if (set->interval && set->field_count > 1) {
    put_key(message, NFTA_SET_ELEM_KEY_END, element->key_end, set->key_size);
  }
  if (adding) {
    put_element_data(message, set, element);
    put_element_counter(message, set, element);
    if (data.length > 0) {
      mnl_attr_put(message, NFTA_SET_ELEM_USERDATA, data.length, data.bytes);
    }
  }
  mnl_attr_nest_end(message, nest);
  if (has_end) {
    put_interval_end(message, end, set->key_size);
  }
  return 0;
}

static bool needs_lowest_end(const struct operation *operation, size_t next) {
  const struct set *set = operation->set;
  return next == 0 && operation->kind == OPERATION_ADD_ELEMENTS && uses_tree(set) &&
         !key_is_zero(operation->elements[0]->key, set->key_size);
}

/* Fills one message with elements from *next on, as many as a nested attribute holds. */
static int put_elements(struct nftables_batch *batch, const struct operation *operation, struct nlmsghdr *message,
                        size_t *next, struct error *error) {
  static const uint8_t lowest[RULESET_DATA_MAX] = {0};
  const struct set *set = operation->set;
  mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_TABLE, batch->table);
  mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_SET, set->name);
  struct nlattr *list = mnl_attr_nest_start(message, NFTA_SET_ELEM_LIST_ELEMENTS);
  uint32_t start = message->nlmsg_len;
  if (needs_lowest_end(operation, *next)) {
    put_interval_end(message, lowest, set->key_size);
  }
  while (*next < operation->element_count && message->nlmsg_len - start <= ELEMENT_LIST_LIMIT - ELEMENT_ROOM) {
    int status = put_element(batch, message, operation, operation->elements[*next]);
    if (status < 0) {
      return error_set(error, -status, "an element of set '%s' is too long for netlink", set->name);
    }
    (*next)++;
  }
  mnl_attr_nest_end(message, list);
  return 0;
}

static int add_element_messages(struct nftables_batch *batch, const struct operation *operation, struct error *error) {
  bool adding = operation->kind == OPERATION_ADD_ELEMENTS;
  int status = check_name(operation->set->name, error);
  for (size_t next = 0; status == 0 && next < operation->element_count;) {
    struct nlmsghdr *message = NULL;
    status = message_open(batch, adding ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM, adding ? NLM_F_CREATE : 0,
                          ELEMENT_MESSAGE_ROOM, operation, next, &message, error);
    if (status < 0) {
      return status;
    }
    status = put_elements(batch, operation, message, &next, error);
    if (status == 0) {
      message_close(batch, message);
    }
  }
  return status;
}

/* ---- dispatch ---- */

struct operation_writer {
  enum nf_tables_msg_types type;
  uint16_t flags;
  int (*write)(struct nftables_batch *batch, const struct operation *operation, struct nlmsghdr *message,
               struct error *error);
};

enum { CREATE_NEW = NLM_F_CREATE | NLM_F_EXCL };

static const struct operation_writer operation_writers[] = {
    [OPERATION_ADD_TABLE] = {NFT_MSG_NEWTABLE, CREATE_NEW, add_table},
    [OPERATION_DELETE_TABLE] = {NFT_MSG_DELTABLE, 0, delete_table},
    [OPERATION_ADD_COUNTER] = {NFT_MSG_NEWOBJ, CREATE_NEW, add_counter},
    [OPERATION_DELETE_COUNTER] = {NFT_MSG_DELOBJ, 0, delete_counter},
    [OPERATION_ADD_SET] = {NFT_MSG_NEWSET, CREATE_NEW, add_set},
    [OPERATION_DELETE_SET] = {NFT_MSG_DELSET, 0, delete_set},
    [OPERATION_ADD_CHAIN] = {NFT_MSG_NEWCHAIN, CREATE_NEW, add_chain},
    [OPERATION_DELETE_CHAIN] = {NFT_MSG_DELCHAIN, 0, delete_chain},
    [OPERATION_ADD_RULE] = {NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, add_rule},
    [OPERATION_FLUSH_CHAIN] = {NFT_MSG_DELRULE, 0, flush_chain},
};

static const char *operation_name(const struct operation *operation) {
  if (operation->set != NULL) {
    return operation->set->name;
  }
  if (operation->chain != NULL) {
    return operation->chain->name;
  }
  return operation->counter != NULL ? operation->counter->name : "-";
}

int nftables_batch_add(struct nftables_batch *batch, const struct operation *operation, struct error *error) {
  if (operation->kind == OPERATION_ADD_ELEMENTS || operation->kind == OPERATION_DELETE_ELEMENTS) {
    return add_element_messages(batch, operation, error);
  }
  int status = check_name(operation_name(operation), error);
  if (status < 0) {
    return status;
  }
  const struct operation_writer *writer = &operation_writers[operation->kind];
  size_t room = SMALL_MESSAGE_ROOM;
  if (operation->rule != NULL) {
    room += operation->rule->expression_count * EXPRESSION_ROOM;
  }
  struct nlmsghdr *message = NULL;
  status = message_open(batch, writer->type, writer->flags, room, operation, 0, &message, error);
  if (status < 0) {
    return status;
  }
  status = writer->write(batch, operation, message, error);
  if (status == 0) {
    message_close(batch, message);
  }
  return status;
}

/* ---- blame ---- */

/* Element of the message that holds the byte at `offset`: elements are counted by their starts. */
static size_t element_at(const struct nlmsghdr *message, uint32_t offset) {
  struct attributes attributes;
  attributes_split_message(message, sizeof(struct nfgenmsg), UINT32_MAX, &attributes);
  struct attribute_walk walk;
  attribute_walk_start(&walk, attributes.items[NFTA_SET_ELEM_LIST_ELEMENTS]);
  size_t count = 0;
  const struct nlattr *element;
  while ((element = attribute_walk_next(&walk)) != NULL &&
         (const char *)element - (const char *)message <= (ptrdiff_t)offset) {
    struct attributes parts;
    attributes_split_nested(element, UINT32_MAX, &parts);
    count += (attributes_u32(&parts, NFTA_SET_ELEM_FLAGS, 0) & NFT_SET_ELEM_INTERVAL_END) == 0;
  }
  return count > 0 ? count - 1 : 0;
}

bool nftables_batch_find(const struct nftables_batch *batch, uint32_t sequence, uint32_t attribute_offset,
                         struct batch_blame *ret_blame) {
  uint32_t index = sequence - batch->first_sequence - 1;
  if (index >= batch->message_count) {
    return false;
  }
  const struct batch_message *from = &batch->messages[index];
  const struct operation *operation = from->operation;
  *ret_blame = (struct batch_blame){.operation = operation};
  const struct nlmsghdr *message = message_at(batch, from->offset);
  if (operation->element_count > 0 && attribute_offset > 0 && attribute_offset < message->nlmsg_len) {
    size_t element = from->first_element + element_at(message, attribute_offset);
    ret_blame->element = element < operation->element_count ? operation->elements[element] : NULL;
  }
  return true;
}
