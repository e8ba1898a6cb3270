// Package datanode is the owner of logs: the only process that appends to them, and the one that seals what they hold.
//
// It owns, per log that it was granted: the order of writes (package wal), admission of writes against the catalog, the
// window of recent request ids and keys, the decision when a shard is sealed, the files of sealed rows and deletes, and
// the log's marks. It serves no reads; query nodes follow the logs by themselves.
//
// Ownership organises itself: every datanode computes the same placement of logs over the live datanodes (place) and
// takes a log that falls to it once nobody holds its owner key. That key hangs on the node's lease; the epoch key beside
// it only grows and survives. Everything that an owner commits compares the epoch key, so a paused owner can commit
// nothing once another has taken over.
//
// Invariants:
//   - A write is acknowledged once its record is durable and accepted by the rule of package wal.
//   - A request id is appended once, as far back as the window reaches.
//   - A seal is the last record of its log entry, so its position cuts the shard: every row and delete of the shard at or
//     below it belongs to the seal's segments and delta file, all others to later ones.
//   - Seals of a shard are committed in their order, each in one transaction that compares the log's epoch, the shard's
//     manifest and the intent, and that moves the manifest's checkpoint to the seal's position.
//   - Nothing above a log's checkpoint is forgotten before it is in a manifest: the checkpoint lies below every record of
//     a shard that is not committed yet, the truncation mark at or below the checkpoint and every published view's start.
//
// Keys in the metadata store besides those of package catalog: "intent/<folder>" stands before the first upload into
// that folder (segments/<collection>/<shard>/<seal position>-<epoch>-<attempt>, with one folder per segment and the
// delta file below it). It goes in the transaction that commits the seal, or when the attempt is given up, by the same
// owner or a later one. While it stands garbage collection leaves the folder alone.
package datanode
