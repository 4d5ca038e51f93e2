/* What ops share: fields as the C interface wants them, and errors as scenarios show them. */
#include "parts.h"
#include <string.h>

json *from_now(int64_t at_ms) { return at_ms == -1 ? json_null() : json_number(at_ms - stage_now_ms()); }

json *error_code(const forebay_error *error) {
  return error == NULL ? json_null() : json_text(forebay_code_text(forebay_error_code(error)));
}

json *error_text(const forebay_error *error) { return json_text(forebay_error_text(error, NULL)); }

json *of_error(forebay_status status, forebay_error *err) {
  json *found = json_object();
  json_set(found, "fails", json_text(forebay_code_text(status)));
  json_set(found, "says", error_text(err));
  json_set(found, "retry_in_ms", from_now(forebay_error_retry_at_ms(err)));
  json_set(found, "host", json_text(forebay_error_host_text(err, NULL)));
  forebay_error_free(err);
  return found;
}

json *done(forebay_status status, forebay_error *err) {
  return status < 0 ? of_error(status, err) : json_object();
}

forebay_slice slice_of(const json *text) {
  return text == NULL ? forebay_str(NULL) : forebay_mem(text->text, text->count);
}

forebay_commit commit_of(json *fields) {
  forebay_commit commit = FOREBAY_COMMIT_INIT;
  json *given_commit = field(fields, "commit");
  if (given_commit == NULL) return commit;
  json *inner = json_copy(given_commit);
  commit.validator = slice_of(field(inner, "validator"));
  commit.ttl_ms = number_of(inner, "ttl_ms", -1);
  commit.max_stale_ms = number_of(inner, "max_stale_ms", -1);
  finish(inner);
  return commit;
}

forebay_failure failure_of(json *fields) {
  forebay_failure failure = FOREBAY_FAILURE_INIT;
  json *code = need(fields, "code");
  failure.code = forebay_code_from_text(slice_of(code));
  if (failure.code == 0) failed("%s is no code", json_show(code));
  failure.message = slice_of(need(fields, "message"));
  failure.retry_after_ms = number_of(fields, "retry_after_ms", -1);
  return failure;
}
