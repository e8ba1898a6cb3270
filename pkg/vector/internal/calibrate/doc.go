// Package calibrate finds out, while an index is built, how much effort a search needs for a wanted recall.
//
// Effort is whatever number the kind of index spends more work for: the pool of HNSW, the lists that IVF looks at, the
// candidates of DISKANN. Measure runs queries at growing efforts, compares their results with exact ones, and puts down
// the recall of each step for k=10 and k=100. The Table goes into an optional section of the index file; at a search,
// Table.Effort picks the least effort that reached the recall that is asked for.
//
// Queries are rows that a search must not return (Config.Held): rows that a graph does not hold yet, or that are filtered
// out. Rows that are found as their own neighbours would make recall look better than new queries have it. Every second
// query is moved towards another row, since real queries lie further from the rows than rows from each other.
//
// The package does not know indexes: how to search, and how to find exact neighbours faster than by a scan of raw vectors,
// are functions of the caller. What effort means under a filter is the caller's too.
package calibrate
