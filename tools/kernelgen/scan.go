package main

import "fmt"

// scans writes the kernels that walk blocks and lists rather than rows: those of 4-bit product quantisers, and filters.
func scans(a *asm) {
	var transpose, tables []byte
	for i := range 64 {
		transpose = append(transpose, byte(i%4*16+i/4))
		tables = append(tables, byte(i%4*16))
	}
	a.bytes("nibbles", fill(16, 0x0f))
	a.bytes("transpose", transpose) // byte i of sub-quantiser s goes to byte 4*i+s
	a.bytes("tableOf", tables)      // where in 64 bytes the table of sub-quantiser s begins
	a.bytes("byteOnes", fill(16, 1))
	a.bytes("iota", iota32(16))
	a.pq4(avx2)
	a.pq4(avx512)
	a.pq4VBMI("pq4VBMI", false)
	a.pq4VBMI("pq4WideVBMI", true)
	for _, w := range []width{avx2, avx512} {
		a.pq4Table(w, "L2")
		a.pq4Table(w, "IP")
	}
	a.tableSpan()
	a.tableBytes()
	filters(a)
}

func iota32(n int) []byte {
	out := make([]byte, 4*n)
	for i := range n {
		out[4*i] = byte(i)
	}
	return out
}

// pq4 looks 16-byte tables up with VPSHUFB, a sub-quantiser per 128 bits. Bytes are added up as words: register 0 holds
// even + 256*odd of vectors 0 to 15, register 1 their odd ones alone, registers 2 and 3 the same of vectors 16 to 31.
func (a *asm) pq4(w width) {
	a.fun("pq4"+w.name, fmt.Sprintf("sums of looked up bytes, %d sub-quantisers at a time", w.bytes/16))
	a.op("MOVQ args_q(DI), SI\nMOVQ args_base(DI), R8\nMOVQ args_stride(DI), R12\nMOVQ args_n(DI), CX\nMOVQ args_out(DI), R15\nMOVQ args_dim(DI), R13\nSHLQ $4, R13")
	mov := "VMOVDQU"
	if w.wide() {
		mov = "VMOVDQU64"
		a.op("VBROADCASTI32X4 nibbles<>(SB), Z14")
		a.op("MOVQ CX, BX\nMOVQ R13, CX\nANDL $63, CX\nSHRL $3, CX\nMOVL $1, DX\nSHLL CX, DX\nDECL DX\nKMOVW DX, K1\nMOVQ BX, CX")
	} else {
		a.op("VBROADCASTI128 nibbles<>(SB), Y14")
	}
	step := func(reg, mask string) {
		z, m := "", ""
		if mask != "" {
			z, m = ".Z", mask+", "
		}
		a.op("%s%s (R8)(AX*1), %s%s5\n%s%s (SI)(AX*1), %s%s6", mov, z, m, reg, mov, z, m, reg)
		a.op("VPSRLW $4, %s, %s\n%s %s, %s, %s\n%s %s, %s, %s", w.r(5), w.r(7), and(w), w.r(14), w.r(5), w.r(5), and(w), w.r(14), w.r(7), w.r(7))
		a.op("VPSHUFB %s, %s, %s\nVPSHUFB %s, %s, %s", w.r(5), w.r(6), w.r(5), w.r(7), w.r(6), w.r(7))
		a.op("VPADDW %s, %s, %s\nVPSRLW $8, %s, %s\nVPADDW %s, %s, %s", w.r(5), w.r(0), w.r(0), w.r(5), w.r(5), w.r(5), w.r(1), w.r(1))
		a.op("VPADDW %s, %s, %s\nVPSRLW $8, %s, %s\nVPADDW %s, %s, %s", w.r(7), w.r(2), w.r(2), w.r(7), w.r(7), w.r(7), w.r(3), w.r(3))
	}
	a.label("block")
	a.zero(w, 0, 1, 2, 3)
	a.op("XORL AX, AX\nMOVQ R13, BX")
	a.label("step")
	a.op("CMPQ BX, $%d\nJLT tail", w.bytes)
	step(w.reg, "")
	a.op("ADDQ $%d, AX\nSUBQ $%d, BX\nJMP step", w.bytes, w.bytes)
	a.label("tail")
	a.op("TESTQ BX, BX\nJZ sum")
	if w.wide() {
		step("Z", "K1")
	} else {
		step("X", "") // one sub-quantiser; the other's table is zero
	}
	a.label("sum")
	for _, r := range []int{0, 2} {
		for _, i := range []int{r, r + 1} {
			if w.wide() {
				a.op("VEXTRACTI64X4 $1, Z%d, Y5\nVPADDW Y5, Y%d, Y%d", i, i, i)
			}
			a.op("VEXTRACTI128 $1, Y%d, X5\nVPADDW X5, X%d, X%d", i, i, i)
		}
		a.op("VPSLLW $8, X%d, X5\nVPSUBW X5, X%d, X%d", r+1, r, r)
		a.op("VPUNPCKLWD X%d, X%d, X5\nVPUNPCKHWD X%d, X%d, X6\nVMOVDQU X5, %d(R15)\nVMOVDQU X6, %d(R15)", r+1, r, r+1, r, 16*r, 16*r+16)
	}
	a.op("ADDQ $64, R15\nADDQ R12, R8\nDECQ CX\nJNZ block\nVZEROUPPER\nRET")
}

// pq4VBMI brings the codes of a vector for four sub-quantisers together, so that VPDPBUSD adds them up in 32 bits. It works
// on two blocks while there are two: their sums do not wait for each other, and a table is loaded once.
func (a *asm) pq4VBMI(name string, wide bool) {
	a.fun(name, "sums of looked up bytes, 4 sub-quantisers and 2 blocks at a time")
	a.op("MOVQ args_dim(DI), CX\nANDL $3, CX\nADDL CX, CX\nMOVL $1, DX\nSHLL CX, DX\nDECL DX\nKMOVW DX, K1")
	a.op("MOVQ args_q(DI), SI\nMOVQ args_base(DI), R8\nMOVQ args_stride(DI), R12\nMOVQ args_n(DI), CX\nMOVQ args_out(DI), R15")
	a.op("VBROADCASTI32X4 nibbles<>(SB), Z31\nVBROADCASTI32X4 byteOnes<>(SB), Z30\nVMOVDQU64 transpose<>(SB), Z29\nVMOVDQU64 tableOf<>(SB), Z28")
	step := func(block, acc int) { // codes in register 4+block, table in 6
		c, h := 4+block, 8+block
		a.op("VPERMB Z%d, Z29, Z%d\nVPSRLW $4, Z%d, Z%d", c, c, c, h)
		a.op("VPTERNLOGD $0xea, Z28, Z31, Z%d\nVPTERNLOGD $0xea, Z28, Z31, Z%d", c, h) // half and 15 or table
		a.op("VPERMB Z6, Z%d, Z%d\nVPERMB Z6, Z%d, Z%d\nVPDPBUSD Z30, Z%d, Z%d\nVPDPBUSD Z30, Z%d, Z%d", c, c, h, h, c, acc, h, acc+1)
	}
	store := func(acc, off int) {
		if wide {
			a.op("VMOVDQU32 Z%d, %d(R15)\nVMOVDQU32 Z%d, %d(R15)", acc, 2*off, acc+1, 2*off+64)
			return
		}
		a.op("VPMOVDW Z%d, %d(R15)\nVPMOVDW Z%d, %d(R15)", acc, off, acc+1, off+32)
	}
	loop := func(name string, blocks int) {
		a.op("XORL AX, AX\nMOVQ R12, BX")
		load := func(z, m string) {
			a.op("VMOVDQU64%s (SI)(AX*1), %sZ6", z, m)
			for b := range blocks {
				a.op("VMOVDQU64%s (R%d)(AX*1), %sZ%d", z, 8+b, m, 4+b)
			}
			for b := range blocks {
				step(b, 2*b)
			}
		}
		a.label(name + "Step")
		a.op("CMPQ BX, $64\nJLT %sTail", name)
		load("", "")
		a.op("ADDQ $64, AX\nSUBQ $64, BX\nJMP %sStep", name)
		a.label(name + "Tail")
		a.op("TESTQ BX, BX\nJZ %sStore", name)
		load(".Z", "K1, ")
		a.label(name + "Store")
		for b := range blocks {
			store(2*b, 64*b)
		}
	}
	size := 64
	if wide {
		size = 128
	}
	a.label("two")
	a.op("CMPQ CX, $2\nJLT last\nLEAQ (R8)(R12*1), R9")
	a.zero(avx512, 0, 1, 2, 3)
	loop("pair", 2)
	a.op("ADDQ $%d, R15\nLEAQ (R9)(R12*1), R8\nSUBQ $2, CX\nJMP two", 2*size)
	a.label("last")
	a.op("TESTQ CX, CX\nJZ done")
	a.zero(avx512, 0, 1)
	loop("single", 1)
	a.label("done")
	a.op("VZEROUPPER\nRET")
}

// pq4Table computes 16 distances at a time: a codebook has component d of a sub-quantiser's 16 centroids side by side.
func (a *asm) pq4Table(w width, op string) {
	a.fun("pq4Table"+op+w.name, op+" of the parts of a query and the 16 centroids of each")
	a.op("MOVQ args_q(DI), SI\nMOVQ args_base(DI), R8\nMOVQ args_n(DI), CX\nMOVQ args_dim(DI), BX\nMOVQ args_out(DI), R15")
	regs := 64 / w.bytes
	a.label("sub")
	a.zero(w, 0, 1)
	a.op("MOVQ BX, AX")
	a.label("component")
	a.op("VBROADCASTSS (SI), %s", w.r(2))
	for i := range regs {
		if op == "L2" {
			a.op("VSUBPS %d(R8), %s, %s\nVFMADD231PS %s, %s, %s", i*w.bytes, w.r(2), w.r(3), w.r(3), w.r(3), w.r(i))
		} else {
			a.op("VFMADD231PS %d(R8), %s, %s", i*w.bytes, w.r(2), w.r(i))
		}
	}
	a.op("ADDQ $4, SI\nADDQ $64, R8\nDECQ AX\nJNZ component")
	for i := range regs {
		a.op("VMOVUPS %s, %d(R15)", w.r(i), i*w.bytes)
	}
	a.op("ADDQ $64, R15\nDECQ CX\nJNZ sub\nVZEROUPPER\nRET")
}

// spread leaves the smallest (or largest) of the lanes of Y registers x and y in all lanes of register x.
func (a *asm) spread(op string, x, y, t int) {
	a.op("%s Y%d, Y%d, Y%d\nVPERM2F128 $1, Y%d, Y%d, Y%d\n%s Y%d, Y%d, Y%d", op, y, x, x, x, x, t, op, t, x, x)
	a.op("VPERMILPS $0x4e, Y%d, Y%d\n%s Y%d, Y%d, Y%d\nVPERMILPS $0xb1, Y%d, Y%d\n%s Y%d, Y%d, Y%d", x, t, op, t, x, x, x, t, op, t, x, x)
}

// tableSpan stores the sum of the smallest entries of the tables of 16 and the largest difference within one.
func (a *asm) tableSpan() {
	a.fun("tableSpanAVX2", "sum of the smallest entries, and the widest table")
	a.op("MOVQ args_base(DI), R8\nMOVQ args_n(DI), CX\nMOVQ args_out(DI), R15\nVXORPS X8, X8, X8\nVXORPS X9, X9, X9")
	a.label("sub")
	a.op("VMOVUPS (R8), Y0\nVMOVUPS 32(R8), Y1\nVMOVAPS Y0, Y2")
	a.spread("VMINPS", 0, 1, 3)
	a.spread("VMAXPS", 2, 1, 3)
	a.op("VADDSS X0, X8, X8\nVSUBSS X0, X2, X2\nVMAXSS X2, X9, X9\nADDQ $64, R8\nDECQ CX\nJNZ sub")
	a.op("VMOVSS X8, (R15)\nVMOVSS X9, 4(R15)\nVZEROUPPER\nRET")
}

// tableBytes rounds (x - smallest)*q to bytes.
func (a *asm) tableBytes() {
	a.fun("tableBytesAVX2", "tables of 16 floats to bytes")
	a.op("MOVQ args_q(DI), SI\nMOVQ args_base(DI), R8\nMOVQ args_n(DI), CX\nMOVQ args_out(DI), R15\nVBROADCASTSS (SI), Y8")
	a.label("sub")
	a.op("VMOVUPS (R8), Y0\nVMOVUPS 32(R8), Y1\nVMOVAPS Y0, Y2")
	a.spread("VMINPS", 2, 1, 3)
	for i := range 2 {
		a.op("VSUBPS Y2, Y%d, Y%d\nVMULPS Y8, Y%d, Y%d\nVCVTPS2DQ Y%d, Y%d", i, i, i, i, i, i)
	}
	a.op("VPACKSSDW Y1, Y0, Y0\nVPERMQ $0xd8, Y0, Y0\nVEXTRACTI128 $1, Y0, X1\nVPACKUSWB X1, X0, X0\nVMOVDQU X0, (R15)")
	a.op("ADDQ $16, R15\nADDQ $64, R8\nDECQ CX\nJNZ sub\nVZEROUPPER\nRET")
}
