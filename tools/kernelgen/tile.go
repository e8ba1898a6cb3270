package main

import "fmt"

// tiles writes the products of several rows with several rows. A register of a row of one side serves all rows of the other.
func tiles(a *asm) {
	ones := make([]byte, 64)
	copy(ones[32:], fill(32, 0xff))
	a.bytes("tileLanes", ones)
	a.tile(avx2, 2)
	a.tile(avx512, 4)
}

// tile computes the products of up to na rows at q, R8 to R11 being four rows of the other side and SI, R12, R13, R14 those
// at q. Register na*4 of accumulators; then one for each row at q, then one for a row of the other side.
func (a *asm) tile(w width, na int) {
	lanes := w.bytes / 4
	rows := []string{"SI", "R12", "R13", "R14"}[:na]
	a.fun("tile"+w.name, fmt.Sprintf("inner products of %d by 4 rows", na))
	a.op("MOVQ args_dim(DI), CX\nANDL $%d, CX", lanes-1)
	if w.wide() {
		a.op("MOVL $1, BX\nSHLL CX, BX\nDECL BX\nKMOVW BX, K1")
	} else {
		a.op("LEAQ tileLanes<>(SB), AX\nVMOVUPS (AX)(CX*4), Y15")
	}
	a.op("MOVQ args_q(DI), SI\nMOVQ args_base(DI), R8\nMOVQ args_stride(DI), DX\nMOVQ args_n(DI), CX\nMOVQ args_out(DI), R15\nMOVQ args_m(DI), BX")
	for i := 1; i < na; i++ { // a row that is missing is the one before it
		a.op("MOVQ %s, %s\nCMPQ BX, $%d\nJLE rows%d\nADDQ DX, %s", rows[i-1], rows[i], i, i, rows[i])
		a.label(fmt.Sprintf("rows%d", i))
	}
	a.label("group")
	for i := 1; i < 4; i++ {
		a.op("MOVQ R%d, R%d\nCMPQ CX, $%d\nJLE others%d\nADDQ DX, R%d", 7+i, 8+i, i, i, 8+i)
		a.label(fmt.Sprintf("others%d", i))
	}
	for i := range na * 4 {
		a.zero(w, i)
	}
	a.op("XORL AX, AX\nMOVQ args_dim(DI), BX")
	a.label("step")
	a.op("CMPQ BX, $%d\nJLT tail", lanes)
	a.tileStep(w, rows, false)
	a.op("ADDQ $%d, AX\nSUBQ $%d, BX\nJMP step", w.bytes, lanes)
	a.label("tail")
	a.op("TESTQ BX, BX\nJZ sum")
	if !w.wide() {
		a.op("LEAQ -32(AX)(BX*4), AX")
	}
	a.tileStep(w, rows, true)
	a.label("sum")
	a.op("MOVQ R15, AX\nMOVQ args_step(DI), BX")
	for i := range na {
		a.sum4(w, true, 4*i, 4*na)
		a.op("CMPQ CX, $4\nJLT few%d\nVMOVUPS X%d, (AX)\nJMP row%d", i, 4*i, i)
		a.label(fmt.Sprintf("few%d", i))
		for j := range 3 {
			a.op("VEXTRACTPS $%d, X%d, %d(AX)\nCMPQ CX, $%d\nJEQ row%d", j, 4*i, 4*j, j+1, i)
		}
		a.label(fmt.Sprintf("row%d", i))
		if i+1 < na {
			a.op("LEAQ (AX)(BX*4), AX\nCMPQ args_m(DI), $%d\nJEQ next", i+1)
		}
	}
	a.label("next")
	a.op("ADDQ $16, R15\nLEAQ (R8)(DX*4), R8\nSUBQ $4, CX\nJG group\nVZEROUPPER\nRET")
}

func (a *asm) tileStep(w width, rows []string, tail bool) {
	load := func(base string, dst int) {
		switch {
		case tail && w.wide():
			a.op("VMOVUPS.Z (%s)(AX*1), K1, %s", base, w.r(dst))
		case tail:
			a.op("VANDPS (%s)(AX*1), Y15, %s", base, w.r(dst))
		default:
			a.op("VMOVUPS (%s)(AX*1), %s", base, w.r(dst))
		}
	}
	na := len(rows)
	for i, row := range rows {
		load(row, 4*na+i)
	}
	for j := range 4 {
		b := 5*na + j%2
		load(fmt.Sprintf("R%d", 8+j), b)
		for i := range rows {
			a.op("VFMADD231PS %s, %s, %s", w.r(b), w.r(4*na+i), w.r(4*i+j))
		}
	}
}
