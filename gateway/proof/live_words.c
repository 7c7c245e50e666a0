/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Words for what registers hold: names of loads, and their values as nft writes them. */
#include <netinet/in.h>
#include <string.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>

#include "base/address.h"
#include "proof/live_text_parts.h"

#define COUNT_OF(array_) (sizeof(array_) / sizeof((array_)[0]))

/* ---- values ---- */

bool all_zero(const uint8_t *data, unsigned length) {
  for (unsigned i = 0; i < length; i++) {
    if (data[i] != 0) {
      return false;
    }
  }
  return true;
}

int mask_prefix(const uint8_t *mask, unsigned length) {
  unsigned bits = 0;
  while (bits < length * 8 && (mask[bits / 8] & 0x80 >> bits % 8) != 0) {
    bits++;
  }
  for (unsigned i = bits; i < length * 8; i++) {
    if ((mask[i / 8] & 0x80 >> i % 8) != 0) {
      return -1;
    }
  }
  return (int)bits;
}

static uint64_t network_number(const uint8_t *data, unsigned length) {
  uint64_t number = 0;
  for (unsigned i = 0; i < length; i++) {
    number = number << 8 | data[i];
  }
  return number;
}

static uint64_t host_number(const uint8_t *data, unsigned length) {
  uint8_t byte = 0;
  uint16_t half = 0;
  uint32_t word = 0;
  uint64_t large = 0;
  if (length == sizeof(byte)) {
    memcpy(&byte, data, length);
  } else if (length == sizeof(half)) {
    memcpy(&half, data, length);
  } else if (length == sizeof(word)) {
    memcpy(&word, data, length);
  } else if (length == sizeof(large)) {
    memcpy(&large, data, length);
  }
  return large | word | half | byte;
}

static const char *hex_text(const uint8_t *data, unsigned length, struct arena *arena) {
  static const char digits[] = "0123456789abcdef";
  char *text = arena_alloc(arena, 2 * (size_t)length + 3);
  if (text == NULL) {
    return "";
  }
  char *end = text;
  *end++ = '0';
  *end++ = 'x';
  for (unsigned i = 0; i < length; i++) {
    *end++ = digits[data[i] >> 4];
    *end++ = digits[data[i] & 15];
  }
  return text;
}

static const char *address_text(const uint8_t *data, unsigned length, struct arena *arena) {
  struct address address = {.family = length == 4 ? FAMILY_IPV4 : length == 16 ? FAMILY_IPV6 : FAMILY_NONE};
  char text[ADDRESS_TEXT_SIZE];
  if (address.family == FAMILY_NONE) {
    return hex_text(data, length, arena);
  }
  memcpy(address.bytes, data, length);
  return arena_strdup(arena, address_format(&address, text));
}

static const char *mac_text(const uint8_t *data, unsigned length, struct arena *arena) {
  return length != 6 ? hex_text(data, length, arena)
                     : arena_printf(arena, "%02x:%02x:%02x:%02x:%02x:%02x", data[0], data[1], data[2], data[3], data[4],
                                    data[5]);
}

/* A comparison shorter than a whole name stands for all that begin so. */
static const char *name_text(const uint8_t *data, unsigned length, struct arena *arena) {
  enum { WHOLE = 16 };
  bool whole = length == WHOLE || memchr(data, '\0', length) != NULL;
  const char *name = arena_strndup(arena, (const char *)data, length);
  return name == NULL ? "" : arena_printf(arena, "%s%s", name, whole ? "" : "*");
}

struct word {
  uint32_t number;
  const char *text;
};

static const struct word protocols[] = {
    {IPPROTO_ICMP, "icmp"}, {IPPROTO_IGMP, "igmp"},       {IPPROTO_TCP, "tcp"},  {IPPROTO_UDP, "udp"},
    {IPPROTO_GRE, "gre"},   {IPPROTO_ESP, "esp"},         {IPPROTO_AH, "ah"},    {IPPROTO_ICMPV6, "ipv6-icmp"},
    {IPPROTO_SCTP, "sctp"}, {IPPROTO_UDPLITE, "udplite"}, {IPPROTO_DCCP, "dccp"}};
static const struct word families[] = {{NFPROTO_IPV4, "ipv4"}, {NFPROTO_IPV6, "ipv6"}, {NFPROTO_ARP, "arp"}};
static const struct word directions[] = {{0, "original"}, {1, "reply"}};
static const struct word states[] = {{1, "invalid"}, {2, "established"}, {4, "related"}, {8, "new"}, {64, "untracked"}};
static const struct word statuses[] = {
    {IPS_EXPECTED, "expected"}, {IPS_SEEN_REPLY, "seen-reply"}, {IPS_ASSURED, "assured"}, {IPS_CONFIRMED, "confirmed"},
    {IPS_SRC_NAT, "snat"},      {IPS_DST_NAT, "dnat"},          {IPS_DYING, "dying"}};

static const struct {
  const struct word *words;
  size_t count;
} vocabularies[VALUE_FORMAT_COUNT_] = {
    [VALUE_PROTOCOL] = {protocols, COUNT_OF(protocols)},    [VALUE_FAMILY] = {families, COUNT_OF(families)},
    [VALUE_DIRECTION] = {directions, COUNT_OF(directions)}, [VALUE_STATE] = {states, COUNT_OF(states)},
    [VALUE_STATUS] = {statuses, COUNT_OF(statuses)},
};

static const char *find_word(enum value_format format, uint64_t number) {
  for (size_t i = 0; i < vocabularies[format].count; i++) {
    if (vocabularies[format].words[i].number == number) {
      return vocabularies[format].words[i].text;
    }
  }
  return NULL;
}

const char *value_bits(enum value_format format, const uint8_t *data, unsigned length, struct arena *arena) {
  if (format != VALUE_STATE && format != VALUE_STATUS) {
    return NULL;
  }
  uint64_t left = host_number(data, length);
  const char *text = "";
  for (size_t i = 0; text != NULL && i < vocabularies[format].count; i++) {
    const struct word *word = &vocabularies[format].words[i];
    if ((left & word->number) != 0) {
      text = arena_printf(arena, "%s%s%s", text, text[0] != '\0' ? "," : "", word->text);
      left &= ~(uint64_t)word->number;
    }
  }
  return left == 0 ? text : NULL;
}

const char *value_text(enum value_format format, const uint8_t *data, unsigned length, struct arena *arena) {
  const char *text = NULL;
  if (format == VALUE_ADDRESS) {
    text = address_text(data, length, arena);
  } else if (format == VALUE_MAC) {
    text = mac_text(data, length, arena);
  } else if (format == VALUE_NAME) {
    text = name_text(data, length, arena);
  } else if (format == VALUE_NUMBER && length <= 8) {
    text = arena_printf(arena, "%llu", (unsigned long long)network_number(data, length));
  } else if (format == VALUE_HOST && length <= 8) {
    text = arena_printf(arena, "%llu", (unsigned long long)host_number(data, length));
  } else if (format == VALUE_MARK && length <= 8) {
    text = arena_printf(arena, "0x%llx", (unsigned long long)host_number(data, length));
  } else if (format != VALUE_HEX && length <= 8) {
    text = find_word(format, host_number(data, length));
    text = text != NULL ? text : arena_printf(arena, "%llu", (unsigned long long)host_number(data, length));
  } else {
    text = hex_text(data, length, arena);
  }
  return text != NULL ? text : "";
}

/* ---- loads ---- */

static const struct {
  const char *text;
  enum value_format format;
} meta_words[] = {
    [NFT_META_LEN] = {"meta length", VALUE_HOST},
    [NFT_META_PROTOCOL] = {"meta protocol", VALUE_HEX},
    [NFT_META_PRIORITY] = {"meta priority", VALUE_MARK},
    [NFT_META_MARK] = {"meta mark", VALUE_MARK},
    [NFT_META_IIF] = {"iif", VALUE_HOST},
    [NFT_META_OIF] = {"oif", VALUE_HOST},
    [NFT_META_IIFNAME] = {"iifname", VALUE_NAME},
    [NFT_META_OIFNAME] = {"oifname", VALUE_NAME},
    [NFT_META_IIFTYPE] = {"iiftype", VALUE_HOST},
    [NFT_META_OIFTYPE] = {"oiftype", VALUE_HOST},
    [NFT_META_SKUID] = {"meta skuid", VALUE_HOST},
    [NFT_META_SKGID] = {"meta skgid", VALUE_HOST},
    [NFT_META_NFTRACE] = {"meta nftrace", VALUE_HOST},
    [NFT_META_RTCLASSID] = {"meta rtclassid", VALUE_HOST},
    [NFT_META_SECMARK] = {"meta secmark", VALUE_MARK},
    [NFT_META_NFPROTO] = {"meta nfproto", VALUE_FAMILY},
    [NFT_META_L4PROTO] = {"meta l4proto", VALUE_PROTOCOL},
    [NFT_META_BRI_IIFNAME] = {"meta ibrname", VALUE_NAME},
    [NFT_META_BRI_OIFNAME] = {"meta obrname", VALUE_NAME},
    [NFT_META_PKTTYPE] = {"meta pkttype", VALUE_HOST},
    [NFT_META_CPU] = {"meta cpu", VALUE_HOST},
    [NFT_META_IIFGROUP] = {"iifgroup", VALUE_HOST},
    [NFT_META_OIFGROUP] = {"oifgroup", VALUE_HOST},
    [NFT_META_CGROUP] = {"meta cgroup", VALUE_HOST},
    [NFT_META_PRANDOM] = {"meta random", VALUE_HOST},
    [NFT_META_SECPATH] = {"meta ipsec", VALUE_HOST},
    [NFT_META_IIFKIND] = {"meta iifkind", VALUE_NAME},
    [NFT_META_OIFKIND] = {"meta oifkind", VALUE_NAME},
    [NFT_META_TIME_NS] = {"meta time", VALUE_HOST},
    [NFT_META_TIME_DAY] = {"meta day", VALUE_HOST},
    [NFT_META_TIME_HOUR] = {"meta hour", VALUE_HOST},
    [NFT_META_SDIF] = {"meta sdif", VALUE_HOST},
    [NFT_META_SDIFNAME] = {"meta sdifname", VALUE_NAME},
};

struct saying saying_of_meta(const struct live_expression *load, struct arena *arena) {
  bool known = load->key < COUNT_OF(meta_words) && meta_words[load->key].text != NULL;
  return (struct saying){
      .text = known ? meta_words[load->key].text : arena_printf(arena, "meta key-%u", load->key),
      .format = known ? meta_words[load->key].format : VALUE_HEX,
      .start = load->destination,
      .length = load->length,
  };
}

static const struct {
  const char *text;
  enum value_format format;
} ct_words[] = {
    [NFT_CT_STATE] = {"state", VALUE_STATE},          [NFT_CT_DIRECTION] = {"direction", VALUE_DIRECTION},
    [NFT_CT_STATUS] = {"status", VALUE_STATUS},       [NFT_CT_MARK] = {"mark", VALUE_MARK},
    [NFT_CT_SECMARK] = {"secmark", VALUE_MARK},       [NFT_CT_EXPIRATION] = {"expiration", VALUE_HOST},
    [NFT_CT_HELPER] = {"helper", VALUE_NAME},         [NFT_CT_L3PROTOCOL] = {"l3proto", VALUE_FAMILY},
    [NFT_CT_SRC] = {"saddr", VALUE_ADDRESS},          [NFT_CT_DST] = {"daddr", VALUE_ADDRESS},
    [NFT_CT_PROTOCOL] = {"protocol", VALUE_PROTOCOL}, [NFT_CT_PROTO_SRC] = {"proto-src", VALUE_NUMBER},
    [NFT_CT_PROTO_DST] = {"proto-dst", VALUE_NUMBER}, [NFT_CT_LABELS] = {"label", VALUE_HEX},
    [NFT_CT_PKTS] = {"packets", VALUE_HOST},          [NFT_CT_BYTES] = {"bytes", VALUE_HOST},
    [NFT_CT_AVGPKT] = {"avgpkt", VALUE_HOST},         [NFT_CT_ZONE] = {"zone", VALUE_HOST},
    [NFT_CT_EVENTMASK] = {"event", VALUE_MARK},       [NFT_CT_SRC_IP] = {"ip saddr", VALUE_ADDRESS},
    [NFT_CT_DST_IP] = {"ip daddr", VALUE_ADDRESS},    [NFT_CT_SRC_IP6] = {"ip6 saddr", VALUE_ADDRESS},
    [NFT_CT_DST_IP6] = {"ip6 daddr", VALUE_ADDRESS},  [NFT_CT_ID] = {"id", VALUE_NUMBER},
};

struct saying saying_of_ct(const struct live_expression *load, struct arena *arena) {
  static const char *const sides[] = {"", "original ", "reply "};
  bool known = load->key < COUNT_OF(ct_words) && ct_words[load->key].text != NULL;
  const char *side = load->direction >= -1 && load->direction <= 1 ? sides[load->direction + 1] : "";
  return (struct saying){
      .text = known ? arena_printf(arena, "ct %s%s", side, ct_words[load->key].text)
                    : arena_printf(arena, "ct %skey-%u", side, load->key),
      .format = known ? ct_words[load->key].format : VALUE_HEX,
      .start = load->destination,
      .length = load->length,
  };
}

/* The transport header is that of a protocol only where the rule has asked for it: 0: any, 1: those with ports. */
static const struct {
  unsigned base, offset, length;
  int protocol;
  const char *text;
  enum value_format format;
} payload_words[] = {
    {NFT_PAYLOAD_LL_HEADER, 0, 6, -1, "ether daddr", VALUE_MAC},
    {NFT_PAYLOAD_LL_HEADER, 6, 6, -1, "ether saddr", VALUE_MAC},
    {NFT_PAYLOAD_LL_HEADER, 12, 2, -1, "ether type", VALUE_HEX},
    {NFT_PAYLOAD_NETWORK_HEADER, 12, 4, -1, "ip saddr", VALUE_ADDRESS},
    {NFT_PAYLOAD_NETWORK_HEADER, 16, 4, -1, "ip daddr", VALUE_ADDRESS},
    {NFT_PAYLOAD_NETWORK_HEADER, 8, 16, -1, "ip6 saddr", VALUE_ADDRESS},
    {NFT_PAYLOAD_NETWORK_HEADER, 24, 16, -1, "ip6 daddr", VALUE_ADDRESS},
    {NFT_PAYLOAD_NETWORK_HEADER, 6, 2, -1, "ip frag-off", VALUE_HEX},
    {NFT_PAYLOAD_NETWORK_HEADER, 8, 1, -1, "ip ttl", VALUE_NUMBER},
    {NFT_PAYLOAD_NETWORK_HEADER, 9, 1, -1, "ip protocol", VALUE_PROTOCOL},
    {NFT_PAYLOAD_NETWORK_HEADER, 6, 1, -1, "ip6 nexthdr", VALUE_PROTOCOL},
    {NFT_PAYLOAD_NETWORK_HEADER, 7, 1, -1, "ip6 hoplimit", VALUE_NUMBER},
    {NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1, IPPROTO_ICMP, "icmp type", VALUE_NUMBER},
    {NFT_PAYLOAD_TRANSPORT_HEADER, 1, 1, IPPROTO_ICMP, "icmp code", VALUE_NUMBER},
    {NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1, IPPROTO_ICMPV6, "icmpv6 type", VALUE_NUMBER},
    {NFT_PAYLOAD_TRANSPORT_HEADER, 1, 1, IPPROTO_ICMPV6, "icmpv6 code", VALUE_NUMBER},
    {NFT_PAYLOAD_TRANSPORT_HEADER, 0, 2, IPPROTO_TCP, "tcp sport", VALUE_NUMBER},
    {NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, IPPROTO_TCP, "tcp dport", VALUE_NUMBER},
    {NFT_PAYLOAD_TRANSPORT_HEADER, 13, 1, IPPROTO_TCP, "tcp flags", VALUE_HEX},
    {NFT_PAYLOAD_TRANSPORT_HEADER, 0, 2, IPPROTO_UDP, "udp sport", VALUE_NUMBER},
    {NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, IPPROTO_UDP, "udp dport", VALUE_NUMBER},
    {NFT_PAYLOAD_TRANSPORT_HEADER, 0, 2, -1, "th sport", VALUE_NUMBER},
    {NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, -1, "th dport", VALUE_NUMBER},
};

struct saying saying_of_payload(const struct live_expression *load, int protocol, struct arena *arena) {
  static const char *const bases[] = {"ll", "nh", "th", "ih", "tun"};
  struct saying saying = {.format = VALUE_HEX, .start = load->destination, .length = load->length};
  for (size_t i = 0; i < COUNT_OF(payload_words); i++) {
    if (payload_words[i].base == load->base && payload_words[i].offset == load->offset &&
        payload_words[i].length == load->length &&
        (payload_words[i].protocol == -1 || payload_words[i].protocol == protocol)) {
      saying.text = payload_words[i].text;
      saying.format = payload_words[i].format;
      return saying;
    }
  }
  const char *base = load->base < COUNT_OF(bases) ? bases[load->base] : "?";
  saying.text = arena_printf(arena, "@%s,%llu,%llu", base, 8ULL * load->offset, 8ULL * load->length);
  return saying;
}

struct saying saying_of_exthdr(const struct live_expression *load, struct arena *arena) {
  static const char *const kinds[] = {"exthdr", "tcp option", "ip option", "sctp chunk", "dccp option"};
  static const struct word headers[] = {
      {IPPROTO_HOPOPTS, "hbh"}, {IPPROTO_ROUTING, "rt"}, {IPPROTO_FRAGMENT, "frag"}, {IPPROTO_DSTOPTS, "dst"}};
  const char *name = NULL;
  for (size_t i = 0; load->operation == NFT_EXTHDR_OP_IPV6 && i < COUNT_OF(headers); i++) {
    name = headers[i].number == load->key ? headers[i].text : name;
  }
  const char *kind = load->operation < COUNT_OF(kinds) ? kinds[load->operation] : "?";
  const char *number = name != NULL ? name : arena_printf(arena, "%u", load->key);
  bool present = (load->flags & NFT_EXTHDR_F_PRESENT) != 0;
  return (struct saying){
      .text = present ? arena_printf(arena, "%s %s exists", kind, number)
                      : arena_printf(arena, "%s %s @%u,%u", kind, number, load->offset, load->length),
      .format = present ? VALUE_NUMBER : VALUE_HEX,
      .start = load->destination,
      .length = present ? 1 : load->length,
  };
}
