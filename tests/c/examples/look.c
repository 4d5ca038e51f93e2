/* Putting, reading, listing, explaining and pruning, without any refresher. */
#include <forebay.h>
#include <stdio.h>

static void show(const forebay_value *value) {
  printf("%.*s, %s, version %s, phase %s\n", (int)forebay_value_size(value), (const char *)forebay_value_data(value),
         forebay_state_text(forebay_value_state(value)), forebay_value_version(value, NULL),
         forebay_value_phase(value) == -1 ? "not looked at" : forebay_phase_text(forebay_value_phase(value)));
  if (forebay_value_validator(value, NULL) != NULL) printf("validator %s\n", forebay_value_validator(value, NULL));
  if (forebay_value_extra(value, NULL) != NULL) printf("extra %s\n", forebay_value_extra(value, NULL));
  if (forebay_value_error(value) != NULL) printf("%s\n", forebay_error_text(forebay_value_error(value), NULL));
  printf("fresh until %lld\n", (long long)forebay_value_fresh_until_ms(value));
}

static void show_list(const forebay_cache *cache) {
  forebay_listing *list;
  if (forebay_list(&list, cache, NULL) < 0) return;
  for (size_t at = 0; at < forebay_listing_count(list); at++) {
    printf("%s (%s of %s) %s %s, %llu bytes, %lld ms old, stored at %lld, retry at %lld, %s %s %s %s\n",
           forebay_listing_key(list, at, NULL), forebay_listing_name(list, at, NULL), forebay_listing_tier(list, at, NULL),
           forebay_state_text(forebay_listing_state(list, at)), forebay_phase_text(forebay_listing_phase(list, at)),
           (unsigned long long)forebay_listing_size(list, at), (long long)forebay_listing_age_ms(list, at),
           (long long)forebay_listing_stored_at_ms(list, at), (long long)forebay_listing_retry_at_ms(list, at),
           forebay_listing_validator(list, at, NULL) != NULL ? "with a validator" : "without a validator",
           forebay_listing_extra(list, at, NULL) != NULL ? "with text" : "without text",
           forebay_listing_version(list, at, NULL), forebay_listing_error(list, at) != NULL ? "damaged" : "sound");
  }
  forebay_listing_free(list);
}

static void show_refresh(const forebay_cache *cache, const forebay_source_options *src) {
  forebay_refresh_info *info;
  if (forebay_refresh_state(&info, cache, src, NULL) < 0) return;
  printf("%s, in flight %d, failed %d after %u attempts, %s, holder %lld, from %lld to %lld, retry at %lld\n",
         forebay_phase_text(forebay_refresh_info_phase(info)), (int)forebay_refresh_info_in_flight(info),
         (int)forebay_refresh_info_failed(info), (unsigned)forebay_refresh_info_attempts(info),
         forebay_refresh_info_declared(info) ? "declared" : "guessed", (long long)forebay_refresh_info_holder(info),
         (long long)forebay_refresh_info_started_at_ms(info), (long long)forebay_refresh_info_deadline_ms(info),
         (long long)forebay_refresh_info_retry_at_ms(info));
  const forebay_error *last = forebay_refresh_info_last_error(info);
  if (last != NULL) printf("%s\n", forebay_error_text(last, NULL));
  forebay_refresh_info_free(info);
}

static void show_why(const forebay_cache *cache, const forebay_source_options *src) {
  forebay_explanation *why;
  if (forebay_why(&why, cache, src, NULL) < 0) return;
  printf("%s\nCache-Status: %s\n%s, %s\n", forebay_explanation_text(why, NULL), forebay_explanation_cache_status(why, NULL),
         forebay_state_text(forebay_explanation_state(why)), forebay_phase_text(forebay_explanation_phase(why)));
  forebay_explanation_free(why);
}

static void keep_only(const forebay_cache *cache, const forebay_source_options *src) {
  const forebay_source_options *keep[] = {src};
  forebay_pruned *pruned;
  if (forebay_prune(&pruned, cache, keep, 1, NULL) < 0) return;
  for (size_t at = 0; at < forebay_pruned_removed_count(pruned); at++) printf("removed %s\n", forebay_pruned_removed_key(pruned, at, NULL));
  for (size_t at = 0; at < forebay_pruned_skipped_count(pruned); at++) {
    printf("left %s: %s\n", forebay_pruned_skipped_key(pruned, at, NULL), forebay_pruned_skipped_reason(pruned, at, NULL));
  }
  printf("and swept %zu other files\n", forebay_pruned_swept(pruned));
  forebay_pruned_free(pruned);
}

int main(void) {
  forebay_cache *cache;
  forebay_value *value, *same;
  if (forebay_open(&cache, NULL, NULL) < 0) return 1;
  forebay_source_options src = FOREBAY_SOURCE_OPTIONS_INIT, other = FOREBAY_SOURCE_OPTIONS_INIT;
  src.key = forebay_str("settings/theme");
  src.ttl_ms = 60 * 1000;
  other.tier = forebay_str("settings"), other.key = forebay_str("font/size"); /* a name with a / */
  forebay_commit commit = FOREBAY_COMMIT_INIT;
  commit.extra = forebay_str("set by hand");
  if (forebay_put(NULL, cache, &src, "dark", 4, &commit, NULL) < 0) return 1;
  if (forebay_put(NULL, cache, &other, "12", 2, NULL, NULL) < 0) return 1;
  if (forebay_read(&value, cache, &src, NULL) != FOREBAY_OK) return 1;
  same = forebay_value_retain(value); /* for another owner: each frees its own */
  forebay_value_free(value);
  show(same);
  forebay_value_free(same);
  show_list(cache);
  show_refresh(cache, &src);
  show_why(cache, &src);
  keep_only(cache, &src);
  printf("removed: %s\n", forebay_remove(cache, &src, NULL) == FOREBAY_OK ? "yes" : "there was nothing");
  forebay_cache *second = forebay_cache_retain(cache);
  forebay_cache_free(second);
  forebay_cache_free(cache);
  return 0;
}
