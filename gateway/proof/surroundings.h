/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_PROOF_SURROUNDINGS_H
#define KIDO_PROOF_SURROUNDINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/arena.h"
#include "policy/policy.h"

/*
 * What of the machine beside nftables decides which way packets can go. Filled by kernel/surroundings.h; for a ruleset
 * from a file there is none (known == false), and what would have been checked is listed as assumed.
 */
struct link {
  const char *name;
  unsigned index, type /* ARPHRD_* */, group;
  unsigned master, parent; /* as in kernel/topology.h */
  const char *kind, *master_kind;
  bool up, xdp, tc_filters; /* a program or a filter that may redirect */
  const char *tc_detail;    /* what was seen: "clsact ingress: mirred redirect to lan1"; NULL */
  bool peer_elsewhere;      /* veth, macvlan…: its other end lies in another network namespace */
  uint32_t peer_space;      /* the kernel's number of that namespace */
  bool bridge_vlans;        /* bridge: it keeps VLANs apart (vlan_filtering) */
  bool bridge_isolated;     /* port of a bridge: it does not speak with other ports of this kind */
  uint64_t own_mac;         /* as a number; 0: none */
};

enum machine_fact_state {
  FACT_GOOD,
  FACT_BAD,
  FACT_UNKNOWN,
  FACT_UNSEEN, /* the rights of this process, or this kernel, do not let it be looked at */
};

/* One thing that was looked at: "net.ipv4.conf.all.route_localnet", "IPVS", "ip rule". */
struct machine_fact {
  const char *kind; /* of the contract's list of ways round: "bridge", "tc", "xdp", "sysctl", "routing", "socket",
                       "tunnel", "legacy", "namespace", "driver" */
  const char *subject;
  const char *detail;   /* what was found, in the words of the machine */
  const char *expected; /* likewise; NULL: that there is none */
  enum machine_fact_state state;
  const char *links[2]; /* interfaces concerned, NULL: from the first to the second */
};

/* Another network namespace to which devices of ours lead. */
struct other_namespace {
  const char *name;      /* for people */
  bool looked, forwards; /* looked: it could be entered, and `forwards` and `master` of its passages are known */
};

/* A device of ours and its other end (veth) or what stands on it (macvlan, ipvlan, VLAN) in another namespace. */
struct passage {
  const char *link; /* ours */
  const char *far;  /* the device there; "" not known */
  const char *kind;
  size_t space;    /* index into namespaces */
  unsigned master; /* there: the bridge or the like that `far` is a port of; 0: none */
};

/* A listening socket of the gateway itself: a program that listens in two zones may carry from one to the other. */
struct listener {
  bool packet;      /* a packet socket: frames, before any rule sees them; protocol, address and port are 0 */
  const char *link; /* packet: the interface, NULL: all; others: the interface or VRF that it is bound to, NULL */
  uint8_t protocol;
  struct address address; /* family NONE: any */
  uint16_t port;
  bool passing; /* UDP on a port of those that the kernel gives to clients */
  unsigned process;
  const char *program; /* "" not known */
};

struct surroundings {
  bool known;
  struct link *links;
  size_t link_count;
  struct address_set own;
  bool forwarding4, forwarding6;
  struct machine_fact *facts;
  size_t fact_count;
  struct listener *listeners;
  size_t listener_count;
  bool listeners_known; /* false: they could not be read */
  struct other_namespace *namespaces;
  size_t namespace_count;
  struct passage *passages;
  size_t passage_count;
};

const struct link *surroundings_find(const struct surroundings *surroundings, const char *name); /* NULL */

#endif
