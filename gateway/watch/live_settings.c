/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One table of keys for each group. A reader takes one value, or says no; what it expected stands in the table, and
 * where it stood is known to libconfig.
 */
#include "watch/live_settings.h"

#include <errno.h>
#include <libconfig.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"
#include "events/settings.h"

enum { SETTINGS_LIMIT = 1024 * 1024, KEYS_MOST = 32 };

/* What a reader works on. A group of the list `wires` has its own `wire`. */
struct reading {
  const char *path;
  struct arena *arena;
  struct live_settings *settings;
  struct wire_settings *wire;
  struct error *error;
};

struct key {
  const char *name;
  int type;
  const char *expected;
  bool (*take)(const config_setting_t *value, struct reading *reading);
};

static int take_keys(const config_setting_t *group, const struct key *keys, size_t count, struct reading *reading);

/* ---- values ---- */

static bool take_text(const config_setting_t *value, struct reading *reading, size_t most, const char **ret_text) {
  const char *text = config_setting_get_string(value);
  const char *copy = text != NULL && text[0] != '\0' && strlen(text) < most ? arena_strdup(reading->arena, text) : NULL;
  if (copy != NULL)
    *ret_text = copy;
  return copy != NULL;
}

static bool take_path(const config_setting_t *value, struct reading *reading, const char **ret_path) {
  const char *text = config_setting_get_string(value);
  return text != NULL && text[0] == '/' && take_text(value, reading, SIZE_MAX, ret_path);
}

static bool take_number(const config_setting_t *value, int least, int most, int *ret_number) {
  int number = config_setting_get_int(value);
  if (number < least || number > most)
    return false;
  *ret_number = number;
  return true;
}

/* ---- one wire ---- */

static bool take_interface(const config_setting_t *value, struct reading *reading) {
  return take_text(value, reading, IFNAMSIZ, &reading->wire->interface);
}

static bool take_zone(const config_setting_t *value, struct reading *reading) {
  return take_text(value, reading, 64, &reading->wire->zone);
}

static bool take_vantage(const config_setting_t *value, struct reading *reading) {
  return vantage_parse(config_setting_get_string(value), &reading->wire->vantage);
}

static bool take_presence(const config_setting_t *value, struct reading *reading) {
  return presence_parse(config_setting_get_string(value), &reading->wire->presence);
}

static bool take_canary(const config_setting_t *value, struct reading *reading) {
  reading->wire->canary = config_setting_get_bool(value) != 0 ? CANARY_ALWAYS : CANARY_NEVER;
  return true;
}

static bool take_gateway_macs(const config_setting_t *value, struct reading *reading) {
  struct wire_settings *wire = reading->wire;
  int count = config_setting_length(value);
  if (count > WIRE_SETTINGS_MACS)
    return false;
  for (int i = 0; i < count; i++) {
    const char *text = config_setting_get_string_elem(value, i);
    if (text == NULL || !mac_parse(text, &wire->gateway_macs[i]))
      return false;
  }
  wire->gateway_mac_count = (size_t)count;
  return true;
}

static const struct key wire_keys[] = {
    {"interface", CONFIG_TYPE_STRING, "the name of an interface", take_interface},
    {"zone", CONFIG_TYPE_STRING, "the name of a zone", take_zone},
    {"vantage", CONFIG_TYPE_STRING, "\"port\", \"mirror\" or \"tap\"", take_vantage},
    {"presence", CONFIG_TYPE_STRING, "\"always\" or \"sometimes\"", take_presence},
    {"canary", CONFIG_TYPE_BOOL, "true or false", take_canary},
    {"gateway_macs", CONFIG_TYPE_ARRAY, "at most 8 MAC addresses in [ ]", take_gateway_macs},
};

/* ---- all of them ---- */

static int wrong_wire(const config_setting_t *group, struct reading *reading, const char *why, const char *name) {
  return error_set(reading->error, EINVAL, "%s:%u: %s%.60s", reading->path, config_setting_source_line(group), why,
                   name);
}

static int take_wire(const config_setting_t *group, struct reading *reading) {
  struct live_settings *settings = reading->settings;
  if (config_setting_type(group) != CONFIG_TYPE_GROUP)
    return wrong_wire(group, reading, "'wires' is a list of groups: ", "( { interface = ...; }, ... )");
  reading->wire = &settings->wires[settings->wire_count];
  *reading->wire = (struct wire_settings){.canary = CANARY_BY_CLASS};
  int result = take_keys(group, wire_keys, sizeof wire_keys / sizeof wire_keys[0], reading);
  if (result < 0)
    return result;
  if (reading->wire->interface == NULL)
    return wrong_wire(group, reading, "a wire without 'interface'", "");
  if (live_settings_wire(settings, reading->wire->interface) != NULL)
    return wrong_wire(group, reading, "a second wire of interface ", reading->wire->interface);
  settings->wire_count++;
  return 0;
}

static bool take_wires(const config_setting_t *value, struct reading *reading) {
  int count = config_setting_length(value);
  struct live_settings *settings = reading->settings;
  if (count > WIRE_SETTINGS_MOST)
    return false;
  settings->wires = arena_alloc(reading->arena, sizeof *settings->wires * ((size_t)count + 1));
  settings->wire_count = 0;
  int result = settings->wires != NULL ? 0 : error_set(reading->error, ENOMEM, "no memory for the settings");
  for (int i = 0; i < count && result == 0; i++)
    result = take_wire(config_setting_get_elem(value, (unsigned)i), reading);
  return result == 0;
}

static bool take_policy(const config_setting_t *value, struct reading *reading) {
  return take_path(value, reading, &reading->settings->policy);
}

static bool take_state_directory(const config_setting_t *value, struct reading *reading) {
  return take_path(value, reading, &reading->settings->state_directory);
}

static bool take_run_directory(const config_setting_t *value, struct reading *reading) {
  return take_path(value, reading, &reading->settings->run_directory);
}

static bool take_sandbox(const config_setting_t *value, struct reading *reading) {
  reading->settings->sandbox = config_setting_get_bool(value) != 0;
  return true;
}

static bool take_user(const config_setting_t *value, struct reading *reading) {
  return take_text(value, reading, 64, &reading->settings->user);
}

static bool take_buffer(const config_setting_t *value, struct reading *reading) {
  int megabytes;
  if (!take_number(value, 1, LIVE_BUFFER_MOST, &megabytes))
    return false;
  reading->settings->buffer = (unsigned)megabytes;
  return true;
}

static bool take_canary_interval(const config_setting_t *value, struct reading *reading) {
  return take_number(value, CANARY_MILLISECONDS_LEAST, CANARY_MILLISECONDS_MOST,
                     &reading->settings->canary_milliseconds);
}

static bool take_prefilter(const config_setting_t *value, struct reading *reading) {
  reading->settings->without_prefilter = config_setting_get_bool(value) == 0;
  return true;
}

static bool take_language(const config_setting_t *value, struct reading *reading) {
  const char *text = config_setting_get_string(value);
  if (strcmp(text, "ja") != 0 && strcmp(text, "en") != 0)
    return false;
  reading->settings->language = text[0] == 'j' ? LANGUAGE_JAPANESE : LANGUAGE_ENGLISH;
  reading->settings->language_set = true;
  return true;
}

static const struct key keys[] = {
    {"policy", CONFIG_TYPE_STRING, "an absolute path", take_policy},
    {"state_directory", CONFIG_TYPE_STRING, "an absolute path", take_state_directory},
    {"run_directory", CONFIG_TYPE_STRING, "an absolute path", take_run_directory},
    {"sandbox", CONFIG_TYPE_BOOL, "true or false", take_sandbox},
    {"user", CONFIG_TYPE_STRING, "the name of a user", take_user},
    {"buffer", CONFIG_TYPE_INT, "a number of megabytes from 1 to 2047", take_buffer},
    {"canary_interval", CONFIG_TYPE_INT, "a number of milliseconds from 100 to 60000", take_canary_interval},
    {"prefilter", CONFIG_TYPE_BOOL, "true or false", take_prefilter},
    {"language", CONFIG_TYPE_STRING, "\"ja\" or \"en\"", take_language},
    {"wires", CONFIG_TYPE_LIST, "a list of at most 256 groups", take_wires},
};

/* ---- groups ---- */

static int unknown_key(const config_setting_t *setting, const struct key *known, size_t count,
                       struct reading *reading) {
  const char *names[KEYS_MOST], *name = config_setting_name(setting);
  for (size_t i = 0; i < count; i++)
    names[i] = known[i].name;
  const char *nearest = text_nearest(name, names, count);
  return error_set(reading->error, EINVAL, "%s:%u: unknown setting '%.60s'%s%s%s", reading->path,
                   config_setting_source_line(setting), name, nearest != NULL ? "; did you mean '" : "",
                   nearest != NULL ? nearest : "", nearest != NULL ? "'?" : "");
}

static int take_key(const config_setting_t *setting, const struct key *known, size_t count, struct reading *reading) {
  if (known == keys && event_settings_has(config_setting_name(setting)))
    return event_settings_take(setting, reading->path, reading->arena, &reading->settings->scribe, reading->error);
  for (size_t i = 0; i < count; i++) {
    if (strcmp(known[i].name, config_setting_name(setting)) != 0)
      continue;
    *reading->error = (struct error){0};
    if (config_setting_type(setting) == known[i].type && known[i].take(setting, reading))
      return 0;
    if (reading->error->code != 0)
      return -reading->error->code; /* something within it */
    return error_set(reading->error, EINVAL, "%s:%u: '%s' is %s", reading->path, config_setting_source_line(setting),
                     known[i].name, known[i].expected);
  }
  return unknown_key(setting, known, count, reading);
}

static int take_keys(const config_setting_t *group, const struct key *known, size_t count, struct reading *reading) {
  int result = 0;
  for (unsigned i = 0; i < (unsigned)config_setting_length(group) && result == 0; i++)
    result = take_key(config_setting_get_elem(group, i), known, count, reading);
  return result;
}

/* ---- the file ---- */

static int parse(config_t *config, FILE *stream, struct reading *reading) {
  if (config_read(config, stream) != CONFIG_TRUE)
    return error_set(reading->error, EINVAL, "%s:%d: %s", reading->path, config_error_line(config),
                     config_error_text(config));
  return take_keys(config_root_setting(config), keys, sizeof keys / sizeof keys[0], reading);
}

static int check_file(const char *path, FILE *stream, struct error *error) {
  struct stat status;
  if (fstat(fileno(stream), &status) < 0 || !S_ISREG(status.st_mode) || status.st_size > SETTINGS_LIMIT)
    return error_set(error, EINVAL, "%s: not a regular file of at most %d bytes", path, SETTINGS_LIMIT);
  return 0;
}

int live_settings_read(const char *path, struct arena *arena, struct live_settings *settings, struct error *error) {
  struct error why = {0};
  FILE *stream = fopen(path, "re");
  if (stream == NULL)
    return error_set(error, errno, "%s: %s", path, strerror(errno));
  struct live_settings read = *settings;
  struct reading reading = {.path = path, .arena = arena, .settings = &read, .error = &why};
  config_t config;
  config_init(&config);
  int result = check_file(path, stream, &why);
  if (result == 0)
    result = parse(&config, stream, &reading);
  config_destroy(&config);
  fclose(stream);
  if (result == 0)
    *settings = read;
  else if (error != NULL)
    *error = why;
  return result;
}

struct live_settings live_settings_defaults(void) {
  return (struct live_settings){
      .sandbox = true, .canary_milliseconds = CANARY_MILLISECONDS_DEFAULT, .scribe = scribe_settings_defaults()};
}

const struct wire_settings *live_settings_wire(const struct live_settings *settings, const char *interface) {
  for (size_t i = 0; i < settings->wire_count; i++)
    if (strcmp(settings->wires[i].interface, interface) == 0)
      return &settings->wires[i];
  return NULL;
}
