/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The engine of the proof: sets of packets drawn from boxes. Of each shape at one size, in every round: the boxes with
 * a leaf each and with one leaf for all, the comparison with the same boxes in another order, the operations between
 * two halves; and, where BuDDy was there at build time, the same set drawn with it. A line of JSON for each round.
 *
 *   kido-bench-diagram SHAPE BOXES ROUNDS
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef KIDO_BUDDY
#include <bdd.h>
#endif

#include "proof/diagram.h"

enum { FIELDS = 5, VARIABLES = 8 + 128 + 128 + 16 + 16, KEY = 1 + 16 + 16 + 2 + 2 };

_Noreturn static void bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void bench_fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("kido-bench-diagram: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  exit(EXIT_FAILURE);
}

static double milliseconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static uint64_t seed = 1;

static uint32_t random_below(uint32_t limit) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)((seed >> 33) % limit);
}

/* ---- shapes ---- */

/* protocol, destination, source, destination port, source port. */
static const unsigned WIDTHS[2][FIELDS] = {{8, 32, 32, 16, 16}, {8, 128, 128, 16, 16}};

struct list {
  struct diagram_field fields[FIELDS];
  unsigned variables[VARIABLES];
  uint8_t (*first)[KEY], (*last)[KEY];
  struct diagram_box *boxes;
  size_t count;
};

static void put(uint8_t *bytes, unsigned length, uint32_t number) {
  for (unsigned i = length; i-- > 0 && length - i <= 4; number >>= 8)
    bytes[i] = (uint8_t)number;
}

static void put_range(struct list *list, size_t box, unsigned at, unsigned length, uint32_t first, uint32_t last) {
  put(list->first[box] + at, length, first);
  put(list->last[box] + at, length, last);
}

static void put_prefix(struct list *list, size_t box, unsigned at, uint32_t address, unsigned length) {
  uint32_t hosts = length == 0 ? UINT32_MAX : length == 32 ? 0 : UINT32_MAX >> length;
  put_range(list, box, at, 4, address & ~hosts, address | hosts);
}

static uint32_t service(void) {
  static const uint32_t services[] = {22, 25, 53, 80, 123, 389, 443, 445, 3389, 8080};
  return services[random_below(10)];
}

static void random_hosts(struct list *list, size_t i) {
  put_prefix(list, i, 1, 0x0a000000u | random_below(1 << 24), 32);
  put_prefix(list, i, 5, 0x0a000000u | random_below(1 << 24), 32);
  uint32_t port = random_below(65536);
  put_range(list, i, 9, 2, port, port);
}

static void zone_shaped(struct list *list, size_t i) {
  static const uint32_t zones[] = {0x0ad20000, 0x0ad30000, 0x0a8c0000};
  uint32_t to = zones[random_below(3)], from = zones[random_below(3)];
  put_prefix(list, i, 1, to | random_below(4096), 32);
  put_prefix(list, i, 5, from | random_below(65536), 24 + random_below(9));
  uint32_t port = service();
  put_range(list, i, 9, 2, port, port);
}

static void ranges(struct list *list, size_t i) {
  for (unsigned at = 1; at <= 5; at += 4) {
    uint32_t first = random_below(1u << 31) * 2;
    put_range(list, i, at, 4, first, first + random_below(UINT32_MAX - first < 65536 ? 1 : 65536));
  }
  for (unsigned at = 9; at <= 11; at += 2) {
    uint32_t first = random_below(65536);
    put_range(list, i, at, 2, first, first + random_below(65536 - first));
  }
}

/* Wide ones over narrow ones in every field, as access lists grow. */
static void overlapping(struct list *list, size_t i) {
  static const unsigned lengths[] = {0, 8, 16, 24, 32, 32, 32, 32};
  put_prefix(list, i, 1, 0x0a000000u | random_below(1 << 24), lengths[random_below(8)]);
  put_prefix(list, i, 5, 0x0a000000u | random_below(1 << 24), lengths[random_below(8)]);
  uint32_t port = service();
  if (random_below(4) != 0)
    put_range(list, i, 9, 2, port, port);
}

static void ipv6(struct list *list, size_t i) {
  memcpy(list->first[i] + 1, "\x20\x01\x0d\xb8", 4);
  memcpy(list->first[i] + 17, "\x20\x01\x0d\xb8", 4);
  put(list->first[i] + 13, 4, random_below(1 << 20));
  put(list->first[i] + 6, 2, random_below(16));
  put(list->first[i] + 21, 4, random_below(1u << 30));
  memcpy(list->last[i] + 1, list->first[i] + 1, 32);
  memset(list->last[i] + 25, 0xff, 8);
  uint32_t port = service();
  put_range(list, i, 33, 2, port, port);
}

static const struct shape {
  const char *name;
  void (*make)(struct list *list, size_t box);
  bool is_ipv6;
} SHAPES[] = {{"hosts", random_hosts, false},
              {"zones", zone_shaped, false},
              {"ranges", ranges, false},
              {"overlapping", overlapping, false},
              {"ipv6", ipv6, true}};

static void make_fields(struct list *list, const unsigned *widths) {
  unsigned variable = 0;
  for (int field = 0; field < FIELDS; field++) {
    list->fields[field] = (struct diagram_field){&list->variables[variable], widths[field]};
    for (unsigned bit = 0; bit < widths[field]; bit++, variable++)
      list->variables[variable] = variable;
  }
}

static void make_list(struct list *list, const struct shape *shape, size_t count) {
  make_fields(list, WIDTHS[shape->is_ipv6]);
  list->count = count;
  list->first = calloc(count, sizeof *list->first);
  list->last = malloc(count * sizeof *list->last);
  list->boxes = calloc(count, sizeof *list->boxes);
  if (list->first == NULL || list->last == NULL || list->boxes == NULL)
    bench_fail("no memory");
  memset(list->last, 0xff, count * sizeof *list->last);
  for (size_t i = 0; i < count; i++) {
    put_range(list, i, 0, 1, i % 3 == 0 ? 17 : 6, i % 3 == 0 ? 17 : 6);
    shape->make(list, i);
    list->boxes[i] = (struct diagram_box){list->first[i], list->last[i], 1};
  }
}

static void shuffle(struct list *list) {
  for (size_t left = list->count; left > 1; left--) {
    size_t at = random_below((uint32_t)left);
    struct diagram_box one = list->boxes[at];
    list->boxes[at] = list->boxes[left - 1];
    list->boxes[left - 1] = one;
  }
}

/* ---- what is measured ---- */

static uint32_t least(void *context, uint32_t left, uint32_t right) {
  (void)context;
  return left < right ? left : right;
}

static diagram draw(struct diagram_store *store, const struct list *list, size_t from, size_t count) {
  return diagram_boxes(store, list->fields, FIELDS, list->boxes + from, count, 0, least, NULL);
}

static void tell(const char *name, double value) {
  printf(", \"%s\": %.3f", name, value);
}

static struct diagram_store *new_store(void) {
  struct diagram_store *store = diagram_store_new(0);
  if (store == NULL)
    bench_fail("no memory");
  return store;
}

static void measure_leaves(struct list *list) {
  struct diagram_store *store = new_store();
  for (size_t i = 0; i < list->count; i++)
    list->boxes[i].value = (uint32_t)i + 2;
  double start = milliseconds();
  diagram all = draw(store, list, 0, list->count);
  tell("leaves_ms", milliseconds() - start);
  tell("leaves_nodes", (double)diagram_size(store, all));
  tell("leaves_made", (double)diagram_store_nodes(store));
  start = milliseconds();
  diagram set = diagram_support(store, all);
  tell("support_ms", milliseconds() - start);
  tell("leaves_bytes", (double)diagram_store_bytes(store));
  if (set == DIAGRAM_NONE)
    bench_fail("spent");
  for (size_t i = 0; i < list->count; i++)
    list->boxes[i].value = 1;
  diagram_store_free(store);
}

static void measure_set(struct list *list) {
  struct diagram_store *store = new_store();
  double start = milliseconds();
  diagram all = draw(store, list, 0, list->count);
  tell("set_ms", milliseconds() - start);
  tell("set_nodes", (double)diagram_size(store, all));
  tell("set_made", (double)diagram_store_nodes(store));
  shuffle(list);
  start = milliseconds();
  diagram again = draw(store, list, 0, list->count);
  tell("again_ms", milliseconds() - start);
  if (again != all || again == DIAGRAM_NONE)
    bench_fail("not the same set in another order");
  size_t half = list->count / 2;
  diagram left = draw(store, list, 0, half), right = draw(store, list, half, list->count - half);
  start = milliseconds();
  diagram both = diagram_or(store, left, right);
  tell("or_ms", milliseconds() - start);
  start = milliseconds();
  diagram_difference(store, both, left);
  diagram_and(store, both, right);
  tell("and_difference_ms", milliseconds() - start);
  if (both != all)
    bench_fail("not the same set in two halves");
  tell("set_bytes", (double)diagram_store_bytes(store));
  diagram_store_free(store);
}

#ifdef KIDO_BUDDY
static BDD buddy_make(unsigned variable, BDD low, BDD high) {
  return bdd_ite(bdd_ithvar((int)variable), high, low);
}

static bool bit_of(const uint8_t *bytes, unsigned bit) {
  return (bytes[bit / 8] >> (7 - bit % 8) & 1) != 0;
}

/* Numbers not less (or not greater) than a bound, bottom up, over `rest`. Reference counts: the caller owns both. */
static BDD buddy_bound(const struct diagram_field *field, const uint8_t *bound, bool least_bound, BDD rest) {
  BDD result = bdd_addref(rest);
  for (unsigned bit = field->width; bit-- > 0;) {
    bool value = bit_of(bound, bit);
    BDD other = value == least_bound ? bddfalse : rest;
    BDD next = bdd_addref(value ? buddy_make(field->variables[bit], other, result)
                                : buddy_make(field->variables[bit], result, other));
    bdd_delref(result);
    result = next;
  }
  return result;
}

static BDD buddy_box(const struct list *list, const struct diagram_box *box) {
  size_t at = 0;
  for (int i = 0; i < FIELDS; i++)
    at += list->fields[i].width / 8;
  BDD result = bddtrue;
  for (int i = FIELDS; i-- > 0;) {
    at -= list->fields[i].width / 8;
    BDD low = buddy_bound(&list->fields[i], box->first + at, true, result);
    BDD high = buddy_bound(&list->fields[i], box->last + at, false, result);
    BDD both = bdd_addref(bdd_and(low, high));
    bdd_delref(low);
    bdd_delref(high);
    bdd_delref(result);
    result = both;
  }
  return result;
}

static BDD buddy_union(const struct list *list, size_t from, size_t count) {
  if (count == 1)
    return buddy_box(list, &list->boxes[from]);
  BDD left = buddy_union(list, from, count / 2), right = buddy_union(list, from + count / 2, count - count / 2);
  BDD result = bdd_addref(bdd_or(left, right));
  bdd_delref(left);
  bdd_delref(right);
  return result;
}

static void measure_buddy(const struct list *list) {
  bdd_init(4000000, 400000);
  bdd_setvarnum(VARIABLES);
  bdd_setcacheratio(8);
  bdd_gbc_hook(NULL);
  bdd_setmaxincrease(4000000);
  double start = milliseconds();
  BDD all = buddy_union(list, 0, list->count);
  tell("buddy_ms", milliseconds() - start);
  tell("buddy_nodes", bdd_nodecount(all));
  bdd_done();
}
#else
static void measure_buddy(const struct list *list) {
  (void)list;
}
#endif

static const struct shape *find_shape(const char *name) {
  for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++)
    if (strcmp(SHAPES[i].name, name) == 0)
      return &SHAPES[i];
  bench_fail("no shape %s", name);
}

int main(int argc, char **argv) {
  if (argc != 4)
    bench_fail("usage: kido-bench-diagram SHAPE BOXES ROUNDS");
  const struct shape *shape = find_shape(argv[1]);
  long count = strtol(argv[2], NULL, 10), rounds = strtol(argv[3], NULL, 10);
  if (count < 2 || count > 10000000 || rounds < 1)
    bench_fail("2 boxes at least, one round at least");
  struct list list;
  make_list(&list, shape, (size_t)count);
  for (long round = 0; round < rounds; round++) {
    printf("{\"shape\": \"%s\", \"boxes\": %ld", shape->name, count);
    measure_leaves(&list);
    measure_set(&list);
    measure_buddy(&list);
    puts("}");
    fflush(stdout);
  }
  free(list.first);
  free(list.last);
  free(list.boxes);
  return EXIT_SUCCESS;
}
