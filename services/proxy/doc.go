// Package proxy is the public face of Gyr: it speaks the Milvus v2 gRPC API on one port and turns each request into
// calls of the coordinator, the log owners and the query nodes.
//
// It owns the translation between the public protobuf messages and package schema, the checks of what users send, the
// routing of rows to shards and partitions, the snapshots at which reads run, the fan-out to query nodes and the merge
// of their answers. It keeps no state that a restart would lose.
//
// Invariants:
//   - Every application error is a normal answer with a Status; a gRPC error is left for transport matters and for
//     methods that the 2.6 line of the API lacks.
//   - A read fixes, per log, a position P and a timestamp R before it fans out; every node shows the versions alive at
//     R in each phase. A read that any node cannot serve is run again as a whole at the same pairs, never answered in part.
//   - Within one proxy the R of a log never goes back from one finished read to a later one.
//   - A request that writes to several shards keeps its request ids over every retry, so that no row is doubled.
//   - Without its lease a proxy serves no writes and no Strong reads: it may not know of a changed name.
package proxy
