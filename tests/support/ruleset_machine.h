/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_TESTS_SUPPORT_RULESET_MACHINE_H
#define KIDO_TESTS_SUPPORT_RULESET_MACHINE_H

#include <stdbool.h>

#include "policy/packet.h"
#include "rules/ruleset.h"

/*
 * A machine that runs a ruleset as the kernel would, expression by expression, for one packet: enough of nf_tables and
 * of conntrack's view to compare a compiled ruleset with the policy without root. It shares nothing with the compiler
 * but the ruleset data.
 */
struct machine_packet {
  struct packet packet;
  const char *in_interface;  /* NULL: the gateway sends it */
  const char *out_interface; /* NULL: for the gateway itself */
  bool tracked;              /* false: it belongs to no connection, and conntrack calls it invalid or untracked */
  bool untracked;
  uint32_t state;       /* of tracked packets: NF_CT_STATE bits as nft has them */
  bool reply;           /* runs against the opener */
  struct packet opener; /* conntrack's original tuple */
  uint32_t mark;
  struct instant now; /* elements that ended until then are gone; 0: none is */
};

struct machine_result {
  bool accept;
  bool confused;       /* the ruleset did something that the machine does not know, or that cannot work */
  uint32_t mark;       /* of the connection afterwards */
  const char *counter; /* last named counter that counted, in whichever hook; NULL for none */
  unsigned steps;      /* expressions run */
};

/* Through every base chain that the packet meets, in order of hook and priority. */
struct machine_result machine_run(const struct ruleset *ruleset, const struct machine_packet *packet);

#endif
