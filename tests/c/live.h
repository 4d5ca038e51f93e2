/*
 * What the tests of derived results share: a host that computes, a workspace in the stage, keys by short names, and looks.
 */
#ifndef LIVE_H
#define LIVE_H

#include "check.h"
#include <stdio.h>
#include <string.h>

static forebay_error *err = NULL;

/* A host that computes: what it brings, and how often it was asked. */
typedef struct host {
  const char *brings;  /* NULL: it fails with `failing`, or says nothing */
  const char *failing;
  const char *meanwhile; /* with a name: that file is written anew while it works */
  int ran, dropped;
} host;

static inline void path_in(char path[700], const char *name) { snprintf(path, 700, "%.500s/%s", stage_dir, name); }

static inline void write_file(const char *name, const char *text) {
  char path[700];
  path_in(path, name);
  FILE *file = fopen(path, "w");
  CHECK(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

static inline void compute(void *userdata, forebay_compute *compute) {
  host *h = userdata;
  h->ran++;
  if (h->meanwhile != NULL) write_file(h->meanwhile, "changed while it was read");
  if (h->brings != NULL) {
    STATUS(FOREBAY_OK, forebay_compute_computed(compute, h->brings, strlen(h->brings), &err));
    STATUS(FOREBAY_E_ALREADY_USED, forebay_compute_computed(compute, "", 0, &err));
    STATUS(FOREBAY_E_ALREADY_USED, forebay_compute_failed(compute, NULL, &err));
  } else if (h->failing != NULL) {
    forebay_failure failure = FOREBAY_FAILURE_INIT;
    failure.code = FOREBAY_E_UNAVAILABLE;
    failure.message = forebay_str(h->failing);
    STATUS(FOREBAY_OK, forebay_compute_failed(compute, &failure, &err));
  }
}

static inline void dropped(void *userdata) { ((host *)userdata)->dropped++; }

static inline forebay_live *live_open(forebay_cache *cache) {
  forebay_live_options options = FOREBAY_LIVE_OPTIONS_INIT;
  forebay_live *live;
  options.workspace = forebay_str(stage_dir);
  STATUS(FOREBAY_OK, forebay_live_open(&live, cache, &options, &err));
  return live;
}

/* The key of a short name; a few at a time. */
static inline forebay_slice key_of(const char *name) {
  static char keys[8][FOREBAY_LIVE_KEY_SIZE];
  static int next;
  char *key = keys[next++ % 8];
  STATUS(FOREBAY_OK, forebay_live_key(key, FOREBAY_LIVE_KEY_SIZE, name, strlen(name), &err));
  return forebay_str(key);
}

static inline forebay_live_spec spec_of(const char *name, const forebay_live_input *inputs, size_t count) {
  forebay_live_spec spec = FOREBAY_LIVE_SPEC_INIT;
  spec.key = key_of(name);
  spec.inputs = inputs;
  spec.input_count = count;
  spec.kind = forebay_str("test");
  return spec;
}

static inline forebay_derived *get(forebay_status expected, forebay_live *live, const forebay_live_spec *spec, host *h) {
  forebay_computer computer = {sizeof computer, h, compute, dropped};
  forebay_derived *derived;
  int before = h->dropped;
  STATUS(expected, forebay_live_get(&derived, live, spec, &computer, &err));
  CHECK(h->dropped == before + 1 && (derived != NULL) == (expected >= 0));
  return derived;
}

/* The result is that text, and came about so. */
static inline void expect(forebay_derived *derived, const char *text, forebay_how how) {
  CHECK(forebay_derived_size(derived) == strlen(text) && forebay_derived_data(derived) != NULL);
  CHECK(memcmp(forebay_derived_data(derived), text, strlen(text)) == 0);
  TEXT(forebay_how_text(how), forebay_how_text(forebay_derived_how(derived)));
  CHECK((forebay_derived_error(derived) != NULL) == (how == FOREBAY_HOW_UNCOORDINATED));
  forebay_derived_free(derived);
}

static inline forebay_status look(forebay_live *live, const char *name) {
  forebay_derived *derived;
  forebay_status status = forebay_live_lookup(&derived, live, key_of(name), &err);
  CHECK(err == NULL && (derived != NULL) == (status == FOREBAY_OK));
  forebay_derived_free(derived);
  return status;
}

static inline forebay_status check(forebay_live *live, const char *name) {
  forebay_derived *derived;
  forebay_status status = forebay_live_lookup_revalidate(&derived, live, key_of(name), &err);
  CHECK(err == NULL && (derived != NULL) == (status == FOREBAY_OK));
  forebay_derived_free(derived);
  return status;
}

/* Keeps a result of that name on one input and one upstream; NULL is none. */
static inline void keep(forebay_live *live, const char *name, const char *input, const char *upstream) {
  forebay_live_input inputs[] = {forebay_input(input)};
  forebay_live_spec spec = spec_of(name, inputs, input != NULL);
  forebay_slice upstreams[] = {key_of(upstream != NULL ? upstream : "")};
  spec.upstreams = upstreams;
  spec.upstream_count = upstream != NULL;
  STATUS(FOREBAY_OK, forebay_live_persist(NULL, live, &spec, name, strlen(name), &err));
}

/* A computation by steps. */
static inline forebay_compute *begin(forebay_live *live, const forebay_live_spec *spec) {
  forebay_compute *way;
  STATUS(FOREBAY_OK, forebay_compute_begin(&way, live, spec, &err));
  return way;
}

/* The next step has to be that one. */
static inline void step(forebay_compute *way, forebay_step wanted) {
  int32_t found = -1;
  forebay_derived *derived;
  STATUS(wanted == FOREBAY_STEP_WAIT ? FOREBAY_IN_FLIGHT : FOREBAY_OK, forebay_compute_next(&found, &derived, way, &err));
  CHECK(found == (int32_t)wanted && derived == NULL);
}

/* It is done, with that text, which came about so. */
static inline void done(forebay_compute *way, const char *text, forebay_how how) {
  int32_t found = -1;
  forebay_derived *derived;
  STATUS(FOREBAY_OK, forebay_compute_next(&found, &derived, way, &err));
  CHECK(found == FOREBAY_STEP_DONE);
  expect(derived, text, how);
  STATUS(FOREBAY_E_ALREADY_USED, forebay_compute_next(&found, &derived, way, &err));
  forebay_compute_free(way);
}

static inline void tell(forebay_compute *way, const char *text) {
  STATUS(FOREBAY_OK, forebay_compute_computed(way, text, strlen(text), &err));
}

#endif
