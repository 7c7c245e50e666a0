/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proof/space.h"

#include <limits.h>
#include <string.h>

/*
 * The fields have the variables from 0 on, in their order; then those of classes; then what is found in rules, in the
 * order of finding. An answer that cannot be known depends on who asks (each flow may have a limit of its own), so it
 * stands behind what tells the flows apart.
 */

enum { LONGEST_FIELD = 128, FIRST_SLOTS = 64, CLASS_VARIABLES = 8192, SHARED_CLASS_VARIABLES = 256 };

struct field_facts {
  const char *name;
  uint8_t width;
};

static const struct field_facts FIELDS[FIELD_COUNT_] = {
    [FIELD_MARK] = {"connection mark", 32},
    [FIELD_PROTOCOL] = {"protocol", 8},
    [FIELD_DESTINATION] = {"destination", 128},
    [FIELD_SOURCE] = {"source", 128},
    [FIELD_DESTINATION_PORT] = {"destination port", 16},
    [FIELD_SOURCE_PORT] = {"source port", 16},
    [FIELD_ORIGINAL_PROTOCOL] = {"original protocol", 8},
    [FIELD_ORIGINAL_DESTINATION] = {"original destination", 128},
    [FIELD_ORIGINAL_SOURCE] = {"original source", 128},
    [FIELD_ORIGINAL_DESTINATION_PORT] = {"original destination port", 16},
    [FIELD_ORIGINAL_SOURCE_PORT] = {"original source port", 16},
    [FIELD_TCP_FLAGS] = {"TCP flags", 8},
    [FIELD_SOURCE_MAC] = {"source MAC", 48},
    [FIELD_VERSION_LENGTH] = {"version and header length", 8},
    [FIELD_FRAGMENT] = {"fragment", 16},
    [FIELD_NEXT_HEADER] = {"next header", 8},
    [FIELD_HOP_LIMIT] = {"hop limit", 8},
    [FIELD_HAS_HOP_BY_HOP] = {"has hop-by-hop header", 1},
    [FIELD_HAS_ROUTING] = {"has routing header", 1},
    [FIELD_ROUTING_TYPE] = {"routing type", 8},
    [FIELD_HAS_FRAGMENT] = {"has fragment header", 1},
    [FIELD_TRANSPORT_READABLE] = {"transport header readable", 1},
    [FIELD_STATUS] = {"connection status", 32},
};

/* Which bytes of a header are fields. family NONE: any. */
struct header_bytes {
  enum space_base base;
  enum address_family family;
  unsigned first, count;
  enum space_field field;
};

static const struct header_bytes HEADERS[] = {
    {BASE_LINK, FAMILY_NONE, 6, 6, FIELD_SOURCE_MAC},
    {BASE_NETWORK, FAMILY_IPV4, 0, 1, FIELD_VERSION_LENGTH},
    {BASE_NETWORK, FAMILY_IPV4, 6, 2, FIELD_FRAGMENT},
    {BASE_NETWORK, FAMILY_IPV4, 8, 1, FIELD_HOP_LIMIT},
    {BASE_NETWORK, FAMILY_IPV4, 9, 1, FIELD_PROTOCOL},
    {BASE_NETWORK, FAMILY_IPV4, 12, 4, FIELD_SOURCE},
    {BASE_NETWORK, FAMILY_IPV4, 16, 4, FIELD_DESTINATION},
    {BASE_NETWORK, FAMILY_IPV6, 6, 1, FIELD_NEXT_HEADER},
    {BASE_NETWORK, FAMILY_IPV6, 7, 1, FIELD_HOP_LIMIT},
    {BASE_NETWORK, FAMILY_IPV6, 8, 16, FIELD_SOURCE},
    {BASE_NETWORK, FAMILY_IPV6, 24, 16, FIELD_DESTINATION},
    {BASE_TRANSPORT, FAMILY_NONE, 0, 2, FIELD_SOURCE_PORT},
    {BASE_TRANSPORT, FAMILY_NONE, 2, 2, FIELD_DESTINATION_PORT},
    {BASE_TRANSPORT, FAMILY_NONE, 13, 1, FIELD_TCP_FLAGS},
};

/* A variable behind fields and classes: a bit of the packet (unknown.what NULL), or something unknown. */
struct found {
  enum space_base base;
  unsigned byte, bit;
  struct unknown unknown;
};

struct space {
  struct arena *arena;
  unsigned first[FIELD_COUNT_ + 1]; /* the last: behind all fields */
  struct found *found;
  size_t found_count, found_capacity;
  uint32_t *slots; /* open addressing: 0 free, else index in `found` plus 1 */
  size_t slot_count;
  unsigned class_count, shared_class_count;
  unsigned *numbers; /* of the fields' variables, each its own index: for struct diagram_field */
};

const char *situation_tracking_name(enum situation_tracking tracking) {
  static const char *const names[TRACKING_COUNT_] = {
      [TRACKING_OPENS] = "opens",
      [TRACKING_OPENS_AGAIN] = "opens again",
      [TRACKING_ORIGINAL] = "original",
      [TRACKING_REPLY] = "reply",
      [TRACKING_RELATED_ORIGINAL] = "related",
      [TRACKING_RELATED_REPLY] = "related to the reply",
      [TRACKING_INVALID] = "invalid",
      [TRACKING_UNTRACKED] = "untracked",
  };
  return (unsigned)tracking < TRACKING_COUNT_ ? names[tracking] : "";
}

struct space *space_new(struct arena *arena) {
  struct space *space = ARENA_NEW(arena, struct space);
  if (space == NULL)
    return NULL;
  space->arena = arena;
  for (unsigned field = 0; field < FIELD_COUNT_; field++)
    space->first[field + 1] = space->first[field] + FIELDS[field].width;
  space->numbers = ARENA_ARRAY(arena, space->first[FIELD_COUNT_], unsigned);
  if (space->numbers == NULL)
    return NULL;
  for (unsigned i = 0; i < space->first[FIELD_COUNT_]; i++)
    space->numbers[i] = i;
  return space;
}

unsigned space_field_width(enum space_field field) {
  return FIELDS[field].width;
}

const char *space_field_name(enum space_field field) {
  return FIELDS[field].name;
}

struct diagram_field space_field(const struct space *space, enum space_field field, unsigned width) {
  unsigned whole = FIELDS[field].width;
  return (struct diagram_field){&space->numbers[space->first[field]], width == 0 || width > whole ? whole : width};
}

unsigned space_field_variable(const struct space *space, enum space_field field, unsigned bit) {
  return space->first[field] + bit;
}

static unsigned first_found(const struct space *space) {
  return space->first[FIELD_COUNT_] + CLASS_VARIABLES;
}

unsigned space_variable_count(const struct space *space) {
  return first_found(space) + (unsigned)space->found_count;
}

/* ---- variables that are found ---- */

static uint64_t mix(uint64_t hash, uint64_t word) {
  hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
  return hash ^ hash >> 32;
}

static uint64_t found_hash(const struct found *found) {
  uint64_t hash = mix(mix(found->base, found->byte), found->bit);
  return mix(mix(hash, found->unknown.rule), found->unknown.expression);
}

static bool same_text(const char *left, const char *right) {
  return left == right || (left != NULL && right != NULL && strcmp(left, right) == 0);
}

static bool found_equal(const struct found *left, const struct found *right) {
  return left->base == right->base && left->byte == right->byte && left->bit == right->bit &&
         left->unknown.kind == right->unknown.kind && left->unknown.rule == right->unknown.rule &&
         left->unknown.expression == right->unknown.expression && same_text(left->unknown.what, right->unknown.what) &&
         same_text(left->unknown.chain, right->unknown.chain) && same_text(left->unknown.table, right->unknown.table);
}

/* The slot that holds it, or the free one where it belongs. */
static uint32_t *find_slot(const struct space *space, const struct found *wanted) {
  size_t mask = space->slot_count - 1, at = (size_t)found_hash(wanted) & mask;
  while (space->slots[at] != 0 && !found_equal(&space->found[space->slots[at] - 1], wanted))
    at = (at + 1) & mask;
  return &space->slots[at];
}

static bool grow_slots(struct space *space) {
  size_t count = space->slot_count == 0 ? FIRST_SLOTS : space->slot_count * 2;
  uint32_t *slots = ARENA_ARRAY(space->arena, count, uint32_t);
  if (slots == NULL)
    return false;
  space->slots = slots;
  space->slot_count = count;
  for (size_t i = 0; i < space->found_count; i++)
    *find_slot(space, &space->found[i]) = (uint32_t)i + 1;
  return true;
}

static bool copy_text(struct arena *arena, const char **text) {
  if (*text != NULL)
    *text = arena_strdup(arena, *text);
  return *text != NULL || !arena_failed(arena);
}

static bool add_found(struct space *space, const struct found *found, uint32_t *slot) {
  if (space_variable_count(space) == DIAGRAM_VARIABLES ||
      arena_grow(space->arena, (void **)&space->found, space->found_count, &space->found_capacity,
                 sizeof *space->found) < 0)
    return false;
  struct found copy = *found;
  if (!copy_text(space->arena, &copy.unknown.table) || !copy_text(space->arena, &copy.unknown.chain) ||
      !copy_text(space->arena, &copy.unknown.what))
    return false;
  space->found[space->found_count++] = copy;
  *slot = (uint32_t)space->found_count;
  return true;
}

static unsigned found_variable(struct space *space, const struct found *found) {
  if (2 * space->found_count >= space->slot_count && !grow_slots(space))
    return UINT_MAX;
  uint32_t *slot = find_slot(space, found);
  if (*slot == 0 && !add_found(space, found, slot))
    return UINT_MAX;
  return first_found(space) + *slot - 1;
}

/* The field that has this byte; NULL: none. */
static const struct header_bytes *header_of(enum address_family family, enum space_base base, unsigned byte) {
  for (size_t i = 0; i < sizeof HEADERS / sizeof *HEADERS; i++) {
    const struct header_bytes *header = &HEADERS[i];
    if (header->base == base && (header->family == FAMILY_NONE || header->family == family) && byte >= header->first &&
        byte - header->first < header->count)
      return header;
  }
  return NULL;
}

unsigned space_packet_variable(struct space *space, enum address_family family, enum space_base base, unsigned byte,
                               unsigned bit) {
  const struct header_bytes *header = header_of(family, base, byte);
  if (header != NULL)
    return space->first[header->field] + 8 * (byte - header->first) + bit;
  return found_variable(space, &(struct found){.base = base, .byte = byte, .bit = bit});
}

unsigned space_unknown_variable(struct space *space, const struct unknown *unknown) {
  struct found found = {.unknown = *unknown};
  if (found.unknown.what == NULL)
    found.unknown.what = "";
  return found_variable(space, &found);
}

unsigned space_class_variable(struct space *space, bool shared) {
  unsigned *count = shared ? &space->shared_class_count : &space->class_count;
  unsigned first = space->first[FIELD_COUNT_] + (shared ? 0 : SHARED_CLASS_VARIABLES);
  unsigned most = shared ? SHARED_CLASS_VARIABLES : CLASS_VARIABLES - SHARED_CLASS_VARIABLES;
  return *count < most ? first + (*count)++ : UINT_MAX;
}

bool space_has_classes(const struct space *space, unsigned more) {
  return CLASS_VARIABLES - SHARED_CLASS_VARIABLES - space->class_count >= more;
}

struct diagram_field space_variables(const struct space *space, unsigned first, unsigned width) {
  bool fields = first < space->first[FIELD_COUNT_] && width <= space->first[FIELD_COUNT_] - first;
  return fields ? (struct diagram_field){&space->numbers[first], width} : (struct diagram_field){NULL, 0};
}

static const struct found *found_of(const struct space *space, unsigned variable) {
  unsigned first = first_found(space);
  return variable >= first && variable - first < space->found_count ? &space->found[variable - first] : NULL;
}

const struct unknown *space_unknown(const struct space *space, unsigned variable) {
  const struct found *found = found_of(space, variable);
  return found != NULL && found->unknown.what != NULL ? &found->unknown : NULL;
}

bool space_packet_bit(const struct space *space, enum address_family family, unsigned variable,
                      enum space_base *ret_base, unsigned *ret_byte, unsigned *ret_bit) {
  const struct found *found = found_of(space, variable);
  if (found == NULL || found->unknown.what != NULL || header_of(family, found->base, found->byte) != NULL)
    return false;
  *ret_base = found->base;
  *ret_byte = found->byte;
  *ret_bit = found->bit;
  return true;
}

/* ---- values ---- */

void space_read(const struct space *space, const uint8_t *bits, enum space_field field, uint8_t *ret_bytes) {
  unsigned width = FIELDS[field].width, length = (width + 7) / 8, before = 8 * length - width;
  memset(ret_bytes, 0, length);
  for (unsigned bit = 0; bit < width; bit++)
    if (bits[space->first[field] + bit] != 0)
      ret_bytes[(before + bit) / 8] |= (uint8_t)(0x80 >> (before + bit) % 8);
}

uint64_t space_number(const struct space *space, const uint8_t *bits, enum space_field field) {
  uint8_t bytes[LONGEST_FIELD / 8];
  uint64_t number = 0;
  space_read(space, bits, field, bytes);
  for (unsigned i = 0; i < (FIELDS[field].width + 7u) / 8; i++)
    number = number << 8 | bytes[i];
  return number;
}
