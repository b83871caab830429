/* What a token endpoint's answer means (RFC 6749 §5.1, §5.2). */
#pragma once

#include "core/client.h"

/* One member of the answer's JSON object, as it came. */
typedef struct tc_value {
  enum {
    TC_VALUE_ABSENT,
    TC_VALUE_STRING,
    TC_VALUE_NUMBER,
    TC_VALUE_OTHER
  } type; /* null: absent */
  tc_str string;
  double number;
} tc_value;

typedef struct tc_token_response {
  int status;
  double retry_after; /* seconds; negative if the server named none */
  double ends_at; /* Unix seconds: the end under another name than expires_in; 0: there is none */
  bool is_dead;   /* the provider has said in its own way that the refresh token is dead */
  tc_str problem; /* what is wrong with the program's reading of the answer; absent: nothing */
  bool is_object; /* the body was a JSON object; the members below are its */
  tc_value access_token;
  tc_value token_type;
  tc_value expires_in;
  tc_value refresh_token;
  tc_value scope;
  tc_value error;
  tc_value error_description;
} tc_token_response;

/* Whether `code` is an error code that some RFC gives a meaning. */
bool tc_token_response_knows(tc_str code);

/* Fills `token` (whose strings then borrow from the response) and returns 0, or says in `err` why
   there is no token: kind by the server's error code first, since some servers send errors with
   status 200, then by status. `now` is Unix seconds. Beside an error only the refresh token in
   `token` counts: what came, if it did, with a token that cannot be used. */
int tc_token_response_read(const tc_token_response *response, const tc_client *client, double now,
                           tc_token *token, tc_error *err);
