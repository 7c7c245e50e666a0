/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames in, frames out, and what became of each. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <netinet/in.h>

#include "lab_parts.h"

enum { BATCH = 200 };

/* ---- traffic ---- */

int lab_send(struct lab *lab, int interface, const struct lab_frame *frame) {
  ssize_t written = write(lab->wires[interface].descriptor, frame->data, frame->length);
  if (written < 0)
    return -errno;
  return (size_t)written == frame->length ? 0 : -EIO;
}

int lab_send_from_gateway(struct lab *lab, const struct lab_frame *frame) {
  size_t length;
  const uint8_t *packet = lab_frame_packet(frame, &length);
  struct lab_frame_sight sight = lab_frame_look(frame->data, frame->length, true);
  ssize_t sent;
  if (sight.packet.destination.family == FAMILY_IPV6) {
    struct sockaddr_in6 target = {.sin6_family = AF_INET6};
    memcpy(&target.sin6_addr, sight.packet.destination.bytes, 16);
    sent = sendto(lab->sender6, packet, length, 0, (const struct sockaddr *)&target, sizeof(target));
  } else {
    struct sockaddr_in target = {.sin_family = AF_INET};
    memcpy(&target.sin_addr, sight.packet.destination.bytes, 4);
    sent = sendto(lab->sender4, packet, length, 0, (const struct sockaddr *)&target, sizeof(target));
  }
  return sent < 0 ? -errno : 0;
}

static size_t read_wire(struct lab *lab, size_t index, lab_take *take, void *context) {
  size_t count = 0;
  ssize_t length;
  while ((length = read(lab->wires[index].descriptor, lab->buffer, sizeof(lab->buffer))) > 0) {
    struct lab_seen seen = {.interface = (int)index, .data = lab->buffer, .length = (size_t)length};
    seen.sight = lab_frame_look(seen.data, seen.length, true);
    take(&seen, context);
    count++;
  }
  return count;
}

static struct address destination_of(struct msghdr *message) {
  struct address address = {0};
  for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL; part = CMSG_NXTHDR(message, part))
    if (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_PKTINFO) {
      address.family = FAMILY_IPV6;
      memcpy(address.bytes, CMSG_DATA(part), 16);
    }
  return address;
}

/* An IPv6 raw socket gives no IP header: the sight is put together from what stands beside the payload. */
static void look_at_delivery(const struct listener *listener, struct msghdr *message, struct lab_seen *seen) {
  if (listener->family == FAMILY_IPV4) {
    seen->sight = lab_frame_look(seen->data, seen->length, false);
    return;
  }
  const struct sockaddr_in6 *source = message->msg_name;
  seen->sight.is_ip = true;
  seen->sight.packet.protocol = listener->protocol;
  seen->sight.packet.source.family = FAMILY_IPV6;
  memcpy(seen->sight.packet.source.bytes, &source->sin6_addr, 16);
  seen->sight.packet.destination = destination_of(message);
  seen->sight.has_probe = lab_frame_tail_read(seen->data, seen->length, &seen->sight.probe);
}

static size_t read_listener(struct lab *lab, const struct listener *listener, lab_take *take, void *context) {
  size_t count = 0;
  for (;;) {
    struct sockaddr_in6 source;
    _Alignas(struct cmsghdr) uint8_t control[128];
    struct iovec vector = {lab->buffer, sizeof(lab->buffer)};
    struct msghdr message = {.msg_name = &source,
                             .msg_namelen = sizeof(source),
                             .msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    ssize_t length = recvmsg(listener->descriptor, &message, 0);
    if (length <= 0)
      return count;
    struct lab_seen seen = {.interface = LAB_GATEWAY, .data = lab->buffer, .length = (size_t)length};
    look_at_delivery(listener, &message, &seen);
    take(&seen, context);
    count++;
  }
}

static size_t read_all(struct lab *lab, lab_take *take, void *context) {
  size_t count = 0;
  for (size_t i = 0; i < lab->wire_count; i++)
    count += read_wire(lab, i, take, context);
  for (size_t i = 0; i < lab->listener_count; i++)
    count += read_listener(lab, &lab->listeners[i], take, context);
  return count;
}

static void wait_for_any(struct lab *lab, int timeout_milliseconds) {
  struct pollfd *polls = calloc(lab->wire_count + lab->listener_count, sizeof(*polls));
  if (polls == NULL)
    return;
  nfds_t count = 0;
  for (size_t i = 0; i < lab->wire_count; i++)
    polls[count++] = (struct pollfd){.fd = lab->wires[i].descriptor, .events = POLLIN};
  for (size_t i = 0; i < lab->listener_count; i++)
    polls[count++] = (struct pollfd){.fd = lab->listeners[i].descriptor, .events = POLLIN};
  (void)poll(polls, count, timeout_milliseconds);
  free(polls);
}

size_t lab_collect(struct lab *lab, int timeout_milliseconds, lab_take *take, void *context) {
  size_t count = read_all(lab, take, context);
  if (count > 0 || timeout_milliseconds == 0)
    return count;
  wait_for_any(lab, timeout_milliseconds);
  return read_all(lab, take, context);
}

/* ---- probes ---- */

struct batch {
  struct lab_probe *probes;
  size_t count;
  uint64_t first_number;
};

static bool same_packet(const struct lab_probe *probe, const struct lab_seen *seen) {
  const struct packet *sent = &probe->recipe.packet;
  return seen->sight.packet.protocol == sent->protocol && address_equal(&seen->sight.packet.source, &sent->source) &&
         address_equal(&seen->sight.packet.destination, &sent->destination);
}

static enum lab_answer answer_kind(const struct packet *packet) {
  if (packet->protocol == PROTOCOL_TCP && (packet->tcp_flags & TCP_RST) != 0)
    return LAB_ANSWER_RESET;
  if (packet->protocol == PROTOCOL_ICMP && packet->icmp_type == 3 && packet->icmp_code == 13)
    return LAB_ANSWER_PROHIBITED;
  if (packet->protocol == PROTOCOL_ICMPV6 && packet->icmp_type == 1 && packet->icmp_code == 1)
    return LAB_ANSWER_PROHIBITED;
  return LAB_ANSWER_OTHER;
}

static bool is_reset_of(const struct lab_probe *probe, const struct lab_seen *seen) {
  const struct packet *sent = &probe->recipe.packet, *came = &seen->sight.packet;
  return sent->protocol == PROTOCOL_TCP && came->protocol == PROTOCOL_TCP &&
         came->source_port == sent->destination_port && came->destination_port == sent->source_port &&
         address_equal(&came->source, &sent->destination) && address_equal(&came->destination, &sent->source);
}

/* A packet without a tail of its own: a TCP reset, which quotes nothing. */
static void note_reset(struct batch *batch, const struct lab_seen *seen) {
  for (size_t i = 0; i < batch->count; i++)
    if (batch->probes[i].interface == seen->interface && is_reset_of(&batch->probes[i], seen))
      batch->probes[i].answer = answer_kind(&seen->sight.packet);
}

static void note_seen(const struct lab_seen *seen, void *context) {
  struct batch *batch = context;
  if (!seen->sight.has_probe) {
    if (seen->sight.is_ip)
      note_reset(batch, seen);
    return;
  }
  uint64_t index = seen->sight.probe - batch->first_number;
  if (index >= batch->count)
    return;
  struct lab_probe *probe = &batch->probes[index];
  if (!same_packet(probe, seen)) { /* an ICMP error that quotes the probe */
    if (seen->interface == probe->interface)
      probe->answer = answer_kind(&seen->sight.packet);
    return;
  }
  probe->copies++;
  probe->outcome = seen->interface == LAB_GATEWAY ? LAB_DELIVERED : LAB_FORWARDED;
  probe->out = seen->interface;
}

static int send_probe(struct lab *lab, struct lab_probe *probe) {
  struct lab_frame whole, parts[2];
  if (probe->interface != LAB_GATEWAY)
    probe->recipe.destination_mac = lab->wires[probe->interface].public.mac;
  int code = lab_frame_build(&probe->recipe, &whole);
  if (code < 0)
    return code;
  if (probe->interface == LAB_GATEWAY) {
    (void)lab_send_from_gateway(lab, &whole); /* a denied packet shows as EPERM: that it does not come out says it */
    return 0;
  }
  if (probe->split == 0)
    return lab_send(lab, probe->interface, &whole);
  code = lab_frame_split(&whole, probe->split, (uint32_t)probe->recipe.probe, parts);
  for (int i = 0; i < 2 && code == 0; i++)
    code = lab_send(lab, probe->interface, &parts[i]);
  return code;
}

static int run_batch(struct lab *lab, struct lab_probe *probes, size_t count) {
  struct batch batch = {.probes = probes, .count = count, .first_number = lab->next_probe};
  lab->next_probe += count;
  int code = 0;
  for (size_t i = 0; i < count && code == 0; i++) {
    probes[i].recipe.probe = batch.first_number + i;
    probes[i].outcome = LAB_NOWHERE;
    probes[i].out = LAB_GATEWAY;
    probes[i].copies = 0;
    probes[i].answer = LAB_ANSWER_NONE;
    code = send_probe(lab, &probes[i]);
  }
  while (read_all(lab, note_seen, &batch) > 0)
    ;
  return code;
}

int lab_run(struct lab *lab, struct lab_probe *probes, size_t count) {
  for (size_t done = 0; done < count; done += BATCH) {
    size_t part = count - done < BATCH ? count - done : BATCH;
    int code = run_batch(lab, probes + done, part);
    if (code < 0)
      return code;
  }
  return 0;
}
