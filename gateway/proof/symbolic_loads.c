/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <limits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "proof/symbolic_parts.h"

/* What expressions read: the packet's bytes, its extension headers, and what the kernel knows beside (meta). */

#define NO_ROOM "register that does not exist"

static const struct situation *seen(struct run *run, unsigned what) {
  run->machine->saw |= what;
  return run->view->situation;
}

static const struct stage *stage_of(struct run *run) {
  run->machine->saw |= SAW_STAGE;
  return &run->view->stage;
}

static diagram variable_of(struct run *run, enum space_field field, unsigned bit) {
  return diagram_variable(run->machine->store, space_field_variable(run->machine->space, field, bit));
}

static diagram field_is(struct run *run, enum space_field field, uint8_t value) {
  struct diagram_field bits = space_field(run->machine->space, field, 8);
  return diagram_range(run->machine->store, &bits, &value, &value);
}

/* ---- headers ---- */

/* Not the first piece of a packet: fragments of it have no transport header. */
static diagram later_fragment(struct run *run) {
  diagram offset = DIAGRAM_FALSE;
  for (unsigned i = 16; i-- > 3;)
    offset = diagram_or(run->machine->store, variable_of(run, FIELD_FRAGMENT, i), offset);
  return offset;
}

/* IPv6: the headers end in the middle: the kernel finds no transport protocol. */
static diagram unfinished_headers(struct run *run) {
  static const uint8_t EXTENSIONS[] = {IPPROTO_HOPOPTS, IPPROTO_ROUTING, IPPROTO_FRAGMENT, IPPROTO_DSTOPTS};
  diagram set = DIAGRAM_FALSE;
  if (seen(run, SAW_FAMILY)->family != FAMILY_IPV6)
    return set;
  for (size_t i = 0; i < sizeof(EXTENSIONS); i++)
    set = diagram_or(run->machine->store, set, field_is(run, FIELD_PROTOCOL, EXTENSIONS[i]));
  return set;
}

static bool fragments_are_told(struct run *run) {
  if (stage_of(run)->ambiguous)
    run_unmodelled(run, run->condition, "chain at the priority of defragmentation or of conntrack");
  return run->condition != DIAGRAM_FALSE;
}

/*
 * Small aligned loads have a quick way through the kernel that does not ask whether this is a later fragment: it reads
 * what stands where a transport header would be, in IPv6 the IP header itself (the search for the transport header
 * ended before it began). Where the bytes are not at hand in one piece, the slow way is taken, and that finds nothing.
 */
static bool load_is_quick(const struct live_expression *expression) {
  unsigned length = expression->length;
  return (length == 1 || length == 2 || length == 4) && expression->offset % length == 0;
}

/* A packet that has ports may still end anywhere behind what conntrack wants of its header: a rule that reads beyond
 * finds nothing there. */
static void transport_reaches(struct run *run, unsigned end) {
  enum { PORTS = 4 };
  static const struct {
    uint8_t protocol;
    unsigned bytes;
  } HEADERS[] = {{IPPROTO_TCP, 20}, {IPPROTO_UDP, 8}, {IPPROTO_ICMP, 8}, {IPPROTO_ICMPV6, 8}};
  struct diagram_store *store = run->machine->store;
  diagram sure = DIAGRAM_FALSE;
  if (end <= PORTS)
    return;
  for (size_t i = 0; i < sizeof(HEADERS) / sizeof(HEADERS[0]); i++)
    if (end <= HEADERS[i].bytes)
      sure = diagram_or(store, sure, field_is(run, FIELD_PROTOCOL, HEADERS[i].protocol));
  if (diagram_difference(store, run->condition, sure) == DIAGRAM_FALSE)
    return;
  run_narrow(run, diagram_or(store, sure, run_unknown(run, UNKNOWN_ANSWER, "length of the packet")));
}

/* *ret_strange: packets of which something else than a transport header is read. */
static void transport_needs(struct run *run, const struct live_expression *expression, diagram *ret_strange) {
  struct diagram_store *store = run->machine->store;
  *ret_strange = DIAGRAM_FALSE;
  if (!fragments_are_told(run))
    return;
  run_narrow(run, variable_of(run, FIELD_TRANSPORT_READABLE, 0));
  run->condition = diagram_difference(store, run->condition, unfinished_headers(run));
  transport_reaches(run, expression->offset + expression->length);
  if (stage_of(run)->whole)
    return;
  diagram later = diagram_and(store, run->condition, later_fragment(run));
  run->condition = diagram_difference(store, run->condition, later);
  if (later == DIAGRAM_FALSE || !load_is_quick(expression))
    return;
  *ret_strange = diagram_and(store, later, run_unknown(run, UNKNOWN_ANSWER, "transport header of a later fragment"));
  run->condition = diagram_or(store, run->condition, *ret_strange);
}

static void link_needs(struct run *run, const struct live_expression *expression) {
  enum { HEADERS = ETH_HLEN + 20 }; /* and the shortest of the IP headers behind it */
  const struct stage *stage = stage_of(run);
  run->machine->saw |= SAW_IN;
  const struct link *link = run->view->in.link;
  bool ethernet = link == NULL || link->type == ARPHRD_ETHER || link->type == ARPHRD_LOOPBACK;
  if (!stage->link_header)
    run->condition = DIAGRAM_FALSE; /* there is none: the rule does not match */
  else if (!ethernet)
    run_unmodelled(run, run->condition, "link header that is not Ethernet's");
  else if (expression->offset + expression->length > HEADERS)
    run_narrow(run, run_unknown(run, UNKNOWN_ANSWER, "length of the packet"));
}

static void network_needs(struct run *run, const struct live_expression *expression) {
  unsigned fixed = seen(run, SAW_FAMILY)->family == FAMILY_IPV6 ? 40 : 20;
  if (expression->offset + expression->length > fixed)
    run_narrow(run, run_unknown(run, UNKNOWN_ANSWER, "length of the packet"));
}

/* Bytes 6 and 7 of an IPv4 header that was put together again: neither offset nor more to come. */
static bool bit_of_whole(struct run *run, enum space_base base, unsigned byte, unsigned bit, struct bit *ret_bit) {
  enum address_family family = seen(run, SAW_FAMILY)->family;
  if (base != BASE_NETWORK)
    return false;
  if (byte == 0 && bit < 4) {
    *ret_bit = bit_constant(((family == FAMILY_IPV6 ? 6 : 4) >> (3 - bit)) & 1);
    return true;
  }
  if (family != FAMILY_IPV4 || (byte != 6 && byte != 7) || (byte == 6 && bit < 2) || !stage_of(run)->whole)
    return false;
  *ret_bit = bit_constant(false);
  return true;
}

/* Bytes that another header may have, too, that drivers take away, or that follow from the rest of the packet (its
 * length, the sum over its header): no variables of their own. */
static bool byte_is_elsewhere(struct run *run, enum space_base base, unsigned byte) {
  if (base == BASE_LINK)
    return byte >= 12;
  if (base != BASE_NETWORK)
    return false;
  if (seen(run, SAW_FAMILY)->family == FAMILY_IPV6)
    return byte >= 40 || byte == 4 || byte == 5;
  return byte >= 20 || byte == 2 || byte == 3 || byte == 10 || byte == 11;
}

/* A bit of the hop limit less one: it turns where all behind it are 0. */
static struct bit lessened_bit(struct run *run, unsigned bit) {
  struct diagram_store *store = run->machine->store;
  diagram zeros = DIAGRAM_TRUE;
  for (unsigned i = 8; i-- > bit + 1;)
    zeros = diagram_difference(store, zeros, variable_of(run, FIELD_HOP_LIMIT, i));
  return bit_function(diagram_xor(store, variable_of(run, FIELD_HOP_LIMIT, bit), zeros));
}

/* What routers change: the hop limit, and with it the checksum of an IPv4 header. */
static bool bit_of_hop(struct run *run, enum space_base base, unsigned byte, unsigned bit, struct bit *ret_bit) {
  bool ipv6 = seen(run, SAW_FAMILY)->family == FAMILY_IPV6;
  if (base != BASE_NETWORK || !stage_of(run)->hopped)
    return false;
  if (byte == (ipv6 ? 7 : 8))
    *ret_bit = lessened_bit(run, bit);
  else if (!ipv6 && (byte == 10 || byte == 11))
    *ret_bit = bit_unknown();
  else
    return false;
  return true;
}

static struct bit packet_bit(struct run *run, enum space_base base, unsigned byte, unsigned bit) {
  struct symbolic *machine = run->machine;
  struct bit known;
  if (bit_of_whole(run, base, byte, bit, &known) || bit_of_hop(run, base, byte, bit, &known))
    return known;
  if (byte_is_elsewhere(run, base, byte))
    return bit_unknown();
  unsigned variable = space_packet_variable(machine->space, seen(run, SAW_FAMILY)->family, base, byte, bit);
  machine->failed = machine->failed || variable == UINT_MAX;
  return bit_variable(variable);
}

/* One bit for some packets, another for the rest. */
static struct bit either_bit(struct symbolic *machine, diagram set, struct bit inside, struct bit outside) {
  if (inside.kind == BIT_UNKNOWN || outside.kind == BIT_UNKNOWN)
    return bit_unknown();
  return bit_function(diagram_choose(machine->store, set, bit_set(machine, inside), bit_set(machine, outside)));
}

static bool payload_bits(struct run *run, const struct live_expression *expression, enum space_base base,
                         diagram strange) {
  bool astray = strange != DIAGRAM_FALSE && seen(run, SAW_FAMILY)->family == FAMILY_IPV6;
  struct bit *bits = registers_write(&run->registers, expression->destination, expression->length);
  for (unsigned i = 0; bits != NULL && i < expression->length * 8; i++) {
    unsigned byte = expression->offset + i / 8;
    bits[i] = packet_bit(run, base, byte, i % 8);
    if (astray)
      bits[i] = either_bit(run->machine, strange, packet_bit(run, BASE_NETWORK, byte, i % 8), bits[i]);
  }
  return bits != NULL;
}

static bool reads_fragment(struct run *run, const struct live_expression *expression, enum space_base base) {
  return base == BASE_NETWORK && seen(run, SAW_FAMILY)->family == FAMILY_IPV4 && expression->offset < 8 &&
         expression->offset + expression->length > 6;
}

void payload_run(struct run *run, const struct live_expression *expression) {
  static const enum space_base BASES[] = {
      [NFT_PAYLOAD_LL_HEADER] = BASE_LINK,
      [NFT_PAYLOAD_NETWORK_HEADER] = BASE_NETWORK,
      [NFT_PAYLOAD_TRANSPORT_HEADER] = BASE_TRANSPORT,
  };
  if (expression->base > NFT_PAYLOAD_TRANSPORT_HEADER) { /* behind the transport header */
    run_narrow(run, run_unknown(run, UNKNOWN_ANSWER, "contents of the packet"));
    registers_write_unknown(&run->registers, expression->destination, expression->length);
    return;
  }
  enum space_base base = BASES[expression->base];
  diagram strange = DIAGRAM_FALSE;
  if (base == BASE_TRANSPORT)
    transport_needs(run, expression, &strange);
  else if (base == BASE_LINK)
    link_needs(run, expression);
  else
    network_needs(run, expression);
  if (reads_fragment(run, expression, base) && !fragments_are_told(run))
    return;
  if (run->condition != DIAGRAM_FALSE && !payload_bits(run, expression, base, strange))
    run_unmodelled(run, run->condition, NO_ROOM);
}

/* ---- extension headers ---- */

struct extension {
  unsigned type;
  enum space_field present;
};
static const struct extension EXTENSIONS[] = {
    {IPPROTO_HOPOPTS, FIELD_HAS_HOP_BY_HOP},
    {IPPROTO_ROUTING, FIELD_HAS_ROUTING},
    {IPPROTO_FRAGMENT, FIELD_HAS_FRAGMENT},
};

/* Whether the packet has the header, in its own bits; unknown for headers that are no bits of ours. */
static struct bit extension_present(struct run *run, unsigned type) {
  if (seen(run, SAW_FAMILY)->family != FAMILY_IPV6)
    return bit_unknown();
  for (size_t i = 0; i < sizeof(EXTENSIONS) / sizeof(EXTENSIONS[0]); i++) {
    if (EXTENSIONS[i].type != type)
      continue;
    if (type == IPPROTO_FRAGMENT && stage_of(run)->whole)
      return bit_constant(false); /* it went when the packet was put together */
    return bit_variable(space_field_variable(run->machine->space, EXTENSIONS[i].present, 0));
  }
  return bit_unknown();
}

static void exthdr_is_there(struct run *run, const struct live_expression *expression) {
  struct bit present = bit_unknown();
  if (expression->operation == NFT_EXTHDR_OP_IPV6)
    present = extension_present(run, expression->key);
  struct bit *bits = registers_write(&run->registers, expression->destination, 1);
  for (unsigned i = 0; bits != NULL && i < 8; i++)
    bits[i] = i < 7 ? bit_constant(false) : present;
}

static struct bit fragment_header_bit(struct run *run, unsigned bit) {
  struct space *space = run->machine->space;
  if (bit >= 16 && bit < 29) /* 13 bits of offset, two reserved, more */
    return bit_variable(space_field_variable(space, FIELD_FRAGMENT, bit - 16 + 3));
  return bit == 31 ? bit_variable(space_field_variable(space, FIELD_FRAGMENT, 2)) : bit_unknown();
}

static struct bit extension_bit(struct run *run, unsigned type, unsigned bit) {
  if (type == IPPROTO_ROUTING && bit >= 16 && bit < 24)
    return bit_variable(space_field_variable(run->machine->space, FIELD_ROUTING_TYPE, bit - 16));
  return type == IPPROTO_FRAGMENT ? fragment_header_bit(run, bit) : bit_unknown();
}

static void exthdr_ipv6(struct run *run, const struct live_expression *expression) {
  struct bit present = extension_present(run, expression->key);
  if (present.kind == BIT_UNKNOWN)
    run_narrow(run, run_unknown(run, UNKNOWN_ANSWER, "extension header"));
  else
    run_narrow(run, bit_set(run->machine, present));
  struct bit *bits = registers_write(&run->registers, expression->destination, expression->length);
  for (unsigned i = 0; bits != NULL && i < expression->length * 8; i++)
    bits[i] = extension_bit(run, expression->key, expression->offset * 8 + i);
}

void exthdr_run(struct run *run, const struct live_expression *expression) {
  if (!fragments_are_told(run))
    return;
  if ((expression->flags & NFT_EXTHDR_F_PRESENT) != 0) {
    exthdr_is_there(run, expression);
    return;
  }
  if (expression->operation == NFT_EXTHDR_OP_IPV6) {
    exthdr_ipv6(run, expression);
    return;
  }
  run_narrow(run, run_unknown(run, UNKNOWN_ANSWER, "option of a header"));
  registers_write_unknown(&run->registers, expression->destination, expression->length);
}

/* ---- meta ---- */

typedef void (*meta_function)(struct run *run, const struct live_expression *expression);

struct device {
  const struct interface *interface;
  bool here; /* the kernel has it at hand in this hook */
};

static struct device device_of(struct run *run, bool in) {
  const struct stage *stage = stage_of(run);
  run->machine->saw |= in ? SAW_IN : SAW_OUT;
  if (in)
    return (struct device){&run->view->in, stage->has_in};
  return (struct device){&run->view->out, stage->has_out};
}

static bool key_is_in(unsigned key) {
  return key == NFT_META_IIF || key == NFT_META_IIFNAME || key == NFT_META_IFTYPE || key == NFT_META_IIFGROUP;
}

static void meta_name(struct run *run, const struct live_expression *expression) {
  struct device device = device_of(run, key_is_in(expression->key));
  uint8_t name[IFNAMSIZ] = {0};
  if (device.here && device.interface->name == NULL) {
    registers_write_unknown(&run->registers, expression->destination, IFNAMSIZ);
    return;
  }
  if (device.here)
    memcpy(name, device.interface->name, strnlen(device.interface->name, IFNAMSIZ - 1));
  registers_write_bytes(&run->registers, expression->destination, name, IFNAMSIZ);
}

static void meta_index(struct run *run, const struct live_expression *expression) {
  struct device device = device_of(run, key_is_in(expression->key));
  if (device.here && device.interface->link == NULL)
    registers_write_unknown(&run->registers, expression->destination, 4);
  else
    registers_write_number(&run->registers, expression->destination, 4,
                           device.here ? device.interface->link->index : 0);
}

/* An interface of which nothing is known is taken for Ethernet when it is named: those of the policy are. */
static void meta_type(struct run *run, const struct live_expression *expression) {
  struct device device = device_of(run, key_is_in(expression->key));
  if (!device.here) {
    run->condition = DIAGRAM_FALSE;
    return;
  }
  unsigned type = ARPHRD_ETHER;
  if (device.interface->link != NULL)
    type = device.interface->link->type;
  else if (device.interface->name != NULL && strcmp(device.interface->name, "lo") == 0)
    type = ARPHRD_LOOPBACK;
  if (device.interface->named)
    registers_write_number(&run->registers, expression->destination, 2, type);
  else
    registers_write_unknown(&run->registers, expression->destination, 2);
}

static void meta_group(struct run *run, const struct live_expression *expression) {
  struct device device = device_of(run, key_is_in(expression->key));
  if (!device.here)
    run->condition = DIAGRAM_FALSE;
  else if (device.interface->link == NULL)
    registers_write_unknown(&run->registers, expression->destination, 4);
  else
    registers_write_number(&run->registers, expression->destination, 4, device.interface->link->group);
}

static void meta_nfproto(struct run *run, const struct live_expression *expression) {
  bool ipv6 = seen(run, SAW_FAMILY)->family == FAMILY_IPV6;
  registers_write_number(&run->registers, expression->destination, 1, ipv6 ? NFPROTO_IPV6 : NFPROTO_IPV4);
}

static void meta_protocol(struct run *run, const struct live_expression *expression) {
  uint16_t type = htons(seen(run, SAW_FAMILY)->family == FAMILY_IPV6 ? ETH_P_IPV6 : ETH_P_IP);
  uint8_t bytes[2];
  memcpy(bytes, &type, sizeof(type));
  registers_write_bytes(&run->registers, expression->destination, bytes, sizeof(bytes));
}

static void meta_l4proto(struct run *run, const struct live_expression *expression) {
  struct symbolic *machine = run->machine;
  run->condition = diagram_difference(machine->store, run->condition, unfinished_headers(run));
  struct bit *bits = registers_write(&run->registers, expression->destination, 1);
  for (unsigned i = 0; bits != NULL && i < 8; i++)
    bits[i] = bit_variable(space_field_variable(machine->space, FIELD_PROTOCOL, i));
}

static void meta_mark(struct run *run, const struct live_expression *expression) {
  registers_write_word(&run->registers, expression->destination,
                       (struct word){run->effects->packet_mark, run->effects->packet_mark_start, false});
}

struct meta_facts {
  meta_function read; /* NULL: cannot be known */
  unsigned bytes;
  const char *what;
};

static const struct meta_facts METAS[] = {
    [NFT_META_LEN] = {NULL, 4, "meta length"},
    [NFT_META_PROTOCOL] = {meta_protocol, 2, NULL},
    [NFT_META_PRIORITY] = {NULL, 4, "meta priority"},
    [NFT_META_MARK] = {meta_mark, 4, NULL},
    [NFT_META_IIF] = {meta_index, 4, NULL},
    [NFT_META_OIF] = {meta_index, 4, NULL},
    [NFT_META_IIFNAME] = {meta_name, IFNAMSIZ, NULL},
    [NFT_META_OIFNAME] = {meta_name, IFNAMSIZ, NULL},
    [NFT_META_IFTYPE] = {meta_type, 2, NULL},
    [NFT_META_OIFTYPE] = {meta_type, 2, NULL},
    [NFT_META_SKUID] = {NULL, 4, "meta skuid"},
    [NFT_META_SKGID] = {NULL, 4, "meta skgid"},
    [NFT_META_NFTRACE] = {NULL, 1, "meta nftrace"},
    [NFT_META_RTCLASSID] = {NULL, 4, "meta rtclassid"},
    [NFT_META_SECMARK] = {NULL, 4, "meta secmark"},
    [NFT_META_NFPROTO] = {meta_nfproto, 1, NULL},
    [NFT_META_L4PROTO] = {meta_l4proto, 1, NULL},
    [NFT_META_BRI_IIFNAME] = {NULL, IFNAMSIZ, "meta ibrname"},
    [NFT_META_BRI_OIFNAME] = {NULL, IFNAMSIZ, "meta obrname"},
    [NFT_META_PKTTYPE] = {NULL, 1, "meta pkttype"},
    [NFT_META_CPU] = {NULL, 4, "meta cpu"},
    [NFT_META_IIFGROUP] = {meta_group, 4, NULL},
    [NFT_META_OIFGROUP] = {meta_group, 4, NULL},
    [NFT_META_CGROUP] = {NULL, 4, "meta cgroup"},
    [NFT_META_PRANDOM] = {NULL, 4, "meta random"},
    [NFT_META_SECPATH] = {NULL, 1, "meta secpath"},
    [NFT_META_IIFKIND] = {NULL, IFNAMSIZ, "meta iifkind"},
    [NFT_META_OIFKIND] = {NULL, IFNAMSIZ, "meta oifkind"},
    [NFT_META_BRI_IIFPVID] = {NULL, 2, "meta ibrpvid"},
    [NFT_META_BRI_IIFVPROTO] = {NULL, 2, "meta ibrvproto"},
    [NFT_META_TIME_NS] = {NULL, 8, "meta time"},
    [NFT_META_TIME_DAY] = {NULL, 1, "meta day"},
    [NFT_META_TIME_HOUR] = {NULL, 4, "meta hour"},
    [NFT_META_SDIF] = {NULL, 4, "meta sdif"},
    [NFT_META_SDIFNAME] = {NULL, IFNAMSIZ, "meta sdifname"},
};

void meta_run(struct run *run, const struct live_expression *expression) {
  const struct meta_facts *facts = NULL;
  if (expression->key < sizeof(METAS) / sizeof(METAS[0]))
    facts = &METAS[expression->key];
  if (facts == NULL || facts->bytes == 0) {
    run_unmodelled(run, run->condition, "meta of an unknown kind");
    return;
  }
  if (facts->read != NULL) {
    facts->read(run, expression);
    return;
  }
  run_narrow(run, run_unknown(run, UNKNOWN_ANSWER, facts->what));
  registers_write_unknown(&run->registers, expression->destination, facts->bytes);
}

void meta_set_run(struct run *run, const struct live_expression *expression) {
  struct effects *effects = run->effects;
  struct word word;
  if (expression->key == NFT_META_NFTRACE)
    return;
  if (expression->key != NFT_META_MARK) {
    run_unmodelled(run, run->condition, "meta set of something else than mark");
    return;
  }
  if (stage_of(run)->route)
    run_unmodelled(run, run->condition, "mark that changes the way out");
  else if (!run_mark_value(run, expression->source, &word))
    run_unmodelled(run, run->condition, "read of a register that this rule did not write");
  else
    effects->packet_mark =
        mark_written(run->machine, effects->packet_mark, effects->packet_mark_start, run->condition, &word);
}
