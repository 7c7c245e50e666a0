/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include <linux/if_arp.h>
#include <linux/netfilter/nf_tables.h>

#include "proof/symbolic_parts.h"

/* Which interfaces rules can tell apart. Errs towards "they can". */

enum told { TOLD_NOTHING, TOLD_NAME, TOLD_OTHERWISE };

struct naming {
  const struct symbolic *machine;
  const char *name;
  uint8_t bytes[IFNAMSIZ];
  enum told registers[LIVE_REGISTER_BYTES]; /* what each byte came from */
  uint8_t places[LIVE_REGISTER_BYTES];      /* name: which byte of it */
  bool plain;                               /* Ethernet, as far as is known */
};

static enum told meta_tells(const struct naming *naming, unsigned key, unsigned *ret_bytes) {
  switch (key) {
  case NFT_META_IIFNAME:
  case NFT_META_OIFNAME:
  case NFT_META_SDIFNAME:
  case NFT_META_BRI_IIFNAME:
  case NFT_META_BRI_OIFNAME:
    *ret_bytes = IFNAMSIZ;
    return TOLD_NAME;
  case NFT_META_IIF:
  case NFT_META_OIF:
  case NFT_META_IIFGROUP:
  case NFT_META_OIFGROUP:
  case NFT_META_SDIF:
    *ret_bytes = 4;
    return TOLD_OTHERWISE;
  case NFT_META_IIFKIND:
  case NFT_META_OIFKIND:
    *ret_bytes = IFNAMSIZ;
    return TOLD_OTHERWISE;
  case NFT_META_IFTYPE:
  case NFT_META_OIFTYPE:
    *ret_bytes = 2;
    return naming->plain ? TOLD_NOTHING : TOLD_OTHERWISE;
  default:
    *ret_bytes = 16;
    return TOLD_NOTHING;
  }
}

static void note_load(struct naming *naming, const struct live_expression *expression) {
  unsigned bytes = expression->length;
  enum told told = TOLD_NOTHING;
  if (expression->kind == LIVE_META)
    told = meta_tells(naming, expression->key, &bytes);
  for (unsigned i = 0; i < bytes && expression->destination + i < LIVE_REGISTER_BYTES; i++) {
    naming->registers[expression->destination + i] = told;
    naming->places[expression->destination + i] = (uint8_t)i;
  }
}

/* What was calculated from names is not followed. */
static void note_calculation(struct naming *naming, const struct live_expression *expression) {
  bool from_interface = false;
  for (unsigned i = 0; i < expression->length && expression->source + i < LIVE_REGISTER_BYTES; i++)
    from_interface = from_interface || naming->registers[expression->source + i] != TOLD_NOTHING;
  for (unsigned i = 0; i < expression->length && expression->destination + i < LIVE_REGISTER_BYTES; i++)
    naming->registers[expression->destination + i] = from_interface ? TOLD_OTHERWISE : TOLD_NOTHING;
}

/* Whether bytes that come from the interface lie between first and last: then this speaks of it. */
static bool range_names(const struct naming *naming, unsigned source, const uint8_t *first, const uint8_t *last,
                        unsigned length) {
  if (first == NULL || last == NULL)
    return true;
  for (unsigned i = 0; i < length && source + i < LIVE_REGISTER_BYTES; i++) {
    if (naming->registers[source + i] == TOLD_OTHERWISE)
      return true;
    if (naming->registers[source + i] != TOLD_NAME || naming->places[source + i] != 0)
      continue;
    unsigned count = length - i < IFNAMSIZ ? length - i : IFNAMSIZ;
    if (memcmp(naming->bytes, first + i, count) >= 0 && memcmp(naming->bytes, last + i, count) <= 0)
      return true;
    i += count - 1;
  }
  return false;
}

static bool reads_interface(const struct naming *naming, unsigned source, unsigned length) {
  for (unsigned i = 0; i < length && source + i < LIVE_REGISTER_BYTES; i++)
    if (naming->registers[source + i] != TOLD_NOTHING)
      return true;
  return false;
}

static bool set_names(const struct naming *naming, const struct live_expression *expression) {
  const struct live_set *set = expression->set;
  if (set == NULL || !reads_interface(naming, expression->source, set->key_length))
    return false;
  for (size_t i = 0; i < set->element_count; i++) {
    const struct live_element *element = &set->elements[i];
    if (range_names(naming, expression->source, element->first, element->last, set->key_length))
      return true;
  }
  return false;
}

/* Equality names what it compares with; an order names both sides of it. */
static bool comparison_names(const struct naming *naming, const struct live_expression *expression) {
  bool equality = expression->operation == NFT_CMP_EQ || expression->operation == NFT_CMP_NEQ;
  if (!reads_interface(naming, expression->source, expression->data_length))
    return false;
  if (expression->kind == LIVE_RANGE)
    return range_names(naming, expression->source, expression->data, expression->data_to, expression->data_length);
  return !equality ||
         range_names(naming, expression->source, expression->data, expression->data, expression->data_length);
}

static bool expression_names(struct naming *naming, const struct live_expression *expression) {
  switch (expression->kind) {
  case LIVE_COMPARE:
  case LIVE_RANGE:
    return comparison_names(naming, expression);
  case LIVE_LOOKUP:
  case LIVE_DYNSET:
    return set_names(naming, expression);
  case LIVE_BITWISE:
  case LIVE_BYTEORDER:
    note_calculation(naming, expression);
    return false;
  case LIVE_META:
  case LIVE_PAYLOAD:
  case LIVE_CT:
  case LIVE_EXTHDR:
    note_load(naming, expression);
    return false;
  case LIVE_META_SET:
  case LIVE_CT_SET:
    return reads_interface(naming, expression->source, 4);
  default:
    return false;
  }
}

static bool chain_names(struct naming *naming, const struct live_chain *chain) {
  for (size_t i = 0; i < chain->device_count; i++) {
    size_t length = strlen(chain->devices[i]);
    if (strcmp(chain->devices[i], naming->name) == 0 || (length > 0 && chain->devices[i][length - 1] == '*' &&
                                                         strncmp(chain->devices[i], naming->name, length - 1) == 0))
      return true;
  }
  for (size_t i = 0; i < chain->rule_count; i++) {
    memset(naming->registers, 0, sizeof(naming->registers));
    for (size_t k = 0; k < chain->rules[i].expression_count; k++)
      if (expression_names(naming, &chain->rules[i].expressions[k]))
        return true;
  }
  return false;
}

static bool name_is_told(const struct symbolic *machine, const char *name, bool plain) {
  struct naming naming = {.machine = machine, .name = name, .plain = plain};
  memcpy(naming.bytes, name, strnlen(name, IFNAMSIZ - 1));
  for (size_t i = 0; i < machine->ruleset->table_count; i++) {
    const struct live_table *table = &machine->ruleset->tables[i];
    for (size_t k = 0; k < table->chain_count; k++)
      if (chain_names(&naming, &table->chains[k]))
        return true;
  }
  return false;
}

bool symbolic_names_interface(const struct symbolic *machine, const char *name) {
  const struct surroundings *surroundings = machine->surroundings;
  bool known = surroundings != NULL && surroundings->known;
  const struct link *link = known ? surroundings_find(surroundings, name) : NULL;
  return name_is_told(machine, name, link == NULL || link->type == ARPHRD_ETHER);
}

/* Names that no interface can bear would do, too; but a rule may compare with anything. */
const char *names_other(struct symbolic *machine) {
  static const char *const NAMES[] = {"/other", "/0", "0/", "~/", " /", "Z/", "q/9"};
  for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++)
    if (!name_is_told(machine, NAMES[i], true))
      return NAMES[i];
  return NULL;
}
