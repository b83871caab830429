/* Keeps a write to a closed connection from killing the program: libraries answer it with an error,
   but the signal comes first. Only the calling thread is touched. */
#pragma once

#include <signal.h>
#include <stdbool.h>

typedef struct tc_sigpipe {
  sigset_t mask;
  bool pending; /* was so before us, and stays so */
} tc_sigpipe;

void tc_sigpipe_block(tc_sigpipe *saved);

/* Drops the SIGPIPE that arrived since, and puts the signal mask back. Leaves errno alone. */
void tc_sigpipe_restore(const tc_sigpipe *saved);
