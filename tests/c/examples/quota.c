/* A quota: a usage endpoint that may be asked only now and then, by any number of processes. */
#include <forebay.h>
#include <stdio.h>

static void read_token(void *userdata, forebay_resolve *resolve) {
  const char *token = userdata; /* a real one reads a key ring, which may ask the user: so only where it is needed */
  if (token != NULL) {
    forebay_resolve_credentials(resolve, token, strlen(token), NULL);
    return;
  }
  forebay_failure failure = FOREBAY_FAILURE_INIT;
  failure.code = FOREBAY_E_NO_CREDENTIALS;
  failure.message = forebay_str("log in first");
  forebay_resolve_credentials_failed(resolve, &failure, NULL);
}

/* As if a server had answered: it knows the credential, the time that is left, and what was there before. */
static void fetch_usage(void *userdata, forebay_resolve *resolve) {
  (void)userdata;
  size_t size = 0;
  const char *credential = forebay_resolve_credential(resolve, &size);
  printf("asking with %zu bytes, within %lld ms, conditional on %zu headers\n", size,
         (long long)forebay_resolve_remaining_ms(resolve), forebay_resolve_header_count(resolve));
  forebay_response response = FOREBAY_RESPONSE_INIT;
  if (strcmp(credential, "good") == 0) {
    response.status = 200;
    response.body = forebay_str("{\"used\": 7, \"limit\": 100}");
    response.etag = forebay_str("\"1\"");
  } else {
    response.status = 429;
    response.retry_after = forebay_str("120");
  }
  forebay_resolve_respond(resolve, &response, NULL);
}

static void count_locally(void *userdata, forebay_resolve *resolve) {
  (void)userdata;
  forebay_resolve_fallback(resolve, "{\"used\": 5}", 11, NULL);
}

static int show(forebay_quota *quota, char *token) {
  forebay_quota_source source = {sizeof source, token, read_token, fetch_usage, count_locally, NULL};
  forebay_answer *answer;
  forebay_error *err = NULL;
  if (forebay_quota_resolve(&answer, quota, &source, &err) < 0) {
    fprintf(stderr, "%s\n", forebay_error_text(err, NULL));
    forebay_error_free(err);
    return 1;
  }
  printf("%s: %s, %s, %lld ms old, of %lld; ask again at %lld\n", forebay_answer_data(answer, NULL),
         forebay_how_text(forebay_answer_how(answer)), forebay_state_text(forebay_answer_state(answer)),
         (long long)forebay_answer_age_ms(answer), (long long)forebay_answer_cached_at_ms(answer),
         (long long)forebay_answer_retry_at_ms(answer));
  if (forebay_answer_error(answer) != NULL) printf("because: %s\n", forebay_error_text(forebay_answer_error(answer), NULL));
  forebay_answer_free(answer);
  return 0;
}

static int look(const forebay_cache *cache, const forebay_quota *quota) {
  forebay_quota_info *info;
  forebay_quota_listing *listing;
  if (forebay_quota_read(&info, quota, NULL) < 0) return 1;
  printf("%s: %s, %s, until %lld: %s %s (%s), %u failures, holder %lld, error record: %s\n", forebay_quota_key(quota, NULL),
         forebay_quota_info_answer(info) != NULL ? forebay_answer_data(forebay_quota_info_answer(info), NULL) : "no data",
         forebay_phase_text(forebay_quota_info_phase(info)), (long long)forebay_quota_info_blocked_until_ms(info),
         forebay_quota_info_blocked_code(info) != 0 ? forebay_code_text(forebay_quota_info_blocked_code(info)) : "no reason",
         forebay_quota_info_blocked_message(info, NULL) != NULL ? forebay_quota_info_blocked_message(info, NULL) : "",
         forebay_quota_info_declared(info) ? "declared" : "guessed", (unsigned)forebay_quota_info_attempts(info),
         (long long)forebay_quota_info_holder(info), forebay_quota_info_recorded_error(info) != NULL ? "yes" : "no");
  forebay_quota_info_free(info);
  if (forebay_quota_list(&listing, cache, NULL) < 0) return 1;
  for (size_t at = 0; at < forebay_quota_listing_count(listing); at++) {
    const char *hash = forebay_quota_listing_identity_hash(listing, at, NULL);
    printf("%s is %s of %s\n", forebay_quota_listing_key(listing, at, NULL), forebay_quota_listing_name(listing, at, NULL),
           hash != NULL ? hash : "nobody");
  }
  forebay_quota_listing_free(listing);
  return 0;
}

int main(void) {
  static char good[] = "good", other[] = "other";
  forebay_cache *cache;
  forebay_quota *quota;
  int64_t until;
  if (forebay_open(&cache, NULL, NULL) < 0) return 1;
  forebay_quota_options options = FOREBAY_QUOTA_OPTIONS_INIT;
  options.name = forebay_str("usage");
  options.identity = forebay_str("ann@example.org"); /* each account has a record and a gate of its own */
  if (forebay_quota_open(&quota, cache, &options, NULL) < 0) return 1;
  if (show(quota, other) != 0 || look(cache, quota) != 0) return 1; /* refused, so the fallback's */
  if (forebay_quota_clear(quota, NULL) < 0) return 1;               /* another login: forget that */
  if (show(quota, good) != 0 || show(quota, NULL) != 0) return 1;   /* asked; then fresh, and nobody is asked */
  if (forebay_quota_block(&until, quota, 60 * 1000, FOREBAY_E_RATE_LIMITED, forebay_str("told so"), NULL) < 0) return 1;
  if (look(cache, quota) != 0) return 1;
  forebay_quota_free(quota);
  forebay_cache_free(cache);
  return 0;
}
