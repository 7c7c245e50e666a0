/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_WIRE_MACHINE_H
#define KIDO_WIRE_MACHINE_H

#include "base/address.h"

/* What this machine says of its interfaces. */
enum interface_state { INTERFACE_MISSING, INTERFACE_DOWN, INTERFACE_UP };

struct interface_facts {
  enum interface_state state;
  unsigned number; /* the kernel's; another after the interface was made anew */
  struct mac mac;
};

void machine_interface(const char *name, struct interface_facts *ret_facts);

/* All addresses of the machine; at most `most`. Returns how many, or a negative errno. */
int machine_addresses(struct address_range *ret_addresses, size_t most);

#endif
