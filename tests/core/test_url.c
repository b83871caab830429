#include "core/url.h"
#include "test.h"

static tc_url parse(const char *text) {
  tc_url url;
  tc_error err = TC_ERROR_NONE;
  if (tc_url_parse(tc_str_of(text), &url, &err) != 0) {
    CHECK(!"the URL should be accepted");
    printf("#   %s: %s\n", text, err.message);
  }
  return url;
}

static void check_refused(tc_str text, const char *reason) {
  tc_url url;
  tc_error err = TC_ERROR_NONE;
  CHECK_NUM(tc_url_parse(text, &url, &err), TC_ERR_INVALID);
  if (!CHECK(strstr(err.message, reason) != NULL)) printf("#   %s\n", err.message);
}

static void test_splits(void) {
  tc_url url = parse("HTTPS://id.example:8443/a/b?x=1&y=/?#frag?");
  CHECK_STR(url.scheme, TC_STR("HTTPS"));
  CHECK_STR(url.host, TC_STR("id.example"));
  CHECK_STR(url.port, TC_STR("8443"));
  CHECK_STR(url.path, TC_STR("/a/b"));
  CHECK_STR(url.query, TC_STR("x=1&y=/?"));
  CHECK_STR(url.fragment, TC_STR("frag?"));
}

static void test_tells_absent_from_empty(void) {
  tc_url url = parse("https://id.example");
  CHECK(url.port.data == NULL && url.query.data == NULL && url.fragment.data == NULL);
  CHECK_NUM(url.path.len, 0);
  url = parse("https://id.example?#");
  CHECK(url.query.data != NULL && url.query.len == 0);
  CHECK(url.fragment.data != NULL && url.fragment.len == 0);
  url = parse("https://id.example#a?b");
  CHECK(url.query.data == NULL);
  CHECK_STR(url.fragment, TC_STR("a?b"));
}

static void test_splits_ipv6_literals(void) {
  tc_url url = parse("http://[::1]:8080/cb");
  CHECK_STR(url.host, TC_STR("::1"));
  CHECK_STR(url.port, TC_STR("8080"));
  url = parse("http://[::1]/cb");
  CHECK_STR(url.host, TC_STR("::1"));
  CHECK(url.port.data == NULL);
}

static void test_refuses_what_is_no_absolute_url(void) {
  check_refused(TC_STR(""), "https://host/path");
  check_refused(TC_STR("https"), "https://host/path");
  check_refused(TC_STR("https:"), "https://host/path");
  check_refused(TC_STR("https:/x"), "https://host/path");
  check_refused(TC_STR("//host/path"), "https://host/path");
  check_refused(TC_STR("1http://host"), "https://host/path");
  check_refused(TC_STR("ht_tp://host"), "https://host/path");
  check_refused(TC_STR("https://"), "no host");
  check_refused(TC_STR("https:///path"), "no host");
  check_refused(TC_STR("https://:80/"), "no host");
  check_refused(TC_STR("https://[]/"), "no host");
  check_refused(TC_STR("https://[::1/"), "without ']'");
}

static void test_refuses_bad_ports(void) {
  check_refused(TC_STR("https://h:/"), "port");
  check_refused(TC_STR("https://h:65536/"), "port");
  check_refused(TC_STR("https://h:123456/"), "port");
  check_refused(TC_STR("https://h:8a/"), "port");
  check_refused(TC_STR("https://[::1]8/"), "port");
  check_refused(TC_STR("https://::1/"), "no host");
  CHECK_STR(parse("https://h:65535/").port, TC_STR("65535"));
}

static void test_refuses_userinfo_without_quoting_it(void) {
  tc_url url;
  tc_error err = TC_ERROR_NONE;
  CHECK_NUM(tc_url_parse(TC_STR("https://me:s3cret@h/"), &url, &err), TC_ERR_INVALID);
  CHECK(strstr(err.message, "s3cret") == NULL);
  check_refused(TC_STR("https://good.example@evil.example/"), "user name");
  CHECK_STR(parse("https://h/@").path, TC_STR("/@"));
}

static void test_refuses_blanks_and_control_characters(void) {
  check_refused(TC_STR("https://h/a b"), "blank");
  check_refused(TC_STR("https://h/\r\nHost: x"), "blank");
  check_refused(TC_STR("https://h\0.example/"), "blank");
  check_refused(TC_STR("https://h/\177"), "blank");
}

static void check_loopback(const char *text, bool want) {
  tc_url url = parse(text);
  if (!CHECK(tc_url_is_loopback(&url) == want)) printf("#   %s\n", text);
}

static void test_knows_the_loopback(void) {
  check_loopback("http://127.0.0.1/", true);
  check_loopback("http://127.255.255.254:80/", true);
  check_loopback("http://[::1]/", true);
  check_loopback("http://LocalHost/", true);
}

static void test_takes_no_name_for_the_loopback(void) {
  check_loopback("http://127.0.0.1.example/", false);
  check_loopback("http://127.0.0.999/", false);
  check_loopback("http://127.0.0/", false);
  check_loopback("http://127.0.0.1.2/", false);
  check_loopback("http://127.0.0.1./", false);
  check_loopback("http://127..0.1/", false);
  check_loopback("http://127.0.0./", false);
  check_loopback("http://1270.0.0.1/", false);
  check_loopback("http://128.0.0.1/", false);
  check_loopback("http://localhost.example/", false);
  check_loopback("http://[::2]/", false);
  check_loopback("http://0.0.0.0/", false);
}

static void check_endpoint(const char *text, bool may_be_plain, const char *problem) {
  tc_error err = TC_ERROR_NONE;
  int rc = tc_url_check_endpoint("x_url", tc_str_of(text), may_be_plain, &err);
  CHECK((rc == 0) == (problem == NULL));
  if (problem != NULL && !CHECK(strstr(err.message, problem) == err.message)) {
    printf("#   %s: %s\n", text, err.message);
  }
}

static void test_secrets_travel_by_tls_or_stay_here(void) {
  for (int plain = 0; plain < 2; plain++) {
    check_endpoint("https://id.example/token", plain, NULL);
    check_endpoint("HTTPS://id.example/token", plain, NULL);
    check_endpoint("http://127.0.0.1:8080/token", plain, NULL);
    check_endpoint("http://id.example/token", plain, plain ? NULL : "x_url must be https, or");
    check_endpoint("ftp://127.0.0.1/token", plain, "x_url must be https, or");
    check_endpoint("httpss://id.example/", plain, "x_url must be https, or");
    check_endpoint("https://id.example/#", plain, "x_url must not have a fragment");
    check_endpoint("http:/id.example/", plain, "x_url: not a URL of the form");
  }
}

int main(void) {
  RUN(test_splits);
  RUN(test_tells_absent_from_empty);
  RUN(test_splits_ipv6_literals);
  RUN(test_refuses_what_is_no_absolute_url);
  RUN(test_refuses_bad_ports);
  RUN(test_refuses_userinfo_without_quoting_it);
  RUN(test_refuses_blanks_and_control_characters);
  RUN(test_knows_the_loopback);
  RUN(test_takes_no_name_for_the_loopback);
  RUN(test_secrets_travel_by_tls_or_stay_here);
  return done();
}
