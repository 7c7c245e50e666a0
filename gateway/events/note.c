/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "events/note.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { NOTE_MAGIC = 0x4b4e5445 };

void note_send(int socket, const char *sink, enum scribe_state state, uint64_t records, const char *message) {
  struct scribe_note note = {.magic = NOTE_MAGIC, .state = state, .records = records};
  snprintf(note.sink, sizeof note.sink, "%s", sink);
  snprintf(note.message, sizeof note.message, "%s", message);
  (void)send(socket, &note, sizeof note, MSG_DONTWAIT | MSG_NOSIGNAL);
}

int note_receive(int socket, struct scribe_note *ret_note) {
  struct scribe_note note;
  ssize_t got = recv(socket, &note, sizeof note, MSG_DONTWAIT);
  if (got < 0)
    return errno == EAGAIN || errno == EINTR ? 0 : -errno;
  if (got == 0)
    return -ECONNRESET;
  if (got != sizeof note || note.magic != NOTE_MAGIC || note.state > SCRIBE_LOST)
    return -EPROTO;
  note.sink[sizeof note.sink - 1] = '\0';
  note.message[sizeof note.message - 1] = '\0';
  *ret_note = note;
  return 1;
}

/* ---- in words ---- */

static const char *sink_name(const char *sink, enum language language) {
  static const struct {
    const char *name, *japanese, *english;
  } names[] = {{"syslog", "ログサーバー (syslog)", "the log server (syslog)"},
               {"journal", "ジャーナル", "the journal"},
               {"hook", "通報プログラム", "the hook program"},
               {"store", "事象データベース", "the store of events"},
               {"evidence", "証拠パケットの保存", "the keeping of evidence"},
               {"metrics", "計測値ファイル", "the file of metrics"},
               {"prune", "古い記録の削除", "the pruning of old records"}};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (strcmp(names[i].name, sink) == 0)
      return language_choose(language, names[i].japanese, names[i].english);
  return sink;
}

static const char *advice(const char *sink, enum language language) {
  if (strcmp(sink, "syslog") == 0)
    return language_choose(
        language,
        "1. ログサーバーが動いているか確かめる。2. 通信表で gateway からの送信が許可されているか"
        "確かめる (kido explain gateway)。記録は失われず、つながれば順に送る",
        "1. Look whether the log server runs. 2. Look whether the policy lets the gateway reach it (kido "
        "explain gateway). Nothing is lost; it is sent in order when the server is back");
  if (strcmp(sink, "hook") == 0)
    return language_choose(language, "通報プログラムを手で動かし、終了コードと時間を確かめる",
                           "Run the program by hand and look at its exit code and how long it takes");
  return language_choose(language, "状態ディレクトリの空きと権限を確かめる",
                         "Look at the room and the rights of the state directory");
}

void scribe_describe(const struct scribe_note *note, enum language language, struct scribe_words *ret_words) {
  const char *sink = sink_name(note->sink, language);
  *ret_words = (struct scribe_words){.severity = note->state == SCRIBE_WORKS ? EVENT_INFO : EVENT_WARNING};
  char *message = ret_words->message;
  size_t size = sizeof ret_words->message;
  switch ((enum scribe_state)note->state) {
  case SCRIBE_FAILS:
    snprintf(message, size,
             language_choose(language, "%sに渡せません。記録は手元で待たせます: %s",
                             "%s takes no events; they wait here: %s"),
             sink, note->message);
    break;
  case SCRIBE_WORKS:
    snprintf(message, size,
             language_choose(language, "%sに再び渡せています。待たせた記録 %" PRIu64 " 件を渡しました",
                             "%s takes events again, and has got the %" PRIu64 " that waited"),
             sink, note->records);
    break;
  case SCRIBE_LOST:
    snprintf(message, size,
             language_choose(language, "%sに渡らなかった記録が %" PRIu64 " 件あります (古くなったため)",
                             "%s did not get %" PRIu64 " events: they were too old"),
             sink, note->records);
    break;
  }
  ret_words->what_to_do = note->state == SCRIBE_WORKS ? NULL : advice(note->sink, language);
}
