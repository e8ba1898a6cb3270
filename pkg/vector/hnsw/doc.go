// Package hnsw is a hierarchical navigable small world graph (Malkov, Yashunin 2016) over integer codes, with an exact
// re-rank.
//
// A graph is one flat image outside the Go heap: header, mean, codes, weights, links and checksums at their places in the
// index file. Building fills an image, writing copies it out, loading reads and checks it; nothing is decoded. Raw vectors
// stay with the caller and are read through vector.Rows: while building (codes) and for the re-rank of every search.
//
// Rows are centred on their mean, scaled by one factor and rounded to int8 (for Cosine after normalising; turned before,
// when that orders rows better). A code is stored as two halves of 4 bits: the walk compares the high ones, which is half
// the memory traffic, a list of candidates is then ordered by whole codes, and a few more than k rows by raw vectors.
// Reported scores are always computed from raw vectors. Vectors of up to 64 dimensions have whole codes only.
//
// A walk ends when the next node lies further than the k-th best by a factor that follows from ef (see stop). Under a
// filter the k-th allowed row counts, and a scan over the codes of allowed rows takes over where it is cheaper, or where
// the walk finds too little, so a search returns min(k, allowed) rows whatever the filter. (A walk that steps over
// disallowed rows was measured and left out: at equal recall it was slower than one of the two at every share.)
//
// Config.Product asks for codes of a product quantiser: links and a few bytes per row are all that is held. The graph is
// linked by integer codes, which then go. Walks and scans add up entries of tables, made for each query, and the whole pool
// (or as much of it as Params.Rerank says) is scored by raw vectors; ends by distance are left out, as such codes tell
// distances too roughly for that.
//
// Builds go in batches without locks: the file depends on the rows and parameters, not on the number of workers.
//
// Invariants: every link in an image names an existing node of at least that level (checked when a file is loaded, as
// kernels do not check ids); the image is freed once, by Close, and never while a search or write runs.
package hnsw
