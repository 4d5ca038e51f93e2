/*
 * A function that a scenario hands to a call: a refresher, or what a quota or a rotation calls. It first runs steps and waits
 * where its scenario says so; then whoever handed it over ends it as it is written.
 */
#ifndef CALLEE_H
#define CALLEE_H

#include "parts.h"
#include <stdatomic.h>

/* How it ends. What it throws is a failure too: C has no other. */
typedef enum ending { RETURNS, NOTHING, UNCHANGED, FAILS, RESPONDS } ending;

typedef struct callee {
  const char *name; /* "fn", "fetch", "credentials", "fallback" or "exchange": it decides how it may end */
  const json *during;
  const char *hold, *place, *throws;
  ending ending;
  json *data;                /* RETURNS */
  forebay_commit commit;     /* RETURNS, UNCHANGED */
  forebay_failure failure;   /* FAILS */
  forebay_response response; /* RESPONDS */
  atomic_int calls;
} callee;

/* NULL where nothing is written. */
callee *callee_of(const char *name, const json *written, const char *place);
/* It is called: the steps and the wait before its end. */
void callee_enter(callee *c);
bool callee_ran(const callee *c);
/* A call that failed after it threw has to give back its very words. */
void callee_own_words(const callee *c, const json *found);

#endif
