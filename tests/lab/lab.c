/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lab_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <netinet/in.h>

#include <linux/netlink.h>

/*
 * Theory of operation
 *
 * A TAP without NAPI gives a written frame to netif_receive_skb() in the writer's context: prerouting, routing,
 * forwarding and the transmit function of the other TAP run before write() returns. So a batch is: write frames, then
 * read every TAP until it has no more. A TAP that nobody reads queues `txqueuelen` frames and then drops, hence the
 * long queue and the bounded batches.
 *
 * What the gateway itself receives (hook input) is seen by raw sockets, one per protocol: they get a copy after the
 * input hook has let the packet through. What it sends itself leaves through a raw socket with its own IP header,
 * which passes the output hook.
 *
 * Interfaces have IFF_NOARP unless the test is about neighbours: then every destination counts as reachable and no
 * packet waits for an address resolution that nobody answers.
 */

enum {
  QUEUE_LENGTH = 8192,
  SKIPPED = 77,
  SENDER_MARK = 0x4b4c,
  RECEIVE_BUFFER = 8 * 1024 * 1024,
};

/* Protocols that the gateway listens for in both families. */
static const uint8_t listened[] = {PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP, 47, 50, PROTOCOL_ICMPV6, 89, 132, 200};
_Static_assert(LISTENER_COUNT == 2 * sizeof(listened), "a place for each");

/* ---- what the machine offers ---- */

const char *lab_unavailable(void) {
  if (geteuid() != 0)
    return "needs root";
  if (access("/dev/net/tun", R_OK | W_OK) != 0)
    return "needs /dev/net/tun";
  int socket_nft = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
  if (socket_nft < 0)
    return "needs netfilter netlink (nf_tables)";
  close(socket_nft);
  return NULL;
}

void lab_require(void) {
  const char *reason = lab_unavailable();
  if (reason == NULL)
    return;
  printf("skipped: %s\n", reason);
  exit(SKIPPED);
}

int lab_set(const char *path, const char *value) {
  char file[256];
  snprintf(file, sizeof(file), "/proc/sys/%s", path);
  int descriptor = open(file, O_WRONLY | O_CLOEXEC);
  if (descriptor < 0)
    return -errno;
  ssize_t written = write(descriptor, value, strlen(value));
  int code = written < 0 ? -errno : 0;
  close(descriptor);
  return code;
}

int lab_command(const char *format, ...) {
  char command[4096];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(command, sizeof(command), format, arguments);
  va_end(arguments);
  fflush(NULL);
  return system(command);
}

/* ---- building the gateway ---- */

static const struct {
  const char *path, *value;
} namespace_settings[] = {
    {"net/ipv4/ip_forward", "1"},
    {"net/ipv6/conf/all/forwarding", "1"},
    {"net/ipv6/conf/default/accept_dad", "0"},
    {"net/ipv6/conf/default/autoconf", "0"},
    {"net/ipv6/conf/default/accept_ra", "0"},
    {"net/ipv6/conf/default/router_solicitations", "0"},
    {"net/ipv6/icmp/ratelimit", "0"},
    {"net/ipv4/icmp_ratelimit", "0"},
    {"net/ipv4/icmp_msgs_per_sec", "1000000"},
    {"net/ipv4/icmp_msgs_burst", "100000"},
    {"net/ipv4/conf/all/send_redirects", "0"},
    {"net/ipv4/conf/default/send_redirects", "0"},
    {"net/ipv4/conf/default/accept_redirects", "0"},
    {"net/ipv6/conf/default/accept_redirects", "0"},
    {"net/ipv4/ipfrag_time", "1"},
};

static void apply_settings(const struct lab_options *options) {
  for (size_t i = 0; i < sizeof(namespace_settings) / sizeof(namespace_settings[0]); i++)
    (void)lab_set(namespace_settings[i].path, namespace_settings[i].value); /* not every kernel has every one */
  (void)lab_set("net/ipv4/conf/all/rp_filter", options->rp_filter ? "1" : "0");
  (void)lab_set("net/ipv4/conf/default/rp_filter", options->rp_filter ? "1" : "0");
  if (!options->neighbours)
    (void)lab_set("net/ipv6/conf/default/addr_gen_mode", "1"); /* no link-local address, no router solicitation */
}

/* Absent until the conntrack module is loaded, so after the first rule at the latest. */
static void apply_conntrack_settings(const struct lab_options *options) {
  if (!options->tcp_loose)
    (void)lab_set("net/netfilter/nf_conntrack_tcp_loose", "0");
}

static int open_tap(const char *name, struct error *error) {
  int descriptor = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (descriptor < 0)
    return error_set(error, errno, "/dev/net/tun: %s", strerror(errno));
  struct ifreq request = {0};
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
  if (ioctl(descriptor, TUNSETIFF, &request) < 0) {
    int code = error_set(error, errno, "TAP '%s': %s", name, strerror(errno));
    close(descriptor);
    return code;
  }
  return descriptor;
}

static struct mac gateway_mac(size_t index) {
  return (struct mac){{0x02, 0x00, 0x67, 0x77, (uint8_t)(index >> 8), (uint8_t)(index + 1)}};
}

static int add_wire(struct lab *lab, const char *name, zone_index zone, struct error *error) {
  int descriptor = open_tap(name, error);
  if (descriptor < 0)
    return descriptor;
  struct wire *wire = &lab->wires[lab->wire_count];
  wire->descriptor = descriptor;
  wire->public = (struct lab_interface){.name = name, .zone = zone, .mac = gateway_mac(lab->wire_count)};
  lab->wire_count++;
  return 0;
}

static size_t count_wires(const struct policy *policy, const struct lab_options *options) {
  size_t count = 0;
  for (size_t i = 0; i < policy->zone_count; i++)
    count += policy->zones[i].interface_count;
  for (size_t i = 0; options->spare_interfaces != NULL && options->spare_interfaces[i] != NULL; i++)
    count++;
  return count;
}

static int add_wires(struct lab *lab, struct error *error) {
  const struct policy *policy = lab->policy;
  lab->wires = ARENA_ARRAY(lab->arena, count_wires(policy, &lab->options) + 1, struct wire);
  if (lab->wires == NULL)
    return error_set(error, ENOMEM, "no memory");
  int code = 0;
  for (size_t i = 0; i < policy->zone_count && code == 0; i++)
    for (size_t j = 0; j < policy->zones[i].interface_count && code == 0; j++)
      code = add_wire(lab, policy->zones[i].interfaces[j].text, (zone_index)i, error);
  const char *const *spare = lab->options.spare_interfaces;
  for (size_t i = 0; spare != NULL && spare[i] != NULL && code == 0; i++)
    code = add_wire(lab, spare[i], ZONE_NONE, error);
  return code;
}

/* ---- addresses and routes ---- */

/* True when a host of the policy stands at the address; hosts that fill their whole network do not count. */
static bool address_is_used(const struct policy *policy, const struct address_range *network,
                            const struct address *address) {
  for (size_t i = 0; i < policy->host_count; i++)
    for (size_t j = 0; j < policy->hosts[i].address_count; j++) {
      const struct address_range *range = &policy->hosts[i].addresses[j].range;
      if (!range_contains_range(range, network) && range_contains(range, address))
        return true;
    }
  return false;
}

/* The first free address of a network behind `after` (NULL: from its start). */
static bool choose_address(const struct policy *policy, const struct address_range *network,
                           const struct address *after, struct address *ret_address) {
  struct address candidate = after != NULL ? *after : network->first;
  for (int i = 0; i < 4096; i++) {
    if (!address_next(&candidate, &candidate) || address_compare(&candidate, &network->last) >= 0)
      return false;
    if (!address_is_used(policy, network, &candidate)) {
      *ret_address = candidate;
      return true;
    }
  }
  return false;
}

static void add_route(struct lab *lab, const struct address_range *range, int interface) {
  if (lab->route_count < ROUTE_MAX)
    lab->routes[lab->route_count++] =
        (struct route){.range = *range, .prefix = range_prefix_length(range), .interface = interface};
}

static void attach_network(struct lab *lab, FILE *batch, const struct address_range *network, int index) {
  struct lab_interface *interface = &lab->wires[index].public;
  struct address address;
  char text[ADDRESS_TEXT_SIZE];
  if (!choose_address(lab->policy, network, NULL, &address))
    return;
  bool ipv6 = address.family == FAMILY_IPV6;
  bool *has = ipv6 ? &interface->has_ipv6 : &interface->has_ipv4;
  if (!*has)
    *(ipv6 ? &interface->ipv6 : &interface->ipv4) = address;
  *has = true;
  fprintf(batch, "address add %s/%d dev %s%s\n", address_format(&address, text), range_prefix_length(network),
          interface->name, ipv6 ? " nodad" : " brd +");
  add_route(lab, network, index);
  struct address_range own = {address, address};
  struct address_set single = {&own, 1};
  (void)address_set_union(lab->arena, &lab->own, &single, &lab->own);
}

static const struct address_range default_ranges[] = {
    {.first = {.family = FAMILY_IPV4}, .last = {.family = FAMILY_IPV4, .bytes = {255, 255, 255, 255}}},
    {.first = {.family = FAMILY_IPV6},
     .last = {.family = FAMILY_IPV6,
              .bytes = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}}},
};

/* Routes a network by a next hop that stands in an attached network of the zone. */
static void route_by_next_hop(struct lab *lab, FILE *batch, const struct zone *zone, int first,
                              const struct address_range *range) {
  for (size_t i = 0; i < zone->network_count; i++) {
    const struct address_range *network = &zone->networks[i].range;
    struct address own, hop;
    char range_text[RANGE_TEXT_SIZE], hop_text[ADDRESS_TEXT_SIZE];
    if (network->first.family != range->first.family || !choose_address(lab->policy, network, NULL, &own) ||
        !choose_address(lab->policy, network, &own, &hop))
      continue;
    int index = first + (int)(i < zone->interface_count ? i : zone->interface_count - 1);
    fprintf(batch, "route add %s via %s dev %s\n", range_format(range, range_text), address_format(&hop, hop_text),
            lab->wires[index].public.name);
    add_route(lab, range, index);
    return;
  }
}

static void attach_zone(struct lab *lab, FILE *batch, const struct zone *zone, int first) {
  size_t ipv4 = 0, ipv6 = 0;
  for (size_t i = 0; i < zone->network_count; i++) {
    size_t *place = zone->networks[i].range.first.family == FAMILY_IPV6 ? &ipv6 : &ipv4;
    size_t at = *place < zone->interface_count ? *place : zone->interface_count - 1;
    (*place)++;
    attach_network(lab, batch, &zone->networks[i].range, first + (int)at);
  }
}

static void route_zone(struct lab *lab, FILE *batch, const struct zone *zone, int first) {
  for (size_t i = 0; i < zone->remote_count; i++)
    route_by_next_hop(lab, batch, zone, first, &zone->remote[i].range);
  for (size_t i = 0; zone->default_route && i < 2; i++)
    route_by_next_hop(lab, batch, zone, first, &default_ranges[i]);
}

static void bring_up(const struct lab *lab, FILE *batch) {
  char text[MAC_TEXT_SIZE];
  fprintf(batch, "link set lo up\n");
  for (size_t i = 0; i < lab->wire_count; i++) {
    const struct lab_interface *interface = &lab->wires[i].public;
    fprintf(batch, "link set %s address %s txqueuelen %d arp %s up\n", interface->name,
            mac_format(&interface->mac, text), QUEUE_LENGTH, lab->options.neighbours ? "on" : "off");
  }
}

static int configure(struct lab *lab, struct error *error) {
  fflush(NULL);
  FILE *batch = popen("ip -batch -", "w");
  if (batch == NULL)
    return error_set(error, errno, "ip: %s", strerror(errno));
  bring_up(lab, batch);
  for (int pass = 0; pass < 2; pass++) {
    int first = 0;
    for (size_t i = 0; i < lab->policy->zone_count; i++) {
      const struct zone *zone = &lab->policy->zones[i];
      if (zone->interface_count > 0)
        (pass == 0 ? attach_zone : route_zone)(lab, batch, zone, first);
      first += (int)zone->interface_count;
    }
  }
  int status = pclose(batch);
  return status == 0 ? 0 : error_set(error, EIO, "ip -batch ended with status %d", status);
}

/* ---- sockets of the gateway itself ---- */

static void listen_for(struct lab *lab, enum address_family family, uint8_t protocol) {
  int domain = family == FAMILY_IPV6 ? AF_INET6 : AF_INET;
  int descriptor = socket(domain, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
  if (descriptor < 0)
    return;
  int size = RECEIVE_BUFFER, on = 1;
  (void)setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
  if (family == FAMILY_IPV6)
    (void)setsockopt(descriptor, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
  lab->listeners[lab->listener_count++] =
      (struct listener){.descriptor = descriptor, .family = family, .protocol = protocol};
}

static int open_sockets(struct lab *lab, struct error *error) {
  for (size_t i = 0; !lab->options.no_capture && i < sizeof(listened); i++) {
    listen_for(lab, FAMILY_IPV4, listened[i]);
    listen_for(lab, FAMILY_IPV6, listened[i]);
  }
  lab->sender4 = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_RAW);
  lab->sender6 = socket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_RAW);
  if (lab->sender4 < 0 || lab->sender6 < 0)
    return error_set(error, errno, "raw socket: %s", strerror(errno));
  int mark = SENDER_MARK;
  (void)setsockopt(lab->sender4, SOL_SOCKET, SO_MARK, &mark, sizeof(mark));
  (void)setsockopt(lab->sender6, SOL_SOCKET, SO_MARK, &mark, sizeof(mark));
  return 0;
}

/* What the stack of the gateway answers for want of listeners; what a test sends from the gateway bears our mark. */
static int silence(struct error *error) {
  int status = lab_command("nft 'table inet laboratory { chain silence { type filter hook output priority -500; "
                           "meta mark %d accept; tcp flags & rst == rst drop; icmp type 3 icmp code { 2, 3 } drop; "
                           "icmpv6 type 1 icmpv6 code 4 drop; icmpv6 type 4 drop; }; }'",
                           SENDER_MARK);
  return status == 0 ? 0 : error_set(error, EIO, "nft ended with status %d", status);
}

static int build(struct lab *lab, struct error *error) {
  if (unshare(CLONE_NEWNET) < 0)
    return error_set(error, errno, "unshare: %s", strerror(errno));
  apply_settings(&lab->options);
  int code = add_wires(lab, error);
  if (code == 0)
    code = configure(lab, error);
  apply_conntrack_settings(&lab->options);
  if (code == 0 && !lab->options.loud)
    code = silence(error);
  return code == 0 ? open_sockets(lab, error) : code;
}

int lab_new(const struct policy *policy, const struct lab_options *options, struct lab **ret_lab, struct error *error) {
  static const struct lab_options defaults = {0};
  struct arena *arena = arena_new(0);
  struct lab *lab = arena != NULL ? ARENA_NEW(arena, struct lab) : NULL;
  if (lab == NULL) {
    arena_free(arena);
    return error_set(error, ENOMEM, "no memory");
  }
  lab->arena = arena;
  lab->policy = policy;
  lab->options = options != NULL ? *options : defaults;
  lab->next_probe = 1;
  lab->sender4 = lab->sender6 = -1;
  int code = build(lab, error);
  if (code < 0)
    lab_free(lab);
  else
    *ret_lab = lab;
  return code;
}

struct lab *lab_free(struct lab *lab) {
  if (lab == NULL)
    return NULL;
  for (size_t i = 0; i < lab->wire_count; i++)
    close(lab->wires[i].descriptor);
  for (size_t i = 0; i < lab->listener_count; i++)
    close(lab->listeners[i].descriptor);
  if (lab->sender4 >= 0)
    close(lab->sender4);
  if (lab->sender6 >= 0)
    close(lab->sender6);
  arena_free(lab->arena);
  return NULL;
}

/* ---- what it looks like ---- */

size_t lab_interface_count(const struct lab *lab) {
  return lab->wire_count;
}

const struct lab_interface *lab_interface(const struct lab *lab, size_t index) {
  return &lab->wires[index].public;
}

int lab_find_interface(const struct lab *lab, const char *name) {
  for (size_t i = 0; i < lab->wire_count; i++)
    if (strcmp(lab->wires[i].public.name, name) == 0)
      return (int)i;
  return -1;
}

const struct address_set *lab_own(const struct lab *lab) {
  return &lab->own;
}

int lab_descriptor(const struct lab *lab, int interface) {
  return lab->wires[interface].descriptor;
}

static const struct route *find_route(const struct lab *lab, const struct address *address) {
  const struct route *best = NULL;
  for (size_t i = 0; i < lab->route_count; i++) {
    const struct route *route = &lab->routes[i];
    if (range_contains(&route->range, address) && (best == NULL || route->prefix > best->prefix))
      best = route;
  }
  return best;
}

static bool is_attached(const struct lab *lab, const struct route *route) {
  zone_index index = lab->wires[route->interface].public.zone;
  if (index < 0)
    return false;
  const struct zone *zone = &lab->policy->zones[index];
  for (size_t i = 0; i < zone->network_count; i++)
    if (range_equal(&zone->networks[i].range, &route->range))
      return true;
  return false;
}

static bool is_broadcast(const struct lab *lab, const struct route *route, const struct address *address) {
  static const struct address limited = {.family = FAMILY_IPV4, .bytes = {255, 255, 255, 255}};
  if (address->family == FAMILY_IPV6 && address->bytes[0] == 0xff)
    return true;
  if (address->family == FAMILY_IPV4 && (address->bytes[0] >> 4 == 14 || address_equal(address, &limited)))
    return true;
  if (route == NULL || !is_attached(lab, route))
    return false;
  struct address broadcast;
  if (address->family == FAMILY_IPV6)
    return address_equal(address, &route->range.first); /* subnet-router anycast */
  return range_broadcast(&route->range, &broadcast) && address_equal(address, &broadcast);
}

struct lab_route lab_route(const struct lab *lab, const struct address *destination) {
  const struct route *route = find_route(lab, destination);
  if (address_set_contains(&lab->own, destination))
    return (struct lab_route){LAB_ROUTE_LOCAL, route != NULL ? route->interface : -1};
  if (is_broadcast(lab, route, destination))
    return (struct lab_route){LAB_ROUTE_BROADCAST, route != NULL ? route->interface : -1};
  if (route == NULL)
    return (struct lab_route){LAB_ROUTE_NONE, -1};
  return (struct lab_route){LAB_ROUTE_INTERFACE, route->interface};
}

int lab_interface_of(const struct lab *lab, const struct address *address) {
  const struct route *route = find_route(lab, address);
  return route != NULL ? route->interface : -1;
}

struct mac lab_mac_of(const struct policy *policy, const struct address *address) {
  for (size_t i = 0; i < policy->host_count; i++) {
    const struct host *host = &policy->hosts[i];
    for (size_t j = 0; host->mac_count > 0 && j < host->address_count; j++)
      if (range_contains(&host->addresses[j].range, address))
        return host->macs[0];
  }
  size_t last = address->family == FAMILY_IPV6 ? 12 : 0;
  struct mac mac = {{0x02, 0x01, 0, 0, 0, 0}};
  memcpy(mac.bytes + 2, address->bytes + last, 4);
  return mac;
}

int lab_neighbour(struct lab *lab, int interface, const struct address *address, const struct mac *mac) {
  char address_text[ADDRESS_TEXT_SIZE], mac_text[MAC_TEXT_SIZE];
  int status =
      lab_command("ip neighbour replace %s lladdr %s nud permanent dev %s", address_format(address, address_text),
                  mac_format(mac, mac_text), lab->wires[interface].public.name);
  return status == 0 ? 0 : -EIO;
}
