// Package failover takes processes, servers and disks away from Gyr under load and measures what clients see: which calls
// fail, how, and for how long. Each test names its bound. It owns the measuring; the tests beside it own the faults.
//
// Invariants under test: an answer is right and complete or it is an error; an error under a fault is a retriable
// Status; no call outlives its deadline; nothing acknowledged is lost or doubled.
package failover
