/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include "kernel/surroundings_parts.h"

enum { REQUEST_ROOM = 256, MAC_LENGTH = 6 };

static uint64_t read_mac(const struct nlattr *attribute) {
  uint64_t mac = 0;
  if (attribute != NULL && mnl_attr_get_payload_len(attribute) == MAC_LENGTH) {
    const uint8_t *bytes = mnl_attr_get_payload(attribute);
    for (size_t i = 0; i < MAC_LENGTH; i++) {
      mac = mac << 8 | bytes[i];
    }
  }
  return mac;
}

static const char *kept_text(const struct collection *collection, const struct nlattr *attribute) {
  const char *text = attribute_text(attribute);
  return text != NULL ? arena_strdup(collection->arena, text) : "";
}

/* Programs of all modes: by the driver, the hardware, or the kernel's own way. */
static bool has_program(const struct nlmsghdr *message) {
  const struct nlattr *xdp = message_attribute(message, sizeof(struct ifinfomsg), IFLA_XDP);
  return attribute_host_u8(nested_attribute(xdp, IFLA_XDP_ATTACHED), XDP_ATTACHED_NONE) != XDP_ATTACHED_NONE;
}

static int take_link(void *context, const struct nlmsghdr *message) {
  struct collection *collection = context;
  const struct ifinfomsg *header = mnl_nlmsg_get_payload(message);
  enum { SIZE = sizeof(*header) };
  const char *name = attribute_text(message_attribute(message, SIZE, IFLA_IFNAME));
  if (name == NULL || header->ifi_index <= 0) {
    return 0;
  }
  const struct nlattr *information = message_attribute(message, SIZE, IFLA_LINKINFO);
  const struct nlattr *data = nested_attribute(information, IFLA_INFO_DATA);
  const struct nlattr *port = nested_attribute(information, IFLA_INFO_SLAVE_DATA);
  const struct link link = {
      .name = arena_strdup(collection->arena, name),
      .index = (unsigned)header->ifi_index,
      .type = header->ifi_type,
      .group = attribute_host_u32(message_attribute(message, SIZE, IFLA_GROUP), 0),
      .master = attribute_host_u32(message_attribute(message, SIZE, IFLA_MASTER), 0),
      .parent = attribute_host_u32(message_attribute(message, SIZE, IFLA_LINK), 0),
      .kind = kept_text(collection, nested_attribute(information, IFLA_INFO_KIND)),
      .master_kind = kept_text(collection, nested_attribute(information, IFLA_INFO_SLAVE_KIND)),
      .up = (header->ifi_flags & IFF_UP) != 0,
      .xdp = has_program(message),
      .peer_elsewhere = message_attribute(message, SIZE, IFLA_LINK_NETNSID) != NULL,
      .peer_space = attribute_host_u32(message_attribute(message, SIZE, IFLA_LINK_NETNSID), 0),
      .own_mac = read_mac(message_attribute(message, SIZE, IFLA_ADDRESS)),
  };
  int status = collection_add_link(collection, &link);
  if (status == 0) {
    struct link *kept = &collection->result->links[collection->result->link_count - 1];
    kept->bridge_vlans =
        strcmp(link.kind, "bridge") == 0 && attribute_host_u8(nested_attribute(data, IFLA_BR_VLAN_FILTERING), 0) != 0;
    kept->bridge_isolated = strcmp(link.master_kind, "bridge") == 0 &&
                            attribute_host_u8(nested_attribute(port, IFLA_BRPORT_ISOLATED), 0) != 0;
  }
  return status;
}

int links_take(struct collection *collection, const void *data, size_t length) {
  return messages_each(data, length, RTM_NEWLINK, sizeof(struct ifinfomsg), take_link, collection);
}

static struct nlmsghdr *put_request(char *buffer, uint16_t type, size_t header_size, uint8_t family) {
  struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
  request->nlmsg_type = type;
  request->nlmsg_flags = NLM_F_DUMP;
  uint8_t *header = mnl_nlmsg_put_extra_header(request, header_size);
  header[0] = family; /* the first byte of each of these headers */
  return request;
}

int collect_links(struct collection *collection) {
  _Alignas(struct nlmsghdr) char buffer[REQUEST_ROOM] = {0};
  struct nlmsghdr *request = put_request(buffer, RTM_GETLINK, sizeof(struct ifinfomsg), AF_UNSPEC);
  struct netlink_answer answer = {0};
  int status = collection_ask(collection, request, &answer);
  if (status == 0) {
    status = links_take(collection, answer.data, answer.length);
  }
  netlink_answer_free(&answer);
  return status == 0 || status == -ENOMEM
             ? status
             : error_set(collection->error, -status, "cannot read the interfaces of this machine: %s",
                         strerror(-status));
}

/* ---- stations on our interfaces that are no device of ours ---- */

static bool is_ours(const struct collection *collection, uint64_t mac) {
  for (size_t i = 0; i < collection->result->link_count; i++) {
    if (collection->result->links[i].own_mac == mac) {
      return true;
    }
  }
  return false;
}

/* A device that takes a second unicast address does so for somebody: a macvlan, most often. Those in other network
 * namespaces cannot be seen from here in any other way. */
static int take_station(void *context, const struct nlmsghdr *message) {
  struct collection *collection = context;
  const struct ndmsg *header = mnl_nlmsg_get_payload(message);
  uint64_t mac = read_mac(message_attribute(message, sizeof(*header), NDA_LLADDR));
  const struct link *link = collection_link(collection, (unsigned)header->ndm_ifindex);
  bool multicast = (mac >> 40 & 1) != 0;
  if (link == NULL || (header->ndm_flags & NTF_SELF) == 0 || mac == 0 || multicast || is_ours(collection, mac) ||
      (header->ndm_state & NUD_PERMANENT) == 0 || strcmp(link->kind, "vxlan") == 0 ||
      strcmp(link->kind, "bridge") == 0) {
    return 0;
  }
  struct machine_fact fact = {
      .kind = "macvlan",
      .subject = link->name,
      .detail = arena_printf(collection->arena, "%02x:%02x:%02x:%02x:%02x:%02x", (unsigned)(mac >> 40 & 0xff),
                             (unsigned)(mac >> 32 & 0xff), (unsigned)(mac >> 24 & 0xff), (unsigned)(mac >> 16 & 0xff),
                             (unsigned)(mac >> 8 & 0xff), (unsigned)(mac & 0xff)),
      .state = FACT_UNKNOWN,
      .links = {link->name, NULL},
  };
  return collection_add_fact(collection, &fact);
}

int stations_take(struct collection *collection, const void *data, size_t length) {
  return messages_each(data, length, RTM_NEWNEIGH, sizeof(struct ndmsg), take_station, collection);
}

int collect_foreign_stations(struct collection *collection) {
  _Alignas(struct nlmsghdr) char buffer[REQUEST_ROOM] = {0};
  /* The kernel takes a whole ifinfomsg here, as older tools send it. */
  struct nlmsghdr *request = put_request(buffer, RTM_GETNEIGH, sizeof(struct ifinfomsg), AF_BRIDGE);
  struct netlink_answer answer = {0};
  int status = collection_ask(collection, request, &answer);
  if (status == 0) {
    status = stations_take(collection, answer.data, answer.length);
  }
  netlink_answer_free(&answer);
  return status == 0 || status == -ENOMEM
             ? status
             : collection_add_failure(collection, "macvlan", "RTM_GETNEIGH (bridge)", -status);
}
