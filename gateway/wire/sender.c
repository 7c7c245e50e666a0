/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "wire/sender.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <string.h>
#include <sys/socket.h>

enum { PRIORITY = 6 }; /* of interactive control: a queue full of bulk does not hold it up */

int sender_open(struct error *error) {
  int sender = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0); /* protocol 0 receives nothing */
  if (sender < 0)
    return error_set(error, errno, "no socket to send canaries: %s", strerror(errno));
  int priority = PRIORITY;
  setsockopt(sender, SOL_SOCKET, SO_PRIORITY, &priority, sizeof priority);
  return sender;
}

int sender_send(int sender, unsigned interface_number, const uint8_t *frame, size_t size) {
  struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_ifindex = (int)interface_number, .sll_halen = 6};
  memcpy(address.sll_addr, frame, 6);
  return sendto(sender, frame, size, MSG_DONTWAIT, (const struct sockaddr *)&address, sizeof address) < 0 ? -errno : 0;
}
