/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_KERNEL_SURROUNDINGS_PARTS_H
#define KIDO_KERNEL_SURROUNDINGS_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/netlink.h>

#include "base/arena.h"
#include "base/error.h"
#include "kernel/netlink.h"
#include "kernel/nftables_attributes.h"
#include "proof/surroundings.h"

/* Parts that the files of surroundings_read() share. Who takes answers apart is pure, so that tests and the fuzzer can
 * hand in bytes. */
struct collection {
  struct arena *arena;
  struct error *error;
  struct surroundings *result;
  struct netlink *route; /* NULL: not open */
  uint64_t *inodes;      /* of the listeners, in their order */
  size_t inode_capacity;
  size_t link_capacity, fact_capacity, listener_capacity, namespace_capacity, passage_capacity;
};

/* ---- what is found (0 or -ENOMEM) ---- */

int collection_add_link(struct collection *collection, const struct link *link);
/* The strings of a fact are copied. */
int collection_add_fact(struct collection *collection, const struct machine_fact *fact);
/* That something could not be read: for want of rights or because the kernel lacks it (FACT_UNSEEN), else
 * FACT_UNKNOWN. code: positive errno. */
int collection_add_failure(struct collection *collection, const char *kind, const char *subject, int code);
int collection_add_listener(struct collection *collection, const struct listener *listener);
int collection_add_namespace(struct collection *collection, const struct other_namespace *space);
int collection_add_passage(struct collection *collection, const struct passage *passage);

struct link *collection_link(const struct collection *collection, unsigned index); /* NULL */
/* Its name, or "interface 7" for one that has gone. NULL without memory. */
const char *collection_link_name(const struct collection *collection, unsigned index);

/* ---- asking ---- */

/* Sends a request over rtnetlink, again while the answer is not of one moment. A negative errno goes to no error. */
int collection_ask(struct collection *collection, struct nlmsghdr *request, struct netlink_answer *ret_answer);

typedef int (*message_function)(void *context, const struct nlmsghdr *message);
/* All messages of that type with at least such a header. 0, -EBADMSG, or what the function returned below 0. */
int messages_each(const void *data, size_t length, uint16_t type, size_t header_size, message_function function,
                  void *context);

/* An attribute behind the header of a message, or in a nest, whatever its number; NULL. */
const struct nlattr *message_attribute(const struct nlmsghdr *message, size_t header_size, unsigned type);
const struct nlattr *nested_attribute(const struct nlattr *nest, unsigned type); /* nest NULL: NULL */
/* Host order, as rtnetlink has them; fallback where there is none or it has another size. */
uint32_t attribute_host_u32(const struct nlattr *attribute, uint32_t fallback);
uint8_t attribute_host_u8(const struct nlattr *attribute, uint8_t fallback);
const char *attribute_text(const struct nlattr *attribute); /* NULL: none, or not terminated */

/* A small file, terminated; at most `limit` bytes. NULL with *ret_code (a positive errno). */
char *file_read(struct arena *arena, const char *path, size_t limit, int *ret_code);

/* Of the network namespace that the calling thread is in. */
bool settings_forward4(struct collection *collection);
bool settings_forward6(struct collection *collection);

/* ---- parts; 0 or -ENOMEM unless said otherwise ---- */

int collect_links(struct collection *collection); /* also the kernel's refusal, with error */
int collect_foreign_stations(struct collection *collection);
int collect_traffic_control(struct collection *collection);
int collect_settings(struct collection *collection);
int collect_routing(struct collection *collection);
int collect_legacy(struct collection *collection);
int collect_programs(struct collection *collection);
int collect_sockets(struct collection *collection);
int collect_namespaces(struct collection *collection);

int links_take(struct collection *collection, const void *data, size_t length);
int stations_take(struct collection *collection, const void *data, size_t length);
int filters_take(struct collection *collection, const void *data, size_t length);
int rules_take(struct collection *collection, const void *data, size_t length);
int routes_take(struct collection *collection, const void *data, size_t length);
int policies_take(struct collection *collection, const void *data, size_t length);
int states_take(struct collection *collection, const void *data, size_t length);
/* protocol: 0 for packet sockets. */
int sockets_take(struct collection *collection, uint8_t protocol, const void *data, size_t length);
/* Devices of another namespace; own_number: of ours, there. */
int far_links_take(struct collection *collection, size_t space, int own_number, const void *data, size_t length);
/* These change the text. */
int socket_table_take(struct collection *collection, uint8_t protocol, char *text); /* of /proc/net */
int legacy_take(struct collection *collection, const char *tool, char *text);
int services_take(struct collection *collection, char *text);
int boot_settings_take(struct collection *collection, const char *path, char *text);
int modules_take(struct collection *collection, const char *text); /* not this one */

#endif
