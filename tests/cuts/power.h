// power - a computer whose power is cut while a program writes.
//
// The disk of the computer is a file on an XFS that can share blocks, and a loop device
// shows it to a file system. A cut is a copy of that file, made at once by FICLONE: it
// has what the file system had sent to its disk until then, and nothing of the page
// cache. The writer goes on, so one run can be cut many times.
// A disk that has a cache of its own may lose more than such a cut: this one has none.
// Needs root.
#pragma once

#include <stddef.h>
#include <stdint.h>

#define POWER_ACK_SIZE 40 // Bytes of an acknowledgement, all of them used

// Runs in a process of its own with the file system at `folder`, until it is killed. Each
// thing that it may promise to a user is told by power_acknowledge once it is durable.
typedef void(power_writer_fn)(const char *folder, int acks);
void power_acknowledge(int acks, const char ack[POWER_ACK_SIZE]);

// Looks at the file system of a cut: how much of what was acknowledged before the cut is
// lost, and how much is damaged.
typedef struct {
    size_t acknowledged, lost, damaged;
} power_loss_t;
typedef void(power_reader_fn)(const char *folder, const char *acks, power_loss_t *loss);

typedef struct {
    const char *file_system; // ext4, xfs or btrfs
    power_writer_fn *writer;
    power_reader_fn *reader;
    int cut_ms_max; // From one cut to the next, at most
} power_run_t;

// Cut so many times, at moments that follow from the seed, and look at each cut. Returns
// the sum; prints it. Fails the test when the computer cannot be made.
power_loss_t power_cut(const power_run_t *run, size_t cuts, uint64_t seed);

// Of cmocka, for each test that cuts: when it failed in the middle, end the writer,
// unmount and remove what is left of the computer.
int power_teardown(void **state);

// How many cuts the environment asks for (RAMET_CUTS), else as given; and the seed
// (RAMET_SEED), else a new one, which is printed.
size_t power_cuts_asked(size_t preset);
uint64_t power_seed_asked(void);
