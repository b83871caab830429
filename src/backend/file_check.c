#include "backend/file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "backend/mount.h"
#include "backend/place.h"
#include "backend/tempfile.h"

/* Asks whether the name may be taken from what bears it: not in a sticky directory where it is
   another user's, nor where the file is immutable. rmdir() answers, and changes nothing: it judges
   that first, and then fails with ENOTDIR, since this is a file. Returns 0 or an errno number. */
static int ask_for_name(const tc_place *at) {
  if (unlinkat(at->dir, at->name, AT_REMOVEDIR) == 0) return 0;
  return errno == EPERM || errno == EACCES || errno == EROFS ? errno : 0;
}

static int try_temporary_file(const tc_place *at, size_t size, tc_error *err) {
  tc_tempfile temp;
  int number = tc_tempfile_open(&temp, at->dir, at->name, at->owner);
  if (number != 0) return tc_place_not_begun(err, at, number);
  number = tc_tempfile_reserve(&temp, size);
  int undone = tc_tempfile_close(&temp);
  if (number == 0) number = undone;
  if (number == 0) number = tc_place_sync(at);
  return number != 0 ? tc_place_not_written(err, at->path, number) : 0;
}

static int check_at(tc_place *at, size_t size, tc_error *err) {
  int status = tc_place_look(at, err), number = 0;
  if (status < 0) return status;
  if (status == 0 && tc_mount_is_at(at->dir, at->name)) return tc_place_mounted(err, at->path);
  if (status == 0) number = ask_for_name(at);
  return number != 0 ? tc_place_not_written(err, at->path, number)
                     : try_temporary_file(at, size, err);
}

int tc_file_can_replace(const char *path, size_t size, tc_error *err) {
  tc_place at;
  if (size > TC_FILE_LIMIT) return tc_file_too_large(err, path);
  int number = tc_place_open(&at, path);
  if (number != 0) return tc_place_not_opened(err, path, number);
  int status = check_at(&at, size, err);
  tc_place_close(&at);
  return status;
}
