package main

import "fmt"

// armTile writes the products of up to four rows at the query with rows at the base, four at a time: 16 accumulators, V0 to
// V15. The rows of the query are R1, R19, R20 and R21, with copies in R12, R14, R16 and R17 that walk. Rows have at least 4
// components; V28 masks the last.
func armTile(a *arm) {
	a.lastMask("lastLanes", 16)
	heads, walk := []int{1, 19, 20, 21}, []int{12, 14, 16, 17}
	a.fun("tileNEON", "inner products of 4 by 4 rows")
	a.args("dim", 13)
	a.op("AND $3, R13\nMOVD $lastLanes<>(SB), R14\nADD R13<<2, R14\nVLD1 (R14), [V28.S4]")
	a.args("q", 1, "base", 2, "stride", 3, "n", 5, "out", 6, "m", 7, "step", 4)
	for i := 1; i < 4; i++ { // a row that is missing is the one before it
		a.op("MOVD R%d, R%d\nCMP $%d, R7\nBLE rows%d\nADD R3, R%d", heads[i-1], heads[i], i, i, heads[i])
		a.label(fmt.Sprintf("rows%d", i))
	}
	a.label("group")
	a.op("MOVD R2, R8")
	for i := 1; i < 4; i++ {
		a.op("MOVD R%d, R%d\nCMP $%d, R5\nBLE others%d\nADD R3, R%d", 7+i, 8+i, i, i, 8+i)
		a.label(fmt.Sprintf("others%d", i))
	}
	for i := range 4 {
		a.zero(4*i, 4*i+1, 4*i+2, 4*i+3)
		a.op("MOVD R%d, R%d", heads[i], walk[i])
	}
	a.args("dim", 15)
	a.op("SUB $4, R15")
	step := func(tail bool) {
		for i := range 4 {
			a.op("VLD1.P 16(R%d), [V%d.S4]\nVLD1.P 16(R%d), [V%d.S4]", walk[i], 16+i, 8+i, 20+i)
			if tail {
				a.v("and v%d.16b, v%d.16b, v28.16b\nand v%d.16b, v%d.16b, v28.16b", 16+i, 16+i, 20+i, 20+i)
			}
		}
		for j := range 4 {
			for i := range 4 {
				a.v("fmla v%d.4s, v%d.4s, v%d.4s", 4*i+j, 16+i, 20+j)
			}
		}
	}
	a.label("step")
	step(false)
	a.op("SUBS $4, R15, R15\nBGE step\nADDS $4, R15, R15\nBEQ sum\nSUB $4, R15")
	for i := range 4 {
		a.op("ADD R15<<2, R%d, R%d\nADD R15<<2, R%d, R%d", walk[i], walk[i], 8+i, 8+i)
	}
	step(true)
	a.label("sum")
	a.op("MOVD R6, R15")
	for i := range 4 {
		a.sum4(true, 4*i)
		a.op("CMP $4, R5\nBLT few%d\nVST1 [V%d.S4], (R15)\nB row%d", i, 4*i, i)
		a.label(fmt.Sprintf("few%d", i))
		for j := range 3 {
			a.op("VMOV V%d.S[%d], R13\nMOVW R13, %d(R15)", 4*i, j, 4*j)
			if j < 2 {
				a.op("CMP $%d, R5\nBEQ row%d", j+1, i)
			}
		}
		a.label(fmt.Sprintf("row%d", i))
		if i < 3 {
			a.op("ADD R4<<2, R15, R15\nCMP $%d, R7\nBEQ next", i+1)
		}
	}
	a.label("next")
	a.op("ADD $16, R6\nADD R3<<2, R2, R2\nSUBS $4, R5, R5\nBGT group\nRET")
}
