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
