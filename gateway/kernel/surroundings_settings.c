/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kernel/surroundings_parts.h"
#include "kernel/system.h"

enum { SWITCH_ROOM = 8, PATH_ROOM = 512 };

/* ---- settings that the rules rely on ---- */

/* Those beside that only count packets or say how long a silent connection is kept open no way. */
static const char *const relevant_settings[] = {"net/ipv4/conf/", "net/ipv6/conf/", "nf_conntrack_tcp_loose",
                                                "nf_conntrack_helper"};

static bool is_relevant(const char *path) {
  for (size_t i = 0; i < sizeof(relevant_settings) / sizeof(relevant_settings[0]); i++) {
    if (strstr(path, relevant_settings[i]) != NULL) {
      return true;
    }
  }
  return false;
}

/* The interface of "net/ipv4/conf/eth0/rp_filter"; NULL for "all" and "default". */
static const char *interface_of(struct collection *collection, const char *path) {
  const char *start = strstr(path, "/conf/");
  const char *end = start != NULL ? strrchr(path, '/') : NULL;
  if (start == NULL || end <= start + strlen("/conf/")) {
    return NULL;
  }
  start += strlen("/conf/");
  const char *name = arena_strndup(collection->arena, start, (size_t)(end - start));
  bool common = name == NULL || strcmp(name, "all") == 0 || strcmp(name, "default") == 0;
  return common ? NULL : name;
}

static int take_faults(struct collection *collection, const struct system_report *report) {
  int status = 0;
  for (size_t i = 0; status == 0 && i < report->count; i++) {
    const struct system_fault *fault = &report->faults[i];
    if (!is_relevant(fault->path)) {
      continue;
    }
    struct machine_fact fact = {
        .kind = "sysctl",
        .subject = fault->path,
        .detail = fault->found,
        .expected = fault->wanted,
        .state = FACT_BAD,
        .links = {interface_of(collection, fault->path), NULL},
    };
    status = collection_add_fact(collection, &fact);
  }
  return status;
}

/* ---- forwarding ---- */

static bool is_on(struct collection *collection, const char *path) {
  int code;
  const char *text = file_read(collection->arena, path, SWITCH_ROOM, &code);
  return text != NULL && text[0] != '0' && text[0] != '\0';
}

/* IPv4 asks the interface by which a packet came; the common switch sets them all, but each can be set alone. */
static bool any_interface_forwards(struct collection *collection) {
  static const char directory[] = "/proc/sys/net/ipv4/conf";
  DIR *listing = opendir(directory);
  bool found = false;
  const struct dirent *entry;
  while (!found && listing != NULL && (entry = readdir(listing)) != NULL) {
    char path[PATH_ROOM];
    int length = snprintf(path, sizeof(path), "%s/%s/forwarding", directory, entry->d_name);
    found = entry->d_name[0] != '.' && strcmp(entry->d_name, "default") != 0 && length > 0 &&
            (size_t)length < sizeof(path) && is_on(collection, path);
  }
  if (listing != NULL) {
    closedir(listing);
  }
  return found;
}

int collect_settings(struct collection *collection) {
  struct surroundings *result = collection->result;
  result->forwarding4 = is_on(collection, "/proc/sys/net/ipv4/ip_forward") || any_interface_forwards(collection);
  result->forwarding6 = is_on(collection, "/proc/sys/net/ipv6/conf/all/forwarding");
  struct system_report report = {0};
  int status = system_check(collection->arena, &report, collection->error);
  return status < 0 ? status : take_faults(collection, &report);
}
