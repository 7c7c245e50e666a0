/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/system.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROOT "/proc/sys/"

enum { VALUE_ROOM = 32 };

/* One value, or one for each interface in a directory below ROOT. */
struct setting {
  const char *directory; /* of the interfaces; NULL: one value only */
  const char *name;
  const char *value;
  bool at_least; /* a number; more is as good */
};

static const struct setting settings[] = {
    /* Reverse-path check: the second layer behind the ruleset's own. The kernel takes the larger of "all" and the
     * interface's, so that a 2 anywhere would loosen it. */
    {"net/ipv4/conf", "rp_filter", "1", false},
    {"net/ipv4/conf", "accept_redirects", "0", false},
    {"net/ipv4/conf", "secure_redirects", "0", false},
    {"net/ipv4/conf", "send_redirects", "0", false},
    {"net/ipv4/conf", "accept_source_route", "0", false},
    {"net/ipv4/conf", "proxy_arp", "0", false},
    {"net/ipv4/conf", "proxy_arp_pvlan", "0", false},
    {"net/ipv4/conf", "route_localnet", "0", false},
    {"net/ipv4/conf", "bc_forwarding", "0", false},
    {"net/ipv6/conf", "accept_redirects", "0", false},
    {"net/ipv6/conf", "accept_source_route", "0", false},
    {"net/ipv6/conf", "accept_ra", "0", false},
    {"net/ipv6/conf", "proxy_ndp", "0", false},
    /* A connection that is picked up in the middle would be new, and judged by the wrong end. */
    {NULL, "net/netfilter/nf_conntrack_tcp_loose", "0", false},
    /* Helpers open expected connections that no flow names. Kernels from 6.0 on have no such switch. */
    {NULL, "net/netfilter/nf_conntrack_helper", "0", false},
    /* How long a connection may be silent, in seconds (RFC 6092, RFC 5382, RFC 4787): shorter would cut lawful ones. */
    {NULL, "net/netfilter/nf_conntrack_tcp_timeout_established", "7440", true},
    {NULL, "net/netfilter/nf_conntrack_tcp_timeout_syn_sent", "240", true},
    {NULL, "net/netfilter/nf_conntrack_tcp_timeout_syn_recv", "240", true},
    {NULL, "net/netfilter/nf_conntrack_tcp_timeout_fin_wait", "240", true},
    {NULL, "net/netfilter/nf_conntrack_tcp_timeout_close_wait", "240", true},
    {NULL, "net/netfilter/nf_conntrack_tcp_timeout_last_ack", "240", true},
    {NULL, "net/netfilter/nf_conntrack_udp_timeout", "120", true},
    {NULL, "net/netfilter/nf_conntrack_udp_timeout_stream", "120", true},
    /* Only connections that the ruleset names are told of (`ct event set`); the others cost nothing. */
    {NULL, "net/netfilter/nf_conntrack_events", "0", false},
    /* Bytes and beginnings of connections, for the record of those that are logged. */
    {NULL, "net/netfilter/nf_conntrack_acct", "1", false},
    {NULL, "net/netfilter/nf_conntrack_timestamp", "1", false},
};

static const char *const forwarding_paths[] = {"net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"};

static int open_setting(const char *path, int flags) {
  char full[PATH_MAX];
  int length = snprintf(full, sizeof(full), ROOT "%s", path);
  if (length < 0 || (size_t)length >= sizeof(full)) {
    return -ENAMETOOLONG;
  }
  int fd = open(full, flags | O_CLOEXEC);
  return fd < 0 ? -errno : fd;
}

/* The value without the newline. */
static int read_setting(const char *path, char value[static VALUE_ROOM]) {
  int fd = open_setting(path, O_RDONLY);
  if (fd < 0) {
    return fd;
  }
  ssize_t length = read(fd, value, VALUE_ROOM - 1);
  int code = errno;
  close(fd);
  if (length < 0) {
    return -code;
  }
  value[length] = '\0';
  value[strcspn(value, "\n")] = '\0';
  return 0;
}

static int write_setting(const char *path, const char *value) {
  int fd = open_setting(path, O_WRONLY);
  if (fd < 0) {
    return fd;
  }
  size_t length = strlen(value);
  ssize_t written = write(fd, value, length);
  int code = errno;
  close(fd);
  return written == (ssize_t)length ? 0 : written < 0 ? -code : -EIO;
}

/* What is done with each setting, which may stand for many paths: returns 0 to go on. */
typedef int (*visitor)(void *context, const struct setting *setting, const char *path);

static bool is_right(const struct setting *setting, const char *found) {
  return strcmp(found, setting->value) == 0 ||
         (setting->at_least && strtol(found, NULL, 10) > strtol(setting->value, NULL, 10));
}

static int visit_interfaces(const struct setting *setting, visitor visit, void *context) {
  char directory[PATH_MAX];
  snprintf(directory, sizeof(directory), ROOT "%s", setting->directory);
  DIR *listing = opendir(directory);
  if (listing == NULL) {
    return 0; /* a kernel without this IP version */
  }
  int status = 0;
  const struct dirent *entry;
  while (status == 0 && (entry = readdir(listing)) != NULL) {
    char path[PATH_MAX];
    if (entry->d_name[0] == '.') {
      continue;
    }
    int length = snprintf(path, sizeof(path), "%s/%s/%s", setting->directory, entry->d_name, setting->name);
    if (length > 0 && (size_t)length < sizeof(path)) {
      status = visit(context, setting, path);
    }
  }
  closedir(listing);
  return status;
}

static int visit_all(visitor visit, void *context) {
  int status = 0;
  for (size_t i = 0; status == 0 && i < sizeof(settings) / sizeof(settings[0]); i++) {
    if (settings[i].directory != NULL) {
      status = visit_interfaces(&settings[i], visit, context);
    } else {
      status = visit(context, &settings[i], settings[i].name);
    }
  }
  return status;
}

/* Writes only what differs, so that a read-only /proc with the right values is no failure. 1 when it was changed. */
static int bring_setting(const struct setting *setting, const char *path, struct error *error) {
  const char *value = setting->value;
  char found[VALUE_ROOM];
  int status = read_setting(path, found);
  if (status == -ENOENT) {
    return 0; /* not in this kernel, or the interface has just gone */
  }
  if (status == 0 && is_right(setting, found)) {
    return 0;
  }
  status = write_setting(path, value);
  if (status < 0 && status != -ENOENT) {
    return error_set(error, -status, "cannot set %s to %s: %s", path, value, strerror(-status));
  }
  return status == 0;
}

struct hardening {
  int status;
  struct error *error;
};

static int harden_one(void *context, const struct setting *setting, const char *path) {
  struct hardening *hardening = context;
  struct error error = {0};
  int status = bring_setting(setting, path, &error);
  if (status < 0 && hardening->status == 0) {
    hardening->status = status;
    error_set(hardening->error, error.code, "%s", error.message);
  }
  return 0;
}

int system_harden(struct error *error) {
  struct hardening hardening = {.error = error};
  visit_all(harden_one, &hardening);
  return hardening.status;
}

/* The one IP version does not wait for the other. */
int system_set_forwarding(bool on, struct error *error) {
  const struct setting setting = {.value = on ? "1" : "0"};
  struct error later = {0};
  bool changed = false;
  int result = 0;
  for (size_t i = 0; i < sizeof(forwarding_paths) / sizeof(forwarding_paths[0]) && (result == 0 || !on); i++) {
    int status = bring_setting(&setting, forwarding_paths[i], result < 0 ? &later : error);
    result = result < 0 || status > 0 ? result : status;
    changed = changed || status > 0;
  }
  int status = changed ? system_harden(result < 0 ? &later : error) : 0;
  return result < 0 ? result : status;
}

bool system_forwards(void) {
  for (size_t i = 0; i < sizeof(forwarding_paths) / sizeof(forwarding_paths[0]); i++) {
    char value[VALUE_ROOM];
    if (read_setting(forwarding_paths[i], value) == 0 && strcmp(value, "0") != 0) {
      return true;
    }
  }
  return false;
}

bool system_forwarding_is(bool on) {
  for (size_t i = 0; i < sizeof(forwarding_paths) / sizeof(forwarding_paths[0]); i++) {
    char value[VALUE_ROOM];
    if (read_setting(forwarding_paths[i], value) == 0 && (strcmp(value, "0") != 0) != on) {
      return false;
    }
  }
  return true;
}

struct checking {
  struct arena *arena;
  struct system_report *report;
  size_t capacity;
};

static int check_one(void *context, const struct setting *setting, const char *path) {
  struct checking *checking = context;
  struct system_report *report = checking->report;
  char found[VALUE_ROOM] = "";
  int status = read_setting(path, found);
  if (status == -ENOENT || (status == 0 && is_right(setting, found))) {
    return 0;
  }
  if (arena_grow(checking->arena, (void **)&report->faults, report->count, &checking->capacity,
                 sizeof(*report->faults)) < 0) {
    return -ENOMEM;
  }
  report->faults[report->count++] = (struct system_fault){.path = arena_strdup(checking->arena, path),
                                                          .found = arena_strdup(checking->arena, found),
                                                          .wanted = setting->value};
  return 0;
}

int system_check(struct arena *arena, struct system_report *ret_report, struct error *error) {
  struct system_report report = {0};
  struct checking checking = {.arena = arena, .report = &report};
  if (visit_all(check_one, &checking) < 0 || arena_failed(arena)) {
    return error_set(error, ENOMEM, "no memory for the settings of the kernel");
  }
  *ret_report = report;
  return 0;
}
