/* Keys and signatures of strangers: alg, then the key's numbers and the signature in base64url,
   then what is signed, with dots in between. What fits one input fits no other. */
#include "backend/jws.h"

#include "core/base64.h"
#include "core/buf.h"
#include "fuzz.h"

static tc_str next_part(tc_str *rest) {
  const char *dot = memchr(rest->data, '.', rest->len);
  tc_str part = {rest->data, dot != NULL ? (size_t)(dot - rest->data) : rest->len};
  size_t taken = part.len + (dot != NULL);
  *rest = (tc_str){rest->data + taken, rest->len - taken};
  return part;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  tc_buf parts[3] = {TC_BUF_EMPTY, TC_BUF_EMPTY, TC_BUF_EMPTY};
  tc_error err = TC_ERROR_NONE;
  tc_str rest = {size > 0 ? (const char *)data : "", size};
  tc_str alg = next_part(&rest);
  bool decoded = true;
  for (size_t i = 0; i < 3; i++) {
    decoded = tc_base64url_decode(&parts[i], next_part(&rest)) && decoded;
  }
  if (decoded) {
    tc_str n = tc_buf_str(&parts[0]), e = tc_buf_str(&parts[1]), signature = tc_buf_str(&parts[2]);
    int rc = tc_jws_verify(alg, n, e, rest, signature, &err);
    if (rc < 0) require_error(&err, rc);
    require(rc <= 0 || rc == TC_JWS_FORGED);
    if (rc == 0 && rest.len > 0) {
      rest.len--;
      require(tc_jws_verify(alg, n, e, rest, signature, &err) == TC_JWS_FORGED);
    }
  }
  for (size_t i = 0; i < 3; i++) tc_buf_free(&parts[i]);
  return 0;
}
