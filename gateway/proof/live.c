/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proof/live.h"

#include <string.h>

#include <linux/netfilter.h>

const struct live_table *live_find_table(const struct live_ruleset *ruleset, unsigned family, const char *name) {
  for (size_t i = 0; i < ruleset->table_count; i++) {
    if (ruleset->tables[i].family == family && strcmp(ruleset->tables[i].name, name) == 0) {
      return &ruleset->tables[i];
    }
  }
  return NULL;
}

const struct live_chain *live_find_chain(const struct live_table *table, const char *name) {
  for (size_t i = 0; i < table->chain_count; i++) {
    if (strcmp(table->chains[i].name, name) == 0) {
      return &table->chains[i];
    }
  }
  return NULL;
}

const struct live_set *live_find_set(const struct live_table *table, const char *name) {
  for (size_t i = 0; i < table->set_count; i++) {
    if (strcmp(table->sets[i].name, name) == 0) {
      return &table->sets[i];
    }
  }
  return NULL;
}

const char *live_family_name(unsigned family) {
  static const char *const names[] = {
      [NFPROTO_INET] = "inet",     [NFPROTO_IPV4] = "ip",       [NFPROTO_ARP] = "arp",
      [NFPROTO_NETDEV] = "netdev", [NFPROTO_BRIDGE] = "bridge", [NFPROTO_IPV6] = "ip6",
  };
  bool known = family < sizeof(names) / sizeof(names[0]) && names[family] != NULL;
  return known ? names[family] : "unknown";
}
