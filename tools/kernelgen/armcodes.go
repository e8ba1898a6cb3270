package main

// armCodes writes the kernels on integer codes and exact signed bytes, without and with the instructions for dot products,
// and prefetch.
func armCodes(a *arm) {
	a.lastMask("lastBytes", 16)
	for _, dot := range []bool{false, true} {
		name := "NEON"
		if dot {
			name = "DOT"
		}
		a.sq8(name, dot)
		a.u4(name, dot)
		for _, op := range []string{"L2", "IP", "IPNorm"} {
			a.i8(name, op, dot)
		}
	}
	a.prefetch()
}

// mulAdd adds the products of the 16 bytes of registers x and y to the 32-bit lanes of acc: s signed, u unsigned bytes.
func (a *arm) mulAdd(kind string, dot bool, x, y, acc int) {
	if dot {
		a.v("%sdot v%d.4s, v%d.16b, v%d.16b", kind, acc, x, y)
		return
	}
	a.v("%smull v24.8h, v%d.8b, v%d.8b\n%smull2 v25.8h, v%d.16b, v%d.16b", kind, x, y, kind, x, y)
	a.v("%sadalp v%d.4s, v24.8h\n%sadalp v%d.4s, v25.8h", kind, acc, kind, acc)
}

// finishCode turns the sums of V0 to V3 into V30 + V31 - 2*sum.
func (a *arm) finishCode() {
	a.sum4(false, 0)
	a.v("shl v0.4s, v0.4s, #1\nadd v30.4s, v30.4s, v31.4s\nsub v0.4s, v30.4s, v0.4s")
}

// sq8 multiplies signed bytes: the inner product of q and u is that of q and u-128 plus 128*sum(q), which goes into what is
// added to all results.
func (a *arm) sq8(name string, dot bool) {
	a.rows(armRow{
		name: "sq8" + name, doc: "inner products of signed bytes and codes", weights: true,
		setup: func() {
			a.zero(0)
			a.op("MOVD R1, R14")
			a.args("dim", 15)
			a.label("total")
			a.op("VLD1.P 16(R14), [V1.B16]")
			a.v("saddlp v1.8h, v1.16b\nsadalp v0.4s, v1.8h")
			a.op("SUBS $16, R15, R15\nBGT total\nVMOVI $128, V29.B16")
			a.v("addv s0, v0.4s")
			a.op("VMOV V0.S[0], R14\nMOVW args_bias(R0), R13\nSUB R14<<8, R13, R13\nVDUP R13, V31.S4")
		},
		body: func() {
			a.zero(0, 1, 2, 3, 4, 5, 6, 7)
			a.op("MOVD R1, R14")
			a.args("dim", 15)
			a.label("line")
			a.op("VLD1.P 64(R14), [V8.B16, V9.B16, V10.B16, V11.B16]")
			for i := range 4 {
				a.op("VLD1.P 64(R%d), [V16.B16, V17.B16, V18.B16, V19.B16]", 8+i)
				for j := range 4 {
					a.v("eor v%d.16b, v%d.16b, v29.16b", 16+j, 16+j)
				}
				for j := range 4 {
					a.mulAdd("s", dot, 16+j, 8+j, i+j%2*4)
				}
			}
			a.op("SUBS $64, R15, R15\nBGT line")
			for i := range 4 {
				a.v("add v%d.4s, v%d.4s, v%d.4s", i, i, 4+i)
			}
			a.finishCode()
		},
	})
}

// u4 keeps sums of 16 products of at most 15*128 in 16 bits where there are no dot products.
func (a *arm) u4(name string, dot bool) {
	a.rows(armRow{
		name: "u4" + name, doc: "inner products of signed bytes and 4-bit codes", weights: true,
		setup: func() { a.op("VMOVI $15, V29.B16\nMOVW args_bias(R0), R13\nVDUP R13, V31.S4") },
		body: func() {
			a.zero(0, 1, 2, 3)
			a.op("MOVD R1, R14")
			a.args("dim", 15)
			a.label("line")
			a.op("VLD1.P 64(R14), [V8.B16, V9.B16, V10.B16, V11.B16]\nVLD1.P 64(R14), [V12.B16, V13.B16, V14.B16, V15.B16]")
			for i := range 4 {
				a.op("VLD1.P 64(R%d), [V16.B16, V17.B16, V18.B16, V19.B16]", 8+i)
				for j := range 4 {
					a.v("and v%d.16b, v%d.16b, v29.16b\nushr v%d.16b, v%d.16b, #4", 20+j, 16+j, 16+j, 16+j)
				}
				mul := "smull"
				for j := range 8 {
					q, c := 8+j, 20+j // lower halves
					if j >= 4 {
						c = 16 + j - 4
					}
					if dot {
						a.v("sdot v%d.4s, v%d.16b, v%d.16b", i, c, q)
						continue
					}
					a.v("%s v24.8h, v%d.8b, v%d.8b\nsmlal2 v24.8h, v%d.16b, v%d.16b", mul, c, q, c, q)
					mul = "smlal"
				}
				if !dot {
					a.v("sadalp v%d.4s, v24.8h", i)
				}
			}
			a.op("SUBS $64, R15, R15\nBGT line")
			a.finishCode()
		},
	})
}

// i8 multiplies bytes; the absolute difference of two signed bytes is an unsigned one. Rows have at least 16 bytes.
func (a *arm) i8(name, op string, dot bool) {
	k := armRow{name: "i8" + op + name, doc: "exact " + op + " of signed bytes", two: op == "IPNorm"}
	k.setup = func() {
		a.args("dim", 13)
		a.op("AND $15, R13\nMOVD $lastBytes<>(SB), R14\nADD R13, R14\nVLD1 (R14), [V28.B16]")
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
			switch r := 16 + i; op {
			case "L2":
				a.v("sabd v%d.16b, v%d.16b, v8.16b", r, r)
				a.mulAdd("u", dot, r, r, i)
			case "IPNorm":
				a.mulAdd("s", dot, r, r, 4+i)
				fallthrough
			case "IP":
				a.mulAdd("s", dot, r, 8, i)
			}
		}
	}
	k.body = func() {
		a.zero(0, 1, 2, 3, 4, 5, 6, 7)
		a.overlapping(step)
		a.sum4(false, 0)
		if k.two {
			a.sum4(false, 4)
			a.op("VMOV V4.B16, V1.B16")
		}
	}
	a.rows(k)
}

// overlapping walks rows of at least 16 bytes 16 at a time; the last step is told that it goes over bytes that were done.
func (a *arm) overlapping(step func(tail bool)) {
	a.op("MOVD R1, R14")
	a.args("dim", 15)
	a.op("SUB $16, R15")
	a.label("step")
	step(false)
	a.op("SUBS $16, R15, R15\nBGE step\nADDS $16, R15, R15\nBEQ sum\nSUB $16, R15\nADD R15, R14")
	for r := 8; r < 12; r++ {
		a.op("ADD R15, R%d", r)
	}
	step(true)
	a.label("sum")
}

// prefetch asks for the first dim lines of each row, by ids or, without them, of the one at base.
func (a *arm) prefetch() {
	a.fun("prefetchARM64", "asks for the first lines of rows")
	a.args("base", 2, "stride", 3, "ids", 4, "n", 5, "dim", 6)
	a.op("MOVD R2, R8\nCBZ R4, lines")
	a.label("row")
	a.op("MOVWU (R4), R8\nMADD R3, R2, R8, R8")
	a.label("lines")
	a.op("MOVD R6, R15")
	a.label("line")
	a.op("PRFM (R8), PLDL1KEEP\nADD $64, R8\nSUBS $1, R15, R15\nBGT line\nADD $4, R4\nSUBS $1, R5, R5\nBGT row\nRET")
}
