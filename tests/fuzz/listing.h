// listing - all that lies below a folder, as text: two listings are equal when nothing
// has changed between them.
#pragma once

// What a listing tells of each name beside its kind, mode, owner, size and contents.
enum {
    LISTING_PLAIN = 0,
    LISTING_TIMES = 1, // Times, inode, links: that nobody has touched it in any way
};

// One line for each name below the folder, and for the folder itself, in order. except: a
// name in the folder whose own line is all that is told of it, without its times; or
// NULL. Contents stand as digests. Caller owns the result (free).
char *listing_of(int folder_fd, int what, const char *except);
