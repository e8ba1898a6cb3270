package main

// rowKernel is a kernel that makes one or two 32-bit numbers of each row. Its frame walks the rows four at a time, whichever
// way they are named; a last group of less than four works on repeated rows and stores what counts.
//
// Registers: DI arguments, SI query, R8 to R11 the rows of a group, CX rows left, R15 results; DX, R12 and R13 name the next
// rows (base, stride, ids or list). The body may use AX and BX, and R14 unless there are two results. With weights, BX is
// theirs and X15 holds the group's.
type rowKernel struct {
	name, doc string
	weights   bool
	two       bool   // second results, at R14 bytes from the first
	setup     func() // once per call; may use all of AX, BX, CX
	body      func() // leaves its results in the lanes of X0 and, with two, X1
}

func (a *asm) rows(k rowKernel) {
	a.fun(k.name, k.doc)
	if k.setup != nil {
		k.setup()
	}
	a.op("MOVQ args_q(DI), SI\nMOVQ args_base(DI), DX\nMOVQ args_stride(DI), R12\nMOVQ args_ids(DI), R13")
	a.op("MOVQ args_n(DI), CX\nMOVQ args_out(DI), R15")
	if k.weights {
		a.op("MOVQ args_w(DI), BX")
	}
	if k.two {
		a.op("MOVQ args_out2(DI), R14\nSUBQ R15, R14")
	}
	a.op("CMPQ args_list(DI), $0\nJEQ group\nMOVQ args_list(DI), R13\nXORL DX, DX")

	a.label("group")
	if k.weights {
		a.op("VPXOR X15, X15, X15")
	}
	a.op("CMPQ CX, $4\nJLT part\nTESTQ R13, R13\nJZ next\nTESTQ DX, DX\nJZ list")
	a.op("MOVL 0(R13), R8\nMOVL 4(R13), R9\nMOVL 8(R13), R10\nMOVL 12(R13), R11\nADDQ $16, R13")
	if k.weights {
		a.op("TESTQ BX, BX\nJZ ids")
		a.op("VMOVD (BX)(R8*4), X15\nVPINSRD $1, (BX)(R9*4), X15, X15\nVPINSRD $2, (BX)(R10*4), X15, X15\nVPINSRD $3, (BX)(R11*4), X15, X15")
	}
	a.label("ids") // turns numbers into addresses
	a.op("IMULQ R12, R8\nIMULQ R12, R9\nIMULQ R12, R10\nIMULQ R12, R11")
	a.op("ADDQ DX, R8\nADDQ DX, R9\nADDQ DX, R10\nADDQ DX, R11\nJMP work")

	a.label("list")
	a.op("MOVQ 0(R13), R8\nMOVQ 24(R13), R9\nMOVQ 48(R13), R10\nMOVQ 72(R13), R11\nADDQ $96, R13\nJMP work")

	a.label("next")
	a.op("MOVQ DX, R8\nLEAQ (R8)(R12*1), R9\nLEAQ (R9)(R12*1), R10\nLEAQ (R10)(R12*1), R11\nLEAQ (R11)(R12*1), DX")
	if k.weights {
		a.op("TESTQ BX, BX\nJZ work\nVMOVDQU (BX), X15\nADDQ $16, BX")
	}

	a.label("work")
	k.body()
	a.op("CMPQ CX, $4\nJLT few\nVMOVUPS X0, (R15)")
	if k.two {
		a.op("VMOVUPS X1, (R15)(R14*1)")
	}
	a.op("ADDQ $16, R15\nSUBQ $4, CX\nJNZ group\nVZEROUPPER\nRET")

	a.label("few")
	a.store(0, k.two)
	a.op("CMPQ CX, $2\nJLT done")
	a.store(1, k.two)
	a.op("CMPQ CX, $2\nJEQ done")
	a.store(2, k.two)
	a.label("done")
	a.op("VZEROUPPER\nRET")
	a.part(k.weights)
}

func (a *asm) store(lane int, two bool) {
	a.op("VEXTRACTPS $%d, X0, %d(R15)", lane, 4*lane)
	if two {
		a.op("VEXTRACTPS $%d, X1, %d(R15)(R14*1)", lane, 4*lane)
	}
}

// part finds the rows of a group of 1 to 3.
func (a *asm) part(weights bool) {
	a.label("part")
	a.op("TESTQ R13, R13\nJZ partNext\nTESTQ DX, DX\nJZ partList")
	a.op("MOVL 0(R13), R8\nMOVL R8, R9\nMOVL R8, R10\nMOVL R8, R11\nCMPQ CX, $2\nJLT partIDs\nMOVL 4(R13), R9\nJEQ partIDs\nMOVL 8(R13), R10")
	a.label("partIDs")
	if weights {
		a.op("TESTQ BX, BX\nJZ ids")
		a.op("VMOVD (BX)(R8*4), X15\nVPINSRD $1, (BX)(R9*4), X15, X15\nVPINSRD $2, (BX)(R10*4), X15, X15")
	}
	a.op("JMP ids")
	a.label("partList")
	a.op("MOVQ 0(R13), R8\nMOVQ R8, R9\nMOVQ R8, R10\nMOVQ R8, R11\nCMPQ CX, $2\nJLT work\nMOVQ 24(R13), R9\nJEQ work\nMOVQ 48(R13), R10\nJMP work")
	a.label("partNext")
	a.op("MOVQ DX, R8\nMOVQ R8, R9\nMOVQ R8, R10\nMOVQ R8, R11\nCMPQ CX, $2\nJLT partWeights\nADDQ R12, R9\nCMPQ CX, $2\nJEQ partWeights\nLEAQ (R9)(R12*1), R10")
	a.label("partWeights")
	if weights {
		a.op("TESTQ BX, BX\nJZ work\nVMOVD 0(BX), X15\nCMPQ CX, $2\nJLT work\nVPINSRD $1, 4(BX), X15, X15\nCMPQ CX, $2\nJEQ work\nVPINSRD $2, 8(BX), X15, X15")
	}
	a.op("JMP work")
}
