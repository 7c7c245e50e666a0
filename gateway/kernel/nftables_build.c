/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * The batch is one growing buffer; messages are written at its end after room for the largest one was made, because
 * neither libmnl nor libnftnl looks at the end of a buffer. Positions are kept as offsets: the buffer moves.
 *
 * Chains, sets, rules and counters are built by libnftnl; elements are not (see nftables_build_elements.c).
 *
 * What nft stores as user data only (byte orders, comments) is written byte for byte as 1.0.6 does: `nft list` needs it
 * to print keys and comments.
 */
#include "kernel/nftables_build.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/object.h>
#include <libnftnl/set.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "kernel/nftables_attributes.h"
#include "kernel/nftables_build_parts.h"

enum {
  SMALL_MESSAGE_ROOM = 4096, /* a message without rules or elements: a few names and comments */
  KEY_TYPE_BITS = 6,         /* of each field's datatype in a set's key type */
};

static struct nlmsghdr *message_at(const struct nftables_batch *batch, size_t offset) {
  return (struct nlmsghdr *)(void *)(batch->data + offset);
}

static int batch_reserve(struct nftables_batch *batch, size_t room, struct error *error) {
  if (batch->capacity - batch->length >= room) {
    return 0;
  }
  size_t capacity = batch->capacity * 2 + room;
  if (capacity > INT_MAX) {
    error_set(error, E2BIG, "a transaction of more than 2 GiB");
    return -E2BIG;
  }
  char *data = realloc(batch->data, capacity);
  if (data == NULL) {
    error_set(error, ENOMEM, "no memory for a transaction of %zu bytes", capacity);
    return -ENOMEM;
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
      error_set(error, ENOMEM, "no memory for a transaction of %zu messages", capacity);
      return -ENOMEM;
    }
    batch->messages = messages;
    batch->message_capacity = capacity;
  }
  batch->messages[batch->message_count++] = (struct batch_message){batch->length, operation, first_element};
  return 0;
}

/* Writes the header of a message about our table and notes whom it is for. Its end is build_message_close(). */
int build_message_open(struct nftables_batch *batch, enum nf_tables_msg_types type, uint16_t flags, size_t room,
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

void build_message_close(struct nftables_batch *batch, const struct nlmsghdr *message) {
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
  build_message_close(batch, message);
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
  build_message_close(batch, message_start(batch, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
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

void user_data_put(struct user_data *data, uint8_t tag, const void *value, size_t size) {
  if (size > UINT8_MAX || data->length + 2 + size > sizeof(data->bytes)) {
    data->overflow = true;
    return;
  }
  data->bytes[data->length] = tag;
  data->bytes[data->length + 1] = (uint8_t)size;
  memcpy(data->bytes + data->length + 2, value, size);
  data->length += (uint32_t)(2 + size);
}

void user_data_put_u32(struct user_data *data, uint8_t tag, uint32_t value) {
  user_data_put(data, tag, &value, sizeof(value));
}

void user_data_put_comment(struct user_data *data, uint8_t tag, const char *comment) {
  if (comment != NULL) {
    user_data_put(data, tag, comment, strlen(comment) + 1);
  }
}

int build_refuse_comment(const char *kind, const char *name, struct error *error) {
  return error_set(error, E2BIG, "the comment of %s '%s' is too long for netlink", kind, name);
}

int build_refuse_memory(struct error *error) {
  return error_set(error, ENOMEM, "no memory for a netlink message");
}

bool build_name_fits(const char *name) {
  size_t length = strnlen(name, NFT_NAME_MAXLEN);
  return length > 0 && length < NFT_NAME_MAXLEN;
}

int build_check_name(const char *name, struct error *error) {
  return build_name_fits(name) ? 0 : error_set(error, E2BIG, "the name '%.40s…' is too long for netlink", name);
}

/* ---- table, counters ---- */

static int add_table(struct nftables_batch *batch, const struct operation *operation, struct nlmsghdr *message,
                     struct error *error) {
  (void)operation;
  (void)error;
  mnl_attr_put_strz(message, NFTA_TABLE_NAME, batch->table);
  mnl_attr_put_u32(message, NFTA_TABLE_FLAGS, htonl(batch->table_flags));
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
    return build_refuse_comment("counter", counter->name, error);
  }
  struct nftnl_obj *object = nftnl_obj_alloc();
  if (object == NULL) {
    return build_refuse_memory(error);
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
static const uint8_t field_byte_orders[KEY_FIELD_COUNT_] = {
    [KEY_FIELD_IPV4] = 2, [KEY_FIELD_IPV6] = 2,      [KEY_FIELD_ETHER] = 2,
    [KEY_FIELD_PORT] = 2, [KEY_FIELD_PROTOCOL] = 0,  [KEY_FIELD_INTERFACE] = 1,
    [KEY_FIELD_MARK] = 1, [KEY_FIELD_ICMP_TYPE] = 2, [KEY_FIELD_ICMPV6_TYPE] = 2,
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
  flags |= set->dynamic ? NFT_SET_EVAL : 0;
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
    nftnl_set_set_u32(object, NFTNL_SET_DATA_TYPE, field_nft_type(KEY_FIELD_MARK));
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
  if (set->timeout_seconds > 0) {
    nftnl_set_set_u64(object, NFTNL_SET_TIMEOUT, (uint64_t)set->timeout_seconds * 1000);
  }
  if (set->sweep_milliseconds > 0) {
    nftnl_set_set_u32(object, NFTNL_SET_GC_INTERVAL, set->sweep_milliseconds);
  }
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
    return build_refuse_comment("set", set->name, error);
  }
  struct nftnl_set *object = nftnl_set_alloc();
  if (object == NULL) {
    return build_refuse_memory(error);
  }
  int status = set_fill(batch, set, &data, object);
  if (status == 0) {
    nftnl_set_nlmsg_build_payload(message, object);
  }
  nftnl_set_free(object);
  return status < 0 ? build_refuse_memory(error) : 0;
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
    return build_refuse_comment("chain", chain->name, error);
  }
  struct nftnl_chain *object = nftnl_chain_alloc();
  if (object == NULL) {
    return build_refuse_memory(error);
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
    [OPERATION_ADD_RULE] = {NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, build_rule},
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
    return build_elements(batch, operation, error);
  }
  int status = build_check_name(operation_name(operation), error);
  if (status < 0) {
    return status;
  }
  const struct operation_writer *writer = &operation_writers[operation->kind];
  size_t room = SMALL_MESSAGE_ROOM;
  if (operation->rule != NULL) {
    room += operation->rule->expression_count * BUILD_EXPRESSION_ROOM;
  }
  struct nlmsghdr *message = NULL;
  status = build_message_open(batch, writer->type, writer->flags, room, operation, 0, &message, error);
  if (status < 0) {
    return status;
  }
  status = writer->write(batch, operation, message, error);
  if (status == 0) {
    build_message_close(batch, message);
  }
  return status;
}

/* ---- blame ---- */

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
    size_t element = from->first_element + build_element_at(message, attribute_offset);
    ret_blame->element = element < operation->element_count ? operation->elements[element] : NULL;
  }
  return true;
}
