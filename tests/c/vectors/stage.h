/*
 * The stage of one scenario: its folder and clock, the things that steps have named, other processes, and files. It knows
 * nothing of the C interface's calls. What goes wrong ends the process with a line that says where.
 */
#ifndef STAGE_H
#define STAGE_H

#include "json.h"
#include <forebay.h>
#include <pthread.h>

extern char *stage_dir, *stage_root, *stage_state, *stage_clock;
extern json *stage_source, *stage_quota; /* what every step's source and quota have by default */

/* Names the step that this thread runs, for failures. */
void stage_at(const char *place);
void failed(const char *form, ...) __attribute__((noreturn, format(printf, 1, 2)));

void stage_begin(const char *dir, json *source, json *quota);
int64_t stage_now_ms(void);
void stage_advance(int64_t ms, int64_t wall_ms);

/* Things by kind and name. Each may be used by several threads. */
typedef enum thing { A_CACHE, A_TICKET, A_READER, A_VERSION, A_BACKGROUND, AN_ACTOR, A_CREDS, THINGS } thing;
void *thing_get(thing kind, const char *name); /* fails where there is none */
void *thing_find(thing kind, const char *name); /* NULL where there is none */
void thing_put(thing kind, const char *name, void *what);
void *thing_drop(thing kind, const char *name);

/* Where a refresher waits, and who waits for it. */
void hold_enter(const char *name);   /* says that it runs, and waits for its release */
void hold_entered(const char *name); /* waits until it runs */
void hold_release(const char *name);

/* The fields of a step, each taken once: what is left over is a failure. */
json *field(json *fields, const char *name); /* NULL where there is none */
json *need(json *fields, const char *name);
const char *text_of(json *fields, const char *name);                        /* NULL where there is none */
int64_t number_of(json *fields, const char *name, int64_t otherwise);
bool flag_of(json *fields, const char *name);
void finish(json *fields);
/* Bytes as a scenario writes them: a text, {"hex":…} or {"fill":[byte, count]}. */
json *bytes_of(const json *written);

/* Kills actors, lets refreshers go on, and gives up all things. */
void stage_end(void);
void actor_end(void *actor);

/* The ops that are no calls of the interface; NULL where `op` is none of them. */
json *stage_op(const char *op, json *fields);

#endif
