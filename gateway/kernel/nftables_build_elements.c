/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * Elements are not built by libnftnl: an object for each costs five times the memory and most of the time of a large
 * load. They are written straight as attributes, split over messages, for a nested attribute cannot exceed 65535 bytes.
 *
 * The kernel keeps one-field interval sets as a tree of half-open intervals: a range is a start and, one above its last
 * key, an end element. nft adds an end at the lowest key when nothing starts there; we do so too, that both leave the
 * same state.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <libnftnl/udata.h>
#include <linux/netfilter/nfnetlink.h>

#include "kernel/nftables_attributes.h"
#include "kernel/nftables_build_parts.h"

enum {
  ELEMENT_ROOM = 1024,          /* more than any one element takes: two keys, a chain's name, a comment */
  ELEMENT_LIST_LIMIT = 60000,   /* bytes of a nested list of elements; the format ends at 65535 */
  ELEMENT_MESSAGE_ROOM = 65536, /* the list and the names in front of it */
  ENDING_SECONDS = 10,
};

static_assert((unsigned)ELEMENT_LIST_LIMIT + (unsigned)ELEMENT_ROOM < UINT16_MAX, "one more element must always fit");

/* A key as attribute: DATA { VALUE } inside the given type. */
static void put_key(struct nlmsghdr *message, uint16_t type, const uint8_t *key, size_t size) {
  struct nlattr *nest = mnl_attr_nest_start(message, type);
  mnl_attr_put(message, NFTA_DATA_VALUE, size, key);
  mnl_attr_nest_end(message, nest);
}

static void put_verdict(struct nlmsghdr *message, const struct verdict *verdict) {
  struct nlattr *nest = mnl_attr_nest_start(message, NFTA_DATA_VERDICT);
  mnl_attr_put_u32(message, NFTA_VERDICT_CODE, htonl(build_verdict_number(verdict->code)));
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
  if (data.overflow || (element->verdict.chain != NULL && !build_name_fits(element->verdict.chain))) {
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

/*
 * An element that ends by itself between the reading and the batch would make the kernel refuse the batch, for it
 * cannot be deleted any more. So one whose end is near is added first, by its key alone: when it is still there, that
 * does nothing.
 */
static bool may_end_now(const struct nftables_batch *batch, const struct operation *operation,
                        const struct element *element) {
  return operation->kind == OPERATION_DELETE_ELEMENTS && operation->set->timeouts &&
         element->expires.seconds <= batch->now / 1000 + ENDING_SECONDS;
}

static int keep_ending_elements(struct nftables_batch *batch, const struct operation *operation, struct error *error) {
  const struct set *set = operation->set;
  int status = 0;
  for (size_t i = 0; status == 0 && i < operation->element_count; i++) {
    if (!may_end_now(batch, operation, operation->elements[i])) {
      continue;
    }
    struct nlmsghdr *message = NULL;
    status = build_message_open(batch, NFT_MSG_NEWSETELEM, NLM_F_CREATE, ELEMENT_ROOM, operation, i, &message, error);
    if (status == 0) {
      mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_TABLE, batch->table);
      mnl_attr_put_strz(message, NFTA_SET_ELEM_LIST_SET, set->name);
      struct nlattr *list = mnl_attr_nest_start(message, NFTA_SET_ELEM_LIST_ELEMENTS);
      struct nlattr *nest = mnl_attr_nest_start(message, NFTA_LIST_ELEM);
      put_key(message, NFTA_SET_ELEM_KEY, operation->elements[i]->key, set->key_size);
      mnl_attr_nest_end(message, nest);
      mnl_attr_nest_end(message, list);
      build_message_close(batch, message);
    }
  }
  return status;
}

int build_elements(struct nftables_batch *batch, const struct operation *operation, struct error *error) {
  bool adding = operation->kind == OPERATION_ADD_ELEMENTS;
  int status = build_check_name(operation->set->name, error);
  if (status == 0) {
    status = keep_ending_elements(batch, operation, error);
  }
  for (size_t next = 0; status == 0 && next < operation->element_count;) {
    struct nlmsghdr *message = NULL;
    status = build_message_open(batch, adding ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM, adding ? NLM_F_CREATE : 0,
                                ELEMENT_MESSAGE_ROOM, operation, next, &message, error);
    if (status < 0) {
      return status;
    }
    status = put_elements(batch, operation, message, &next, error);
    if (status == 0) {
      build_message_close(batch, message);
    }
  }
  return status;
}

/* Elements are counted by their starts: an end belongs to the one before it. */
size_t build_element_at(const struct nlmsghdr *message, uint32_t offset) {
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
