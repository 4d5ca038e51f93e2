/* The header by itself, twice, in C99, C11 and C++17: each translation unit has its own copy of the inline functions. */
#include <forebay.h>
#include <forebay.h>

#ifdef SECOND
size_t second_unit(void);
size_t second_unit(void) {
  forebay_source_options source = FOREBAY_SOURCE_OPTIONS_INIT;
  source.key = forebay_mem("a/b", 3);
  return source.key.size;
}
#else
size_t second_unit(void);
int main(void) {
  forebay_cache_options cache = FOREBAY_CACHE_OPTIONS_INIT;
  forebay_commit commit = FOREBAY_COMMIT_INIT;
  forebay_failure failure = FOREBAY_FAILURE_INIT;
  forebay_response response = FOREBAY_RESPONSE_INIT;
  forebay_refresh_options refresh = FOREBAY_REFRESH_OPTIONS_INIT;
  forebay_acquire_options acquire = FOREBAY_ACQUIRE_OPTIONS_INIT;
  forebay_attempt_options attempt = FOREBAY_ATTEMPT_OPTIONS_INIT;
  forebay_quota_options quota = FOREBAY_QUOTA_OPTIONS_INIT;
  forebay_credentials_options credentials = FOREBAY_CREDENTIALS_OPTIONS_INIT;
  forebay_live_options live = FOREBAY_LIVE_OPTIONS_INIT;
  forebay_live_spec spec = FOREBAY_LIVE_SPEC_INIT;
  size_t sizes = cache.struct_size + commit.struct_size + failure.struct_size + response.struct_size +
                 refresh.struct_size + acquire.struct_size + attempt.struct_size + quota.struct_size +
                 credentials.struct_size + live.struct_size + spec.struct_size + forebay_input("src/").name.size;
  cache.root = forebay_str("/nowhere");
  return sizes > 0 && second_unit() == 3 && forebay_version_number() == FOREBAY_VERSION_NUMBER ? 0 : 1;
}
#endif
