/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * BPF_PROG_TEST_RUN with live frames makes the kernel treat a prepared frame as received by an interface, as fast as
 * one processor can: no network card, no second machine. An XDP program of a few instructions passes each frame on to
 * the stack; a second one counts in a map and writes the count into a port first, so that each frame is of another
 * connection. The programs are given as instructions, so nothing is needed to compile them.
 *
 * The gateway is the packet laboratory of the tests. Nobody reads the TAP device by which the frames leave: its queue
 * is full and it drops them, which costs little and the same for all. How many left is counted there and checked.
 *
 * In each round every ruleset is loaded in turn and measured with every kind of packet, so that what disturbs the
 * machine disturbs all alike. Rulesets: none at all; the minimum of any stateful filter; the compiled policy.
 */
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "bpf.h"
#include "kernel/nftables.h"
#include "rules/compile.h"

enum {
  PACKETS = 50000, /* of one measurement, and connections where there are many */
  WARM_UP = 5000,
  SOURCE_PORT_OFFSET = 34, /* in an Ethernet frame with an IPv4 header without options */
  DESTINATION_PORT_OFFSET = 36,
  CHECKSUM_OFFSET = 40,
  HEADERS_SIZE = 44, /* Ethernet, IPv4, UDP, and two bytes more: whole words */
};

/* ---- BPF ---- */

static int make_map(void) {
  struct error error;
  int map = bpf_map_new(1, &error);
  if (map < 0) {
    bench_fail("%s", error.message);
  }
  return map;
}

static void reset_map(int map) {
  struct error error;
  if (bpf_map_write(map, 0, 0, &error) < 0) {
    bench_fail("%s", error.message);
  }
}

/* Register 7: the map's number modulo PACKETS, one more each time. */
static void append_count(struct bpf_program *program, int map) {
  BPF_APPEND(program, STORE_CONSTANT(10, -4, 0), MOVE(2, 10), ALU(BPF_ADD, 2, -4), LOAD_MAP(1, map),
             CALL(BPF_FUNC_map_lookup_elem), JUMP(BPF_JNE, 0, 0, 2), CONSTANT(0, XDP_ABORTED), EXIT,
             LOAD(BPF_DW, 7, 0, 0), MOVE(8, 7), ALU(BPF_ADD, 8, 1), STORE(BPF_DW, 0, 0, 8), ALU(BPF_MOD, 7, PACKETS));
}

/* Register 2: the frame, of which HEADERS_SIZE bytes may be written. */
static void append_headers(struct bpf_program *program, const struct lab_frame *frame) {
  BPF_APPEND(program, LOAD(BPF_W, 2, 6, offsetof(struct xdp_md, data)),
             LOAD(BPF_W, 3, 6, offsetof(struct xdp_md, data_end)), MOVE(4, 2), ALU(BPF_ADD, 4, HEADERS_SIZE),
             {.code = BPF_JMP | BPF_JLE | BPF_X, .dst_reg = 4, .src_reg = 3, .off = 2}, CONSTANT(0, XDP_ABORTED), EXIT);
  for (int16_t at = 0; at < HEADERS_SIZE; at = (int16_t)(at + 4)) {
    int32_t word;
    memcpy(&word, frame->data + at, sizeof(word));
    BPF_APPEND(program, STORE_CONSTANT(2, at, word));
  }
}

/* A stream of this frame; vary: offset of the two bytes that differ from frame to frame, 0 for none. */
static int load_stream(int map, const struct lab_frame *frame, int16_t vary) {
  struct bpf_program program = {0};
  BPF_APPEND(&program, MOVE(6, 1));
  if (vary != 0) {
    append_count(&program, map);
  }
  append_headers(&program, frame);
  if (vary != 0) {
    BPF_APPEND(&program, STORE(BPF_H, 2, vary, 7));
  }
  BPF_APPEND(&program, CONSTANT(0, XDP_PASS), EXIT);
  struct error error;
  int loaded = bpf_program_load(&program, BPF_PROG_TYPE_XDP, &error);
  if (loaded < 0) {
    bench_fail("%s", error.message);
  }
  return loaded;
}

/* ---- the field ---- */

/* Frames that an interface receives. */
struct stream {
  int program;
  int interface;
  struct lab_frame frame;
};

struct field {
  struct lab *lab;
  struct nftables *nftables;
  struct arena *arena;
  const struct policy *policy;
  struct ruleset *ruleset;
  const char *file; /* NULL: none */
  int in, out;      /* interfaces of the lab */
  struct packet packet;
  int map;
  struct stream forward, forward_many, reply, reply_many, spoofed, stranger, wrong_port;
};

/* Nanoseconds for each of `count` frames. */
static double inject(const struct field *field, const struct stream *stream, uint32_t count) {
  unsigned interface = if_nametoindex(lab_interface(field->lab, (size_t)stream->interface)->name);
  struct error error;
  double start = bench_processor_milliseconds();
  if (bpf_inject(stream->program, stream->frame.data, stream->frame.length, interface, count, &error) < 0) {
    bench_fail("%s", error.message);
  }
  return (bench_processor_milliseconds() - start) * 1e6 / count;
}

/* Packets that the interface was given to send, whether or not its queue took them. */
static uint64_t count_left(const struct field *field, int interface) {
  const char *wanted = lab_interface(field->lab, (size_t)interface)->name;
  FILE *stream = fopen("/proc/self/net/dev", "r");
  char line[512];
  while (stream != NULL && fgets(line, sizeof(line), stream) != NULL) {
    char name[IFNAMSIZ + 1];
    unsigned long long sent, dropped; /* of 16 columns the 10th and the 12th */
    if (sscanf(line, " %16[^:]: %*u %*u %*u %*u %*u %*u %*u %*u %*u %llu %*u %llu", name, &sent, &dropped) == 3 &&
        strcmp(name, wanted) == 0) {
      fclose(stream);
      return sent + dropped;
    }
  }
  bench_fail("the counters of %s cannot be read", wanted);
}

static uint64_t count_all_left(const struct field *field) {
  uint64_t sum = 0;
  for (size_t i = 0; i < lab_interface_count(field->lab); i++) {
    sum += count_left(field, (int)i);
  }
  return sum;
}

static struct stream make_stream(const struct field *field, const struct packet *packet, int interface, int16_t vary) {
  struct lab_frame_recipe recipe = {
      .packet = *packet,
      .source_mac = lab_mac_of(field->policy, &packet->source),
      .destination_mac = lab_interface(field->lab, (size_t)interface)->mac,
  };
  struct stream stream = {.interface = interface};
  if (lab_frame_build(&recipe, &stream.frame) < 0) {
    bench_fail("a frame cannot be built");
  }
  memset(stream.frame.data + CHECKSUM_OFFSET, 0, 2); /* none: the port will vary */
  stream.program = load_stream(field->map, &stream.frame, vary);
  return stream;
}

static void make_streams(struct field *field) {
  struct packet reply = field->packet;
  reply.source = field->packet.destination;
  reply.destination = field->packet.source;
  reply.source_port = field->packet.destination_port;
  reply.destination_port = field->packet.source_port;
  struct packet spoofed = field->packet;
  spoofed.source = address_from_ipv4(0x08080808);
  struct packet stranger, wrong_port = field->packet;
  bench_choose_stranger(field->policy, field->lab, &field->packet, &stranger);
  wrong_port.destination_port = 1;
  field->forward = make_stream(field, &field->packet, field->in, 0);
  field->forward_many = make_stream(field, &field->packet, field->in, SOURCE_PORT_OFFSET);
  field->reply = make_stream(field, &reply, field->out, 0);
  field->reply_many = make_stream(field, &reply, field->out, DESTINATION_PORT_OFFSET);
  field->spoofed = make_stream(field, &spoofed, field->in, 0);
  field->stranger = make_stream(field, &stranger, field->in, 0);
  field->wrong_port = make_stream(field, &wrong_port, field->in, SOURCE_PORT_OFFSET);
}

/* ---- rulesets ---- */

static void load_nothing(struct field *field) {
  (void)field;
}

static void load_minimum(struct field *field) {
  char source[ADDRESS_TEXT_SIZE];
  char destination[ADDRESS_TEXT_SIZE];
  int status = lab_command(
      "nft 'table inet minimum { chain forward { type filter hook forward priority 0; policy drop; "
      "ct state established accept; iifname \"%s\" oifname \"%s\" ip saddr %s ip daddr %s udp dport %u accept; }; }'",
      lab_interface(field->lab, (size_t)field->in)->name, lab_interface(field->lab, (size_t)field->out)->name,
      address_format(&field->packet.source, source), address_format(&field->packet.destination, destination),
      field->packet.destination_port);
  if (status != 0) {
    bench_fail("the minimum cannot be loaded");
  }
}

static void load_policy(struct field *field) {
  struct error error = {0};
  if (nftables_apply(field->nftables, field->ruleset, (struct instant){time(NULL)}, NULL, NULL, &error) < 0) {
    bench_fail("%s", error.message);
  }
}

/* A ruleset that somebody tries out, or a script that loads one. */
static void load_file(struct field *field) {
  const char *suffix = strrchr(field->file, '.');
  bool script = suffix != NULL && strcmp(suffix, ".sh") == 0;
  if (lab_command("%s '%s'", script ? "sh" : "nft -f", field->file) != 0) {
    bench_fail("%s cannot be loaded", field->file);
  }
}

static const struct variant {
  const char *name;
  void (*load)(struct field *field);
} variants[] = {{"none", load_nothing}, {"minimum", load_minimum}, {"kido", load_policy}, {"file", load_file}};

/* ---- kinds of packets ---- */

static void forget(const struct field *field) {
  reset_map(field->map);
  if (lab_forget_connections(field->lab) < 0) {
    bench_fail("the connection table cannot be emptied");
  }
}

static double established_one(const struct field *field) {
  forget(field);
  inject(field, &field->forward, 1);
  inject(field, &field->reply, 1);
  inject(field, &field->forward, WARM_UP);
  return inject(field, &field->forward, PACKETS);
}

static double established_many(const struct field *field) {
  forget(field);
  inject(field, &field->forward_many, PACKETS);
  reset_map(field->map);
  inject(field, &field->reply_many, PACKETS);
  reset_map(field->map);
  return inject(field, &field->forward_many, PACKETS);
}

static double new_connections(const struct field *field) {
  forget(field);
  return inject(field, &field->forward_many, PACKETS);
}

static double denied(const struct field *field, const struct stream *stream) {
  forget(field);
  inject(field, stream, WARM_UP);
  return inject(field, stream, PACKETS);
}

static double denied_spoofed(const struct field *field) {
  return denied(field, &field->spoofed);
}

static double denied_pair(const struct field *field) {
  return denied(field, &field->stranger);
}

static double denied_port(const struct field *field) {
  return denied(field, &field->wrong_port);
}

static const struct kind {
  const char *name;
  double (*measure)(const struct field *field);
  bool passes;
} kinds[] = {
    {"established_one", established_one, true},
    {"established_many", established_many, true},
    {"new", new_connections, true},
    {"spoofed", denied_spoofed, false},
    {"pair", denied_pair, false},
    {"port", denied_port, false},
};

/* ---- rounds ---- */

static void measure_kind(const struct field *field, const struct variant *variant, const struct kind *kind) {
  uint64_t before = count_all_left(field);
  double time = kind->measure(field);
  uint64_t left = count_all_left(field) - before;
  bool open = variant->load == load_nothing;
  if (kind->passes || open ? left < PACKETS : left != 0) {
    bench_fail("%s, %s: %llu packets left", variant->name, kind->name, (unsigned long long)left);
  }
  printf("%s\"%s\": %.1f", kind == kinds ? "" : ", ", kind->name, time);
}

/* The queue of a TAP takes the first frames, and counts them only when somebody reads. */
static void fill_queues(const struct field *field) {
  inject(field, &field->forward, PACKETS);
  inject(field, &field->stranger, PACKETS);
}

static void measure_variant(struct field *field, const struct variant *variant) {
  lab_command("nft flush ruleset");
  variant->load(field);
  printf("%s\"%s\": {", variant == variants ? "{" : ", ", variant->name);
  for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
    measure_kind(field, variant, &kinds[i]);
  }
  printf("}");
}

static void open_field(const char *path, struct field *field) {
  struct error error = {0};
  struct lab_options options = {.no_capture = true};
  field->arena = arena_new(0);
  field->policy = bench_policy(path, field->arena);
  if (lab_new(field->policy, &options, &field->lab, &error) < 0 || nftables_open(&field->nftables, &error) < 0) {
    bench_fail("%s", error.message);
  }
  struct compile_options compile = {.now = {time(NULL)}, .own = lab_own(field->lab)};
  if (ruleset_compile(field->policy, &compile, field->arena, &field->ruleset, &error) < 0) {
    bench_fail("%s", error.message);
  }
  bench_choose_packet(field->policy, field->lab, PROTOCOL_UDP, &field->packet);
  field->in = lab_interface_of(field->lab, &field->packet.source);
  field->out = lab_interface_of(field->lab, &field->packet.destination);
  field->map = make_map();
  make_streams(field);
  for (size_t i = 0; i < lab_interface_count(field->lab); i++) {
    lab_command("tc qdisc replace dev %s root noqueue", lab_interface(field->lab, i)->name);
  }
}

static void pin_to_last_processor(void) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET((size_t)(sysconf(_SC_NPROCESSORS_ONLN) - 1), &set);
  (void)sched_setaffinity(0, sizeof(set), &set);
}

int bench_forward(int count, char **arguments) {
  long rounds = count > 1 ? strtol(arguments[1], NULL, 10) : 1;
  struct field field = {.file = count > 2 ? arguments[2] : NULL};
  lab_require();
  open_field(arguments[0], &field);
  pin_to_last_processor();
  fill_queues(&field);
  for (long i = 0; i < rounds; i++) {
    for (size_t j = 0; j < sizeof(variants) / sizeof(variants[0]); j++) {
      if (variants[j].load == load_file && field.file == NULL) {
        continue;
      }
      measure_variant(&field, &variants[j]);
    }
    printf("}\n");
    fflush(stdout);
  }
  nftables_close(field.nftables);
  lab_free(field.lab);
  arena_free(field.arena);
  return EXIT_SUCCESS;
}
