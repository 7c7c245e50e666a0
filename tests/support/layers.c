/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "layers.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"

enum { TOKENS_MOST = 32, TEXT_MOST = 1024 };

/* A frame grows from its end to its front. */
struct growing {
  uint8_t bytes[LAYERS_MOST];
  size_t front;
  uint16_t ethertype; /* of what stands at the front */
  uint8_t protocol;
};

static size_t grown(const struct growing *frame) {
  return LAYERS_MOST - frame->front;
}

static uint8_t *grow(struct growing *frame, size_t size) {
  if (size > frame->front)
    abort();
  frame->front -= size;
  memset(frame->bytes + frame->front, 0, size);
  return frame->bytes + frame->front;
}

static void put16(uint8_t *bytes, size_t value) {
  bytes[0] = (uint8_t)(value >> 8);
  bytes[1] = (uint8_t)value;
}

static void put(struct growing *frame, const void *bytes, size_t size) {
  memcpy(grow(frame, size), bytes, size);
}

static void put_hex(struct growing *frame, const char *text) {
  size_t size = strlen(text) / 2;
  uint8_t *bytes = grow(frame, size);
  for (size_t i = 0; i < size; i++) {
    const char pair[] = {text[2 * i], text[2 * i + 1], '\0'};
    bytes[i] = (uint8_t)strtoul(pair, NULL, 16);
  }
}

/* "A>B/n,C": the parts of an argument, each of which may be missing. */
struct ends {
  char source[64], destination[64], hop[64];
  int protocol; /* -1: by what follows */
};

static struct ends parse_ends(const char *argument) {
  struct ends ends = {.protocol = -1};
  sscanf(argument, "%63[^>]>%63[^/,]", ends.source, ends.destination);
  const char *slash = strchr(argument, '/'), *comma = strchr(argument, ',');
  if (slash != NULL)
    ends.protocol = atoi(slash + 1);
  if (comma != NULL)
    snprintf(ends.hop, sizeof ends.hop, "%s", comma + 1);
  return ends;
}

static void put_address(uint8_t *bytes, const char *text, size_t size) {
  struct address address;
  if (!address_parse(text, &address))
    abort();
  memcpy(bytes, address.bytes, size);
}

/* ---- link layers ---- */

static void add_ethernet(struct growing *frame, const char *argument) {
  size_t type = frame->ethertype < 0x600 ? grown(frame) : frame->ethertype;
  put16(grow(frame, 2), type);
  struct ends macs = parse_ends(argument[0] != '\0' ? argument : "02ffffffffff>020000000001");
  put_hex(frame, macs.destination); /* the recipe says destination first, as the wire does */
  put_hex(frame, macs.source);
  frame->ethertype = 0x6558;
  frame->protocol = 143;
}

static void add_vlan(struct growing *frame, const char *argument) {
  uint8_t *header = grow(frame, 4);
  put16(header, (size_t)atoi(argument));
  put16(header + 2, frame->ethertype);
  frame->ethertype = 0x8100;
}

static void add_snap(struct growing *frame, const char *argument) {
  uint8_t *header = grow(frame, 8);
  memcpy(header, "\xaa\xaa\x03", 3);
  if (argument[0] != '\0')
    memcpy(header + 3, "\x00\x80\xc2\x00\x07", 5); /* bridged */
  else
    put16(header + 6, frame->ethertype);
  frame->ethertype = 0;
}

static void add_llc_ip(struct growing *frame, const char *argument) {
  (void)argument;
  put(frame, "\x06\x06\x03", 3);
  frame->ethertype = 0;
}

static void add_labels(struct growing *frame, const char *argument) {
  int count = argument[0] != '\0' ? atoi(argument) : 1;
  for (int i = 0; i < count; i++) {
    uint8_t *label = grow(frame, 4);
    label[1] = 1;
    label[2] = i == 0;
    label[3] = 64;
  }
  frame->ethertype = 0x8847;
  frame->protocol = 137;
}

static void add_ppp(struct growing *frame, const char *argument) {
  uint16_t type = frame->ethertype == 0x86dd ? 0x57 : frame->ethertype == 0x8847 ? 0x281 : 0x21;
  if (strcmp(argument, "short") == 0) {
    grow(frame, 1)[0] = (uint8_t)type;
    return;
  }
  put16(grow(frame, 2), type);
  if (strcmp(argument, "full") == 0)
    put(frame, "\xff\x03", 2);
}

static void add_pppoe(struct growing *frame, const char *argument) {
  add_ppp(frame, argument);
  size_t length = grown(frame);
  uint8_t *header = grow(frame, 6);
  header[0] = 0x11;
  header[3] = 9;
  put16(header + 4, length);
  frame->ethertype = 0x8864;
}

static void add_nsh(struct growing *frame, const char *argument) {
  bool ethernet = frame->ethertype == 0x6558;
  uint8_t next = ethernet ? 3 : frame->ethertype == 0x86dd ? 2 : frame->ethertype == 0x894f ? 4 : 1;
  unsigned words = argument[0] != '\0' ? (unsigned)atoi(argument) : 6;
  uint8_t *header = grow(frame, (size_t)words * 4);
  header[0] = 0x0f;
  header[1] = (uint8_t)(0xc0 | words);
  header[2] = words == 6 ? 1 : 2;
  header[3] = next;
  frame->ethertype = 0x894f;
  frame->protocol = 145;
}

static void add_pbb(struct growing *frame, const char *argument) {
  (void)argument;
  put(frame, "\x00\x00\x00\x2a", 4);
  frame->ethertype = 0x88e7;
}

static void add_trill(struct growing *frame, const char *argument) {
  (void)argument;
  put(frame, "\x00\x05\x00\x01\x00\x02", 6);
  frame->ethertype = 0x22f3;
}

static void add_hsr(struct growing *frame, const char *argument) {
  (void)argument;
  put16(grow(frame, 2), frame->ethertype);
  put(frame, "\x00\x40\x00\x01", 4);
  frame->ethertype = 0x892f;
}

static void add_macsec(struct growing *frame, const char *argument) {
  put16(grow(frame, 2), frame->ethertype);
  uint8_t *header = grow(frame, 6);
  header[0] = argument[0] != '\0' ? 0x0c : 0;
  frame->ethertype = 0x88e5;
}

/* ---- IP ---- */

static void fill_checksum(uint8_t *header, size_t size) {
  uint32_t sum = 0;
  for (size_t i = 0; i < size; i += 2)
    sum += (uint32_t)(header[i] << 8 | header[i + 1]);
  sum = (sum & 0xffff) + (sum >> 16);
  put16(header + 10, (uint16_t) ~((sum & 0xffff) + (sum >> 16)));
}

static void add_ipv4_word(struct growing *frame, const char *argument, uint16_t fragment_word) {
  struct ends ends = parse_ends(argument);
  size_t options = ends.hop[0] != '\0' ? 8 : 0;
  uint8_t *header = grow(frame, 20 + options);
  header[0] = (uint8_t)(0x45 + options / 4);
  put16(header + 2, grown(frame));
  put16(header + 4, 7);
  put16(header + 6, fragment_word);
  header[8] = 64;
  header[9] = ends.protocol >= 0 ? (uint8_t)ends.protocol : frame->protocol;
  put_address(header + 12, ends.source, 4);
  put_address(header + 16, ends.destination, 4);
  if (options > 0) {
    memcpy(header + 20, "\x83\x07\x04", 3); /* LSRR */
    put_address(header + 23, ends.hop, 4);
  }
  fill_checksum(header, 20 + options);
  frame->ethertype = 0x0800;
  frame->protocol = 4;
}

static void add_ipv4(struct growing *frame, const char *argument) {
  add_ipv4_word(frame, argument, 0);
}

static void add_first_fragment(struct growing *frame, const char *argument) {
  add_ipv4_word(frame, argument, 0x2000);
}

static void add_later_fragment(struct growing *frame, const char *argument) {
  add_ipv4_word(frame, argument, 0x0020);
}

static void add_ipv6(struct growing *frame, const char *argument) {
  struct ends ends = parse_ends(argument);
  size_t payload = grown(frame);
  uint8_t *header = grow(frame, 40);
  header[0] = 0x60;
  put16(header + 4, payload);
  header[6] = ends.protocol >= 0 ? (uint8_t)ends.protocol : frame->protocol;
  header[7] = 64;
  put_address(header + 8, ends.source, 16);
  put_address(header + 24, ends.destination, 16);
  frame->ethertype = 0x86dd;
  frame->protocol = 41;
}

/* One hop; argument: its address, and the type behind a comma. */
static void add_routing(struct growing *frame, const char *argument) {
  char hop[64];
  snprintf(hop, sizeof hop, "%s", argument);
  char *comma = strchr(hop, ',');
  if (comma != NULL)
    *comma = '\0';
  uint8_t *header = grow(frame, 24);
  header[0] = frame->protocol;
  header[1] = 2;
  header[2] = comma != NULL ? (uint8_t)atoi(comma + 1) : 0;
  header[3] = 1;
  put_address(header + 8, hop, 16);
  frame->protocol = 43;
}

static void add_home_address(struct growing *frame, const char *argument) {
  uint8_t *header = grow(frame, 24);
  header[0] = frame->protocol;
  header[1] = 2;
  memcpy(header + 2, "\x01\x02\x00\x00\xc9\x10", 6);
  put_address(header + 8, argument, 16);
  frame->protocol = 60;
}

static void add_ah(struct growing *frame, const char *argument) {
  (void)argument;
  uint8_t *header = grow(frame, 24);
  header[0] = frame->protocol;
  header[1] = 4;
  header[7] = 1;
  frame->protocol = 51;
}

/* ---- over IP ---- */

/* full: with checksum, key and sequence. */
static void add_gre(struct growing *frame, const char *argument) {
  bool full = strcmp(argument, "full") == 0;
  if (full)
    memset(grow(frame, 12), 0xee, 12);
  put16(grow(frame, 2), frame->ethertype);
  put16(grow(frame, 2), full ? 0xb000 : 0);
  frame->protocol = 47;
}

static void add_pptp(struct growing *frame, const char *argument) {
  add_ppp(frame, argument);
  put(frame, "\x30\x81\x88\x0b\x00\x40\x00\x07\x00\x00\x00\x01\x00\x00\x00\x02", 16);
  frame->protocol = 47;
}

static void add_erspan(struct growing *frame, const char *argument) {
  int type = atoi(argument);
  if (type == 3) {
    grow(frame, 12)[0] = 0x20;
    put(frame, "\x10\x00\x22\xeb\x00\x00\x00\x01", 8);
  } else if (type == 2) {
    grow(frame, 8)[0] = 0x10;
    put(frame, "\x10\x00\x88\xbe\x00\x00\x00\x01", 8);
  } else {
    put(frame, "\x00\x00\x88\xbe", 4);
  }
  frame->protocol = 47;
}

static void add_wccp(struct growing *frame, const char *argument) {
  (void)argument;
  put(frame, "\x00\x00\x88\x3e\x00\x00\x00\x00", 8);
  frame->protocol = 47;
}

static void add_etherip(struct growing *frame, const char *argument) {
  (void)argument;
  put(frame, "\x30\x00", 2);
  frame->protocol = 97;
}

static void add_tcp(struct growing *frame, const char *argument) {
  struct ends ends = parse_ends(argument);
  uint8_t *header = grow(frame, 20);
  put16(header, (size_t)atoi(ends.source));
  put16(header + 2, (size_t)atoi(ends.destination));
  header[12] = 0x50;
  header[13] = ends.protocol >= 0 ? (uint8_t)ends.protocol : 0x02;
  frame->protocol = 6;
}

static void add_udp(struct growing *frame, const char *argument) {
  struct ends ends = parse_ends(argument);
  uint8_t *header = grow(frame, 8);
  put16(header, (size_t)atoi(ends.source));
  put16(header + 2, (size_t)atoi(ends.destination));
  put16(header + 4, grown(frame));
  frame->protocol = 17;
}

static void add_icmp_error(struct growing *frame, const char *argument) {
  (void)argument;
  uint8_t *header = grow(frame, 8);
  header[0] = frame->ethertype == 0x86dd ? 1 : 3;
  frame->protocol = frame->ethertype == 0x86dd ? 58 : 1;
}

static void add_echo(struct growing *frame, const char *argument) {
  (void)argument;
  grow(frame, 8)[0] = 8;
  frame->protocol = 1;
}

/* ---- over UDP ---- */

static void add_vxlan(struct growing *frame, const char *argument) {
  (void)argument;
  put(frame, "\x08\x00\x00\x00\x00\x00\x2a\x00", 8);
}

static void add_vxlan_gpe(struct growing *frame, const char *argument) {
  (void)argument;
  uint8_t next = frame->ethertype == 0x0800 ? 1 : frame->ethertype == 0x86dd ? 2 : 3;
  uint8_t *header = grow(frame, 8);
  header[0] = 0x0c;
  header[3] = next;
}

static void add_geneve(struct growing *frame, const char *argument) {
  unsigned words = argument[0] != '\0' ? (unsigned)atoi(argument) : 0;
  memset(grow(frame, (size_t)words * 4), 0x11, (size_t)words * 4);
  uint8_t *header = grow(frame, 8);
  header[0] = (uint8_t)words;
  put16(header + 2, frame->ethertype);
}

static void add_gtp(struct growing *frame, const char *argument) {
  size_t extra = argument[0] != '\0' ? 8 : 0;
  if (extra > 0)
    put(frame, "\x00\x00\x00\x85\x01\x00\x00\x00", 8);
  size_t length = grown(frame);
  uint8_t *header = grow(frame, 8);
  header[0] = extra > 0 ? 0x34 : 0x30;
  header[1] = 0xff;
  put16(header + 2, length);
}

static void add_l2tp(struct growing *frame, const char *argument) {
  add_ppp(frame, "full");
  if (strcmp(argument, "long") == 0) { /* length, numbers, offset */
    size_t length = grown(frame);
    uint8_t *header = grow(frame, 16);
    memcpy(header, "\x4a\x02\x00\x00\x00\x01\x00\x02\x00\x00\x00\x00\x00\x02\xee\xee", 16);
    put16(header + 2, length + 16);
    return;
  }
  put(frame, "\x00\x02\x00\x01\x00\x02", 6);
}

/* Version 3; argument: bytes of cookie. */
static void add_l2tpv3(struct growing *frame, const char *argument) {
  memset(grow(frame, (size_t)atoi(argument)), 0xee, (size_t)atoi(argument));
  put(frame, "\x00\x00\x00\x07", 4);
  frame->protocol = 115;
}

static void add_l2tpv3_udp(struct growing *frame, const char *argument) {
  add_l2tpv3(frame, argument);
  put(frame, "\x00\x03\x00\x00", 4);
}

static void add_teredo(struct growing *frame, const char *argument) {
  put(frame, "\x00\x00\x11\x22\x33\x44\x55\x66", 8); /* origin */
  if (argument[0] != '\0')
    put(frame, "\x00\x01\x00\x00\x01\x02\x03\x04\x05\x06\x07\x08\x00", 13);
}

static void add_lisp(struct growing *frame, const char *argument) {
  (void)argument;
  put(frame, "\x80\x01\x02\x03\x00\x00\x00\x01", 8);
}

static void add_gue(struct growing *frame, const char *argument) {
  (void)argument;
  uint8_t protocol = frame->protocol;
  uint8_t *header = grow(frame, 4);
  header[1] = protocol;
}

/* ---- anything ---- */

static void add_raw(struct growing *frame, const char *argument) {
  put_hex(frame, argument);
}

static void add_filling(struct growing *frame, const char *argument) {
  memset(grow(frame, (size_t)atoi(argument)), 0xee, (size_t)atoi(argument));
}

static void set_ethertype(struct growing *frame, const char *argument) {
  frame->ethertype = (uint16_t)strtoul(argument, NULL, 16);
}

static const struct kind {
  const char *name;
  void (*add)(struct growing *frame, const char *argument);
} KINDS[] = {
    {"eth", add_ethernet},
    {"vlan", add_vlan},
    {"snap", add_snap},
    {"llc-ip", add_llc_ip},
    {"mpls", add_labels},
    {"pppoe", add_pppoe},
    {"nsh", add_nsh},
    {"pbb", add_pbb},
    {"trill", add_trill},
    {"hsr", add_hsr},
    {"macsec", add_macsec},
    {"ip4", add_ipv4},
    {"ip4-first", add_first_fragment},
    {"ip4-later", add_later_fragment},
    {"ip6", add_ipv6},
    {"routing", add_routing},
    {"home", add_home_address},
    {"ah", add_ah},
    {"gre", add_gre},
    {"pptp", add_pptp},
    {"erspan", add_erspan},
    {"wccp", add_wccp},
    {"etherip", add_etherip},
    {"echo", add_echo},
    {"tcp", add_tcp},
    {"udp", add_udp},
    {"icmp-error", add_icmp_error},
    {"vxlan", add_vxlan},
    {"gpe", add_vxlan_gpe},
    {"geneve", add_geneve},
    {"gtp", add_gtp},
    {"l2tp", add_l2tp},
    {"l2tpv3", add_l2tpv3},
    {"l2tpv3-udp", add_l2tpv3_udp},
    {"teredo", add_teredo},
    {"lisp", add_lisp},
    {"gue", add_gue},
    {"raw", add_raw},
    {"fill", add_filling},
    {"type", set_ethertype},
};

static void add_token(struct growing *frame, char *token) {
  char *colon = strchr(token, ':');
  const char *argument = colon != NULL ? colon + 1 : "";
  if (colon != NULL)
    *colon = '\0';
  for (size_t i = 0; i < sizeof KINDS / sizeof KINDS[0]; i++)
    if (strcmp(KINDS[i].name, token) == 0) {
      KINDS[i].add(frame, argument);
      return;
    }
  fprintf(stderr, "no layer is called %s\n", token);
  abort();
}

size_t layers_build(const char *recipe, uint8_t ret_bytes[static LAYERS_MOST]) {
  char text[TEXT_MOST];
  char *tokens[TOKENS_MOST], *rest = NULL;
  size_t count = 0;
  if ((size_t)snprintf(text, sizeof text, "%s", recipe) >= sizeof text)
    abort();
  for (char *token = strtok_r(text, " ", &rest); token != NULL && count < TOKENS_MOST;
       token = strtok_r(NULL, " ", &rest))
    tokens[count++] = token;
  struct growing frame = {.front = LAYERS_MOST};
  while (count > 0)
    add_token(&frame, tokens[--count]);
  memcpy(ret_bytes, frame.bytes + frame.front, grown(&frame));
  return grown(&frame);
}
