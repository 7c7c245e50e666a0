/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nDPI reads hostile bytes, so it gets as few of them as will do, in a form that cannot mislead it: a copy of the
 * packet whose lengths say what was captured, of connections that the policy allows, and only the dissectors of
 * protocols that have a name here are on. What TLS looks like is known without it, and TLS may wrap anything.
 */
#include "watch/recognise.h"

#include <errno.h>
#include <ndpi_api.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"

enum { WAYS = 16, PACKET_MOST = 512, IPV4_HEADER = 20, IPV6_HEADER = 40, NO_WORD = -1, ALLOWED = 6 };
enum { EXPECTED_BITS = 65536, EXPECTED_WORDS = EXPECTED_BITS / 64 };

static const int64_t ABANDONED = 10LL * 1000000000; /* a connection that says nothing for so long gives way */
static const int64_t EXPECTED_TURN = 10LL * 1000000000;

/* How nDPI comes to its conclusion: noise also looks like what it guesses from a few bits. */
enum certainty { SURE, GUESSED, GUESSED_IN_TCP };

/* Protocols that can be told, by the name with which a finding calls them. */
static const struct {
  uint16_t number;
  const char *name;
  enum certainty certainty;
} NAMES[] = {
    {NDPI_PROTOCOL_FTP_CONTROL, "ftp", SURE},
    {NDPI_PROTOCOL_FTP_DATA, "ftp-data", SURE},
    {NDPI_PROTOCOL_MAIL_POP, "pop3", SURE},
    {NDPI_PROTOCOL_MAIL_SMTP, "smtp", SURE},
    {NDPI_PROTOCOL_MAIL_IMAP, "imap", SURE},
    {NDPI_PROTOCOL_DNS, "dns", GUESSED_IN_TCP},
    {NDPI_PROTOCOL_HTTP, "http", SURE},
    {NDPI_PROTOCOL_HTTP_CONNECT, "http-connect", SURE},
    {NDPI_PROTOCOL_HTTP_PROXY, "http-proxy", SURE},
    {NDPI_PROTOCOL_WEBSOCKET, "websocket", GUESSED},
    {NDPI_PROTOCOL_NTP, "ntp", SURE},
    {NDPI_PROTOCOL_NETBIOS, "netbios", SURE},
    {NDPI_PROTOCOL_NFS, "nfs", SURE},
    {NDPI_PROTOCOL_SNMP, "snmp", SURE},
    {NDPI_PROTOCOL_SMBV1, "smb", SURE},
    {NDPI_PROTOCOL_SMBV23, "smb", SURE},
    {NDPI_PROTOCOL_SYSLOG, "syslog", SURE},
    {NDPI_PROTOCOL_DHCP, "dhcp", SURE},
    {NDPI_PROTOCOL_POSTGRES, "postgresql", SURE},
    {NDPI_PROTOCOL_MYSQL, "mysql", SURE},
    {NDPI_PROTOCOL_MSSQL_TDS, "mssql", SURE},
    {NDPI_PROTOCOL_ORACLE, "oracle", SURE},
    {NDPI_PROTOCOL_BITTORRENT, "bittorrent", SURE},
    {NDPI_PROTOCOL_MODBUS, "modbus", SURE},
    {NDPI_PROTOCOL_TELNET, "telnet", SURE},
    {NDPI_PROTOCOL_RDP, "rdp", SURE},
    {NDPI_PROTOCOL_VNC, "vnc", SURE},
    {NDPI_PROTOCOL_TLS, "tls", SURE},
    {NDPI_PROTOCOL_DTLS, "dtls", SURE},
    {NDPI_PROTOCOL_SSH, "ssh", SURE},
    {NDPI_PROTOCOL_SIP, "sip", SURE},
    {NDPI_PROTOCOL_RTP, "rtp", GUESSED},
    {NDPI_PROTOCOL_TFTP, "tftp", SURE},
    {NDPI_PROTOCOL_KERBEROS, "kerberos", SURE},
    {NDPI_PROTOCOL_LDAP, "ldap", SURE},
    {NDPI_PROTOCOL_RADIUS, "radius", SURE},
    {NDPI_PROTOCOL_TEAMVIEWER, "teamviewer", SURE},
    {NDPI_PROTOCOL_ANYDESK, "anydesk", SURE},
    {NDPI_PROTOCOL_OPENVPN, "openvpn", GUESSED},
    {NDPI_PROTOCOL_WIREGUARD, "wireguard", SURE},
    {NDPI_PROTOCOL_SOCKS, "socks", SURE},
    {NDPI_PROTOCOL_RSYNC, "rsync", SURE},
    {NDPI_PROTOCOL_GIT, "git", SURE},
    {NDPI_PROTOCOL_IRC, "irc", SURE},
    {NDPI_PROTOCOL_CITRIX, "citrix", SURE},
    {NDPI_PROTOCOL_QUIC, "quic", SURE},
    {NDPI_PROTOCOL_DNP3, "dnp3", GUESSED},
    {NDPI_PROTOCOL_IEC60870, "iec60870", SURE},
    {NDPI_PROTOCOL_S7COMM, "s7comm", SURE},
    {NDPI_PROTOCOL_MQTT, "mqtt", GUESSED},
};

/* Words of `protocol` that stand for more than the name of one protocol, or for one under another name. */
static const struct {
  const char *word;
  const char *names[ALLOWED];
} WORDS[] = {
    {"https", {"tls", "quic"}},
    {"http", {"http", "http-connect", "http-proxy", "websocket"}},
    {"proxy", {"http", "http-connect", "http-proxy", "websocket", "socks"}},
    {"ftp", {"ftp", "ftp-data"}},
    {"ftps", {"tls", "ftp", "ftp-data"}},
    {"smtps", {"tls", "smtp"}},
    {"submission", {"smtp"}},
    {"imaps", {"tls", "imap"}},
    {"pop3s", {"tls", "pop3"}},
    {"pop", {"pop3"}},
    {"ldaps", {"tls", "ldap"}},
    {"cifs", {"smb", "netbios"}},
    {"smb", {"smb", "netbios"}},
    {"ica", {"citrix"}},
    {"sftp", {"ssh"}},
    {"scp", {"ssh"}},
    {"dtls", {"dtls", "quic"}},
};

struct looked_at {
  struct connection_key key;
  bool used;
  int64_t seen;
  struct ndpi_flow_struct flow;
};

struct recogniser {
  struct ndpi_detection_module_struct *module; /* NULL: no flow declares anything */
  struct looked_at *slots;
  size_t sets;
  bool *cares; /* by flow */
  size_t flow_count;
  uint64_t overflows;
  uint64_t expected[2][EXPECTED_WORDS]; /* of this turn and the one before: a set of hashes, some of them by mistake */
  int64_t turned;
  unsigned turn;
};

/* ---- words ---- */

/* NULL: not one of ours. */
static const char *name_of(uint16_t number, enum certainty *ret_certainty) {
  for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
    if (NAMES[i].number != number)
      continue;
    *ret_certainty = NAMES[i].certainty;
    return NAMES[i].name;
  }
  return NULL;
}

static bool is_name(const char *word) {
  for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++)
    if (strcmp(NAMES[i].name, word) == 0)
      return true;
  return false;
}

static int find_word(const char *word) {
  for (size_t i = 0; i < sizeof WORDS / sizeof WORDS[0]; i++)
    if (strcmp(WORDS[i].word, word) == 0)
      return (int)i;
  return NO_WORD;
}

static bool suits(const char *word, const char *name) {
  int at = find_word(word);
  if (at == NO_WORD)
    return strcmp(word, name) == 0;
  for (size_t i = 0; i < ALLOWED && WORDS[at].names[i] != NULL; i++)
    if (strcmp(WORDS[at].names[i], name) == 0)
      return true;
  return false;
}

static bool is_known(const struct flow *flow) {
  const char *word = flow->protocol.text;
  return word != NULL && (find_word(word) != NO_WORD || is_name(word));
}

/* ---- life ---- */

struct recogniser *recogniser_new(size_t connections) {
  struct recogniser *recogniser = calloc(1, sizeof *recogniser);
  if (recogniser == NULL)
    return NULL;
  recogniser->sets = connections / WAYS + 1;
  return recogniser;
}

struct recogniser *recogniser_free(struct recogniser *recogniser) {
  if (recogniser == NULL)
    return NULL;
  for (size_t i = 0; recogniser->slots != NULL && i < recogniser->sets * WAYS; i++)
    ndpi_free_flow_data(&recogniser->slots[i].flow);
  if (recogniser->module != NULL)
    ndpi_exit_detection_module(recogniser->module);
  free(recogniser->slots);
  free(recogniser->cares);
  free(recogniser);
  return NULL;
}

static int start(struct recogniser *recogniser) {
  NDPI_PROTOCOL_BITMASK wanted;
  recogniser->slots = calloc(recogniser->sets * WAYS, sizeof *recogniser->slots);
  recogniser->module = ndpi_init_detection_module(ndpi_dont_load_tor_hosts | ndpi_dont_init_libgcrypt);
  if (recogniser->slots == NULL || recogniser->module == NULL)
    return -ENOMEM;
  NDPI_BITMASK_RESET(wanted);
  for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++)
    wanted.fds_bits[NAMES[i].number / NDPI_BITS] |= (ndpi_ndpi_mask)1 << NAMES[i].number % NDPI_BITS;
  ndpi_set_protocol_detection_bitmask2(recogniser->module, &wanted);
  ndpi_finalize_initialization(recogniser->module);
  return 0;
}

int recogniser_set_policy(struct recogniser *recogniser, const struct policy *policy) {
  bool any = false, *cares = calloc(policy->flow_count + 1, sizeof *cares);
  if (cares == NULL)
    return -ENOMEM;
  for (size_t i = 0; i < policy->flow_count; i++) {
    cares[i] = is_known(&policy->flows[i]);
    any = any || cares[i];
  }
  if (any && recogniser->module == NULL && start(recogniser) < 0) {
    free(cares);
    return -ENOMEM;
  }
  free(recogniser->cares);
  recogniser->cares = cares;
  recogniser->flow_count = policy->flow_count;
  return 0;
}

bool recogniser_cares(const struct recogniser *recogniser, const struct flow *flow) {
  return flow->index < recogniser->flow_count && recogniser->cares[flow->index];
}

/* ---- what is expected ---- */

static uint64_t bit_of(const struct connection_key *key, size_t *ret_word) {
  size_t bit = (key->hash >> 24) % EXPECTED_BITS;
  *ret_word = bit / 64;
  return 1ull << bit % 64;
}

void recogniser_expect(struct recogniser *recogniser, const struct connection_key *key, int64_t now) {
  if (now - recogniser->turned > EXPECTED_TURN || now < recogniser->turned) {
    recogniser->turned = now;
    recogniser->turn ^= 1;
    memset(recogniser->expected[recogniser->turn], 0, sizeof recogniser->expected[0]);
  }
  size_t word;
  uint64_t bit = bit_of(key, &word);
  recogniser->expected[recogniser->turn][word] |= bit;
}

bool recogniser_wants(const struct recogniser *recogniser, const struct connection_key *key) {
  if (recogniser->module == NULL)
    return false;
  size_t word;
  uint64_t bit = bit_of(key, &word);
  return ((recogniser->expected[0][word] | recogniser->expected[1][word]) & bit) != 0;
}

/* ---- packets ---- */

/* A packet as nDPI gets it: the IP header first, and lengths that are those of what is there. */
struct packet_copy {
  _Alignas(8) uint8_t bytes[PACKET_MOST];
  size_t length, transport, payload; /* offsets */
};

static void put16(uint8_t *bytes, size_t value) {
  bytes[0] = (uint8_t)(value >> 8);
  bytes[1] = (uint8_t)value;
}

static size_t transport_header(const struct packet_copy *copy, uint8_t protocol) {
  if (protocol == PROTOCOL_UDP)
    return 8;
  return copy->length >= copy->transport + 20 ? (size_t)(copy->bytes[copy->transport + 12] >> 4) * 4 : PACKET_MOST;
}

/* False when there is no payload, or the headers are more than plain. */
static bool copy_packet(const struct captured_frame *captured, const struct frame *frame, struct packet_copy *copy) {
  bool ipv6 = frame->packet.source.family == FAMILY_IPV6;
  size_t header = ipv6 ? IPV6_HEADER : IPV4_HEADER;
  struct cursor cursor;
  cursor_init(&cursor, captured->data, captured->captured);
  cursor_skip(&cursor, frame->network_offset);
  size_t there = cursor_left(&cursor), most = there < PACKET_MOST ? there : PACKET_MOST;
  if (frame->payload_offset != frame->network_offset + header || most < header)
    return false;
  cursor_copy(&cursor, copy->bytes, most);
  size_t said = (size_t)(copy->bytes[ipv6 ? 4 : 2] << 8 | copy->bytes[ipv6 ? 5 : 3]) + (ipv6 ? IPV6_HEADER : 0);
  copy->length = said > header && said < most ? said : most;
  copy->transport = header;
  copy->payload = header + transport_header(copy, frame->packet.protocol);
  if (copy->payload >= copy->length)
    return false;
  put16(copy->bytes + (ipv6 ? 4 : 2), ipv6 ? copy->length - IPV6_HEADER : copy->length);
  if (frame->packet.protocol == PROTOCOL_UDP)
    put16(copy->bytes + header + 4, copy->length - header);
  return true;
}

/* A record of TLS: handshake, alert, data; version 3.x. */
static bool is_tls(const struct packet_copy *copy) {
  const uint8_t *bytes = copy->bytes + copy->payload;
  return copy->length - copy->payload >= 5 && bytes[0] >= 0x14 && bytes[0] <= 0x17 && bytes[1] == 3 && bytes[2] <= 4;
}

/* ---- connections ---- */

static bool is_of(const struct looked_at *slot, const struct connection_key *key) {
  return slot->used && slot->key.hash == key->hash && slot->key.protocol == key->protocol &&
         memcmp(slot->key.ports, key->ports, sizeof key->ports) == 0 &&
         memcmp(slot->key.ends, key->ends, sizeof key->ends) == 0;
}

static void empty(struct looked_at *slot) {
  ndpi_free_flow_data(&slot->flow);
  memset(slot, 0, sizeof *slot);
}

static struct looked_at *find_slot(struct recogniser *recogniser, const struct connection_key *key, int64_t now) {
  struct looked_at *set = &recogniser->slots[(key->hash >> 16) % recogniser->sets * WAYS], *oldest = set;
  for (size_t way = 0; way < WAYS; way++) {
    if (is_of(&set[way], key))
      return &set[way];
    if (oldest->used && (!set[way].used || set[way].seen < oldest->seen))
      oldest = &set[way];
  }
  if (oldest->used && now - oldest->seen < ABANDONED)
    recogniser->overflows++;
  empty(oldest);
  oldest->used = true;
  oldest->key = *key;
  return oldest;
}

static const char *ask(struct recogniser *recogniser, struct looked_at *slot, const struct packet_copy *copy,
                       enum certainty *ret_certainty) {
  ndpi_protocol protocol =
      ndpi_detection_process_packet(recogniser->module, &slot->flow, copy->bytes, (unsigned short)copy->length,
                                    (uint64_t)(slot->seen > 0 ? slot->seen : 0) / 1000000);
  const char *application = name_of(protocol.app_protocol, ret_certainty);
  return application != NULL ? application : name_of(protocol.master_protocol, ret_certainty);
}

static bool wraps_anything(const char *name) {
  return strcmp(name, "tls") == 0 || strcmp(name, "dtls") == 0;
}

enum recognition recogniser_see(struct recogniser *recogniser, const struct connection_key *key,
                                const struct flow *flow, const struct captured_frame *captured,
                                const struct frame *frame, unsigned left, const char **ret_name) {
  struct packet_copy copy;
  bool readable = frame->packet.protocol == PROTOCOL_TCP || frame->packet.protocol == PROTOCOL_UDP;
  if (!readable || frame->fragment || recogniser->module == NULL || !recogniser_cares(recogniser, flow))
    return RECOGNISE_DONE;
  if (!copy_packet(captured, frame, &copy))
    return RECOGNISE_NOTHING;
  if (frame->packet.protocol == PROTOCOL_TCP && is_tls(&copy))
    return RECOGNISE_DONE;
  struct looked_at *slot = find_slot(recogniser, key, frame->time);
  slot->seen = frame->time;
  enum certainty certainty = SURE;
  const char *name = ask(recogniser, slot, &copy, &certainty);
  if (name == NULL && left > 1)
    return RECOGNISE_MORE;
  empty(slot);
  if (name == NULL || wraps_anything(name) || suits(flow->protocol.text, name))
    return RECOGNISE_DONE;
  if (certainty == GUESSED || (certainty == GUESSED_IN_TCP && frame->packet.protocol == PROTOCOL_TCP))
    return RECOGNISE_DONE;
  *ret_name = name;
  return RECOGNISE_WRONG;
}

uint64_t recogniser_overflows(const struct recogniser *recogniser) {
  return recogniser->overflows;
}
