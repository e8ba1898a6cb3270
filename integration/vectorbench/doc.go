// Package vectorbench measures Gyr's vector indexes on a folder of vectors, beside other libraries in the same run.
//
// It owns: reading the folder (npy files, two layouts), the exact truth, the sweep over the effort of a search (ef, nprobe,
// search_list), the clock, the peers (Python workers in a virtual environment of its own), the table, the JSON lines and the
// picture. It does not own indexes: it reaches them through package index, so every type that package builds can be measured.
//
// What holds:
//   - The data folder is never written. Everything made lies in the cache folder: the environment, the peers' indexes, the truth.
//   - All engines get the same float32 rows in the same order and answer the same queries; recall is computed here from the row
//     numbers they return, by distance, so rows at equal distance count alike whoever returns them.
//   - Rounds are interleaved: in each round every engine measures one point of its curve in turn, in rotating order, so a
//     busy minute of the machine meets all of them. Ratios are medians of the rounds' ratios.
package vectorbench
