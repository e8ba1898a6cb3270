// Package kafka keeps logs in Apache Kafka: one topic with one partition per log, written by plain producers with
// acks=all. It owns the topics PREFIX.NAME, their settings, and the form of their records. It uses neither idempotent
// producers nor transactions: a record of ours says itself which log it belongs to, and package wal's rule says which
// entries count.
//
// The position of an entry is its record's offset; an entry that is too great for one record goes as parts, and has the
// offset of its last one. The first record of a topic names the log, and every record's key does too, so that a topic
// that was deleted and came back is seen, and entries of a former log's writer are skipped. The invariants:
//
//   - A log is created by Create only. No request of this package lets the broker create a topic.
//   - Settings that could lose entries (retention, compaction, unclean elections) are checked whenever a log is opened.
//   - A read begins at exactly the offset that was asked for, or fails: offsets of a topic without transactions and
//     compaction are dense, and a jump is reported.
//   - Truncate leaves the parts of the entry at its mark, and the topic's last record.
package kafka
