package main

import "math/bits"

// armScans writes the kernels that walk blocks and lists: those of 4-bit product quantisers, and filters.
func armScans(a *arm) {
	var shuffles, counts []byte
	for mask := range uint(16) {
		var row []byte
		for lane := range 4 {
			for b := range 4 {
				if mask>>lane&1 == 1 {
					row = append(row, byte(4*lane+b))
				}
			}
		}
		for len(row) < 16 {
			row = append(row, 0xff)
		}
		shuffles = append(shuffles, row...)
		counts = append(counts, byte(bits.OnesCount(mask)))
	}
	a.bytes("shuffles", shuffles) // brings the lanes that a mask of four bits names to the front
	a.bytes("counts", counts)
	a.bytes("iota", iota32(4))
	a.bytes("laneBits", []byte{1, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0, 8, 0, 0, 0})
	a.bytes("wordBits", []byte{1, 0, 2, 0, 4, 0, 8, 0, 16, 0, 32, 0, 64, 0, 128, 0})
	a.pq4()
	a.pq4Table("L2")
	a.pq4Table("IP")
	a.tableSpan()
	a.tableBytes()
	a.filter("filterI32NEON", "cmgt v20.4s, v28.4s, v8.4s")
	a.filter("filterLessNEON", "fcmgt v20.4s, v28.4s, v8.4s")
	a.filter("filterGreaterNEON", "fcmgt v20.4s, v8.4s, v28.4s")
	a.filterU16()
}

// pq4 looks 16-byte tables up with TBL, for two blocks at a time while there are two, and adds bytes to 16-bit sums.
func (a *arm) pq4() {
	a.fun("pq4NEON", "sums of looked up bytes, 2 blocks at a time")
	a.args("stride", 3, "base", 8, "n", 5, "out", 6)
	a.op("VMOVI $15, V29.B16")
	loop := func(name string, blocks int) {
		for b := range blocks {
			a.zero(4*b, 4*b+1, 4*b+2, 4*b+3)
		}
		a.args("q", 14, "dim", 15)
		a.label(name)
		a.op("VLD1.P 16(R14), [V16.B16]")
		for b := range blocks {
			low, high := 18+2*b, 19+2*b
			a.op("VLD1.P 16(R%d), [V%d.B16]", 8+b, low)
			a.v("ushr v%d.16b, v%d.16b, #4\nand v%d.16b, v%d.16b, v29.16b", high, low, low, low)
			for i, r := range []int{low, high} {
				acc := 4*b + 2*i
				a.v("tbl v%d.16b, {v16.16b}, v%d.16b", r, r)
				a.v("uaddw v%d.8h, v%d.8h, v%d.8b\nuaddw2 v%d.8h, v%d.8h, v%d.16b", acc, acc, r, acc+1, acc+1, r)
			}
		}
		a.op("SUBS $1, R15, R15\nBGT %s", name)
		for b := range blocks {
			a.op("VST1.P [V%d.H8, V%d.H8, V%d.H8, V%d.H8], 64(R6)", 4*b, 4*b+1, 4*b+2, 4*b+3)
		}
	}
	a.label("two")
	a.op("CMP $2, R5\nBLT last\nADD R3, R8, R9")
	a.op("ADD R3, R9, R10") // a call may take part of each block, so the next one does not begin where this one ended
	loop("pair", 2)
	a.op("MOVD R10, R8\nSUB $2, R5\nB two")
	a.label("last")
	a.op("CBZ R5, done")
	loop("single", 1)
	a.label("done")
	a.op("RET")
}

// pq4Table computes 16 distances at a time: a codebook has component d of a sub-quantiser's 16 centroids side by side.
func (a *arm) pq4Table(op string) {
	a.fun("pq4Table"+op+"NEON", op+" of the parts of a query and the 16 centroids of each")
	a.args("q", 1, "base", 8, "n", 5, "out", 6)
	a.label("sub")
	a.zero(0, 1, 2, 3)
	a.args("dim", 15)
	a.label("component")
	a.op("VLD1R.P 4(R1), [V8.S4]\nVLD1.P 64(R8), [V16.S4, V17.S4, V18.S4, V19.S4]")
	for i := range 4 {
		if op == "L2" {
			a.v("fsub v%d.4s, v%d.4s, v8.4s\nfmla v%d.4s, v%d.4s, v%d.4s", 16+i, 16+i, i, 16+i, 16+i)
		} else {
			a.v("fmla v%d.4s, v%d.4s, v8.4s", i, 16+i)
		}
	}
	a.op("SUBS $1, R15, R15\nBGT component\nVST1.P [V0.S4, V1.S4, V2.S4, V3.S4], 64(R6)\nSUBS $1, R5, R5\nBGT sub\nRET")
}

// low leaves the smallest of the 16 numbers of V16 to V19 in all lanes of V20, as min does; of the largest likewise.
func (a *arm) extreme(which string, dst int) {
	a.v("f%s v%d.4s, v16.4s, v17.4s\nf%s v%d.4s, v18.4s, v19.4s", which, dst, which, dst+1)
	a.v("f%s v%d.4s, v%d.4s, v%d.4s\nf%sv s%d, v%d.4s", which, dst, dst, dst+1, which, dst, dst)
}

func (a *arm) tableSpan() {
	a.fun("tableSpanNEON", "sum of the smallest entries and largest difference of tables of 16")
	a.args("base", 8, "n", 5, "out", 6)
	a.zero(0, 1)
	a.label("sub")
	a.op("VLD1.P 64(R8), [V16.S4, V17.S4, V18.S4, V19.S4]")
	a.extreme("min", 20)
	a.extreme("max", 22)
	a.op("FADDS F20, F0, F0\nFSUBS F20, F22, F22\nFMAXS F22, F1, F1\nSUBS $1, R5, R5\nBGT sub\nFMOVS F0, (R6)\nFMOVS F1, 4(R6)\nRET")
}

func (a *arm) tableBytes() {
	a.fun("tableBytesNEON", "bytes for the entries of tables of 16")
	a.args("base", 8, "n", 5, "out", 6, "q", 1)
	a.op("VLD1R (R1), [V28.S4]")
	a.label("sub")
	a.op("VLD1.P 64(R8), [V16.S4, V17.S4, V18.S4, V19.S4]")
	a.extreme("min", 20)
	a.op("VDUP V20.S[0], V20.S4")
	for r := 16; r < 20; r++ {
		a.v("fsub v%d.4s, v%d.4s, v20.4s\nfmul v%d.4s, v%d.4s, v28.4s\nfcvtnu v%d.4s, v%d.4s", r, r, r, r, r, r)
	}
	a.v("uqxtn v16.4h, v16.4s\nuqxtn2 v16.8h, v17.4s\nuqxtn v18.4h, v18.4s\nuqxtn2 v18.8h, v19.4s")
	a.v("uqxtn v16.8b, v16.8h\nuqxtn2 v16.16b, v18.8h")
	a.op("VST1.P [V16.B16], 16(R6)\nSUBS $1, R5, R5\nBGT sub\nRET")
}

// filterArgs: R8 distances, R4 ids or 0, R5 entries, R6 and R7 results, R1 entries kept, R19 shuffles, R20 counts, V24
// the numbers of the next four entries and V25 fours.
func (a *arm) filterArgs(limit string) {
	a.args("base", 8, "ids", 4, "n", 5, "out", 6, "out2", 7)
	a.op("MOVD $0, R1\nMOVD $shuffles<>(SB), R19\nMOVD $counts<>(SB), R20")
	a.op("MOVW args_bias(R0), R13\nVDUP R13, V28.%s", limit)
	a.op("MOVWU args_first(R0), R13\nVDUP R13, V24.S4\nMOVD $iota<>(SB), R13\nVLD1 (R13), [V26.S4]")
	a.v("add v24.4s, v24.4s, v26.4s")
	a.op("MOVD $4, R13\nVDUP R13, V25.S4")
}

// nextIDs brings the numbers of four entries into V9.
func (a *arm) nextIDs(label string) {
	a.op("VMOV V24.B16, V9.B16")
	a.v("add v24.4s, v24.4s, v25.4s")
	a.op("CBZ R4, %s\nVLD1.P 16(R4), [V9.S4]", label)
	a.label(label)
}

// keep stores the entries of V9 that R13, a mask, names and has put do so for the distances, shuffled by V21; R14 becomes
// their number. Whole registers may be stored, because no more entries were kept than were looked at.
func (a *arm) keep(put func()) {
	a.op("ADD R13<<4, R19, R15\nVLD1 (R15), [V21.B16]\nMOVBU (R20)(R13), R14")
	a.v("tbl v23.16b, {v9.16b}, v21.16b")
	put()
	a.op("VST1 [V23.S4], (R7)\nADD R14<<2, R7, R7\nADD R14, R1")
}

// filter takes a multiple of 4 entries.
func (a *arm) filter(name, cmp string) {
	a.fun(name, "entries on one side of a limit, 4 at a time")
	a.filterArgs("S4")
	a.op("MOVD $laneBits<>(SB), R13\nVLD1 (R13), [V29.S4]")
	a.label("step")
	a.op("VLD1.P 16(R8), [V8.S4]")
	a.nextIDs("have")
	a.v("%s\nand v20.16b, v20.16b, v29.16b\naddv s20, v20.4s", cmp)
	a.op("VMOV V20.S[0], R13\nCBZ R13, next")
	a.keep(func() {
		a.v("tbl v22.16b, {v8.16b}, v21.16b")
		a.op("VST1 [V22.S4], (R6)\nADD R14<<2, R6, R6")
	})
	a.label("next")
	a.op("SUBS $4, R5, R5\nBGT step\nMOVD R1, args_found(R0)\nRET")
}

// filterU16 takes a multiple of 8 entries; four of them are widened for the shuffle and narrowed again.
func (a *arm) filterU16() {
	a.fun("filterU16NEON", "16-bit entries under a limit, 8 at a time")
	a.filterArgs("H8")
	a.op("MOVD $wordBits<>(SB), R13\nVLD1 (R13), [V29.H8]")
	a.label("step")
	a.op("VLD1.P 16(R8), [V8.H8]")
	a.nextIDs("have")
	a.op("VMOV V9.B16, V10.B16")
	a.nextIDs("haveTwo")
	a.v("cmhi v20.8h, v28.8h, v8.8h\nand v20.16b, v20.16b, v29.16b\naddv h20, v20.8h")
	a.op("VMOV V20.S[0], R21\nCBZ R21, next\nVMOV V9.B16, V11.B16\nVMOV V10.B16, V9.B16")
	for half, widen := range []string{"ushll v22.4s, v8.4h, #0", "ushll2 v22.4s, v8.8h, #0"} {
		if half == 0 {
			a.op("AND $15, R21, R13")
		} else {
			a.op("LSR $4, R21, R13\nVMOV V11.B16, V9.B16")
		}
		a.v("%s", widen)
		a.keep(func() {
			a.v("tbl v22.16b, {v22.16b}, v21.16b\nxtn v22.4h, v22.4s")
			a.op("VST1 [V22.H4], (R6)\nADD R14<<1, R6, R6")
		})
	}
	a.label("next")
	a.op("SUBS $8, R5, R5\nBGT step\nMOVD R1, args_found(R0)\nRET")
}
