/* The tables of tests/vectors: words, codes and names. */
#ifndef TABLES_H
#define TABLES_H

#include "expect.h"

/* Reads a file that holds one JSON object. */
json *read_file(const char *path);
/* Compare the tables in that folder with the library; `unused` is for whoever runs them like scenarios. */
void run_tables(const char *path, const char *unused);
void run_names(const char *path, const char *unused);
void run_quota_names(const char *path, const char *unused);

#endif
