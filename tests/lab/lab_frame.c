/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lab_frame.h"

#include <errno.h>
#include <string.h>

/*
 * Frames are written front to back into a buffer that knows its end; lengths and checksums are filled in once the
 * layers above are there.
 */

enum {
  ETHERNET_SIZE = 14,
  ETHERTYPE_IPV4 = 0x0800,
  ETHERTYPE_IPV6 = 0x86dd,
  IPV6_HEADER_SIZE = 40,
  EXTENSION_HOP_BY_HOP = 0,
  EXTENSION_ROUTING = 43,
  EXTENSION_FRAGMENT = 44,
  EXTENSION_DESTINATION = 60,
  PROTOCOL_SCTP = 132,
  ICMP_ECHO_REQUEST = 8,
  ICMP_ECHO_REPLY = 0,
  ICMPV6_ECHO_REQUEST = 128,
  ICMPV6_ECHO_REPLY = 129,
};

static const uint8_t tail_magic[8] = {'K', 'I', 'D', 'O', 0x5a, 0xa5, 0x00, 0x01};

struct writer {
  struct lab_frame *frame;
  bool failed;
};

static uint8_t *take(struct writer *writer, size_t size) {
  static uint8_t nowhere[LAB_FRAME_SIZE_MAX];
  if (writer->frame->length + size > LAB_FRAME_SIZE_MAX) {
    writer->failed = true;
    return nowhere;
  }
  uint8_t *place = writer->frame->data + writer->frame->length;
  memset(place, 0, size);
  writer->frame->length += size;
  return place;
}

static void put(struct writer *writer, const void *data, size_t size) {
  if (size > 0 && size <= LAB_FRAME_SIZE_MAX)
    memcpy(take(writer, size), data, size);
  else if (size > LAB_FRAME_SIZE_MAX)
    writer->failed = true;
}

static void store16(uint8_t *place, unsigned value) {
  place[0] = (uint8_t)(value >> 8);
  place[1] = (uint8_t)value;
}

static void store32(uint8_t *place, uint32_t value) {
  store16(place, value >> 16);
  store16(place + 2, value & 0xffff);
}

static unsigned load16(const uint8_t *place) {
  return (unsigned)place[0] << 8 | place[1];
}

static uint32_t load32(const uint8_t *place) {
  return (uint32_t)load16(place) << 16 | load16(place + 2);
}

uint16_t lab_frame_checksum(const void *data, size_t length, uint32_t sum) {
  const uint8_t *bytes = data;
  for (size_t i = 0; i + 1 < length; i += 2)
    sum += load16(bytes + i);
  if (length % 2 != 0)
    sum += (uint32_t)bytes[length - 1] << 8;
  while (sum >> 16 != 0)
    sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)~sum;
}

/* Sum of the pseudo header, to go on with in lab_frame_checksum(). */
static uint32_t pseudo_sum(const struct packet *packet, size_t length) {
  size_t size = address_length(packet->source.family);
  uint32_t sum = packet->protocol + (uint32_t)length;
  for (size_t i = 0; i + 1 < size; i += 2)
    sum += load16(packet->source.bytes + i) + load16(packet->destination.bytes + i);
  return sum;
}

static uint32_t crc32c(const uint8_t *data, size_t length) {
  uint32_t crc = 0xffffffff;
  for (size_t i = 0; i < length; i++) {
    crc ^= data[i];
    for (int bit = 0; bit < 8; bit++)
      crc = crc & 1 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
  }
  return ~crc;
}

static void write_tail(struct writer *writer, uint64_t probe) {
  uint8_t *tail = take(writer, LAB_FRAME_TAIL_SIZE);
  memcpy(tail, tail_magic, sizeof(tail_magic));
  store32(tail + 8, (uint32_t)(probe >> 32));
  store32(tail + 12, (uint32_t)probe);
}

bool lab_frame_tail_read(const uint8_t *data, size_t length, uint64_t *ret_probe) {
  if (length < LAB_FRAME_TAIL_SIZE)
    return false;
  const uint8_t *tail = data + length - LAB_FRAME_TAIL_SIZE;
  if (memcmp(tail, tail_magic, sizeof(tail_magic)) != 0)
    return false;
  *ret_probe = (uint64_t)load32(tail + 8) << 32 | load32(tail + 12);
  return true;
}

static void write_content(struct writer *writer, const struct lab_frame_recipe *recipe) {
  put(writer, recipe->payload, recipe->payload_length);
  if (!recipe->no_tail)
    write_tail(writer, recipe->probe);
}

static size_t write_tcp(struct writer *writer, const struct lab_frame_recipe *recipe) {
  uint8_t *header = take(writer, 20);
  store16(header, recipe->packet.source_port);
  store16(header + 2, recipe->packet.destination_port);
  store32(header + 4, recipe->tcp_sequence);
  store32(header + 8, recipe->tcp_acknowledgement);
  header[12] = (uint8_t)((5 + recipe->tcp_option_length / 4) << 4);
  header[13] = recipe->packet.tcp_flags;
  store16(header + 14, 65000);
  put(writer, recipe->tcp_options, recipe->tcp_option_length);
  write_content(writer, recipe);
  return 16;
}

static size_t write_udp(struct writer *writer, const struct lab_frame_recipe *recipe) {
  size_t start = writer->frame->length;
  uint8_t *header = take(writer, 8);
  store16(header, recipe->packet.source_port);
  store16(header + 2, recipe->packet.destination_port);
  write_content(writer, recipe);
  store16(header + 4, (unsigned)(writer->frame->length - start));
  return 6;
}

static size_t write_icmp(struct writer *writer, const struct lab_frame_recipe *recipe) {
  uint8_t *header = take(writer, 8);
  header[0] = recipe->packet.icmp_type;
  header[1] = recipe->packet.icmp_code;
  store16(header + 4, recipe->icmp_id);
  store16(header + 6, recipe->icmp_sequence);
  write_content(writer, recipe);
  return 2;
}

/* An INIT chunk: the only thing that opens an SCTP association for conntrack. */
static void write_sctp(struct writer *writer, const struct lab_frame_recipe *recipe) {
  size_t start = writer->frame->length;
  uint8_t *header = take(writer, 12 + 20);
  store16(header, recipe->packet.source_port);
  store16(header + 2, recipe->packet.destination_port);
  header[12] = 1;
  store32(header + 16, 0x01020304);
  store32(header + 20, 65536);
  store16(header + 24, 1);
  store16(header + 26, 1);
  write_content(writer, recipe);
  store16(header + 14, (unsigned)(writer->frame->length - start - 12));
  uint32_t crc = crc32c(header, writer->frame->length - start);
  for (int i = 0; i < 4; i++)
    header[8 + i] = (uint8_t)(crc >> (8 * i));
}

static void write_transport(struct writer *writer, const struct lab_frame_recipe *recipe) {
  size_t start = writer->frame->length;
  const struct packet *packet = &recipe->packet;
  size_t checksum_at = 0;
  bool pseudo = true;
  switch (packet->protocol) {
  case PROTOCOL_TCP:
    checksum_at = write_tcp(writer, recipe);
    break;
  case PROTOCOL_UDP:
    checksum_at = write_udp(writer, recipe);
    break;
  case PROTOCOL_ICMP:
    pseudo = false;
    checksum_at = write_icmp(writer, recipe);
    break;
  case PROTOCOL_ICMPV6:
    checksum_at = write_icmp(writer, recipe);
    break;
  case PROTOCOL_SCTP:
    write_sctp(writer, recipe);
    return;
  default:
    take(writer, 8); /* reads as a header of zeros in whatever protocol looks for one */
    write_content(writer, recipe);
    return;
  }
  size_t length = writer->frame->length - start;
  uint8_t *header = writer->frame->data + start;
  uint16_t sum = lab_frame_checksum(header, length, pseudo ? pseudo_sum(packet, length) : 0);
  store16(header + checksum_at, sum == 0 && packet->protocol == PROTOCOL_UDP ? 0xffff : sum);
}

static void finish_ipv4(struct lab_frame *frame, size_t start, size_t header_length, bool bad) {
  uint8_t *header = frame->data + start;
  store16(header + 2, (unsigned)(frame->length - start));
  store16(header + 10, 0);
  uint16_t sum = lab_frame_checksum(header, header_length, 0);
  store16(header + 10, bad ? sum ^ 0x5555u : sum);
}

static uint8_t hop_limit_of(const struct lab_frame_recipe *recipe) {
  return recipe->hop_limit != 0 ? recipe->hop_limit : 64;
}

static size_t write_ipv4_header(struct writer *writer, const struct lab_frame_recipe *recipe, unsigned fragment_field) {
  size_t options = (recipe->ip_option_length + 3) / 4 * 4;
  uint8_t *header = take(writer, 20 + options);
  header[0] = (uint8_t)(0x40 | (5 + options / 4));
  store16(header + 4, recipe->ip_id);
  store16(header + 6, fragment_field);
  header[8] = hop_limit_of(recipe);
  header[9] = recipe->packet.protocol;
  memcpy(header + 12, recipe->packet.source.bytes, 4);
  memcpy(header + 16, recipe->packet.destination.bytes, 4);
  if (recipe->ip_option_length > 0)
    memcpy(header + 20, recipe->ip_options, recipe->ip_option_length);
  return 20 + options;
}

static uint8_t *write_ipv6_header(struct writer *writer, const struct lab_frame_recipe *recipe) {
  uint8_t *header = take(writer, IPV6_HEADER_SIZE);
  header[0] = 0x60;
  header[6] = recipe->packet.protocol;
  header[7] = hop_limit_of(recipe);
  memcpy(header + 8, recipe->packet.source.bytes, 16);
  memcpy(header + 24, recipe->packet.destination.bytes, 16);
  return header + 6; /* where the next header stands */
}

static void write_extensions(struct writer *writer, const struct lab_frame_recipe *recipe, uint8_t *next) {
  for (size_t i = 0; i < recipe->extension_count; i++) {
    const struct lab_frame_extension *extension = &recipe->extensions[i];
    *next = extension->type;
    next = take(writer, 1);
    *next = recipe->packet.protocol;
    put(writer, extension->body, extension->length);
  }
}

static void write_ethernet(struct writer *writer, const struct lab_frame_recipe *recipe) {
  put(writer, recipe->destination_mac.bytes, 6);
  put(writer, recipe->source_mac.bytes, 6);
  bool ipv6 = recipe->packet.source.family == FAMILY_IPV6;
  store16(take(writer, 2), ipv6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4);
}

int lab_frame_build(const struct lab_frame_recipe *recipe, struct lab_frame *ret_frame) {
  ret_frame->length = 0;
  struct writer writer = {.frame = ret_frame};
  write_ethernet(&writer, recipe);
  if (recipe->packet.source.family == FAMILY_IPV6) {
    uint8_t *next = write_ipv6_header(&writer, recipe);
    write_extensions(&writer, recipe, next);
    write_transport(&writer, recipe);
    store16(ret_frame->data + ETHERNET_SIZE + 4, (unsigned)(ret_frame->length - ETHERNET_SIZE - IPV6_HEADER_SIZE));
  } else {
    size_t header = write_ipv4_header(&writer, recipe, 0);
    write_transport(&writer, recipe);
    finish_ipv4(ret_frame, ETHERNET_SIZE, header, recipe->bad_ip_checksum);
  }
  return writer.failed ? -EMSGSIZE : 0;
}

int lab_frame_fragment(const struct lab_frame_recipe *recipe, uint32_t id, size_t offset, bool more,
                       const uint8_t *data, size_t bytes, struct lab_frame *ret_frame) {
  ret_frame->length = 0;
  struct writer writer = {.frame = ret_frame};
  write_ethernet(&writer, recipe);
  if (recipe->packet.source.family == FAMILY_IPV6) {
    uint8_t *next = write_ipv6_header(&writer, recipe);
    *next = EXTENSION_FRAGMENT;
    uint8_t *header = take(&writer, 8);
    header[0] = recipe->packet.protocol;
    store16(header + 2, (unsigned)offset | (more ? 1u : 0u));
    store32(header + 4, id);
    put(&writer, data, bytes);
    store16(ret_frame->data + ETHERNET_SIZE + 4, (unsigned)(ret_frame->length - ETHERNET_SIZE - IPV6_HEADER_SIZE));
  } else {
    struct lab_frame_recipe with_id = *recipe;
    with_id.ip_id = (uint16_t)id;
    size_t header = write_ipv4_header(&writer, &with_id, (unsigned)(offset / 8) | (more ? 0x2000u : 0u));
    put(&writer, data, bytes);
    finish_ipv4(ret_frame, ETHERNET_SIZE, header, false);
  }
  return writer.failed ? -EMSGSIZE : 0;
}

int lab_frame_split(const struct lab_frame *whole, size_t first_bytes, uint32_t id,
                    struct lab_frame ret_parts[static 2]) {
  struct lab_frame_sight sight = lab_frame_look(whole->data, whole->length, true);
  bool ipv6 = sight.packet.source.family == FAMILY_IPV6;
  size_t header = ETHERNET_SIZE + (ipv6 ? (size_t)IPV6_HEADER_SIZE : (size_t)(whole->data[ETHERNET_SIZE] & 0x0f) * 4);
  if (!sight.is_ip || whole->length <= header + first_bytes)
    return -EMSGSIZE;
  struct lab_frame_recipe recipe = {.packet = sight.packet,
                                    .source_mac = sight.source_mac,
                                    .destination_mac = sight.destination_mac,
                                    .hop_limit = whole->data[ETHERNET_SIZE + (ipv6 ? 7 : 8)]};
  const uint8_t *payload = whole->data + header;
  int code = lab_frame_fragment(&recipe, id, 0, true, payload, first_bytes, &ret_parts[0]);
  if (code < 0)
    return code;
  return lab_frame_fragment(&recipe, id, first_bytes, false, payload + first_bytes,
                            whole->length - header - first_bytes, &ret_parts[1]);
}

const uint8_t *lab_frame_packet(const struct lab_frame *frame, size_t *ret_length) {
  *ret_length = frame->length - ETHERNET_SIZE;
  return frame->data + ETHERNET_SIZE;
}

struct lab_frame_recipe lab_frame_answer(const struct lab_frame_recipe *recipe) {
  struct lab_frame_recipe answer = *recipe;
  answer.packet.source = recipe->packet.destination;
  answer.packet.destination = recipe->packet.source;
  answer.packet.source_port = recipe->packet.destination_port;
  answer.packet.destination_port = recipe->packet.source_port;
  answer.source_mac = (struct mac){0};
  answer.destination_mac = (struct mac){0};
  if (recipe->packet.protocol == PROTOCOL_ICMP && recipe->packet.icmp_type == ICMP_ECHO_REQUEST)
    answer.packet.icmp_type = ICMP_ECHO_REPLY;
  if (recipe->packet.protocol == PROTOCOL_ICMPV6 && recipe->packet.icmp_type == ICMPV6_ECHO_REQUEST)
    answer.packet.icmp_type = ICMPV6_ECHO_REPLY;
  if (recipe->packet.protocol == PROTOCOL_TCP) {
    bool syn = (recipe->packet.tcp_flags & TCP_SYN) != 0;
    size_t data = recipe->payload_length + (recipe->no_tail ? 0 : (size_t)LAB_FRAME_TAIL_SIZE);
    answer.tcp_sequence = syn ? recipe->tcp_sequence + 7777 : recipe->tcp_acknowledgement;
    answer.tcp_acknowledgement = recipe->tcp_sequence + (uint32_t)data + (syn ? 1 : 0);
    answer.packet.tcp_flags = syn ? TCP_SYN | TCP_ACK : TCP_ACK;
  }
  return answer;
}

static void look_at_transport(const uint8_t *data, size_t length, struct packet *packet) {
  if (length < 4)
    return;
  if (packet->protocol == PROTOCOL_ICMP || packet->protocol == PROTOCOL_ICMPV6) {
    packet->icmp_type = data[0];
    packet->icmp_code = data[1];
    return;
  }
  packet->source_port = (uint16_t)load16(data);
  packet->destination_port = (uint16_t)load16(data + 2);
  if (packet->protocol == PROTOCOL_TCP && length >= 14)
    packet->tcp_flags = data[13];
}

static void look_at_ipv4(const uint8_t *data, size_t length, struct lab_frame_sight *sight) {
  size_t header = (size_t)(data[0] & 0x0f) * 4;
  size_t total = load16(data + 2);
  if (header < 20 || total < header || total > length)
    return;
  sight->is_ip = true;
  sight->packet.source.family = sight->packet.destination.family = FAMILY_IPV4;
  memcpy(sight->packet.source.bytes, data + 12, 4);
  memcpy(sight->packet.destination.bytes, data + 16, 4);
  sight->packet.protocol = data[9];
  if ((load16(data + 6) & 0x1fff) == 0)
    look_at_transport(data + header, total - header, &sight->packet);
  sight->has_probe = lab_frame_tail_read(data, total, &sight->probe);
}

static bool is_extension(uint8_t type) {
  return type == EXTENSION_HOP_BY_HOP || type == EXTENSION_ROUTING || type == EXTENSION_DESTINATION ||
         type == EXTENSION_FRAGMENT;
}

static void look_at_ipv6(const uint8_t *data, size_t length, struct lab_frame_sight *sight) {
  size_t total = IPV6_HEADER_SIZE + load16(data + 4);
  if (total > length)
    return;
  sight->is_ip = true;
  sight->packet.source.family = sight->packet.destination.family = FAMILY_IPV6;
  memcpy(sight->packet.source.bytes, data + 8, 16);
  memcpy(sight->packet.destination.bytes, data + 24, 16);
  uint8_t next = data[6];
  size_t position = IPV6_HEADER_SIZE;
  bool first = true;
  while (is_extension(next) && position + 8 <= total) {
    size_t size = next == EXTENSION_FRAGMENT ? 8 : 8 + (size_t)data[position + 1] * 8;
    if (next == EXTENSION_FRAGMENT && (load16(data + position + 2) & 0xfff8) != 0)
      first = false;
    next = data[position];
    position += size;
  }
  sight->packet.protocol = next;
  if (first && position < total)
    look_at_transport(data + position, total - position, &sight->packet);
  sight->has_probe = lab_frame_tail_read(data, total, &sight->probe);
}

struct lab_frame_sight lab_frame_look(const uint8_t *data, size_t length, bool ethernet) {
  struct lab_frame_sight sight = {0};
  if (ethernet) {
    if (length < ETHERNET_SIZE)
      return sight;
    memcpy(sight.destination_mac.bytes, data, 6);
    memcpy(sight.source_mac.bytes, data + 6, 6);
    sight.ethertype = (uint16_t)load16(data + 12);
    data += ETHERNET_SIZE;
    length -= ETHERNET_SIZE;
  }
  unsigned version = length > 0 ? data[0] >> 4 : 0;
  if (version == 4 && length >= 20)
    look_at_ipv4(data, length, &sight);
  else if (version == 6 && length >= IPV6_HEADER_SIZE)
    look_at_ipv6(data, length, &sight);
  return sight;
}
