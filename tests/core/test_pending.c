#include "core/pending.h"
#include "test.h"

#define CREATED 1760000000

static const char *const written =
    "1.created=1760000000&state=s%26t&code_verifier=v&issuer=https%3A%2F%2Fi&client_id=an+id"
    "&redirect_uri=http%3A%2F%2F127.0.0.1%3A80%2Fcb&nonce=n&dpop_key=k";

static tc_pending example(void) {
  tc_pending pending = {.created = CREATED};
  tc_buf_add_text(&pending.state, "s&t");
  tc_buf_add_text(&pending.code_verifier, "v");
  tc_buf_add_text(&pending.issuer, "https://i");
  tc_buf_add_text(&pending.client_id, "an id");
  tc_buf_add_text(&pending.redirect_uri, "http://127.0.0.1:80/cb");
  tc_buf_add_text(&pending.nonce, "n");
  tc_buf_add_text(&pending.dpop_key, "k");
  return pending;
}

static int read_text(tc_pending *pending, tc_str text) {
  tc_error err = TC_ERROR_NONE;
  *pending = (tc_pending){0};
  int rc = tc_pending_read(pending, text, &err);
  CHECK_NUM(err.number, rc);
  return rc;
}

static void check_refused(tc_str text) {
  tc_pending pending;
  if (!CHECK_NUM(read_text(&pending, text), TC_ERR_STATE)) {
    printf("#   %.*s\n", (int)text.len, text.data);
  }
  tc_pending_free(&pending);
}

static void test_it_is_written_as_text(void) {
  tc_pending pending = example();
  tc_buf text = TC_BUF_EMPTY;
  tc_pending_write(&text, &pending);
  CHECK(!text.failed);
  CHECK_STR(tc_buf_str(&text), tc_str_of(written));
  tc_buf_free(&text);
  tc_pending_free(&pending);
}

static void test_it_reads_back_the_same(void) {
  tc_pending want = example(), got;
  CHECK_NUM(read_text(&got, tc_str_of(written)), 0);
  CHECK_NUM(got.created, CREATED);
#define X(member) CHECK_STR(tc_buf_str(&got.member), tc_buf_str(&want.member));
  TC_PENDING_FIELDS(X)
#undef X
  tc_pending_free(&got);
  tc_pending_free(&want);
}

static void test_what_was_written_before_there_were_nonces_and_keys_is_read(void) {
  tc_pending got;
  CHECK_NUM(read_text(&got, (tc_str){written, strlen(written) - strlen("&nonce=n&dpop_key=k")}), 0);
  CHECK_STR(tc_buf_str(&got.state), TC_STR("s&t"));
  CHECK_NUM(got.nonce.len, 0);
  tc_pending_free(&got);
}

static void test_a_field_that_found_no_memory_is_noticed(void) {
  tc_pending pending = example();
  tc_buf text = TC_BUF_EMPTY;
  pending.code_verifier.failed = true;
  tc_pending_write(&text, &pending);
  CHECK(text.failed);
  tc_buf_free(&text);
  tc_pending_free(&pending);
}

static void test_what_was_not_written_so_is_refused(void) {
  static char text[TC_PENDING_MAX + 2];
  check_refused(TC_STR(""));
  check_refused(TC_STR_NONE);
  check_refused(TC_STR("1"));
  check_refused(TC_STR("1."));
  check_refused(TC_STR("2.created=1&state=s&client_id=c"));
  check_refused(TC_STR("created=1&state=s&client_id=c"));
  check_refused(TC_STR("1.created=1&state=s"));
  check_refused(TC_STR("1.created=1&client_id=c"));
  check_refused(TC_STR("1.state=s&client_id=c"));
  check_refused(TC_STR("1.created=1&state=&client_id=c"));
  check_refused(TC_STR("1.created=0&state=s&client_id=c"));
  check_refused(TC_STR("1.created=-1&state=s&client_id=c"));
  check_refused(TC_STR("1.created=1e3&state=s&client_id=c"));
  check_refused(TC_STR("1.created=&state=s&client_id=c"));
  check_refused(TC_STR("1.created=1234567890123456&state=s&client_id=c"));
  check_refused(TC_STR("1.created=1&created=1&state=s&client_id=c"));
  check_refused(TC_STR("1.created=1&state=s&state=s&client_id=c"));
  check_refused(TC_STR("1.created=1&state=&state=s&client_id=c"));
  check_refused(TC_STR("1.created=1&state=s&client_id=c&more=1"));
  check_refused(TC_STR("1.created=1&state=%&client_id=c"));
  memset(text, '&', sizeof text);
  memcpy(text, "1.created=1&state=s&client_id=c", 31);
  check_refused((tc_str){text, TC_PENDING_MAX + 1});
}

static int check_at(double now, const char *client_id, const char *redirect_uri) {
  tc_error err = TC_ERROR_NONE;
  tc_pending pending = example();
  int rc = tc_pending_check(&pending, tc_str_of(client_id), tc_str_of(redirect_uri), now, &err);
  CHECK_NUM(err.number, rc);
  tc_pending_free(&pending);
  return rc;
}

static void test_it_is_good_for_ten_minutes(void) {
  const char *uri = "http://127.0.0.1:80/cb";
  CHECK_NUM(check_at(CREATED, "an id", uri), 0);
  CHECK_NUM(check_at(CREATED + 600, "an id", uri), 0);
  CHECK_NUM(check_at(CREATED + 601, "an id", uri), TC_ERR_STATE);
  CHECK_NUM(check_at(CREATED - 60, "an id", uri), 0); /* another machine's clock */
  CHECK_NUM(check_at(CREATED - 61, "an id", uri), TC_ERR_STATE);
}

static void test_it_is_good_for_its_client_and_redirect_uri(void) {
  CHECK_NUM(check_at(CREATED, "an id2", "http://127.0.0.1:80/cb"), TC_ERR_STATE);
  CHECK_NUM(check_at(CREATED, "an", "http://127.0.0.1:80/cb"), TC_ERR_STATE);
  CHECK_NUM(check_at(CREATED, "an id", "http://127.0.0.1:80/"), TC_ERR_STATE);
}

int main(void) {
  RUN(test_it_is_written_as_text);
  RUN(test_it_reads_back_the_same);
  RUN(test_what_was_written_before_there_were_nonces_and_keys_is_read);
  RUN(test_a_field_that_found_no_memory_is_noticed);
  RUN(test_what_was_not_written_so_is_refused);
  RUN(test_it_is_good_for_ten_minutes);
  RUN(test_it_is_good_for_its_client_and_redirect_uri);
  return done();
}
