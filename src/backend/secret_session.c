#include "backend/secret_session.h"

#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "backend/process.h"

#define MOST_SECONDS 1e6

/* NULL is no object. */
static void unref(gpointer object) {
  if (object != NULL) g_object_unref(object);
}

/* --- the deadline --------------------------------------------------------------------------- */

static gboolean on_deadline(gpointer session);

static void drop_timer(tc_secret_session *session) {
  if (session->timer == NULL) return;
  g_source_destroy(session->timer);
  g_source_unref(session->timer);
}

static void set_deadline(tc_secret_session *session, double seconds) {
  drop_timer(session);
  session->timer = g_timeout_source_new((guint)(MIN(seconds, MOST_SECONDS) * 1000));
  g_source_set_callback(session->timer, on_deadline, session, NULL);
  g_source_attach(session->timer, session->context);
}

void tc_secret_on_result(GObject *source, GAsyncResult *result, gpointer data) {
  tc_secret_session *session = data;
  (void)source;
  session->result = g_object_ref(result);
}

GAsyncResult *tc_secret_await(tc_secret_session *session) {
  while (session->result == NULL) g_main_context_iteration(session->context, TRUE);
  unref(session->last);
  session->last = g_steal_pointer(&session->result);
  return session->last;
}

/* --- a service that asks nobody unless it is told to ----------------------------------------- */

/* libsecret has a performer of its own, which up to 0.20 never ends where it is cancelled. */

#define PROMPT_INTERFACE "org.freedesktop.Secret.Prompt"

/* Nobody is asked again who has dismissed the dialog, or left it alone, until the keyring was seen
   unlocked: a timer would bring it back again and again. */
static atomic_bool is_dismissed_lately;

void tc_secret_session_found_unlocked(void) {
  is_dismissed_lately = false;
}

/* Takes the answer; NULL is none. */
static void end_question(tc_secret_session *session, GVariant *answer) {
  GTask *question = g_steal_pointer(&session->question);
  g_dbus_connection_signal_unsubscribe(session->bus, session->answers);
  session->is_unanswered = answer == NULL;
  if (answer != NULL) {
    g_task_return_pointer(question, answer, (GDestroyNotify)g_variant_unref);
  } else {
    g_task_return_new_error(question, SECRET_ERROR, SECRET_ERROR_IS_LOCKED, "no answer");
  }
  g_object_unref(question);
}

/* The dialog goes when the connection does. */
static gboolean on_deadline(gpointer data) {
  tc_secret_session *session = data;
  if (session->question != NULL) {
    is_dismissed_lately = true;
    end_question(session, NULL);
  }
  g_cancellable_cancel(session->cancellable);
  return G_SOURCE_REMOVE;
}

static void on_answer(GDBusConnection *bus, const gchar *sender, const gchar *path,
                      const gchar *interface, const gchar *name, GVariant *parameters,
                      gpointer data) {
  tc_secret_session *session = data;
  GVariant *answer = NULL;
  gboolean is_dismissed = TRUE;
  (void)bus, (void)sender, (void)path, (void)interface, (void)name;
  if (session->question == NULL) return;
  if (g_variant_is_of_type(parameters, G_VARIANT_TYPE("(bv)"))) {
    g_variant_get(parameters, "(bv)", &is_dismissed, &answer);
  }
  if (answer != NULL && (is_dismissed || !g_variant_is_of_type(answer, session->answer_type))) {
    g_variant_unref(answer);
    answer = NULL;
  }
  set_deadline(session, session->place->timeout);
  if (answer == NULL) is_dismissed_lately = true;
  end_question(session, answer);
}

static void on_asked(GObject *prompt, GAsyncResult *result, gpointer data) {
  tc_secret_session *session = data;
  GVariant *nothing = g_dbus_proxy_call_finish(G_DBUS_PROXY(prompt), result, NULL);
  if (nothing == NULL && session->question != NULL) end_question(session, NULL);
  if (nothing != NULL) g_variant_unref(nothing);
}

static void on_owner_changed(SecretService *service, GParamSpec *property, gpointer data) {
  tc_secret_session *session = data;
  (void)service, (void)property;
  if (session->question != NULL) end_question(session, NULL);
}

static void ask(tc_secret_session *session, SecretPrompt *prompt) {
  GDBusProxy *proxy = G_DBUS_PROXY(prompt);
  set_deadline(session, session->place->patience);
  session->answers = g_dbus_connection_signal_subscribe(
      session->bus, g_dbus_proxy_get_name(proxy), PROMPT_INTERFACE, "Completed",
      g_dbus_proxy_get_object_path(proxy), NULL, G_DBUS_SIGNAL_FLAGS_NONE, on_answer, session,
      NULL);
  g_dbus_proxy_call(proxy, "Prompt", g_variant_new("(s)", ""), G_DBUS_CALL_FLAGS_NO_AUTO_START, -1,
                    session->cancellable, on_asked, session);
}

static tc_secret_session *session_of(SecretService *service) {
  return g_object_get_data(G_OBJECT(service), "tokencache");
}

static void on_prompt(SecretService *service, SecretPrompt *prompt, const GVariantType *type,
                      GCancellable *cancellable, GAsyncReadyCallback callback, gpointer data) {
  tc_secret_session *session = session_of(service);
  GTask *question = g_task_new(service, cancellable, callback, data);
  g_task_set_check_cancellable(question, FALSE);
  if (session != NULL && session->may_ask && session->question == NULL) {
    session->question = question;
    session->answer_type = type;
    ask(session, prompt);
    return;
  }
  g_task_return_new_error(question, SECRET_ERROR, SECRET_ERROR_IS_LOCKED, "nobody is asked");
  g_object_unref(question);
}

static GVariant *on_prompt_finish(SecretService *service, GAsyncResult *result, GError **error) {
  (void)service;
  return g_task_propagate_pointer(G_TASK(result), error);
}

static void init_class(gpointer klass, gpointer data) {
  SecretServiceClass *own = klass;
  (void)data;
  own->prompt_async = on_prompt;
  own->prompt_finish = on_prompt_finish;
}

static GType service_type(void) {
  static GType type;
  if (g_once_init_enter(&type)) {
    GType made = g_type_register_static_simple(SECRET_TYPE_SERVICE, "TokencacheSecretService",
                                               sizeof(SecretServiceClass), init_class,
                                               sizeof(SecretService), NULL, (GTypeFlags)0);
    g_once_init_leave(&type, made);
  }
  return type;
}

/* --- errors ---------------------------------------------------------------------------------- */

int tc_secret_fail_locked(const tc_secret_session *session, tc_error *err) {
  return tc_error_set(
      err, TC_ERR_CACHE,
      "the keyring \"%s\" is locked%s; unlock it, as a login to the desktop or "
      "gnome-keyring-daemon --unlock does%s",
      session->place->collection,
      session->place->patience > 0 ? ", and nobody has unlocked it when asked" : "",
      session->place->patience > 0 ? "" : ", or give unlock = true, and its user is asked");
}

static bool is_absent(const GError *error) {
  return g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_SERVICE_UNKNOWN) ||
         g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_NAME_HAS_NO_OWNER) ||
         g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_SPAWN_SERVICE_NOT_FOUND);
}

int tc_secret_fail(const tc_secret_session *session, tc_error *err) {
  char text[256] = "it gave no reason";
  if (session->is_unanswered) return tc_secret_fail_locked(session, err);
  if (g_cancellable_is_cancelled(session->cancellable)) {
    return tc_error_set(err, TC_ERR_CACHE,
                        "the keyring has not answered within %g seconds; restart what offers it, "
                        "such as gnome-keyring-daemon, or give it more time (timeout)",
                        session->place->timeout);
  }
  if (g_error_matches(session->error, SECRET_ERROR, SECRET_ERROR_IS_LOCKED)) {
    return tc_secret_fail_locked(session, err);
  }
  if (is_absent(session->error)) {
    return tc_error_set(err, TC_ERR_CACHE,
                        "this D-Bus session has no keyring (org.freedesktop.secrets); start what "
                        "offers one, such as gnome-keyring-daemon or KeePassXC");
  }
  if (session->error != NULL) {
    tc_error_copy_foreign(text, sizeof text, tc_str_of(session->error->message));
  }
  return tc_error_set(err, TC_ERR_CACHE,
                      session->service == NULL ? "the keyring cannot be reached: %s"
                                               : "the keyring failed: %s",
                      text);
}

static int fail_forked(tc_error *err) {
  return tc_error_set(err, TC_ERR_CACHE,
                      "the keyring was used before this process was forked, and GLib cannot go on "
                      "in a child; use it after the fork only, or start a program of its own");
}

/* GLib would start a bus of its own where there is a display. */
static bool has_bus(void) {
  char path[PATH_MAX];
  const char *address = getenv("DBUS_SESSION_BUS_ADDRESS");
  const char *directory = getenv("XDG_RUNTIME_DIR");
  if (address != NULL && address[0] != '\0') return true;
  if (directory == NULL) return false;
  int len = snprintf(path, sizeof path, "%s/bus", directory);
  return len < (int)sizeof path && access(path, F_OK) == 0;
}

static int fail_without_bus(tc_error *err) {
  return tc_error_set(err, TC_ERR_CACHE,
                      "there is no D-Bus session, and so no keyring: neither "
                      "DBUS_SESSION_BUS_ADDRESS nor XDG_RUNTIME_DIR leads to one; run this in a "
                      "login session, or in dbus-run-session beside a keyring");
}

/* --- the session ----------------------------------------------------------------------------- */

/* A call that has not reached the bus counts: it has started threads of GLib's, for which a child
   would wait for ever. */
static bool is_forked(void) {
  static _Atomic pid_t used_by;
  pid_t here = tc_process_id(), none = 0;
  return !atomic_compare_exchange_strong(&used_by, &none, here) && none != here;
}

/* Reports whether the call before this one was cancelled: GLib's only connection to the bus may be
   that one's a moment longer. */
static bool is_former(const tc_secret_session *session) {
  return g_error_matches(session->error, G_IO_ERROR, G_IO_ERROR_CANCELLED) &&
         !g_cancellable_is_cancelled(session->cancellable);
}

/* The threads that GLib starts now get none of the program's signals. */
static void connect_bus(tc_secret_session *session) {
  sigset_t all, before;
  (void)sigfillset(&all);
  (void)pthread_sigmask(SIG_SETMASK, &all, &before);
  do {
    g_clear_error(&session->error);
    g_bus_get(G_BUS_TYPE_SESSION, session->cancellable, tc_secret_on_result, session);
    session->bus = g_bus_get_finish(tc_secret_await(session), &session->error);
  } while (is_former(session));
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

int tc_secret_session_open(tc_secret_session *session, const tc_secret_place *place,
                           tc_error *err) {
  *session =
      (tc_secret_session){.place = place, .may_ask = place->patience > 0 && !is_dismissed_lately};
  if (!has_bus()) return fail_without_bus(err);
  if (is_forked()) return fail_forked(err);
  session->context = g_main_context_new();
  g_main_context_push_thread_default(session->context);
  session->cancellable = g_cancellable_new();
  set_deadline(session, place->timeout);
  connect_bus(session);
  if (session->bus == NULL) return tc_secret_fail(session, err);
  session->ends_program = g_dbus_connection_get_exit_on_close(session->bus);
  g_dbus_connection_set_exit_on_close(session->bus, FALSE);
  secret_service_open(service_type(), NULL, SECRET_SERVICE_NONE, session->cancellable,
                      tc_secret_on_result, session);
  session->service = secret_service_open_finish(tc_secret_await(session), &session->error);
  if (session->service == NULL) return tc_secret_fail(session, err);
  g_object_set_data(G_OBJECT(session->service), "tokencache", session);
  g_signal_connect(session->service, "notify::g-name-owner", G_CALLBACK(on_owner_changed), session);
  return 0;
}

/* The program may have the connection, too, and has it end with the bus unless it says otherwise.
 */
static void release_bus(tc_secret_session *session) {
  if (session->ends_program && !g_dbus_connection_is_closed(session->bus)) {
    g_dbus_connection_set_exit_on_close(session->bus, TRUE);
  }
  g_object_unref(session->bus);
}

void tc_secret_session_close(tc_secret_session *session) {
  if (session->context == NULL) return;
  if (session->service != NULL) {
    g_object_set_data(G_OBJECT(session->service), "tokencache", NULL);
    g_signal_handlers_disconnect_by_data(session->service, session);
  }
  unref(session->last);
  unref(session->service);
  if (session->bus != NULL) release_bus(session);
  drop_timer(session);
  while (g_main_context_iteration(session->context, FALSE)) continue; /* frees what waits there */
  g_main_context_pop_thread_default(session->context);
  g_main_context_unref(session->context);
  g_clear_error(&session->error);
  unref(session->cancellable);
}
