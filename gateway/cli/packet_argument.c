/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/packet_argument.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/options.h"
#include "policy/read.h"

/* ---- services ---- */

struct icmp_name {
  uint8_t protocol, type;
  const char *name;
};

static const struct icmp_name ICMP_NAMES[] = {
    {PROTOCOL_ICMP, 0, "echo-reply"},
    {PROTOCOL_ICMP, 3, "destination-unreachable"},
    {PROTOCOL_ICMP, 4, "source-quench"},
    {PROTOCOL_ICMP, 5, "redirect"},
    {PROTOCOL_ICMP, 8, "echo-request"},
    {PROTOCOL_ICMP, 9, "router-advertisement"},
    {PROTOCOL_ICMP, 10, "router-solicitation"},
    {PROTOCOL_ICMP, 11, "time-exceeded"},
    {PROTOCOL_ICMP, 12, "parameter-problem"},
    {PROTOCOL_ICMP, 13, "timestamp-request"},
    {PROTOCOL_ICMP, 14, "timestamp-reply"},
    {PROTOCOL_ICMP, 17, "address-mask-request"},
    {PROTOCOL_ICMP, 18, "address-mask-reply"},
    {PROTOCOL_ICMPV6, 1, "destination-unreachable"},
    {PROTOCOL_ICMPV6, 2, "packet-too-big"},
    {PROTOCOL_ICMPV6, 3, "time-exceeded"},
    {PROTOCOL_ICMPV6, 4, "parameter-problem"},
    {PROTOCOL_ICMPV6, 128, "echo-request"},
    {PROTOCOL_ICMPV6, 129, "echo-reply"},
    {PROTOCOL_ICMPV6, 133, "router-solicitation"},
    {PROTOCOL_ICMPV6, 134, "router-advertisement"},
    {PROTOCOL_ICMPV6, 135, "neighbour-solicitation"},
    {PROTOCOL_ICMPV6, 136, "neighbour-advertisement"},
    {PROTOCOL_ICMPV6, 137, "redirect"},
};
enum { ICMP_NAME_COUNT = sizeof(ICMP_NAMES) / sizeof(ICMP_NAMES[0]) };

/* The protocols that a word in front of the slash stands for; 0 in the second place for one alone. */
static const struct {
  const char *word;
  uint8_t protocols[2];
} PROTOCOLS[] = {
    {"tcp", {PROTOCOL_TCP}},   {"udp", {PROTOCOL_UDP}},       {"tcp+udp", {PROTOCOL_TCP, PROTOCOL_UDP}},
    {"icmp", {PROTOCOL_ICMP}}, {"icmpv6", {PROTOCOL_ICMPV6}}, {"udp+tcp", {PROTOCOL_TCP, PROTOCOL_UDP}},
};

struct service_list {
  struct service_argument *services;
  int count;
};

static void add(struct service_list *list, uint8_t protocol, unsigned port, unsigned icmp_type) {
  if (list->count < SERVICE_ARGUMENT_LIMIT)
    list->services[list->count++] = (struct service_argument){protocol, (uint16_t)port, (uint8_t)icmp_type};
}

static bool parse_number(const char *text, unsigned least, unsigned most, unsigned *ret_number) {
  if (text[0] == '\0' || strlen(text) > 5 || strspn(text, "0123456789") != strlen(text))
    return false;
  *ret_number = (unsigned)strtoul(text, NULL, 10);
  return *ret_number >= least && *ret_number <= most;
}

static bool add_ports(struct service_list *list, uint8_t protocol, const char *text) {
  char first_text[8] = "";
  const char *dash = strchr(text, '-');
  unsigned first, last;
  size_t length = dash != NULL ? (size_t)(dash - text) : strlen(text);
  if (length >= sizeof(first_text))
    return false;
  snprintf(first_text, sizeof first_text, "%.*s", (int)length, text);
  if (!parse_number(first_text, 0, UINT16_MAX, &first))
    return false;
  add(list, protocol, first, 0);
  if (dash == NULL)
    return true;
  if (!parse_number(dash + 1, first, UINT16_MAX, &last))
    return false;
  add(list, protocol, last, 0);
  return true;
}

static bool add_icmp(struct service_list *list, uint8_t protocol, const char *text) {
  unsigned type;
  if (parse_number(text, 0, UINT8_MAX, &type)) {
    add(list, protocol, 0, type);
    return true;
  }
  for (size_t i = 0; i < ICMP_NAME_COUNT; i++)
    if (ICMP_NAMES[i].protocol == protocol && strcmp(ICMP_NAMES[i].name, text) == 0) {
      add(list, protocol, 0, ICMP_NAMES[i].type);
      return true;
    }
  return false;
}

static bool add_definition(struct service_list *list, const char *text) {
  const char *slash = strchr(text, '/');
  size_t length = slash != NULL ? (size_t)(slash - text) : 0;
  unsigned number;
  if (slash == NULL)
    return false;
  if (length == 5 && strncmp(text, "proto", 5) == 0 && parse_number(slash + 1, 0, UINT8_MAX, &number)) {
    add(list, (uint8_t)number, 0, 0);
    return true;
  }
  for (size_t i = 0; i < sizeof(PROTOCOLS) / sizeof(PROTOCOLS[0]); i++) {
    if (strlen(PROTOCOLS[i].word) != length || strncmp(PROTOCOLS[i].word, text, length) != 0)
      continue;
    const uint8_t *protocols = PROTOCOLS[i].protocols;
    if (protocols[0] == PROTOCOL_ICMP || protocols[0] == PROTOCOL_ICMPV6)
      return add_icmp(list, protocols[0], slash + 1);
    return add_ports(list, protocols[0], slash + 1) && (protocols[1] == 0 || add_ports(list, protocols[1], slash + 1));
  }
  return false;
}

/* A service of the model: both ends of a port range stand for it. */
static void add_service(struct service_list *list, const struct service *service) {
  bool ports = service->protocol == PROTOCOL_TCP || service->protocol == PROTOCOL_UDP;
  add(list, service->protocol, ports ? service->first_port : 0, service->icmp_type);
  if (ports && service->last_port != service->first_port)
    add(list, service->protocol, service->last_port, 0);
}

static bool add_catalogued(struct service_list *list, const char *definitions) {
  char one[64];
  while (*definitions != '\0') {
    size_t length = strcspn(definitions, " ");
    if (length >= sizeof(one))
      return false;
    memcpy(one, definitions, length);
    one[length] = '\0';
    if (!add_definition(list, one))
      return false;
    definitions += length + strspn(definitions + length, " ");
  }
  return true;
}

static bool add_named(struct service_list *list, const struct policy *policy, const char *name) {
  for (size_t i = 0; i < policy->named_service_count; i++)
    if (strcmp(policy->services[i].name, name) == 0) {
      for (size_t j = 0; j < policy->services[i].service_count; j++)
        add_service(list, &policy->services[i].services[j]);
      return true;
    }
  size_t count;
  const struct catalogue_entry *catalogue = service_catalogue(&count);
  for (size_t i = 0; i < count; i++)
    if (strcmp(catalogue[i].name, name) == 0)
      return add_catalogued(list, catalogue[i].definition);
  return false;
}

int service_argument_parse(const struct policy *policy, const char *text, enum language language,
                           struct service_argument *ret_services, struct error *error) {
  struct service_list list = {.services = ret_services};
  bool found = strchr(text, '/') != NULL ? add_definition(&list, text) : add_named(&list, policy, text);
  if (found && list.count > 0)
    return list.count;
  return usage_error_set(
      error, language,
      "「%.60s」はサービスではありません。tcp/443、udp/53、icmp/echo-request、proto/132、"
      "または kido show services が示す名前を書いてください",
      "'%.60s' is not a service: write tcp/443, udp/53, icmp/echo-request, proto/132, or a name that "
      "`kido show services` lists",
      text);
}

const char *service_argument_text(const struct service_argument *service, struct arena *arena) {
  const char *text;
  if (service->protocol == PROTOCOL_TCP || service->protocol == PROTOCOL_UDP) {
    text = arena_printf(arena, "%s/%u", service->protocol == PROTOCOL_TCP ? "tcp" : "udp", (unsigned)service->port);
    return text != NULL ? text : "";
  }
  bool version4 = service->protocol == PROTOCOL_ICMP;
  if (!version4 && service->protocol != PROTOCOL_ICMPV6) {
    text = arena_printf(arena, "proto/%u", (unsigned)service->protocol);
    return text != NULL ? text : "";
  }
  for (size_t i = 0; i < ICMP_NAME_COUNT; i++)
    if (ICMP_NAMES[i].protocol == service->protocol && ICMP_NAMES[i].type == service->icmp_type) {
      text = arena_printf(arena, "%s/%s", version4 ? "icmp" : "icmpv6", ICMP_NAMES[i].name);
      return text != NULL ? text : "";
    }
  text = arena_printf(arena, "%s/%u", version4 ? "icmp" : "icmpv6", (unsigned)service->icmp_type);
  return text != NULL ? text : "";
}

/* ---- ends ---- */

static int unknown_host(const struct policy *policy, const char *text, enum language language, struct arena *arena,
                        struct error *error) {
  const char **names = ARENA_ARRAY(arena, policy->host_count, const char *);
  const char *nearest = NULL;
  for (size_t i = 0; names != NULL && i < policy->host_count; i++)
    names[i] = policy->hosts[i].name;
  if (names != NULL)
    nearest = text_nearest(text, names, policy->host_count);
  if (nearest != NULL)
    return usage_error_set(error, language,
                           "「%.60s」はアドレスでもポリシーの機器でもありません。%s の誤りではありませんか",
                           "'%.60s' is neither an address nor a host of the policy; did you mean '%s'?", text, nearest);
  return usage_error_set(error, language, "「%.60s」はアドレスでもポリシーの機器でも gateway でもありません",
                         "'%.60s' is neither an address, nor a host of the policy, nor 'gateway'", text);
}

int end_argument_parse(const struct policy *policy, const char *text, enum language language, struct arena *arena,
                       struct end_argument *ret_end, struct error *error) {
  struct end_argument end = {.gateway = strcmp(text, "gateway") == 0};
  if (!end.gateway && !address_parse(text, &end.address)) {
    end.host = policy_find_host(policy, text);
    if (end.host == NULL)
      return unknown_host(policy, text, language, arena, error);
    if (end.host->address_count == 0)
      return usage_error_set(error, language, "機器 %s にアドレスがありません", "host '%s' has no address", text);
    end.address = end.host->addresses[0].range.first;
  }
  *ret_end = end;
  return 0;
}
