/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/text.h"
#include "cli/verb.h"

#define TABLE_OF(rules)                                                                                                \
  { (rules), sizeof(rules) / sizeof((rules)[0]) }

static const struct option_rule check_options[] = {
    {"this-machine", OPTION_FLAG, NULL, "この装置にインターフェースがあるかも調べる",
     "also ask whether the interfaces exist on this machine"},
};

static const struct option_rule explain_options[] = {
    {"from-zone", OPTION_VALUE, "ZONE", "パケットが入る領域", "zone in which the packet arrives"},
    {"in", OPTION_VALUE, "INTERFACE", "パケットが入るインターフェース", "interface by which it arrives"},
    {"sport", OPTION_VALUE, "PORT", "送信元ポート", "source port"},
    {"mac", OPTION_VALUE, "MAC", "送信元MACアドレス", "source MAC address"},
    {"reply", OPTION_FLAG, NULL, "応答のパケットとして判定する", "judge it as a reply within a connection"},
    {"established", OPTION_FLAG, NULL, "確立済み通信のパケットとして判定する",
     "judge it as a later packet of a connection"},
    {"who-can-reach", OPTION_VALUE, "ZONE|HOST", "パケットの代わりに、そこへ通信を始められるものをすべて挙げる",
     "not a packet: everything that may open a connection to it"},
    {"kernel", OPTION_FLAG, NULL, "カーネルが今持つルールをたどり、ポリシーの判定と並べて示す",
     "the way through the rules that the kernel holds, beside the verdict"},
    {"ruleset", OPTION_VALUE, "FILE",
     "--kernel で、カーネルの代わりに読む記録 (kido verify --record) か nft の書式のファイル",
     "with --kernel: a recording of verify, or nft text instead; - is stdin"},
    {"out", OPTION_VALUE, "INTERFACE", "--kernel で、パケットが出るインターフェース",
     "with --kernel: interface by which it leaves"},
};

static const struct option_rule compile_options_of_verb[] = {
    {"format", OPTION_VALUE, "nft|json", "出力形式(既定は nft)", "what to print (default: nft)"},
};

static const struct option_rule replay_options[] = {
    {"gateway-mac", OPTION_VALUE, "ZONE=MAC", "木戸自身のMACアドレス。領域またはインタフェースごと(繰り返し可)",
     "MAC address of the gateway in a zone or on an interface; may be repeated"},
    {"gateway-address", OPTION_VALUE, "ZONE=ADDRESS", "木戸自身のアドレス(繰り返し可)",
     "address of the gateway in a zone; may be repeated"},
};

static const struct option_rule apply_options[] = {
    {"confirm-within", OPTION_VALUE, "TIME", "この時間内に kido confirm しなければ元に戻す (90s、10m、2h)",
     "go back unless kido confirm comes within this time (90s, 10m, 2h)"},
    {"allow-lockout", OPTION_FLAG, NULL, "運用管理系や自分の接続が締め出されても適用する",
     "even if management, or your own connection, is locked out"},
    {"allow-unproven", OPTION_FLAG, NULL, "カーネルがそのとおりに動かないと分かっても適用する",
     "even if the proof finds that the kernel does something else"},
};

static const struct option_rule verify_options[] = {
    {"ruleset", OPTION_VALUE, "FILE", "カーネルの代わりに、記録 (--record) か nft の文 (- は標準入力) を調べる",
     "a recording (--record) or nft text instead of the kernel; - is standard input"},
    {"record", OPTION_VALUE, "FILE", "調べたルールをそのまま記録する", "keep what was read, byte for byte"},
};

static const struct option_rule status_options[] = {
    {"watch", OPTION_FLAG, NULL, "二秒ごとに表示し直す", "show it again every two seconds"},
};

static const struct option_rule flows_options[] = {
    {"denied", OPTION_FLAG, NULL, "拒否の計数だけを表示する", "only the counters of what was denied"},
    {"all", OPTION_FLAG, NULL, "計数が零の行も表示する", "also lines whose counters are zero"},
};

static const struct option_rule top_options[] = {
    {"once", OPTION_FLAG, NULL, "一度だけ表示する(一秒間を測る)", "look once, over one second"},
};

static const struct option_rule events_options[] = {
    {"follow", OPTION_FLAG, NULL, "新しい事象を待って表示し続ける", "go on with new events as they happen"},
    {"severity", OPTION_VALUE, "critical|warning|notice|info", "この重大度以上だけ", "only this severity and above"},
    {"kind", OPTION_VALUE, "KIND", "この種類だけ(繰り返し可)", "only this kind; may be repeated"},
    {"zone", OPTION_VALUE, "ZONE", "この領域に関わるものだけ", "only what this zone has part in"},
    {"since", OPTION_VALUE, "TIME", "この時刻から(2h、7d、2026-11-24 など)",
     "from then on: 2h or 7d ago, 2026-11-24 ..."},
    {"until", OPTION_VALUE, "TIME", "この時刻まで", "until then"},
    {"open", OPTION_FLAG, NULL, "まだ誰も確認していない警報だけ(一件に一行)",
     "only alerts that nobody has acknowledged, one line each"},
    {"last", OPTION_VALUE, "N", "直近 N 件だけ", "only the last N"},
    {"verify-chain", OPTION_FLAG, NULL, "記録が改変されていないことを確かめる", "verify that no record was altered"},
    {"anchor", OPTION_VALUE, "FILE", "ログサーバーが受け取ったものとも比べる",
     "compare with what the log server received"},
};

static const struct option_rule ack_options[] = {
    {"why", OPTION_VALUE, "TEXT", "何であったか、どうしたか(記録に残る)", "what it was, what was done; it is kept"},
};

static const struct option_rule cut_options[] = {
    {"why", OPTION_VALUE, "TEXT", "理由(記録に残る)", "the reason, which is kept"},
    {"lift", OPTION_FLAG, NULL, "緊急遮断を解除する(番号がなければすべて)",
     "lift a cut by its id, without an id all of them"},
    {"dry-run", OPTION_FLAG, NULL, "止まる通信を示すだけで、何もしない", "only show what would stop"},
    {"yes", OPTION_FLAG, NULL, "端末で確認を求めない", "do not ask at the terminal"},
    {"allow-lockout", OPTION_FLAG, NULL, "自分の接続や管理の経路が切れてもよい", "even if it cuts your own way in"},
};

static const struct option_rule window_options[] = {
    {"why", OPTION_VALUE, "TEXT", "理由(記録に残る)", "the reason, which is kept"},
};

static const struct verb verbs[] = {
    {"check", "[FILE]", "ポリシーの誤りをすべて挙げ、expect を実行する",
     "everything wrong with a policy, and its expect cases", TABLE_OF(check_options), 0, 1, verb_check},
    {"show",
     "zones|hosts|flows|matrix|services [FILE]",
     "ポリシーを表で示す",
     "the policy as tables",
     {NULL, 0},
     1,
     2,
     verb_show},
    {"print", "[FILE]", "ポリシーを正規形で出力する", "the policy in canonical form", {NULL, 0}, 0, 1, verb_print},
    {"compile", "[FILE]", "ポリシーから作る nftables ルールを出力する", "the ruleset that a policy makes",
     TABLE_OF(compile_options_of_verb), 0, 1, verb_compile},
    {"explain", "SRC DST SERVICE|FILE.pcap [FILE]", "あるパケットの判定と理由、根拠の行を示す",
     "the verdict on a packet, why, and where the file says so", TABLE_OF(explain_options), 0, 4, verb_explain},
    {"diff",
     "OLD NEW",
     "二つのポリシーで判定が変わるパケットをすべて挙げる",
     "exactly the packets that two policies judge otherwise",
     {NULL, 0},
     2,
     2,
     verb_diff},
    {"replay", "ZONE=FILE.pcap|FILE.pcapng ...", "記録したパケットを木戸番に判定させる",
     "the watchman over capture files", TABLE_OF(replay_options), 1, SIZE_MAX, verb_replay},
    {"plan",
     "[FILE]",
     "いまのポリシーとの違いと、切れる接続を示す",
     "what a policy would change, and the live connections that it would cut",
     {NULL, 0},
     0,
     1,
     verb_plan},
    {"apply", "[FILE]", "ポリシーを適用する", "puts a policy in force", TABLE_OF(apply_options), 0, 1, verb_apply},
    {"confirm",
     "",
     "試しに適用したポリシーを確定する",
     "keeps the policy that is on trial",
     {NULL, 0},
     0,
     0,
     verb_confirm},
    {"rollback", "[NUMBER]", "以前に確定したポリシー、または試行前に戻す",
     "goes back to a policy confirmed before, or out of a trial", TABLE_OF(apply_options), 0, 1, verb_rollback},
    {"history",
     "",
     "これまでに確定したポリシーを一覧する",
     "the policies that were ever confirmed",
     {NULL, 0},
     0,
     0,
     verb_history},
    {"verify", "", "カーネルのルールがポリシーと等しいことを証明する", "proves the live kernel equal to the policy",
     TABLE_OF(verify_options), 0, 0, verb_verify},
    {"cut", "[host ADDRESS | pair ZONE ZONE | zone ZONE | all | --lift [ID|clock]]",
     "緊急遮断: かける、解除する、一覧する", "emergency cut: cut off, lift, list", TABLE_OF(cut_options), 0, 3,
     verb_cut},
    {"window", "close|reopen FLOW", "開放時間帯を早く終わらせる、またはそれを取り消す",
     "ends a declared window early, or takes that back", TABLE_OF(window_options), 2, 2, verb_window},
    {"status", "", "いまの状態を一画面で示す", "one screen: what is in force, what needs attention",
     TABLE_OF(status_options), 0, 0, verb_status},
    {"flows", "", "許可した通信ごとの通信量と拒否の計数を示す", "live counters per flow, and what was denied",
     TABLE_OF(flows_options), 0, 0, verb_flows},
    {"top", "", "いま流れている通信と、拒否が多いところを表示し続ける",
     "what flows now, what is denied now, who keeps trying", TABLE_OF(top_options), 0, 0, verb_top},
    {"events", "", "起きたことを時刻順に示す", "what happened, in order of time", TABLE_OF(events_options), 0, 0,
     verb_events},
    {"ack", "ID", "警報を確認したことを記録する", "records that an alert was seen", TABLE_OF(ack_options), 1, 1,
     verb_ack},
};

enum { VERB_COUNT = sizeof verbs / sizeof verbs[0] };

const struct verb *verb_table(size_t *ret_count) {
  *ret_count = VERB_COUNT;
  return verbs;
}

static const struct verb *unknown_verb(const char *name, enum language language, struct error *error) {
  const char *names[VERB_COUNT];
  for (size_t i = 0; i < VERB_COUNT; i++) {
    names[i] = verbs[i].name;
  }
  const char *nearest = text_nearest(name, names, VERB_COUNT);
  if (nearest) {
    usage_error_set(error, language, "「%.40s」という動詞はありません。%s の誤りではありませんか",
                    "unknown verb '%.40s'; did you mean '%s'?", name, nearest);
  } else {
    usage_error_set(error, language, "「%.40s」という動詞はありません。kido --help で一覧できます",
                    "unknown verb '%.40s'; kido --help lists them", name);
  }
  return NULL;
}

const struct verb *verb_find(const char *name, enum language language, struct error *error) {
  const struct verb *found = NULL;
  for (size_t i = 0; i < VERB_COUNT; i++) {
    if (strcmp(verbs[i].name, name) == 0) {
      return &verbs[i];
    }
    if (name[0] == '\0' || strncmp(verbs[i].name, name, strlen(name)) != 0) {
      continue;
    }
    if (found) {
      usage_error_set(error, language, "「%.40s」は %s とも %s とも取れます", "'%.40s' may mean '%s' or '%s'", name,
                      found->name, verbs[i].name);
      return NULL;
    }
    found = &verbs[i];
  }
  return found ? found : unknown_verb(name, language, error);
}
