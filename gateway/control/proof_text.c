/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/proof_text.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/address.h"
#include "policy/packet.h"

enum { END_TEXT_SIZE = 160 };

static const char *text_at(const json_t *object, const char *key) {
  const char *text = json_string_value(json_object_get(object, key));
  return text ? text : "";
}

static bool text_is(const json_t *object, const char *key, const char *value) {
  return strcmp(text_at(object, key), value) == 0;
}

static const char *or_empty(const char *text) {
  return text ? text : "";
}

/* ---- the packet ---- */

static const char *protocol_text(const json_t *packet, struct arena *arena) {
  static const struct {
    int protocol;
    const char *name;
  } names[] = {{PROTOCOL_TCP, "tcp"}, {PROTOCOL_UDP, "udp"}, {PROTOCOL_ICMP, "icmp"}, {PROTOCOL_ICMPV6, "icmpv6"}};
  json_int_t protocol = json_integer_value(json_object_get(packet, "protocol"));
  const json_t *type = json_object_get(packet, "icmp_type");
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    if (names[i].protocol == protocol) {
      return json_is_integer(type)
                 ? or_empty(arena_printf(arena, "%s type %lld code %lld", names[i].name, json_integer_value(type),
                                         json_integer_value(json_object_get(packet, "icmp_code"))))
                 : names[i].name;
    }
  }
  return or_empty(arena_printf(arena, "proto %lld", protocol));
}

/* "lgwan (lgwan0) 10.1.0.5:50000" */
static const char *end_text(const json_t *packet, const char *const keys[static 4], enum language language,
                            struct arena *arena) {
  const char *zone = text_at(packet, keys[0]), *interface = text_at(packet, keys[1]),
             *address = text_at(packet, keys[2]);
  const json_t *port = json_object_get(packet, keys[3]);
  bool brackets = json_is_integer(port) && strchr(address, ':');
  return or_empty(arena_printf(
      arena, "%s%s%s%s %s%s%s%s", zone[0] ? zone : language_choose(language, "(領域なし)", "(no zone)"),
      interface[0] ? " (" : "", interface, interface[0] ? ")" : "", brackets ? "[" : "", address, brackets ? "]" : "",
      json_is_integer(port) ? or_empty(arena_printf(arena, ":%lld", json_integer_value(port))) : ""));
}

const char *proof_packet_text(const json_t *packet, enum language language, struct arena *arena) {
  static const char *const source[] = {"from_zone", "in", "src", "sport"};
  static const char *const destination[] = {"to_zone", "out", "dst", "dport"};
  const char *mac = text_at(packet, "src_mac");
  return or_empty(arena_printf(arena, "%s → %s, %s%s%s", end_text(packet, source, language, arena),
                               end_text(packet, destination, language, arena), protocol_text(packet, arena),
                               mac[0] ? ", MAC " : "", mac));
}

const char *proof_state_text(const json_t *example, enum language language) {
  static const struct {
    const char *name, *japanese, *english;
  } states[] = {
      {"opens", "新しい接続の最初のパケット", "the first packet of a new connection"},
      {"opens again", "まだ応答のない接続の、次のパケット", "one more packet of a connection without an answer"},
      {"original", "確立した接続の、開いた側のパケット", "a packet of an established connection, from who opened it"},
      {"reply", "確立した接続の応答", "a reply within an established connection"},
      {"related", "接続についての ICMP エラー", "an ICMP error about a connection"},
      {"related to the reply", "接続の応答についての ICMP エラー", "an ICMP error about a reply"},
      {"invalid", "どの接続にも属さないパケット (invalid)", "a packet of no connection (invalid)"},
      {"untracked", "接続追跡を通らないパケット (untracked)", "a packet that is not tracked (untracked)"},
  };
  for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
    if (text_is(example, "state", states[i].name)) {
      return language_choose(language, states[i].japanese, states[i].english);
    }
  }
  return text_at(example, "state");
}

const char *proof_rule_text(const json_t *rule, enum language language, struct arena *arena) {
  const json_t *handle = json_object_get(rule, "handle");
  if (!json_is_object(rule)) {
    return "";
  }
  const char *which =
      json_is_integer(handle) ? or_empty(arena_printf(arena, " handle %lld", json_integer_value(handle))) : "";
  const char *chain = text_at(rule, "chain"), *text = text_at(rule, "text");
  return or_empty(arena_printf(arena, "%s %s%s%s%s%s%s", text_at(rule, "family"), text_at(rule, "table"),
                               chain[0] ? language_choose(language, " チェイン ", " chain ") : "", chain, which,
                               text[0] ? ": " : "", text));
}

/* ---- what it means ---- */

static bool kernel_allows(const json_t *example) {
  return text_is(example, "kernel", "allow");
}

/* The rule that decided is in our own table. */
static bool is_ours(const json_t *rule) {
  return !json_is_object(rule) || (text_is(rule, "family", "inet") && text_is(rule, "table", "kido"));
}

const char *proof_headline(const json_t *answer, enum language language) {
  const json_t *example = json_object_get(answer, "counterexample");
  if (text_is(answer, "result", "proven")) {
    return text_is(answer, "gate", "closed")
               ? language_choose(language, "証明できました: 関門は閉じており、カーネルもそのとおりです",
                                 "proven: the gate is closed, and so is the kernel")
               : language_choose(language, "証明できました: カーネルはポリシーのとおりです",
                                 "proven: the kernel does what the policy says");
  }
  if (!text_is(answer, "result", "refuted")) {
    return language_choose(language, "判定できません: 確かめられていない通信が残っています",
                           "undecided: there are packets about which nothing could be shown");
  }
  if (!json_is_object(example)) {
    return language_choose(language, "食い違いがあります: 関門を通らずに領域をつなぐ道があります",
                           "refuted: there is a way between zones round the gate");
  }
  if (text_is(example, "kernel", text_at(example, "policy"))) {
    return language_choose(language, "食い違いがあります: カーネルのルールはポリシーのとおりではありません",
                           "refuted: the kernel's rules are not what the policy says");
  }
  return kernel_allows(example)
             ? language_choose(language, "食い違いがあります: カーネルは、ポリシーが許さないパケットを通します",
                               "refuted: the kernel lets a packet pass that the policy does not allow")
             : language_choose(language, "食い違いがあります: カーネルは、ポリシーが許すパケットを落とします",
                               "refuted: the kernel drops a packet that the policy allows");
}

/* ---- what to do ---- */

/* The same two zones, whichever way round. */
static bool same_zones(const json_t *left, const json_t *right) {
  const char *from = text_at(left, "from_zone"), *to = text_at(left, "to_zone");
  return (text_is(right, "from_zone", from) && text_is(right, "to_zone", to)) ||
         (text_is(right, "from_zone", to) && text_is(right, "to_zone", from));
}

/* The narrowest cut that stops all that leaks: one pair, one zone, or everything. */
static const char *cut_text(const json_t *answer, const json_t *example, struct arena *arena) {
  const char *from = text_at(example, "from_zone"), *to = text_at(example, "to_zone");
  const json_t *pair;
  size_t i;
  json_array_foreach(json_object_get(answer, "pairs"), i, pair) {
    if (text_is(pair, "result", "refuted") && !same_zones(pair, example)) {
      return "all";
    }
  }
  if (from[0] == '\0' && to[0] == '\0') {
    return "all";
  }
  if (from[0] != '\0' && to[0] != '\0' && strcmp(from, to) != 0) {
    return or_empty(arena_printf(arena, "pair %s %s", from, to));
  }
  return or_empty(arena_printf(arena, "zone %s", from[0] != '\0' ? from : to));
}

static const char *advice_leak(const json_t *answer, const json_t *example, enum language language,
                               struct arena *arena) {
  return or_empty(arena_printf(
      arena,
      language_choose(language,
                      "1. 止める必要があれば kido cut %s --why 理由。2. kido apply でルールを入れ直し、"
                      "kido verify で確かめる。3. kido events で drift と crossing を調べ、誰がルールを変えたかを"
                      "確かめる。4. 統括情報セキュリティ責任者に連絡する",
                      "1. If it must stop now: kido cut %s --why TEXT. 2. Load the rules again with kido apply, "
                      "then kido verify. 3. Look for drift and crossing in kido events, and find out who changed the "
                      "rules. 4. Tell the person responsible for information security"),
      cut_text(answer, example, arena)));
}

static const char *advice_stop(enum language language) {
  return language_choose(language,
                         "1. 漏れてはいないが、必要な通信が止まっている。kido apply でルールを入れ直し、kido verify "
                         "で確かめる。2. まだ食い違えば kido verify --record ファイル で記録し、保守業者に渡す",
                         "1. Nothing leaks, but lawful traffic is stopped: load the rules again with kido apply, then "
                         "kido verify. 2. If they still differ, keep what the kernel holds with kido verify --record "
                         "FILE and give it to support");
}

static const char *advice_foreign(const json_t *rule, enum language language, struct arena *arena) {
  const json_t *handle = json_object_get(rule, "handle");
  const char *remove = json_is_integer(handle)
                           ? arena_printf(arena, "nft delete rule %s %s %s handle %lld", text_at(rule, "family"),
                                          text_at(rule, "table"), text_at(rule, "chain"), json_integer_value(handle))
                           : arena_printf(arena, "nft delete chain %s %s %s", text_at(rule, "family"),
                                          text_at(rule, "table"), text_at(rule, "chain"));
  return or_empty(arena_printf(
      arena,
      language_choose(language,
                      "1. 木戸以外のルールが原因。それを入れたプログラムを止める。2. %s で外す。3. kido verify で"
                      "確かめる",
                      "1. A rule that is not Kido's is the cause: stop the program that made it. 2. Take it out with "
                      "%s. 3. kido verify"),
      or_empty(remove)));
}

static const char *advice_bypass(enum language language) {
  return language_choose(language,
                         "1. 下に挙げた道をふさぐ。ふさげなければ、つなぐケーブルを抜く。2. kido verify で確かめる。"
                         "3. 統括情報セキュリティ責任者に連絡する",
                         "1. Close the way named below; if you cannot, pull the cable. 2. kido verify. 3. Tell the "
                         "person responsible for information security");
}

static const char *advice_undecided(const json_t *answer, enum language language) {
  if (json_array_size(json_object_get(answer, "unmodelled")) > 0) {
    return language_choose(language,
                           "1. 名を挙げたルールを入れたプログラムを確かめる。要らなければ外し、kido verify をやり直す。"
                           "2. 外せなければ、その領域の組は証明されていないものとして扱う",
                           "1. Find out which program made the rules named here; take them out if they are not needed, "
                           "then kido verify again. 2. If they must stay, treat these pairs of zones as not shown");
  }
  return language_choose(
      language, "1. kido verify をやり直す。2. 続くなら kido verify --record ファイル で記録し、保守業者に渡す",
      "1. kido verify again. 2. If it stays so, keep what the kernel holds with kido verify --record "
      "FILE and give it to support");
}

const char *proof_advice(const json_t *answer, enum language language, struct arena *arena) {
  const json_t *example = json_object_get(answer, "counterexample");
  const json_t *rule = json_object_get(example, "rule");
  if (text_is(answer, "result", "proven")) {
    return "";
  }
  if (!text_is(answer, "result", "refuted")) {
    return advice_undecided(answer, language);
  }
  if (!json_is_object(example)) {
    return advice_bypass(language);
  }
  if (!is_ours(rule)) {
    return advice_foreign(rule, language, arena);
  }
  return kernel_allows(example) ? advice_leak(answer, example, language, arena) : advice_stop(language);
}
