/* raw DIRECTORY BYTES: a file of that many bytes, replaced so that it survives a power cut. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "../contestant.h"

static const char *directory;
static char bytes[4096];
static size_t len;

static int write_new(void) {
  int fd = open("new", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  return fd >= 0 && write(fd, bytes, len) == (ssize_t)len && fsync(fd) == 0 && close(fd) == 0;
}

static int sync_directory(void) {
  int fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return fd >= 0 && fsync(fd) == 0 && close(fd) == 0;
}

static void work(long times) {
  for (; times > 0; times--) {
    contestant_check(write_new() && rename("new", "token") == 0 && sync_directory(), directory);
  }
}

int main(int argc, char **argv) {
  directory = argc > 2 ? argv[1] : "";
  len = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
  if (len > sizeof bytes) len = sizeof bytes;
  memset(bytes, 'x', sizeof bytes);
  contestant_check(chdir(directory) == 0, directory);
  contestant_run(work);
  return 0;
}
