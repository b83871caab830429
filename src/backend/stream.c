#include "backend/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/clock.h"
#include "backend/process.h"
#include "backend/sigpipe.h"
#include "backend/tls.h"

/* How much longer than a wait may last a single recv() may. */
#define MOST_OVERRUN 1.02

struct tc_stream {
  int fd;
  ino_t inode;
  pid_t pid;       /* whose stream it is */
  SSL *ssl;        /* NULL: without TLS */
  double patience; /* seconds after which a blocking recv() gives up; 0: none may block */
  bool has_received;
};

/* What one attempt at I/O came to. */
enum { DONE, WANTS_READ, WANTS_WRITE, ENDED, FAILED };

static int timed_out(tc_error *err) {
  return tc_error_set(err, TC_ERR_TIMEOUT, "no answer in time");
}

/* `code` is what errno was. */
static int broke(const tc_stream *stream, tc_error *err, int outcome, int code) {
  if (stream->ssl != NULL && !stream->has_received) return tc_tls_refused(err);
  if (outcome == ENDED || code == 0) {
    return tc_error_set(err, TC_ERR_NETWORK, "the server closed the connection");
  }
  return tc_error_set(err, TC_ERR_NETWORK, "the connection broke: %s", strerror(code));
}

/* Before a call of libssl's. What others left in OpenSSL's queue of errors would count as its own.
 */
static void prepare_tls(tc_sigpipe *sigpipe) {
  tc_sigpipe_block(sigpipe);
  ERR_clear_error();
  errno = 0;
}

/* After a call of libssl's that returned `result`; errno is still what that call left. */
static int tls_outcome(const SSL *ssl, int result) {
  switch (SSL_get_error(ssl, result)) {
  case SSL_ERROR_NONE:
    return DONE;
  case SSL_ERROR_WANT_READ:
    return WANTS_READ;
  case SSL_ERROR_WANT_WRITE:
    return WANTS_WRITE;
  case SSL_ERROR_ZERO_RETURN:
    return ENDED;
  default:
    return FAILED;
  }
}

/* False if the deadline came first. */
static bool await(const tc_stream *stream, int outcome, double deadline) {
  return tc_dial_wait(stream->fd, outcome == WANTS_WRITE ? POLLOUT : POLLIN, deadline);
}

static int shake_hands(tc_stream *stream, double deadline, tc_error *err) {
  for (;;) {
    tc_sigpipe sigpipe;
    prepare_tls(&sigpipe);
    int outcome = tls_outcome(stream->ssl, SSL_connect(stream->ssl));
    tc_sigpipe_restore(&sigpipe);
    if (outcome == DONE) return 0;
    if (outcome == ENDED || outcome == FAILED) return tc_tls_error(stream->ssl, err);
    if (!await(stream, outcome, deadline)) {
      return tc_error_set(err, TC_ERR_TIMEOUT,
                          "no TLS handshake in time, as from a server without TLS");
    }
  }
}

/* Saves a call of poll() for each answer: recv() may block for as long as most waits last. */
static void let_recv_block(tc_stream *stream, double patience) {
  struct timeval time = {(time_t)patience,
                         (suseconds_t)((patience - (double)(time_t)patience) * 1e6)};
  int flags = fcntl(stream->fd, F_GETFL);
  if (time.tv_sec == 0 && time.tv_usec == 0) return; /* it would mean "for ever" */
  if (setsockopt(stream->fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time) == 0 && flags >= 0 &&
      fcntl(stream->fd, F_SETFL, flags & ~O_NONBLOCK) == 0) {
    stream->patience = patience;
  }
}

int tc_stream_open(tc_stream **to, const tc_stream_options *options, double deadline,
                   tc_error *err) {
  struct stat is;
  *to = NULL;
  tc_stream *stream = calloc(1, sizeof *stream);
  if (stream == NULL) return tc_error_set(err, TC_ERR_NOMEM, NULL);
  stream->pid = tc_process_id();
  int status = tc_dial(&options->address, deadline, &stream->fd, err);
  if (status == 0) stream->inode = fstat(stream->fd, &is) == 0 ? is.st_ino : 0;
  if (status == 0 && options->tls) {
    status = tc_tls_start(&stream->ssl, stream->fd, options, err);
    if (status == 0) status = shake_hands(stream, deadline, err);
  } else if (status == 0) {
    let_recv_block(stream, options->patience);
  }
  if (status < 0) {
    tc_stream_close(stream);
    return status;
  }
  *to = stream;
  return 0;
}

static int outcome_of(ssize_t result) {
  if (result >= 0) return DONE;
  return errno == EAGAIN || errno == EINTR ? WANTS_READ : FAILED;
}

static int try_send(const tc_stream *stream, tc_str bytes, size_t *sent) {
  if (stream->ssl != NULL) {
    tc_sigpipe sigpipe;
    prepare_tls(&sigpipe);
    int outcome = tls_outcome(stream->ssl, SSL_write_ex(stream->ssl, bytes.data, bytes.len, sent));
    tc_sigpipe_restore(&sigpipe);
    return outcome;
  }
  ssize_t result = send(stream->fd, bytes.data, bytes.len, MSG_NOSIGNAL | MSG_DONTWAIT);
  *sent = result > 0 ? (size_t)result : 0;
  int outcome = outcome_of(result);
  return outcome == WANTS_READ ? WANTS_WRITE : outcome;
}

int tc_stream_send(tc_stream *stream, tc_str bytes, double deadline, tc_error *err) {
  while (bytes.len > 0) {
    size_t sent = 0;
    int outcome = try_send(stream, bytes, &sent);
    if (outcome == ENDED || outcome == FAILED) return broke(stream, err, outcome, errno);
    if (outcome == DONE) {
      bytes.data += sent;
      bytes.len -= sent;
    } else if (!await(stream, outcome, deadline)) {
      return timed_out(err);
    }
  }
  return 0;
}

static int try_receive(const tc_stream *stream, char *to, size_t room, size_t *len, int flags) {
  if (stream->ssl != NULL) {
    tc_sigpipe sigpipe; /* reading may write, where keys are renewed */
    prepare_tls(&sigpipe);
    int outcome = tls_outcome(stream->ssl, SSL_read_ex(stream->ssl, to, room, len));
    tc_sigpipe_restore(&sigpipe);
    return outcome;
  }
  ssize_t result = recv(stream->fd, to, room, flags);
  *len = result > 0 ? (size_t)result : 0;
  return result == 0 ? ENDED : outcome_of(result);
}

int tc_stream_receive(tc_stream *stream, char *to, size_t room, size_t *len, double deadline,
                      tc_error *err) {
  bool may_block = (deadline - tc_monotonic_coarse()) * MOST_OVERRUN >= stream->patience;
  int outcome = try_receive(stream, to, room, len, may_block ? 0 : MSG_DONTWAIT);
  while (outcome == WANTS_READ || outcome == WANTS_WRITE) {
    if (!await(stream, outcome, deadline)) return timed_out(err);
    outcome = try_receive(stream, to, room, len, MSG_DONTWAIT);
  }
  stream->has_received = stream->has_received || outcome == DONE;
  return outcome == DONE ? 0 : broke(stream, err, outcome, errno);
}

bool tc_stream_is_ours(const tc_stream *stream) {
  return stream->pid == tc_process_id();
}

bool tc_stream_is_idle(tc_stream *stream) {
  struct pollfd poll_fd = {stream->fd, POLLIN, 0};
  char byte;
  size_t len;
  if (poll(&poll_fd, 1, 0) == 0) return true;
  /* what is readable may be TLS's own, such as a session ticket */
  return stream->ssl != NULL && poll_fd.revents == POLLIN &&
         try_receive(stream, &byte, 1, &len, MSG_DONTWAIT) == WANTS_READ;
}

/* A forked child may have closed the descriptor, and opened something else under its number. */
static bool owns_fd(const tc_stream *stream) {
  struct stat is;
  if (stream->fd < 0) return false;
  return tc_stream_is_ours(stream) ||
         (fstat(stream->fd, &is) == 0 && S_ISSOCK(is.st_mode) && is.st_ino == stream->inode);
}

void tc_stream_close(tc_stream *stream) {
  if (stream == NULL) return;
  SSL_free(stream->ssl); /* without a word to the server: it would be the parent's connection */
  if (owns_fd(stream)) (void)close(stream->fd);
  free(stream);
}
