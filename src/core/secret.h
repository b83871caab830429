/* Secrets: erased when done with, compared in constant time. */
#pragma once

#include "core/str.h"

/* Overwrites memory in a way the compiler may not remove. */
void tc_wipe(void *data, size_t len);

/* Compares without telling, by its duration, where the two differ. */
bool tc_secret_equal(tc_str a, tc_str b);
