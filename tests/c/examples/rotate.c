/* A credential that can be exchanged once: one process exchanges it, and all get the new one. */
#include <forebay.h>
#include <stdio.h>

/* As if a server had answered: `userdata` is the new token, or NULL where it refuses. */
static void exchange_token(void *userdata, forebay_rotation *rotation) {
  const char *token = userdata, *previous = forebay_rotation_previous(rotation, NULL);
  printf("exchanging %s until %lld, cancelled %d\n", previous != NULL ? "the old one" : "a login",
         (long long)forebay_rotation_deadline_ms(rotation), (int)forebay_rotation_cancelled(rotation));
  if (token != NULL) {
    forebay_rotation_exchanged(rotation, token, strlen(token), NULL);
    return;
  }
  forebay_failure failure = FOREBAY_FAILURE_INIT;
  failure.message = forebay_str("no route to the host");
  failure.not_sent = 1; /* certainly: so nothing is lost. Without it, nobody could tell, and it would be ambiguous */
  forebay_rotation_failed(rotation, &failure, NULL);
}

static void show(const forebay_credential *credential) {
  size_t size = 0;
  forebay_credential_data(credential, &size); /* the secret: use it, and print it nowhere */
  printf("%zu bytes, version %s of %lld, %s\n", size, forebay_credential_version(credential, NULL),
         (long long)forebay_credential_stored_at_ms(credential), forebay_how_text(forebay_credential_how(credential)));
  if (forebay_credential_error(credential) != NULL) { /* this is the only copy: keep it */
    printf("not stored: %s\n", forebay_error_text(forebay_credential_error(credential), NULL));
  }
}

static int by_steps(forebay_credentials *credentials, forebay_slice key, forebay_slice seen) {
  forebay_rotation *rotation;
  forebay_credential *credential = NULL;
  int32_t step = FOREBAY_STEP_WAIT;
  if (forebay_rotation_begin(&rotation, credentials, key, seen, NULL) < 0) return 1;
  while (step != FOREBAY_STEP_DONE) {
    if (forebay_rotation_next(&step, &credential, rotation, NULL) < 0) return 1;
    if (step == FOREBAY_STEP_EXCHANGE) { /* that it has begun is on the disk by now */
      printf("%lld ms are left\n", (long long)forebay_rotation_remaining_ms(rotation));
      forebay_rotation_exchanged(rotation, "third-token", 11, NULL);
    } else if (step == FOREBAY_STEP_WAIT && forebay_rotation_wait(rotation, 100, NULL) == FOREBAY_E_CANCELLED) {
      break; /* another thread called forebay_rotation_interrupt */
    }
  }
  forebay_rotation_interrupt(rotation);
  forebay_rotation_free(rotation);
  show(credential);
  forebay_credential_free(credential);
  return credential == NULL;
}

static int look(const forebay_credentials *credentials, forebay_slice key) {
  forebay_rotate_info *info;
  if (forebay_rotate_state(&info, credentials, key, NULL) < 0) return 1;
  printf("%s, version %s, ambiguous since %lld, retry at %lld\n", forebay_phase_text(forebay_rotate_info_phase(info)),
         forebay_rotate_info_version(info, NULL) != NULL ? forebay_rotate_info_version(info, NULL) : "none",
         (long long)forebay_rotate_info_ambiguous_since_ms(info), (long long)forebay_rotate_info_retry_at_ms(info));
  const forebay_error *last = forebay_rotate_info_last_error(info);
  if (last != NULL) printf("last: %s\n", forebay_error_text(last, NULL));
  forebay_rotate_info_free(info);
  return 0;
}

int main(void) {
  static char first[] = "first-token", second[] = "second-token";
  forebay_credentials *credentials;
  forebay_credential *mine, *next;
  forebay_text *folder, *version;
  forebay_slice key = forebay_str("github-oauth"), none = forebay_str(NULL);
  if (forebay_default_state_root(&folder, NULL) != FOREBAY_OK) return 1;
  forebay_credentials_options options = FOREBAY_CREDENTIALS_OPTIONS_INIT;
  options.root = forebay_mem(forebay_text_data(folder), forebay_text_size(folder));
  options.deadline_ms = 10 * 1000;
  if (forebay_credentials_open(&credentials, &options, NULL) < 0) return 1;
  printf("%s\n", forebay_credentials_root(credentials, NULL));
  forebay_text_free(folder);

  forebay_exchanger login = {sizeof login, first, exchange_token, NULL};
  if (forebay_rotate(&mine, credentials, key, none, &login, NULL) < 0) return 1;
  forebay_exchanger exchanger = {sizeof exchanger, second, exchange_token, NULL};
  forebay_slice seen = forebay_str(forebay_credential_version(mine, NULL)); /* the server said that it is used up */
  if (forebay_rotate(&next, credentials, key, seen, &exchanger, NULL) < 0) return 1;
  show(next);
  if (by_steps(credentials, key, forebay_str(forebay_credential_version(next, NULL))) != 0) return 1;
  forebay_credential_free(next);
  if (forebay_credentials_current(&next, credentials, key, NULL) != FOREBAY_OK) return 1;
  exchanger.userdata = NULL; /* from here on the server is not reached */
  forebay_error *err = NULL;
  seen = forebay_str(forebay_credential_version(next, NULL));
  forebay_credential *unused;
  if (forebay_rotate(&unused, credentials, key, seen, &exchanger, &err) < 0) {
    printf("%s\n", forebay_error_text(err, NULL)); /* FOREBAY_E_AMBIGUOUS would mean: log in again, then reset */
    forebay_error_free(err);
  }
  if (look(credentials, key) != 0) return 1;
  if (forebay_rotate_reset(&version, credentials, key, "new-login", 9, NULL) < 0) return 1;
  printf("version %s\n", forebay_text_data(version));
  forebay_text_free(version);
  forebay_credential_free(next);
  forebay_credential_free(mine);
  forebay_credentials_free(credentials);
  return 0;
}
