/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "wire/machine.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

void machine_interface(const char *name, struct interface_facts *ret_facts) {
  *ret_facts = (struct interface_facts){.state = INTERFACE_MISSING, .number = if_nametoindex(name)};
  int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0 || ret_facts->number == 0) {
    if (descriptor >= 0)
      close(descriptor);
    return;
  }
  struct ifreq request = {0};
  snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
  if (ioctl(descriptor, SIOCGIFFLAGS, &request) == 0)
    ret_facts->state =
        (request.ifr_flags & IFF_UP) != 0 && (request.ifr_flags & IFF_RUNNING) != 0 ? INTERFACE_UP : INTERFACE_DOWN;
  if (ioctl(descriptor, SIOCGIFHWADDR, &request) == 0)
    memcpy(ret_facts->mac.bytes, request.ifr_hwaddr.sa_data, sizeof ret_facts->mac.bytes);
  close(descriptor);
}

static bool read_address(const struct sockaddr *socket_address, struct address *ret_address) {
  if (socket_address == NULL)
    return false;
  if (socket_address->sa_family == AF_INET) {
    struct sockaddr_in version4;
    memcpy(&version4, socket_address, sizeof version4);
    *ret_address = (struct address){.family = FAMILY_IPV4};
    memcpy(ret_address->bytes, &version4.sin_addr, 4);
    return true;
  }
  if (socket_address->sa_family == AF_INET6) {
    struct sockaddr_in6 version6;
    memcpy(&version6, socket_address, sizeof version6);
    *ret_address = (struct address){.family = FAMILY_IPV6};
    memcpy(ret_address->bytes, &version6.sin6_addr, 16);
    return true;
  }
  return false;
}

int machine_addresses(struct address_range *ret_addresses, size_t most) {
  struct ifaddrs *list;
  if (getifaddrs(&list) < 0)
    return -errno;
  size_t count = 0;
  for (const struct ifaddrs *entry = list; entry != NULL && count < most; entry = entry->ifa_next)
    if (read_address(entry->ifa_addr, &ret_addresses[count].first)) {
      ret_addresses[count].last = ret_addresses[count].first;
      count++;
    }
  freeifaddrs(list);
  return (int)count;
}
