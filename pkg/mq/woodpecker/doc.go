// Package woodpecker is Gyr's own write-ahead log, with two drivers of mq.Queue: Local keeps logs in a folder of the
// local disk and serves one process; Bucket keeps logs as objects in an object store and serves a cluster.
//
// Local. A folder holds one sub-folder per log, and in it files of about 64 MiB. A file is a header and groups; a group
// is one entry with its length, position, checksum, and the offset of the file that was durable before the group was
// written. Positions are dense and begin at 1. The invariants:
//
//   - An entry is acknowledged, and shown to readers, only after fdatasync returned for the bytes of its group.
//   - Bytes below an offset that a later group or file states as durable are whole, else they are reported as corrupt.
//     Bytes above the last stated offset that do not check are a torn tail, and cut.
//   - Recovery writes what it keeps above the last stated offset once more and syncs it before anybody sees it: the
//     page cache may hold bytes that a failed fsync left out of the disk.
//   - A file is written by one process run only. A new run, and a failed fsync, begin a new file, whose header names
//     the offset at which the file before it ends.
//
// Bucket. An entry is an object, its position the object's number. Numbers are given by conditional PUTs (IfAbsent), so
// the store decides the order, and they are dense: a writer puts n only when it knows that n-1 was there.
package woodpecker
