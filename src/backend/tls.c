#include "backend/tls.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

static const char *reason_of(unsigned long code) {
  if (ERR_GET_LIB(code) == ERR_LIB_SYS) return strerror(ERR_GET_REASON(code));
  const char *reason = ERR_reason_error_string(code);
  return reason != NULL ? reason : "unknown reason";
}

/* The oldest error in OpenSSL's queue is the cause. */
static int fail(tc_error *err, const char *what, const char *file) {
  unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE) return tc_error_set(err, TC_ERR_NOMEM, NULL);
  return tc_error_set(err, TC_ERR_TLS, "%s%s%s: %s", what, file[0] != '\0' ? " " : "", file,
                      reason_of(code));
}

static int load_files(SSL_CTX *context, const tc_stream_options *options, tc_error *err) {
  const char *cert = options->cert_file, *key = options->key_file;
  if (options->ca_file == NULL) {
    if (SSL_CTX_set_default_verify_paths(context) != 1) return fail(err, "the system's", "");
  } else if (SSL_CTX_load_verify_locations(context, options->ca_file, NULL) != 1) {
    return fail(err, "ca_file", options->ca_file);
  }
  if (cert == NULL) return 0;
  if (SSL_CTX_use_certificate_chain_file(context, cert) != 1) return fail(err, "cert_file", cert);
  if (key == NULL) key = cert;
  if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1) {
    return fail(err, "key_file", key);
  }
  return 0;
}

/* The certificate must be for the host, a name (RFC 6125) or an address. */
static bool set_host(SSL *ssl, const char *host) {
  X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
  if (X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1) return true;
  ERR_clear_error();
  return X509_VERIFY_PARAM_set1_host(param, host, 0) == 1 &&
         SSL_set_tlsext_host_name(ssl, host) == 1;
}

static SSL *make_ssl(SSL_CTX *context, int fd, const char *host) {
  SSL *ssl = SSL_new(context);
  if (ssl != NULL && (!set_host(ssl, host) || SSL_set_fd(ssl, fd) != 1)) {
    SSL_free(ssl);
    ssl = NULL;
  }
  return ssl;
}

int tc_tls_start(SSL **ssl, int fd, const tc_stream_options *options, tc_error *err) {
  const char *host = options->address.host;
  *ssl = NULL;
  ERR_clear_error();
  SSL_CTX *context = SSL_CTX_new(TLS_client_method());
  if (context == NULL) return fail(err, "TLS", "");
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
  int status =
      SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 ? 0 : fail(err, "TLS", "");
  if (status == 0) status = load_files(context, options, err);
  if (status == 0) {
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    *ssl = make_ssl(context, fd, host);
    if (*ssl == NULL) status = fail(err, "TLS", "");
  }
  SSL_CTX_free(context); /* the SSL holds it */
  return status;
}

int tc_tls_error(const SSL *ssl, tc_error *err) {
  long verified = SSL_get_verify_result(ssl);
  if (verified != X509_V_OK) {
    ERR_clear_error();
    return tc_error_set(err, TC_ERR_TLS, "the server's certificate is not trusted: %s",
                        X509_verify_cert_error_string(verified));
  }
  return fail(err, "the TLS handshake failed", "");
}

int tc_tls_refused(tc_error *err) {
  unsigned long code = ERR_get_error(); /* an alert of the server's, unless it came too late */
  bool said = ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) >= SSL_AD_REASON_OFFSET;
  ERR_clear_error();
  return tc_error_set(err, TC_ERR_TLS, "the server ended the connection after the handshake%s%s",
                      said ? ": " : "", said ? reason_of(code) : "");
}
