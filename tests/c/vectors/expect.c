/* Whether what a step found is what its scenario expects. */
#include "expect.h"
#include <stdlib.h>
#include <string.h>

static bool any_of(const json *want, const json *have) {
  if (want->kind != JSON_LIST) return json_equal(want, have);
  for (size_t at = 0; at < want->count; at++) {
    if (json_equal(want->items[at], have)) return true;
  }
  return false;
}

static bool in_range(const json *want, const json *have) {
  bool range = want->kind == JSON_LIST && want->count == 2 && want->items[0]->kind == JSON_NUMBER;
  if (!range || have->kind != JSON_NUMBER) return json_equal(want, have);
  return want->items[0]->number <= have->number && have->number <= want->items[1]->number;
}

/* Whether `have` has what `want` has, objects within likewise. */
static bool subset(const json *want, const json *have) {
  if (want->kind != JSON_OBJECT || have->kind != JSON_OBJECT) return json_equal(want, have);
  for (size_t at = 0; at < want->count; at++) {
    const json *found = json_get(have, want->names[at]);
    if (found == NULL || !subset(want->items[at], found)) return false;
  }
  return true;
}

static bool same_members(const json *want, const json *have) {
  if (want->count != have->count) return false;
  for (size_t at = 0; at < want->count; at++) {
    if (!any_of(have, want->items[at]) || !any_of(want, have->items[at])) return false;
  }
  return true;
}

static bool has_none(const json *names, const json *have) {
  for (size_t at = 0; at < names->count; at++) {
    if (json_get(have, names->items[at]->text) != NULL) return false;
  }
  return true;
}

static void listed(const json *want, const json *have) {
  if (want->count != have->count) failed("expected %zu listed, found %s", want->count, json_show(have));
  for (size_t at = 0; at < want->count; at++) {
    json *one = json_copy(want->items[at]), *key = need(one, "key"), *match = NULL;
    for (size_t other = 0; other < have->count; other++) {
      if (json_equal(json_get(have->items[other], "key"), key)) match = have->items[other];
    }
    if (match == NULL) failed("%s is not among %s", json_show(key), json_show(have));
    compare("list", one, match);
  }
}

static bool named(const char *name, const char *words) {
  const char *at = strstr(words, format(" %s ", name));
  return at != NULL;
}

static bool holds(const char *name, const json *want, const json *have) {
  if (named(name, " data previous credential ")) return json_equal(want->kind == JSON_NULL ? want : bytes_of(want), have);
  if (named(name, " says ")) return have->kind == JSON_TEXT && strstr(have->text, want->text) != NULL;
  if (named(name, " silent ")) return have->kind != JSON_TEXT || strstr(have->text, want->text) == NULL;
  if (named(name, " how outcome fails state ")) return any_of(want, have);
  if (named(name, " removed_keys skipped_keys keys ")) return same_members(want, have);
  if (named(name, " json ")) return subset(want, have);
  if (named(name, " lacks ")) return has_none(want, have);
  return in_range(want, have);
}

/* The name among what was found that an expectation is about. */
static const char *shown_by(const char *name) {
  if (strcmp(name, "lacks") == 0) return "json";
  return strcmp(name, "silent") == 0 ? "says" : name;
}

static void matches(const char *name, const json *want, const json *found) {
  if (named(name, " same_version other_version ")) {
    const json *version = json_get(found, "version");
    bool same = version != NULL && json_is(version, thing_get(A_VERSION, want->text));
    if (version == NULL || same != (name[0] == 's')) failed("expected %s %s, found %s", name, want->text, json_show(found));
    return;
  }
  const json *have = json_get(found, shown_by(name));
  if (have == NULL && strcmp(name, "silent") == 0) return; /* nothing is said at all */
  if (have != NULL && strcmp(name, "list") == 0) {
    listed(want, have);
  } else if (have == NULL || !holds(name, want, have)) {
    failed("expected %s %s, found %s", name, json_show(want), json_show(found));
  }
}

void compare(const char *op, const json *expect, const json *found) {
  json *ticket = json_text("ticket");
  bool fails = json_get(found, "fails") != NULL;
  if (fails && json_get(expect, "fails") == NULL) failed("it failed: %s", json_show(found));
  if (strcmp(op, "acquire") == 0 && json_get(expect, "outcome") == NULL && !fails) matches("outcome", ticket, found);
  for (size_t at = 0; at < expect->count; at++) matches(expect->names[at], expect->items[at], found);
}
