package main

// armBits writes the kernels that count bits.
func armBits(a *arm) {
	a.lastMask("lastBytes", 16)
	a.binary("hammingNEON", false)
	a.binary("andOrNEON", true)
	a.bits4()
}

// count adds the set bits of register r to the 32-bit lanes of acc.
func (a *arm) count(r, acc int) {
	a.v("cnt v%d.16b, v%d.16b\nuaddlp v%d.8h, v%d.16b\nuadalp v%d.4s, v%d.8h", r, r, r, r, acc, r)
}

// binary counts the bits that differ, or those in both and those in either. Rows have at least 16 bytes.
func (a *arm) binary(name string, two bool) {
	doc := "number of bits that differ"
	if two {
		doc = "numbers of bits set in both and in either"
	}
	step := func(tail bool) {
		a.op("VLD1.P 16(R14), [V8.B16]")
		for i := range 4 {
			a.op("VLD1.P 16(R%d), [V%d.B16]", 8+i, 16+i)
		}
		if tail {
			for _, r := range []int{8, 16, 17, 18, 19} {
				a.v("and v%d.16b, v%d.16b, v28.16b", r, r)
			}
		}
		for i := range 4 {
			if two {
				a.v("orr v%d.16b, v%d.16b, v8.16b\nand v%d.16b, v%d.16b, v8.16b", 20+i, 16+i, 16+i, 16+i)
				a.count(20+i, 4+i)
			} else {
				a.v("eor v%d.16b, v%d.16b, v8.16b", 16+i, 16+i)
			}
			a.count(16+i, i)
		}
	}
	a.rows(armRow{
		name: name, doc: doc, two: two,
		setup: func() {
			a.args("dim", 13)
			a.op("AND $15, R13\nMOVD $lastBytes<>(SB), R14\nADD R13, R14\nVLD1 (R14), [V28.B16]")
		},
		body: func() {
			a.zero(0, 1, 2, 3, 4, 5, 6, 7)
			a.overlapping(step)
			a.sum4(false, 0)
			if two {
				a.sum4(false, 4)
				a.op("VMOV V4.B16, V1.B16")
			}
		},
	})
}

// bits4 sums the bits of a row under four planes of the query: at most 8*15 for each byte. Rows are multiples of 8 bytes.
func (a *arm) bits4() {
	step := func(size int) {
		for p, r := range []int{14, 19, 20, 21} {
			a.op("VLD1.P %d(R%d), [V%d.B%d]", size, r, 8+p, size)
		}
		for i := range 4 {
			a.op("VLD1.P %d(R%d), [V16.B%d]", size, 8+i, size)
			for p := range 4 {
				a.v("and v%d.16b, v16.16b, v%d.16b\ncnt v%d.16b, v%d.16b", 20+p, 8+p, 20+p, 20+p)
			}
			for p := 2; p >= 0; p-- { // twice the planes above, and this one
				a.v("add v23.16b, v23.16b, v23.16b\nadd v23.16b, v23.16b, v%d.16b", 20+p)
			}
			a.v("uaddlp v23.8h, v23.16b\nuadalp v%d.4s, v23.8h", i)
		}
	}
	a.rows(armRow{
		name: "bits4NEON", doc: "inner products of 4-bit queries and 1-bit codes",
		body: func() {
			a.zero(0, 1, 2, 3)
			a.args("dim", 15)
			a.op("MOVD R1, R14\nADD R15, R14, R19\nADD R15, R19, R20\nADD R15, R20, R21\nSUBS $16, R15, R15\nBLT tail")
			a.label("step")
			step(16)
			a.op("SUBS $16, R15, R15\nBGE step")
			a.label("tail")
			a.op("ADDS $16, R15, R15\nBEQ sum")
			step(8)
			a.label("sum")
			a.sum4(false, 0)
		},
	})
}
