/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_KERNEL_TOPOLOGY_H
#define KIDO_KERNEL_TOPOLOGY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/address.h"
#include "base/arena.h"
#include "base/error.h"

/* The machine's own network as it is now: interfaces, addresses, and what the kernel takes for itself. */
struct topology_interface {
  const char *name;
  unsigned index;
  unsigned master;  /* index of the bridge, bond or VRF that it is a port of; 0: none */
  unsigned parent;  /* index of the interface below (VLAN, macvlan) or the other end (veth); 0: none */
  const char *kind; /* "bridge", "vlan", "veth"…; "" for a plain device */
  struct mac mac;   /* zero when it has none */
  bool up;
};

struct topology_address {
  unsigned interface; /* index */
  struct address address;
  int prefix_length;
};

struct topology {
  struct topology_interface *interfaces; /* by index */
  size_t interface_count;
  struct topology_address *addresses;
  size_t address_count;
  /* All that the kernel delivers to itself: addresses of interfaces, and routes of type "local" (127.0.0.0/8, any
   * prefix that somebody made local). */
  struct address_set own;
};

/* Reads all of it over rtnetlink, in the network namespace of the caller. */
int topology_read(struct arena *arena, struct topology **ret_topology, struct error *error);
/* Only the set of own addresses. */
int topology_own_addresses(struct arena *arena, struct address_set *ret_own, struct error *error);
/* NULL when there is none of that name. */
const struct topology_interface *topology_find(const struct topology *topology, const char *name);

/* A non-blocking socket that becomes readable when interfaces or addresses change. */
int topology_watch_open(int *ret_fd, struct error *error);
/* Takes what has come; true when something changed (or when so much came that some was lost). */
bool topology_watch_drain(int fd);

#endif
