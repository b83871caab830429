#include "core/url.h"

#include <strings.h>

static bool equals(tc_str text, const char *lower) {
  return text.len == strlen(lower) && strncasecmp(text.data, lower, text.len) == 0;
}

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

static bool is_alpha(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static tc_str head(tc_str text, size_t len) {
  return (tc_str){text.data, len};
}

static tc_str tail(tc_str text, size_t from) {
  return (tc_str){text.data + from, text.len - from};
}

/* Index of the first byte of `set` in `text`, or its length. */
static size_t find(tc_str text, const char *set) {
  size_t i = 0;
  while (i < text.len && strchr(set, text.data[i]) == NULL) i++;
  return i;
}

static bool is_scheme(tc_str text) {
  if (text.len == 0 || !is_alpha(text.data[0])) return false;
  for (size_t i = 1; i < text.len; i++) {
    char c = text.data[i];
    if (!is_alpha(c) && !is_digit(c) && c != '+' && c != '-' && c != '.') return false;
  }
  return true;
}

/* Digits that make a number of at most `most`. */
static bool is_number(tc_str text, unsigned most) {
  unsigned number = 0;
  if (text.len == 0 || text.len > 5) return false;
  for (size_t i = 0; i < text.len; i++) {
    if (!is_digit(text.data[i])) return false;
    number = number * 10 + (unsigned)(text.data[i] - '0');
  }
  return number <= most;
}

static int split_authority(tc_str authority, tc_url *url, tc_error *err) {
  if (find(authority, "@") < authority.len) {
    return tc_error_set(err, TC_ERR_INVALID, "a user name or password in the URL is refused");
  }
  tc_str after;
  if (authority.len > 0 && authority.data[0] == '[') {
    size_t close = find(authority, "]");
    if (close == authority.len) {
      return tc_error_set(err, TC_ERR_INVALID, "'[' without ']' in the URL's host");
    }
    url->host = head(tail(authority, 1), close - 1);
    after = tail(authority, close + 1);
  } else {
    size_t colon = find(authority, ":");
    url->host = head(authority, colon);
    after = tail(authority, colon);
  }
  if (url->host.len == 0) return tc_error_set(err, TC_ERR_INVALID, "the URL has no host");
  if (after.len == 0) return 0;
  url->port = tail(after, 1);
  if (after.data[0] != ':' || !is_number(url->port, 65535)) {
    return tc_error_set(err, TC_ERR_INVALID, "the URL's port is not a number up to 65535");
  }
  return 0;
}

int tc_url_parse(tc_str text, tc_url *url, tc_error *err) {
  *url = (tc_url){0};
  for (size_t i = 0; i < text.len; i++) {
    unsigned char c = (unsigned char)text.data[i];
    if (c <= ' ' || c == 0x7F) {
      return tc_error_set(err, TC_ERR_INVALID, "a blank or control character in the URL");
    }
  }
  size_t colon = find(text, ":");
  url->scheme = head(text, colon);
  if (!is_scheme(url->scheme) || text.len - colon < 3 || memcmp(text.data + colon, "://", 3) != 0) {
    return tc_error_set(err, TC_ERR_INVALID, "not a URL of the form https://host/path");
  }
  tc_str rest = tail(text, colon + 3);
  size_t end = find(rest, "/?#");
  int rc = split_authority(head(rest, end), url, err);
  if (rc != 0) return rc;
  rest = tail(rest, end);
  end = find(rest, "?#");
  url->path = head(rest, end);
  rest = tail(rest, end);
  if (rest.len > 0 && rest.data[0] == '?') {
    end = find(rest, "#");
    url->query = tail(head(rest, end), 1);
    rest = tail(rest, end);
  }
  if (rest.len > 0) url->fragment = tail(rest, 1);
  return 0;
}

bool tc_url_is_loopback(const tc_url *url) {
  if (equals(url->host, "localhost") || equals(url->host, "::1")) return true;
  if (url->host.len < 4 || memcmp(url->host.data, "127.", 4) != 0) return false;
  tc_str rest = tail(url->host, 4);
  for (int octets = 1; octets < 3; octets++) {
    size_t dot = find(rest, ".");
    if (dot == rest.len || !is_number(head(rest, dot), 255)) return false;
    rest = tail(rest, dot + 1);
  }
  return is_number(rest, 255);
}

int tc_url_check_endpoint(const char *name, tc_str text, bool may_be_plain, tc_error *err) {
  tc_url url;
  tc_error why = TC_ERROR_NONE;
  if (tc_url_parse(text, &url, &why) != 0) {
    return tc_error_set(err, TC_ERR_INVALID, "%s: %s", name, why.message);
  }
  bool is_plain = equals(url.scheme, "http") && (may_be_plain || tc_url_is_loopback(&url));
  if (!is_plain && !equals(url.scheme, "https")) {
    return tc_error_set(err, TC_ERR_INVALID,
                        "%s must be https, or http on a loopback address: secrets travel to it "
                        "(RFC 6749 §3.2); or allow_insecure_http = true in provider, but for "
                        "flow.implicit",
                        name);
  }
  if (url.fragment.data != NULL) {
    return tc_error_set(err, TC_ERR_INVALID, "%s must not have a fragment (RFC 6749 §3.2)", name);
  }
  return 0;
}
