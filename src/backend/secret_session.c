#include "backend/secret_session.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "backend/process.h"

#define MOST_SECONDS 1e6
#define DISMISSAL 1000 /* milliseconds for a daemon to take its question back */

/* --- the deadline --------------------------------------------------------------------------- */

static gboolean on_deadline(gpointer cancellable) {
  g_cancellable_cancel(cancellable);
  return G_SOURCE_REMOVE;
}

static void set_deadline(tc_secret_session *session, double seconds) {
  if (session->timer != NULL) {
    g_source_destroy(session->timer);
    g_source_unref(session->timer);
  }
  session->timer = g_timeout_source_new((guint)(MIN(seconds, MOST_SECONDS) * 1000));
  g_source_set_callback(session->timer, on_deadline, session->cancellable, NULL);
  g_source_attach(session->timer, session->context);
}

void tc_secret_on_result(GObject *source, GAsyncResult *result, gpointer data) {
  tc_secret_session *session = data;
  (void)source;
  session->result = g_object_ref(result);
}

GAsyncResult *tc_secret_await(tc_secret_session *session) {
  while (session->result == NULL) g_main_context_iteration(session->context, TRUE);
  g_clear_object(&session->last);
  session->last = g_steal_pointer(&session->result);
  return session->last;
}

/* --- a service that asks nobody unless it is told to ----------------------------------------- */

static SecretServiceClass *parent_class;

static tc_secret_session *session_of(SecretService *service) {
  return g_object_get_data(G_OBJECT(service), "tokencache");
}

static bool asks(const tc_secret_session *session) {
  return session != NULL && session->place->patience > 0;
}

static void on_prompt(SecretService *service, SecretPrompt *prompt, const GVariantType *type,
                      GCancellable *cancellable, GAsyncReadyCallback callback, gpointer data) {
  tc_secret_session *session = session_of(service);
  if (asks(session)) {
    set_deadline(session, session->place->patience);
    g_dbus_proxy_set_default_timeout(G_DBUS_PROXY(prompt), DISMISSAL);
    parent_class->prompt_async(service, prompt, type, cancellable, callback, data);
    return;
  }
  GTask *task = g_task_new(service, cancellable, callback, data);
  g_task_return_new_error(task, SECRET_ERROR, SECRET_ERROR_IS_LOCKED, "nobody is asked");
  g_object_unref(task);
}

static GVariant *on_prompt_finish(SecretService *service, GAsyncResult *result, GError **error) {
  if (asks(session_of(service))) return parent_class->prompt_finish(service, result, error);
  return g_task_propagate_pointer(G_TASK(result), error);
}

static void init_class(gpointer klass, gpointer data) {
  SecretServiceClass *own = klass;
  (void)data;
  parent_class = g_type_class_peek_parent(klass);
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
  return tc_error_set(err, TC_ERR_CACHE,
                      "the keyring \"%s\" is locked%s; unlock it, as a login to the desktop or "
                      "gnome-keyring-daemon --unlock does%s",
                      session->place->collection,
                      session->place->patience > 0 ? ", and nobody has unlocked it when asked" : "",
                      session->place->patience > 0 ? ""
                                                   : ", or give unlock = true, and its user is asked");
}

static bool is_absent(const GError *error) {
  return g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_SERVICE_UNKNOWN) ||
         g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_NAME_HAS_NO_OWNER) ||
         g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_SPAWN_SERVICE_NOT_FOUND);
}

int tc_secret_fail(const tc_secret_session *session, tc_error *err) {
  char text[256] = "it gave no reason";
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
  const char *address = getenv("DBUS_SESSION_BUS_ADDRESS");
  const char *directory = getenv("XDG_RUNTIME_DIR");
  if (address != NULL && address[0] != '\0') return true;
  if (directory == NULL || directory[0] != '/') return false;
  char *path = g_build_filename(directory, "bus", NULL);
  bool is_there = g_file_test(path, G_FILE_TEST_EXISTS);
  g_free(path);
  return is_there;
}

static int fail_without_bus(tc_error *err) {
  return tc_error_set(err, TC_ERR_CACHE,
                      "there is no D-Bus session, and so no keyring: neither "
                      "DBUS_SESSION_BUS_ADDRESS nor XDG_RUNTIME_DIR leads to one; run this in a "
                      "login session, or in dbus-run-session beside a keyring");
}

/* --- the session ----------------------------------------------------------------------------- */

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
  *session = (tc_secret_session){.place = place};
  if (!has_bus()) return fail_without_bus(err);
  if (is_forked()) return fail_forked(err);
  session->context = g_main_context_new();
  g_main_context_push_thread_default(session->context);
  session->cancellable = g_cancellable_new();
  set_deadline(session, place->timeout);
  connect_bus(session);
  if (session->bus == NULL) return tc_secret_fail(session, err);
  g_dbus_connection_set_exit_on_close(session->bus, FALSE); /* or a bus that dies ends us, too */
  secret_service_open(service_type(), NULL, SECRET_SERVICE_OPEN_SESSION, session->cancellable,
                      tc_secret_on_result, session);
  session->service = secret_service_open_finish(tc_secret_await(session), &session->error);
  if (session->service == NULL) return tc_secret_fail(session, err);
  g_object_set_data(G_OBJECT(session->service), "tokencache", session);
  return 0;
}

void tc_secret_session_close(tc_secret_session *session) {
  if (session->context == NULL) return;
  if (session->service != NULL) g_object_set_data(G_OBJECT(session->service), "tokencache", NULL);
  g_clear_object(&session->last);
  g_clear_object(&session->service);
  g_clear_object(&session->bus);
  g_source_destroy(session->timer);
  g_source_unref(session->timer);
  while (g_main_context_iteration(session->context, FALSE)) continue; /* frees what waits there */
  g_main_context_pop_thread_default(session->context);
  g_main_context_unref(session->context);
  g_clear_error(&session->error);
  g_clear_object(&session->cancellable);
}
