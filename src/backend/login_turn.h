/* Whose turn it is to log in at a fixed redirect port, among the processes of one user. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define TC_TURN_NONE (-1)

/* Takes the turn, unless another has it; it ends with the process at the latest. `*turn` is what to
   end it with; TC_TURN_NONE where this system has no turns, and everybody is next. */
bool tc_turn_take(int *turn, uint16_t port);

void tc_turn_end(int *turn);
