// Package imagefile is what all kinds of vector index share of their files: one header page with a table of sections, the
// sections, and a checksum for every block of them. A file and its image in memory are the same bytes, so nothing is
// decoded: building fills an image, writing copies it out, loading reads and checks it.
//
// All numbers are little-endian. Sections start on page borders and follow each other without gaps. The last one that
// images hold has a crc32c for each block of those before it (padding included); its own crc and the page's are in the
// header. Cold sections follow, flag 1: they stay on disk and carry checksums of their own. Readers skip sections of
// unknown kind and refuse an unknown major version.
//
//	0 magic  8 major u16  10 minor u16  12 fields of the kind of index, 36 bytes  48 file size u64  56 sections u32
//	60 crc of checksums u32  64 section table: kind u32, flags u32, offset u64, length u64    4092 crc of the bytes before it
//
// The package does not know what the sections hold: what checksums cannot tell, each kind of index checks for itself.
package imagefile
