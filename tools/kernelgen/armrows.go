package main

// armRow is a kernel that makes one or two 32-bit numbers of each row, as rowKernel is on amd64: its frame walks the rows
// four at a time, a last group of less than four works on repeated rows and stores what counts.
type armRow struct {
	name, doc string
	weights   bool   // R7 is theirs, V30 holds the group's
	two       bool   // second results, at R7
	setup     func() // once per call; R1 is the query
	body      func() // leaves its results in the lanes of V0 and, with two, V1; may change R8 to R11
}

func (a *arm) rows(k armRow) {
	a.fun(k.name, k.doc)
	a.args("q", 1)
	if k.setup != nil {
		k.setup()
	}
	a.args("base", 2, "stride", 3, "ids", 4, "n", 5, "out", 6)
	if k.weights {
		a.args("w", 7)
	}
	if k.two {
		a.args("out2", 7)
	}
	a.args("list", 13)
	a.op("CBZ R13, group\nMOVD R13, R4\nMOVD $0, R2")

	a.label("group")
	if k.weights {
		a.zero(30)
	}
	a.op("CMP $4, R5\nBLT part\nCBZ R4, next\nCBZ R2, list")
	a.op("MOVWU 0(R4), R8\nMOVWU 4(R4), R9\nMOVWU 8(R4), R10\nMOVWU 12(R4), R11\nADD $16, R4")
	if k.weights {
		a.weights(4)
	}
	a.label("ids") // turns numbers into addresses
	for r := 8; r < 12; r++ {
		a.op("MADD R3, R2, R%d, R%d", r, r)
	}
	a.op("B work")

	a.label("list")
	a.op("MOVD 0(R4), R8\nMOVD 24(R4), R9\nMOVD 48(R4), R10\nMOVD 72(R4), R11\nADD $96, R4\nB work")

	a.label("next")
	a.op("MOVD R2, R8\nADD R3, R8, R9\nADD R3, R9, R10\nADD R3, R10, R11\nADD R3, R11, R2")
	if k.weights {
		a.op("CBZ R7, work\nVLD1.P 16(R7), [V30.S4]")
	}

	a.label("work")
	k.body()
	a.op("CMP $4, R5\nBLT few\nVST1.P [V0.S4], 16(R6)")
	if k.two {
		a.op("VST1.P [V1.S4], 16(R7)")
	}
	a.op("SUBS $4, R5, R5\nBNE group\nRET")

	a.label("few")
	a.store(0, k.two)
	a.op("CMP $2, R5\nBLT done")
	a.store(1, k.two)
	a.op("CMP $2, R5\nBEQ done")
	a.store(2, k.two)
	a.label("done")
	a.op("RET")
	a.part(k.weights)
}

// weights loads the weights of the first n of the rows that R8 to R11 number.
func (a *arm) weights(n int) {
	a.op("CBZ R7, ids")
	for i := range n {
		a.op("MOVW (R7)(R%d<<2), R13\nVMOV R13, V30.S[%d]", 8+i, i)
	}
}

func (a *arm) store(lane int, two bool) {
	a.op("VMOV V0.S[%d], R13\nMOVW R13, %d(R6)", lane, 4*lane)
	if two {
		a.op("VMOV V1.S[%d], R13\nMOVW R13, %d(R7)", lane, 4*lane)
	}
}

// part finds the rows of a group of 1 to 3.
func (a *arm) part(weights bool) {
	a.label("part")
	a.op("CBZ R4, partNext\nCBZ R2, partList")
	a.op("MOVWU 0(R4), R8\nMOVD R8, R9\nMOVD R8, R10\nMOVD R8, R11\nCMP $2, R5\nBLT partIDs\nMOVWU 4(R4), R9\nBEQ partIDs\nMOVWU 8(R4), R10")
	a.label("partIDs")
	if weights {
		a.weights(3)
	}
	a.op("B ids")
	a.label("partList")
	a.op("MOVD 0(R4), R8\nMOVD R8, R9\nMOVD R8, R10\nMOVD R8, R11\nCMP $2, R5\nBLT work\nMOVD 24(R4), R9\nBEQ work\nMOVD 48(R4), R10\nB work")
	a.label("partNext")
	a.op("MOVD R2, R8\nMOVD R8, R9\nMOVD R8, R10\nMOVD R8, R11\nCMP $2, R5\nBLT partWeights\nADD R3, R9\nBEQ partWeights\nADD R3, R9, R10")
	a.label("partWeights")
	if weights {
		a.op("CBZ R7, work\nMOVW 0(R7), R13\nVMOV R13, V30.S[0]\nCMP $2, R5\nBLT work")
		a.op("MOVW 4(R7), R13\nVMOV R13, V30.S[1]\nBEQ work\nMOVW 8(R7), R13\nVMOV R13, V30.S[2]")
	}
	a.op("B work")
}
