package main

import "fmt"

// filters writes the kernels that keep the entries under or over a limit.
func filters(a *asm) {
	for _, f := range []struct{ name, cmp256, cmp512 string }{
		{"filterI32", "VPCMPGTD Y0, Y8, Y1", "VPCMPD $1, Z8, Z0, K2"},
		{"filterLess", "VCMPPS $17, Y8, Y0, Y1", "VCMPPS $17, Z8, Z0, K2"},
		{"filterGreater", "VCMPPS $30, Y8, Y0, Y1", "VCMPPS $30, Z8, Z0, K2"},
	} {
		a.filter256(f.name+"AVX2", 4, f.cmp256)
		a.filter512(f.name+"AVX512", f.cmp512)
	}
	a.filter256("filterU16AVX2", 2, "VPMINUW Y0, Y8, Y1\nVPCMPEQW Y1, Y0, Y1")
	a.filterU16()
}

// filterArgs: R8 distances, R13 ids or 0, CX entries, R15 and R14 results, BX entries kept, AX entry.
func (a *asm) filterArgs() {
	a.op("MOVQ args_base(DI), R8\nMOVQ args_ids(DI), R13\nMOVQ args_n(DI), CX\nMOVQ args_out(DI), R15\nMOVQ args_out2(DI), R14\nXORL AX, AX\nXORL BX, BX")
}

// keep stores the entries whose bits are set in R9, shift bits for each, one by one: few entries pass a filter that is
// worth its call. R10 and R11 are spoiled.
func (a *asm) keep(size, shift int) {
	a.label("keep")
	a.op("TESTQ R9, R9\nJZ kept")
	a.op("BSFQ R9, R10\nLEAQ -1(R9), R11\nANDQ R11, R9")
	if shift > 0 {
		a.op("SHRQ $%d, R10", shift)
	}
	a.op("ADDQ AX, R10")
	if size == 2 {
		a.op("MOVWLZX (R8)(R10*2), R11\nMOVW R11, (R15)(BX*2)")
	} else {
		a.op("MOVL (R8)(R10*4), R11\nMOVL R11, (R15)(BX*4)")
	}
	a.op("TESTQ R13, R13\nJZ number\nMOVL (R13)(R10*4), R10\nJMP put")
	a.label("number")
	a.op("ADDL args_first(DI), R10")
	a.label("put")
	a.op("MOVL R10, (R14)(BX*4)\nINCQ BX\nJMP keep")
	a.label("kept")
}

// filter256 takes a multiple of 32/size entries. The limit of 16 bits is at least 1.
func (a *asm) filter256(name string, size int, cmp string) {
	a.fun(name, fmt.Sprintf("entries on one side of a limit, %d at a time", 32/size))
	a.filterArgs()
	if size == 2 {
		a.op("MOVL args_bias(DI), DX\nDECL DX\nVMOVD DX, X8\nVPBROADCASTW X8, Y8")
	} else {
		a.op("VPBROADCASTD args_bias(DI), Y8")
	}
	a.label("step")
	a.op("VMOVDQU (R8)(AX*%d), Y0", size)
	a.op("%s", cmp)
	shift := 0
	if size == 2 {
		shift = 1
		a.op("VPMOVMSKB Y1, R9\nANDL $0x55555555, R9")
	} else {
		a.op("VMOVMSKPS Y1, R9")
	}
	a.keep(size, shift)
	a.op("ADDQ $%d, AX\nCMPQ AX, CX\nJLT step\nMOVQ BX, args_found(DI)\nVZEROUPPER\nRET", 32/size)
}

// filter512 compresses 16 entries. A whole register may be stored, because no more entries were kept than were looked at;
// the last entries are stored by mask.
func (a *asm) filter512(name, cmp string) {
	a.fun(name, "entries on one side of a limit, 16 at a time")
	a.filterArgs()
	a.op("VPBROADCASTD args_bias(DI), Z8\nVPBROADCASTD args_first(DI), Z9\nVPADDD iota<>(SB), Z9, Z9")
	a.op("MOVL $16, DX\nVPBROADCASTD DX, Z10\nKXNORW K1, K1, K1")
	a.label("step")
	a.op("SUBQ $16, CX\nJLT tail\nVMOVDQU32 (R8)(AX*4), Z0")
	a.op("%s\nKMOVW K2, R9\nTESTL R9, R9\nJZ next\nPOPCNTL R9, R10", cmp)
	a.op("VMOVDQA32 Z9, Z1\nTESTQ R13, R13\nJZ have\nVMOVDQU32 (R13)(AX*4), Z1")
	a.label("have")
	a.op("VPCOMPRESSD.Z Z0, K2, Z0\nVPCOMPRESSD.Z Z1, K2, Z1\nVMOVDQU32 Z0, (R15)(BX*4)\nVMOVDQU32 Z1, (R14)(BX*4)\nADDQ R10, BX")
	a.label("next")
	a.op("VPADDD Z10, Z9, Z9\nADDQ $16, AX\nJMP step")
	a.label("tail")
	a.op("ADDQ $16, CX\nJZ done\nMOVL $1, DX\nSHLL CX, DX\nDECL DX\nKMOVW DX, K1\nVMOVDQU32.Z (R8)(AX*4), K1, Z0")
	a.op("%s\nKANDW K1, K2, K2\nKMOVW K2, R9\nPOPCNTL R9, R10", cmp)
	a.op("VMOVDQA32 Z9, Z1\nTESTQ R13, R13\nJZ haveTail\nVMOVDQU32.Z (R13)(AX*4), K1, Z1")
	a.label("haveTail")
	a.op("VPCOMPRESSD Z0, K2, (R15)(BX*4)\nVPCOMPRESSD Z1, K2, (R14)(BX*4)\nADDQ R10, BX")
	a.label("done")
	a.op("MOVQ BX, args_found(DI)\nVZEROUPPER\nRET")
}

// filterU16 compares 32 entries.
func (a *asm) filterU16() {
	a.fun("filterU16AVX512", "entries on one side of a limit, 32 at a time")
	a.filterArgs()
	a.op("MOVL args_bias(DI), DX\nVPBROADCASTW DX, Z8\nMOVL $-1, DX\nKMOVD DX, K1")
	a.label("step")
	a.op("MOVQ CX, DX\nSUBQ AX, DX\nJLE done\nCMPQ DX, $32\nJGE load\nMOVQ CX, R12\nMOVQ DX, CX\nMOVL $1, DX\nSHLL CX, DX\nDECL DX\nKMOVD DX, K1\nMOVQ R12, CX")
	a.label("load")
	a.op("VMOVDQU16.Z (R8)(AX*2), K1, Z0\nVPCMPUW $1, Z8, Z0, K1, K2\nKMOVD K2, R9")
	a.keep(2, 0)
	a.op("ADDQ $32, AX\nJMP step")
	a.label("done")
	a.op("MOVQ BX, args_found(DI)\nVZEROUPPER\nRET")
}
