/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include <linux/netfilter/nf_tables.h>

#include "proof/prove_parts.h"

/*
 * Interfaces have names without number; to the rules they fall into a few kinds: each name that a rule, a set or the
 * policy mentions, and all the others. A prefix ("eth*") is a name too, and beside it stands one that has the prefix
 * and that nobody names in full: a rule may except "eth" itself. The one that stands for all others has a prefix of
 * none.
 */

struct listing {
  struct proof_interfaces *interfaces;
  size_t capacity;
  const char **prefixes;
  size_t prefix_count, prefix_capacity;
  struct arena *arena;
  const struct policy *policy;
  bool failed;
};

static void add_name(struct listing *listing, const char *name, size_t length) {
  struct proof_interfaces *interfaces = listing->interfaces;
  if (length == 0 || length >= IFNAMSIZ)
    return;
  for (size_t i = 0; i < interfaces->count; i++)
    if (strlen(interfaces->items[i].name) == length && memcmp(interfaces->items[i].name, name, length) == 0)
      return;
  char *copy = arena_strndup(listing->arena, name, length);
  if (copy == NULL || arena_grow(listing->arena, (void **)&interfaces->items, interfaces->count, &listing->capacity,
                                 sizeof(interfaces->items[0])) != 0) {
    listing->failed = true;
    return;
  }
  interfaces->items[interfaces->count++] = (struct proof_interface){
      .name = copy,
      .zone = policy_zone_of_interface(listing->policy, copy),
      .loopback = strcmp(copy, "lo") == 0,
  };
}

static size_t name_length(const uint8_t *bytes, size_t length) {
  size_t end = 0;
  while (end < length && bytes[end] > ' ' && bytes[end] < 0x7f)
    end++;
  return end;
}

/* A name lies left-aligned in a register, zeroes behind it. */
static void add_bytes(struct listing *listing, const uint8_t *bytes, size_t length) {
  size_t end = name_length(bytes, length);
  for (size_t i = end; i < length; i++)
    if (bytes[i] != 0)
      return;
  add_name(listing, (const char *)bytes, end);
}

static void add_prefix(struct listing *listing, const uint8_t *bytes, size_t length) {
  char *copy = arena_strndup(listing->arena, (const char *)bytes, name_length(bytes, length));
  if (copy == NULL || arena_grow(listing->arena, (void **)&listing->prefixes, listing->prefix_count,
                                 &listing->prefix_capacity, sizeof(listing->prefixes[0])) != 0) {
    listing->failed = true;
    return;
  }
  listing->prefixes[listing->prefix_count++] = copy;
}

/* When all names are known: for each prefix one that is none of them. */
static void add_names_of_prefixes(struct listing *listing) {
  static const char BEHIND[] = "~!@%^+=,;";
  for (size_t i = 0; i < listing->prefix_count; i++) {
    size_t before = listing->interfaces->count, length = strlen(listing->prefixes[i]);
    char name[IFNAMSIZ + 1];
    for (size_t k = 0; length + 1 < IFNAMSIZ && BEHIND[k] != '\0' && listing->interfaces->count == before; k++) {
      snprintf(name, sizeof(name), "%s%c", listing->prefixes[i], BEHIND[k]);
      add_name(listing, name, length + 1);
    }
  }
}

static bool is_name_key(unsigned key) {
  return key == NFT_META_IIFNAME || key == NFT_META_OIFNAME;
}

static void add_rule(struct listing *listing, const struct live_rule *rule) {
  bool names = false;
  for (size_t i = 0; i < rule->expression_count; i++) {
    const struct live_expression *expression = &rule->expressions[i];
    names = names || (expression->kind == LIVE_META && is_name_key(expression->key));
    bool ranges = expression->kind == LIVE_RANGE, compares = expression->kind == LIVE_COMPARE || ranges;
    if (!names || !compares || expression->data == NULL)
      continue;
    add_bytes(listing, expression->data, expression->data_length);
    if (ranges && expression->data_to != NULL)
      add_bytes(listing, expression->data_to, expression->data_to_length);
    if (ranges || name_length(expression->data, expression->data_length) == expression->data_length)
      add_prefix(listing, expression->data, expression->data_length);
  }
}

static void add_element(struct listing *listing, const struct live_set *set, const struct live_element *element) {
  size_t offset = 0;
  for (size_t i = 0; i < set->field_count; i++) {
    size_t length = set->field_lengths[i], padded = (length + 3) & ~(size_t)3;
    if (offset + length > set->key_length)
      return;
    if (length == IFNAMSIZ && element->first != NULL) {
      add_bytes(listing, element->first + offset, length);
      add_bytes(listing, element->last + offset, length);
      if (memcmp(element->first + offset, element->last + offset, length) != 0)
        add_prefix(listing, element->first + offset, length);
    }
    offset += padded;
  }
}

static bool has_names(const struct live_set *set) {
  for (size_t i = 0; i < set->field_count; i++)
    if (set->field_lengths[i] == IFNAMSIZ)
      return true;
  return false;
}

static void add_table(struct listing *listing, const struct live_table *table) {
  for (size_t i = 0; i < table->chain_count; i++) {
    const struct live_chain *chain = &table->chains[i];
    for (size_t j = 0; j < chain->rule_count; j++)
      add_rule(listing, &chain->rules[j]);
    for (size_t j = 0; j < chain->device_count; j++)
      add_name(listing, chain->devices[j], strlen(chain->devices[j]));
  }
  for (size_t i = 0; i < table->set_count; i++)
    for (size_t j = 0; has_names(&table->sets[i]) && j < table->sets[i].element_count; j++)
      add_element(listing, &table->sets[i], &table->sets[i].elements[j]);
}

int proof_interfaces_list(const struct policy *policy, const struct live_ruleset *ruleset,
                          const struct surroundings *surroundings, struct arena *arena,
                          struct proof_interfaces *ret_interfaces) {
  *ret_interfaces = (struct proof_interfaces){0};
  struct listing listing = {.interfaces = ret_interfaces, .arena = arena, .policy = policy};
  for (size_t i = 0; i < policy->zone_count; i++)
    for (size_t j = 0; j < policy->zones[i].interface_count; j++)
      add_name(&listing, policy->zones[i].interfaces[j].text, strlen(policy->zones[i].interfaces[j].text));
  for (size_t i = 0; i < ruleset->table_count; i++)
    add_table(&listing, &ruleset->tables[i]);
  /* Rules may ask for an index, a type or a group: then links that exist differ from one another. */
  for (size_t i = 0; surroundings != NULL && i < surroundings->link_count; i++)
    add_name(&listing, surroundings->links[i].name, strlen(surroundings->links[i].name));
  add_names_of_prefixes(&listing);
  if (listing.failed || arena_grow(arena, (void **)&ret_interfaces->items, ret_interfaces->count, &listing.capacity,
                                   sizeof(ret_interfaces->items[0])) != 0)
    return -ENOMEM;
  ret_interfaces->items[ret_interfaces->count++] = (struct proof_interface){.zone = ZONE_NONE};
  return 0;
}
