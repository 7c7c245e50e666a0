/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What allowed flows speak, against the protocol that they declare. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "two_wires.h"

static const char FLOWS[] =
    " F-1 = { from = \"a\"; to = \"b\"; services = [ \"tcp/443\" ]; method = \"screen\"; protocol = \"tls\"; };\n"
    " F-2 = { from = \"a\"; to = \"b\"; services = [ \"tcp/3389\" ]; method = \"screen\"; protocol = \"rdp\"; };\n"
    " F-3 = { from = \"a\"; to = \"b\"; services = [ \"tcp/22\" ]; method = \"exception\"; protocol = \"ssh\"; };\n"
    " F-4 = { from = \"a\"; to = \"b\"; services = [ \"tcp/25\" ]; method = \"exception\"; protocol = \"smtp\"; };\n"
    " F-5 = { from = \"a\"; to = \"b\"; services = [ \"udp/53\" ]; method = \"exception\"; protocol = \"dns\"; };\n"
    " F-6 = { from = \"a\"; to = \"b\"; services = [ \"udp/123\" ]; method = \"exception\"; protocol = \"ntp\"; };\n"
    " F-7 = { from = \"a\"; to = \"b\"; services = [ \"tcp/80\" ]; method = \"exception\"; protocol = \"http\"; };\n"
    " F-8 = { from = \"a\"; to = \"b\"; services = [ \"tcp/9999\" ]; method = \"exception\"; };\n"
    " F-9 = { from = \"a6\"; to = \"b6\"; services = [ \"tcp/443\" ]; method = \"screen\"; protocol = \"tls\"; };\n"
    " F-10 = { from = \"a\"; to = \"b\"; services = [ \"tcp/7000\" ]; method = \"screen\"; protocol = \"pcoip\"; };\n";

enum { MESSAGES = 6 };

/* One protocol: what is said, in turn; those that begin with '<' come from the server. */
struct speech {
  const char *name;
  uint8_t protocol;
  struct {
    const char *bytes;
    size_t size;
  } messages[MESSAGES];
};
#define SAYS(text)                                                                                                     \
  { text, sizeof(text) - 1 }

static const struct speech SPEECHES[] = {
    {"ssh", 6, {SAYS("<SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n"), SAYS(">SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")}},
    {"http",
     6,
     {SAYS(">GET /index.html HTTP/1.1\r\nHost: www.example.jp\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n"),
      SAYS("<HTTP/1.1 200 OK\r\nServer: test\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\nhello")}},
    {"smtp",
     6,
     {SAYS("<220 mail.example.jp ESMTP Postfix\r\n"), SAYS(">EHLO relay.example.jp\r\n"),
      SAYS("<250-mail.example.jp\r\n250-PIPELINING\r\n250 8BITMIME\r\n"), SAYS(">MAIL FROM:<a@example.jp>\r\n"),
      SAYS("<250 2.1.0 Ok\r\n"), SAYS(">RCPT TO:<b@example.jp>\r\n")}},
    {"rdp",
     6,
     {SAYS(">\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x03\x00\x00\x00"),
      SAYS("<\x03\x00\x00\x13\x0e\xd0\x00\x00\x12\x34\x00\x02\x00\x08\x00\x02\x00\x00\x00")}},
    {"tls",
     6,
     {SAYS(">\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x11\x22\x33\x44\x55\x66\x77\x88\x99"),
      SAYS("<\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03\x11\x22\x33\x44\x55\x66")}},
    {"dns",
     17,
     {SAYS(">\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07"
           "example\x02jp\x00\x00\x01\x00\x01"),
      SAYS("<\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00\x03www\x07"
           "example\x02jp\x00\x00\x01\x00\x01\xc0\x0c\x00\x01\x00\x01\x00\x00\x0e\x10\x00\x04\xcb\x00\x71\x05")}},
    {"ntp",
     17,
     {SAYS(
         ">\x23\x00\x06\xec\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
         "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xe8\x01\x02\x03\x04\x05\x06\x07")}},
    {"nothing known",
     6,
     {SAYS(">\x99\x11qwertyuiop\x01\x02\x03"), SAYS("<\x98\x71zxcvbnm\x01\x02\x03"), SAYS(">\x91\x19plmokn\x05\x02")}},
};

static struct two_wires wires;

static void set_up(void) {
  struct watch_settings settings = {.connections = 16384}; /* room for all of them */
  two_wires_open_with(&wires, FLOWS, &settings);
}

static void tear_down(void) {
  two_wires_close(&wires);
}

static const struct speech *speech_of(const char *name) {
  for (size_t i = 0; i < sizeof SPEECHES / sizeof SPEECHES[0]; i++)
    if (strcmp(SPEECHES[i].name, name) == 0)
      return &SPEECHES[i];
  ck_abort_msg("%s is not spoken", name);
}

struct ends {
  const char *client, *server;
  uint16_t client_port, server_port;
};

static void say(const struct ends *ends, uint8_t protocol, bool up, uint8_t flags, const void *bytes, size_t size) {
  struct test_packet packet = {.wire = up ? INSIDE : OUTSIDE,
                               .source = up ? ends->client : ends->server,
                               .destination = up ? ends->server : ends->client,
                               .protocol = protocol,
                               .source_port = up ? ends->client_port : ends->server_port,
                               .destination_port = up ? ends->server_port : ends->client_port,
                               .flags = flags,
                               .sequence = (uint32_t)wires.now,
                               .payload = bytes,
                               .size = size};
  two_wires_forward(&wires, &packet);
}

static void speak(const struct ends *ends, const char *name) {
  const struct speech *speech = speech_of(name);
  if (speech->protocol == PROTOCOL_TCP) {
    say(ends, 6, true, TCP_SYN, NULL, 0);
    say(ends, 6, false, TCP_SYN | TCP_ACK, NULL, 0);
    say(ends, 6, true, TCP_ACK, NULL, 0);
  }
  for (size_t i = 0; i < MESSAGES && speech->messages[i].bytes != NULL; i++)
    say(ends, speech->protocol, speech->messages[i].bytes[0] == '>', TCP_ACK | TCP_PSH, speech->messages[i].bytes + 1,
        speech->messages[i].size - 1);
  watch_flush(wires.watch);
}

static const struct {
  uint16_t port;
  const char *speech, *told;
} CASES[] = {
    {443, "ssh", "protocol-mismatch lgwan>internet ssh;"},
    {3389, "ssh", "protocol-mismatch lgwan>internet ssh;"},
    {443, "http", "protocol-mismatch lgwan>internet http;"},
    {22, "http", "protocol-mismatch lgwan>internet http;"},
    {25, "ssh", "protocol-mismatch lgwan>internet ssh;"},
    {80, "smtp", "protocol-mismatch lgwan>internet smtp;"},
    {443, "rdp", "protocol-mismatch lgwan>internet rdp;"},
    {443, "tls", ""},
    {3389, "rdp", ""},
    {22, "ssh", ""},
    {25, "smtp", ""},
    {53, "dns", ""},
    {123, "ntp", ""},
    {80, "http", ""},
    /* TLS may wrap anything. */
    {3389, "tls", ""},
    {22, "tls", ""},
    /* What nobody knows is no mismatch. */
    {443, "nothing known", ""},
    {22, "nothing known", ""},
    /* Nothing is declared, or nothing that can be told. */
    {9999, "ssh", ""},
    {7000, "ssh", ""},
};

START_TEST(a_flow_that_speaks_another_protocol_than_it_declares_is_told) {
  struct ends ends = {"10.1.0.5", "10.2.0.5", 50000, CASES[_i].port};
  speak(&ends, CASES[_i].speech);
  two_wires_expect(&wires, 300, CASES[_i].told);
}
END_TEST

START_TEST(ssh_where_tls_stands_is_told_over_ipv6_too) {
  struct ends ends = {"2409:1::5", "2409:2::5", 50000, 443};
  speak(&ends, "ssh");
  two_wires_expect(&wires, 300, "protocol-mismatch lgwan>internet ssh;");
  ck_assert_str_eq(wires.flow, "F-9");
}
END_TEST

START_TEST(the_next_connection_with_the_same_ports_is_looked_at_anew) {
  struct ends ends = {"10.1.0.5", "10.2.0.5", 50000, 443};
  speak(&ends, "tls");
  two_wires_expect(&wires, 300, "");
  speak(&ends, "ssh");
  two_wires_expect(&wires, 300, "protocol-mismatch lgwan>internet ssh;");
}
END_TEST

START_TEST(many_connections_at_once_are_each_recognised) {
  enum { MANY = 200 }; /* of the 1,024 that are looked at: no set of places for sixteen is full by chance */
  struct ends ends = {"10.1.0.5", "10.2.0.5", 0, 443};
  for (uint16_t i = 0; i < MANY; i++) {
    ends.client_port = (uint16_t)(10000 + i);
    say(&ends, 6, true, TCP_SYN, NULL, 0);
  }
  for (uint16_t i = 0; i < MANY; i++) {
    ends.client_port = (uint16_t)(10000 + i);
    say(&ends, 6, false, TCP_ACK | TCP_PSH, speech_of("ssh")->messages[0].bytes + 1, 40);
  }
  for (uint16_t i = 0; i < MANY; i++) {
    ends.client_port = (uint16_t)(10000 + i);
    say(&ends, 6, true, TCP_ACK | TCP_PSH, speech_of("ssh")->messages[1].bytes + 1, 33);
  }
  two_wires_expect(&wires, 30000, "protocol-mismatch lgwan>internet ssh;");
  ck_assert_uint_eq(wires.count, MANY);
}
END_TEST

/* Encrypted and compressed protocols that nobody knows look like this; thousands of them. */
START_TEST(noise_is_no_mismatch) {
  static const uint16_t ports[] = {443, 3389, 22, 25, 80};
  uint8_t bytes[300];
  srandom(1);
  for (uint16_t n = 0; n < 6000; n++) {
    struct ends ends = {"10.1.0.5", "10.2.0.5", (uint16_t)(10000 + n), ports[n % 5]};
    say(&ends, 6, true, TCP_SYN, NULL, 0);
    for (int i = 0; i < 6; i++) {
      for (size_t at = 0; at < sizeof bytes; at++)
        bytes[at] = (uint8_t)random();
      say(&ends, 6, i % 2 == 0, TCP_ACK | TCP_PSH, bytes, 10 + (size_t)random() % 280);
    }
    wires.now += 100000000; /* more at a time than can be looked at would be blindness */
  }
  two_wires_expect(&wires, 300, "");
}
END_TEST

/* Payload that lies about everything: nothing may come of it but a verdict. */
START_TEST(hostile_payload_does_no_harm) {
  static const uint16_t ports[] = {443, 3389, 22, 25, 80};
  uint8_t bytes[330];
  srandom((unsigned)_i);
  for (uint16_t n = 0; n < 300; n++) {
    struct ends ends = {"10.1.0.5", "10.2.0.5", (uint16_t)(10000 + n), ports[n % 5]};
    const struct speech *speech = &SPEECHES[random() % 5];
    bool udp = random() % 4 == 0;
    if (udp)
      ends.server_port = n % 2 == 0 ? 53 : 123;
    say(&ends, udp ? 17 : 6, true, TCP_SYN, NULL, 0);
    for (int i = 0; i < 8; i++) {
      size_t size = (size_t)(random() % (long)sizeof bytes);
      for (size_t at = 0; at < size; at++)
        bytes[at] = (uint8_t)random();
      size_t known = speech->messages[i % 2].size;
      if (known > 1 && size >= known)
        memcpy(bytes, speech->messages[i % 2].bytes + 1, known - 1);
      bytes[random() % (long)sizeof bytes] ^= 1;
      say(&ends, udp ? 17 : 6, random() % 2 == 0, TCP_ACK | TCP_PSH, bytes, size);
    }
  }
  two_wires_pass(&wires, 300);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("recognise");
  TCase *all = tcase_create("all");
  tcase_add_checked_fixture(all, set_up, tear_down);
  tcase_add_loop_test(all, a_flow_that_speaks_another_protocol_than_it_declares_is_told, 0,
                      (int)(sizeof CASES / sizeof CASES[0]));
  tcase_add_test(all, ssh_where_tls_stands_is_told_over_ipv6_too);
  tcase_add_test(all, the_next_connection_with_the_same_ports_is_looked_at_anew);
  tcase_add_test(all, many_connections_at_once_are_each_recognised);
  tcase_set_timeout(all, 60);
  tcase_add_test(all, noise_is_no_mismatch);
  tcase_add_loop_test(all, hostile_payload_does_no_harm, 0, 4);
  suite_add_tcase(suite, all);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
