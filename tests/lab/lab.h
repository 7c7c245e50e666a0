/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_TESTS_LAB_LAB_H
#define KIDO_TESTS_LAB_LAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/arena.h"
#include "base/error.h"
#include "lab_frame.h"
#include "policy/policy.h"

/*
 * A gateway in a network namespace of its own, with a TAP device in place of every wire: a frame that is written to a
 * TAP arrives at the gateway on that interface, a frame that the gateway sends there is read back. The kernel handles a
 * written frame before the write returns, so nothing has to be waited for.
 *
 * lab_new() moves the calling process into the namespace. It goes, with all that is in it, when the process ends, in
 * whatever way: nothing has to be cleaned up.
 */
struct lab;

struct lab_options {
  bool neighbours; /* interfaces speak ARP and ND, with permanent entries for what lab_neighbour() names; else they
                      need none: every destination on a wire is reachable */
  bool rp_filter;  /* 1 instead of 0 */
  bool tcp_loose;  /* leave nf_conntrack_tcp_loose on */
  bool loud;       /* let the gateway's own stack answer (resets, unreachable); else it keeps silent, so that its
                      answers do not disturb the connections that a test plays */
  bool no_capture; /* do not listen for packets that the gateway itself receives */
  const char *const *spare_interfaces; /* NULL-terminated: interfaces that no zone has; or NULL */
};

/* Why this machine cannot hold a lab (not root, no TAP, no nf_tables), or NULL when it can. */
const char *lab_unavailable(void);

/* Ends the program with the code for "skipped", after printing why, unless a lab is possible. For main(). */
void lab_require(void);

int lab_new(const struct policy *policy, const struct lab_options *options, struct lab **ret_lab, struct error *error);
struct lab *lab_free(struct lab *lab); /* NULL is allowed; returns NULL */

struct lab_interface {
  const char *name;
  zone_index zone; /* ZONE_NONE: a spare one */
  struct mac mac;  /* of the gateway */
  bool has_ipv4, has_ipv6;
  struct address ipv4, ipv6; /* of the gateway */
};

size_t lab_interface_count(const struct lab *lab);
const struct lab_interface *lab_interface(const struct lab *lab, size_t index);
/* Index, or -1. */
int lab_find_interface(const struct lab *lab, const char *name);
const struct address_set *lab_own(const struct lab *lab);

enum lab_route_kind {
  LAB_ROUTE_NONE,      /* the gateway has no route: it would answer "unreachable" */
  LAB_ROUTE_LOCAL,     /* the gateway's own */
  LAB_ROUTE_BROADCAST, /* broadcast or anycast of an attached network, multicast: not forwarded */
  LAB_ROUTE_INTERFACE,
};

struct lab_route {
  enum lab_route_kind kind;
  int interface; /* where the packet would leave; for LAB_ROUTE_LOCAL where the address lies */
};

struct lab_route lab_route(const struct lab *lab, const struct address *destination);

/* The interface on whose wire (or behind whose router) an address stands; -1 when on none. */
int lab_interface_of(const struct lab *lab, const struct address *address);

/* The MAC that a frame from this address lawfully carries: the pinned one, else one made up. */
struct mac lab_mac_of(const struct policy *policy, const struct address *address);

/* Gives the gateway a permanent neighbour entry (only with options.neighbours). */
int lab_neighbour(struct lab *lab, int interface, const struct address *address, const struct mac *mac);

enum { LAB_GATEWAY = -1 }; /* as an interface: the gateway itself sends or receives */

/* Writes one frame to the wire. Returns 0 or a negative errno (-EIO: the TAP did not take it). */
int lab_send(struct lab *lab, int interface, const struct lab_frame *frame);

/* Sends an IP packet from the gateway itself, through its output hook. */
int lab_send_from_gateway(struct lab *lab, const struct lab_frame *frame);

struct lab_seen {
  int interface; /* that the gateway sent it out of; LAB_GATEWAY: it was delivered to the gateway itself */
  const uint8_t *data;
  size_t length;
  struct lab_frame_sight sight;
};

typedef void lab_take(const struct lab_seen *seen, void *context);

/* Hands over everything that has come out since the last call; waits at most timeout_milliseconds for the first. */
size_t lab_collect(struct lab *lab, int timeout_milliseconds, lab_take *take, void *context);

/* File descriptor of the TAP, for tests with their own loop. */
int lab_descriptor(const struct lab *lab, int interface);

enum lab_outcome {
  LAB_NOWHERE,   /* it did not come out */
  LAB_FORWARDED, /* it came out of an interface */
  LAB_DELIVERED, /* the gateway itself received it */
};

enum lab_answer { LAB_ANSWER_NONE, LAB_ANSWER_RESET, LAB_ANSWER_PROHIBITED, LAB_ANSWER_OTHER };

struct lab_probe {
  struct lab_frame_recipe recipe; /* probe number and destination MAC are filled in */
  int interface;                  /* where it is sent; LAB_GATEWAY: by the gateway */
  size_t split;             /* not 0: sent as two fragments, the first of that many bytes; the tail must stay whole */
  enum lab_outcome outcome; /* answer: */
  int out;                  /* LAB_FORWARDED: where it came out */
  unsigned copies;          /* how often */
  enum lab_answer answer;   /* what went back to the sender's wire */
};

/* Sends the probes in order and notes what became of each. Returns 0 or a negative errno. */
int lab_run(struct lab *lab, struct lab_probe *probes, size_t count);

/* Empties the connection table of the namespace, and the sets of half-open connections. */
int lab_forget_connections(struct lab *lab);
/* Number of entries in it, or a negative errno. */
long lab_count_connections(struct lab *lab);

struct lab_counter {
  const char *name;
  uint64_t packets;
};

struct lab_counters {
  struct lab_counter *items;
  size_t count;
};

/* The named counters of table inet kido, sorted by name; read by the lab's own code. */
int lab_read_counters(struct lab *lab, struct arena *arena, struct lab_counters *ret_counters);
uint64_t lab_counter_value(const struct lab_counters *counters, const char *name); /* 0 when there is none */

/* path below /proc/sys, e.g. "net/ipv4/ip_forward". */
int lab_set(const char *path, const char *value);

/* Runs a command line in the namespace, for preparations; returns its exit status. */
int lab_command(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
