/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__extension__ typedef unsigned __int128 wide;

size_t address_length(enum address_family family) {
  return family == FAMILY_IPV4 ? 4 : family == FAMILY_IPV6 ? 16 : 0;
}

static wide number_of(const struct address *address) {
  wide value = 0;
  for (size_t i = 0; i < address_length(address->family); i++)
    value = value << 8 | address->bytes[i];
  return value;
}

static struct address address_of(enum address_family family, wide value) {
  struct address address = {.family = family};
  for (size_t i = address_length(family); i-- > 0; value >>= 8)
    address.bytes[i] = (uint8_t)value;
  return address;
}

static int family_bits(enum address_family family) {
  return (int)address_length(family) * 8;
}

/* The low `bits` bits set; bits may be 0 to 128. */
static wide low_mask(int bits) {
  return bits >= 128 ? ~(wide)0 : ((wide)1 << bits) - 1;
}

int address_compare(const struct address *left, const struct address *right) {
  if (left->family != right->family)
    return left->family < right->family ? -1 : 1;
  return memcmp(left->bytes, right->bytes, address_length(left->family));
}

bool address_equal(const struct address *left, const struct address *right) {
  return address_compare(left, right) == 0;
}

bool address_parse(const char *text, struct address *ret_address) {
  struct address address = {.family = strchr(text, ':') != NULL ? FAMILY_IPV6 : FAMILY_IPV4};
  if (inet_pton(address.family == FAMILY_IPV6 ? AF_INET6 : AF_INET, text, address.bytes) != 1)
    return false;
  *ret_address = address;
  return true;
}

const char *address_format(const struct address *address, char text[static ADDRESS_TEXT_SIZE]) {
  int family = address->family == FAMILY_IPV6 ? AF_INET6 : AF_INET;
  if (address->family == FAMILY_NONE || inet_ntop(family, address->bytes, text, ADDRESS_TEXT_SIZE) == NULL)
    snprintf(text, ADDRESS_TEXT_SIZE, "-");
  return text;
}

bool address_next(const struct address *address, struct address *ret_next) {
  wide value = number_of(address);
  if (address->family == FAMILY_NONE || value == low_mask(family_bits(address->family)))
    return false;
  *ret_next = address_of(address->family, value + 1);
  return true;
}

bool address_previous(const struct address *address, struct address *ret_previous) {
  wide value = number_of(address);
  if (address->family == FAMILY_NONE || value == 0)
    return false;
  *ret_previous = address_of(address->family, value - 1);
  return true;
}

struct address address_from_ipv4(uint32_t host_order) {
  return address_of(FAMILY_IPV4, host_order);
}

static bool prefix_length_parse(const char *text, int most, int *ret_length) {
  if (text[0] < '0' || text[0] > '9' || strlen(text) > 3 || (text[0] == '0' && text[1] != '\0'))
    return false;
  char *end;
  long length = strtol(text, &end, 10);
  if (*end != '\0' || length > most)
    return false;
  *ret_length = (int)length;
  return true;
}

static bool refuse(const char **ret_reason, const char *reason) {
  *ret_reason = reason;
  return false;
}

static bool parse_prefix_parts(char *address_text, const char *length_text, struct address_range *ret_range,
                               const char **ret_reason) {
  struct address first;
  int length;
  if (!address_parse(address_text, &first))
    return refuse(ret_reason, "not an IP address");
  int bits = family_bits(first.family);
  if (!prefix_length_parse(length_text, bits, &length))
    return refuse(ret_reason, "the prefix length is not a number in range");
  wide mask = low_mask(bits - length);
  wide value = number_of(&first);
  if ((value & mask) != 0)
    return refuse(ret_reason, "host bits are set behind the prefix");
  *ret_range = (struct address_range){first, address_of(first.family, value | mask)};
  return true;
}

static bool parse_span_parts(const char *first_text, const char *last_text, struct address_range *ret_range,
                             const char **ret_reason) {
  struct address_range range;
  if (!address_parse(first_text, &range.first) || !address_parse(last_text, &range.last))
    return refuse(ret_reason, "not an IP address");
  if (range.first.family != range.last.family)
    return refuse(ret_reason, "the range mixes IPv4 and IPv6");
  if (address_compare(&range.first, &range.last) > 0)
    return refuse(ret_reason, "the range ends before it begins");
  *ret_range = range;
  return true;
}

bool range_parse(const char *text, struct address_range *ret_range, const char **ret_reason) {
  char copy[RANGE_TEXT_SIZE];
  size_t length = strlen(text);
  if (length >= sizeof(copy))
    return refuse(ret_reason, "not an IP address");
  memcpy(copy, text, length + 1);
  char *separator = strpbrk(copy, "/-");
  if (separator == NULL) {
    struct address address;
    if (!address_parse(copy, &address))
      return refuse(ret_reason, "not an IP address");
    *ret_range = (struct address_range){address, address};
    return true;
  }
  bool prefix = *separator == '/';
  *separator = '\0';
  return prefix ? parse_prefix_parts(copy, separator + 1, ret_range, ret_reason)
                : parse_span_parts(copy, separator + 1, ret_range, ret_reason);
}

bool range_parse_prefix(const char *text, struct address_range *ret_range, const char **ret_reason) {
  if (strchr(text, '-') != NULL)
    return refuse(ret_reason, "a range where a prefix is needed");
  return range_parse(text, ret_range, ret_reason);
}

const char *range_format(const struct address_range *range, char text[static RANGE_TEXT_SIZE]) {
  char first[ADDRESS_TEXT_SIZE], last[ADDRESS_TEXT_SIZE];
  address_format(&range->first, first);
  int length = range_prefix_length(range);
  if (address_equal(&range->first, &range->last))
    snprintf(text, RANGE_TEXT_SIZE, "%s", first);
  else if (length >= 0)
    snprintf(text, RANGE_TEXT_SIZE, "%s/%d", first, length);
  else
    snprintf(text, RANGE_TEXT_SIZE, "%s-%s", first, address_format(&range->last, last));
  return text;
}

bool range_contains(const struct address_range *range, const struct address *address) {
  return range->first.family == address->family && address_compare(&range->first, address) <= 0 &&
         address_compare(address, &range->last) <= 0;
}

bool range_contains_range(const struct address_range *outer, const struct address_range *inner) {
  return range_contains(outer, &inner->first) && range_contains(outer, &inner->last);
}

bool range_overlaps(const struct address_range *left, const struct address_range *right) {
  return left->first.family == right->first.family && address_compare(&left->first, &right->last) <= 0 &&
         address_compare(&right->first, &left->last) <= 0;
}

bool range_equal(const struct address_range *left, const struct address_range *right) {
  return address_equal(&left->first, &right->first) && address_equal(&left->last, &right->last);
}

int range_covering_prefix_length(const struct address_range *range) {
  int length = family_bits(range->first.family);
  for (wide difference = number_of(&range->first) ^ number_of(&range->last); difference != 0; difference >>= 1)
    length--;
  return length;
}

int range_prefix_length(const struct address_range *range) {
  int length = range_covering_prefix_length(range);
  wide mask = low_mask(family_bits(range->first.family) - length);
  bool whole = (number_of(&range->first) & mask) == 0 && (number_of(&range->last) & mask) == mask;
  return whole ? length : -1;
}

uint64_t range_size(const struct address_range *range) {
  wide span = number_of(&range->last) - number_of(&range->first);
  return span >= UINT64_MAX ? UINT64_MAX : (uint64_t)span + 1;
}

bool range_broadcast(const struct address_range *range, struct address *ret_broadcast) {
  int length = range_prefix_length(range);
  if (range->first.family != FAMILY_IPV4 || length < 0 || length > 30)
    return false;
  *ret_broadcast = range->last;
  return true;
}

static int compare_ranges(const void *left, const void *right) {
  const struct address_range *a = left, *b = right;
  int order = address_compare(&a->first, &b->first);
  return order != 0 ? order : address_compare(&a->last, &b->last);
}

/* True when right begins inside left or directly behind it. */
static bool joins(const struct address_range *left, const struct address_range *right) {
  struct address behind;
  if (left->last.family != right->first.family)
    return false;
  return !address_next(&left->last, &behind) || address_compare(&right->first, &behind) <= 0;
}

/* Sorts and joins in place. */
static size_t normalise(struct address_range *ranges, size_t count) {
  size_t used = 0;
  if (count != 0)
    qsort(ranges, count, sizeof(*ranges), compare_ranges);
  for (size_t i = 0; i < count; i++) {
    if (used == 0 || !joins(&ranges[used - 1], &ranges[i]))
      ranges[used++] = ranges[i];
    else if (address_compare(&ranges[i].last, &ranges[used - 1].last) > 0)
      ranges[used - 1].last = ranges[i].last;
  }
  return used;
}

int address_set_build(struct arena *arena, const struct address_range *ranges, size_t count,
                      struct address_set *ret_set) {
  struct address_range *copy = ARENA_ARRAY(arena, count, struct address_range);
  if (copy == NULL)
    return -ENOMEM;
  if (count != 0)
    memcpy(copy, ranges, count * sizeof(*copy));
  *ret_set = (struct address_set){copy, normalise(copy, count)};
  return 0;
}

int address_set_union(struct arena *arena, const struct address_set *left, const struct address_set *right,
                      struct address_set *ret_set) {
  struct address_range *both = ARENA_ARRAY(arena, left->count + right->count, struct address_range);
  if (both == NULL)
    return -ENOMEM;
  if (left->count != 0)
    memcpy(both, left->ranges, left->count * sizeof(*both));
  if (right->count != 0)
    memcpy(both + left->count, right->ranges, right->count * sizeof(*both));
  *ret_set = (struct address_set){both, normalise(both, left->count + right->count)};
  return 0;
}

int address_set_intersect(struct arena *arena, const struct address_set *left, const struct address_set *right,
                          struct address_set *ret_set) {
  struct address_range *common = ARENA_ARRAY(arena, left->count + right->count, struct address_range);
  size_t used = 0;
  if (common == NULL)
    return -ENOMEM;
  for (size_t i = 0, j = 0; i < left->count && j < right->count;) {
    const struct address_range *a = &left->ranges[i], *b = &right->ranges[j];
    if (range_overlaps(a, b))
      common[used++] = (struct address_range){
          address_compare(&a->first, &b->first) > 0 ? a->first : b->first,
          address_compare(&a->last, &b->last) < 0 ? a->last : b->last,
      };
    if (address_compare(&a->last, &b->last) < 0)
      i++;
    else
      j++;
  }
  *ret_set = (struct address_set){common, used};
  return 0;
}

/* Puts what is left of one range into target; *cut moves on behind what lies before the range. */
static size_t subtract_range(struct address_range rest, const struct address_set *cuts, size_t *cut,
                             struct address_range *target) {
  size_t used = 0;
  while (*cut < cuts->count && address_compare(&cuts->ranges[*cut].last, &rest.first) < 0)
    ++*cut;
  for (size_t j = *cut; j < cuts->count && range_overlaps(&rest, &cuts->ranges[j]); j++) {
    const struct address_range *hole = &cuts->ranges[j];
    if (address_compare(&rest.first, &hole->first) < 0) {
      target[used].first = rest.first;
      address_previous(&hole->first, &target[used++].last);
    }
    if (address_compare(&hole->last, &rest.last) >= 0)
      return used;
    address_next(&hole->last, &rest.first);
  }
  target[used++] = rest;
  return used;
}

int address_set_subtract(struct arena *arena, const struct address_set *left, const struct address_set *right,
                         struct address_set *ret_set) {
  struct address_range *rest = ARENA_ARRAY(arena, left->count + right->count, struct address_range);
  size_t used = 0, cut = 0;
  if (rest == NULL)
    return -ENOMEM;
  for (size_t i = 0; i < left->count; i++)
    used += subtract_range(left->ranges[i], right, &cut, rest + used);
  *ret_set = (struct address_set){rest, used};
  return 0;
}

bool address_set_contains(const struct address_set *set, const struct address *address) {
  size_t low = 0, high = set->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (address_compare(&set->ranges[middle].last, address) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low < set->count && range_contains(&set->ranges[low], address);
}

bool address_set_overlaps(const struct address_set *left, const struct address_set *right) {
  for (size_t i = 0, j = 0; i < left->count && j < right->count;) {
    if (range_overlaps(&left->ranges[i], &right->ranges[j]))
      return true;
    if (address_compare(&left->ranges[i].last, &right->ranges[j].last) < 0)
      i++;
    else
      j++;
  }
  return false;
}

static int hex_digit(char digit) {
  static const char digits[] = "0123456789abcdef";
  const char *found = digit == '\0' ? NULL : strchr(digits, digit >= 'A' && digit <= 'F' ? digit - 'A' + 'a' : digit);
  return found == NULL ? -1 : (int)(found - digits);
}

bool mac_parse(const char *text, struct mac *ret_mac) {
  struct mac mac;
  if (strlen(text) != MAC_TEXT_SIZE - 1)
    return false;
  for (size_t i = 0; i < 6; i++) {
    int high = hex_digit(text[3 * i]), low = hex_digit(text[3 * i + 1]);
    if (high < 0 || low < 0 || (i < 5 && text[3 * i + 2] != ':'))
      return false;
    mac.bytes[i] = (uint8_t)(high * 16 + low);
  }
  *ret_mac = mac;
  return true;
}

const char *mac_format(const struct mac *mac, char text[static MAC_TEXT_SIZE]) {
  const uint8_t *b = mac->bytes;
  snprintf(text, MAC_TEXT_SIZE, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5]);
  return text;
}

bool mac_equal(const struct mac *left, const struct mac *right) {
  return memcmp(left->bytes, right->bytes, sizeof(left->bytes)) == 0;
}
