// Package consistency records what clients see while Gyr is disturbed, and checks it against what each consistency level
// promises. It owns the recorded histories and their checker; the tests beside it own the disturbances.
//
// Invariants under test: histories of single keys are linearizable under Strong; Session shows a client's own writes
// through any proxy; Bounded is never older than the graceful time; the pages of a pinned scan show one state.
package consistency
