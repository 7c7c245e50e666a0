/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/settings.h"

#include <errno.h>
#include <libconfig.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"
#include "events/settings.h"

enum { SETTINGS_LIMIT = 1024 * 1024 };

/* One key: its type and what to do with its value. */
struct key {
  const char *name;
  int type;
  const char *expected;
  bool (*take)(const config_setting_t *value, struct arena *arena, struct settings *settings);
};

static bool take_path(const config_setting_t *value, struct arena *arena, const char **ret_path) {
  const char *text = config_setting_get_string(value);
  const char *copy = text && text[0] == '/' ? arena_strdup(arena, text) : NULL;
  if (copy) {
    *ret_path = copy;
  }
  return copy != NULL;
}

static bool take_policy(const config_setting_t *value, struct arena *arena, struct settings *settings) {
  return take_path(value, arena, &settings->policy);
}

static bool take_state_directory(const config_setting_t *value, struct arena *arena, struct settings *settings) {
  return take_path(value, arena, &settings->state_directory);
}

static bool take_run_directory(const config_setting_t *value, struct arena *arena, struct settings *settings) {
  return take_path(value, arena, &settings->run_directory);
}

static bool take_repair(const config_setting_t *value, struct arena *arena, struct settings *settings) {
  (void)arena;
  settings->repair = config_setting_get_bool(value) != 0;
  return true;
}

static bool take_table_owner(const config_setting_t *value, struct arena *arena, struct settings *settings) {
  (void)arena;
  settings->table_owner = config_setting_get_bool(value) != 0;
  return true;
}

static bool take_denied_log_group(const config_setting_t *value, struct arena *arena, struct settings *settings) {
  (void)arena;
  int group = config_setting_get_int(value);
  if (group < 0 || group > UINT16_MAX) {
    return false;
  }
  settings->denied_log_group = (uint16_t)group;
  return true;
}

static bool take_prove_interval(const config_setting_t *value, struct arena *arena, struct settings *settings) {
  (void)arena;
  int seconds = config_setting_get_int(value);
  if (seconds < PROVE_INTERVAL_MIN || seconds > PROVE_INTERVAL_MAX) {
    return false;
  }
  settings->prove_interval = (uint64_t)seconds;
  return true;
}

static bool take_language(const config_setting_t *value, struct arena *arena, struct settings *settings) {
  (void)arena;
  const char *text = config_setting_get_string(value);
  if (!text || (strcmp(text, "ja") != 0 && strcmp(text, "en") != 0)) {
    return false;
  }
  settings->language = text[0] == 'j' ? LANGUAGE_JAPANESE : LANGUAGE_ENGLISH;
  settings->language_set = true;
  return true;
}

static const struct key keys[] = {
    {"policy", CONFIG_TYPE_STRING, "an absolute path", take_policy},
    {"state_directory", CONFIG_TYPE_STRING, "an absolute path", take_state_directory},
    {"run_directory", CONFIG_TYPE_STRING, "an absolute path", take_run_directory},
    {"repair", CONFIG_TYPE_BOOL, "true or false", take_repair},
    {"table_owner", CONFIG_TYPE_BOOL, "true or false", take_table_owner},
    {"denied_log_group", CONFIG_TYPE_INT, "a number from 0 to 65535", take_denied_log_group},
    {"prove_interval", CONFIG_TYPE_INT, "a number of seconds from 5 to 86400", take_prove_interval},
    {"language", CONFIG_TYPE_STRING, "\"ja\" or \"en\"", take_language},
};

enum { KEY_COUNT = sizeof keys / sizeof keys[0] };

struct settings settings_defaults(void) {
  return (struct settings){.policy = "/etc/kido/policy.conf",
                           .state_directory = "/var/lib/kido",
                           .run_directory = "/run/kido",
                           .repair = true,
                           .prove_interval = PROVE_INTERVAL_DEFAULT,
                           .scribe = scribe_settings_defaults()};
}

static int unknown_key(const char *path, unsigned line, const char *name, struct error *error) {
  const char *names[KEY_COUNT];
  for (size_t i = 0; i < KEY_COUNT; i++) {
    names[i] = keys[i].name;
  }
  const char *nearest = text_nearest(name, names, KEY_COUNT);
  return error_set(error, EINVAL, "%s:%u: unknown setting '%.60s'%s%s%s", path, line, name,
                   nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
}

static int take_setting(const char *path, const config_setting_t *setting, struct arena *arena,
                        struct settings *settings, struct error *error) {
  const char *name = config_setting_name(setting);
  unsigned line = config_setting_source_line(setting);
  for (size_t i = 0; i < KEY_COUNT; i++) {
    if (strcmp(keys[i].name, name) != 0) {
      continue;
    }
    if (config_setting_type(setting) != keys[i].type || !keys[i].take(setting, arena, settings)) {
      return error_set(error, EINVAL, "%s:%u: '%s' is %s", path, line, name, keys[i].expected);
    }
    return 0;
  }
  if (event_settings_has(name) && strcmp(name, "evidence") != 0) { /* evidence is kidoban's */
    return event_settings_take(setting, path, arena, &settings->scribe, error);
  }
  return unknown_key(path, line, name, error);
}

static int parse(const char *path, config_t *config, FILE *stream, struct arena *arena, struct settings *settings,
                 struct error *error) {
  if (config_read(config, stream) != CONFIG_TRUE) {
    return error_set(error, EINVAL, "%s:%d: %s", path, config_error_line(config), config_error_text(config));
  }
  const config_setting_t *root = config_root_setting(config);
  for (unsigned i = 0; i < (unsigned)config_setting_length(root); i++) {
    int result = take_setting(path, config_setting_get_elem(root, i), arena, settings, error);
    if (result < 0) {
      return result;
    }
  }
  return 0;
}

static int check_file(const char *path, FILE *stream, struct error *error) {
  struct stat status;
  if (fstat(fileno(stream), &status) < 0 || !S_ISREG(status.st_mode) || status.st_size > SETTINGS_LIMIT) {
    return error_set(error, EINVAL, "%s: not a regular file of at most %d bytes", path, SETTINGS_LIMIT);
  }
  return 0;
}

int settings_read(const char *path, struct arena *arena, struct settings *settings, struct error *error) {
  FILE *stream = fopen(path, "re");
  if (!stream) {
    return error_set(error, errno, "%s: %s", path, strerror(errno));
  }
  struct settings read = *settings;
  config_t config;
  config_init(&config);
  int result = check_file(path, stream, error);
  if (result == 0) {
    result = parse(path, &config, stream, arena, &read, error);
  }
  config_destroy(&config);
  fclose(stream);
  if (result == 0) {
    *settings = read;
  }
  return result;
}
