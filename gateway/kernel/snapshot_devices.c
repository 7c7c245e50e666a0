/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/snapshot_devices.h"

#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include "kernel/netlink.h"

enum { DEVICES_MOST = 256, REQUEST_ROOM = 512 };

/* ---- words of the text ---- */

struct words {
  const char *text;
  size_t length, position;
};

struct word {
  const char *start;
  size_t length;
};

static bool is_one_of(char character, const char *characters) {
  return character != '\0' && strchr(characters, character) != NULL;
}

/* A name, or one of the signs; empty at the end. */
static struct word next_word(struct words *words) {
  static const char blanks[] = " \t\n\r\",;:", signs[] = "{}=!";
  while (words->position < words->length && is_one_of(words->text[words->position], blanks)) {
    words->position++;
  }
  struct word word = {words->text + words->position, 0};
  while (words->position < words->length && !is_one_of(words->text[words->position], blanks) &&
         (word.length == 0 || !is_one_of(words->text[words->position], signs))) {
    bool sign = is_one_of(words->text[words->position], signs);
    words->position++;
    word.length++;
    if (sign) {
      break;
    }
  }
  return word;
}

static bool word_is(struct word word, const char *text) {
  return word.length == strlen(text) && memcmp(word.start, text, word.length) == 0;
}

static bool names_device(struct word word) {
  static const char *const keywords[] = {"device", "devices", "iif", "oif"};
  for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
    if (word_is(word, keywords[i])) {
      return true;
    }
  }
  return false;
}

/* ---- making ---- */

static bool make_link(struct netlink *netlink, const char *name, const char *kind) {
  _Alignas(NLMSG_ALIGNTO) char room[REQUEST_ROOM];
  struct netlink_answer answer = {0};
  struct nlmsghdr *request = mnl_nlmsg_put_header(room);
  request->nlmsg_type = RTM_NEWLINK;
  request->nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK;
  struct ifinfomsg *body = mnl_nlmsg_put_extra_header(request, sizeof(*body));
  body->ifi_family = AF_UNSPEC;
  mnl_attr_put_strz(request, IFLA_IFNAME, name);
  struct nlattr *information = mnl_attr_nest_start(request, IFLA_LINKINFO);
  mnl_attr_put_strz(request, IFLA_INFO_KIND, kind);
  mnl_attr_nest_end(request, information);
  int status = netlink_request(netlink, request, -1, &answer, NULL);
  netlink_answer_free(&answer);
  return status == 0;
}

/* Of the first kind that this kernel has. */
static void make_device(struct netlink *netlink, struct word word) {
  static const char *const kinds[] = {"dummy", "veth", "bridge"};
  char name[IFNAMSIZ] = "";
  if (word.length == 0 || word.length >= sizeof(name) || memchr(word.start, '*', word.length) != NULL) {
    return;
  }
  memcpy(name, word.start, word.length);
  for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
    if (make_link(netlink, name, kinds[i])) {
      return;
    }
  }
}

/* Behind a keyword: one name, or several in braces. Returns how many were tried. */
static unsigned make_named(struct netlink *netlink, struct words *words) {
  bool braces = false;
  for (unsigned made = 0; made < DEVICES_MOST;) {
    struct word word = next_word(words);
    if (word.length == 0 || word_is(word, "}")) {
      return made;
    }
    if (word_is(word, "{")) {
      braces = true;
    } else if (!word_is(word, "=") && !word_is(word, "!")) {
      make_device(netlink, word);
      made++;
      if (!braces) {
        return made;
      }
    }
  }
  return DEVICES_MOST;
}

void snapshot_make_devices(const char *text, size_t length) {
  struct netlink *netlink = NULL;
  struct words words = {.text = text, .length = length};
  unsigned made = 0;
  if (netlink_open(NETLINK_ROUTE, &netlink, NULL) < 0) {
    return;
  }
  for (struct word word = next_word(&words); word.length > 0 && made < DEVICES_MOST; word = next_word(&words)) {
    if (names_device(word)) {
      made += make_named(netlink, &words);
    }
  }
  netlink_close(netlink);
}
