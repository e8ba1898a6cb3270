// Package vector holds what the parts of Gyr's vector engine share: metrics, exact scores, and the small interfaces
// through which rows and filters come in.
//
// The engine owns its graphs and codes; raw vectors always stay with the caller. Its module depends on golang.org/x/sys
// only. It knows neither the names of the public API (package index translates them) nor segments.
//
// Invariant: a score depends on the query, the row, the metric and the machine's kernel tier alone. A row has the same
// score whether a graph, a flat scan over one block or a scan over chunks finds it, so results merge without surprises.
package vector
