// Package hnsw is a hierarchical navigable small world graph (Malkov, Yashunin 2016) over int8 codes, with an exact re-rank.
//
// A graph is one flat image outside the Go heap: header, mean, codes, weights, links and checksums at their places in the
// index file. Building fills an image, writing copies it out, loading reads and checks it; nothing is decoded. Raw vectors
// stay with the caller and are read through vector.Rows: while building (codes) and for the re-rank of every search.
//
// The walk compares codes: rows are centred on their mean, scaled by one factor and rounded to int8 (for Cosine after
// normalising). Reported scores are always computed from raw vectors. A search chooses between a walk whose pool is widened
// by the filter's share and a scan over the codes of allowed rows, by estimated cost; a walk that finds too few is widened
// again and ends in a scan, so a search returns min(k, allowed) rows whatever the filter. (A walk that steps over
// disallowed rows was measured and left out: at equal recall it was slower than one of the two at every share.)
//
// Invariants: every link in an image names an existing node of at least that level (checked when a file is loaded, as
// kernels do not check ids); the image is freed once, by Close, and never while a search or write runs.
package hnsw
