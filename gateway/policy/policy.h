/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_POLICY_POLICY_H
#define KIDO_POLICY_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/arena.h"
#include "base/diagnostic.h"
#include "base/instant.h"
#include "base/language.h"

/*
 * The model of one policy: what the town approved, resolved. Built once by policy_read(), constant ever after, freed
 * with its arena. Every node knows its place in the file. Arrays keep the order of the file.
 *
 * A model with errors in its diagnostics may have holes (zone_index ZONE_NONE, empty arrays) and must not be compiled;
 * the checks run over it all the same, to report everything in one run.
 */

/* Index into policy->zones, or one of the two below. */
typedef int zone_index;
enum {
  ZONE_NONE = -1,    /* an interface without a zone, an address that no zone claims */
  ZONE_GATEWAY = -2, /* this appliance itself */
};

enum zone_class {
  CLASS_MYNUMBER,
  CLASS_MYNUMBER_CLOUD,
  CLASS_LGWAN,
  CLASS_LGWAN_LINE,
  CLASS_RELAY,
  CLASS_INTERNET,
  CLASS_CLOUD,
  CLASS_BREAKOUT,
  CLASS_MANAGEMENT,
  CLASS_MAINTENANCE,
  CLASS_OT,
  CLASS_UNROUTED,
  CLASS_COUNT_,
};

enum connection_model { MODEL_ALPHA, MODEL_ALPHA_PRIME, MODEL_BETA, MODEL_BETA_PRIME, MODEL_COUNT_ };

enum flow_method {
  METHOD_SCREEN,
  METHOD_MAILTEXT,
  METHOD_CDR,
  METHOD_SPECIFIC,
  METHOD_LGWAN_SERVICE,
  METHOD_AGGREGATE,
  METHOD_BREAKOUT,
  METHOD_OPS,
  METHOD_MAINTENANCE,
  METHOD_EXCEPTION,
  METHOD_COUNT_,
};

/* In ascending order of authority; ROLE_EMERGENCY stands outside the order. */
enum approval_role {
  ROLE_NONE,
  ROLE_MANAGER,
  ROLE_SECTION,
  ROLE_DEPARTMENT,
  ROLE_CHIEF,
  ROLE_CISO,
  ROLE_EMERGENCY,
  ROLE_COUNT_
};

enum flow_log { LOG_DEFAULT, LOG_NONE, LOG_NEW };
enum deny_action { ON_DENY_DROP, ON_DENY_REJECT };
enum mac_scope { MAC_SCOPE_DIRECT, MAC_SCOPE_VIA_ROUTER };

/* A string of the file with its place; text is NULL where the key was absent. */
struct text {
  const char *text;
  struct place place;
};

/* A prefix or range with its place. */
struct placed_range {
  struct address_range range;
  struct place place;
};

struct date {
  bool set;
  int year, month, day;
  struct place place;
};

struct policy_header {
  struct text name, number, basis;
  struct date effective;
  enum connection_model model;
  const char *timezone_name;
  const struct timezone *timezone;
  enum language language;
  struct placed_range *special_exempt;
  size_t special_exempt_count;
  unsigned half_open_limit;
  struct place place;
};

struct zone {
  const char *name;
  enum zone_class class;
  bool class_known;
  const char *label; /* "" when absent */
  struct text *interfaces;
  size_t interface_count;
  struct placed_range *networks; /* on the attached segments */
  size_t network_count;
  struct placed_range *remote; /* behind a router of this zone */
  size_t remote_count;
  bool default_route;
  struct place default_route_place;
  bool within; /* forwarding between two interfaces of this zone is allowed */
  bool within_set;
  enum deny_action on_deny;
  struct text *routers, *dhcp_servers, *switches; /* host names, addresses or MACs, as written */
  size_t router_count, dhcp_server_count, switch_count;
  struct address_set local; /* networks and remote together */
  struct place place;
};

struct host {
  const char *name;
  zone_index zone;
  struct place zone_place;
  struct placed_range *addresses;
  size_t address_count;
  struct mac *macs;
  size_t mac_count;
  enum mac_scope mac_scope;
  struct text mac_reason;
  const char *machine; /* NULL when absent */
  const char *label;   /* "" when absent */
  struct place place;
};

/* One service of a flow: protocol and destination ports, or an ICMP type. */
struct service {
  uint8_t protocol;               /* IANA number; tcp 6, udp 17, icmp 1, icmpv6 58 */
  uint16_t first_port, last_port; /* destination; 0 to 65535 for protocols without ports */
  uint8_t icmp_type;              /* for protocol 1 and 58; every code of it */
  const char *text;               /* as written by the operator: "https" or "tcp/443" */
  struct place place;
};

enum endpoint_kind { ENDPOINT_HOST, ENDPOINT_ZONE, ENDPOINT_GATEWAY };

/* One member of `from` or `to`. */
struct endpoint {
  enum endpoint_kind kind;
  const struct host *host; /* ENDPOINT_HOST */
  zone_index zone;         /* ENDPOINT_HOST, ENDPOINT_ZONE: its zone; ENDPOINT_GATEWAY: ZONE_GATEWAY */
  struct place place;
};

struct window {
  struct instant start, end; /* [start, end) */
  bool attended;
  bool valid;
  struct place place;
};

/* "mon-fri 08:30-17:15": minutes of the day in the policy's timezone; last < first wraps over midnight. */
struct hours {
  bool set;
  uint8_t weekdays;                   /* bit 0 is Monday; the day on which the span starts */
  unsigned first_minute, last_minute; /* [first, last) */
  struct place place;
};

struct limit {
  bool set;
  uint64_t new_per_second; /* 0: none */
  uint64_t connections;    /* 0: none */
  struct place place;
};

struct shape {
  bool set;
  uint64_t up_bytes_per_minute, down_bytes_per_minute; /* 0: the default of the method */
};

struct approval {
  bool present;
  struct text by, document, author;
  struct date date;
  enum approval_role role; /* ROLE_NONE: absent or unknown */
  struct place role_place;
  struct place place;
};

/* A free-text key of a flow (reason, basis, compensation, application, data_class, contact, note, x_...). */
struct flow_note {
  const char *key;
  struct text value;
};

struct flow {
  const char *name;
  size_t index; /* position in the file */
  struct endpoint *from, *to;
  size_t from_count, to_count;
  zone_index from_zone, to_zone; /* all members of an end lie in one zone (else a diagnostic was given) */
  struct service *services;
  size_t service_count;
  enum flow_method method;
  bool method_known;
  struct place from_place, to_place, services_place, method_place;
  struct text pair, purpose, owner, protocol;
  struct shape shape;
  struct approval approval;
  struct date review;
  bool expires_set;
  struct instant expires; /* a bare date: 24:00 of that day */
  struct place expires_place;
  struct window *windows;
  size_t window_count;
  struct place window_place;
  struct hours hours;
  struct limit limit;
  enum flow_log log; /* as written; flow_logs_new() applies the default */
  struct flow_note *notes;
  size_t note_count;
  struct place place;
};

enum expectation_end_kind { EXPECT_HOST, EXPECT_RANGE, EXPECT_GATEWAY, EXPECT_ZONE };

struct expectation_end {
  enum expectation_end_kind kind;
  const struct host *host;
  struct address_range range;
  zone_index zone; /* EXPECT_ZONE */
  struct place place;
};

/* `expect`: one case. universal: from_zone and to_zone alone, every packet of the pair at any time. */
struct expectation {
  const char *name;
  bool universal;
  struct expectation_end from, to;
  struct service *services; /* what `service` names (tcp+udp gives two); empty when universal */
  size_t service_count;
  bool expect_allow;
  struct text flow; /* the flow that should allow it */
  bool at_set;
  struct instant at;
  struct place place, verdict_place;
  bool valid; /* false: a diagnostic was given, the case is not run */
};

struct named_service {
  const char *name;
  struct service *services;
  size_t service_count;
  struct place place;
};

struct policy {
  struct policy_header header;
  struct zone *zones;
  size_t zone_count;
  struct host *hosts;
  size_t host_count;
  struct named_service *services; /* the policy's own */
  size_t named_service_count;
  struct flow *flows;
  size_t flow_count;
  struct expectation *expectations;
  size_t expectation_count;
  const char *file;
  char sha256[65]; /* of the canonical form; what was approved */
};

/* ---- what the model means; all pure ---- */

/* Names of enum values as in the file; never NULL for a valid value. */
const char *zone_class_name(enum zone_class class);
const char *flow_method_name(enum flow_method method);
const char *approval_role_name(enum approval_role role);
const char *connection_model_name(enum connection_model model);
/* The Japanese or English name that people use: 画面転送, screen transfer. */
const char *flow_method_label(enum flow_method method, enum language language);

/* "gateway" for ZONE_GATEWAY, "-" for ZONE_NONE. */
const char *policy_zone_name(const struct policy *policy, zone_index zone);
/* Label of the zone where it has one and the language is Japanese, else its name. */
const char *policy_zone_label(const struct policy *policy, zone_index zone);
zone_index policy_find_zone(const struct policy *policy, const char *name);         /* ZONE_NONE; knows "gateway" */
const struct host *policy_find_host(const struct policy *policy, const char *name); /* NULL */
const struct flow *policy_find_flow(const struct policy *policy, const char *name); /* NULL */
zone_index policy_zone_of_interface(const struct policy *policy, const char *interface);
const char *flow_note_text(const struct flow *flow, const char *key); /* NULL when absent */
bool flow_logs_new(const struct policy *policy, const struct flow *flow);

/*
 * The zone that claims an address (1-policy.md, `default_route`): its networks and remote, `unrouted` zones included;
 * else, for a global unicast address, the default_route zone; else ZONE_NONE. own: addresses of the gateway, which the
 * default space never includes (may be NULL).
 */
zone_index policy_zone_of_address(const struct policy *policy, const struct address_set *own,
                                  const struct address *address);
/* Whether it is a global unicast address: what `default_route` claims where no zone does. */
bool policy_is_global(const struct policy *policy, const struct address *address);
/* All addresses of a zone by the same rule. Allocates from the arena; 0 or -ENOMEM. */
int policy_zone_addresses(const struct policy *policy, zone_index zone, struct arena *arena,
                          struct address_set *ret_set);
/* All addresses that an end of a flow covers. peer: zone of the other end; for `gateway` the answer is the attached
 * networks of that zone (the gateway's addresses lie in them). */
int policy_end_addresses(const struct policy *policy, const struct endpoint *ends, size_t count, zone_index peer,
                         struct arena *arena, struct address_set *ret_set);

/* Special-purpose addresses (2-enforcement.md, special-source and special-destination), the exempt ones taken out. */
int policy_special_sources(const struct policy *policy, struct arena *arena, struct address_set *ret_set);
int policy_special_destinations(const struct policy *policy, struct arena *arena, struct address_set *ret_set);

/* The same for one address. */
bool policy_is_special_source(const struct policy *policy, const struct address *address);
bool policy_is_special_destination(const struct policy *policy, const struct address *address);

enum force_state {
  FORCE_YES,
  FORCE_EXPIRED,        /* `expires` has passed, or its last window */
  FORCE_OUTSIDE_WINDOW, /* between windows or outside `hours`: may be in force later */
};

/*
 * Whether a flow is in force at an instant. *ret_until (may be NULL): the instant at which the answer changes next,
 * INSTANT_NEVER when it never does. While FORCE_YES that is the end to set in the kernel.
 */
enum force_state policy_flow_force(const struct policy *policy, const struct flow *flow, struct instant now,
                                   struct instant *ret_until);

#endif
