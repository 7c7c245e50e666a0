/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>

#include "proof/decode_parts.h"

void decoder_fail(struct decoder *decoder, const char *format, ...) {
  if (decoder->status != 0) {
    return;
  }
  char text[sizeof(decoder->error->message)];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof(text), format, arguments);
  va_end(arguments);
  (void)error_set(decoder->error, EBADMSG, "%s", text);
  decoder->status = -EBADMSG;
}

const char *decoder_reason(struct decoder *decoder, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  char *text = arena_vprintf(decoder->arena, format, arguments);
  va_end(arguments);
  return text != NULL ? text : "there is no memory to say why";
}

/* ---- walking ---- */

enum { HEADER = sizeof(struct nlattr), ALIGNMENT = NLA_ALIGNTO };

static unsigned aligned(unsigned length) {
  return (length + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

bool attribute_next(struct decoder *decoder, struct bytes *rest, struct attribute *ret_attribute) {
  if (rest->length == 0 || decoder->status != 0) {
    return false;
  }
  struct nlattr header = {0};
  if (rest->length >= sizeof(header)) {
    memcpy(&header, rest->data, sizeof(header));
  }
  if (header.nla_len < sizeof(header) || header.nla_len > rest->length) {
    decoder_fail(decoder, "an attribute of %u bytes stands where %u are left", header.nla_len, rest->length);
    return false;
  }
  *ret_attribute = (struct attribute){
      .type = header.nla_type & ~(unsigned)NLA_F_NESTED, /* of which nf_tables makes no use */
      .value = {rest->data + sizeof(header), header.nla_len - (unsigned)sizeof(header)},
  };
  unsigned step = aligned(header.nla_len);
  step = step < rest->length ? step : rest->length;
  *rest = (struct bytes){rest->data + step, rest->length - step};
  return true;
}

size_t attribute_count(struct decoder *decoder, struct bytes nest) {
  struct attribute attribute;
  size_t count = 0;
  while (attribute_next(decoder, &nest, &attribute)) {
    count++;
  }
  return decoder->status == 0 ? count : 0;
}

/* ---- values ---- */

const char *first_reason(const char *left, const char *right) {
  return left != NULL ? left : right;
}

uint32_t number_be32(const uint8_t *bytes) {
  return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static uint64_t number_of(struct bytes value) {
  uint64_t number = 0;
  for (unsigned i = 0; i < value.length; i++) {
    number = number << 8 | value.data[i];
  }
  return number;
}

/* NFT_REG_1 to 4 are the sixteen words four by four. */
static bool register_byte(uint64_t number, unsigned *ret_byte) {
  enum { WORD = NFT_REG32_SIZE, FIRST = NFT_REG_SIZE };
  if (number <= NFT_REG_4) {
    *ret_byte = (unsigned)number * NFT_REG_SIZE;
    return true;
  }
  if (number >= NFT_REG32_00 && number <= NFT_REG32_15) {
    *ret_byte = FIRST + WORD * (unsigned)(number - NFT_REG32_00);
    return true;
  }
  return false;
}

static bool take_unsigned(struct bytes value, void *member) {
  unsigned number = (unsigned)number_of(value);
  memcpy(member, &number, sizeof(number));
  return true;
}

static bool take_u64(struct bytes value, void *member) {
  uint64_t number = number_of(value);
  memcpy(member, &number, sizeof(number));
  return true;
}

static bool take_text(struct bytes value, void *member) {
  const char *text = (const char *)value.data;
  if (memchr(text, '\0', value.length) != text + value.length - 1) {
    return false;
  }
  memcpy(member, &text, sizeof(text));
  return true;
}

static bool take_bytes(struct bytes value, void *member) {
  memcpy(member, &value, sizeof(value));
  return true;
}

static bool take_register(struct bytes value, void *member) {
  unsigned byte = 0;
  bool known = register_byte(number_of(value), &byte);
  if (known) {
    memcpy(member, &byte, sizeof(byte));
  }
  return known;
}

static bool take_value(struct bytes nest, void *member) {
  struct nlattr header;
  memcpy(&header, nest.data, sizeof(header));
  if (header.nla_type != NFTA_DATA_VALUE || header.nla_len <= sizeof(header) ||
      aligned(header.nla_len) != aligned(nest.length)) {
    return false;
  }
  struct bytes value = {nest.data + sizeof(header), header.nla_len - (unsigned)sizeof(header)};
  return header.nla_len <= nest.length && value.length <= NFT_DATA_VALUE_MAXLEN && take_bytes(value, member);
}

static bool take_nothing(struct bytes value, void *member) {
  (void)value;
  (void)member;
  return true;
}

static const struct {
  unsigned least, most; /* length */
  bool (*take)(struct bytes value, void *member);
} formats[] = {
    [FORMAT_SKIP] = {0, UINT16_MAX, take_nothing}, [FORMAT_PAD] = {0, UINT16_MAX, take_nothing},
    [FORMAT_U8] = {1, 1, take_unsigned},           [FORMAT_U16] = {2, 2, take_unsigned},
    [FORMAT_U32] = {4, 4, take_unsigned},          [FORMAT_U64] = {8, 8, take_u64},
    [FORMAT_TEXT] = {1, UINT16_MAX, take_text},    [FORMAT_BYTES] = {0, UINT16_MAX, take_bytes},
    [FORMAT_REGISTER] = {4, 4, take_register},     [FORMAT_VALUE] = {HEADER, UINT16_MAX, take_value},
};

/* ---- nests ---- */

static const struct attribute_spec *find_spec(const struct attribute_table *table, unsigned type) {
  for (size_t i = 0; i < table->count; i++) {
    if (table->specs[i].type == type) {
      return &table->specs[i];
    }
  }
  return NULL;
}

/* Types that are there, and those of which the value was taken. */
struct tally {
  uint64_t there, taken;
};

static const char *take_one(struct decoder *decoder, const struct attribute_table *table,
                            const struct attribute *attribute, void *target, struct tally *tally) {
  const struct attribute_spec *spec = find_spec(table, attribute->type);
  if (spec == NULL) {
    return decoder_reason(decoder, "%s: attribute %u is not known", table->what, attribute->type);
  }
  bool twice = SEEN(tally->there, spec->type) && spec->format != FORMAT_PAD;
  tally->there |= UINT64_C(1) << spec->type;
  if (twice) {
    return decoder_reason(decoder, "%s: '%s' is there twice", table->what, spec->name);
  }
  struct bytes value = attribute->value;
  if (value.length < formats[spec->format].least || value.length > formats[spec->format].most ||
      !formats[spec->format].take(value, (char *)target + spec->offset)) {
    return decoder_reason(decoder, "%s: '%s' has no value that is known (%u bytes)", table->what, spec->name,
                          value.length);
  }
  tally->taken |= UINT64_C(1) << spec->type;
  return NULL;
}

static const char *find_missing(struct decoder *decoder, const struct attribute_table *table, uint64_t seen) {
  for (size_t i = 0; i < table->count; i++) {
    if (table->specs[i].required && !SEEN(seen, table->specs[i].type)) {
      return decoder_reason(decoder, "%s: '%s' is missing", table->what, table->specs[i].name);
    }
  }
  return NULL;
}

const char *attributes_take(struct decoder *decoder, struct bytes nest, const struct attribute_table *table,
                            void *target, uint64_t *ret_seen) {
  const char *reason = NULL;
  struct tally tally = {0};
  struct attribute attribute;
  while (attribute_next(decoder, &nest, &attribute)) {
    const char *fault = take_one(decoder, table, &attribute, target, &tally);
    reason = first_reason(reason, fault);
  }
  reason = first_reason(reason, find_missing(decoder, table, tally.there));
  if (ret_seen != NULL) {
    *ret_seen = tally.taken;
  }
  return reason;
}
