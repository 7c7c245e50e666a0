/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_TESTS_TWO_WIRES_H
#define KIDO_TESTS_TWO_WIRES_H

#include "watch/watch.h"

/*
 * A watch over two wires of a gateway, and whole packets on them: zone lgwan (10.1.0.0/24, interface in0) and zone
 * internet (10.2.0.0/24, interface out0). The gateway is 10.1.0.1 and 10.2.0.1.
 */
enum { INSIDE, OUTSIDE };

struct two_wires {
  struct watch *watch;
  int64_t now; /* time stamp of the next frame; each frame takes `step` */
  int64_t step;
  char told[8192]; /* first records: "crossing lgwan>internet no-flow;" */
  char message[1024];
  char flow[64];
  uint64_t events; /* all records */
  uint64_t count;  /* of the last record */
};

struct test_packet {
  int wire;
  bool leaving;
  const char *source, *destination; /* IPv4 or IPv6 */
  uint8_t protocol;
  uint16_t source_port, destination_port; /* ICMP: type and identifier */
  uint8_t flags;
  uint32_t sequence, acknowledgement; /* ICMP: sequence */
  uint16_t identification;
  uint16_t fragment; /* IPv4: the word of flags and offset */
  const void *payload;
  size_t size;
  uint32_t unseen; /* bytes of payload behind what was captured */
};

/* flows: text of the group `flows` of the policy; hosts a (10.1.0.0/25), b (10.2.0.0/25), a6 and b6. */
void two_wires_open(struct two_wires *wires, const char *flows);
/* The same with settings; tell and context are filled in. */
void two_wires_open_with(struct two_wires *wires, const char *flows, struct watch_settings *settings);
void two_wires_set_policy(struct two_wires *wires, const char *flows);
void two_wires_close(struct two_wires *wires);

void two_wires_send(struct two_wires *wires, const struct test_packet *packet);
/* Lets time pass, then compares (and forgets) the first records that were told. */
void two_wires_expect(struct two_wires *wires, int milliseconds, const char *told);
void two_wires_pass(struct two_wires *wires, int64_t milliseconds);

/* In by one wire and out by the other, as it was; `packet` says the first. */
void two_wires_forward(struct two_wires *wires, const struct test_packet *packet);

#endif
