// Package diskann is a Vamana graph (Jayaram Subramanya et al., DiskANN, NeurIPS 2019) whose vectors and links stay on disk.
//
// A file has a small hot part, held in memory: four bits per component of each row (package sq4), and the links of some nodes,
// the hubs, of which a walk starts from the nearest. The cold part is blocks of one or several pages of 4 KiB, each with whole nodes: vector as stored, and
// links. A search walks by the codes, with several reads under way (package diskio), and scores every node whose block it
// has read by the vector in it, so reported scores are exact. With a filter it chooses between a wider walk and a scan over
// the codes of allowed rows, by estimated cost; a walk that finds too few ends in a scan.
//
// Building needs all vectors in memory. Distances between rows are those of 8-bit codes; inner product is turned into
// distance by one more component (Bachrach et al., RecSys 2014). Rows are inserted in batches against the graph as it was
// before the batch (Dobson et al., ParlayANN, PPoPP 2024), so a build depends on the rows alone, not on the goroutines.
//
// Invariants: blocks carry a checksum and their number, and are checked at each read; links of a checked block name
// existing rows. Memory is freed once, by Close, and never while a search runs.
package diskann
