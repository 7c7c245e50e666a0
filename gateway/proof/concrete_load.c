/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What rules read: bytes of the packet, its extension headers and options, facts about it (meta), its connection (ct).
 * A load that finds nothing stops its rule, which is how rules about TCP pass by what is not TCP.
 */
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

#include "proof/concrete_parts.h"

enum {
  ETHERNET_SIZE = 14,
  IPV4_SIZE = 20,
  TCP_SIZE = 20,
  UDP_SIZE = 8,
  PROTOCOL_OF_TCP = 6,
  PROTOCOL_OF_UDP = 17,
  INTERFACE_NAME_SIZE = 16,
  LOOPBACK_INDEX = 1,
  UNNAMED_INDEX = INT32_MAX, /* of an interface that no rule names */
  LINK_ETHERNET = 1,         /* ARPHRD_ETHER, ARPHRD_LOOPBACK */
  LINK_LOOPBACK = 772,
};

static const char UNNAMED_INTERFACE[] = "\x7f\x7funnamed";

/* ---- bytes of the packet ---- */

/* Copies from `offset` on of what begins at `at`; false when the packet ends before. */
static enum concrete_answer copy(struct concrete_machine *machine, const struct live_expression *expression,
                                 const uint8_t *at, size_t left, size_t offset) {
  if (offset > left || expression->length > left - offset)
    return ANSWER_BREAK;
  concrete_store(machine, expression->destination, at + offset, expression->length);
  return ANSWER_CONTINUE;
}

static const struct link *link_of(const struct concrete_machine *machine, const char *name) {
  for (size_t i = 0; machine->surroundings != NULL && name != NULL && i < machine->surroundings->link_count; i++)
    if (strcmp(machine->surroundings->links[i].name, name) == 0)
      return &machine->surroundings->links[i];
  return NULL;
}

static enum concrete_answer load_link(struct concrete_machine *machine, const struct live_expression *expression) {
  const struct concrete_view *view = machine->view;
  const struct link *link = link_of(machine, machine->probe->situation.in);
  if (machine->stage == STAGE_EGRESS || (link != NULL && link->type != LINK_ETHERNET && link->type != LINK_LOOPBACK)) {
    concrete_forget(machine, expression->destination, expression->length);
    return concrete_unknown(machine, "a link header that is not known");
  }
  if (view->frame == NULL)
    return ANSWER_BREAK;
  return copy(machine, expression, view->frame, ETHERNET_SIZE + view->length, expression->offset);
}

/* The kernel has a quick way for small aligned loads that does not ask whether the packet is a later fragment: it reads
 * what stands where the header would be, in IPv6 even the IP header itself. (It is not taken where the driver has left
 * that part of the packet in another page; then these loads find nothing, as the others do.) */
static bool reads_fragments(const struct live_expression *expression) {
  return (expression->length == 1 || expression->length == 2 || expression->length == 4) &&
         expression->offset % expression->length == 0;
}

static enum concrete_answer load_transport(struct concrete_machine *machine, const struct live_expression *expression) {
  const struct concrete_view *view = machine->view;
  if (!view->transport_known || (view->fragment_part != 0 && !reads_fragments(expression)))
    return ANSWER_BREAK;
  return copy(machine, expression, view->packet, view->length, view->transport + expression->offset);
}

/* What lies behind the transport header. */
static enum concrete_answer load_inner(struct concrete_machine *machine, const struct live_expression *expression) {
  const struct concrete_view *view = machine->view;
  if (!view->transport_known || view->fragment_part != 0)
    return ANSWER_BREAK;
  size_t header = UDP_SIZE;
  if (view->protocol == PROTOCOL_OF_TCP) {
    if (view->transport + TCP_SIZE > view->length)
      return ANSWER_BREAK;
    header = (size_t)(view->packet[view->transport + 12] >> 4) * 4;
  } else if (view->protocol != PROTOCOL_OF_UDP) {
    concrete_forget(machine, expression->destination, expression->length);
    return concrete_unknown(machine, "what a packet other than TCP or UDP carries");
  }
  return copy(machine, expression, view->packet, view->length, view->transport + header + expression->offset);
}

enum concrete_answer concrete_payload(struct concrete_machine *machine, const struct live_expression *expression) {
  const struct concrete_view *view = machine->view;
  switch (expression->base) {
  case NFT_PAYLOAD_LL_HEADER:
    return load_link(machine, expression);
  case NFT_PAYLOAD_NETWORK_HEADER:
    return copy(machine, expression, view->packet, view->length, expression->offset);
  case NFT_PAYLOAD_TRANSPORT_HEADER:
    return load_transport(machine, expression);
  case NFT_PAYLOAD_INNER_HEADER:
    return load_inner(machine, expression);
  default:
    concrete_forget(machine, expression->destination, expression->length);
    return concrete_unknown(machine, "payload of an unknown header");
  }
}

/* ---- extension headers and options ---- */

static void store_byte(struct concrete_machine *machine, const struct live_expression *expression, uint8_t value) {
  concrete_store(machine, expression->destination, &value, 1);
}

/* Where something stands, or that it does not. */
struct find {
  bool found;
  const uint8_t *at; /* offsets count from here */
  size_t left;
};

static enum concrete_answer answer_find(struct concrete_machine *machine, const struct live_expression *expression,
                                        const struct find *find) {
  if ((expression->flags & NFT_EXTHDR_F_PRESENT) != 0) {
    store_byte(machine, expression, find->found);
    return ANSWER_CONTINUE;
  }
  return find->found ? copy(machine, expression, find->at, find->left, expression->offset) : ANSWER_BREAK;
}

static enum concrete_answer load_ipv6_header(struct concrete_machine *machine,
                                             const struct live_expression *expression) {
  const struct concrete_view *view = machine->view;
  size_t offset = 0;
  struct find find = {.found = machine->probe->situation.family == FAMILY_IPV6 &&
                               concrete_find_header(view, expression->key, &offset)};
  if (find.found) {
    find.at = view->packet + offset;
    find.left = view->length - offset;
  }
  return answer_find(machine, expression, &find);
}

/* False when the options are not well formed: what the kernel makes of them is its own matter. */
static bool find_option(const uint8_t *options, size_t length, unsigned type, struct find *ret_find) {
  enum { OPTION_END = 0, OPTION_NOTHING = 1 };
  *ret_find = (struct find){.found = false};
  for (size_t at = 0; at < length && options[at] != OPTION_END;) {
    if (options[at] == OPTION_NOTHING) {
      at++;
      continue;
    }
    if (length - at < 2 || options[at + 1] < 2 || options[at + 1] > length - at)
      return false;
    if (options[at] == type && !ret_find->found)
      *ret_find = (struct find){true, options + at, length - at};
    at += options[at + 1];
  }
  return true;
}

static enum concrete_answer load_ipv4_option(struct concrete_machine *machine,
                                             const struct live_expression *expression) {
  const struct concrete_view *view = machine->view;
  struct find find = {.found = false};
  size_t header = view->length != 0 ? (view->packet[0] & 15u) * 4 : 0;
  bool present = (expression->flags & NFT_EXTHDR_F_PRESENT) != 0;
  if (machine->probe->situation.family != FAMILY_IPV4 || header <= IPV4_SIZE || header > view->length)
    return answer_find(machine, expression, &find);
  if (find_option(view->packet + IPV4_SIZE, header - IPV4_SIZE, expression->key, &find) && (present || !find.found))
    return answer_find(machine, expression, &find);
  concrete_forget(machine, expression->destination, expression->length);
  return concrete_unknown(machine, "the inside of an IPv4 option");
}

/* TCP's own rules for lengths of options: of 0 and 1 no byte follows; a length of nothing counts as 1. */
static struct find find_tcp_option(const uint8_t *header, size_t size, const struct live_expression *expression) {
  for (size_t at = TCP_SIZE; at + 1 < size;) {
    size_t length = header[at] <= 1 || header[at + 1] == 0 ? 1 : header[at + 1];
    if (header[at] == expression->key) {
      bool fits = at + length <= size && expression->offset + expression->length <= length;
      return (struct find){fits, header + at, size - at};
    }
    at += length;
  }
  return (struct find){.found = false};
}

static enum concrete_answer load_tcp_option(struct concrete_machine *machine,
                                            const struct live_expression *expression) {
  const struct concrete_view *view = machine->view;
  struct find find = {.found = false};
  size_t left = view->transport <= view->length ? view->length - view->transport : 0;
  if (view->transport_known && view->fragment_part == 0 && view->protocol == PROTOCOL_OF_TCP && left >= TCP_SIZE) {
    const uint8_t *header = view->packet + view->transport;
    size_t size = (size_t)(header[12] >> 4) * 4;
    if (size >= TCP_SIZE && size <= left)
      find = find_tcp_option(header, size, expression);
  }
  return answer_find(machine, expression, &find);
}

enum concrete_answer concrete_exthdr(struct concrete_machine *machine, const struct live_expression *expression) {
  switch (expression->operation) {
  case NFT_EXTHDR_OP_IPV6:
    return load_ipv6_header(machine, expression);
  case NFT_EXTHDR_OP_IPV4:
    return load_ipv4_option(machine, expression);
  case NFT_EXTHDR_OP_TCPOPT:
    return load_tcp_option(machine, expression);
  default:
    concrete_forget(machine, expression->destination, expression->length);
    return concrete_unknown(machine, "an option that is neither of IP nor of TCP");
  }
}

/* ---- meta ---- */

typedef enum concrete_answer meta_load(struct concrete_machine *, const struct live_expression *);

static bool asks_for_out(const struct live_expression *expression) {
  return expression->key == NFT_META_OIF || expression->key == NFT_META_OIFNAME ||
         expression->key == NFT_META_OIFTYPE || expression->key == NFT_META_OIFGROUP;
}

static enum concrete_answer meta_unknown(struct concrete_machine *machine, const struct live_expression *expression,
                                         const char *why) {
  concrete_forget(machine, expression->destination, expression->length);
  return concrete_unknown(machine, why);
}

static enum concrete_answer meta_length(struct concrete_machine *machine, const struct live_expression *expression) {
  size_t link = machine->stage == STAGE_EGRESS ? ETHERNET_SIZE : 0;
  concrete_store_word(machine, expression->destination, (uint32_t)(machine->view->length + link));
  return ANSWER_CONTINUE;
}

static enum concrete_answer meta_protocol(struct concrete_machine *machine, const struct live_expression *expression) {
  static const uint8_t ipv4[] = {0x08, 0x00}, ipv6[] = {0x86, 0xdd};
  concrete_store(machine, expression->destination, machine->probe->situation.family == FAMILY_IPV6 ? ipv6 : ipv4, 2);
  return ANSWER_CONTINUE;
}

static enum concrete_answer meta_nfproto(struct concrete_machine *machine, const struct live_expression *expression) {
  store_byte(machine, expression, (uint8_t)machine->family);
  return ANSWER_CONTINUE;
}

static enum concrete_answer meta_l4proto(struct concrete_machine *machine, const struct live_expression *expression) {
  if (!machine->view->transport_known)
    return ANSWER_BREAK;
  store_byte(machine, expression, machine->view->protocol);
  return ANSWER_CONTINUE;
}

static enum concrete_answer meta_mark(struct concrete_machine *machine, const struct live_expression *expression) {
  concrete_store_word(machine, expression->destination, machine->packet_mark);
  return ANSWER_CONTINUE;
}

static enum concrete_answer meta_name(struct concrete_machine *machine, const struct live_expression *expression) {
  bool out = asks_for_out(expression);
  const char *name = out ? machine->out : machine->in;
  char text[INTERFACE_NAME_SIZE + 1] = "";
  if (out ? machine->has_out : machine->has_in)
    strncpy(text, name != NULL ? name : UNNAMED_INTERFACE, INTERFACE_NAME_SIZE - 1);
  concrete_store(machine, expression->destination, text, INTERFACE_NAME_SIZE);
  return ANSWER_CONTINUE;
}

static enum concrete_answer meta_index(struct concrete_machine *machine, const struct live_expression *expression) {
  bool out = asks_for_out(expression), has = out ? machine->has_out : machine->has_in;
  const char *name = out ? machine->out : machine->in;
  const struct link *link = link_of(machine, name);
  uint32_t index = !has                      ? 0
                   : link != NULL            ? link->index
                   : name == NULL            ? UNNAMED_INDEX
                   : strcmp(name, "lo") == 0 ? LOOPBACK_INDEX
                                             : 0;
  if (has && index == 0)
    return meta_unknown(machine, expression, "the number of an interface that is not there");
  concrete_store_word(machine, expression->destination, index);
  return ANSWER_CONTINUE;
}

static enum concrete_answer meta_link_fact(struct concrete_machine *machine, const struct live_expression *expression) {
  bool out = asks_for_out(expression);
  const struct link *link = link_of(machine, out ? machine->out : machine->in);
  if (!(out ? machine->has_out : machine->has_in))
    return ANSWER_BREAK;
  if (link == NULL)
    return meta_unknown(machine, expression, "the type or group of an interface that is not there");
  if (expression->key == NFT_META_IIFTYPE || expression->key == NFT_META_OIFTYPE) {
    uint16_t type = (uint16_t)link->type;
    concrete_store(machine, expression->destination, &type, sizeof(type));
  } else
    concrete_store_word(machine, expression->destination, link->group);
  return ANSWER_CONTINUE;
}

/* As the driver tells it by the receiver's address; for us, for a group, for all. */
static enum concrete_answer meta_packet_type(struct concrete_machine *machine,
                                             const struct live_expression *expression) {
  static const uint8_t everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
  const uint8_t *frame = machine->early.frame;
  uint8_t type = frame == NULL ? 0 : memcmp(frame, everybody, sizeof(everybody)) == 0 ? 1 : (frame[0] & 1) != 0 ? 2 : 0;
  if (machine->probe->situation.path == PATH_OUTPUT)
    return meta_unknown(machine, expression, "meta pkttype of a packet of the gateway's own");
  store_byte(machine, expression, type);
  return ANSWER_CONTINUE;
}

/* A packet that is on its way through has no socket, and so no owner. */
static enum concrete_answer meta_owner(struct concrete_machine *machine, const struct live_expression *expression) {
  if (machine->probe->situation.path == PATH_FORWARD)
    return ANSWER_BREAK;
  return meta_unknown(machine, expression, "the owner of a socket");
}

static meta_load *const meta_loads[] = {
    [NFT_META_LEN] = meta_length,         [NFT_META_PROTOCOL] = meta_protocol,   [NFT_META_MARK] = meta_mark,
    [NFT_META_IIF] = meta_index,          [NFT_META_OIF] = meta_index,           [NFT_META_IIFNAME] = meta_name,
    [NFT_META_OIFNAME] = meta_name,       [NFT_META_IIFTYPE] = meta_link_fact,   [NFT_META_OIFTYPE] = meta_link_fact,
    [NFT_META_IIFGROUP] = meta_link_fact, [NFT_META_OIFGROUP] = meta_link_fact,  [NFT_META_NFPROTO] = meta_nfproto,
    [NFT_META_L4PROTO] = meta_l4proto,    [NFT_META_PKTTYPE] = meta_packet_type, [NFT_META_SKUID] = meta_owner,
    [NFT_META_SKGID] = meta_owner,
};

enum concrete_answer concrete_meta(struct concrete_machine *machine, const struct live_expression *expression) {
  if (expression->key < sizeof(meta_loads) / sizeof(meta_loads[0]) && meta_loads[expression->key] != NULL)
    return meta_loads[expression->key](machine, expression);
  return meta_unknown(machine, expression, "a fact about the packet that is not known (meta)");
}

enum concrete_answer concrete_meta_set(struct concrete_machine *machine, const struct live_expression *expression) {
  switch (expression->key) {
  case NFT_META_MARK:
    if (!concrete_readable(machine, expression->source, sizeof(uint32_t)))
      concrete_unknown(machine, "a mark that is not known");
    else
      memcpy(&machine->packet_mark, machine->registers + expression->source, sizeof(uint32_t));
    return ANSWER_CONTINUE;
  case NFT_META_PRIORITY:
  case NFT_META_NFTRACE:
  case NFT_META_SECMARK:
    return ANSWER_CONTINUE;
  default:
    concrete_unknown(machine, "changes what is known of the packet (meta set)");
    return ANSWER_CONTINUE;
  }
}

/* ---- ct ---- */

static bool is_reply(enum situation_tracking tracking) {
  return tracking == TRACKING_REPLY || tracking == TRACKING_RELATED_REPLY;
}

static uint32_t state_of(const struct concrete_machine *machine) {
  static const uint32_t states[TRACKING_COUNT_] = {
      [TRACKING_OPENS] = 8,   [TRACKING_OPENS_AGAIN] = 8,      [TRACKING_ORIGINAL] = 2,
      [TRACKING_REPLY] = 2,   [TRACKING_RELATED_ORIGINAL] = 4, [TRACKING_RELATED_REPLY] = 4,
      [TRACKING_INVALID] = 1, [TRACKING_UNTRACKED] = 64,
  };
  if (machine->connection)
    return states[machine->probe->situation.tracking];
  if (machine->untracked || (machine->looked && machine->probe->situation.tracking == TRACKING_UNTRACKED))
    return states[TRACKING_UNTRACKED];
  return states[TRACKING_INVALID];
}

static uint32_t status_of(const struct concrete_machine *machine) {
  uint32_t status = machine->probe->connection_status;
  return machine->probe->situation.tracking == TRACKING_OPENS ? status & ~(uint32_t)IPS_CONFIRMED
                                                              : status | IPS_CONFIRMED;
}

static enum concrete_answer ct_address(struct concrete_machine *machine, const struct live_expression *expression,
                                       const struct original_tuple *tuple) {
  unsigned key = expression->key;
  bool source = key == NFT_CT_SRC || key == NFT_CT_SRC_IP || key == NFT_CT_SRC_IP6;
  bool ipv4 = key == NFT_CT_SRC_IP || key == NFT_CT_DST_IP, ipv6 = key == NFT_CT_SRC_IP6 || key == NFT_CT_DST_IP6;
  const struct address *address = source ? &tuple->source : &tuple->destination;
  if ((ipv4 && address->family != FAMILY_IPV4) || (ipv6 && address->family != FAMILY_IPV6))
    return ANSWER_BREAK;
  concrete_store(machine, expression->destination, address->bytes, address_length(address->family));
  return ANSWER_CONTINUE;
}

static enum concrete_answer ct_tuple(struct concrete_machine *machine, const struct live_expression *expression) {
  struct original_tuple tuple = machine->original;
  if (tuple.source.family == FAMILY_NONE || expression->direction < 0)
    return meta_unknown(machine, expression, "the addresses of a connection that is not known");
  if (expression->direction == 1)
    tuple = concrete_turn_tuple(&tuple);
  if (expression->key != NFT_CT_PROTO_SRC && expression->key != NFT_CT_PROTO_DST)
    return ct_address(machine, expression, &tuple);
  uint16_t port = expression->key == NFT_CT_PROTO_SRC ? tuple.source_port : tuple.destination_port;
  const uint8_t bytes[] = {(uint8_t)(port >> 8), (uint8_t)port};
  concrete_store(machine, expression->destination, bytes, sizeof(bytes));
  return ANSWER_CONTINUE;
}

static enum concrete_answer ct_fact(struct concrete_machine *machine, const struct live_expression *expression) {
  static const uint8_t zone[2] = {0, 0};
  switch (expression->key) {
  case NFT_CT_DIRECTION:
    store_byte(machine, expression, is_reply(machine->probe->situation.tracking));
    return ANSWER_CONTINUE;
  case NFT_CT_STATUS:
    concrete_store_word(machine, expression->destination, status_of(machine));
    return ANSWER_CONTINUE;
  case NFT_CT_MARK:
    concrete_store_word(machine, expression->destination, machine->result.connection_mark);
    return ANSWER_CONTINUE;
  case NFT_CT_L3PROTOCOL:
    store_byte(machine, expression, machine->probe->situation.family == FAMILY_IPV6 ? NFPROTO_IPV6 : NFPROTO_IPV4);
    return ANSWER_CONTINUE;
  case NFT_CT_ZONE: /* who sets one is noted as not understood */
    concrete_store(machine, expression->destination, zone, sizeof(zone));
    return ANSWER_CONTINUE;
  case NFT_CT_PROTOCOL:
    if (machine->original.source.family == FAMILY_NONE)
      return meta_unknown(machine, expression, "the protocol of a connection that is not known");
    store_byte(machine, expression, machine->original.protocol);
    return ANSWER_CONTINUE;
  default:
    return meta_unknown(machine, expression, "a fact about the connection that is not known (ct)");
  }
}

enum concrete_answer concrete_ct(struct concrete_machine *machine, const struct live_expression *expression) {
  static const unsigned tuple_keys[] = {NFT_CT_SRC,    NFT_CT_DST,    NFT_CT_PROTO_SRC, NFT_CT_PROTO_DST,
                                        NFT_CT_SRC_IP, NFT_CT_DST_IP, NFT_CT_SRC_IP6,   NFT_CT_DST_IP6};
  if (expression->key == NFT_CT_STATE) {
    concrete_store_word(machine, expression->destination, state_of(machine));
    return ANSWER_CONTINUE;
  }
  if (!machine->connection)
    return ANSWER_BREAK;
  for (size_t i = 0; i < sizeof(tuple_keys) / sizeof(tuple_keys[0]); i++)
    if (expression->key == tuple_keys[i])
      return ct_tuple(machine, expression);
  return ct_fact(machine, expression);
}

enum concrete_answer concrete_ct_set(struct concrete_machine *machine, const struct live_expression *expression) {
  uint32_t mark;
  switch (expression->key) {
  case NFT_CT_LABELS:
  case NFT_CT_EVENTMASK:
  case NFT_CT_SECMARK:
    return ANSWER_CONTINUE;
  case NFT_CT_MARK:
    break;
  default:
    concrete_unknown(machine, "changes what is known of the connection (ct set)");
    return ANSWER_CONTINUE;
  }
  if (!machine->connection)
    return ANSWER_CONTINUE;
  if (!concrete_readable(machine, expression->source, sizeof(mark))) {
    concrete_unknown(machine, "a connection mark that is not known");
    return ANSWER_CONTINUE;
  }
  memcpy(&mark, machine->registers + expression->source, sizeof(mark));
  machine->result.connection_mark = mark;
  machine->result.mark_written = true;
  return ANSWER_CONTINUE;
}
