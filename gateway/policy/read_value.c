/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "policy/reader.h"

enum { TEXT_LIMIT = 4096, INTERFACE_NAME_LIMIT = 15 };

/* ---- what stands there ---- */

struct type_name {
  const char *japanese, *english;
};

static struct type_name type_name(const config_setting_t *setting) {
  static const struct type_name names[] = {
      [CONFIG_TYPE_NONE] = {"空", "nothing"},
      [CONFIG_TYPE_GROUP] = {"{ … }", "a group"},
      [CONFIG_TYPE_INT] = {"整数", "an integer"},
      [CONFIG_TYPE_INT64] = {"整数", "an integer"},
      [CONFIG_TYPE_FLOAT] = {"小数", "a number with a fraction"},
      [CONFIG_TYPE_STRING] = {"文字列", "a string"},
      [CONFIG_TYPE_BOOL] = {"真偽値", "true or false"},
      [CONFIG_TYPE_ARRAY] = {"[ … ]", "an array"},
      [CONFIG_TYPE_LIST] = {"( … )", "a list"},
  };
  return names[config_setting_type(setting)];
}

void reader_wrong_type(struct reader *reader, const config_setting_t *setting) {
  const struct schema_key *key = reader->key;
  enum language language = reader->diagnostics->language;
  struct type_name found = type_name(setting);
  struct diagnostic *diagnostic = PROBLEM(reader, "P03", reader_place_of(reader, setting, key->name),
                                          "「%s」の値の型が違います（%s）", "'%s' has the wrong type of value (%s)",
                                          key->name, language_choose(language, found.japanese, found.english));
  if (key->choices)
    HINT(reader, diagnostic, "引用符で囲んだ語を一つ書いてください", "write one word between quotes");
  else
    HINT(reader, diagnostic, "%sを書いてください", "write %s",
         language_choose(language, schema_kind_label_ja(key->kind), schema_kind_label_en(key->kind)));
}

static const char *find_control(const char *text) {
  for (; *text; text++)
    if (((unsigned char)*text < 0x20 && *text != '\n' && *text != '\t') || *text == 0x7f)
      return text;
  return NULL;
}

/* Escapes (\xNN) can make bytes that the file itself does not hold. */
static bool check_text(struct reader *reader, config_setting_t *setting, const char *text) {
  size_t length = strlen(text), offset;
  const char *key = reader->key->name, *control = find_control(text);
  bool well_formed = text_is_utf8(text, length, &offset);
  if (well_formed && !control && length <= TEXT_LIMIT)
    return true;
  struct place place = reader_place_of(reader, setting, key);
  if (!well_formed)
    PROBLEM(reader, "P08", place, "「%s」の文字列が UTF-8 ではありません（%zu バイト目）",
            "the string of '%s' is not UTF-8 (byte %zu)", key, offset + 1);
  else if (control)
    PROBLEM(reader, "P08", place, "「%s」の文字列に制御文字 0x%02x があります",
            "the string of '%s' holds the control character 0x%02x", key, (unsigned)(unsigned char)*control);
  else
    PROBLEM(reader, "P14", place, "「%s」の文字列が長すぎます（%zu バイト、上限は %d バイト）",
            "the string of '%s' is too long (%zu bytes; at most %d)", key, length, TEXT_LIMIT);
  return false;
}

const char *reader_string(struct reader *reader, config_setting_t *setting) {
  if (config_setting_type(setting) != CONFIG_TYPE_STRING) {
    reader_wrong_type(reader, setting);
    return NULL;
  }
  const char *text = config_setting_get_string(setting);
  return text && check_text(reader, setting, text) ? text : NULL;
}

int reader_list_length(struct reader *reader, config_setting_t *setting) {
  if (config_setting_is_array(setting) || config_setting_is_list(setting))
    return config_setting_length(setting);
  if (config_setting_type(setting) == CONFIG_TYPE_STRING ||
      (config_setting_is_group(setting) && reader->key->kind == KIND_WINDOWS))
    return 1;
  reader_wrong_type(reader, setting);
  return -1;
}

config_setting_t *reader_list_item(config_setting_t *setting, int index) {
  if (config_setting_is_array(setting) || config_setting_is_list(setting))
    return config_setting_get_elem(setting, (unsigned)index);
  return setting;
}

static void *field(void *object, uint16_t offset) {
  return (char *)object + offset;
}

/* ---- text ---- */

static bool is_blank(const char *text) {
  return text[strspn(text, " \t\n")] == '\0';
}

/* Blank text is no text: nobody may approve "". */
static void read_text_value(struct reader *reader, const struct schema_key *key, config_setting_t *setting,
                            void *object) {
  struct text *text = field(object, key->offset);
  const char *value = reader_string(reader, setting);
  text->place = reader_place(reader, setting);
  if (!value)
    return;
  if (!is_blank(value))
    text->text = reader_keep(reader, value, strlen(value));
  else if (key->required)
    PROBLEM(reader, "P05", reader_place_of(reader, setting, key->name), "「%s」が空です", "'%s' is empty", key->name);
}

static void read_word(struct reader *reader, const struct schema_key *key, config_setting_t *setting, void *object) {
  const char *value = reader_string(reader, setting);
  struct text *text = field(object, key->offset);
  if (!value)
    return;
  if (value[0] == '\0' || value[strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789-_.")] != '\0') {
    PROBLEM(reader, "P04", reader_place_of(reader, setting, value),
            "「%s」: 「%s」は英小文字、数字、「-」「_」「.」の語ではありません",
            "%s: '%s' is not a word of lower-case letters, digits, '-', '_' and '.'", key->name, value);
    return;
  }
  *text = (struct text){reader_keep(reader, value, strlen(value)), reader_place(reader, setting)};
}

static void read_string(struct reader *reader, const struct schema_key *key, config_setting_t *setting, void *object) {
  const char **target = field(object, key->offset);
  const char *value = reader_string(reader, setting);
  if (!value)
    return;
  if (!is_blank(value))
    *target = reader_keep(reader, value, strlen(value));
  else if (key->required)
    PROBLEM(reader, "P05", reader_place_of(reader, setting, key->name), "「%s」が空です", "'%s' is empty", key->name);
}

/* ---- lists of strings ---- */

static void refuse_empty_list(struct reader *reader, const struct schema_key *key, const config_setting_t *setting) {
  PROBLEM(reader, "P05", reader_place_of(reader, setting, key->name), "「%s」が空です", "'%s' is empty", key->name);
}

/* Calls `read` with each string; the array in the object is made with room for all of them. */
typedef bool read_item(struct reader *reader, config_setting_t *setting, const char *text, void *items, size_t count);

static void read_list(struct reader *reader, const struct schema_key *key, config_setting_t *setting, void *object,
                      size_t item_size, read_item *read) {
  void **items = field(object, key->offset);
  size_t *count = field(object, key->count_offset);
  int length = reader_list_length(reader, setting);
  if (length == 0 && key->required)
    refuse_empty_list(reader, key, setting);
  if (length <= 0 || !(*items = reader_array(reader, (size_t)length, item_size)))
    return;
  for (int i = 0; i < length; i++) {
    config_setting_t *item = reader_list_item(setting, i);
    const char *text = reader_string(reader, item);
    if (text && read(reader, item, text, *items, *count))
      (*count)++;
  }
}

static bool add_text(struct reader *reader, config_setting_t *setting, const char *text, void *items, size_t count) {
  struct text *texts = items;
  for (size_t i = 0; i < count && i < 256; i++)
    if (strcmp(texts[i].text, text) == 0) {
      reader_twice(reader, setting, text, texts[i].place);
      return false;
    }
  texts[count] = (struct text){reader_keep(reader, text, strlen(text)), reader_place(reader, setting)};
  return true;
}

static bool is_interface_name(const char *name) {
  if (name[0] == '\0' || strlen(name) > INTERFACE_NAME_LIMIT || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
    return false;
  for (; *name; name++)
    if (*name <= ' ' || *name > '~' || strchr("/:\"*?\\", *name))
      return false;
  return true;
}

static bool add_interface(struct reader *reader, config_setting_t *setting, const char *text, void *items,
                          size_t count) {
  if (is_interface_name(text) && strcmp(text, "lo") != 0)
    return add_text(reader, setting, text, items, count);
  struct diagnostic *diagnostic =
      PROBLEM(reader, "P04", reader_place_of(reader, setting, text), "「%s」はインターフェース名になりません",
              "'%s' cannot be the name of an interface", text);
  HINT(reader, diagnostic, "15 文字以内の名前を一つずつ書いてください（「ip link」に出る名前。lo と「*」は使えません）",
       "write each name as 'ip link' shows it, at most 15 characters; not lo, no '*'");
  return false;
}

/* ---- addresses ---- */

struct phrase {
  const char *english, *japanese;
};

/* What range_parse() says, for those who read Japanese. */
static const char *range_reason(const struct reader *reader, const char *english) {
  static const struct phrase phrases[] = {
      {"not an IP address", "IP アドレスの形ではありません"},
      {"the prefix length is not a number in range", "プレフィックス長が範囲外"},
      {"host bits are set behind the prefix", "ホスト部が 0 ではありません"},
      {"the range mixes IPv4 and IPv6", "IPv4 と IPv6 の混在"},
      {"the range ends before it begins", "範囲の始まりと終わりが逆"},
      {"a range where a prefix is needed", "範囲は書けません。CIDR で書いてください"},
  };
  for (size_t i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++)
    if (english && strcmp(phrases[i].english, english) == 0)
      return language_choose(reader->diagnostics->language, phrases[i].japanese, english);
  return english ? english : "";
}

/* The network that was probably meant by "10.2.0.1/24"; false when there is none. */
static bool network_of(const char *text, char network[static RANGE_TEXT_SIZE]) {
  char copy[ADDRESS_TEXT_SIZE];
  const char *slash = strchr(text, '/'), *why;
  struct address address;
  struct address_range range;
  size_t length = slash ? (size_t)(slash - text) : 0;
  if (length == 0 || length >= sizeof(copy))
    return false;
  memcpy(copy, text, length);
  copy[length] = '\0';
  long prefix = strtol(slash + 1, NULL, 10);
  if (!address_parse(copy, &address) || prefix < 0)
    return false;
  for (size_t bit = (size_t)prefix; bit < address_length(address.family) * 8; bit++)
    address.bytes[bit / 8] = (uint8_t)(address.bytes[bit / 8] & ~(0x80U >> bit % 8));
  snprintf(network, RANGE_TEXT_SIZE, "%s%s", address_format(&address, copy), slash);
  return range_parse_prefix(network, &range, &why);
}

static void refuse_range(struct reader *reader, config_setting_t *setting, const char *text, const char *why) {
  const struct schema_key *key = reader->key;
  char network[RANGE_TEXT_SIZE];
  struct diagnostic *diagnostic =
      PROBLEM(reader, "P04", reader_place_of(reader, setting, text), "「%s」: 「%s」はアドレスとして読めません（%s）",
              "%s: '%s' cannot be read as an address (%s)", key->name, text, range_reason(reader, why));
  if (network_of(text, network))
    HINT(reader, diagnostic, "ネットワークなら「%s」と書いてください", "for the network write %s", network);
  else
    HINT(reader, diagnostic, "%sを書いてください（例: 10.0.0.1, 10.0.0.0/24）", "write %s (10.0.0.1, 10.0.0.0/24)",
         language_choose(reader->diagnostics->language, schema_kind_label_ja(key->kind),
                         schema_kind_label_en(key->kind)));
}

static bool add_range(struct reader *reader, config_setting_t *setting, const char *text, void *items, size_t count) {
  struct placed_range *ranges = items;
  const char *why = NULL;
  bool right = reader->key->kind == KIND_PREFIXES ? range_parse_prefix(text, &ranges[count].range, &why)
                                                  : range_parse(text, &ranges[count].range, &why);
  if (!right) {
    refuse_range(reader, setting, text, why);
    return false;
  }
  ranges[count].place = reader_place(reader, setting);
  for (size_t i = 0; i < count && i < 256; i++)
    if (range_equal(&ranges[i].range, &ranges[count].range)) {
      reader_twice(reader, setting, text, ranges[i].place);
      return false;
    }
  return true;
}

static bool is_station(const struct mac *mac) {
  static const struct mac zero;
  return (mac->bytes[0] & 1) == 0 && !mac_equal(mac, &zero);
}

static bool add_mac(struct reader *reader, config_setting_t *setting, const char *text, void *items, size_t count) {
  struct mac *macs = items;
  if (mac_parse(text, &macs[count]) && is_station(&macs[count])) {
    for (size_t i = 0; i < count && i < 256; i++)
      if (mac_equal(&macs[i], &macs[count])) {
        PROBLEM(reader, "P07", reader_place_of(reader, setting, text), "「%s」: 「%s」が重複しています",
                "%s: '%s' stands here twice", reader->key->name, text);
        return false;
      }
    return true;
  }
  struct diagnostic *diagnostic =
      PROBLEM(reader, "P04", reader_place_of(reader, setting, text), "「%s」は機器の MAC アドレスではありません",
              "'%s' is not the MAC of a station", text);
  HINT(reader, diagnostic, "「02:00:5e:10:01:11」の形で書いてください", "write it as 02:00:5e:10:01:11");
  return false;
}

static void read_texts(struct reader *reader, const struct schema_key *key, config_setting_t *setting, void *object) {
  read_list(reader, key, setting, object, sizeof(struct text), add_text);
}

static void read_interfaces(struct reader *reader, const struct schema_key *key, config_setting_t *setting,
                            void *object) {
  read_list(reader, key, setting, object, sizeof(struct text), add_interface);
}

static void read_ranges(struct reader *reader, const struct schema_key *key, config_setting_t *setting, void *object) {
  read_list(reader, key, setting, object, sizeof(struct placed_range), add_range);
}

static void read_macs(struct reader *reader, const struct schema_key *key, config_setting_t *setting, void *object) {
  read_list(reader, key, setting, object, sizeof(struct mac), add_mac);
}

/* ---- words, flags, numbers ---- */

const char *reader_list_choices(struct reader *reader, const struct schema_choices *choices) {
  const char *list = "";
  for (unsigned i = 0; i < choices->count && list; i++)
    if (choices->names[i])
      list = arena_printf(reader->arena, "%s%s%s", list, list[0] ? ", " : "", choices->names[i]);
  return list ? list : "";
}

void reader_bad_word(struct reader *reader, config_setting_t *setting, const char *word,
                     const struct schema_choices *choices) {
  const char *names[32];
  size_t count = 0;
  for (unsigned i = 0; i < choices->count && count < 32; i++)
    if (choices->names[i])
      names[count++] = choices->names[i];
  struct diagnostic *diagnostic =
      PROBLEM(reader, "P04", reader_place_of(reader, setting, word), "「%s」に「%s」は使えません（%s のいずれか）",
              "%s cannot be '%s' (one of %s)", reader->key->name, word, reader_list_choices(reader, choices));
  reader_suggest(reader, diagnostic, word, names, count);
}

/* The index of a word among the choices; -1 after a diagnostic. */
static int read_choice_index(struct reader *reader, const struct schema_key *key, config_setting_t *setting) {
  const char *word = reader_string(reader, setting);
  if (!word)
    return -1;
  for (unsigned i = 0; i < key->choices->count; i++)
    if (key->choices->names[i] && strcmp(key->choices->names[i], word) == 0)
      return (int)i;
  reader_bad_word(reader, setting, word, key->choices);
  return -1;
}

static void mark_set(const struct schema_key *key, void *object) {
  if (key->set_offset)
    *(bool *)field(object, key->set_offset) = true;
}

static void read_choice(struct reader *reader, const struct schema_key *key, config_setting_t *setting, void *object) {
  int index = read_choice_index(reader, key, setting);
  unsigned value = (unsigned)index;
  if (index < 0)
    return;
  memcpy(field(object, key->offset), &value, sizeof(value));
  mark_set(key, object);
}

static void read_verdict(struct reader *reader, const struct schema_key *key, config_setting_t *setting, void *object) {
  int index = read_choice_index(reader, key, setting);
  if (index < 0)
    return;
  *(bool *)field(object, key->offset) = index == 1;
  mark_set(key, object);
}

static void read_flag(struct reader *reader, const struct schema_key *key, config_setting_t *setting, void *object) {
  if (config_setting_type(setting) != CONFIG_TYPE_BOOL)
    reader_wrong_type(reader, setting);
  else
    *(bool *)field(object, key->offset) = config_setting_get_bool(setting) != 0;
}

static bool read_integer(struct reader *reader, const struct schema_key *key, config_setting_t *setting,
                         uint64_t *ret_value) {
  int type = config_setting_type(setting);
  if (type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64) {
    reader_wrong_type(reader, setting);
    return false;
  }
  long long value = config_setting_get_int64(setting);
  if (value < 1 || (uint64_t)value > key->maximum) {
    PROBLEM(reader, "P04", reader_place_of(reader, setting, key->name),
            "「%s」は 1 以上 %llu 以下にしてください（%lld）", "%s must be between 1 and %llu (%lld)", key->name,
            (unsigned long long)key->maximum, value);
    return false;
  }
  *ret_value = (uint64_t)value;
  return true;
}

static void read_number(struct reader *reader, const struct schema_key *key, config_setting_t *setting, void *object) {
  uint64_t value;
  if (read_integer(reader, key, setting, &value))
    *(unsigned *)field(object, key->offset) = (unsigned)value;
}

static void read_large(struct reader *reader, const struct schema_key *key, config_setting_t *setting, void *object) {
  uint64_t value;
  if (read_integer(reader, key, setting, &value))
    *(uint64_t *)field(object, key->offset) = value;
}

/* ---- names and groups ---- */

static void read_zone_name(struct reader *reader, const struct schema_key *key, config_setting_t *setting,
                           void *object) {
  zone_index *zone = field(object, key->offset);
  const char *name = reader_string(reader, setting);
  size_t index;
  if (!name)
    return;
  if (reader_find(&reader->zones, name, &index)) {
    *zone = (zone_index)index;
    return;
  }
  struct diagnostic *diagnostic = PROBLEM(reader, "P06", reader_place_of(reader, setting, name),
                                          "領域「%s」は zones にありません", "there is no zone '%s' in zones", name);
  reader_suggest_zone(reader, diagnostic, name);
}

static enum schema_section_id section_id(const struct schema_section *section) {
  return (enum schema_section_id)(section - schema_section((enum schema_section_id)0));
}

static void read_group(struct reader *reader, const struct schema_key *key, config_setting_t *setting, void *object) {
  mark_set(key, object);
  /* The offset is that of the nested struct itself. */
  key_set seen = reader_section(reader, section_id(key->section), setting, field(object, key->offset));
  /* An approval without a word in it is a matter of doctrine (D06). */
  if (seen == 0 && config_setting_is_group(setting) && section_id(key->section) != SECTION_APPROVAL)
    PROBLEM(reader, "P05", reader_place_of(reader, setting, key->name), "「%s」の中に何もありません", "'%s' is empty",
            key->name);
}

/* ---- dispatch ---- */

typedef void read_value(struct reader *reader, const struct schema_key *key, config_setting_t *setting, void *object);

static read_value *const readers[] = {
    [KIND_TEXT] = read_text_value,
    [KIND_WORD] = read_word,
    [KIND_STRING] = read_string,
    [KIND_TEXTS] = read_texts,
    [KIND_INTERFACES] = read_interfaces,
    [KIND_CHOICE] = read_choice,
    [KIND_FLAG] = read_flag,
    [KIND_VERDICT] = read_verdict,
    [KIND_NUMBER] = read_number,
    [KIND_LARGE] = read_large,
    [KIND_TIMEZONE] = read_timezone,
    [KIND_DATE] = read_date,
    [KIND_DAY_END] = read_moment,
    [KIND_START] = read_moment,
    [KIND_END] = read_moment,
    [KIND_AT] = read_moment,
    [KIND_PREFIXES] = read_ranges,
    [KIND_ADDRESSES] = read_ranges,
    [KIND_MACS] = read_macs,
    [KIND_ZONE] = read_zone_name,
    [KIND_ENDS] = read_ends,
    [KIND_SERVICES] = read_services,
    [KIND_HOURS] = read_hours,
    [KIND_NOTE] = read_note,
    [KIND_GROUP] = read_group,
    [KIND_WINDOWS] = read_windows,
    [KIND_CASE_END] = read_case_end,
    [KIND_CASE_ZONE] = read_case_zone,
    [KIND_CASE_SERVICE] = read_services,
};
static_assert(sizeof(readers) / sizeof(readers[0]) == KIND_COUNT_, "every kind can be read");

void reader_value(struct reader *reader, const struct schema_key *key, config_setting_t *setting, void *object) {
  const struct schema_key *outer = reader->key;
  reader->key = key;
  if (key->place_offset)
    *(struct place *)field(object, key->place_offset) = reader_place(reader, setting);
  readers[key->kind](reader, key, setting, object);
  reader->key = outer;
}
