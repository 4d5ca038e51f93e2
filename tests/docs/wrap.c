/* Stands around a C example of the documents: its headers, an error printer, and a main function that runs it. */
#include <forebay.h>
#include <stdio.h>
#include <stdlib.h>

#include "http.h"

static int complain(forebay_error *err) {
    fprintf(stderr, "%s\n", forebay_error_text(err, NULL));
    forebay_error_free(err);
    return 1;
}

/* EXAMPLE */

int main(void) {
    return show_models(getenv("url"));
}
