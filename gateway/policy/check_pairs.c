/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which classes may speak, by which methods, and who may approve it (D01, D02, D10, D14, D17, D13).
 *
 * Theory of operation: the table below is the contract's, row by row, and is all there is to know; a pair that no row
 * names is never. D01, D02 and D10 are not further rules but the names of the worst ways to be outside the table; the
 * first that fits is given, D17 being the rest and D14 a row whose model is another.
 */
#include "policy/check_parts.h"

#include <string.h>

#define MYNUMBER (1U << CLASS_MYNUMBER)
#define MYNUMBER_CLOUD (1U << CLASS_MYNUMBER_CLOUD)
#define LGWAN (1U << CLASS_LGWAN)
#define LGWAN_LINE (1U << CLASS_LGWAN_LINE)
#define RELAY (1U << CLASS_RELAY)
#define INTERNET (1U << CLASS_INTERNET)
#define CLOUD (1U << CLASS_CLOUD)
#define BREAKOUT (1U << CLASS_BREAKOUT)
#define MANAGEMENT (1U << CLASS_MANAGEMENT)
#define MAINTENANCE (1U << CLASS_MAINTENANCE)
#define OT (1U << CLASS_OT)
#define UNROUTED (1U << CLASS_UNROUTED)
#define GATEWAY (1U << CLASS_COUNT_)
#define ANY_MYNUMBER (MYNUMBER | MYNUMBER_CLOUD)

#define SCREEN (1U << METHOD_SCREEN)
#define MAILTEXT (1U << METHOD_MAILTEXT)
#define CDR (1U << METHOD_CDR)
#define SPECIFIC (1U << METHOD_SPECIFIC)
#define LGWAN_SERVICE (1U << METHOD_LGWAN_SERVICE)
#define AGGREGATE (1U << METHOD_AGGREGATE)
#define BREAK_OUT (1U << METHOD_BREAKOUT)
#define OPS (1U << METHOD_OPS)
#define MAINTAIN (1U << METHOD_MAINTENANCE)
#define EXCEPTION (1U << METHOD_EXCEPTION)

#define ALPHA_PRIME (1U << MODEL_ALPHA_PRIME)
#define ANY_BETA (1U << MODEL_BETA | 1U << MODEL_BETA_PRIME)
#define EVERY_MODEL ((1U << MODEL_COUNT_) - 1)

enum direction { EITHER, ONLY }; /* ONLY: the left side opens */

static const struct pair_row {
  unsigned left;
  enum direction direction;
  unsigned right;
  unsigned methods;
  enum approval_role role;
  unsigned models;
} pair_rows[] = {
    {ANY_MYNUMBER, EITHER, ANY_MYNUMBER, SPECIFIC | OPS | EXCEPTION, ROLE_CISO, EVERY_MODEL},
    {ANY_MYNUMBER, EITHER, LGWAN, SPECIFIC | EXCEPTION, ROLE_CISO, EVERY_MODEL},
    {LGWAN, ONLY, MYNUMBER, SCREEN, ROLE_CISO, EVERY_MODEL},
    {ANY_MYNUMBER, ONLY, LGWAN_LINE, SPECIFIC | EXCEPTION, ROLE_CISO, EVERY_MODEL},
    {ANY_MYNUMBER, EITHER, MANAGEMENT | OT, OPS | EXCEPTION, ROLE_CISO, EVERY_MODEL},
    {ANY_MYNUMBER, EITHER, MAINTENANCE, MAINTAIN, ROLE_CISO, EVERY_MODEL},
    {LGWAN, EITHER, LGWAN, SPECIFIC | OPS | EXCEPTION, ROLE_MANAGER, EVERY_MODEL},
    {OT, EITHER, OT, SPECIFIC | OPS | EXCEPTION, ROLE_MANAGER, EVERY_MODEL},
    {MANAGEMENT, EITHER, MANAGEMENT, SPECIFIC | OPS | EXCEPTION, ROLE_MANAGER, EVERY_MODEL},
    {INTERNET, EITHER, INTERNET, SPECIFIC | OPS | EXCEPTION, ROLE_MANAGER, EVERY_MODEL},
    {LGWAN, EITHER, LGWAN_LINE, LGWAN_SERVICE | OPS | EXCEPTION, ROLE_CHIEF, EVERY_MODEL},
    {LGWAN, EITHER, RELAY, MAILTEXT | CDR | EXCEPTION, ROLE_CHIEF, EVERY_MODEL},
    {RELAY, EITHER, INTERNET, MAILTEXT | CDR | EXCEPTION, ROLE_CHIEF, EVERY_MODEL},
    {RELAY, ONLY, INTERNET, OPS, ROLE_CHIEF, EVERY_MODEL},
    {LGWAN, EITHER, INTERNET, EXCEPTION, ROLE_CHIEF, EVERY_MODEL},
    {LGWAN, ONLY, INTERNET, SCREEN, ROLE_CHIEF, EVERY_MODEL},
    {INTERNET, ONLY, LGWAN, SCREEN, ROLE_CHIEF, ANY_BETA},
    {LGWAN, ONLY, BREAKOUT, BREAK_OUT, ROLE_CISO, ALPHA_PRIME},
    {INTERNET, ONLY, BREAKOUT, BREAK_OUT, ROLE_CHIEF, ALPHA_PRIME | ANY_BETA},
    {INTERNET, EITHER, CLOUD, AGGREGATE | EXCEPTION, ROLE_CHIEF, EVERY_MODEL},
    {LGWAN | LGWAN_LINE | RELAY | OT, EITHER, MANAGEMENT, OPS | EXCEPTION, ROLE_MANAGER, EVERY_MODEL},
    {LGWAN | RELAY | INTERNET | OT | MANAGEMENT, EITHER, MAINTENANCE, MAINTAIN, ROLE_CHIEF, EVERY_MODEL},
    {LGWAN, EITHER, OT, SPECIFIC | OPS | EXCEPTION, ROLE_CHIEF, EVERY_MODEL},
    {MANAGEMENT, ONLY, GATEWAY, OPS, ROLE_MANAGER, EVERY_MODEL},
    {GATEWAY, ONLY, MANAGEMENT | LGWAN | RELAY | OT, OPS, ROLE_MANAGER, EVERY_MODEL},
    {MAINTENANCE, ONLY, GATEWAY, MAINTAIN, ROLE_CHIEF, EVERY_MODEL},
    {GATEWAY, ONLY, CLOUD, OPS, ROLE_CHIEF, EVERY_MODEL},
    {GATEWAY, ONLY, MYNUMBER, OPS, ROLE_CISO, EVERY_MODEL},
};
enum { PAIR_ROW_COUNT = sizeof(pair_rows) / sizeof(pair_rows[0]) };

static bool row_fits(const struct pair_row *row, enum zone_class from, enum zone_class to) {
  bool forward = row->left >> from & 1 && row->right >> to & 1;
  bool backward = row->right >> from & 1 && row->left >> to & 1;
  return forward || (row->direction == EITHER && backward);
}

static unsigned methods_under(enum zone_class from, enum zone_class to, unsigned models, enum approval_role *ret_role) {
  unsigned methods = 0;
  enum approval_role role = ROLE_NONE;
  for (size_t i = 0; i < PAIR_ROW_COUNT; i++) {
    const struct pair_row *row = &pair_rows[i];
    if (!row_fits(row, from, to) || (row->models & models) == 0)
      continue;
    methods |= row->methods;
    role = row->role > role ? row->role : role;
  }
  *ret_role = role;
  return methods;
}

unsigned class_pair_methods(enum zone_class from, enum zone_class to, enum connection_model model,
                            enum approval_role *ret_role) {
  return methods_under(from, to, 1U << model, ret_role);
}

unsigned check_pair_methods_of_any_model(enum zone_class from, enum zone_class to) {
  enum approval_role role;
  return methods_under(from, to, EVERY_MODEL, &role);
}

bool check_pair_may_speak(const struct check *check, enum zone_class one, enum zone_class other) {
  enum approval_role role;
  return class_pair_methods(one, other, check->policy->header.model, &role) != 0 ||
         class_pair_methods(other, one, check->policy->header.model, &role) != 0;
}

/* ---- one flow ---- */

struct pair {
  const struct flow *flow;
  enum zone_class from, to;
  unsigned from_bit, to_bit;
  const char *from_text, *to_text;   /* the ends as the operator named them */
  const char *from_label, *to_label; /* their classes, for people */
};

/* True when one side is of `some` and the other of `others`. */
static bool pair_joins(const struct pair *pair, unsigned some, unsigned others) {
  return ((pair->from_bit & some) != 0 && (pair->to_bit & others) != 0) ||
         ((pair->to_bit & some) != 0 && (pair->from_bit & others) != 0);
}

/* "screen（画面転送）, exception（例外措置）"; "-" for none. */
static const char *methods_text(const struct check *check, unsigned methods) {
  const char *text = NULL;
  for (unsigned i = 0; i < METHOD_COUNT_; i++) {
    if ((methods >> i & 1) == 0)
      continue;
    const char *name = flow_method_name((enum flow_method)i);
    const char *item =
        check->language == LANGUAGE_JAPANESE
            ? arena_printf(check->scratch, "%s（%s）", name, flow_method_label((enum flow_method)i, LANGUAGE_JAPANESE))
            : name;
    text = text == NULL ? item : arena_printf(check->scratch, "%s, %s", text, item != NULL ? item : name);
  }
  return text != NULL ? text : "-";
}

static struct place end_place(struct check *check, const struct pair *pair, bool from_side) {
  const struct flow *flow = pair->flow;
  const struct endpoint *ends = from_side ? flow->from : flow->to;
  size_t count = from_side ? flow->from_count : flow->to_count;
  struct place place = from_side ? flow->from_place : flow->to_place;
  return count > 0 ? check_at(check, ends[0].place.line != 0 ? ends[0].place : place, check_endpoint_text(check, ends))
                   : place;
}

static struct place method_place(struct check *check, const struct flow *flow) {
  return check_at(check, flow->method_place, flow_method_name(flow->method));
}

static struct place role_place(struct check *check, const struct flow *flow) {
  return check_at(check, flow->approval.role_place, approval_role_name(flow->approval.role));
}

static void relate_zone(struct check *check, struct diagnostic *diagnostic, zone_index zone, const char *label) {
  const struct zone *found = check_zone(check, zone);
  if (found != NULL)
    diagnostic_relate(check->diagnostics, diagnostic, check_at_name(check, found->place, found->name),
                      "領域 %s はここで %s（%s）と定義されています", "zone '%s' is declared here as %s (%s)",
                      found->name, zone_class_name(found->class), label);
}

static void relate_zones(struct check *check, struct diagnostic *diagnostic, const struct pair *pair) {
  relate_zone(check, diagnostic, pair->from == CLASS_UNROUTED ? ZONE_NONE : pair->flow->from_zone, pair->from_label);
  relate_zone(check, diagnostic, pair->to == CLASS_UNROUTED ? ZONE_NONE : pair->flow->to_zone, pair->to_label);
}

static void refuse_mynumber(struct check *check, const struct pair *pair) {
  struct diagnostic *found =
      diagnostic_add(check->diagnostics, SEVERITY_ERROR, "D01", end_place(check, pair, false), pair->flow->name,
                     "%s（%s）から %s（%s）への通信は、方式や承認にかかわらず許可できません（6(3)①）",
                     "'%s' (%s) to '%s' (%s) can be allowed by no method and no approval (6(3)①)", pair->from_text,
                     pair->from_label, pair->to_text, pair->to_label);
  diagnostic_hint(check->diagnostics, found,
                  "この通信を削除してください。外部とのデータの受渡しが必要なら、LGWAN を経由する特定通信 specific "
                  "として、機器・ポート・MAC を限定して申請してください",
                  "remove this flow; if data must be exchanged, apply for a 'specific' flow by way of LGWAN, limited "
                  "to hosts, ports and MAC addresses");
  relate_zones(check, found, pair);
}

static void refuse_unsanitised(struct check *check, const struct pair *pair) {
  unsigned methods = check_pair_methods_of_any_model(pair->from, pair->to);
  struct diagnostic *found = diagnostic_add(
      check->diagnostics, SEVERITY_ERROR, "D02", method_place(check, pair->flow), pair->flow->name,
      "%s（%s）から %s（%s）への通信が、ここで認められた無害化通信ではありません（method = \"%s\"）（6(3)②）",
      "'%s' (%s) to '%s' (%s) is not one of the sanitised methods allowed here, but method = \"%s\" "
      "(6(3)②)",
      pair->from_text, pair->from_label, pair->to_text, pair->to_label, flow_method_name(pair->flow->method));
  if (methods != 0)
    diagnostic_hint(check->diagnostics, found, "この向きで使える方式: %s", "methods for this direction: %s",
                    methods_text(check, methods));
  else
    diagnostic_hint(
        check->diagnostics, found,
        "この二つの領域が直接通信できる方式はありません。無害化中継またはインターネット接続系を経由させてください",
        "no method joins these two directly; go by way of the sanitising relay or the Internet systems");
  relate_zones(check, found, pair);
}

static void refuse_unrouted(struct check *check, const struct pair *pair) {
  bool from_side = pair->from == CLASS_UNROUTED;
  struct diagnostic *found = diagnostic_add(
      check->diagnostics, SEVERITY_ERROR, "D10", end_place(check, pair, from_side), pair->flow->name,
      "%s は経路を持たない隣接領域（class = \"unrouted\"）の機器で、どの通信も許可できません（4(1)）",
      "'%s' belongs to an unrouted neighbour (class = \"unrouted\"), with which nothing may be allowed (4(1))",
      from_side ? pair->from_text : pair->to_text);
  diagnostic_hint(check->diagnostics, found,
                  "この通信を削除してください。本当に通信が必要なら、まずその領域の class と担当の方針を決め直します",
                  "remove this flow; if it is truly needed, the class of that zone must be decided anew first");
  const struct zone *zone = check_zone(check, from_side ? pair->flow->from_zone : pair->flow->to_zone);
  if (zone != NULL)
    diagnostic_relate(check->diagnostics, found, check_at_name(check, zone->place, zone->name),
                      "領域 %s はここで unrouted と定義されています", "zone '%s' is declared unrouted here",
                      zone->name);
}

/* The models under which the table names the flow's method for its pair. */
static const char *models_text(const struct check *check, const struct pair *pair) {
  const char *text = NULL;
  for (unsigned i = 0; i < MODEL_COUNT_; i++) {
    enum approval_role role;
    if ((class_pair_methods(pair->from, pair->to, (enum connection_model)i, &role) >> pair->flow->method & 1) == 0)
      continue;
    const char *name = connection_model_name((enum connection_model)i);
    text = text == NULL ? name : arena_printf(check->scratch, "%s, %s", text, name);
  }
  return text != NULL ? text : "-";
}

static void refuse_model(struct check *check, const struct pair *pair) {
  const struct policy_header *header = &check->policy->header;
  struct diagnostic *found = diagnostic_add(
      check->diagnostics, SEVERITY_ERROR, "D14", method_place(check, pair->flow), pair->flow->name,
      "%sから%sへの method = \"%s\" は、接続モデル %s では使えません（使えるモデル: %s）",
      "%s to %s by method = \"%s\" is not open to model '%s' (it is to: %s)", pair->from_label, pair->to_label,
      flow_method_name(pair->flow->method), connection_model_name(header->model), models_text(check, pair));
  diagnostic_hint(check->diagnostics, found,
                  "この通信を削除するか、接続モデルの変更（外部監査などの条件を伴います）を決定してから policy.model "
                  "を改めてください",
                  "remove this flow, or decide on another model (with its own duties, such as outside audits) and then "
                  "change policy.model");
  diagnostic_relate(check->diagnostics, found, check_at(check, header->place, "model"),
                    "この方針の接続モデルは %s です", "the model of this policy is '%s'",
                    connection_model_name(header->model));
}

static void refuse_pair(struct check *check, const struct pair *pair) {
  unsigned forward = check_pair_methods_of_any_model(pair->from, pair->to);
  unsigned backward = check_pair_methods_of_any_model(pair->to, pair->from);
  unsigned model = 0;
  enum approval_role role;
  model = class_pair_methods(pair->from, pair->to, check->policy->header.model, &role);
  struct diagnostic *found;
  if (forward == 0)
    found = diagnostic_add(check->diagnostics, SEVERITY_ERROR, "D17", end_place(check, pair, false), pair->flow->name,
                           "%s（%s）から %s（%s）への通信は、どの方式でも認められていません",
                           "'%s' (%s) to '%s' (%s) is a pair that no method may join", pair->from_text,
                           pair->from_label, pair->to_text, pair->to_label);
  else
    found = diagnostic_add(check->diagnostics, SEVERITY_ERROR, "D17", method_place(check, pair->flow), pair->flow->name,
                           "%s（%s）から %s（%s）への通信に method = \"%s\" は使えません",
                           "'%s' (%s) to '%s' (%s) may not use method = \"%s\"", pair->from_text, pair->from_label,
                           pair->to_text, pair->to_label, flow_method_name(pair->flow->method));
  if (backward >> pair->flow->method & 1)
    diagnostic_hint(check->diagnostics, found,
                    "逆向き（%s から開く通信）なら認められます。from と to を確かめてください",
                    "the other direction (opened by '%s') is possible; check 'from' and 'to'", pair->to_text);
  else if (model != 0)
    diagnostic_hint(check->diagnostics, found, "この向きで使える方式: %s", "methods for this direction: %s",
                    methods_text(check, model));
  else
    diagnostic_hint(check->diagnostics, found, "この通信を削除するか、間に立つ領域を経由する通信に分けてください",
                    "remove this flow, or split it into flows by way of a zone between the two");
  relate_zones(check, found, pair);
}

typedef void pair_refusal(struct check *, const struct pair *);

/* The first code of the table that fits, or NULL. */
static pair_refusal *judge_pair(const struct check *check, const struct pair *pair) {
  const struct flow *flow = pair->flow;
  unsigned method = flow->method_known ? 1U << flow->method : 0;
  unsigned ever = check_pair_methods_of_any_model(pair->from, pair->to);
  enum approval_role role;
  unsigned now = class_pair_methods(pair->from, pair->to, check->policy->header.model, &role);
  if (pair_joins(pair, ANY_MYNUMBER, INTERNET | CLOUD | RELAY | BREAKOUT))
    return refuse_mynumber;
  if (pair_joins(pair, LGWAN | LGWAN_LINE, INTERNET | CLOUD | RELAY) && method != 0 && method != EXCEPTION &&
      (ever & method & (SCREEN | MAILTEXT | CDR)) == 0)
    return refuse_unsanitised;
  if (pair_joins(pair, UNROUTED, ~0U))
    return refuse_unrouted;
  if ((method & (MAILTEXT | CDR)) != 0 && (pair->from == CLASS_RELAY) == (pair->to == CLASS_RELAY))
    return NULL; /* D03 */
  if (method != 0 && (ever & method) != 0 && (now & method) == 0)
    return refuse_model;
  if (ever == 0 || (method != 0 && (ever & method) == 0))
    return refuse_pair;
  return NULL;
}

/* A lawful exception between LGWAN and the outside is said each time, so that nobody forgets it. */
static void report_exception(struct check *check, const struct pair *pair) {
  const struct flow *flow = pair->flow;
  if (!flow->method_known || flow->method != METHOD_EXCEPTION || check->flows[flow->index].over ||
      !pair_joins(pair, LGWAN | LGWAN_LINE, INTERNET | CLOUD | RELAY))
    return;
  const char *end = flow->expires_set ? check_end_date_text(check, flow->expires) : check_words(check, "なし", "none");
  struct diagnostic *found =
      diagnostic_add(check->diagnostics, SEVERITY_WARNING, "W01", method_place(check, flow), flow->name,
                     "例外措置により、無害化されない通信 %s → %s を通しています（期限: %s）（6(3)②）",
                     "an exception lets '%s' to '%s' through without sanitising (end: %s) (6(3)②)", pair->from_text,
                     pair->to_text, end);
  diagnostic_hint(check->diagnostics, found,
                  "例外措置台帳と照合し、無害化通信に置き換える予定を確かめてください（この警告は消せません）",
                  "compare it with the ledger of exceptions and plan its replacement; this warning always stands");
}

static const char *least_role_text(const struct check *check, enum approval_role needed) {
  const char *name = approval_role_name(needed);
  if (needed == ROLE_CISO)
    return name;
  const char *text = check->language == LANGUAGE_JAPANESE ? arena_printf(check->scratch, "%s 以上", name)
                                                          : arena_printf(check->scratch, "%s or above", name);
  return text != NULL ? text : name;
}

static void refuse_role(struct check *check, const struct pair *pair, enum approval_role needed) {
  const struct flow *flow = pair->flow;
  struct diagnostic *found;
  if (flow->method == METHOD_EXCEPTION)
    found = diagnostic_add(
        check->diagnostics, SEVERITY_ERROR, "D13", role_place(check, flow), flow->name,
        "例外措置の承認者が role = \"%s\" です。ciso の承認（または 72 時間以内の emergency）が必要です（6(1)）",
        "the exception is approved with role = \"%s\"; it needs 'ciso', or 'emergency' for at most 72 hours (6(1))",
        approval_role_name(flow->approval.role));
  else
    found = diagnostic_add(check->diagnostics, SEVERITY_ERROR, "D13", role_place(check, flow), flow->name,
                           "%sから%sへの%sの承認者が role = \"%s\" です。%s の承認が必要です（6(1)）",
                           "%s to %s by %s is approved with role = \"%s\"; it needs %s (6(1))", pair->from_label,
                           pair->to_label, flow_method_label(flow->method, check->language),
                           approval_role_name(flow->approval.role), least_role_text(check, needed));
  diagnostic_hint(check->diagnostics, found, "権限のある者の決裁を受け、approval を書き改めてください",
                  "obtain the decision of someone with that authority and rewrite 'approval'");
}

static void refuse_emergency(struct check *check, const struct pair *pair) {
  struct diagnostic *found =
      diagnostic_add(check->diagnostics, SEVERITY_ERROR, "D13", role_place(check, pair->flow), pair->flow->name,
                     "role = \"emergency\" は例外措置（method = \"exception\"）にだけ使えますが、method は \"%s\" です",
                     "role = \"emergency\" is for method = \"exception\" alone, but the method is \"%s\"",
                     flow_method_name(pair->flow->method));
  diagnostic_hint(check->diagnostics, found, "緊急でない通信は、通常の承認（role）を受けてください",
                  "give this flow a regular approval");
}

enum { EMERGENCY_SECONDS = 72 * 3600 };

static void check_emergency(struct check *check, const struct flow *flow) {
  if (!flow->approval.date.set || !flow->expires_set || check->flows[flow->index].end_refused)
    return;
  struct instant latest = check_day_start(check, &flow->approval.date);
  latest.seconds += EMERGENCY_SECONDS;
  if (flow->expires.seconds <= latest.seconds)
    return;
  struct diagnostic *found = diagnostic_add(
      check->diagnostics, SEVERITY_ERROR, "D13", check_at(check, flow->expires_place, "expires"), flow->name,
      "緊急の例外措置の期限が %s で、承認日の 0 時から 72 時間を超えています（遅くとも %s）",
      "the emergency exception ends at %s, more than 72 hours from the start of its day of approval (at the latest %s)",
      check_end_date_text(check, flow->expires), check_end_date_text(check, latest));
  diagnostic_hint(check->diagnostics, found,
                  "期限を縮めるか、CISO の承認（role = \"ciso\"）を受けて通常の例外措置にしてください",
                  "shorten it, or make it a regular exception with the approval of the CISO (role = \"ciso\")");
}

static void warn_emergency(struct check *check, const struct flow *flow) {
  if (check->flows[flow->index].over)
    return;
  struct diagnostic *found = diagnostic_add(
      check->diagnostics, SEVERITY_WARNING, "W02", role_place(check, flow), flow->name,
      "緊急の承認（emergency）で開いています（期限: %s）。CISO の事後承認がまだありません",
      "open by an emergency approval (end: %s); the regular approval of the CISO is still missing",
      flow->expires_set ? check_end_date_text(check, flow->expires) : check_words(check, "なし", "none"));
  diagnostic_hint(check->diagnostics, found, "CISO に報告し、承認を受けたら approval を書き改めてください",
                  "report to the CISO and rewrite 'approval' once it is decided");
}

static void check_role(struct check *check, const struct pair *pair) {
  const struct flow *flow = pair->flow;
  enum approval_role role = flow->approval.role, needed;
  if (!flow->method_known || !flow->approval.present || role == ROLE_NONE)
    return;
  bool exception = flow->method == METHOD_EXCEPTION;
  methods_under(pair->from, pair->to, EVERY_MODEL, &needed);
  if (exception)
    needed = ROLE_CISO;
  if (role == ROLE_EMERGENCY && !exception)
    refuse_emergency(check, pair);
  else if (role == ROLE_EMERGENCY)
    check_emergency(check, flow), warn_emergency(check, flow);
  else if (role < needed && (exception || !check->flows[flow->index].pair_refused))
    refuse_role(check, pair, needed);
}

/* Members in several zones, which reading refused: no class stands for them all. */
static bool is_mixed(const struct endpoint *ends, size_t count) {
  for (size_t i = 1; i < count; i++)
    if (ends[i].zone != ends[0].zone)
      return true;
  return false;
}

static void check_pair(struct check *check, const struct flow *flow) {
  struct pair pair = {.flow = flow};
  if (!check_flow_classes(check, flow, &pair.from, &pair.to) || flow->from_zone == flow->to_zone ||
      is_mixed(flow->from, flow->from_count) || is_mixed(flow->to, flow->to_count))
    return;
  pair.from_bit = 1U << pair.from;
  pair.to_bit = 1U << pair.to;
  pair.from_text = check_end_text(check, flow->from, flow->from_count);
  pair.to_text = check_end_text(check, flow->to, flow->to_count);
  pair.from_label = check_class_label(check, pair.from);
  pair.to_label = check_class_label(check, pair.to);
  pair_refusal *refuse = judge_pair(check, &pair);
  if (refuse != NULL) {
    check->flows[flow->index].pair_refused = true;
    check->flows[flow->index].never = refuse == refuse_mynumber || refuse == refuse_unrouted;
    refuse(check, &pair);
  } else {
    report_exception(check, &pair);
  }
  check_role(check, &pair);
}

void check_pairs(struct check *check) {
  for (size_t i = 0; i < check->policy->flow_count; i++)
    check_pair(check, &check->policy->flows[i]);
}
