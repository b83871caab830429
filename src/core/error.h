/* Errors: what can go wrong, and how it is told.

   A C function that can fail returns 0 or one of the negative TC_ERR_ numbers, and describes the
   failure in the tc_error it was handed. Every number belongs to a kind; the kind is what callers
   of tokencache decide by. */
#pragma once

#include "core/str.h"

/* X(name, text): what the caller should do about it */
#define TC_KINDS(X)                                                                                \
  X(REAUTHORIZE, "reauthorize") /* the user must log in again */                                   \
  X(DENIED, "denied")           /* the user or the server said no */                               \
  X(TRANSIENT, "transient")     /* try later: network, 429, 5xx */                                 \
  X(CONFIG, "config")           /* the program or its registration must change */                  \
  X(STATE, "state")             /* a callback that does not belong to this authorization */        \
  X(CACHE, "cache")             /* the cache handler failed */                                     \
  X(PROTOCOL, "protocol")       /* an answer that makes no sense */                                \
  X(TIMEOUT, "timeout")         /* the caller's deadline passed */

typedef enum tc_kind {
#define X(name, text) TC_KIND_##name,
  TC_KINDS(X)
#undef X
} tc_kind;

/* X(name, number, kind, text) */
#define TC_ERRORS(X)                                                                               \
  X(NOMEM, -1, TRANSIENT, "out of memory")                                                         \
  X(INVALID, -2, CONFIG, "invalid argument")                                                       \
  X(CACHE, -3, CACHE, "the cache failed")                                                          \
  X(TIMEOUT, -4, TIMEOUT, "the deadline passed")                                                   \
  X(CONNECT, -5, TRANSIENT, "no connection")                                                       \
  X(NETWORK, -6, TRANSIENT, "the connection broke")                                                \
  X(TLS, -7, CONFIG, "the server's certificate is not trusted")                                    \
  X(PROTOCOL, -8, PROTOCOL, "an answer that makes no sense")                                       \
  X(UNAVAILABLE, -9, TRANSIENT, "the server is unavailable")                                       \
  X(CONFIG, -10, CONFIG, "the server refused the client or its request")                           \
  X(DENIED, -11, DENIED, "the server refused")                                                     \
  X(REAUTHORIZE, -12, REAUTHORIZE, "the user must log in again")                                   \
  X(STATE, -13, STATE, "the answer belongs to another authorization")

enum {
#define X(name, number, kind, text) TC_ERR_##name = (number),
  TC_ERRORS(X)
#undef X
};

typedef struct tc_error {
  int number; /* a TC_ERR_ number; 0 while nothing failed */
  tc_kind kind;
  int status;            /* HTTP status; 0 if there was none */
  double retry_after;    /* seconds; negative if the server named none */
  char code[64];         /* the server's or backend's own code; empty if none */
  char description[256]; /* the server's own words, made printable; empty if none */
  char message[512];
} tc_error;

#define TC_ERROR_NONE ((tc_error){.retry_after = -1})

/* Makes it TC_ERROR_NONE without touching all of the texts. */
static inline void tc_error_clear(tc_error *err) {
  err->number = 0;
  err->kind = (tc_kind)0;
  err->status = 0;
  err->retry_after = -1;
  err->code[0] = err->description[0] = err->message[0] = '\0';
}

const char *tc_kind_name(tc_kind kind);

/* Leaves `kind` as it is where no kind has that name. */
void tc_kind_find(const char *name, tc_kind *kind);

/* Whether what went wrong may go right another time, without the program being changed. */
bool tc_kind_is_passing(tc_kind kind);

/* Describes a failure and returns `number`, so that a function can end with
   `return tc_error_set(err, ...)`. A NULL format takes the number's own text. */
int tc_error_set(tc_error *err, int number, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Copies text of foreign origin, cut to `size` and with every control character and broken UTF-8
   sequence replaced, so that it can be shown. */
void tc_error_copy_foreign(char *to, size_t size, tc_str from);
