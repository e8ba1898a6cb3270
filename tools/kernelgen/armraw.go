package main

import "fmt"

// armRaws writes the kernels on raw vectors, 8 components at a time, and the decoders. Rows have at least 8 components: what
// is left behind the last whole step is the end of a step over the last 8, whose first lanes are masked away.
func armRaws(a *arm) {
	a.lastMask("lastLanes", 32)
	for _, e := range elems {
		for _, op := range []string{"L2", "IP", "IPNorm"} {
			a.raw(e, op)
		}
		if e.name != "F32" {
			a.decode(e)
		}
	}
}

// load converts the next 8 components at register r into floats in registers dst and dst+1.
func (a *arm) load(e elem, r, dst int) {
	switch e.name {
	case "F32":
		a.op("VLD1.P 32(R%d), [V%d.S4, V%d.S4]", r, dst, dst+1)
	case "F16":
		a.op("VLD1.P 16(R%d), [V%d.H8]", r, dst)
		a.v("fcvtl2 v%d.4s, v%d.8h\nfcvtl v%d.4s, v%d.4h", dst+1, dst, dst, dst)
	case "BF16":
		a.op("VLD1.P 16(R%d), [V%d.H8]", r, dst)
		a.v("shll2 v%d.4s, v%d.8h, #16\nshll v%d.4s, v%d.4h, #16", dst+1, dst, dst, dst)
	case "I8":
		a.op("VLD1.P 8(R%d), [V%d.B8]", r, dst)
		a.v("sshll v%d.8h, v%d.8b, #0\nsshll2 v%d.4s, v%d.8h, #0\nsshll v%d.4s, v%d.4h, #0", dst, dst, dst+1, dst, dst, dst)
		a.v("scvtf v%d.4s, v%d.4s\nscvtf v%d.4s, v%d.4s", dst, dst, dst+1, dst+1)
	}
}

func shiftOf(size int) int { return map[int]int{1: 0, 2: 1, 4: 2}[size] }

// raw writes one kernel. R14 walks the query, R15 counts the components left. Accumulators of the first and the second half
// of a step: V0 to V3 and V4 to V7, or V16 to V19 where V4 to V7 and V20 to V23 sum squares.
func (a *arm) raw(e elem, op string) {
	k := armRow{name: "raw" + op + e.name + "NEON", two: op == "IPNorm"}
	k.doc = op + " of rows of " + e.name + ", 8 components at a time"
	high, rows, used := 4, [4]int{16, 18, 20, 22}, []int{0, 1, 2, 3, 4, 5, 6, 7}
	if k.two {
		high, rows = 16, [4]int{10, 12, 14, 24}
		used = append(used, 16, 17, 18, 19, 20, 21, 22, 23)
	}
	k.setup = func() {
		a.args("dim", 13)
		a.op("AND $7, R13\nMOVD $lastLanes<>(SB), R14\nADD R13<<2, R14\nVLD1 (R14), [V28.S4, V29.S4]")
	}
	step := func(tail bool) {
		mask := func(r int) {
			if tail {
				a.v("and v%d.16b, v%d.16b, v28.16b\nand v%d.16b, v%d.16b, v29.16b", r, r, r+1, r+1)
			}
		}
		a.load(elems[0], 14, 8)
		mask(8)
		for i, r := range rows {
			a.load(e, 8+i, r)
			mask(r)
		}
		for i, r := range rows {
			if op == "L2" {
				a.v("fsub v%d.4s, v%d.4s, v8.4s\nfsub v%d.4s, v%d.4s, v9.4s", r, r, r+1, r+1)
				a.v("fmla v%d.4s, v%d.4s, v%d.4s\nfmla v%d.4s, v%d.4s, v%d.4s", i, r, r, high+i, r+1, r+1)
				continue
			}
			a.v("fmla v%d.4s, v%d.4s, v8.4s\nfmla v%d.4s, v%d.4s, v9.4s", i, r, high+i, r+1)
			if k.two {
				a.v("fmla v%d.4s, v%d.4s, v%d.4s\nfmla v%d.4s, v%d.4s, v%d.4s", 4+i, r, r, 20+i, r+1, r+1)
			}
		}
	}
	k.body = func() {
		a.zero(used...)
		a.op("MOVD R1, R14")
		a.args("dim", 15)
		a.op("SUB $8, R15")
		a.label("step")
		step(false)
		a.op("SUBS $8, R15, R15\nBGE step\nADDS $8, R15, R15\nBEQ sum")
		a.op("SUB $8, R15\nADD R15<<2, R14, R14") // back to the last 8
		for r := 8; r < 12; r++ {
			a.op("ADD R15<<%d, R%d, R%d", shiftOf(e.size), r, r)
		}
		step(true)
		a.label("sum")
		for i := range 4 {
			a.v("fadd v%d.4s, v%d.4s, v%d.4s", i, i, high+i)
			if k.two {
				a.v("fadd v%d.4s, v%d.4s, v%d.4s", 4+i, 4+i, 20+i)
			}
		}
		a.sum4(true, 0)
		if k.two {
			a.sum4(true, 4)
			a.op("VMOV V4.B16, V1.B16")
		}
	}
	a.rows(k)
}

// decode writes the function that turns components into floats; the last step does some of them again.
func (a *arm) decode(e elem) {
	a.fun("decode"+e.name+"NEON", fmt.Sprintf("floats of %s, 8 at a time", e.name))
	a.args("base", 8, "dim", 15, "out", 6)
	a.op("SUB $8, R15")
	a.label("step")
	a.load(e, 8, 0)
	a.op("VST1.P [V0.S4, V1.S4], 32(R6)\nSUBS $8, R15, R15\nBGE step\nADDS $8, R15, R15\nBEQ done")
	a.op("SUB $8, R15\nADD R15<<2, R6, R6\nADD R15<<%d, R8, R8", shiftOf(e.size))
	a.load(e, 8, 0)
	a.op("VST1 [V0.S4, V1.S4], (R6)")
	a.label("done")
	a.op("RET")
}
