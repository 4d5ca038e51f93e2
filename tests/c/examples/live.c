/* Derived results by callback: a count of lines that holds while the files are as they were, and what is known of it. */
#include <forebay.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME "forebay-example-notes"
static char path[600];

static void count_lines(void *userdata, forebay_compute *compute) {
  int *runs = userdata;
  char text[32];
  int lines = 0;
  FILE *file = fopen(path, "r"); /* the file has been looked at before, and is looked at again after */
  for (int c; file != NULL && (c = getc(file)) != EOF;) lines += c == '\n';
  if (file != NULL) fclose(file);
  ++*runs;
  forebay_compute_computed(compute, text, (size_t)snprintf(text, sizeof text, "%d", lines), NULL);
}

static int write_notes(const char *text) {
  FILE *file = fopen(path, "w");
  return file != NULL && fputs(text, file) >= 0 && fclose(file) == 0 ? 0 : 1;
}

static void describe_input(forebay_live_input input) {
  forebay_text *text;
  if (forebay_live_input_text(&text, &input, NULL) < 0) return; /* there is none */
  printf("  from %s\n", forebay_text_data(text));
  forebay_text_free(text);
}

static void describe(const forebay_derived *derived) {
  const forebay_error *error = forebay_derived_error(derived);
  printf("%.*s lines (%s), kind %s, computed at %lld, hash %.8s, key %.8s\n", (int)forebay_derived_size(derived),
         (const char *)forebay_derived_data(derived), forebay_how_text(forebay_derived_how(derived)), forebay_derived_kind(derived, NULL),
         (long long)forebay_derived_computed_at_ms(derived), forebay_derived_hash(derived, NULL), forebay_derived_key(derived, NULL));
  for (size_t at = 0; at < forebay_derived_input_count(derived); at++) describe_input(forebay_derived_input(derived, at));
  for (size_t at = 0; at < forebay_derived_upstream_count(derived); at++) printf("  on %s\n", forebay_derived_upstream(derived, at));
  if (error != NULL) printf("  not stored: %s\n", forebay_error_text(error, NULL));
}

static void list(const forebay_live *live) {
  forebay_live_listing *listing;
  forebay_live_kinds *kinds;
  uint64_t count, bytes;
  if (forebay_live_list(&listing, live, NULL) < 0 || forebay_live_known_kinds(&kinds, live, NULL) < 0) return;
  for (size_t at = 0; at < forebay_live_listing_count(listing); at++) {
    printf("%.8s %s: %llu bytes, computed %lld, used %lld\n", forebay_live_listing_key(listing, at, NULL),
           forebay_live_listing_kind(listing, at, NULL), (unsigned long long)forebay_live_listing_size(listing, at),
           (long long)forebay_live_listing_computed_at_ms(listing, at), (long long)forebay_live_listing_used_at_ms(listing, at));
    for (size_t of = 0; of < forebay_live_listing_input_count(listing, at); of++) {
      describe_input(forebay_live_listing_input(listing, at, of));
    }
    for (size_t of = 0; of < forebay_live_listing_upstream_count(listing, at); of++) {
      printf("  on %s\n", forebay_live_listing_upstream(listing, at, of));
    }
  }
  for (size_t at = 0; at < forebay_live_kinds_count(kinds); at++) {
    printf("%s: %llu\n", forebay_live_kinds_name(kinds, at, NULL), (unsigned long long)forebay_live_kinds_entries(kinds, at));
  }
  forebay_live_kinds_free(kinds);
  forebay_live_listing_free(listing);
  if (forebay_live_entry_count(&count, live, NULL) < 0 || forebay_live_total_bytes(&bytes, live, NULL) < 0) return;
  printf("%llu results of %llu bytes\n", (unsigned long long)count, (unsigned long long)bytes);
}

static void explain(const forebay_live *live, const char *key) {
  forebay_live_explanation *why;
  if (forebay_live_why(&why, live, forebay_str(key), NULL) < 0) return;
  const char *upstream = forebay_live_explanation_upstream(why, NULL);
  printf("it %s: %s\n", forebay_live_explanation_holds(why) ? "holds" : "does not hold", forebay_live_explanation_text(why, NULL));
  describe_input(forebay_live_explanation_input(why));
  if (upstream != NULL) printf("  on %s\n", upstream);
  forebay_live_explanation_free(why);
}

/* A result that is built on another one, kept as it is. */
static int keep_upper(const forebay_live *live, const char *below) {
  char key[FOREBAY_LIVE_KEY_SIZE];
  forebay_slice upstreams[1];
  forebay_derived *kept;
  forebay_live_spec spec = FOREBAY_LIVE_SPEC_INIT;
  if (forebay_live_key(key, sizeof key, "summary", 7, NULL) < 0) return 1;
  upstreams[0] = forebay_str(below);
  spec.key = forebay_str(key);
  spec.upstreams = upstreams;
  spec.upstream_count = 1;
  spec.kind = forebay_str("summary");
  if (forebay_live_persist(&kept, live, &spec, "short", 5, NULL) < 0) return 1;
  forebay_derived *same = forebay_derived_retain(kept);
  describe(same);
  forebay_derived_free(same);
  forebay_derived_free(kept);
  return 0;
}

/* What a program that knows of a change says, and what it may remove. */
static int tell_changes(forebay_live *live, const char *key) {
  uint64_t removed, results, files;
  if (forebay_live_invalidate_upstream(&removed, live, forebay_str(key), NULL) < 0 || removed != 1) return 1; /* the summary */
  if (forebay_live_invalidate_tag(&removed, live, forebay_str("schema"), NULL) < 0 || removed != 0) return 1;
  if (forebay_live_invalidate_path(&removed, live, forebay_str(NAME), NULL) < 0 || removed != 1) return 1;
  if (forebay_live_mark_dirty(live, forebay_str(key), NULL) != FOREBAY_ABSENT) return 1; /* it is gone by now */
  if (forebay_live_evict_to_cap(&removed, live, 1000 * 1000, NULL) < 0 || removed != 0) return 1;
  return forebay_live_gc(&results, &files, live, NULL) < 0;
}

int main(void) {
  int runs = 0;
  char key[FOREBAY_LIVE_KEY_SIZE];
  forebay_cache *cache;
  forebay_live *live;
  forebay_derived *derived;
  forebay_error *err = NULL;
  forebay_live_options options = FOREBAY_LIVE_OPTIONS_INIT;
  forebay_computer counter = {sizeof counter, &runs, count_lines, NULL};
  forebay_live_spec spec = FOREBAY_LIVE_SPEC_INIT;
  forebay_live_input inputs[1];
  inputs[0] = forebay_input(NAME);
  spec.inputs = inputs;
  spec.input_count = 1;
  spec.kind = forebay_str("lines");
  const char *folder = getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp";
  snprintf(path, sizeof path, "%.500s/%s", folder, NAME);
  options.workspace = forebay_str(folder);
  options.size_cap = 100 * 1000 * 1000;
  if (write_notes("one\n") != 0 || forebay_open(&cache, NULL, NULL) < 0 || forebay_live_open(&live, cache, &options, NULL) < 0) return 1;
  if (forebay_live_key(key, sizeof key, "lines of notes, v1", 18, NULL) < 0) return 1;
  spec.key = forebay_str(key);
  for (int round = 0; round < 2; round++) { /* the second finds it */
    if (forebay_live_get(&derived, live, &spec, &counter, &err) < 0) {
      fprintf(stderr, "%s\n", forebay_error_text(err, NULL));
      forebay_error_free(err);
      return 1;
    }
    describe(derived);
    forebay_derived_free(derived);
  }
  if (keep_upper(live, key) != 0) return 1;
  list(live);
  explain(live, key);
  if (runs != 1 || tell_changes(live, key) != 0) return 1;

  /* A look only: by what is recorded, and by the files themselves. */
  if (forebay_live_get(&derived, live, &spec, &counter, NULL) < 0 || runs != 2) return 1;
  forebay_derived_free(derived);
  if (write_notes("one\ntwo\n") != 0 || forebay_live_lookup(&derived, live, spec.key, NULL) != FOREBAY_OK) return 1;
  forebay_derived_free(derived);
  explain(live, key);
  if (forebay_live_lookup_revalidate(&derived, live, spec.key, NULL) != FOREBAY_INVALIDATED) return 1;
  if (forebay_live_lookup_revalidate(&derived, live, spec.key, NULL) != FOREBAY_ABSENT) return 1;
  forebay_live_free(live);
  forebay_cache_free(cache);
  return remove(path) == 0 ? 0 : 1;
}
