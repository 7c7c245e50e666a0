/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "events/settings.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

enum { GROUP_KEYS = 8, NAME_SIZE = 40 };

/* Where a value goes. */
struct target {
  struct arena *arena;
  struct scribe_settings *settings;
};

struct sink_key {
  const char *name;
  int type;
  const char *expected;
  bool (*take)(const config_setting_t *value, const struct target *target);
};

struct sink_group {
  char name[NAME_SIZE]; /* "sinks.syslog" */
  struct sink_key keys[GROUP_KEYS];
};

/* ---- values ---- */

static bool take_text(const config_setting_t *value, const struct target *target, bool is_path, const char **ret_text) {
  const char *text = config_setting_get_string(value);
  bool good = text && (is_path ? text[0] == '/' : text[0] != '\0');
  const char *copy = good ? arena_strdup(target->arena, text) : NULL;
  if (copy) {
    *ret_text = copy;
  }
  return copy != NULL;
}

static bool take_number(const config_setting_t *value, int least, int most, unsigned *ret_number) {
  int number = config_setting_get_int(value);
  if (number < least || number > most) {
    return false;
  }
  *ret_number = (unsigned)number;
  return true;
}

static bool take_megabytes(const config_setting_t *value, int least, uint64_t *ret_bytes) {
  unsigned megabytes;
  if (!take_number(value, least, 1024 * 1024, &megabytes)) {
    return false;
  }
  *ret_bytes = (uint64_t)megabytes * 1024 * 1024;
  return true;
}

/* The index of a word in a list; `count` when it is not there. */
static size_t find_word(const config_setting_t *value, const char *const *words, size_t count) {
  const char *text = config_setting_get_string(value);
  size_t i = 0;
  while (i < count && (!text || strcmp(words[i], text) != 0)) {
    i++;
  }
  return i;
}

/* ---- keys ---- */

static bool take_days(const config_setting_t *value, const struct target *target) {
  return take_number(value, 1, 36500, &target->settings->log_days);
}

static bool take_log_size(const config_setting_t *value, const struct target *target) {
  return take_megabytes(value, 1, &target->settings->log_bytes);
}

static bool take_journal(const config_setting_t *value, const struct target *target) {
  target->settings->journal = config_setting_get_bool(value) != 0;
  return true;
}

static bool take_metrics(const config_setting_t *value, const struct target *target) {
  return take_text(value, target, true, &target->settings->metrics);
}

static bool take_transport(const config_setting_t *value, const struct target *target) {
  static const char *const words[] = {
      [SYSLOG_NONE] = "none", [SYSLOG_LOCAL] = "local", [SYSLOG_TCP] = "tcp", [SYSLOG_TLS] = "tls"};
  size_t found = find_word(value, words, sizeof words / sizeof words[0]);
  target->settings->syslog.transport = (enum syslog_transport)found;
  return found < sizeof words / sizeof words[0];
}

static bool take_server(const config_setting_t *value, const struct target *target) {
  return take_text(value, target, false, &target->settings->syslog.server);
}

static bool take_port(const config_setting_t *value, const struct target *target) {
  unsigned port = 0;
  bool good = take_number(value, 1, UINT16_MAX, &port);
  target->settings->syslog.port = (uint16_t)port;
  return good;
}

static bool take_authorities(const config_setting_t *value, const struct target *target) {
  return take_text(value, target, true, &target->settings->syslog.authorities);
}

static bool take_name(const config_setting_t *value, const struct target *target) {
  return take_text(value, target, false, &target->settings->syslog.name);
}

static bool take_heartbeat(const config_setting_t *value, const struct target *target) {
  return take_number(value, 1, 86400, &target->settings->syslog.heartbeat);
}

static bool take_program(const config_setting_t *value, const struct target *target) {
  return take_text(value, target, true, &target->settings->hook.program);
}

static bool take_severity(const config_setting_t *value, const struct target *target) {
  const char *text = config_setting_get_string(value);
  return text && event_severity_parse(text, &target->settings->hook.least);
}

static bool take_seconds(const config_setting_t *value, const struct target *target) {
  return take_number(value, 1, 600, &target->settings->hook.seconds);
}

static bool take_extent(const config_setting_t *value, const struct target *target) {
  static const char *const words[] = {
      [EVIDENCE_NONE] = "nothing", [EVIDENCE_HEADERS] = "headers", [EVIDENCE_FRAMES] = "frames"};
  size_t found = find_word(value, words, sizeof words / sizeof words[0]);
  target->settings->evidence.extent = (enum evidence_extent)found;
  return found < sizeof words / sizeof words[0];
}

static bool take_evidence_size(const config_setting_t *value, const struct target *target) {
  return take_megabytes(value, 1, &target->settings->evidence.bytes);
}

static bool take_frames(const config_setting_t *value, const struct target *target) {
  return take_number(value, 1, 10000, &target->settings->evidence.frames);
}

static const struct sink_group groups[] = {
    {"events",
     {{"days", CONFIG_TYPE_INT, "a number of days from 1 to 36500", take_days},
      {"megabytes", CONFIG_TYPE_INT, "a number of megabytes, at least 1", take_log_size}}},
    {"sinks",
     {{"syslog", CONFIG_TYPE_GROUP, "a group: { transport = ...; }", NULL},
      {"journal", CONFIG_TYPE_BOOL, "true or false", take_journal},
      {"hook", CONFIG_TYPE_GROUP, "a group: { program = ...; }", NULL},
      {"metrics", CONFIG_TYPE_STRING, "an absolute path of a directory", take_metrics}}},
    {"sinks.syslog",
     {{"transport", CONFIG_TYPE_STRING, "\"none\", \"local\", \"tcp\" or \"tls\"", take_transport},
      {"server", CONFIG_TYPE_STRING, "a name or an address", take_server},
      {"port", CONFIG_TYPE_INT, "a number from 1 to 65535", take_port},
      {"authorities", CONFIG_TYPE_STRING, "an absolute path", take_authorities},
      {"name", CONFIG_TYPE_STRING, "the name in the server's certificate", take_name},
      {"heartbeat", CONFIG_TYPE_INT, "a number of seconds from 1 to 86400", take_heartbeat}}},
    {"sinks.hook",
     {{"program", CONFIG_TYPE_STRING, "an absolute path", take_program},
      {"severity", CONFIG_TYPE_STRING, "\"critical\", \"warning\", \"notice\" or \"info\"", take_severity},
      {"seconds", CONFIG_TYPE_INT, "a number of seconds from 1 to 600", take_seconds}}},
    {"evidence",
     {{"keep", CONFIG_TYPE_STRING, "\"headers\", \"frames\" or \"nothing\"", take_extent},
      {"megabytes", CONFIG_TYPE_INT, "a number of megabytes, at least 1", take_evidence_size},
      {"frames", CONFIG_TYPE_INT, "a number from 1 to 10000", take_frames}}},
};

enum { GROUP_COUNT = sizeof groups / sizeof groups[0] };

/* ---- groups ---- */

/* parent NULL: at the top of the file. */
static const struct sink_group *find_group(const char *parent, const char *name) {
  char full[NAME_SIZE];
  snprintf(full, sizeof full, "%.15s%s%.20s", parent ? parent : "", parent ? "." : "", name);
  for (size_t i = 0; i < GROUP_COUNT; i++) {
    if (strcmp(full, groups[i].name) == 0) {
      return &groups[i];
    }
  }
  return NULL;
}

static const struct sink_key *find_key(const struct sink_group *group, const char *name) {
  for (size_t i = 0; i < GROUP_KEYS && group->keys[i].name; i++) {
    if (strcmp(group->keys[i].name, name) == 0) {
      return &group->keys[i];
    }
  }
  return NULL;
}

static int unknown_key(const char *path, const struct sink_group *group, const config_setting_t *setting,
                       struct error *error) {
  const char *names[GROUP_KEYS];
  size_t count = 0;
  while (count < GROUP_KEYS && group->keys[count].name) {
    names[count] = group->keys[count].name;
    count++;
  }
  const char *name = config_setting_name(setting), *nearest = text_nearest(name, names, count);
  return error_set(error, EINVAL, "%s:%u: unknown setting '%.60s' in %s%s%s%s", path,
                   config_setting_source_line(setting), name, group->name, nearest ? "; did you mean '" : "",
                   nearest ? nearest : "", nearest ? "'?" : "");
}

static int take_group(const char *path, const struct sink_group *group, const config_setting_t *setting,
                      const struct target *target, struct error *error);

static int take_member(const char *path, const struct sink_group *group, const config_setting_t *member,
                       const struct target *target, struct error *error) {
  const char *name = config_setting_name(member);
  const struct sink_key *key = find_key(group, name);
  if (!key) {
    return unknown_key(path, group, member, error);
  }
  bool good = config_setting_type(member) == key->type;
  if (good && key->type == CONFIG_TYPE_GROUP) {
    return take_group(path, find_group(group->name, name), member, target, error);
  }
  if (!good || !key->take(member, target)) {
    return error_set(error, EINVAL, "%s:%u: '%s' is %s", path, config_setting_source_line(member), name, key->expected);
  }
  return 0;
}

static int take_group(const char *path, const struct sink_group *group, const config_setting_t *setting,
                      const struct target *target, struct error *error) {
  int result = 0;
  for (unsigned i = 0; result == 0 && i < (unsigned)config_setting_length(setting); i++) {
    result = take_member(path, group, config_setting_get_elem(setting, i), target, error);
  }
  return result;
}

/* What belongs together. */
static int check(const char *path, const config_setting_t *group, const struct syslog_settings *syslog,
                 struct error *error) {
  unsigned line = config_setting_source_line(group);
  bool far = syslog->transport == SYSLOG_TCP || syslog->transport == SYSLOG_TLS;
  if (far && !syslog->server) {
    return error_set(error, EINVAL, "%s:%u: syslog over tcp or tls needs a 'server'", path, line);
  }
  if (syslog->transport == SYSLOG_TLS && !syslog->authorities) {
    return error_set(error, EINVAL, "%s:%u: syslog over tls needs 'authorities'", path, line);
  }
  return 0;
}

bool event_settings_has(const char *name) {
  return find_group(NULL, name) != NULL && strchr(name, '.') == NULL;
}

int event_settings_take(const config_setting_t *group, const char *path, struct arena *arena,
                        struct scribe_settings *settings, struct error *error) {
  const struct sink_group *found = find_group(NULL, config_setting_name(group));
  if (config_setting_type(group) != CONFIG_TYPE_GROUP) {
    return error_set(error, EINVAL, "%s:%u: '%s' is a group: { ... }", path, config_setting_source_line(group),
                     config_setting_name(group));
  }
  struct target target = {arena, settings};
  int result = take_group(path, found, group, &target, error);
  return result < 0 ? result : check(path, group, &settings->syslog, error);
}
