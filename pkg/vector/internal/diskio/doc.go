// Package diskio reads blocks of one size from a file, several at a time, for one search after the other.
//
// A File keeps Readers; a search takes one, starts reads into its slots, waits for whichever is done first and gives it
// back. Two engines do the work. Uring hands reads to the kernel through an io_uring per Reader (raw system calls, rings in
// mapped memory). Pool, for kernels and sandboxes without that and for other systems, first asks for what the page cache
// holds without waiting (RWF_NOWAIT, Linux only), and leaves the rest to a bounded number of goroutines.
//
// The package checks that blocks are whole, not what they hold. Invariants: memory that a read was started into is neither
// handed out again nor freed before that read has ended, whatever became of the search; Close waits for all reads.
package diskio
