/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/nftables_attributes.h"

#include <arpa/inet.h>
#include <endian.h>
#include <string.h>

#include <libmnl/libmnl.h>

#include "base/cursor.h"

size_t netlink_align(size_t length) {
  return (length + (NLMSG_ALIGNTO - 1)) & ~(size_t)(NLMSG_ALIGNTO - 1);
}

void attribute_walk_start(struct attribute_walk *walk, const struct nlattr *nest) {
  *walk = (struct attribute_walk){.data = mnl_attr_get_payload(nest), .length = mnl_attr_get_payload_len(nest)};
}

const struct nlattr *attribute_walk_next(struct attribute_walk *walk) {
  size_t left = walk->length - walk->position;
  if (walk->malformed || left < sizeof(struct nlattr)) {
    return NULL;
  }
  const struct nlattr *attribute = (const struct nlattr *)(const void *)(walk->data + walk->position);
  size_t size = attribute->nla_len;
  if (size < sizeof(struct nlattr) || size > left) {
    walk->malformed = true;
    return NULL;
  }
  size_t step = netlink_align(size);
  walk->position += step < left ? step : left;
  return attribute;
}

static void split(struct attribute_walk *walk, uint32_t known, struct attributes *ret_attributes) {
  *ret_attributes = (struct attributes){0};
  const struct nlattr *attribute;
  while ((attribute = attribute_walk_next(walk)) != NULL) {
    unsigned type = mnl_attr_get_type(attribute);
    if (type >= ATTRIBUTE_TYPE_COUNT || (known & ATTRIBUTE(type)) == 0 || ret_attributes->items[type] != NULL) {
      ret_attributes->foreign = true;
    } else {
      ret_attributes->items[type] = attribute;
    }
  }
  ret_attributes->malformed = walk->malformed;
}

void attributes_split_nested(const struct nlattr *nest, uint32_t known, struct attributes *ret_attributes) {
  struct attribute_walk walk;
  attribute_walk_start(&walk, nest);
  split(&walk, known, ret_attributes);
}

void attributes_split_message(const struct nlmsghdr *message, size_t header_size, uint32_t known,
                              struct attributes *ret_attributes) {
  size_t start = NLMSG_HDRLEN + netlink_align(header_size);
  if (message->nlmsg_len < start) {
    *ret_attributes = (struct attributes){.malformed = true};
    return;
  }
  struct attribute_walk walk = {.data = (const char *)message + start, .length = message->nlmsg_len - start};
  split(&walk, known, ret_attributes);
}

bool attributes_have(const struct attributes *attributes, unsigned type) {
  return attributes->items[type] != NULL;
}

/* The value when it is there and has that size; else NULL, and malformed when it has another. */
static const void *value_of_size(struct attributes *attributes, unsigned type, size_t size) {
  const struct nlattr *item = attributes->items[type];
  if (item == NULL) {
    return NULL;
  }
  if (mnl_attr_get_payload_len(item) != size) {
    attributes->malformed = true;
    return NULL;
  }
  return mnl_attr_get_payload(item);
}

uint8_t attributes_u8(struct attributes *attributes, unsigned type, uint8_t fallback) {
  const uint8_t *value = value_of_size(attributes, type, sizeof(*value));
  return value == NULL ? fallback : *value;
}

uint16_t attributes_u16(struct attributes *attributes, unsigned type, uint16_t fallback) {
  uint16_t number;
  const void *value = value_of_size(attributes, type, sizeof(number));
  if (value == NULL) {
    return fallback;
  }
  memcpy(&number, value, sizeof(number));
  return ntohs(number);
}

uint32_t attributes_u32(struct attributes *attributes, unsigned type, uint32_t fallback) {
  uint32_t number;
  const void *value = value_of_size(attributes, type, sizeof(number));
  if (value == NULL) {
    return fallback;
  }
  memcpy(&number, value, sizeof(number));
  return ntohl(number);
}

uint64_t attributes_u64(struct attributes *attributes, unsigned type, uint64_t fallback) {
  uint64_t number;
  const void *value = value_of_size(attributes, type, sizeof(number));
  if (value == NULL) {
    return fallback;
  }
  memcpy(&number, value, sizeof(number));
  return be64toh(number);
}

const char *attributes_string(struct attributes *attributes, unsigned type) {
  const struct nlattr *item = attributes->items[type];
  if (item == NULL) {
    return NULL;
  }
  const char *text = mnl_attr_get_payload(item);
  if (memchr(text, '\0', mnl_attr_get_payload_len(item)) == NULL) {
    attributes->malformed = true;
    return NULL;
  }
  return text;
}

bool attributes_bytes(const struct attributes *attributes, unsigned type, const void **ret_data, size_t *ret_length) {
  const struct nlattr *item = attributes->items[type];
  if (item == NULL) {
    return false;
  }
  *ret_data = mnl_attr_get_payload(item);
  *ret_length = mnl_attr_get_payload_len(item);
  return true;
}

const char *user_data_text(const struct attributes *attributes, unsigned type, uint8_t tag, struct arena *arena) {
  const void *data = NULL;
  size_t length = 0;
  if (!attributes_bytes(attributes, type, &data, &length)) {
    return NULL;
  }
  struct cursor cursor;
  cursor_init(&cursor, data, length);
  while (cursor_left(&cursor) > 0) {
    uint8_t found = cursor_u8(&cursor);
    uint8_t size = cursor_u8(&cursor);
    const uint8_t *value = cursor_take(&cursor, size);
    if (value != NULL && found == tag) {
      return arena_strndup(arena, (const char *)value, strnlen((const char *)value, size));
    }
  }
  return NULL;
}
