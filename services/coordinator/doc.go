// Package coordinator decides what the cluster does: it hands out timestamps and ids, changes the catalog, places shards
// and segments on querynodes, gives heavy work to indexnodes and removes objects that nothing names.
//
// It owns the databases, collections, aliases, views, tasks, log records and the two allocators in the metadata store.
// It does not own log ownership (datanodes take it by themselves), seals and log marks (the owner of a log writes them),
// nor rows: no row ever passes through it. Reads and writes go on while no coordinator is there.
//
// Invariants:
//   - One leader at a time: every transaction compares the revision at which this process took the leader key. A former
//     leader can change nothing; what it hands out lies below the bounds that its successor starts from.
//   - A timestamp or id is handed out once in the life of the cluster, timestamps in growing order.
//   - A change of the catalog is answered when every live proxy, and every log owner whose admission of writes depends on
//     it, acts on it or has lost its lease.
//   - A view is published only after every node in it said that it is ready, and only if each segment it names is still
//     in the shard's manifest and the collection is still to be loaded.
//   - A result of a task is committed only if the task, the attempt and every source are what they were when it was given out.
//   - Nothing is taken from a node that has neither reported nor lost its lease; a new leader adopts the published views.
//
// Sealed segments with fewer rows than TaskConfig.MinIndexRows (1,000 unless configured), fields with a FLAT index and
// scalar fields get no index file: they are searched by brute force or by the column file, and count as indexed.
//
// Decisions are pure functions (placement.go, planindex.go, plancompact.go, garbage.go, names.go); the files around them
// read the catalog, call them and commit.
package coordinator
