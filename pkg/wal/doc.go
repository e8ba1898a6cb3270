// Package wal decides which entries of a log count, and writes them.
//
// A log (package mq) is only an ordered sequence of entries: former owners may write into it at any time and entries may
// appear twice. This package owns what lies on top: records and their encoding, the one rule by which every reader
// tells entries that count from those that do not (Acceptor), reading by that rule (Reader), and the owner's side
// (Writer): fencing, timestamps, group commit and barriers. It knows no catalog, no rows and no metadata store: who
// owns a log is somebody else's knowledge, which the Writer asks for through functions.
//
// Invariants:
//   - All readers of a log accept the same records in the same order, wherever they start.
//   - Accepted records have ascending timestamps; fences have none.
//   - A record was acknowledged only if every reader accepts it, exactly once.
//   - Barrier's answer (P, R) holds for ever: every record with a timestamp at or below R lies at or before P.
//
// None of them rests on a clock or on the message queue keeping old writers out.
package wal
