/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Stands in for libFuzzer: gives every file of the directories named to the target once. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_LIMIT = 1024 * 1024 };

static int replay_file(const char *path) {
  uint8_t *data = malloc(INPUT_LIMIT);
  FILE *stream = fopen(path, "r");
  if (!data || !stream) {
    perror(path);
    return 1;
  }
  size_t size = fread(data, 1, INPUT_LIMIT, stream);
  fclose(stream);
  LLVMFuzzerTestOneInput(data, size);
  free(data);
  return 0;
}

static int replay_directory(const char *path, unsigned *count) {
  DIR *directory = opendir(path);
  struct dirent *entry;
  int failed = 0;
  if (!directory) {
    perror(path);
    return 1;
  }
  while ((entry = readdir(directory))) {
    char name[4096];
    if (entry->d_name[0] == '.')
      continue;
    snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
    failed |= replay_file(name);
    (*count)++;
  }
  closedir(directory);
  return failed;
}

int main(int count, char **arguments) {
  unsigned replayed = 0;
  int failed = 0;
  for (int i = 1; i < count; i++)
    if (arguments[i][0] != '-')
      failed |= replay_directory(arguments[i], &replayed);
  printf("%u inputs\n", replayed);
  return failed || replayed == 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
