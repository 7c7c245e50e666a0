/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation. A program is a list of sections, one for each family and protocol that has tuples. The head and
 * each section first ask whether the frame is canonical: no VLAN tag, also none that the card took off; received by
 * this machine and not sent; to the MAC that was told; IPv4 with a header of 20 bytes, no fragment and no reserved bit,
 * or IPv6 with TCP or UDP right behind its header; lengths that agree with each other and with the frame; of TCP only
 * what follows in the middle of a connection (ACK without SYN, FIN, RST, URG). Then a binary search over both ports as
 * one number finds the tuples that have these ports, and each is compared whole. Whatever fails a question is given to
 * the capture.
 *
 * A load behind the end of a frame ends a program with 0, which would withhold the frame; therefore every load stands
 * behind a comparison that makes sure that the bytes are there.
 *
 * Conditional jumps reach 255 instructions and are used within short blocks only; the search jumps with BPF_JA.
 */
#include "wire/filter.h"

#include <stdlib.h>
#include <string.h>

#include <linux/if_packet.h>

enum {
  ETHERTYPE_IPV4 = 0x0800,
  ETHERTYPE_IPV6 = 0x86dd,
  ETHERNET = 14,
  IPV4_HEADER = 20,
  IPV6_HEADER = 40,
  TCP_HEADER = 20,
  UDP_HEADER = 8,
  IPV4_FRAGMENT_OR_RESERVED = 0xbfff, /* all but "don't fragment" */
  TCP_JUDGED = TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK | TCP_URG,
  TO_END = 255, /* a jump that finish_block() fills in */
};

struct writer {
  struct filter *filter;
  size_t room, sample_jumps[FILTER_TUPLES], sample_jump_count;
  uint32_t snap_length;
  bool full;
};

/* Tuples of one family and protocol, sorted by their ports. */
struct section {
  enum address_family family;
  uint8_t protocol;
  const struct filter_tuple *tuples[FILTER_TUPLES];
  size_t count;
};

/* ---- single instructions ---- */

static size_t here(const struct writer *writer) {
  return writer->filter->count;
}

static void write_jump(struct writer *writer, uint16_t code, uint32_t value, uint8_t if_true, uint8_t if_false) {
  if (here(writer) == writer->room) {
    writer->full = true;
    return;
  }
  struct sock_filter instruction = {.code = code, .k = value, .jt = if_true, .jf = if_false};
  writer->filter->instructions[writer->filter->count++] = instruction;
}

static void write_code(struct writer *writer, uint16_t code, uint32_t value) {
  write_jump(writer, code, value, 0, 0);
}

static void load_word(struct writer *writer, uint32_t at) {
  write_code(writer, BPF_LD | BPF_W | BPF_ABS, at);
}

static void load_half(struct writer *writer, uint32_t at) {
  write_code(writer, BPF_LD | BPF_H | BPF_ABS, at);
}

static void load_byte(struct writer *writer, uint32_t at) {
  write_code(writer, BPF_LD | BPF_B | BPF_ABS, at);
}

static void load_fact(struct writer *writer, uint32_t fact) {
  load_word(writer, (uint32_t)SKF_AD_OFF + fact);
}

/* Goes on when A equals, else to the end of the block. */
static void must_equal(struct writer *writer, uint32_t value) {
  write_jump(writer, BPF_JMP | BPF_JEQ | BPF_K, value, 0, TO_END);
}

static void must_reach(struct writer *writer, uint32_t value) {
  write_jump(writer, BPF_JMP | BPF_JGE | BPF_K, value, 0, TO_END);
}

static void must_reach_x(struct writer *writer) {
  write_jump(writer, BPF_JMP | BPF_JGE | BPF_X, 0, 0, TO_END);
}

static void must_lack(struct writer *writer, uint32_t bits) {
  write_jump(writer, BPF_JMP | BPF_JSET | BPF_K, bits, TO_END, 0);
}

static void give(struct writer *writer) {
  write_code(writer, BPF_RET | BPF_K, writer->snap_length);
}

/* ---- blocks ---- */

/* Lets the open jumps since `start` lead to the next instruction. */
static void finish_block(struct writer *writer, size_t start) {
  for (size_t at = start; at < here(writer); at++) {
    struct sock_filter *instruction = &writer->filter->instructions[at];
    uint8_t distance = (uint8_t)(here(writer) - at - 1);
    if (BPF_CLASS(instruction->code) != BPF_JMP)
      continue;
    instruction->jt = instruction->jt == TO_END ? distance : instruction->jt;
    instruction->jf = instruction->jf == TO_END ? distance : instruction->jf;
  }
}

/* ... lead to giving the frame; who passed all questions goes on behind. */
static void finish_questions(struct writer *writer, size_t start) {
  write_code(writer, BPF_JMP | BPF_JA, 1);
  finish_block(writer, start);
  give(writer);
}

static size_t write_far_jump(struct writer *writer) {
  write_code(writer, BPF_JMP | BPF_JA, 0);
  return here(writer) - 1;
}

static void land(struct writer *writer, size_t jump) {
  if (!writer->full)
    writer->filter->instructions[jump].k = (uint32_t)(here(writer) - jump - 1);
}

static uint32_t load32(const uint8_t *bytes) {
  return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void must_be_bytes(struct writer *writer, uint32_t at, const uint8_t *bytes, size_t count) {
  for (; count >= 4; at += 4, bytes += 4, count -= 4) {
    load_word(writer, at);
    must_equal(writer, load32(bytes));
  }
  if (count >= 2) {
    load_half(writer, at);
    must_equal(writer, (uint32_t)(bytes[0] << 8 | bytes[1]));
  }
}

/* ---- what is canonical ---- */

static void write_head(struct writer *writer, const struct mac *destination) {
  size_t start = here(writer);
  write_code(writer, BPF_LD | BPF_W | BPF_LEN, 0);
  must_reach(writer, ETHERNET + IPV4_HEADER + UDP_HEADER);
  load_fact(writer, SKF_AD_VLAN_TAG_PRESENT);
  must_equal(writer, 0);
  load_fact(writer, SKF_AD_PKTTYPE);
  must_equal(writer, PACKET_HOST);
  must_be_bytes(writer, 0, destination->bytes, sizeof destination->bytes);
  finish_questions(writer, start);
}

/* The frame must have as many bytes as A says beside those given; A is kept in M[0]. */
static void must_fit_frame(struct writer *writer, uint32_t beside) {
  write_code(writer, BPF_ST, 0);
  write_code(writer, BPF_ALU | BPF_ADD | BPF_K, beside);
  write_code(writer, BPF_MISC | BPF_TAX, 0);
  write_code(writer, BPF_LD | BPF_W | BPF_LEN, 0);
  must_reach_x(writer);
}

/* The packet, whose bytes are counted in M[0], must have as many as A says beside `header` of them. */
static void must_fit_packet(struct writer *writer, uint32_t header) {
  write_code(writer, BPF_ALU | BPF_ADD | BPF_K, header);
  write_code(writer, BPF_MISC | BPF_TAX, 0);
  write_code(writer, BPF_LD | BPF_MEM, 0);
  must_reach_x(writer);
}

/* header: what M[0] counts before the transport header; at: where that begins in the frame. */
static void ask_tcp(struct writer *writer, uint32_t header, uint32_t at) {
  write_code(writer, BPF_LD | BPF_MEM, 0);
  must_reach(writer, header + TCP_HEADER);
  load_byte(writer, at + 13);
  write_code(writer, BPF_ALU | BPF_AND | BPF_K, TCP_JUDGED);
  must_equal(writer, TCP_ACK);
  load_byte(writer, at + 12);
  write_code(writer, BPF_ALU | BPF_RSH | BPF_K, 4);
  must_reach(writer, TCP_HEADER / 4);
  write_code(writer, BPF_ALU | BPF_LSH | BPF_K, 2);
  must_fit_packet(writer, header);
}

static void ask_udp(struct writer *writer, uint32_t header, uint32_t at) {
  write_code(writer, BPF_LD | BPF_MEM, 0);
  must_reach(writer, header + UDP_HEADER);
  load_half(writer, at + 4);
  must_reach(writer, UDP_HEADER);
  must_fit_packet(writer, header);
}

static void ask_transport(struct writer *writer, uint8_t protocol, uint32_t header, uint32_t at) {
  if (protocol == PROTOCOL_TCP)
    ask_tcp(writer, header, at);
  else
    ask_udp(writer, header, at);
}

static void ask_ipv4(struct writer *writer, uint8_t protocol) {
  load_byte(writer, ETHERNET);
  must_equal(writer, 0x45);
  load_half(writer, ETHERNET + 6);
  must_lack(writer, IPV4_FRAGMENT_OR_RESERVED);
  load_half(writer, ETHERNET + 2);
  must_fit_frame(writer, ETHERNET);
  ask_transport(writer, protocol, IPV4_HEADER, ETHERNET + IPV4_HEADER);
}

static void ask_ipv6(struct writer *writer, uint8_t protocol) {
  write_code(writer, BPF_LD | BPF_W | BPF_LEN, 0);
  must_reach(writer, ETHERNET + IPV6_HEADER + UDP_HEADER);
  load_byte(writer, ETHERNET);
  write_code(writer, BPF_ALU | BPF_AND | BPF_K, 0xf0);
  must_equal(writer, 0x60);
  load_half(writer, ETHERNET + 4);
  must_fit_frame(writer, ETHERNET + IPV6_HEADER);
  ask_transport(writer, protocol, 0, ETHERNET + IPV6_HEADER);
}

/* ---- the search ---- */

static uint32_t ports_of(const struct filter_tuple *tuple) {
  return (uint32_t)tuple->source_port << 16 | tuple->destination_port;
}

static void write_tuple(struct writer *writer, const struct filter_tuple *tuple) {
  bool ipv4 = tuple->source.family == FAMILY_IPV4;
  uint32_t source = ipv4 ? ETHERNET + 12 : ETHERNET + 8;
  uint32_t size = ipv4 ? 4 : 16;
  size_t start = here(writer);
  must_be_bytes(writer, source, tuple->source.bytes, size);
  must_be_bytes(writer, source + size, tuple->destination.bytes, size);
  must_be_bytes(writer, 6, tuple->source_mac.bytes, sizeof tuple->source_mac.bytes);
  writer->sample_jumps[writer->sample_jump_count++] = write_far_jump(writer);
  finish_block(writer, start);
}

/* A holds the ports. The tuples are sorted by them. */
static void write_search(struct writer *writer, const struct filter_tuple *const *tuples, size_t count) {
  size_t middle = count / 2;
  while (middle > 0 && ports_of(tuples[middle]) == ports_of(tuples[middle - 1]))
    middle--;
  if (middle == 0)
    for (middle = 1; middle < count && ports_of(tuples[middle]) == ports_of(tuples[0]);)
      middle++;
  if (middle < count) {
    write_jump(writer, BPF_JMP | BPF_JGE | BPF_K, ports_of(tuples[middle]), 1, 0);
    size_t to_lower = write_far_jump(writer);
    write_search(writer, tuples + middle, count - middle);
    land(writer, to_lower);
    write_search(writer, tuples, middle);
    return;
  }
  write_jump(writer, BPF_JMP | BPF_JEQ | BPF_K, ports_of(tuples[0]), 1, 0);
  give(writer);
  for (size_t i = 0; i < count; i++)
    write_tuple(writer, tuples[i]);
  give(writer);
}

/* ---- sections ---- */

static int compare_ports(const void *left, const void *right) {
  const struct filter_tuple *const *a = left, *const *b = right;
  return (ports_of(*a) > ports_of(*b)) - (ports_of(*a) < ports_of(*b));
}

static void write_section(struct writer *writer, const struct section *section) {
  bool ipv4 = section->family == FAMILY_IPV4;
  load_half(writer, 12);
  write_jump(writer, BPF_JMP | BPF_JEQ | BPF_K, ipv4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6, 1, 0);
  size_t other_family = write_far_jump(writer);
  load_byte(writer, ipv4 ? ETHERNET + 9 : ETHERNET + 6);
  write_jump(writer, BPF_JMP | BPF_JEQ | BPF_K, section->protocol, 1, 0);
  size_t other_protocol = write_far_jump(writer);
  size_t start = here(writer);
  if (ipv4)
    ask_ipv4(writer, section->protocol);
  else
    ask_ipv6(writer, section->protocol);
  finish_questions(writer, start);
  load_word(writer, ETHERNET + (ipv4 ? IPV4_HEADER : IPV6_HEADER));
  write_search(writer, section->tuples, section->count);
  land(writer, other_family);
  land(writer, other_protocol);
}

static void choose_section(const struct filter_tuple *tuples, size_t count, struct section *section) {
  for (size_t i = 0; i < count; i++)
    if (tuples[i].source.family == section->family && tuples[i].protocol == section->protocol &&
        mac_equal(&tuples[i].destination_mac, &tuples[0].destination_mac))
      section->tuples[section->count++] = &tuples[i];
  if (section->count > 0)
    qsort(section->tuples, section->count, sizeof(struct filter_tuple *), compare_ports);
}

static void write_sample(struct writer *writer) {
  for (size_t i = 0; i < writer->sample_jump_count; i++)
    land(writer, writer->sample_jumps[i]);
  load_fact(writer, SKF_AD_RANDOM);
  write_jump(writer, BPF_JMP | BPF_JSET | BPF_K, FILTER_SAMPLE - 1, 1, 0);
  give(writer);
  write_code(writer, BPF_RET | BPF_K, 0);
}

/* False when it does not fit. */
static bool try_to_build(const struct filter_tuple *tuples, size_t count, uint32_t snap_length, size_t room,
                         struct filter *filter) {
  static const enum address_family families[] = {FAMILY_IPV4, FAMILY_IPV6};
  static const uint8_t protocols[] = {PROTOCOL_TCP, PROTOCOL_UDP};
  struct writer writer = {.filter = filter, .room = room, .snap_length = snap_length};
  filter->count = 0;
  filter->tuples = 0;
  if (count > 0)
    write_head(&writer, &tuples[0].destination_mac);
  for (size_t i = 0; i < 4 && count > 0; i++) {
    struct section section = {.family = families[i / 2], .protocol = protocols[i % 2]};
    choose_section(tuples, count, &section);
    if (section.count > 0)
      write_section(&writer, &section);
    filter->tuples += section.count;
  }
  give(&writer);
  if (filter->tuples > 0)
    write_sample(&writer);
  return !writer.full;
}

void filter_build(const struct filter_tuple *tuples, size_t count, uint32_t snap_length, size_t room,
                  struct filter *ret_filter) {
  memset(ret_filter, 0, sizeof *ret_filter);
  if (count > FILTER_TUPLES)
    count = FILTER_TUPLES;
  while (!try_to_build(tuples, count, snap_length, room < FILTER_ROOM ? room : FILTER_ROOM, ret_filter))
    count = count * 7 / 8;
}
