/* What needs no cache: versions, durations, HTTP answers, and the default folder. */
#include <forebay.h>
#include <stdio.h>

int main(void) {
  forebay_text *text;
  int64_t ms;
  int32_t code;
  if (forebay_version_number() < FOREBAY_VERSION_NUMBER || forebay_abi_version() != FOREBAY_ABI_VERSION) {
    fprintf(stderr, "libforebay %s is older than this program\n", forebay_version());
    return 1;
  }
  if (forebay_parse_duration(&ms, forebay_str("1h30m"), NULL) < 0) return 1;
  if (forebay_format_duration(&text, ms, NULL) < 0) return 1;
  printf("%lld ms are %s\n", (long long)ms, forebay_text_data(text));
  forebay_text_free(text);
  if (forebay_parse_retry_after(&ms, forebay_str("120"), -1, NULL) != FOREBAY_OK) return 1;
  if (forebay_failure_from_status(&code, &ms, &text, 429, forebay_str("120"), NULL) < 0) return 1;
  printf("%s: %s, again in %lld ms\n", forebay_code_text(code), forebay_text_data(text), (long long)ms);
  forebay_text_free(text);
  if (forebay_code_from_text(forebay_str("rate_limited")) != FOREBAY_E_RATE_LIMITED) return 1;
  if (forebay_default_root(&text, forebay_str("my-program"), NULL) == FOREBAY_OK) printf("%s\n", forebay_text_data(text));
  forebay_text_free(text);
  return 0;
}
