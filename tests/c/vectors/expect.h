/* How a step's findings are compared with its expectations, and how steps are run. */
#ifndef EXPECT_H
#define EXPECT_H

#include "stage.h"

/* Fails unless each expectation holds, and nothing failed that was not expected to. */
void compare(const char *op, const json *expect, const json *found);
/* Runs steps in order; `prefix` is where they stand. */
void run_steps(const json *steps, const char *prefix);
/* Makes a step's call, and gives what it found. */
json *run_op(const char *op, json *fields, const char *place);
forebay_cache *open_cache(const char *durability, forebay_error **err);

#endif
