/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/surroundings.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <libmnl/libmnl.h>

#include "kernel/surroundings_parts.h"
#include "kernel/topology.h"

enum { ASK_ATTEMPTS = 10 };

/* ---- what is found ---- */

int collection_add_link(struct collection *collection, const struct link *link) {
  struct surroundings *result = collection->result;
  if (arena_grow(collection->arena, (void **)&result->links, result->link_count, &collection->link_capacity,
                 sizeof(*link)) < 0) {
    return -ENOMEM;
  }
  result->links[result->link_count++] = *link;
  return 0;
}

static const char *copy(struct collection *collection, const char *text) {
  return text != NULL ? arena_strdup(collection->arena, text) : NULL;
}

int collection_add_fact(struct collection *collection, const struct machine_fact *fact) {
  struct surroundings *result = collection->result;
  if (arena_grow(collection->arena, (void **)&result->facts, result->fact_count, &collection->fact_capacity,
                 sizeof(*fact)) < 0) {
    return -ENOMEM;
  }
  result->facts[result->fact_count++] = (struct machine_fact){
      .kind = fact->kind,
      .subject = copy(collection, fact->subject),
      .detail = copy(collection, fact->detail),
      .expected = copy(collection, fact->expected),
      .state = fact->state,
      .links = {copy(collection, fact->links[0]), copy(collection, fact->links[1])},
  };
  return arena_failed(collection->arena) ? -ENOMEM : 0;
}

int collection_add_failure(struct collection *collection, const char *kind, const char *subject, int code) {
  bool unseen = code == EPERM || code == EACCES || code == EOPNOTSUPP || code == ENOSYS || code == EPROTONOSUPPORT;
  struct machine_fact fact = {
      .kind = kind, .subject = subject, .detail = strerror(code), .state = unseen ? FACT_UNSEEN : FACT_UNKNOWN};
  return collection_add_fact(collection, &fact);
}

int collection_add_listener(struct collection *collection, const struct listener *listener) {
  struct surroundings *result = collection->result;
  if (arena_grow(collection->arena, (void **)&result->listeners, result->listener_count, &collection->listener_capacity,
                 sizeof(*listener)) < 0) {
    return -ENOMEM;
  }
  result->listeners[result->listener_count++] = *listener;
  return 0;
}

int collection_add_namespace(struct collection *collection, const struct other_namespace *space) {
  struct surroundings *result = collection->result;
  if (arena_grow(collection->arena, (void **)&result->namespaces, result->namespace_count,
                 &collection->namespace_capacity, sizeof(*space)) < 0) {
    return -ENOMEM;
  }
  result->namespaces[result->namespace_count++] = *space;
  return 0;
}

int collection_add_passage(struct collection *collection, const struct passage *passage) {
  struct surroundings *result = collection->result;
  if (arena_grow(collection->arena, (void **)&result->passages, result->passage_count, &collection->passage_capacity,
                 sizeof(*passage)) < 0) {
    return -ENOMEM;
  }
  result->passages[result->passage_count++] = *passage;
  return 0;
}

struct link *collection_link(const struct collection *collection, unsigned index) {
  for (size_t i = 0; i < collection->result->link_count; i++) {
    if (collection->result->links[i].index == index) {
      return &collection->result->links[i];
    }
  }
  return NULL;
}

const char *collection_link_name(const struct collection *collection, unsigned index) {
  const struct link *link = collection_link(collection, index);
  return link != NULL ? link->name : arena_printf(collection->arena, "interface %u", index);
}

/* ---- asking ---- */

int collection_ask(struct collection *collection, struct nlmsghdr *request, struct netlink_answer *ret_answer) {
  int status = -EINTR;
  for (unsigned attempt = 0; status == -EINTR && attempt < ASK_ATTEMPTS; attempt++) {
    struct netlink_answer answer = {0};
    struct error ignored = {0};
    status = collection->route != NULL ? 0 : netlink_open(NETLINK_ROUTE, &collection->route, &ignored);
    if (status == 0) {
      status = netlink_request(collection->route, request, -1, &answer, &ignored);
    }
    if (status == 0) {
      *ret_answer = answer;
      return 0;
    }
    netlink_answer_free(&answer);
    collection->route = netlink_close(collection->route); /* spent: what is left of the answer would come later */
  }
  return status;
}

int messages_each(const void *data, size_t length, uint16_t type, size_t header_size, message_function function,
                  void *context) {
  size_t position = 0;
  while (length - position >= NLMSG_HDRLEN) {
    const struct nlmsghdr *message = (const struct nlmsghdr *)(const void *)((const char *)data + position);
    size_t step = netlink_align(message->nlmsg_len);
    if (message->nlmsg_len < NLMSG_HDRLEN || message->nlmsg_len > length - position) {
      return -EBADMSG;
    }
    if (message->nlmsg_type == type && message->nlmsg_len >= NLMSG_HDRLEN + netlink_align(header_size)) {
      int status = function(context, message);
      if (status < 0) {
        return status;
      }
    }
    position += step < length - position ? step : length - position;
  }
  return 0;
}

static const struct nlattr *walk_to(struct attribute_walk *walk, unsigned type) {
  const struct nlattr *attribute;
  while ((attribute = attribute_walk_next(walk)) != NULL) {
    if (mnl_attr_get_type(attribute) == type) {
      return attribute;
    }
  }
  return NULL;
}

const struct nlattr *message_attribute(const struct nlmsghdr *message, size_t header_size, unsigned type) {
  size_t start = NLMSG_HDRLEN + netlink_align(header_size);
  struct attribute_walk walk = {.data = (const char *)message + start,
                                .length = message->nlmsg_len < start ? 0 : message->nlmsg_len - start};
  return walk_to(&walk, type);
}

const struct nlattr *nested_attribute(const struct nlattr *nest, unsigned type) {
  if (nest == NULL) {
    return NULL;
  }
  struct attribute_walk walk;
  attribute_walk_start(&walk, nest);
  return walk_to(&walk, type);
}

uint32_t attribute_host_u32(const struct nlattr *attribute, uint32_t fallback) {
  uint32_t number = fallback;
  if (attribute != NULL && mnl_attr_get_payload_len(attribute) == sizeof(number)) {
    memcpy(&number, mnl_attr_get_payload(attribute), sizeof(number));
  }
  return number;
}

uint8_t attribute_host_u8(const struct nlattr *attribute, uint8_t fallback) {
  bool there = attribute != NULL && mnl_attr_get_payload_len(attribute) == sizeof(uint8_t);
  return there ? *(const uint8_t *)mnl_attr_get_payload(attribute) : fallback;
}

const char *attribute_text(const struct nlattr *attribute) {
  size_t length = attribute != NULL ? mnl_attr_get_payload_len(attribute) : 0;
  const char *text = length > 0 ? mnl_attr_get_payload(attribute) : NULL;
  return text != NULL && memchr(text, '\0', length) != NULL ? text : NULL;
}

char *file_read(struct arena *arena, const char *path, size_t limit, int *ret_code) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  char *text = fd >= 0 ? arena_alloc(arena, limit + 1) : NULL;
  *ret_code = fd < 0 ? errno : ENOMEM;
  size_t length = 0;
  while (text != NULL && length < limit) {
    ssize_t step = read(fd, text + length, limit - length);
    if (step < 0 && errno != EINTR) {
      *ret_code = errno;
      text = NULL;
    }
    if (step == 0) {
      break;
    }
    length += step > 0 ? (size_t)step : 0;
  }
  if (fd >= 0) {
    close(fd);
  }
  return text;
}

/* ---- all of it ---- */

static int (*const parts[])(struct collection *collection) = {
    collect_links, /* first: the others name interfaces */
    collect_foreign_stations,
    collect_traffic_control,
    collect_settings,
    collect_routing,
    collect_legacy,
    collect_programs,
    collect_sockets,
    collect_namespaces,
};

int surroundings_read(struct arena *arena, struct surroundings **ret_surroundings, struct error *error) {
  struct surroundings *result = ARENA_NEW(arena, struct surroundings);
  struct collection collection = {.arena = arena, .error = error, .result = result};
  if (result == NULL) {
    return error_set(error, ENOMEM, "no memory for what there is on this machine");
  }
  result->known = true;
  int status = topology_own_addresses(arena, &result->own, error);
  for (size_t i = 0; status == 0 && i < sizeof(parts) / sizeof(parts[0]); i++) {
    status = parts[i](&collection);
  }
  netlink_close(collection.route);
  if (status == -ENOMEM || arena_failed(arena)) {
    return error_set(error, ENOMEM, "no memory for what there is on this machine");
  }
  if (status == 0) {
    *ret_surroundings = result;
  }
  return status;
}
