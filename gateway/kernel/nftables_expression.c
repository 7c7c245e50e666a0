/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * A table gives, for each kind of expression, the attributes that may occur and where their value goes in struct
 * expression. One loop reads by the table; what it cannot place makes the expression foreign. A last step per kind
 * refuses combinations that the struct cannot say (a payload that is written, a limit by bytes).
 */
#include "kernel/nftables_expression.h"

#include <errno.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

enum target {
  TARGET_KEY,
  TARGET_KEY_U8,
  TARGET_KEY_U16,
  TARGET_DIRECTION,
  TARGET_SOURCE,
  TARGET_DESTINATION, /* of lookups and immediates it may be the verdict */
  TARGET_OFFSET,
  TARGET_LENGTH,
  TARGET_DATA, /* also sets the length */
  TARGET_MASK,
  TARGET_XOR,
  TARGET_NAME,
  TARGET_RATE,
  TARGET_UNIT,
  TARGET_BURST,
  TARGET_FLAGS,   /* for the last step */
  TARGET_CODE,    /* for the last step */
  TARGET_NESTED,  /* for the last step: the expression of a dynamic set's elements */
  TARGET_ZERO,    /* foreign unless it is zero */
  TARGET_IGNORED, /* counters' values */
};

enum { OPTIONAL = 1 };

struct field {
  uint8_t attribute;
  uint8_t target;
  uint8_t optional;
};

enum { FIELD_MAX = 8, REGISTER_VERDICT = 0xff };

/* What was read beyond the expression itself. */
struct reading {
  struct expression *expression;
  struct arena *arena;
  struct attributes attributes;
  uint32_t flags;
  uint8_t code;
  bool has_source;
  bool has_destination;
  bool sound;
};

struct expression_format {
  const char *name;
  enum expression_kind kind;
  struct field fields[FIELD_MAX];
  bool (*finish)(struct reading *reading); /* false: foreign */
};

/* ---- values ---- */

bool nftables_value_parse(const struct nlattr *nest, size_t room, const void **ret_data, size_t *ret_length) {
  struct attributes attributes;
  attributes_split_nested(nest, ATTRIBUTE(NFTA_DATA_VALUE), &attributes);
  const void *data = NULL;
  size_t length = 0;
  if (attributes.foreign || attributes.malformed || !attributes_bytes(&attributes, NFTA_DATA_VALUE, &data, &length) ||
      length == 0 || length > room) {
    return false;
  }
  *ret_data = data;
  *ret_length = length;
  return true;
}

static bool verdict_code(int32_t number, enum verdict_code *ret_code) {
  switch (number) {
  case NF_ACCEPT:
    *ret_code = VERDICT_ACCEPT;
    return true;
  case NF_DROP:
    *ret_code = VERDICT_DROP;
    return true;
  case NFT_JUMP:
    *ret_code = VERDICT_JUMP;
    return true;
  case NFT_GOTO:
    *ret_code = VERDICT_GOTO;
    return true;
  case NFT_RETURN:
    *ret_code = VERDICT_RETURN;
    return true;
  default:
    return false;
  }
}

bool nftables_verdict_parse(const struct nlattr *nest, struct arena *arena, struct verdict *ret_verdict) {
  struct attributes outer;
  attributes_split_nested(nest, ATTRIBUTE(NFTA_DATA_VERDICT), &outer);
  if (outer.foreign || outer.malformed || !attributes_have(&outer, NFTA_DATA_VERDICT)) {
    return false;
  }
  struct attributes inner;
  attributes_split_nested(outer.items[NFTA_DATA_VERDICT], ATTRIBUTE(NFTA_VERDICT_CODE) | ATTRIBUTE(NFTA_VERDICT_CHAIN),
                          &inner);
  struct verdict verdict = {0};
  bool known = verdict_code((int32_t)attributes_u32(&inner, NFTA_VERDICT_CODE, (uint32_t)NFT_CONTINUE), &verdict.code);
  const char *chain = attributes_string(&inner, NFTA_VERDICT_CHAIN);
  bool wants_chain = verdict.code == VERDICT_JUMP || verdict.code == VERDICT_GOTO;
  if (!known || inner.foreign || inner.malformed || wants_chain != (chain != NULL)) {
    return false;
  }
  if (chain != NULL) {
    verdict.chain = arena_strdup(arena, chain);
  }
  *ret_verdict = verdict;
  return true;
}

/* The kernel's two ways of numbering a register; false for neither. */
static bool register_word(uint32_t number, uint8_t *ret_word) {
  if (number == NFT_REG_VERDICT) {
    *ret_word = REGISTER_VERDICT;
    return true;
  }
  if (number >= NFT_REG_1 && number <= NFT_REG_4) {
    *ret_word = (uint8_t)((number - NFT_REG_1) * (NFT_REG_SIZE / NFT_REG32_SIZE));
    return true;
  }
  if (number >= NFT_REG32_00 && number <= NFT_REG32_15) {
    *ret_word = (uint8_t)(number - NFT_REG32_00);
    return true;
  }
  return false;
}

static void read_register(struct reading *reading, unsigned type, uint8_t *word, bool *present) {
  reading->sound = reading->sound && register_word(attributes_u32(&reading->attributes, type, UINT32_MAX), word);
  *present = true;
}

static void read_data(struct reading *reading, unsigned type, uint8_t target[static 16]) {
  const void *data = NULL;
  size_t length = 0;
  if (nftables_value_parse(reading->attributes.items[type], 16, &data, &length)) {
    memcpy(target, data, length);
    reading->expression->length = (uint32_t)length;
  } else {
    reading->sound = false;
  }
}

/* Text with or without its terminator: both are lawful in netlink. */
static void read_name(struct reading *reading, unsigned type) {
  const void *text = NULL;
  size_t length = 0;
  reading->sound = reading->sound && attributes_bytes(&reading->attributes, type, &text, &length);
  if (text != NULL) {
    reading->expression->name = arena_strndup(reading->arena, text, strnlen(text, length));
  }
}

/* True when every byte of the value is zero, whatever its size. */
static bool is_zero(const struct attributes *attributes, unsigned type) {
  const void *data = NULL;
  size_t length = 0;
  if (!attributes_bytes(attributes, type, &data, &length)) {
    return true;
  }
  const uint8_t *bytes = data;
  for (size_t i = 0; i < length; i++) {
    if (bytes[i] != 0) {
      return false;
    }
  }
  return true;
}

static void read_number(struct reading *reading, enum target target, unsigned type) {
  struct attributes *attributes = &reading->attributes;
  struct expression *to = reading->expression;
  switch (target) {
  case TARGET_KEY:
    to->key = attributes_u32(attributes, type, 0);
    break;
  case TARGET_KEY_U8:
    to->key = attributes_u8(attributes, type, 0);
    break;
  case TARGET_KEY_U16:
    to->key = attributes_u16(attributes, type, 0);
    break;
  case TARGET_DIRECTION:
    to->direction = attributes_u8(attributes, type, 0);
    break;
  case TARGET_OFFSET:
    to->offset = attributes_u32(attributes, type, 0);
    break;
  case TARGET_LENGTH:
    to->length = attributes_u32(attributes, type, 0);
    break;
  case TARGET_RATE:
    to->rate = attributes_u64(attributes, type, 0);
    break;
  case TARGET_UNIT:
    to->unit_seconds = attributes_u64(attributes, type, 0);
    break;
  case TARGET_BURST:
    to->burst = attributes_u32(attributes, type, 0);
    break;
  case TARGET_FLAGS:
    reading->flags = attributes_u32(attributes, type, 0);
    break;
  case TARGET_CODE:
    reading->code = attributes_u8(attributes, type, 0);
    break;
  default:
    break;
  }
}

static void read_field(struct reading *reading, const struct field *field) {
  struct expression *to = reading->expression;
  unsigned type = field->attribute;
  if (!attributes_have(&reading->attributes, type)) {
    reading->sound = reading->sound && field->optional;
    return;
  }
  switch ((enum target)field->target) {
  case TARGET_SOURCE:
    read_register(reading, type, &to->source, &reading->has_source);
    break;
  case TARGET_DESTINATION:
    read_register(reading, type, &to->destination, &reading->has_destination);
    break;
  case TARGET_DATA:
    read_data(reading, type, to->data);
    break;
  case TARGET_MASK:
    read_data(reading, type, to->mask);
    break;
  case TARGET_XOR:
    read_data(reading, type, to->xor);
    break;
  case TARGET_NAME:
    read_name(reading, type);
    break;
  case TARGET_ZERO:
    reading->sound = reading->sound && is_zero(&reading->attributes, type);
    break;
  default:
    read_number(reading, (enum target)field->target, type);
    break;
  }
}

/* ---- what the struct can say of each kind ---- */

static bool is_word(uint8_t word) {
  return word != REGISTER_VERDICT;
}

/* Loads into a register, or writes the key from one: never both. */
static bool finish_load_or_set(struct reading *reading, enum expression_kind set, bool settable) {
  struct expression *expression = reading->expression;
  if (reading->has_source == reading->has_destination) {
    return false;
  }
  if (reading->has_destination) {
    return is_word(expression->destination);
  }
  expression->kind = set;
  return is_word(expression->source) && settable;
}

static bool finish_meta(struct reading *reading) {
  return finish_load_or_set(reading, EXPRESSION_META_SET, reading->expression->key == NFT_META_MARK);
}

static bool finish_ct(struct reading *reading) {
  struct expression *expression = reading->expression;
  bool directed = attributes_have(&reading->attributes, NFTA_CT_DIRECTION);
  if (reading->has_source && directed) {
    return false;
  }
  if (reading->has_destination && !directed) {
    expression->direction = UINT8_MAX;
  }
  return finish_load_or_set(reading, EXPRESSION_CT_SET,
                            expression->key == NFT_CT_MARK || expression->key == NFT_CT_EVENTMASK);
}

static bool finish_load(struct reading *reading) {
  return is_word(reading->expression->destination);
}

static bool finish_extension_header(struct reading *reading) {
  reading->expression->present = reading->flags == NFT_EXTHDR_F_PRESENT;
  return is_word(reading->expression->destination) && (reading->flags & ~(uint32_t)NFT_EXTHDR_F_PRESENT) == 0;
}

static bool finish_compare(struct reading *reading) {
  return is_word(reading->expression->source);
}

/* All values of one expression have its length: each was read into it in turn. */
static bool same_lengths(const struct reading *reading, unsigned first, unsigned second, uint32_t length) {
  const void *data = NULL;
  size_t lengths[2] = {0};
  return nftables_value_parse(reading->attributes.items[first], 16, &data, &lengths[0]) &&
         nftables_value_parse(reading->attributes.items[second], 16, &data, &lengths[1]) && lengths[0] == lengths[1] &&
         lengths[0] == length;
}

static bool finish_range(struct reading *reading) {
  return is_word(reading->expression->source) &&
         same_lengths(reading, NFTA_RANGE_FROM_DATA, NFTA_RANGE_TO_DATA, reading->expression->length);
}

static bool finish_bitwise(struct reading *reading) {
  const struct expression *expression = reading->expression;
  uint32_t length = attributes_u32(&reading->attributes, NFTA_BITWISE_LEN, 0);
  return is_word(expression->source) && is_word(expression->destination) &&
         same_lengths(reading, NFTA_BITWISE_MASK, NFTA_BITWISE_XOR, length);
}

static bool finish_byte_order(struct reading *reading) {
  return is_word(reading->expression->source) && is_word(reading->expression->destination);
}

static bool finish_lookup(struct reading *reading) {
  struct expression *expression = reading->expression;
  expression->invert = reading->flags == NFT_LOOKUP_F_INV;
  expression->to_verdict = reading->has_destination && !is_word(expression->destination);
  expression->has_destination = reading->has_destination && !expression->to_verdict;
  if (expression->to_verdict) {
    expression->destination = 0;
  }
  return is_word(expression->source) && (reading->flags & ~(uint32_t)NFT_LOOKUP_F_INV) == 0;
}

static bool finish_immediate(struct reading *reading) {
  struct expression *expression = reading->expression;
  const struct nlattr *data = reading->attributes.items[NFTA_IMMEDIATE_DATA];
  if (!is_word(expression->destination)) {
    expression->kind = EXPRESSION_VERDICT;
    expression->destination = 0;
    return nftables_verdict_parse(data, reading->arena, &expression->verdict);
  }
  read_data(reading, NFTA_IMMEDIATE_DATA, expression->data);
  return reading->sound;
}

static bool finish_counter_object(struct reading *reading) {
  return reading->flags == NFT_OBJECT_COUNTER;
}

static bool finish_limit(struct reading *reading) {
  return reading->expression->key <= NFT_LIMIT_F_INV;
}

static bool finish_connections(struct reading *reading) {
  return reading->expression->key <= NFT_CONNLIMIT_F_INV;
}

static bool read_bucket(const struct nlattr *nest, struct arena *arena, struct expression *expression);

static bool finish_dynset(struct reading *reading) {
  const struct nlattr *bucket = reading->attributes.items[NFTA_DYNSET_EXPR];
  return is_word(reading->expression->source) && reading->expression->key <= NFT_DYNSET_OP_DELETE &&
         (bucket == NULL || read_bucket(bucket, reading->arena, reading->expression));
}

static bool finish_reject(struct reading *reading) {
  struct expression *expression = reading->expression;
  bool known = expression->key <= NFT_REJECT_ICMPX_UNREACH;
  expression->key = expression->key << 8 | reading->code;
  return known;
}

static const struct expression_format expression_formats[] = {
    {"meta",
     EXPRESSION_META,
     {{NFTA_META_KEY, TARGET_KEY, 0},
      {NFTA_META_DREG, TARGET_DESTINATION, OPTIONAL},
      {NFTA_META_SREG, TARGET_SOURCE, OPTIONAL}},
     finish_meta},
    {"ct",
     EXPRESSION_CT,
     {{NFTA_CT_KEY, TARGET_KEY, 0},
      {NFTA_CT_DREG, TARGET_DESTINATION, OPTIONAL},
      {NFTA_CT_SREG, TARGET_SOURCE, OPTIONAL},
      {NFTA_CT_DIRECTION, TARGET_DIRECTION, OPTIONAL}},
     finish_ct},
    {"payload",
     EXPRESSION_PAYLOAD,
     {{NFTA_PAYLOAD_BASE, TARGET_KEY, 0},
      {NFTA_PAYLOAD_OFFSET, TARGET_OFFSET, 0},
      {NFTA_PAYLOAD_LEN, TARGET_LENGTH, 0},
      {NFTA_PAYLOAD_DREG, TARGET_DESTINATION, 0}},
     finish_load},
    {"exthdr",
     EXPRESSION_EXTHDR,
     {{NFTA_EXTHDR_TYPE, TARGET_KEY_U8, 0},
      {NFTA_EXTHDR_OFFSET, TARGET_OFFSET, 0},
      {NFTA_EXTHDR_LEN, TARGET_LENGTH, 0},
      {NFTA_EXTHDR_FLAGS, TARGET_FLAGS, OPTIONAL},
      {NFTA_EXTHDR_OP, TARGET_ZERO, OPTIONAL},
      {NFTA_EXTHDR_DREG, TARGET_DESTINATION, 0}},
     finish_extension_header},
    {"bitwise",
     EXPRESSION_BITWISE,
     {{NFTA_BITWISE_SREG, TARGET_SOURCE, 0},
      {NFTA_BITWISE_DREG, TARGET_DESTINATION, 0},
      {NFTA_BITWISE_OP, TARGET_ZERO, OPTIONAL},
      {NFTA_BITWISE_LEN, TARGET_LENGTH, 0},
      {NFTA_BITWISE_MASK, TARGET_MASK, 0},
      {NFTA_BITWISE_XOR, TARGET_XOR, 0}},
     finish_bitwise},
    {"cmp",
     EXPRESSION_COMPARE,
     {{NFTA_CMP_SREG, TARGET_SOURCE, 0}, {NFTA_CMP_OP, TARGET_KEY, 0}, {NFTA_CMP_DATA, TARGET_DATA, 0}},
     finish_compare},
    {"range",
     EXPRESSION_RANGE,
     {{NFTA_RANGE_SREG, TARGET_SOURCE, 0},
      {NFTA_RANGE_OP, TARGET_KEY, 0},
      {NFTA_RANGE_FROM_DATA, TARGET_DATA, 0},
      {NFTA_RANGE_TO_DATA, TARGET_MASK, 0}},
     finish_range},
    {"lookup",
     EXPRESSION_LOOKUP,
     {{NFTA_LOOKUP_SET, TARGET_NAME, 0},
      {NFTA_LOOKUP_SREG, TARGET_SOURCE, 0},
      {NFTA_LOOKUP_DREG, TARGET_DESTINATION, OPTIONAL},
      {NFTA_LOOKUP_FLAGS, TARGET_FLAGS, OPTIONAL}},
     finish_lookup},
    {"immediate",
     EXPRESSION_IMMEDIATE,
     {{NFTA_IMMEDIATE_DREG, TARGET_DESTINATION, 0}, {NFTA_IMMEDIATE_DATA, TARGET_IGNORED, 0}},
     finish_immediate},
    {"objref",
     EXPRESSION_COUNTER_OBJECT,
     {{NFTA_OBJREF_IMM_TYPE, TARGET_FLAGS, 0}, {NFTA_OBJREF_IMM_NAME, TARGET_NAME, 0}},
     finish_counter_object},
    {"counter",
     EXPRESSION_COUNTER,
     {{NFTA_COUNTER_BYTES, TARGET_IGNORED, OPTIONAL},
      {NFTA_COUNTER_PACKETS, TARGET_IGNORED, OPTIONAL},
      {NFTA_COUNTER_PAD, TARGET_IGNORED, OPTIONAL}},
     NULL},
    {"limit",
     EXPRESSION_LIMIT,
     {{NFTA_LIMIT_RATE, TARGET_RATE, 0},
      {NFTA_LIMIT_UNIT, TARGET_UNIT, 0},
      {NFTA_LIMIT_BURST, TARGET_BURST, OPTIONAL},
      {NFTA_LIMIT_TYPE, TARGET_ZERO, OPTIONAL},
      {NFTA_LIMIT_FLAGS, TARGET_KEY, OPTIONAL},
      {NFTA_LIMIT_PAD, TARGET_IGNORED, OPTIONAL}},
     finish_limit},
    {"connlimit",
     EXPRESSION_CONNECTIONS,
     {{NFTA_CONNLIMIT_COUNT, TARGET_BURST, 0}, {NFTA_CONNLIMIT_FLAGS, TARGET_KEY, OPTIONAL}},
     finish_connections},
    {"log",
     EXPRESSION_LOG,
     {{NFTA_LOG_GROUP, TARGET_KEY_U16, 0},
      {NFTA_LOG_PREFIX, TARGET_NAME, OPTIONAL},
      {NFTA_LOG_SNAPLEN, TARGET_ZERO, OPTIONAL},
      {NFTA_LOG_QTHRESHOLD, TARGET_ZERO, OPTIONAL}},
     NULL},
    {"dynset",
     EXPRESSION_DYNSET,
     {{NFTA_DYNSET_SET_NAME, TARGET_NAME, 0},
      {NFTA_DYNSET_OP, TARGET_KEY, 0},
      {NFTA_DYNSET_SREG_KEY, TARGET_SOURCE, 0},
      {NFTA_DYNSET_TIMEOUT, TARGET_ZERO, OPTIONAL},
      {NFTA_DYNSET_EXPR, TARGET_NESTED, OPTIONAL},
      {NFTA_DYNSET_PAD, TARGET_IGNORED, OPTIONAL},
      {NFTA_DYNSET_FLAGS, TARGET_ZERO, OPTIONAL}},
     finish_dynset},
    {"reject",
     EXPRESSION_REJECT,
     {{NFTA_REJECT_TYPE, TARGET_KEY, 0}, {NFTA_REJECT_ICMP_CODE, TARGET_CODE, OPTIONAL}},
     finish_reject},
    {"byteorder",
     EXPRESSION_BYTEORDER,
     {{NFTA_BYTEORDER_SREG, TARGET_SOURCE, 0},
      {NFTA_BYTEORDER_DREG, TARGET_DESTINATION, 0},
      {NFTA_BYTEORDER_OP, TARGET_KEY, 0},
      {NFTA_BYTEORDER_LEN, TARGET_LENGTH, 0},
      {NFTA_BYTEORDER_SIZE, TARGET_OFFSET, 0}},
     finish_byte_order},
};

static const struct expression_format *find_format(const char *name) {
  for (size_t i = 0; i < sizeof(expression_formats) / sizeof(expression_formats[0]); i++) {
    if (strcmp(expression_formats[i].name, name) == 0) {
      return &expression_formats[i];
    }
  }
  return NULL;
}

/* No attribute has the number zero: it ends a format's fields. */
static uint32_t known_attributes(const struct expression_format *format) {
  uint32_t known = 0;
  for (size_t i = 0; i < FIELD_MAX && format->fields[i].attribute != 0; i++) {
    known |= ATTRIBUTE(format->fields[i].attribute);
  }
  return known;
}

/* False when it is not exactly what the struct can say. */
static bool read_expression(const struct expression_format *format, const struct nlattr *data, struct arena *arena,
                            struct expression *expression) {
  *expression = (struct expression){.kind = format->kind};
  struct reading reading = {.expression = expression, .arena = arena, .sound = true};
  if (data != NULL) {
    attributes_split_nested(data, known_attributes(format), &reading.attributes);
  }
  if (reading.attributes.foreign || reading.attributes.malformed) {
    return false;
  }
  for (size_t i = 0; i < FIELD_MAX && format->fields[i].attribute != 0; i++) {
    read_field(&reading, &format->fields[i]);
  }
  return reading.sound && !reading.attributes.malformed && (format->finish == NULL || format->finish(&reading)) &&
         !reading.attributes.malformed;
}

/* A limit by packets with at least one token, and no other kind of expression. */
static bool read_bucket(const struct nlattr *nest, struct arena *arena, struct expression *expression) {
  struct attributes attributes;
  attributes_split_nested(nest, ATTRIBUTE(NFTA_EXPR_NAME) | ATTRIBUTE(NFTA_EXPR_DATA), &attributes);
  const char *name = attributes_string(&attributes, NFTA_EXPR_NAME);
  struct expression limit;
  if (attributes.foreign || attributes.malformed || name == NULL || strcmp(name, "limit") != 0 ||
      !read_expression(find_format("limit"), attributes.items[NFTA_EXPR_DATA], arena, &limit) || limit.key != 0 ||
      limit.burst == 0) {
    return false;
  }
  expression->rate = limit.rate;
  expression->unit_seconds = limit.unit_seconds;
  expression->burst = limit.burst;
  return true;
}

int nftables_expression_parse(const struct nlattr *nest, struct arena *arena, struct expression *ret_expression) {
  struct attributes attributes;
  attributes_split_nested(nest, ATTRIBUTE(NFTA_EXPR_NAME) | ATTRIBUTE(NFTA_EXPR_DATA), &attributes);
  const char *name = attributes_string(&attributes, NFTA_EXPR_NAME);
  const struct expression_format *format = name != NULL ? find_format(name) : NULL;
  bool sound = format != NULL && !attributes.foreign && !attributes.malformed &&
               read_expression(format, attributes.items[NFTA_EXPR_DATA], arena, ret_expression);
  if (!sound) {
    *ret_expression =
        (struct expression){.kind = EXPRESSION_FOREIGN, .name = arena_strdup(arena, name != NULL ? name : "?")};
  }
  return arena_failed(arena) ? -ENOMEM : 0;
}
