/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <linux/netfilter.h>
#include <string.h>

#include "proof/bypass_parts.h"

/* What the machine has beside its wires: facts that the kernel's side collected, programs, and whether our own table
 * stands at all. */
enum { DETOUR_LIMIT = 4 };

#define OWN_TABLE "kido"

/* ---- programs on interfaces ---- */

int search_for_programs(struct search *search) {
  int status = 0;
  for (size_t i = 0; status == 0 && i < search->surroundings->link_count; i++) {
    const struct link *link = &search->surroundings->links[i];
    if (!link->xdp) {
      continue;
    }
    const struct bypass finding = {
        .kind = "xdp", .state = BYPASS_UNKNOWN, .left = search_zone_of_link(search, link), .right = ZONE_NONE};
    status = search_add(search, &finding,
                        search_printf(search,
                                      search_words(search, "%s に XDP プログラムが付いており、何をするか分かりません",
                                                   "%s has an XDP program, and what it does cannot be known"),
                                      search_describe(search, link->name)));
  }
  return status;
}

/* ---- facts ---- */

/* Zone of the wire whose frames a device carries: its own, or that of a device that is redirected to it. */
static zone_index source_zone(const struct search *search, const char *name, unsigned depth) {
  zone_index zone = search_zone_of(search, name);
  for (size_t i = 0; zone == ZONE_NONE && depth > 0 && name != NULL && i < search->surroundings->fact_count; i++) {
    const struct machine_fact *fact = &search->surroundings->facts[i];
    bool leads_here = strcmp(fact->kind, "tc") == 0 && fact->state == FACT_BAD && fact->links[1] != NULL &&
                      strcmp(fact->links[1], name) == 0 && strcmp(fact->links[0], name) != 0;
    zone = leads_here ? source_zone(search, fact->links[0], depth - 1) : ZONE_NONE;
  }
  return zone;
}

/* Shapers send what comes in through an ifb device and get it back from there: what its own filters do is said by
 * facts of their own. */
static bool only_shapes(const struct search *search, const struct machine_fact *fact) {
  const struct link *target = fact->links[1] != NULL ? surroundings_find(search->surroundings, fact->links[1]) : NULL;
  return strcmp(fact->kind, "tc") == 0 && target != NULL && strcmp(target->kind, "ifb") == 0;
}

static const char *say_fact(const struct search *search, const struct machine_fact *fact) {
  if (strcmp(fact->kind, "sysctl") == 0) {
    return search_printf(search, search_words(search, "%s が %s です（%s のはずです）", "%s is '%s', not '%s'"),
                         fact->subject, fact->detail, fact->expected != NULL ? fact->expected : "?");
  }
  if (strcmp(fact->kind, "macvlan") == 0 && fact->links[0] != NULL) {
    return search_printf(search,
                         search_words(search, "%s に、この名前空間にない局 %s が載っています",
                                      "%s serves %s, a station that no device of this network namespace is"),
                         search_describe(search, fact->links[0]), fact->detail);
  }
  if (fact->links[0] != NULL && fact->links[1] != NULL) {
    return search_printf(search, search_words(search, "%s から %s へ：%s %s", "from %s to %s: %s %s"),
                         search_describe(search, fact->links[0]), search_describe(search, fact->links[1]),
                         fact->subject, fact->detail);
  }
  return search_printf(search, search_words(search, "%s：%s", "%s: %s"), fact->subject, fact->detail);
}

static int judge_fact(struct search *search, const struct machine_fact *fact) {
  struct bypass finding = {.kind = fact->kind,
                           .state = BYPASS_UNKNOWN,
                           .left = source_zone(search, fact->links[0], DETOUR_LIMIT),
                           .right = search_zone_of(search, fact->links[1])};
  if (fact->state == FACT_UNSEEN) {
    finding.state = BYPASS_ASSUMED;
    return search_add(search, &finding,
                      search_printf(search,
                                    search_words(search, "%s は見られません（%s）", "%s cannot be looked at (%s)"),
                                    fact->subject, fact->detail));
  }
  bool joins = finding.left != ZONE_NONE && finding.right != ZONE_NONE && finding.left != finding.right;
  if (fact->state == FACT_BAD && joins) {
    finding.state = BYPASS_OPEN;
  }
  if (strcmp(fact->kind, "boot") == 0) { /* not now, but when the machine starts */
    finding.state = BYPASS_ASSUMED;
  }
  return search_add(search, &finding, say_fact(search, fact));
}

int search_for_facts(struct search *search) {
  int status = 0;
  for (size_t i = 0; status == 0 && i < search->surroundings->fact_count; i++) {
    const struct machine_fact *fact = &search->surroundings->facts[i];
    if (fact->state != FACT_GOOD && !only_shapes(search, fact)) {
      status = judge_fact(search, fact);
    }
  }
  return status;
}

/* ---- our own table ---- */

int search_for_table(struct search *search) {
  const struct live_table *table = live_find_table(search->ruleset, NFPROTO_INET, OWN_TABLE);
  const struct surroundings *surroundings = search->surroundings;
  if (table != NULL && !table->dormant) {
    return 0;
  }
  bool forwards = surroundings != NULL && (surroundings->forwarding4 || surroundings->forwarding6);
  const struct bypass finding = {
      .kind = forwards ? "forwarding" : "table", .state = BYPASS_OPEN, .left = ZONE_NONE, .right = ZONE_NONE};
  const char *what =
      table == NULL ? search_words(search, "表 inet " OWN_TABLE " がありません", "there is no table inet " OWN_TABLE)
                    : search_words(search, "表 inet " OWN_TABLE " は休止しています（dormant）",
                                   "table inet " OWN_TABLE " is dormant");
  return search_add(search, &finding,
                    forwards ? search_printf(search,
                                             search_words(search, "%s。それでもカーネルは転送しています",
                                                          "%s, and the kernel forwards all the same"),
                                             what)
                             : what);
}
