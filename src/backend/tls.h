/* TLS for streams, over OpenSSL's libssl. */
#pragma once

#include <openssl/ssl.h>

#include "backend/stream.h"

/* Makes the client's side of TLS 1.2 or later on a connected socket. The handshake is not done yet:
   SSL_connect() is to be called until it is. */
int tc_tls_start(SSL **ssl, int fd, const tc_stream_options *options, tc_error *err);

/* Describes a handshake that failed. */
int tc_tls_error(const SSL *ssl, tc_error *err);

/* Describes a connection that ended before anything came. In TLS 1.3 the client's handshake is over
   before the server has looked at its certificate, or found none. */
int tc_tls_refused(tc_error *err);
