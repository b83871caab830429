#define _GNU_SOURCE /* closefrom; NOLINT(*-reserved-identifier,cert-dcl*) */
#include "backend/browser.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST_WORDS 32   /* of a command */
#define MOST_ORPHANS 64 /* browsers that outlived their handle */

static bool is_web_url(const char *url) {
  if (strncasecmp(url, "http://", 7) != 0 && strncasecmp(url, "https://", 8) != 0) return false;
  for (const char *at = url; *at != '\0'; at++) {
    if ((unsigned char)*at <= ' ' || *at == 0x7F) return false;
  }
  return true;
}

/* --- commands -------------------------------------------------------------------------------- */

static void list_commands(tc_buf *commands) {
  const char *listed = getenv("BROWSER");
  tc_buf_add_text(commands, listed != NULL && listed[0] != '\0' ? listed : "xdg-open:open");
  tc_buf_add_char(commands, '\0');
  for (size_t i = 0; i < commands->len; i++) {
    if (commands->data[i] == ':') commands->data[i] = '\0';
  }
}

/* Appends the word with the URL in place of every %s. */
static bool add_word(tc_buf *out, tc_str word, tc_str url) {
  bool has_url = false;
  for (size_t i = 0; i < word.len; i++) {
    if (i + 1 < word.len && word.data[i] == '%' && word.data[i + 1] == 's') {
      tc_buf_add_str(out, url);
      has_url = true;
      i++;
    } else {
      tc_buf_add_char(out, word.data[i]);
    }
  }
  tc_buf_add_char(out, '\0');
  return has_url;
}

/* Makes the NUL-terminated words of a command; their number, 0 if there is none or too many. */
static size_t make_words(tc_buf *out, const char *command, tc_str url) {
  size_t count = 0;
  bool has_url = false;
  for (;;) {
    command += strspn(command, " \t");
    tc_str word = {command, strcspn(command, " \t")};
    if (word.len == 0) break;
    if (++count >= MOST_WORDS) return 0;
    if (add_word(out, word, url)) has_url = true;
    command += word.len;
  }
  if (count > 0 && !has_url) {
    (void)add_word(out, url, TC_STR_NONE);
    count++;
  }
  return out->failed ? 0 : count;
}

/* --- processes ------------------------------------------------------------------------------- */

static pthread_mutex_t orphans_mutex = PTHREAD_MUTEX_INITIALIZER;
static pid_t orphans[MOST_ORPHANS];

/* Browsers are never waited for; what has ended is reaped when the next one is started or left. */
static void reap_orphans(pid_t also) {
  pthread_mutex_lock(&orphans_mutex);
  for (size_t i = 0; i < MOST_ORPHANS; i++) {
    if (orphans[i] == 0) {
      orphans[i] = also;
      also = 0;
    }
    if (orphans[i] != 0 && waitpid(orphans[i], NULL, WNOHANG) != 0) orphans[i] = 0;
  }
  pthread_mutex_unlock(&orphans_mutex);
}

/* The host program's own files may not be closed on exec. */
static int close_others(posix_spawn_file_actions_t *actions) {
#ifdef __GLIBC_PREREQ
#if __GLIBC_PREREQ(2, 34)
#define CLOSES_FROM 1
#endif
#endif
#ifdef CLOSES_FROM
  return posix_spawn_file_actions_addclosefrom_np(actions, 3);
#else
  DIR *open_files = opendir("/dev/fd");
  int code = 0;
  for (struct dirent *file; open_files != NULL && code == 0 && (file = readdir(open_files));) {
    int fd = atoi(file->d_name);
    if (fd > 2 && fd != dirfd(open_files)) code = posix_spawn_file_actions_addclose(actions, fd);
  }
  if (open_files != NULL) closedir(open_files);
  return code;
#endif
}

static int set_actions(posix_spawn_file_actions_t *actions) {
  int code = posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDWR, 0);
  if (code == 0) code = posix_spawn_file_actions_adddup2(actions, 0, 1);
  if (code == 0) code = posix_spawn_file_actions_adddup2(actions, 0, 2);
  return code == 0 ? close_others(actions) : code;
}

/* Signals as a program finds them when it is started from a shell; Ctrl-C is not for the browser.
 */
static int set_attributes(posix_spawnattr_t *attributes) {
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  int code = posix_spawnattr_setsigmask(attributes, &none);
  if (code == 0) code = posix_spawnattr_setsigdefault(attributes, &all);
  if (code == 0) code = posix_spawnattr_setpgroup(attributes, 0);
  if (code == 0) {
    code = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                    POSIX_SPAWN_SETPGROUP);
  }
  return code;
}

static bool spawn(pid_t *pid, char *const argv[]) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  if (posix_spawn_file_actions_init(&actions) != 0) return false;
  int code = posix_spawnattr_init(&attributes);
  if (code == 0) {
    code = set_actions(&actions);
    if (code == 0) code = set_attributes(&attributes);
    if (code == 0) code = posix_spawnp(pid, argv[0], &actions, &attributes, argv, environ);
    (void)posix_spawnattr_destroy(&attributes);
  }
  (void)posix_spawn_file_actions_destroy(&actions);
  if (code != 0) *pid = 0;
  return code == 0;
}

static bool run(tc_browser *browser, const char *command) {
  tc_buf words = TC_BUF_EMPTY;
  char *argv[MOST_WORDS + 2] = {NULL};
  size_t count = make_words(&words, command, tc_buf_str(&browser->url));
  char *word = words.data;
  for (size_t i = 0; i < count; i++, word += strlen(word) + 1) argv[i] = word;
  bool started = count > 0 && spawn(&browser->pid, argv);
  tc_buf_free(&words);
  return started;
}

static bool run_next(tc_browser *browser) {
  while (browser->at < browser->commands.len) {
    const char *command = browser->commands.data + browser->at;
    browser->at += strlen(command) + 1;
    if (run(browser, command)) return true;
  }
  return false;
}

int tc_browser_open(tc_browser *browser, const char *url, tc_error *err) {
  if (!is_web_url(url)) {
    return tc_error_set(err, TC_ERR_INVALID,
                        "url: only http and https URLs without blanks and control characters are "
                        "opened; check authorize_url");
  }
  reap_orphans(0);
  tc_buf_add_text(&browser->url, url);
  list_commands(&browser->commands);
  if (browser->url.failed || browser->commands.failed) return tc_error_set(err, TC_ERR_NOMEM, NULL);
  if (run_next(browser)) return 0;
  return tc_error_set(err, TC_ERR_INVALID,
                      "no browser could be started; open the URL by hand, or name one in BROWSER");
}

bool tc_browser_failed(tc_browser *browser) {
  int status = 0;
  if (browser->pid == 0) return browser->has_failed;
  pid_t ended = waitpid(browser->pid, &status, WNOHANG);
  if (ended == 0 || (ended < 0 && errno == EINTR)) return false;
  browser->pid = 0;
  /* reaped by someone else, it may have ended well */
  bool ended_well = ended < 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 0);
  browser->has_failed = !ended_well && !run_next(browser);
  return browser->has_failed;
}

void tc_browser_close(tc_browser *browser) {
  if (browser->pid != 0) reap_orphans(browser->pid);
  tc_buf_free(&browser->commands);
  tc_buf_free(&browser->url);
  *browser = TC_BROWSER_NONE;
}
