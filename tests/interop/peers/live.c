/* What the C peer does with derived results. */
#define _POSIX_C_SOURCE 200809L
#include "peer.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST 8

static char *workspace;
static forebay_live *live;

void open_live(const char *root) {
  const char *end = strrchr(root, '/');
  workspace = malloc(strlen(root) + sizeof "work");
  if (end == NULL || workspace == NULL) abort();
  sprintf(workspace, "%.*swork", (int)(end + 1 - root), root);
}

void close_live(void) {
  forebay_live_free(live);
  free(workspace);
}

static forebay_slice slice(struct bytes bytes) { return forebay_mem(bytes.data, bytes.size); }

/* "file:notes", or null where there is none. */
static void print_input(forebay_live_input input) {
  forebay_text *shown = NULL;
  if (input.kind >= 0 && forebay_live_input_text(&shown, &input, NULL) < 0) abort();
  print_text(forebay_text_data(shown), forebay_text_size(shown));
  forebay_text_free(shown);
}

/* All of it but the brace before it. */
static void print_derived(const forebay_derived *derived) {
  size_t size = 0;
  const forebay_error *error = forebay_derived_error(derived);
  const char *kind = forebay_derived_kind(derived, &size);
  print_field("kind", kind, size);
  print_word("how", forebay_how_text(forebay_derived_how(derived)));
  print_word("error", error ? forebay_code_text(forebay_error_code(error)) : NULL);
  print_hex("hex", forebay_derived_data(derived), forebay_derived_size(derived));
  printf(", \"inputs\": [");
  for (size_t i = 0; i < forebay_derived_input_count(derived); i++) {
    printf(i ? ", " : "");
    print_input(forebay_derived_input(derived, i));
  }
  printf("], \"upstreams\": [");
  for (size_t i = 0; i < forebay_derived_upstream_count(derived); i++) {
    printf("%s\"%s\"", i ? ", " : "", forebay_derived_upstream(derived, i));
  }
  printf("]}");
}

static void key_of(const char *line, forebay_error **err) {
  char key[FOREBAY_LIVE_KEY_SIZE];
  struct bytes of = text(line, "text");
  if (forebay_live_key(key, sizeof key, of.data, of.size, err) >= 0) printf("{\"key\": \"%s\"}", key);
  free(of.data);
}

/* Computes the bytes of the request. */
static void compute(void *userdata, forebay_compute *held) {
  struct bytes data = unhexed(userdata);
  forebay_compute_computed(held, data.data, data.size, NULL);
  free(data.data);
}

static void get(const char *line, forebay_slice key, forebay_error **err) {
  struct bytes names[MOST], above[MOST], kind = text(line, "kind");
  forebay_live_input inputs[MOST];
  forebay_slice upstreams[MOST];
  forebay_live_spec spec = FOREBAY_LIVE_SPEC_INIT;
  spec.key = key;
  spec.kind = slice(kind);
  spec.inputs = inputs;
  spec.input_count = texts(line, "inputs", names, MOST);
  spec.upstreams = upstreams;
  spec.upstream_count = texts(line, "upstreams", above, MOST);
  for (size_t i = 0; i < spec.input_count; i++) {
    inputs[i] = (forebay_live_input){FOREBAY_INPUT_TEXT, 0, slice(names[i])};
  }
  for (size_t i = 0; i < spec.upstream_count; i++) upstreams[i] = slice(above[i]);
  forebay_computer computer = {sizeof computer, (void *)line, compute, NULL};
  forebay_derived *derived = NULL;
  if (forebay_live_get(&derived, live, &spec, &computer, err) >= 0) {
    printf("{");
    print_derived(derived);
    forebay_derived_free(derived);
  }
  for (size_t i = 0; i < spec.input_count; i++) free(names[i].data);
  for (size_t i = 0; i < spec.upstream_count; i++) free(above[i].data);
  free(kind.data);
}

static void look(const char *line, forebay_slice key, forebay_error **err) {
  forebay_derived *derived = NULL;
  const char *revalidate = field(line, "revalidate");
  forebay_status status = revalidate != NULL && *revalidate == 't'
                              ? forebay_live_lookup_revalidate(&derived, live, key, err)
                              : forebay_live_lookup(&derived, live, key, err);
  if (status < 0) return;
  if (status == FOREBAY_OK) {
    printf("{\"outcome\": \"hit\", ");
    print_derived(derived);
  } else {
    printf("{\"outcome\": \"%s\"}", status == FOREBAY_INVALIDATED ? "invalidated" : "miss");
  }
  forebay_derived_free(derived);
}

static void why(forebay_slice key, forebay_error **err) {
  forebay_live_explanation *found = NULL;
  if (forebay_live_why(&found, live, key, err) < 0) return;
  size_t size = 0;
  const char *upstream = forebay_live_explanation_upstream(found, &size);
  printf("{");
  print_field("upstream", upstream, size);
  printf("\"holds\": %s, \"input\": ", forebay_live_explanation_holds(found) ? "true" : "false");
  print_input(forebay_live_explanation_input(found));
  printf("}");
  forebay_live_explanation_free(found);
}

static void tag(const char *line, forebay_error **err) {
  struct bytes name = text(line, "name");
  uint64_t removed = 0;
  if (forebay_live_invalidate_tag(&removed, live, slice(name), err) >= 0) printf("{\"removed\": %" PRIu64 "}", removed);
  free(name.data);
}

void call_live(const char *line, const char *op, const forebay_cache *cache) {
  forebay_error *err = NULL;
  forebay_live_options options = FOREBAY_LIVE_OPTIONS_INIT;
  options.workspace = forebay_str(workspace);
  struct bytes name = text(line, "key");
  forebay_slice key = slice(name);
  if (live != NULL || forebay_live_open(&live, cache, &options, &err) >= 0) {
    if (strcmp(op, "live_key") == 0) key_of(line, &err);
    else if (strcmp(op, "live_get") == 0) get(line, key, &err);
    else if (strcmp(op, "live_lookup") == 0) look(line, key, &err);
    else if (strcmp(op, "live_why") == 0) why(key, &err);
    else if (strcmp(op, "live_tag") == 0) tag(line, &err);
    else printf("{\"error\": \"invalid\", \"message\": \"no such op\"}");
  }
  if (err != NULL) fail(err);
  free(name.data);
}
