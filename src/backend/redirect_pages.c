#include "backend/redirect_pages.h"

/* The hashes are those of the texts between the tags; a spec computes them again. */
#define STYLE_HASH "'sha256-7oq2zv8Gv3iobGz8CPvh0tNGrIyR7LdeT4U0y1kgf7E='"
#define SCRIPT_HASH "'sha256-zp4ZYP2IftZW6VRmtSAwhOeypqX6ZEAH13T8CzvJkns='"

/* clang-format off */
#define STYLE                                                                                      \
  ":root{color-scheme:light dark;--back:#f6f7f9;--card:#fff;--text:#1c2330;--soft:#5b6575;"        \
  "--edge:#e2e6ec;--good:#18794e;--bad:#b4232c;--wait:#3b5bdb}"                                    \
  "@media(prefers-color-scheme:dark){:root{--back:#12151a;--card:#1b2028;--text:#eceff4;"          \
  "--soft:#a3adbb;--edge:#2c333e;--good:#4cc38a;--bad:#ff8a8a;--wait:#8ea6ff}}"                    \
  "*{box-sizing:border-box}"                                                                       \
  "body{margin:0;min-height:100vh;padding:1.5rem;display:grid;place-items:center;"                 \
  "background:var(--back);color:var(--text);font:1rem/1.5 system-ui,sans-serif}"                   \
  "main{width:100%;max-width:26rem;padding:2.5rem 2rem;text-align:center;background:var(--card);"  \
  "border:1px solid var(--edge);border-radius:1rem}"                                               \
  "svg{width:3.5rem;height:3.5rem;fill:none;stroke:currentColor;stroke-width:2;"                   \
  "stroke-linecap:round;stroke-linejoin:round}"                                                    \
  ".good{color:var(--good)}.bad{color:var(--bad)}.wait{color:var(--wait)}"                         \
  "h1{margin:1rem 0 .5rem;font-size:1.375rem;line-height:1.25}"                                    \
  "p{margin:0;color:var(--soft);text-wrap:balance}"

/* The fragment leaves the address bar and the history before anything else happens. */
#define SCRIPT                                                                                     \
  "(function(){"                                                                                   \
  "var here=location.origin+location.pathname,answer=location.hash.slice(1);"                      \
  "history.replaceState(null,'',here);"                                                            \
  "function show(name){"                                                                           \
  "document.querySelectorAll('main').forEach(function(main){main.hidden=main.id!==name})}"         \
  "if(!answer){show('failure');return}"                                                            \
  "show('handoff');"                                                                               \
  "fetch(here,{method:'POST',credentials:'omit',cache:'no-store',redirect:'error',"                \
  "headers:{'Content-Type':'application/x-www-form-urlencoded'},body:answer})"                     \
  ".then(function(response){show(response.ok?'success':'failure')},"                               \
  "function(){show('failure')})"                                                                   \
  "})()"

#define CARD(attributes, color, icon, heading, text)                                               \
  "<main" attributes ">"                                                                           \
  "<svg class=" color " viewBox='0 0 24 24' aria-hidden=true><circle cx=12 cy=12 r=10 />" icon     \
  "</svg><h1>" heading "</h1><p>" text "</p></main>"

#define TICK "<path d='m8 12.5 2.7 2.7L16 9.5'/>"
#define CROSS "<path d='m9 9 6 6m0-6-6 6'/>"
#define CLOCK "<path d='M12 7v5l3 2'/>"

#define SUCCESS(attributes)                                                                        \
  CARD(attributes, "good", TICK, "Login received",                                                 \
       "The application has its answer. You can close this window.")
#define FAILURE(attributes)                                                                        \
  CARD(attributes, "bad", CROSS, "Login not completed",                                            \
       "Return to the application to try again. You can close this window.")
#define HANDOFF(attributes)                                                                        \
  CARD(attributes, "wait", CLOCK, "One moment",                                                    \
       "The login is being handed to the application.")
#define NO_SCRIPT                                                                                  \
  CARD("", "bad", CROSS, "JavaScript is needed",                                                   \
       "It hands the login to the application. Allow it for this page and load the page again.")

#define PAGE(title, rest)                                                                          \
  "<!doctype html><html lang=en><head><meta charset=utf-8>"                                        \
  "<meta name=viewport content='width=device-width,initial-scale=1'><title>" title "</title>"      \
  "<style>" STYLE "</style></head><body>" rest "</body></html>\n"
/* clang-format on */

#define NOTHING "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
#define STYLED NOTHING "; style-src " STYLE_HASH

const tc_redirect_page tc_redirect_success = {PAGE("Login received", SUCCESS("")), STYLED};

const tc_redirect_page tc_redirect_failure = {PAGE("Login not completed", FAILURE("")), STYLED};

const tc_redirect_page tc_redirect_handoff = {
    PAGE("Login", HANDOFF(" id=handoff hidden") SUCCESS(" id=success hidden")
                      FAILURE(" id=failure hidden") "<noscript>" NO_SCRIPT "</noscript>"
                                                    "<script>" SCRIPT "</script>"),
    STYLED "; script-src " SCRIPT_HASH "; connect-src 'self'"};

const tc_redirect_page tc_redirect_empty = {"", NOTHING};
