// Package kernel holds the distance kernels: for each a reference in plain Go and, where there is one, assembly.
//
// A Set is an immutable value that names one tier of the machine; its methods pick the code of that tier. All floats are
// float32, rows are row-major. A result depends only on the query, the row and the tier, never on the place of the row in
// a batch, so two ways to the same row give the same score. Kernels work on four rows per step: callers hand over lists,
// never single pairs, where they can.
//
// Integer codes: a row is coded as bytes u = c+128 with c in [-127, 127], padded to CodeStride bytes; the query as signed
// bytes, zero behind its last dimension. SQ8 returns w[id] + bias - 2*<q, u>. With w = |c|^2 and bias = |q|^2 + 256*sum(q)
// that is the squared distance |q-c|^2, and with w = 0 and bias = 256*sum(q) it is -2<q, c>; intermediate sums wrap, the
// result is right whenever it fits an int32, which holds up to 32768 dimensions.
//
// A Set is a table of functions (table), each of which takes one pointer (args). A tier copies the table of the one before
// and replaces what its instructions make faster (level); Describe says which tiers run here and why. On amd64 the assembly
// is printed by tools/kernelgen; the build tag purego leaves it out, and GYR_VECTOR_TIER forces a tier.
//
// Long lists are cut into calls of about 128 KiB of rows, at most some 25 us each, between which a goroutine can be stopped.
//
// The package does not choose metrics, keep vectors or know graphs.
package kernel
