/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_WIRE_MACHINE_H
#define KIDO_WIRE_MACHINE_H

#include <stdbool.h>

#include "base/address.h"
#include "base/error.h"

/* What this machine says of its interfaces, by rtnetlink. */
struct machine;

enum interface_state { INTERFACE_MISSING, INTERFACE_DOWN, INTERFACE_UP };

struct interface_facts {
  enum interface_state state;
  unsigned number; /* the kernel's; another after the interface was made anew */
  struct mac mac;
  bool xdp;         /* a program takes frames before any capture sees them */
  uint64_t packets; /* received and sent, as the kernel counts them */
};

/* 0 or a negative errno with *error. */
int machine_open(struct machine **ret_machine, struct error *error);
struct machine *machine_close(struct machine *machine);

/* Becomes readable when an interface was made, changed, renamed or deleted; machine_drain() makes it silent again. */
int machine_descriptor(const struct machine *machine);
void machine_drain(struct machine *machine);

/* 0 (also for an interface that does not exist), or a negative errno: then nothing is known at the moment. */
int machine_interface(struct machine *machine, const char *name, struct interface_facts *ret_facts);

/* All addresses of the machine; at most `most`. Returns how many, or a negative errno. */
int machine_addresses(struct address_range *ret_addresses, size_t most);

#endif
