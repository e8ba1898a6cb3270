// Package ivf is an inverted file: rows are put into lists, each around a centroid, and a search looks at the lists whose
// centroids are nearest to the query.
//
// Centroids come from k-means over a sample. Lists hold row numbers; raw vectors stay with the caller and are read through
// vector.Rows. Beside them each list has, in one piece, codes of its rows (Coding): a search scans codes and scores only
// those rows exactly that can be among the best. Reported scores are always computed from raw vectors. L2 and IP rows are
// put to the centroid at the least distance, for Cosine to that at the least angle.
//
// Codes differ in what is known of their errors. Exact stores how far rows lie from their codes at most; a row whose
// distance by code, less that error, is above the k-th best is out for certain. SQ8 takes three standard deviations for the
// error. PQ and RaBitQ code what is left of a row without its list's reference, in blocks that one instruction sums for 32
// rows; RaBitQ knows the deviation of its errors, that of PQ is measured at the build. All of them score exactly whatever
// the errors allow to be among the best, so results do not get worse with coarser codes, only slower; a search may instead
// say how many rows to score.
//
// A build measures which recall how many lists give, for searches that ask for a recall (Params.TargetRecall). Ranges are
// exact: lists and codes that cannot reach into the window are left out.
//
// A search that meets too few allowed rows goes on with more lists, and scans the allowed rows one by one where that is the
// cheaper way, so it returns min(k, allowed) rows whatever the filter. Looking at all lists of an index of coding Plain
// or Exact gives exactly what package flat gives.
//
// Invariants: every row lies in exactly one list and no list is empty (checked when a file is loaded); equal rows and
// settings give equal files, whatever the number of workers; the image is freed once, by Close, and never while a search
// or write runs.
package ivf
