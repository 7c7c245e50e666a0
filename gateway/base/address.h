/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_BASE_ADDRESS_H
#define KIDO_BASE_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

enum { ADDRESS_TEXT_SIZE = 48, RANGE_TEXT_SIZE = 100, MAC_TEXT_SIZE = 18 };

enum address_family {
  FAMILY_NONE,
  FAMILY_IPV4,
  FAMILY_IPV6,
};

/* An IP address in network byte order; IPv4 uses the first four bytes, the rest is zero. */
struct address {
  enum address_family family;
  uint8_t bytes[16];
};

/* first <= last, both included, one family. A prefix is such a range. */
struct address_range {
  struct address first;
  struct address last;
};

/* A set of addresses as ranges: sorted (IPv4 before IPv6), disjoint, never adjacent. */
struct address_set {
  struct address_range *ranges;
  size_t count;
};

struct mac {
  uint8_t bytes[6];
};

size_t address_length(enum address_family family); /* 4, 16 or 0 bytes */
int address_compare(const struct address *left, const struct address *right);
bool address_equal(const struct address *left, const struct address *right);
bool address_parse(const char *text, struct address *ret_address); /* strict: no leading zeros, no brackets, no scope */
const char *address_format(const struct address *address, char text[static ADDRESS_TEXT_SIZE]);
/* The next or previous address; false at the end of the family. */
bool address_next(const struct address *address, struct address *ret_next);
bool address_previous(const struct address *address, struct address *ret_previous);
struct address address_from_ipv4(uint32_t host_order);

/* "10.0.0.1", "10.0.0.0/8" or "10.0.0.1-10.0.0.9"; false with *ret_reason (a short English phrase) otherwise.
 * A prefix with host bits set is refused. */
bool range_parse(const char *text, struct address_range *ret_range, const char **ret_reason);
bool range_parse_prefix(const char *text, struct address_range *ret_range, const char **ret_reason);
/* Shortest form: one address, CIDR where it is one, else first-last. */
const char *range_format(const struct address_range *range, char text[static RANGE_TEXT_SIZE]);
bool range_contains(const struct address_range *range, const struct address *address);
bool range_contains_range(const struct address_range *outer, const struct address_range *inner);
bool range_overlaps(const struct address_range *left, const struct address_range *right);
bool range_equal(const struct address_range *left, const struct address_range *right);
int range_prefix_length(const struct address_range *range); /* -1 when it is not a prefix */
/* Number of addresses, at most UINT64_MAX. */
uint64_t range_size(const struct address_range *range);
/* The smallest prefix length whose block covers the range (0 to 32 or 128). */
int range_covering_prefix_length(const struct address_range *range);
/* The IPv4 broadcast address of a prefix of length 0 to 30; false for others. */
bool range_broadcast(const struct address_range *range, struct address *ret_broadcast);

/* All of these allocate from the arena and return 0 or -ENOMEM. Inputs need not be sorted where an array is taken. */
int address_set_build(struct arena *arena, const struct address_range *ranges, size_t count,
                      struct address_set *ret_set);
int address_set_union(struct arena *arena, const struct address_set *left, const struct address_set *right,
                      struct address_set *ret_set);
int address_set_intersect(struct arena *arena, const struct address_set *left, const struct address_set *right,
                          struct address_set *ret_set);
int address_set_subtract(struct arena *arena, const struct address_set *left, const struct address_set *right,
                         struct address_set *ret_set);
/* Binary search. */
bool address_set_contains(const struct address_set *set, const struct address *address);
bool address_set_overlaps(const struct address_set *left, const struct address_set *right);

bool mac_parse(const char *text, struct mac *ret_mac);
const char *mac_format(const struct mac *mac, char text[static MAC_TEXT_SIZE]);
bool mac_equal(const struct mac *left, const struct mac *right);

#endif
