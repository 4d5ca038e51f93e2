/* What ops share: fields as the C interface wants them, and errors as scenarios show them. It knows no op. */
#ifndef PARTS_H
#define PARTS_H

#include "stage.h"

/* How far from now, or null. */
json *from_now(int64_t at_ms);
/* The code of an error that may be NULL, and its text. */
json *error_code(const forebay_error *error);
json *error_text(const forebay_error *error);
/* A call that failed; frees the error. */
json *of_error(forebay_status status, forebay_error *err);
/* A call that gives nothing, or failed. */
json *done(forebay_status status, forebay_error *err);
/* A NULL text is empty. */
forebay_slice slice_of(const json *text);
forebay_commit commit_of(json *fields);
forebay_failure failure_of(json *fields);

#endif
