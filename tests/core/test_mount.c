#include "backend/mount.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "test.h"

static void test_list_of_mounts(void) {
  CHECK(tc_mount_is_listed("/proc"));
  CHECK(!tc_mount_is_listed("/pro"));
  CHECK(!tc_mount_is_listed("/proc/"));
  CHECK(!tc_mount_is_listed("/proc/self"));
  CHECK(!tc_mount_is_listed("/proc rw"));
  CHECK(!tc_mount_is_listed(""));
}

static void test_name_in_directory(void) {
  int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  CHECK(tc_mount_is_at(root, "proc"));
  CHECK(!tc_mount_is_at(root, "no such name"));
  CHECK(!tc_mount_is_at(proc, "uptime"));
  (void)close(root);
  (void)close(proc);
}

int main(void) {
  RUN(test_list_of_mounts);
  RUN(test_name_in_directory);
  return done();
}
