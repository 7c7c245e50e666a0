/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kernel/surroundings_parts.h"
#include "kernel/system.h"

enum { SWITCH_ROOM = 8, PATH_ROOM = 512 };

/* ---- settings that the rules rely on ---- */

/* Those beside decide about redirects, or how long a silent connection is kept: no way opens by them. */
static const char *const relevant_settings[] = {
    "rp_filter",     "accept_source_route",    "proxy_arp",           "proxy_arp_pvlan", "proxy_ndp", "route_localnet",
    "bc_forwarding", "nf_conntrack_tcp_loose", "nf_conntrack_helper",
};

static bool is_relevant(const char *path) {
  const char *name = strrchr(path, '/');
  for (size_t i = 0; name != NULL && i < sizeof(relevant_settings) / sizeof(relevant_settings[0]); i++) {
    if (strcmp(name + 1, relevant_settings[i]) == 0) {
      return true;
    }
  }
  return false;
}

/* A path whose last part but one is an interface, cut into three. */
struct setting_path {
  const char *directory, *interface, *name; /* interface "": there is none */
};

static struct setting_path cut_path(struct collection *collection, const char *path) {
  const char *start = strstr(path, "/conf/");
  const char *end = strrchr(path, '/');
  if (start == NULL || end <= start + strlen("/conf")) {
    return (struct setting_path){path, "", ""};
  }
  start += strlen("/conf/");
  return (struct setting_path){
      .directory = arena_strndup(collection->arena, path, (size_t)(start - path)),
      .interface = arena_strndup(collection->arena, start, (size_t)(end - start)),
      .name = end,
  };
}

static bool same_setting(const struct setting_path *left, const struct setting_path *right) {
  return left->directory != NULL && right->directory != NULL && strcmp(left->directory, right->directory) == 0 &&
         strcmp(left->name, right->name) == 0 && left->interface[0] != '\0';
}

/* One fact for all interfaces on which a setting is wrong in the same way; they follow one another in the report. */
static int take_fault(struct collection *collection, const struct system_report *report, size_t *position) {
  const struct system_fault *fault = &report->faults[*position];
  struct setting_path path = cut_path(collection, fault->path);
  const char *interfaces = path.interface;
  while (*position + 1 < report->count) {
    const struct system_fault *next = &report->faults[*position + 1];
    struct setting_path other = cut_path(collection, next->path);
    if (!same_setting(&path, &other) || strcmp(fault->found, next->found) != 0) {
      break;
    }
    interfaces = arena_printf(collection->arena, "%s,%s", interfaces, other.interface);
    (*position)++;
  }
  struct machine_fact fact = {
      .kind = "sysctl",
      .subject = arena_printf(collection->arena, "%s%s%s", path.directory, interfaces, path.name),
      .detail = fault->found,
      .expected = fault->wanted,
      .state = FACT_BAD,
  };
  return collection_add_fact(collection, &fact);
}

static int take_faults(struct collection *collection, const struct system_report *report) {
  int status = 0;
  for (size_t i = 0; status == 0 && i < report->count; i++) {
    status = is_relevant(report->faults[i].path) ? take_fault(collection, report, &i) : 0;
  }
  return status;
}

/* ---- forwarding ---- */

static bool setting_is_on(struct collection *collection, const char *path) {
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
            (size_t)length < sizeof(path) && setting_is_on(collection, path);
  }
  if (listing != NULL) {
    closedir(listing);
  }
  return found;
}

bool settings_forward4(struct collection *collection) {
  return setting_is_on(collection, "/proc/sys/net/ipv4/ip_forward") || any_interface_forwards(collection);
}

bool settings_forward6(struct collection *collection) {
  return setting_is_on(collection, "/proc/sys/net/ipv6/conf/all/forwarding");
}

int collect_settings(struct collection *collection) {
  collection->result->forwarding4 = settings_forward4(collection);
  collection->result->forwarding6 = settings_forward6(collection);
  struct system_report report = {0};
  int status = system_check(collection->arena, &report, collection->error);
  return status < 0 ? status : take_faults(collection, &report);
}
