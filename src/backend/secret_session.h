/* One exchange with the Secret Service of a person's D-Bus session, over libsecret, and one
   deadline for all of it, however the daemons behave. The connection is the one that GLib has for
   the whole program: it is closed at the end of the exchange unless the program has it as well,
   whose it stays as it was.

   GLib has a thread of its own for D-Bus, so a forked child of a process that was here cannot come
   here. And it ends the program where memory runs out. */
#pragma once

#include <libsecret/secret.h>

#include "backend/secret_service.h"

typedef struct tc_secret_session {
  const tc_secret_place *place;
  SecretService *service;
  GCancellable *cancellable; /* cancelled at the deadline */
  GError *error;             /* of the last call; NULL */
  GMainContext *context;
  GSource *timer;
  GDBusConnection *bus;
  bool ends_program; /* which the bus does otherwise, where it dies */
  GAsyncResult *result, *last;
  GTask *question; /* to a person: NULL while there is none */
  const GVariantType *answer_type;
  guint answers; /* the signal that brings one */
  bool is_unanswered;
  bool may_ask; /* a person */
} tc_secret_session;

/* Fills `session`. To be closed whatever comes of it, and by the same thread; it nests in no other
   one's. */
int tc_secret_session_open(tc_secret_session *session, const tc_secret_place *place, tc_error *err);
void tc_secret_session_close(tc_secret_session *session);

/* Who has dismissed a dialog may be asked again from now on. */
void tc_secret_session_found_unlocked(void);

/* The callback of an asynchronous call, whose data is the session; and what it came to, which is
   the session's own until the next call. */
void tc_secret_on_result(GObject *source, GAsyncResult *result, gpointer data);
GAsyncResult *tc_secret_await(tc_secret_session *session);

/* What the last call failed with. */
int tc_secret_fail(const tc_secret_session *session, tc_error *err);
int tc_secret_fail_locked(const tc_secret_session *session, tc_error *err);
