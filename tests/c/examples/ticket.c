/* Refreshing by ticket: this program decides when and on which thread the work is done. */
#include <forebay.h>
#include <stdio.h>

/* As if a server had answered. */
static forebay_response ask(const forebay_ticket *ticket) {
  forebay_response response = FOREBAY_RESPONSE_INIT;
  if (forebay_ticket_validator(ticket, NULL) != NULL) {
    response.status = 304;
  } else {
    response.status = 200;
    response.body = forebay_str("first");
    response.etag = forebay_str("\"1\"");
  }
  return response;
}

static void describe(const forebay_ticket *ticket) {
  size_t size = 0;
  const uint8_t *previous = forebay_ticket_previous(ticket, &size);
  printf("%s, token %llu, until %lld, before: %.*s of %lld\n", forebay_ticket_key(ticket, NULL),
         (unsigned long long)forebay_ticket_token(ticket), (long long)forebay_ticket_deadline_ms(ticket), (int)size,
         previous != NULL ? (const char *)previous : "", (long long)forebay_ticket_previous_stored_at_ms(ticket));
}

int main(void) {
  forebay_cache *cache;
  forebay_ticket *ticket;
  forebay_value *value;
  forebay_refresh_info *info;
  if (forebay_open(&cache, NULL, NULL) < 0) return 1;
  forebay_source_options src = FOREBAY_SOURCE_OPTIONS_INIT;
  src.key = forebay_str("api/status");
  src.ttl_ms = 5 * 1000;

  for (int round = 0; round < 2; round++) { /* a 200, then a 304 */
    switch (forebay_acquire(&ticket, &value, &info, cache, &src, NULL, NULL)) {
      case FOREBAY_OK: break;
      case FOREBAY_FRESH: forebay_value_free(value); return 1;      /* only with unless_fresh */
      case FOREBAY_IN_FLIGHT:                                       /* another process refreshes */
      case FOREBAY_GATED: forebay_refresh_info_free(info); return 1; /* nobody may now */
      default: return 1;
    }
    describe(ticket);
    if (forebay_ticket_renew(ticket, 60 * 1000, NULL) < 0) return 1; /* it takes longer than thought */
    forebay_response response = ask(ticket);
    if (forebay_ticket_respond(&value, ticket, &response, NULL) < 0) return 1;
    printf("%s\n", forebay_how_text(forebay_value_how(value)));
    forebay_value_free(value);
    forebay_ticket_free(ticket);
  }

  /* The same by hand: unchanged, or failed. */
  if (forebay_acquire(&ticket, NULL, NULL, cache, &src, NULL, NULL) != FOREBAY_OK) return 1;
  if (forebay_ticket_unchanged(NULL, ticket, NULL, NULL) < 0) return 1;
  forebay_ticket_free(ticket);
  if (forebay_acquire(&ticket, NULL, NULL, cache, &src, NULL, NULL) != FOREBAY_OK) return 1;
  forebay_failure failure = FOREBAY_FAILURE_INIT;
  failure.code = FOREBAY_E_RATE_LIMITED;
  failure.message = forebay_str("slow down");
  failure.retry_after_ms = 30 * 1000;
  if (forebay_ticket_fail(ticket, &failure, NULL) < 0) return 1;
  forebay_ticket *second = forebay_ticket_retain(ticket); /* for another thread: each frees its own */
  forebay_ticket_free(second);
  forebay_ticket_free(ticket);
  forebay_cache_free(cache);
  return 0;
}
