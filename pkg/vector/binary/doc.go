// Package binary finds nearest rows among vectors of bits: by looking at all of them (Scanner), or at lists of rows around
// bit centroids (Index).
//
// Scores are exact always: counts of bits have no rounding, and a Jaccard distance is one division of two counts. By
// Substructure and Superstructure a row matches or not, so that only matching rows are ever returned, with score 0.
// Centroids are found as k-means finds them, with majorities for means (k-modes; Z. Huang, 1998): the bit that most rows of
// a list have, and for Jaccard, where majorities of sparse rows would be empty, as many of the commonest bits as rows have
// on the average.
//
// An index file is one of package imagefile. Builds are deterministic: the number of workers changes nothing.
package binary
