/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/schema.h"

#include <assert.h>
#include <string.h>

#include "policy/policy.h"
#include "policy/words.h"

/* Enum-typed fields are read and printed as unsigned through their offset. */
static_assert(sizeof(enum zone_class) == sizeof(unsigned) && sizeof(enum flow_log) == sizeof(unsigned), "enum size");

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define CHOICES(array)                                                                                                 \
  { (array), (unsigned)COUNT(array) }

static const char *const language_names[] = {[LANGUAGE_JAPANESE] = "ja", [LANGUAGE_ENGLISH] = "en"};
static const char *const deny_names[] = {[ON_DENY_DROP] = "drop", [ON_DENY_REJECT] = "reject"};
static const char *const verdict_names[] = {"deny", "allow"};
static const char *const scope_names[] = {[MAC_SCOPE_DIRECT] = "direct", [MAC_SCOPE_VIA_ROUTER] = "via_router"};
static const char *const log_names[] = {[LOG_DEFAULT] = NULL, [LOG_NONE] = "none", [LOG_NEW] = "new"};

static const struct schema_choices classes = CHOICES(zone_class_words);
static const struct schema_choices models = CHOICES(connection_model_words);
static const struct schema_choices methods = CHOICES(flow_method_words);
static const struct schema_choices roles = CHOICES(approval_role_words);
static const struct schema_choices languages = CHOICES(language_names);
static const struct schema_choices denies = CHOICES(deny_names);
static const struct schema_choices verdicts = CHOICES(verdict_names);
static const struct schema_choices scopes = CHOICES(scope_names);
static const struct schema_choices logs = CHOICES(log_names);

#define AT(type, field) .offset = offsetof(type, field)
#define ARRAY_AT(type, field, count) .offset = offsetof(type, field), .count_offset = offsetof(type, count)

#define HEADER(field) AT(struct policy_header, field)
static const struct schema_key policy_keys[] = {
    {.name = "name",
     .kind = KIND_TEXT,
     .required = true,
     HEADER(name),
     .doc_ja = "ポリシーの名称",
     .doc_en = "title of the policy"},
    {.name = "number",
     .kind = KIND_TEXT,
     .required = true,
     HEADER(number),
     .doc_ja = "番号。すべての報告と警報に出る",
     .doc_en = "its number, shown in every report and alert"},
    {.name = "basis",
     .kind = KIND_TEXT,
     HEADER(basis),
     .doc_ja = "根拠となる規程",
     .doc_en = "the rule that it rests on"},
    {.name = "effective",
     .kind = KIND_DATE,
     HEADER(effective),
     .doc_ja = "施行日（記録のみ。効力の開始は適用による）",
     .doc_en = "date of effect; for the record, applying is what puts it in force"},
    {.name = "model",
     .kind = KIND_CHOICE,
     .required = true,
     HEADER(model),
     .choices = &models,
     .doc_ja = "接続モデル（αモデルなど）",
     .doc_en = "connection model of the town"},
    {.name = "timezone",
     .always = true,
     .kind = KIND_TIMEZONE,
     HEADER(timezone_name),
     .doc_ja = "日付と時刻の時間帯。既定は Asia/Tokyo",
     .doc_en = "what dates and times mean; default Asia/Tokyo"},
    {.name = "language",
     .always = true,
     .kind = KIND_CHOICE,
     HEADER(language),
     .choices = &languages,
     .doc_ja = "通知、警報、報告の言語。既定は ja",
     .doc_en = "language of messages, alerts and reports; default ja"},
    {.name = "special_exempt",
     .kind = KIND_PREFIXES,
     ARRAY_AT(struct policy_header, special_exempt, special_exempt_count),
     .doc_ja = "この自治体で実際に使う特殊用途アドレス（ULA を含む）。既定はなし",
     .doc_en = "special-purpose ranges that this town really uses (ULA too); default none"},
    {.name = "half_open_limit",
     .always = true,
     .kind = KIND_NUMBER,
     HEADER(half_open_limit),
     .maximum = 1000000,
     .doc_ja = "一つの宛先に対する応答待ち TCP 接続の上限。既定は 256",
     .doc_en = "unanswered TCP openings towards one destination; default 256"},
};

#define ZONE(field) AT(struct zone, field)
static const struct schema_key zone_keys[] = {
    {.name = "class",
     .kind = KIND_CHOICE,
     .required = true,
     ZONE(class),
     .set_offset = offsetof(struct zone, class_known),
     .choices = &classes,
     .doc_ja = "領域の種別",
     .doc_en = "what kind of zone it is"},
    {.name = "label", .kind = KIND_STRING, ZONE(label), .doc_ja = "表示名", .doc_en = "name shown to people"},
    {.name = "interfaces",
     .kind = KIND_INTERFACES,
     ARRAY_AT(struct zone, interfaces, interface_count),
     .doc_ja = "この領域につながるインターフェース名",
     .doc_en = "kernel names of the interfaces into this zone"},
    {.name = "networks",
     .kind = KIND_PREFIXES,
     ARRAY_AT(struct zone, networks, network_count),
     .doc_ja = "直結セグメントのネットワーク",
     .doc_en = "networks on the attached segments"},
    {.name = "remote",
     .kind = KIND_PREFIXES,
     ARRAY_AT(struct zone, remote, remote_count),
     .doc_ja = "領域内のルータの先にあるネットワーク",
     .doc_en = "networks of this zone that stand behind a router"},
    {.name = "default_route",
     .kind = KIND_FLAG,
     ZONE(default_route),
     .place_offset = offsetof(struct zone, default_route_place),
     .doc_ja = "true: どの領域にも属さないグローバルアドレスもこの領域とする。既定は false",
     .doc_en = "true: also every global unicast address that no zone claims; default false"},
    {.name = "within",
     .kind = KIND_VERDICT,
     ZONE(within),
     .set_offset = offsetof(struct zone, within_set),
     .choices = &verdicts,
     .doc_ja = "同じ領域のインターフェース間の転送。既定は deny",
     .doc_en = "forwarding between two interfaces of this zone; default deny"},
    {.name = "on_deny",
     .kind = KIND_CHOICE,
     ZONE(on_deny),
     .choices = &denies,
     .doc_ja = "遮断時にこの領域の送信元へ返す応答。既定は drop（応答しない）",
     .doc_en = "what a denied sender of this zone is told; default drop (nothing)"},
    {.name = "routers",
     .kind = KIND_TEXTS,
     ARRAY_AT(struct zone, routers, router_count),
     .doc_ja = "正当なルータ（機器名、アドレス、MAC）",
     .doc_en = "lawful routers: hosts, addresses or MACs"},
    {.name = "dhcp_servers",
     .kind = KIND_TEXTS,
     ARRAY_AT(struct zone, dhcp_servers, dhcp_server_count),
     .doc_ja = "正当な DHCP サーバ（機器名、アドレス、MAC）",
     .doc_en = "lawful DHCP servers: hosts, addresses or MACs"},
    {.name = "switches",
     .kind = KIND_TEXTS,
     ARRAY_AT(struct zone, switches, switch_count),
     .doc_ja = "正当なスイッチ（機器名、アドレス、MAC）",
     .doc_en = "lawful switches: hosts, addresses or MACs"},
};

#define HOST(field) AT(struct host, field)
static const struct schema_key host_keys[] = {
    {.name = "zone",
     .kind = KIND_ZONE,
     .required = true,
     HOST(zone),
     .place_offset = offsetof(struct host, zone_place),
     .doc_ja = "属する領域の名前",
     .doc_en = "name of the zone that it belongs to"},
    {.name = "address",
     .kind = KIND_ADDRESSES,
     .required = true,
     ARRAY_AT(struct host, addresses, address_count),
     .doc_ja = "アドレス。領域のネットワークの内側であること",
     .doc_en = "its addresses, inside the networks of its zone"},
    {.name = "mac",
     .kind = KIND_MACS,
     ARRAY_AT(struct host, macs, mac_count),
     .doc_ja = "MAC アドレス",
     .doc_en = "its MAC addresses"},
    {.name = "mac_scope",
     .kind = KIND_CHOICE,
     HOST(mac_scope),
     .choices = &scopes,
     .doc_ja = "MAC の検査。既定は direct（すべてのパケットで検査）。via_router はルータ越しのため検査しない",
     .doc_en = "direct (default): checked on every packet; via_router: behind a router, not checked"},
    {.name = "mac_reason",
     .kind = KIND_TEXT,
     HOST(mac_reason),
     .doc_ja = "via_router とする理由",
     .doc_en = "why the MAC cannot be checked here (via_router)"},
    {.name = "machine",
     .kind = KIND_STRING,
     HOST(machine),
     .doc_ja = "複数の領域に足を持つ一台の機器の名前。足となる機器はすべて同じ名前を書く",
     .doc_en = "hosts that share this name are legs of one machine"},
    {.name = "label", .kind = KIND_STRING, HOST(label), .doc_ja = "表示名", .doc_en = "name shown to people"},
};

#define APPROVAL(field) AT(struct approval, field)
static const struct schema_key approval_keys[] = {
    {.name = "by", .kind = KIND_TEXT, APPROVAL(by), .doc_ja = "承認者（決裁者）の職名", .doc_en = "who approved"},
    {.name = "role",
     .kind = KIND_CHOICE,
     APPROVAL(role),
     .place_offset = offsetof(struct approval, role_place),
     .choices = &roles,
     .doc_ja = "承認者の役割",
     .doc_en = "the approver's role"},
    {.name = "document",
     .kind = KIND_TEXT,
     APPROVAL(document),
     .doc_ja = "決裁番号",
     .doc_en = "number of the document"},
    {.name = "date", .kind = KIND_DATE, APPROVAL(date), .doc_ja = "承認日", .doc_en = "date of approval"},
    {.name = "author",
     .kind = KIND_TEXT,
     APPROVAL(author),
     .doc_ja = "起案者。承認者とは別人であること",
     .doc_en = "who drafted it; not the approver"},
};

#define SHAPE(field) AT(struct shape, field)
enum { MOST_BYTES = 1000000000, MOST_PACKETS = 1000000, MOST_CONNECTIONS = 10000000 };
#define BYTES_MAXIMUM ((uint64_t)MOST_BYTES * 1000000)
static const struct schema_key shape_keys[] = {
    {.name = "up_bytes_per_minute",
     .kind = KIND_LARGE,
     SHAPE(up_bytes_per_minute),
     .maximum = BYTES_MAXIMUM,
     .doc_ja = "開始側から出る量の上限（バイト毎分）",
     .doc_en = "most bytes per minute from the opening side"},
    {.name = "down_bytes_per_minute",
     .kind = KIND_LARGE,
     SHAPE(down_bytes_per_minute),
     .maximum = BYTES_MAXIMUM,
     .doc_ja = "開始側へ戻る量の上限（バイト毎分）",
     .doc_en = "most bytes per minute towards the opening side"},
};

static const struct schema_key window_keys[] = {
    {.name = "start",
     .kind = KIND_START,
     .required = true,
     AT(struct window, start),
     .doc_ja = "開始。日付だけならその日の 0 時",
     .doc_en = "its start; a date means the beginning of that day"},
    {.name = "end",
     .kind = KIND_END,
     .required = true,
     AT(struct window, end),
     .doc_ja = "終了。日付だけならその日の 24 時",
     .doc_en = "its end; a date means the end of that day"},
    {.name = "attended",
     .kind = KIND_FLAG,
     AT(struct window, attended),
     .doc_ja = "職員の立会い。既定は false",
     .doc_en = "staff is present; default false"},
};

static const struct schema_key limit_keys[] = {
    {.name = "new_per_second",
     .kind = KIND_LARGE,
     AT(struct limit, new_per_second),
     .maximum = MOST_PACKETS,
     .doc_ja = "1 秒間に開始できる通信の数",
     .doc_en = "connections that may open per second"},
    {.name = "connections",
     .kind = KIND_LARGE,
     AT(struct limit, connections),
     .maximum = MOST_CONNECTIONS,
     .doc_ja = "同時に存在できる通信の数",
     .doc_en = "connections that may exist at once"},
};

static const struct schema_section sections[SECTION_COUNT_];

#define FLOW(field) AT(struct flow, field)
#define NOTE(key, japanese, english)                                                                                   \
  { .name = (key), .kind = KIND_NOTE, .doc_ja = (japanese), .doc_en = (english) }
static const struct schema_key flow_keys[] = {
    {.name = "from",
     .kind = KIND_ENDS,
     .required = true,
     ARRAY_AT(struct flow, from, from_count),
     .place_offset = offsetof(struct flow, from_place),
     .doc_ja = "通信を開始する側",
     .doc_en = "who opens the communication"},
    {.name = "to",
     .kind = KIND_ENDS,
     .required = true,
     ARRAY_AT(struct flow, to, to_count),
     .place_offset = offsetof(struct flow, to_place),
     .doc_ja = "通信先",
     .doc_en = "whom it is opened to"},
    {.name = "services",
     .kind = KIND_SERVICES,
     .required = true,
     ARRAY_AT(struct flow, services, service_count),
     .place_offset = offsetof(struct flow, services_place),
     .doc_ja = "プロトコルとポート番号",
     .doc_en = "protocols and ports"},
    {.name = "method",
     .kind = KIND_CHOICE,
     .required = true,
     FLOW(method),
     .place_offset = offsetof(struct flow, method_place),
     .set_offset = offsetof(struct flow, method_known),
     .choices = &methods,
     .doc_ja = "通信の方式",
     .doc_en = "by what right and technique it crosses"},
    {.name = "pair",
     .kind = KIND_TEXT,
     FLOW(pair),
     .doc_ja = "一つの無害化通信をなす通信どうしの組の名前",
     .doc_en = "label shared by the flows of one mailtext or cdr communication"},
    {.name = "protocol",
     .kind = KIND_WORD,
     FLOW(protocol),
     .doc_ja = "中を流れるはずのプロトコル（tls など）。監視番が確かめる",
     .doc_en = "what it should carry (tls, rdp, smtp, ...); the watchman checks"},
    {.name = "shape",
     .kind = KIND_GROUP,
     FLOW(shape),
     .set_offset = offsetof(struct flow, shape.set),
     .section = &sections[SECTION_SHAPE],
     .doc_ja = "通信量の見込み。監視番が確かめる。既定は方式による",
     .doc_en = "what it should look like; the watchman checks; default by method"},
    {.name = "purpose", .kind = KIND_TEXT, FLOW(purpose), .doc_ja = "目的", .doc_en = "what it is for"},
    {.name = "owner", .kind = KIND_TEXT, FLOW(owner), .doc_ja = "所管課", .doc_en = "section that answers for it"},
    {.name = "approval",
     .kind = KIND_GROUP,
     FLOW(approval),
     .place_offset = offsetof(struct flow, approval.place),
     .set_offset = offsetof(struct flow, approval.present),
     .section = &sections[SECTION_APPROVAL],
     .doc_ja = "承認（決裁）",
     .doc_en = "the approval"},
    {.name = "review", .kind = KIND_DATE, FLOW(review), .doc_ja = "見直し日", .doc_en = "date of the next review"},
    {.name = "expires",
     .kind = KIND_DAY_END,
     FLOW(expires),
     .place_offset = offsetof(struct flow, expires_place),
     .set_offset = offsetof(struct flow, expires_set),
     .doc_ja = "有効期限。日付だけならその日の 24 時まで",
     .doc_en = "when it ends; a date means the end of that day"},
    {.name = "window",
     .kind = KIND_WINDOWS,
     ARRAY_AT(struct flow, windows, window_count),
     .place_offset = offsetof(struct flow, window_place),
     .section = &sections[SECTION_WINDOW],
     .doc_ja = "開放時間帯。その外では閉じる",
     .doc_en = "when it is open; closed outside"},
    {.name = "hours",
     .kind = KIND_HOURS,
     FLOW(hours),
     .set_offset = offsetof(struct flow, hours.set),
     .place_offset = offsetof(struct flow, hours.place),
     .doc_ja = "毎週の時間帯",
     .doc_en = "a window that recurs every week"},
    {.name = "limit",
     .kind = KIND_GROUP,
     FLOW(limit),
     .place_offset = offsetof(struct flow, limit.place),
     .set_offset = offsetof(struct flow, limit.set),
     .section = &sections[SECTION_LIMIT],
     .doc_ja = "通信の数の上限",
     .doc_en = "upper bounds, enforced in the kernel"},
    {.name = "log",
     .kind = KIND_CHOICE,
     FLOW(log),
     .choices = &logs,
     .doc_ja = "通信の開始と終了の記録。既定は領域と方式による",
     .doc_en = "record openings and endings; default by zones and method"},
    NOTE("reason", "広い範囲を許可する理由（D05 が求める）", "why the range is wide (asked for by D05)"),
    NOTE("basis", "根拠", "the rule that it rests on"),
    NOTE("compensation", "代替措置", "compensating measures"),
    NOTE("application", "申請番号", "number of the application"),
    NOTE("data_class", "機密性", "class of the data"),
    NOTE("contact", "連絡先", "whom to call"),
    NOTE("note", "備考", "anything else"),
};

#define CASE(field) AT(struct expectation, field)
static const struct schema_key expect_keys[] = {
    {.name = "name",
     .kind = KIND_STRING,
     .required = true,
     CASE(name),
     .doc_ja = "確認の名前",
     .doc_en = "name of the case"},
    {.name = "from",
     .kind = KIND_CASE_END,
     CASE(from),
     .doc_ja = "送信元（機器、アドレス、CIDR、gateway）",
     .doc_en = "source: host, address, CIDR or gateway"},
    {.name = "from_zone",
     .kind = KIND_CASE_ZONE,
     CASE(from),
     .doc_ja = "送信元の領域。to_zone と組で書き、すべての通信を意味する",
     .doc_en = "zone of the source; with to_zone: every packet of the pair"},
    {.name = "to",
     .kind = KIND_CASE_END,
     CASE(to),
     .doc_ja = "宛先（機器、アドレス、CIDR、gateway）",
     .doc_en = "destination: host, address, CIDR or gateway"},
    {.name = "to_zone", .kind = KIND_CASE_ZONE, CASE(to), .doc_ja = "宛先の領域", .doc_en = "zone of the destination"},
    {.name = "service",
     .kind = KIND_CASE_SERVICE,
     ARRAY_AT(struct expectation, services, service_count),
     .doc_ja = "プロトコルとポート番号",
     .doc_en = "protocol and port"},
    {.name = "verdict",
     .kind = KIND_VERDICT,
     .required = true,
     CASE(expect_allow),
     .place_offset = offsetof(struct expectation, verdict_place),
     .choices = &verdicts,
     .doc_ja = "期待する判定",
     .doc_en = "the verdict that is expected"},
    {.name = "flow",
     .kind = KIND_TEXT,
     CASE(flow),
     .doc_ja = "許可するはずの通信の名前",
     .doc_en = "flow that should allow it"},
    {.name = "at",
     .kind = KIND_AT,
     CASE(at),
     .set_offset = offsetof(struct expectation, at_set),
     .doc_ja = "いつの判定か。既定は現在",
     .doc_en = "when it is judged; default now"},
};

#define SECTION(japanese, english, array)                                                                              \
  {                                                                                                                    \
    .title_ja = (japanese), .title_en = (english), .keys = (array), .key_count = COUNT(array)
static const struct schema_section sections[SECTION_COUNT_] = {[SECTION_POLICY] =
                                                                   SECTION("ポリシー", "policy", policy_keys),
                                                               .name = "policy"},
                                   [SECTION_ZONE] = SECTION("領域", "zone", zone_keys), .name = "zone"
}
, [SECTION_HOST] = SECTION("機器", "host", host_keys), .name = "host", .inline_form = true
}
, [SECTION_FLOW] = SECTION("通信許可", "flow", flow_keys), .name = "flow", .free_keys = true
}
, [SECTION_APPROVAL] = SECTION("承認", "approval", approval_keys), .name = "approval", .inline_form = true
}
, [SECTION_SHAPE] = SECTION("通信量", "shape", shape_keys), .name = "shape", .inline_form = true
}
, [SECTION_WINDOW] = SECTION("開放時間帯", "window", window_keys), .name = "window", .inline_form = true
}
, [SECTION_LIMIT] = SECTION("上限", "limit", limit_keys), .name = "limit", .inline_form = true
}
, [SECTION_EXPECT] = SECTION("確認", "expect", expect_keys), .name = "expect", .inline_form = true
}
,
}
;

static const struct schema_top tops[] = {
    [TOP_POLICY] = {"policy", false, true, "ポリシーの表題", "the head of the policy"},
    [TOP_ZONES] = {"zones", false, true, "領域", "the zones"},
    [TOP_HOSTS] = {"hosts", false, false, "機器", "the hosts"},
    [TOP_SERVICES] = {"services", false, false, "独自のサービス名", "own names of services"},
    [TOP_FLOWS] = {"flows", false, false, "許可する通信", "the authorised communications"},
    [TOP_EXPECT] = {"expect", true, false, "ポリシーの確認", "cases that the policy must meet"},
};
static_assert(COUNT(tops) == TOP_COUNT_, "every part of the file is described");

struct kind_description {
  const char *label_ja, *label_en;
};

static const struct kind_description kinds[] = {
    [KIND_TEXT] = {"文字列", "a string"},
    [KIND_WORD] = {"英小文字の語", "a lower-case word"},
    [KIND_STRING] = {"文字列", "a string"},
    [KIND_TEXTS] = {"機器名、アドレスまたは MAC アドレス（複数可）", "one or a list of host names, addresses or MACs"},
    [KIND_INTERFACES] = {"インターフェース名（複数可）", "one or a list of interface names"},
    [KIND_CHOICE] = {"決められた語", "one of a few words"},
    [KIND_FLAG] = {"真偽値（true、false）", "true or false"},
    [KIND_VERDICT] = {"\"allow\" か \"deny\"", "\"allow\" or \"deny\""},
    [KIND_NUMBER] = {"1 以上の整数", "a positive integer"},
    [KIND_LARGE] = {"1 以上の整数", "a positive integer"},
    [KIND_TIMEZONE] = {"時間帯名（\"Asia/Tokyo\" など）", "a timezone name such as \"Asia/Tokyo\""},
    [KIND_DATE] = {"日付（\"2026-04-01\"）", "a date (\"2026-04-01\")"},
    [KIND_DAY_END] = {"日付、またはオフセット付きの日時", "a date, or a date and time with offset"},
    [KIND_START] = {"日付、またはオフセット付きの日時", "a date, or a date and time with offset"},
    [KIND_END] = {"日付、またはオフセット付きの日時", "a date, or a date and time with offset"},
    [KIND_AT] = {"日付、またはオフセット付きの日時", "a date, or a date and time with offset"},
    [KIND_PREFIXES] = {"アドレスまたは CIDR（複数可）", "one or a list of addresses and CIDR prefixes"},
    [KIND_ADDRESSES] = {"アドレス、CIDR または範囲（複数可）", "one or a list of addresses, CIDR prefixes and ranges"},
    [KIND_MACS] = {"MAC アドレス（複数可）", "one or a list of MAC addresses"},
    [KIND_ZONE] = {"領域の名前", "the name of a zone"},
    [KIND_ENDS] = {"機器名（複数可）、\"zone:領域名\" または \"gateway\" ",
                   "one or a list of host names, \"zone:NAME\" or \"gateway\""},
    [KIND_SERVICES] = {"サービス（複数可、\"tcp/443\" など）", "one or a list of services such as \"tcp/443\""},
    [KIND_HOURS] = {"曜日と時間帯（\"mon-fri 08:30-17:15\"）", "days and times such as \"mon-fri 08:30-17:15\""},
    [KIND_NOTE] = {"文字列", "a string"},
    [KIND_GROUP] = {"{ … }", "a group { ... }"},
    [KIND_WINDOWS] = {"{ start, end, attended }（複数可）", "one or a list of { start, end, attended }"},
    [KIND_CASE_END] = {"機器名、アドレス、CIDR または \"gateway\"", "a host, an address, a CIDR prefix or \"gateway\""},
    [KIND_CASE_ZONE] = {"領域の名前", "the name of a zone"},
    [KIND_CASE_SERVICE] = {"サービス（\"tcp/443\" など）", "a service such as \"tcp/443\""},
};
static_assert(COUNT(kinds) == KIND_COUNT_, "every kind is described");

static const char *const translation_keys[] = {"nat", "snat", "dnat", "masquerade", "translate"};

const struct schema_section *schema_section(enum schema_section_id id) {
  return &sections[id];
}

const struct schema_key *schema_find_key(const struct schema_section *section, const char *name) {
  for (size_t i = 0; i < section->key_count; i++)
    if (section->keys[i].name[0] == name[0] && strcmp(section->keys[i].name, name) == 0)
      return &section->keys[i];
  return NULL;
}

const char *schema_kind_label_ja(enum schema_kind kind) {
  return kinds[kind].label_ja;
}

const char *schema_kind_label_en(enum schema_kind kind) {
  return kinds[kind].label_en;
}

const struct schema_top *schema_top(size_t index) {
  return &tops[index];
}

bool schema_is_translation_key(const char *name) {
  for (size_t i = 0; i < COUNT(translation_keys); i++)
    if (strcmp(translation_keys[i], name) == 0)
      return true;
  return false;
}
