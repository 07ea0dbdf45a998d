#pragma once
#include <sqlite3.h>

// What Swift cannot import by itself: variadic functions, and structs whose first member SQLite owns.

// A table and a cursor of a virtual table: SQLite's part first, then what Swift keeps for it. `atEnd` stands here so
// that the question SQLite asks after every row costs no call into Swift objects.
typedef struct {
    sqlite3_vtab base;
    void *owner;
} varve_vtab;

typedef struct {
    sqlite3_vtab_cursor base;
    void *owner;
    int atEnd;
} varve_vtab_cursor;

static inline int varve_sqlite_config_flag(sqlite3 *db, int option, int value) {
    return sqlite3_db_config(db, option, value, (int *)0);
}

// A copy of a text in SQLite's own memory, for `zErrMsg` and `idxStr`.
static inline char *varve_sqlite_copy(const char *text) { return sqlite3_mprintf("%s", text); }
