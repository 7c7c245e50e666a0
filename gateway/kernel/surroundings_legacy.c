/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/surroundings_parts.h"

/* What files of /proc and /etc tell: the tables of the old iptables, IPVS, and what turns forwarding on at boot. */
enum { TABLES_LIMIT = 4096, SERVICES_LIMIT = 65536, CONFIGURATION_LIMIT = 65536, FILES_LIMIT = 128, PATH_ROOM = 512 };

/* ---- tables of the old iptables ---- */

/* One name to a line. A table is there once somebody has asked for it, rules in it or not. */
int legacy_take(struct collection *collection, const char *tool, char *text) {
  int status = 0;
  char *place = NULL;
  for (char *name = strtok_r(text, "\n", &place); status == 0 && name != NULL; name = strtok_r(NULL, "\n", &place)) {
    struct machine_fact fact = {.kind = "legacy",
                                .subject = tool,
                                .detail = arena_printf(collection->arena, "table %s", name),
                                .state = FACT_UNKNOWN};
    status = collection_add_fact(collection, &fact);
  }
  return status;
}

static int collect_legacy_tables(struct collection *collection) {
  static const struct {
    const char *path, *tool;
  } lists[] = {{"/proc/self/net/ip_tables_names", "iptables-legacy"},
               {"/proc/self/net/ip6_tables_names", "ip6tables-legacy"},
               {"/proc/self/net/arp_tables_names", "arptables-legacy"}};
  int status = 0;
  for (size_t i = 0; status == 0 && i < sizeof(lists) / sizeof(lists[0]); i++) {
    int code;
    char *text = file_read(collection->arena, lists[i].path, TABLES_LIMIT, &code);
    if (text != NULL) {
      status = legacy_take(collection, lists[i].tool, text);
    } else if (code != ENOENT) {
      status = collection_add_failure(collection, "legacy", lists[i].path, code);
    }
  }
  return status;
}

/* The old ebtables has no list: its modules, of the whole machine, tell that it may be in use. */
int modules_take(struct collection *collection, const char *text) {
  static const char *const modules[] = {"ebtable_broute ", "ebtable_nat ", "ebtable_filter "};
  int status = 0;
  for (size_t i = 0; status == 0 && i < sizeof(modules) / sizeof(modules[0]); i++) {
    const char *hit = strstr(text, modules[i]);
    if (hit == NULL || (hit != text && hit[-1] != '\n')) {
      continue;
    }
    struct machine_fact fact = {
        .kind = "legacy", .subject = "ebtables-legacy", .detail = modules[i], .state = FACT_UNKNOWN};
    status = collection_add_fact(collection, &fact);
  }
  return status;
}

static bool has_bridge(const struct collection *collection) {
  for (size_t i = 0; i < collection->result->link_count; i++) {
    if (strcmp(collection->result->links[i].kind, "bridge") == 0) {
      return true;
    }
  }
  return false;
}

static int collect_bridge_modules(struct collection *collection) {
  int code;
  const char *text =
      has_bridge(collection) ? file_read(collection->arena, "/proc/modules", CONFIGURATION_LIMIT, &code) : NULL;
  return text != NULL ? modules_take(collection, text) : 0;
}

/* ---- IPVS ---- */

/* "TCP  0A010001:0050 rr": services begin with the name of their protocol, their servers with an arrow. */
int services_take(struct collection *collection, char *text) {
  int status = 0;
  char *place = NULL;
  for (char *line = strtok_r(text, "\n", &place); status == 0 && line != NULL; line = strtok_r(NULL, "\n", &place)) {
    static const char *const kinds[] = {"TCP ", "UDP ", "SCTP ", "FWM "};
    for (size_t i = 0; status == 0 && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
      if (strncmp(line, kinds[i], strlen(kinds[i])) == 0) {
        struct machine_fact fact = {.kind = "ipvs", .subject = "IPVS", .detail = line, .state = FACT_UNKNOWN};
        status = collection_add_fact(collection, &fact);
      }
    }
  }
  return status;
}

static int collect_services(struct collection *collection) {
  int code;
  char *text = file_read(collection->arena, "/proc/self/net/ip_vs", SERVICES_LIMIT, &code);
  if (text != NULL) {
    return services_take(collection, text);
  }
  return code == ENOENT ? 0 : collection_add_failure(collection, "ipvs", "/proc/net/ip_vs", code);
}

/* ---- settings at boot ---- */

/* "net.ipv4.ip_forward = 1", dots or slashes, a '-' in front where a failure is no matter. */
static bool turns_forwarding_on(char *line) {
  char *value = strchr(line, '=');
  line += strspn(line, " \t-");
  if (value == NULL || line[0] == '#' || line[0] == ';') {
    return false;
  }
  *value++ = '\0';
  line[strcspn(line, " \t")] = '\0';
  for (char *place = line; *place != '\0'; place++) {
    *place = *place == '/' ? '.' : *place;
  }
  bool forwarding = strcmp(line, "net.ipv4.ip_forward") == 0 ||
                    (strncmp(line, "net.ipv4.conf.", 14) == 0 && strstr(line, ".forwarding") != NULL) ||
                    (strncmp(line, "net.ipv6.conf.", 14) == 0 && strstr(line, ".forwarding") != NULL);
  return forwarding && strtol(value, NULL, 10) != 0;
}

int boot_settings_take(struct collection *collection, const char *path, char *text) {
  int status = 0;
  char *place = NULL;
  for (char *line = strtok_r(text, "\n", &place); status == 0 && line != NULL; line = strtok_r(NULL, "\n", &place)) {
    const char *whole = arena_strdup(collection->arena, line);
    if (turns_forwarding_on(line)) {
      struct machine_fact fact = {.kind = "boot", .subject = path, .detail = whole, .state = FACT_BAD};
      status = collection_add_fact(collection, &fact);
    }
  }
  return status;
}

static int take_boot_file(struct collection *collection, const char *path) {
  int code;
  char *text = file_read(collection->arena, path, CONFIGURATION_LIMIT, &code);
  return text != NULL ? boot_settings_take(collection, path, text) : 0;
}

static int collect_boot_settings(struct collection *collection) {
  static const char *const directories[] = {"/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d",
                                            "/usr/lib/sysctl.d"};
  int status = take_boot_file(collection, "/etc/sysctl.conf");
  unsigned files = 0;
  for (size_t i = 0; status == 0 && i < sizeof(directories) / sizeof(directories[0]); i++) {
    DIR *listing = opendir(directories[i]);
    const struct dirent *entry;
    while (listing != NULL && status == 0 && files < FILES_LIMIT && (entry = readdir(listing)) != NULL) {
      char path[PATH_ROOM];
      const char *ending = strrchr(entry->d_name, '.');
      int length = snprintf(path, sizeof(path), "%s/%s", directories[i], entry->d_name);
      bool whole = ending != NULL && strcmp(ending, ".conf") == 0 && length > 0 && (size_t)length < sizeof(path);
      files += whole;
      status = whole ? take_boot_file(collection, path) : 0;
    }
    if (listing != NULL) {
      closedir(listing);
    }
  }
  return status;
}

int collect_legacy(struct collection *collection) {
  int status = collect_legacy_tables(collection);
  status = status == 0 ? collect_bridge_modules(collection) : status;
  status = status == 0 ? collect_services(collection) : status;
  return status == 0 ? collect_boot_settings(collection) : status;
}
