/*
 * A second copy of the library in one process: what is in files works from both, the index of derived results belongs to the
 * first that opens it, and the other is told so. $FOREBAY_OTHER_COPY is the path of a copy of libforebay.so.
 */
#define _GNU_SOURCE
#include "live.h"
#include <dlfcn.h>
#include <stdlib.h>

/* The functions of the other copy that this needs. */
typedef struct copy {
  forebay_status (*open)(forebay_cache **, const forebay_cache_options *, forebay_error **);
  forebay_status (*live_open)(forebay_live **, const forebay_cache *, const forebay_live_options *, forebay_error **);
  forebay_status (*persist)(forebay_derived **, const forebay_live *, const forebay_live_spec *, const void *, size_t, forebay_error **);
  forebay_status (*read)(forebay_value **, const forebay_cache *, const forebay_source_options *, forebay_error **);
  void (*live_free)(forebay_live *);
  void (*free)(forebay_cache *);
  void (*value_free)(forebay_value *);
} copy;

static void *find(void *library, const char *name) {
  void *symbol = dlsym(library, name);
  CHECK(symbol != NULL && symbol != dlsym(RTLD_DEFAULT, name));
  return symbol;
}

static copy load(void) {
  const char *path = getenv("FOREBAY_OTHER_COPY");
  CHECK(path != NULL);
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  CHECK(library != NULL);
  copy c;
  *(void **)&c.open = find(library, "forebay_open");
  *(void **)&c.live_open = find(library, "forebay_live_open");
  *(void **)&c.persist = find(library, "forebay_live_persist");
  *(void **)&c.read = find(library, "forebay_read");
  *(void **)&c.live_free = find(library, "forebay_live_free");
  *(void **)&c.free = find(library, "forebay_cache_free");
  *(void **)&c.value_free = find(library, "forebay_value_free");
  return c;
}

/* Keeps a result with the other copy, on that root. */
static forebay_status keep_there(const copy *c, const char *root) {
  forebay_cache_options options = FOREBAY_CACHE_OPTIONS_INIT;
  forebay_source_options source = stage_source("api/models");
  forebay_live_spec spec = spec_of("x", NULL, 0);
  forebay_cache *cache;
  forebay_live *live;
  forebay_value *value;
  options.root = forebay_str(root);
  options.test_clock = forebay_str(stage_clock);
  CHECK(c->open(&cache, &options, NULL) == FOREBAY_OK);
  if (strcmp(root, stage_root) == 0) {
    CHECK(c->read(&value, cache, &source, NULL) == FOREBAY_OK && value_is(value, "y"));
    c->value_free(value);
  }
  forebay_status status = c->live_open(&live, cache, NULL, &err);
  if (status == FOREBAY_OK) {
    status = c->persist(NULL, live, &spec, "there", 5, &err);
    c->live_free(live);
  }
  c->free(cache);
  return status;
}

static void the_index_belongs_to_one_copy(void) {
  copy c = load();
  forebay_cache *cache = stage_open();
  forebay_live *live = live_open(cache);
  char other[700];
  stage_put(cache, "api/models", "y");
  keep(live, "x", NULL, NULL);
  CHECK(keep_there(&c, stage_root) == FOREBAY_E_UNSUPPORTED && err != NULL);
  CHECK(strstr(forebay_error_text(err, NULL), "another copy of forebay in this process") != NULL);
  CHECK(forebay_error_hint(err, NULL) != NULL && forebay_error_path(err, NULL) != NULL);
  forebay_error_free(err); /* errors of both are the same */
  err = NULL;
  CHECK(check(live, "x") == FOREBAY_OK);
  path_in(other, "another-root");
  CHECK(keep_there(&c, other) == FOREBAY_OK);
  forebay_live_free(live);
  forebay_cache_free(cache);
}

static const test tests[] = {TEST(the_index_belongs_to_one_copy)};
CHECK_MAIN(tests)
