/* What the redirect listener shows in the browser. Every page is a constant: nothing of a request
   is ever part of one. */
#pragma once

typedef struct tc_redirect_page {
  const char *body;
  const char *policy; /* its Content-Security-Policy */
} tc_redirect_page;

extern const tc_redirect_page tc_redirect_success;
extern const tc_redirect_page tc_redirect_failure;
extern const tc_redirect_page tc_redirect_handoff; /* posts the URL's fragment back by script */
extern const tc_redirect_page tc_redirect_empty;
