/* The ops of each kind that are calls of the C interface; ops.c hands them out. */
#ifndef KINDS_H
#define KINDS_H

#include "expect.h"

json *quota_op(const char *op, forebay_cache *cache, json *fields, const char *place);
json *creds_op(const char *op, json *fields, const char *place);
/* The credentials of that name, opened at its first use. */
forebay_credentials *creds_of(const char *name);

#endif
