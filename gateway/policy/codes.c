/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/codes.h"

#include <string.h>

static const struct policy_code codes[] = {
    /* The form of the file (read*.c). */
    {"P01", "書式の誤り", "syntax error"},
    {"P02", "知らないキー", "unknown key"},
    {"P03", "値の型の誤り", "wrong type of value"},
    {"P04", "値の誤り", "bad value"},
    {"P05", "必須キーの欠落", "missing key"},
    {"P06", "知らない名前", "unknown name"},
    {"P07", "重複", "duplicate"},
    {"P08", "文字コードの誤り", "bad encoding"},
    {"P09", "ファイルの問題", "file problem"},
    {"P10", "両端が同じ領域", "both ends in one zone"},
    {"P11", "領域外のアドレス", "address outside its zone"},
    {"P12", "一端に複数の領域", "one end in several zones"},
    {"P13", "両立しないキー", "keys that do not go together"},
    {"P14", "大きさの上限", "limit exceeded"},
    /* The doctrine (check*.c). */
    {"D01", "マイナンバー利用事務系と外部の通信", "My Number joined to the outside"},
    {"D02", "無害化されない LGWAN と外部の通信", "LGWAN joined to the outside without sanitising"},
    {"D03", "無害化中継の片足・抜け道", "a relay with one leg, or a way around it"},
    {"D04", "マイナンバー利用事務系の限定不足", "a My Number flow that is not limited"},
    {"D05", "広すぎる許可", "\"any\" in one of its disguises"},
    {"D06", "記載不足の通信", "a flow without its papers"},
    {"D07", "期限のない例外・保守", "an exception or maintenance without an end"},
    {"D08", "分かれていない領域", "zones that are not apart"},
    {"D09", "インターネットへの別の出口", "another way to the Internet"},
    {"D10", "経路を持たない隣接領域との通信", "a flow with an unrouted neighbour"},
    {"D11", "アドレス変換", "address translation"},
    {"D12", "認証・ファイル共有・DNS の越境", "domain, file sharing, RPC or DNS across the line"},
    {"D13", "承認の不足", "insufficient approval"},
    {"D14", "接続モデルにない方式", "a method that the model does not allow"},
    {"D15", "あり得ない日付", "dates that cannot be"},
    {"D16", "方式で使えないポート", "a port that the method may not use"},
    {"D17", "認められていない領域の組・方式", "a pair of classes, or a method, that the table does not name"},
    {"D18", "決裁の範囲を超える変更", "a meaning that changed under the same approval or number"},
    /* Expectations (expect.c). */
    {"E01", "満たされない期待", "an expectation that does not hold"},
    /* Warnings (check*.c); W06 is a note. */
    {"W01", "LGWAN と外部の間の例外措置", "an exception between LGWAN and the outside"},
    {"W02", "緊急の承認のまま", "still on an emergency approval"},
    {"W03", "必要より広い許可", "wider than it need be"},
    {"W04", "代替措置のない例外", "an exception without compensation"},
    {"W05", "ほかの通信に含まれる通信", "a flow within another"},
    {"W06", "ほかの通信と重なる通信", "a flow that overlaps another"},
    {"W07", "期限切れの通信", "an expired flow"},
    {"W08", "見直し日の超過", "a review that is overdue"},
    {"W09", "開かない開放時間帯", "windows that do not open any more"},
    {"W10", "近づく期限", "an end that comes near"},
    {"W11", "期限の集中", "many ends on one day"},
    {"W12", "立会いのない開放時間帯", "an unattended window"},
    {"W13", "使われていない定義", "a definition that nothing uses"},
    {"W14", "MAC アドレスのない機器", "a host without a MAC address"},
    {"W15", "踏み台になり得る機器", "a possible stepping stone"},
    {"W16", "領域内の通信が未定", "traffic within a zone left open"},
    {"W17", "この装置にないインターフェース", "an interface that this machine lacks"},
    {"W18", "何も確かめない期待", "an expectation that tests nothing"},
    {"W19", "一つの物理線を分け合う領域", "zones that share a trunk"},
    {"W20", "常に遮断される特殊用途のアドレス", "special-purpose addresses that are always denied"},
    {"W21", "当たるパケットのない通信", "a flow to which no packet can belong"},
};

const struct policy_code *policy_codes(size_t *ret_count) {
  *ret_count = sizeof(codes) / sizeof(codes[0]);
  return codes;
}

const struct policy_code *policy_code_find(const char *code) {
  for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
    if (strcmp(codes[i].code, code) == 0)
      return &codes[i];
  return NULL;
}
