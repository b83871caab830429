/* A token endpoint's answer, from its status and its bytes to the token or the error. The first two
   bytes are the status; their highest bits say that the provider calls the refresh token dead, and
   that its function failed. The rest is the body. */
#include <math.h>

#include "core/json_read.h"
#include "core/token_response.h"
#include "fuzz.h"

#define NOW 1760000000.0
#define CENTURY 3155760000.0

/* X(member) */
#define MEMBERS(X)                                                                                 \
  X(access_token)                                                                                  \
  X(token_type)                                                                                    \
  X(expires_in)                                                                                    \
  X(refresh_token)                                                                                 \
  X(scope)                                                                                         \
  X(error)                                                                                         \
  X(error_description)

typedef struct answer {
#define X(member) tc_buf member;
  MEMBERS(X) /* what the response borrows */
#undef X
  tc_token_response response;
} answer;

static void take(tc_value *value, tc_buf *owned, tc_json_event event, const tc_json_reader *read) {
  *value = (tc_value){.type = TC_VALUE_OTHER};
  switch (event) {
  case TC_JSON_STRING:
    tc_buf_clear(owned);
    tc_buf_add_str(owned, read->string);
    *value = (tc_value){.type = TC_VALUE_STRING, .string = tc_buf_str(owned)};
    break;
  case TC_JSON_INTEGER:
    *value = (tc_value){.type = TC_VALUE_NUMBER, .number = (double)read->integer};
    break;
  case TC_JSON_REAL:
    *value = (tc_value){.type = TC_VALUE_NUMBER, .number = read->real};
    break;
  case TC_JSON_NULL:
    value->type = TC_VALUE_ABSENT;
    break;
  default:
    break;
  }
}

static bool skip(tc_json_reader *reader, tc_json_event event, tc_error *err) {
  int depth = 0;
  for (;;) {
    if (event == TC_JSON_OBJECT || event == TC_JSON_ARRAY) depth++;
    if (event == TC_JSON_OBJECT_END || event == TC_JSON_ARRAY_END) depth--;
    if (depth == 0) return true;
    if (tc_json_read(reader, &event, err) != 0) return false;
  }
}

/* Whether the body is an object; its members go to `to`. */
static bool read_body(answer *to, tc_str body, tc_buf *scratch, tc_error *err) {
  tc_json_reader reader;
  tc_json_event event;
  tc_json_reader_init(&reader, body, scratch);
  tc_json_tolerate(&reader);
  if (tc_json_read(&reader, &event, err) != 0 || event != TC_JSON_OBJECT) return false;
  while (tc_json_read(&reader, &event, err) == 0 && event == TC_JSON_KEY) {
    tc_value ignored, *value = &ignored;
    tc_buf unknown = TC_BUF_EMPTY, *owned = &unknown;
#define X(member)                                                                                  \
  if (tc_str_equal(reader.string, TC_STR(#member))) {                                              \
    value = &to->response.member;                                                                  \
    owned = &to->member;                                                                           \
  }
    MEMBERS(X)
#undef X
    bool is_end = tc_str_equal(reader.string, TC_STR("expires_at"));
    bool read = tc_json_read(&reader, &event, err) == 0;
    if (read) take(value, owned, event, &reader);
    if (read && is_end) to->response.ends_at = value->type == TC_VALUE_NUMBER ? value->number : 0;
    tc_buf_free(&unknown);
    if (!read || !skip(&reader, event, err)) return false;
  }
  return event == TC_JSON_OBJECT_END && tc_json_read(&reader, &event, err) == 0;
}

static void check(const tc_token_response *response, const tc_client *client) {
  tc_error err;
  tc_token token;
  int rc = tc_token_response_read(response, client, NOW, &token, &err);
  if (rc != 0) {
    require_error(&err, rc);
    return;
  }
  require(response->status >= 200 && response->status <= 299);
  require(!response->is_dead && response->problem.len == 0);
  require(client->default_expires_in == 0 || token.expires_at != TC_TIME_UNKNOWN);
  require(tc_token_exists(&token));
  require(tc_str_equal(token.access_token, response->access_token.string));
  require(token.expires_at == TC_TIME_UNKNOWN ||
          ((double)token.expires_at >= NOW && (double)token.expires_at <= NOW + CENTURY));
}

static void make_client(tc_client *client, const char *flow, double default_expires_in) {
  tc_error err = TC_ERROR_NONE;
  tc_client_config config = {.flow = tc_str_of(flow),
                             .token_url = TC_STR("https://login.example/token"),
                             .client_id = TC_STR("client"),
                             .default_expires_in = default_expires_in,
                             .leeway = 60};
  require(tc_client_init(client, &config, &err) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static tc_client machine, user;
  answer read = {.response = {.retry_after = -1}};
  tc_buf scratch = TC_BUF_EMPTY;
  tc_error err = TC_ERROR_NONE;
  if (machine.token_url == NULL) {
    make_client(&machine, "client_credentials", 0);
    make_client(&user, "pkce", 900);
  }
  if (size < 2) return 0;
  read.response.is_dead = data[0] & 0x80;
  if (data[0] & 0x40) read.response.problem = TC_STR("the provider's function raised an error");
  read.response.status = 100 + (data[0] << 8 | data[1]) % 500;
  read.response.is_object =
      read_body(&read, (tc_str){(const char *)data + 2, size - 2}, &scratch, &err);
  check(&read.response, &machine);
  check(&read.response, &user);
#define X(member) tc_buf_free(&read.member);
  MEMBERS(X)
#undef X
  tc_buf_free(&scratch);
  return 0;
}
