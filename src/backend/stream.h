/* A stream of bytes to a server, over TCP or a Unix socket, with TLS where it is wanted. Every call
   ends by its deadline, a time of tc_monotonic(). No call raises SIGPIPE. In a forked child the
   parent's stream can only be closed, which the parent does not notice. Messages name neither
   address nor bytes. */
#pragma once

#include "backend/dial.h"

typedef struct tc_stream tc_stream;

typedef struct tc_stream_options {
  tc_dial_address address;
  bool tls;              /* the server's certificate is always verified, for the host's name */
  const char *ca_file;   /* PEM; NULL: the system's authorities */
  const char *cert_file; /* PEM, where the server asks for a certificate; NULL: none */
  const char *key_file;  /* PEM, unencrypted; NULL: in cert_file */
  double patience;       /* seconds that most waits for an answer last at the longest */
} tc_stream_options;

int tc_stream_open(tc_stream **stream, const tc_stream_options *options, double deadline,
                   tc_error *err);

/* Sends all of it. */
int tc_stream_send(tc_stream *stream, tc_str bytes, double deadline, tc_error *err);

/* Waits for bytes and takes what has come, one at least. */
int tc_stream_receive(tc_stream *stream, char *to, size_t room, size_t *len, double deadline,
                      tc_error *err);

/* False in a forked child, which must not use it. */
bool tc_stream_is_ours(const tc_stream *stream);

/* Whether the stream is still open and holds nothing unread. */
bool tc_stream_is_idle(tc_stream *stream);

/* NULL is no stream. */
void tc_stream_close(tc_stream *stream);
