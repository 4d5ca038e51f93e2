/* A panic does not cross: the export that panics exists in test builds only, and in no header. */
#include "check.h"
#include <string.h>

forebay_status forebay__test_panic(forebay_error **err);

static void a_panic_becomes_an_error(void) {
  forebay_error *err = NULL;
  for (int round = 0; round < 3; round++) {
    CHECK(forebay__test_panic(&err) == FOREBAY_E_PANIC);
    CHECK(strstr(forebay_error_text(err, NULL), "on purpose") != NULL);
    forebay_error_free(err);
    CHECK(forebay__test_panic(NULL) == FOREBAY_E_PANIC);
    forebay_cache *cache = stage_open(); /* and poisons nothing */
    stage_put(cache, "a", "1");
    forebay_cache_free(cache);
  }
}

static const test tests[] = {TEST(a_panic_becomes_an_error)};
CHECK_MAIN(tests)
