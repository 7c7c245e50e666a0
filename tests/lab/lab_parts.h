/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_TESTS_LAB_LAB_PARTS_H
#define KIDO_TESTS_LAB_LAB_PARTS_H

#include "lab.h"

/* What the files of the laboratory share. */

enum { READ_SIZE = 4096, ROUTE_MAX = 256, LISTENER_COUNT = 18 };

struct wire {
  struct lab_interface public;
  int descriptor;
};

struct route {
  struct address_range range;
  int prefix;
  int interface;
};

struct listener {
  int descriptor;
  enum address_family family;
  uint8_t protocol;
};

struct lab {
  struct arena *arena;
  const struct policy *policy;
  struct lab_options options;
  struct wire *wires;
  size_t wire_count;
  struct route routes[ROUTE_MAX];
  size_t route_count;
  struct address_set own;
  struct listener listeners[LISTENER_COUNT];
  size_t listener_count;
  int sender4, sender6;
  uint64_t next_probe;
  uint8_t buffer[READ_SIZE];
};

#endif
