#define _GNU_SOURCE /* accept4; NOLINT(*-reserved-identifier,cert-dcl*) */
#include "backend/redirect.h"

#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backend/clock.h"
#include "backend/loopback.h"
#include "backend/loopback_peer.h"
#include "backend/redirect_pages.h"
#include "backend/redirect_query.h"
#include "backend/sigpipe.h"
#include "core/buf.h"
#include "core/secret.h"

#define MOST_CONNECTIONS 256
#define CONNECTION_LIFETIME 5.0 /* seconds for a whole request and its answer */
#define CROWDED_LIFETIME 0.1
#define ANSWER_PATIENCE 1.0      /* seconds until the callback is told even if its page is stuck */
#define BREATH 10                /* milliseconds to wait where no connection can be accepted */
#define MEMORY ((size_t)1 << 16) /* bytes of a request's head */
#define AUTHORITY_SIZE 32        /* "http://localhost:65535" */

enum { SUCCESS, FAILURE, HANDOFF, STRANGER, BAD_REQUEST, NOT_FOUND, PAGES };

static const struct {
  unsigned status;
  const tc_redirect_page *page;
} pages[PAGES] = {
    [SUCCESS] = {MHD_HTTP_OK, &tc_redirect_success},
    [FAILURE] = {MHD_HTTP_BAD_REQUEST, &tc_redirect_failure},
    [HANDOFF] = {MHD_HTTP_OK, &tc_redirect_handoff},
    [STRANGER] = {MHD_HTTP_FORBIDDEN, &tc_redirect_failure},
    [BAD_REQUEST] = {MHD_HTTP_BAD_REQUEST, &tc_redirect_empty},
    [NOT_FOUND] = {MHD_HTTP_NOT_FOUND, &tc_redirect_empty},
};

typedef struct connection {
  tc_redirect *redirect;
  struct connection *older, *newer;
  int fd;
  double since;
  tc_buf target; /* path and query as they came */
  tc_buf body;
  bool is_callback;
} connection;

struct tc_redirect {
  struct MHD_Daemon *daemon;
  struct MHD_Response *pages[PAGES];
  int fds[TC_LOOPBACK_MOST];
  uint16_t port;
  bool fragment, form_post;
  tc_buf path;
  tc_buf state;
  char origin[AUTHORITY_SIZE]; /* "http://127.0.0.1:8080" */
  tc_buf start_path;           /* empty: the browser is sent nowhere */
  struct MHD_Response *start;
  tc_peers peers;
  bool met_stranger;
  int64_t stranger; /* a user's id */
  connection *oldest, *newest;
  unsigned connections;
  tc_buf query; /* once the callback came */
  bool has_query;
  bool is_answered;
  double answer_by;
  int failed; /* a TC_ERR_ number, raised by the next poll */
};

/* --- connections, oldest first --------------------------------------------------------------- */

static void add_connection(tc_redirect *redirect, connection *it) {
  it->older = redirect->newest;
  if (it->older != NULL) it->older->newer = it;
  if (redirect->oldest == NULL) redirect->oldest = it;
  redirect->newest = it;
  redirect->connections++;
}

static void free_connection(connection *it) {
  tc_redirect *redirect = it->redirect;
  if (it->older != NULL) it->older->newer = it->newer;
  if (it->newer != NULL) it->newer->older = it->older;
  if (redirect->oldest == it) redirect->oldest = it->newer;
  if (redirect->newest == it) redirect->newest = it->older;
  redirect->connections--;
  tc_buf_free(&it->target);
  tc_buf_free(&it->body);
  free(it);
}

static connection *connection_of(struct MHD_Connection *handle) {
  const union MHD_ConnectionInfo *info =
      MHD_get_connection_info(handle, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
  return info != NULL ? info->socket_context : NULL;
}

static void on_connection(void *data, struct MHD_Connection *handle, void **context,
                          enum MHD_ConnectionNotificationCode code) {
  if (code == MHD_CONNECTION_NOTIFY_STARTED) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(handle, MHD_CONNECTION_INFO_CONNECTION_FD);
    connection *it = info != NULL ? calloc(1, sizeof *it) : NULL;
    *context = it;
    if (it == NULL) { /* where it cannot be counted, it cannot stay */
      if (info != NULL) (void)shutdown(info->connect_fd, SHUT_RDWR);
      return;
    }
    it->redirect = data;
    it->fd = info->connect_fd;
    it->since = tc_monotonic();
    add_connection(data, it);
  } else if (*context != NULL) {
    free_connection(*context);
    *context = NULL;
  }
}

/* libmicrohttpd closes a connection that its client seems to have ended. */
static void end(const connection *it) {
  (void)shutdown(it->fd, SHUT_RDWR);
}

/* Those that had their time. Where others wait for a place that is short: a browser asks at once.
 */
static void evict(const tc_redirect *redirect, bool is_crowded) {
  double limit = tc_monotonic() - (is_crowded ? CROWDED_LIFETIME : CONNECTION_LIFETIME);
  for (const connection *it = redirect->oldest; it != NULL && it->since <= limit; it = it->newer) {
    if (!it->is_callback) end(it);
  }
}

/* --- requests -------------------------------------------------------------------------------- */

typedef struct header_search {
  const char *name;
  const char *value;
  unsigned count;
} header_search;

static enum MHD_Result on_header(void *data, enum MHD_ValueKind kind, const char *name,
                                 const char *value) {
  header_search *search = data;
  (void)kind;
  if (strcasecmp(name, search->name) == 0) {
    search->value = value;
    search->count++;
  }
  return MHD_YES;
}

static header_search find_header(struct MHD_Connection *handle, const char *name) {
  header_search search = {name, NULL, 0};
  (void)MHD_get_connection_values(handle, MHD_HEADER_KIND, on_header, &search);
  return search;
}

static bool is_authority(const tc_redirect *redirect, const char *text) {
  const char *authority = redirect->origin + strlen("http://");
  if (strcmp(text, authority) == 0) return true;
  size_t host = strlen(authority) - strlen(":80");
  return redirect->port == 80 && strlen(text) == host && strncmp(text, authority, host) == 0;
}

/* Another name that leads here belongs to a page which had it rebound. */
static bool is_for_us(const tc_redirect *redirect, struct MHD_Connection *handle) {
  header_search host = find_header(handle, "Host");
  return host.count == 1 && host.value != NULL && is_authority(redirect, host.value);
}

static bool is_same_origin(const tc_redirect *redirect, struct MHD_Connection *handle) {
  header_search origin = find_header(handle, "Origin");
  if (origin.count == 0) return true;
  return origin.count == 1 && origin.value != NULL && strncmp(origin.value, "http://", 7) == 0 &&
         is_authority(redirect, origin.value + 7);
}

static enum MHD_Result answer(const tc_redirect *redirect, struct MHD_Connection *handle,
                              unsigned page) {
  return MHD_queue_response(handle, pages[page].status, redirect->pages[page]);
}

/* Whether it was sent by this user. */
static bool is_ours(const connection *it) {
  int64_t uid;
  tc_redirect *redirect = it->redirect;
  if (tc_peers_trust(&redirect->peers, it->fd, &uid)) return true;
  redirect->met_stranger = true;
  redirect->stranger = uid;
  return false;
}

/* `parameters` came to our path: they are the callback, or else `foreign` is the answer. */
static enum MHD_Result receive(connection *it, struct MHD_Connection *handle, tc_str parameters,
                               unsigned foreign) {
  tc_redirect *redirect = it->redirect;
  tc_redirect_verdict verdict = TC_REDIRECT_FOREIGN;
  tc_error err = TC_ERROR_NONE;
  redirect->failed = tc_redirect_judge(parameters, tc_buf_str(&redirect->state), &verdict, &err);
  if (redirect->failed < 0) return MHD_NO;
  if (verdict == TC_REDIRECT_FOREIGN) return answer(redirect, handle, foreign);
  if (!is_ours(it)) return answer(redirect, handle, STRANGER);
  if (!redirect->has_query) {
    tc_buf_add_str(&redirect->query, parameters);
    if (redirect->query.failed) {
      redirect->failed = TC_ERR_NOMEM;
      return MHD_NO;
    }
    redirect->has_query = it->is_callback = true;
    redirect->answer_by = tc_monotonic() + ANSWER_PATIENCE;
  }
  return answer(redirect, handle, verdict == TC_REDIRECT_GRANTED ? SUCCESS : FAILURE);
}

static tc_str query_of(tc_str target) {
  const char *mark = memchr(target.data, '?', target.len);
  if (mark == NULL) return TC_STR_NONE;
  return (tc_str){mark + 1, target.len - (size_t)(mark + 1 - target.data)};
}

/* Where the browser begins. */
static bool is_start(const tc_redirect *redirect, tc_str target) {
  return redirect->start != NULL && tc_secret_equal(target, tc_buf_str(&redirect->start_path));
}

static enum MHD_Result send_away(const connection *it, struct MHD_Connection *handle) {
  if (!is_ours(it)) return answer(it->redirect, handle, STRANGER);
  return MHD_queue_response(handle, MHD_HTTP_FOUND, it->redirect->start);
}

static bool is_our_path(const tc_redirect *redirect, tc_str target) {
  const char *mark = memchr(target.data, '?', target.len);
  if (mark != NULL) target.len = (size_t)(mark - target.data);
  return tc_str_equal(target, tc_buf_str(&redirect->path));
}

static enum MHD_Result start(connection *it, struct MHD_Connection *handle, bool get, bool post) {
  tc_redirect *redirect = it->redirect;
  tc_str target = tc_buf_str(&it->target);
  if (!is_for_us(redirect, handle)) return answer(redirect, handle, BAD_REQUEST);
  if (get && is_start(redirect, target)) return send_away(it, handle);
  if (!is_our_path(redirect, target)) return answer(redirect, handle, NOT_FOUND);
  /* with the fragment waited for, an error may still come in the query */
  if (get) return receive(it, handle, query_of(target), redirect->fragment ? HANDOFF : FAILURE);
  /* a form comes from the provider's page: the state in it shows whose it is */
  if (post && redirect->form_post) return MHD_YES;
  if (post && redirect->fragment && is_same_origin(redirect, handle)) return MHD_YES;
  return answer(redirect, handle, BAD_REQUEST);
}

/* The raw target, before libmicrohttpd takes it apart. */
static void *on_target(void *data, const char *target, struct MHD_Connection *handle) {
  connection *it = connection_of(handle);
  (void)data;
  if (it == NULL) return NULL;
  tc_buf_clear(&it->target);
  tc_buf_clear(&it->body);
  tc_buf_add_text(&it->target, target != NULL ? target : "");
  return NULL;
}

static enum MHD_Result on_request(void *data, struct MHD_Connection *handle, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **context) {
  connection *it = connection_of(handle);
  (void)data, (void)url, (void)version;
  if (it == NULL || it->target.failed) return MHD_NO;
  if (*context == NULL) {
    *context = it;
    return start(it, handle, strcmp(method, "GET") == 0, strcmp(method, "POST") == 0);
  }
  if (*upload_size == 0) return receive(it, handle, tc_buf_str(&it->body), FAILURE);
  if (*upload_size > TC_REDIRECT_BODY_LIMIT - it->body.len) return MHD_NO;
  tc_buf_add(&it->body, upload, *upload_size);
  *upload_size = 0;
  return it->body.failed ? MHD_NO : MHD_YES;
}

static void on_completed(void *data, struct MHD_Connection *handle, void **context,
                         enum MHD_RequestTerminationCode code) {
  const connection *it = connection_of(handle);
  tc_redirect *redirect = data;
  (void)context, (void)code;
  if (it != NULL && it->is_callback) redirect->is_answered = true;
}

/* --- open ------------------------------------------------------------------------------------ */

/* With a location the browser goes on there. */
static struct MHD_Response *make_page(const tc_redirect_page *page, const char *location) {
  const char *const headers[][2] = {
      {"Content-Type", "text/html; charset=utf-8"},
      {"Content-Security-Policy", page->policy},
      {"Cache-Control", "no-store"},
      {"Referrer-Policy", "no-referrer"},
      {"X-Content-Type-Options", "nosniff"},
      {"X-Frame-Options", "DENY"},
      {"Connection", "close"},
      {"Location", location},
  };
  size_t count = sizeof headers / sizeof *headers - (location != NULL ? 0 : 1);
  /* libmicrohttpd takes a pointer to what it will not change */
  void *body = (void *)(uintptr_t)page->body;
  struct MHD_Response *response =
      MHD_create_response_from_buffer(strlen(page->body), body, MHD_RESPMEM_PERSISTENT);
  for (size_t i = 0; response != NULL && i < count; i++) {
    if (MHD_add_response_header(response, headers[i][0], headers[i][1]) != MHD_YES) {
      MHD_destroy_response(response);
      response = NULL;
    }
  }
  return response;
}

static bool make_pages(tc_redirect *redirect) {
  for (size_t i = 0; i < PAGES; i++) {
    redirect->pages[i] = make_page(pages[i].page, NULL);
    if (redirect->pages[i] == NULL) return false;
  }
  return true;
}

static int any_fd(const tc_redirect *redirect) {
  return redirect->fds[0] >= 0 ? redirect->fds[0] : redirect->fds[1];
}

static int start_listening(tc_redirect *redirect, const tc_redirect_options *options,
                           tc_error *err) {
  redirect->port = options->port;
  int status = tc_loopback_listen(options->host, &redirect->port, redirect->fds, err);
  bool is_ipv6 = strchr(options->host, ':') != NULL;
  (void)snprintf(redirect->origin, sizeof redirect->origin,
                 is_ipv6 ? "http://[%s]:%u" : "http://%s:%u", options->host,
                 (unsigned)redirect->port);
  return status;
}

int tc_redirect_open(tc_redirect **to, const tc_redirect_options *options, tc_error *err) {
  *to = NULL;
  tc_redirect *redirect = calloc(1, sizeof *redirect);
  if (redirect == NULL) return tc_error_set(err, TC_ERR_NOMEM, NULL);
  redirect->fds[0] = redirect->fds[1] = -1;
  redirect->peers = TC_PEERS_NONE;
  redirect->fragment = options->fragment;
  redirect->form_post = options->form_post;
  tc_buf_add_str(&redirect->path, options->path);
  tc_buf_add_str(&redirect->state, options->state);
  int status = start_listening(redirect, options, err);
  if (status == 0) status = tc_peers_open(&redirect->peers, any_fd(redirect), err);
  if (status == 0) {
    redirect->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL, on_request, redirect,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)MOST_CONNECTIONS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        MEMORY, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_CONNECTION, on_connection,
        redirect, MHD_OPTION_NOTIFY_COMPLETED, on_completed, redirect, MHD_OPTION_URI_LOG_CALLBACK,
        on_target, redirect, MHD_OPTION_END);
    if (redirect->daemon == NULL || !make_pages(redirect) || redirect->path.failed ||
        redirect->state.failed) {
      status = tc_error_set(err, TC_ERR_NOMEM, NULL);
    }
  }
  if (status < 0) {
    tc_redirect_close(redirect);
    return status;
  }
  *to = redirect;
  return 0;
}

uint16_t tc_redirect_port(const tc_redirect *redirect) {
  return redirect->port;
}

static void drop_response(struct MHD_Response **response) {
  if (*response != NULL) MHD_destroy_response(*response);
  *response = NULL;
}

int tc_redirect_send_to(tc_redirect *redirect, tc_str path, const char *url, tc_error *err) {
  for (const char *at = url; *at != '\0'; at++) {
    if ((unsigned char)*at > ' ' && *at != 0x7F) continue;
    return tc_error_set(err, TC_ERR_INVALID,
                        "authorize_url must hold no blanks and control characters");
  }
  drop_response(&redirect->start);
  tc_buf_clear(&redirect->start_path);
  tc_buf_add_str(&redirect->start_path, path);
  if (!redirect->start_path.failed) redirect->start = make_page(&tc_redirect_empty, url);
  return redirect->start != NULL ? 0 : tc_error_set(err, TC_ERR_NOMEM, NULL);
}

bool tc_redirect_met_stranger(const tc_redirect *redirect, int64_t *uid) {
  *uid = redirect->stranger;
  return redirect->met_stranger;
}

/* --- poll ------------------------------------------------------------------------------------ */

/* False where there was no room for all. */
static bool accept_waiting(tc_redirect *redirect, int listener) {
  while (redirect->connections < MOST_CONNECTIONS) {
    struct sockaddr_storage from;
    socklen_t len = sizeof from;
    unsigned before = redirect->connections;
    int fd = accept4(listener, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && errno == ECONNABORTED) continue;
    if (fd < 0) return errno == EAGAIN || errno == EINTR;
    (void)MHD_add_connection(redirect->daemon, fd, (struct sockaddr *)&from, len);
    if (redirect->connections == before) return false;
  }
  return false;
}

static int wait_milliseconds(const tc_redirect *redirect, double left, bool is_crowded) {
  MHD_UNSIGNED_LONG_LONG due;
  int wait = (int)(left * 1000) + 1;
  if (is_crowded && wait > BREATH) wait = BREATH;
  if (MHD_get_timeout(redirect->daemon, &due) == MHD_YES && due < (unsigned)wait) wait = (int)due;
  return wait;
}

static bool serve(tc_redirect *redirect, double left) {
  bool is_crowded = false;
  for (size_t i = 0; i < TC_LOOPBACK_MOST; i++) {
    if (redirect->fds[i] >= 0 && !accept_waiting(redirect, redirect->fds[i])) is_crowded = true;
  }
  const union MHD_DaemonInfo *info =
      MHD_get_daemon_info(redirect->daemon, MHD_DAEMON_INFO_EPOLL_FD);
  if (info == NULL) return false;
  struct pollfd fds[] = {{info->epoll_fd, POLLIN, 0},
                         {is_crowded ? -1 : redirect->fds[0], POLLIN, 0},
                         {is_crowded ? -1 : redirect->fds[1], POLLIN, 0}};
  evict(redirect, is_crowded);
  (void)poll(fds, 3, wait_milliseconds(redirect, left, is_crowded));
  return MHD_run(redirect->daemon) == MHD_YES;
}

static bool is_done(const tc_redirect *redirect) {
  return redirect->has_query && (redirect->is_answered || tc_monotonic() >= redirect->answer_by);
}

int tc_redirect_poll(tc_redirect *redirect, double seconds, tc_str *query, tc_error *err) {
  tc_sigpipe sigpipe;
  bool works = true;
  if (!(seconds < TC_REDIRECT_LONGEST_POLL)) seconds = TC_REDIRECT_LONGEST_POLL;
  double end_at = tc_monotonic() + seconds;
  double left = seconds;
  *query = TC_STR_NONE;
  tc_sigpipe_block(&sigpipe);
  do {
    works = serve(redirect, left > 0 ? left : 0);
    left = end_at - tc_monotonic();
  } while (works && left > 0 && redirect->failed == 0 && !is_done(redirect));
  tc_sigpipe_restore(&sigpipe);
  if (redirect->failed < 0) return tc_error_set(err, redirect->failed, NULL);
  if (!works) {
    return tc_error_set(err, TC_ERR_UNAVAILABLE,
                        "the redirect listener broke; start the login again");
  }
  if (is_done(redirect)) *query = tc_buf_str(&redirect->query);
  return 0;
}

void tc_redirect_close(tc_redirect *redirect) {
  tc_sigpipe sigpipe;
  if (redirect == NULL) return;
  for (size_t i = 0; i < TC_LOOPBACK_MOST; i++) {
    if (redirect->fds[i] >= 0) (void)close(redirect->fds[i]);
  }
  tc_sigpipe_block(&sigpipe);
  if (redirect->daemon != NULL) MHD_stop_daemon(redirect->daemon);
  tc_sigpipe_restore(&sigpipe);
  for (size_t i = 0; i < PAGES; i++) drop_response(&redirect->pages[i]);
  drop_response(&redirect->start);
  tc_peers_close(&redirect->peers);
  tc_buf_free(&redirect->start_path);
  tc_buf_free(&redirect->path);
  tc_buf_free(&redirect->state);
  tc_buf_free(&redirect->query);
  free(redirect);
}
