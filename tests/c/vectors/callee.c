/* See callee.h: how a function is written in a scenario, and what it does before it ends. */
#include "callee.h"
#include "expect.h"
#include <stdlib.h>
#include <string.h>

static void fails_as(callee *c, json *written) {
  json *inner = json_copy(written);
  c->ending = FAILS;
  c->failure = failure_of(inner);
  if (strcmp(c->name, "exchange") == 0) c->failure.not_sent = flag_of(inner, "not_sent");
  finish(inner);
}

static void responds_with(callee *c, json *status, const json *retry_after) {
  c->ending = RESPONDS;
  c->response.status = (int32_t)status->number;
  c->response.retry_after = slice_of(retry_after);
}

/* How it ends: exactly one way. */
static void ends_as(callee *c, json *fields) {
  bool fetches = strcmp(c->name, "fetch") == 0, tells_more = fetches || strcmp(c->name, "fn") == 0;
  json *fails = field(fields, "fails"), *data = field(fields, "returns");
  json *status = fetches ? field(fields, "status") : NULL, *after = fetches ? field(fields, "retry_after") : NULL;
  bool unchanged = tells_more && flag_of(fields, "unchanged");
  if (tells_more) c->commit = commit_of(fields);
  c->throws = text_of(fields, "throws");
  if ((fails != NULL) + (c->throws != NULL) + (data != NULL) + (status != NULL) + unchanged != 1) {
    failed("\"%s\" has to say one of returns, unchanged, fails, throws, status", c->name);
  }
  if (fails != NULL) fails_as(c, fails);
  if (status != NULL) responds_with(c, status, after);
  if (unchanged) c->ending = UNCHANGED;
  if (c->throws != NULL) c->ending = FAILS, c->failure.message = forebay_str(c->throws);
  if (data == NULL) return;
  bool nothing = data->kind == JSON_NULL && strcmp(c->name, "fallback") == 0;
  c->ending = nothing ? NOTHING : RETURNS;
  if (!nothing) c->data = bytes_of(data);
}

callee *callee_of(const char *name, const json *written, const char *place) {
  if (written == NULL) return NULL;
  callee *c = calloc(1, sizeof *c);
  json *fields = json_copy(written);
  if (c == NULL) failed("no memory");
  c->name = name;
  c->place = format("%s", place);
  c->commit = (forebay_commit)FOREBAY_COMMIT_INIT;
  c->failure = (forebay_failure)FOREBAY_FAILURE_INIT;
  c->response = (forebay_response)FOREBAY_RESPONSE_INIT;
  c->during = field(fields, "during");
  c->hold = text_of(fields, "hold");
  ends_as(c, fields);
  finish(fields);
  return c;
}

void callee_enter(callee *c) {
  if (atomic_fetch_add(&c->calls, 1) > 0) failed("\"%s\" was called again", c->name);
  if (c->during != NULL) run_steps(c->during, format("%s.during.", c->place));
  stage_at(c->place);
  if (c->hold != NULL) hold_enter(c->hold);
}

bool callee_ran(const callee *c) { return atomic_load(&c->calls) > 0; }

void callee_own_words(const callee *c, const json *found) {
  if (c->throws == NULL || !callee_ran(c) || json_get(found, "fails") == NULL) return;
  if (!json_is(json_get(found, "host"), c->throws)) failed("the host's own text is not \"%s\" in %s", c->throws, json_show(found));
}
