/* The user's web browser: $BROWSER, a list of commands separated by colons of which each is tried
   until one works; without it xdg-open, then open. No shell is involved. */
#pragma once

#include <sys/types.h>

#include "core/buf.h"
#include "core/error.h"

typedef struct tc_browser {
  pid_t pid;       /* 0: none runs */
  tc_buf commands; /* each terminated by a NUL */
  size_t at;       /* of the command to try next */
  tc_buf url;
  bool has_failed;
} tc_browser;

#define TC_BROWSER_NONE ((tc_browser){0, TC_BUF_EMPTY, 0, TC_BUF_EMPTY, false})

/* Starts the first command that can be started; %s in it stands for the URL, which else is its
   last argument. The URL must be http or https, without blanks and control characters. `browser`
   must be TC_BROWSER_NONE before, and be closed after, also on failure. */
int tc_browser_open(tc_browser *browser, const char *url, tc_error *err);

/* Whether nothing came of it. Where a command has ended with a failure, the next one is started;
   one that still runs has not failed. */
bool tc_browser_failed(tc_browser *browser);

/* Leaves the browser running, and frees. */
void tc_browser_close(tc_browser *browser);
