/* What libmemcached's failures mean to a caller: "SERVER: what; way out", kind "cache", with
   libmemcached's name for it as code. Neither the server's words nor libmemcached's are quoted:
   they may hold whatever was sent. */
#pragma once

#include <libmemcached/memcached.h>

#include "core/error.h"

int tc_memcached_error(tc_error *err, memcached_return_t status, const char *server);

/* The same for the last call of the client `st`, with what else that knows. `has_answered`: some
   server did, some time. */
int tc_memcached_explain(tc_error *err, memcached_return_t status, const memcached_st *st,
                         bool has_answered, const char *server);

/* There was no connection in time, be it that the server's name was not looked up. */
int tc_memcached_late(tc_error *err, const char *server);

/* Describes a string of options that libmemcached did not take. */
int tc_memcached_options_error(tc_error *err, const char *options);
