/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_RULES_COMPILE_PARTS_H
#define KIDO_RULES_COMPILE_PARTS_H

#include "rules/builder.h"
#include "rules/compile.h"
#include "rules/rule.h"

/*
 * What the parts of the compiler share. Zones are counted by `place`: their index in the policy, and one behind the
 * last for the gateway.
 */
enum ip_version { IP4, IP6, IP_COUNT_ };

/* Stands for "whatever zone, or none"; its name is "-". */
#define NO_PLACE SIZE_MAX

/* Everything that differs between the two versions of IP. */
struct ip_words {
  enum address_family family;
  char digit;
  enum field_type address;
  enum match source, destination, original_source, original_destination;
  uint8_t nfproto;
  uint8_t icmp;
  enum match icmp_type;
  enum field_type icmp_field;
};
extern const struct ip_words ip_words[IP_COUNT_];

/* Two zones that a flow joins, whichever side opens; low's name sorts first, the gateway is always high. */
struct link {
  size_t low, high;         /* places */
  const uint32_t *flows[2]; /* from low to high, from high to low: indexes, in file order, expired ones included */
  size_t flow_counts[2];
  uint32_t tunnels;           /* that its flows name, see compile_guard.c */
  const char *in_force;       /* the set of its flows in force */
  const char *open_chains[2]; /* like flows; NULL when no flow opens that way */
};

struct zone_part {
  bool present;                  /* has interfaces and takes part */
  struct address_set addresses;  /* all that the zone claims, less what is the gateway's */
  struct address_set pinned;     /* of hosts whose MAC the guard checks */
  bool *joined;                  /* by place: a flow joins it with this zone */
  const char *claims[IP_COUNT_]; /* the sets of `addresses`; NULL until somebody asks */
  const char *guard_chain;
};

struct compilation {
  const struct policy *policy;
  const struct compile_options *options;
  bool closed; /* only what concerns the gateway */
  struct builder builder;
  struct arena *arena;
  struct error *error;
  int status; /* first failure that is not memory */
  const uint32_t *marks;
  struct link *links;
  size_t link_count;
  struct zone_part *zones;
  struct address_set own, broadcasts, special_sources, special_destinations;
  const char *own_set[IP_COUNT_], *special_source_set[IP_COUNT_], *special_destination_set[IP_COUNT_];
  const char *half_open[IP_COUNT_], *handshake; /* NULL where no flow joins any two zones */
  uint16_t slot_mask;
  struct denial_chain *denial_chains; /* compile_denied.c */
  const char *broadcast_set, *zoned_set[IP_COUNT_];
  const char *cut_set[IP_COUNT_]; /* of cut hosts; NULL until somebody asks */
  const char *icmp_passing[IP_COUNT_], *icmp_errors[IP_COUNT_], *neighbour_discovery, *tunnels;
};

/* compile_denied.c */

/* Ends a rule that counted a denial: with drop or, where denials are logged, by way of the chain that does both. */
void end_denial(struct compilation *compilation, struct rule_writer *rule, const char *reason);
/* The log of a denial that is told to who sent it, as a rule of its own before. Nothing where denials are not logged.
 */
void log_denial(struct compilation *compilation, struct chain_draft *chain, const char *reason);

/* Lists of fields for rule_in() and the like. */
#define FIELDS(...) ((const enum match[]){__VA_ARGS__, MATCH_COUNT_})

const char *zone_name_at(const struct compilation *compilation, size_t place);
const char *zone_label_at(const struct compilation *compilation, size_t place);
struct origin zone_origin_at(const struct compilation *compilation, size_t place);
struct origin flow_origin(const struct flow *flow);
size_t gateway_place(const struct compilation *compilation);
zone_index zone_of(const struct compilation *compilation, size_t place);
/* NULL when no flow joins them. *ret_side: 0 when `from` is its low end. */
const struct link *link_between(const struct compilation *compilation, size_t from, size_t to, size_t *ret_side);
const char *denied_counter(struct compilation *compilation, size_t from, size_t to, const char *reason);

/* An interval set with one version's addresses of a set; returns its name. */
const char *address_interval_set(struct compilation *compilation, const char *name, enum ip_version version,
                                 const struct address_set *addresses);
/* All addresses that a zone claims, as an interval set; made when first asked for. */
const char *zone_claims(struct compilation *compilation, size_t place, enum ip_version version);

/* Writes the name of an interface as field `index` of an element's key. */
void interface_write(const struct set *set, struct element *element, size_t index, const char *interface);

/* compile_addresses.c */
struct address_set addresses_without(struct compilation *compilation, struct address_set from,
                                     const struct address_set *what);
struct address_set addresses_with(struct compilation *compilation, struct address_set left,
                                  const struct address_set *right);
struct address_set addresses_in_both(struct compilation *compilation, struct address_set left,
                                     const struct address_set *right);
struct address_set addresses_of(struct compilation *compilation, const struct address_range *ranges, size_t count);
struct address_set every_address(struct compilation *compilation);
struct address_set all_claimed(struct compilation *compilation); /* by a zone or by the gateway */
bool has_version(const struct address_set *set, enum ip_version version);
/* Emergency cuts as the guard of a zone meets them: of the zone's own addresses, those that may not speak; of all
 * addresses, those to which nobody in the zone may speak. Empty without cuts. */
struct address_set cut_sources(struct compilation *compilation, size_t place);
struct address_set cut_destinations(struct compilation *compilation, size_t place);
struct address_set cut_hosts(struct compilation *compilation);
bool places_are_cut(const struct compilation *compilation, size_t left, size_t right);

/* compile_flows.c: maps, sets of flows in force and open chains of all links. */
void compile_links(struct compilation *compilation);
/* compile_openings.c: what all pairs share; before compile_links(). */
void compile_handshake(struct compilation *compilation);
/* The chain for TCP that opens from one zone to another, where a flow in force covers it; limits NULL: none. */
const char *compile_opening(struct compilation *compilation, size_t from, size_t to, const char *limits);
/* compile_pairs.c */
const char *compile_pair(struct compilation *compilation, size_t from, size_t to);
/* until: when forwarding within the zone ends by itself, INSTANT_NEVER for never. */
const char *compile_within(struct compilation *compilation, size_t place, struct instant until);
/* The end of the forward hook: what arrives there although no link joins the two interfaces. */
void compile_unjoined(struct compilation *compilation, struct chain_draft *chain);
enum { TEREDO_PORT = 3544 };

/* What the shortcuts in front of a guard must know of it; IPv4. */
struct guard_view {
  struct chain_draft *chain;       /* to which the rules are added */
  const char *refusals;            /* the chain that walks the reasons */
  const char *binding;             /* the set by which pinned hosts are lawful; NULL: none, or it does not suffice */
  struct address_set sources;      /* from which no reason before ip-options holds, pinned hosts apart */
  struct address_set destinations; /* to which none holds at all */
  struct address_set unjoined;     /* to which none before no-flow holds, but that one does */
  struct address_set foreign;      /* sources that are spoofed, for no reason before that */
};

/* compile_shortcuts.c. What the functions write holds for lawful sources, towards near or far destinations; and for
 * forged ones, of what is not odd. view must live as long. NULL when memory ran out: then they write nothing. */
struct shortcuts;
struct shortcuts *shortcuts_new(struct compilation *compilation, size_t place, const struct guard_view *view);
void shortcuts_send(const struct shortcuts *shortcuts, bool far);
void shortcuts_refuse_strangers(const struct shortcuts *shortcuts);

/* compile_guard.c: sets that all guards share, then one zone's. */
/* Two comparisons that hold from the first to the last pinned address of the zone. */
void guard_narrow_to_pinned(struct compilation *compilation, size_t place, enum ip_version version,
                            struct rule_writer *rule);
void compile_guard_sets(struct compilation *compilation);
const char *compile_guard(struct compilation *compilation, size_t place);

#endif
