/* Entries in the keyring of a person's session. An item there has two attributes by which it is
   found, `application` and `key`, and holds the bytes. It may lie in any collection of the keyring;
   a new one is put into that of the place. All calls block until the deadline, and fail where the
   keyring is locked, or there is none: that is never "no such entry". */
#pragma once

#include "core/buf.h"
#include "core/error.h"

enum {
  TC_SECRET_MISSING = 1, /* there is no such entry */
  TC_SECRET_OTHER = 2,   /* something else is there */
};

typedef struct tc_secret_place {
  const char *application; /* UTF-8, as all texts here but the bytes */
  const char *collection;  /* an alias: "default" */
  double timeout;          /* seconds for a call */
  double patience;         /* seconds for a person to unlock the keyring; 0: nobody is asked */
} tc_secret_place;

/* Appends the bytes, if there are any. */
int tc_secret_get(const tc_secret_place *place, const char *key, tc_buf *bytes, tc_error *err);

typedef struct tc_secret_change {
  const char *key, *label; /* the label is for a new item, which people see */
  const tc_str *old;       /* what must be there; absent: nothing. NULL: whatever is there */
  tc_str bytes;            /* absent: it is deleted */
} tc_secret_change;

/* Looks, then changes: who changes it between the two is overwritten. */
int tc_secret_put(const tc_secret_place *place, const tc_secret_change *change, tc_error *err);

/* Appends the keys of the application, each with a NUL byte behind it; one may come twice. */
int tc_secret_keys(const tc_secret_place *place, tc_buf *keys, tc_error *err);
