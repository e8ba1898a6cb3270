package main

import "fmt"

// bitKernels writes the kernels that count bits: Hamming, AndOr and Bits4. Without VPOPCNTQ bits are counted by a table of
// 16 bytes that VPSHUFB looks both halves of each byte up in, and VPSADBW adds bytes.
func bitKernels(a *asm) {
	counts := make([]byte, 16)
	for i := range counts {
		for j := range 4 {
			counts[i] += byte(i >> j & 1)
		}
	}
	var planes []byte // the table for bit plane p counts bit p as 2^p
	for p := range 4 {
		for _, c := range counts {
			planes = append(planes, c<<p)
		}
	}
	a.bytes("bitCounts", planes)
	a.bytes("halves", fill(16, 0x0f))
	mask := make([]byte, 64)
	copy(mask[32:], fill(32, 0xff))
	a.bytes("lastBytes", mask)
	for _, v := range []struct {
		w    width
		name string
		pop  bool
	}{{avx2, "AVX2", false}, {avx512, "AVX512", false}, {avx512, "POPCNT", true}} {
		a.binary(v.w, v.name, "hamming", v.pop)
		a.binary(v.w, v.name, "andOr", v.pop)
		a.bits4(v.w, v.name, v.pop)
	}
}

// tables loads the constants of counting: halves in register 14, counts from register 13 down.
func (a *asm) tables(w width, n int) {
	broadcast := "VBROADCASTI128"
	if w.wide() {
		broadcast = "VBROADCASTI32X4"
	}
	a.op("%s halves<>(SB), %s", broadcast, w.r(14))
	for i := range n {
		a.op("%s bitCounts<>+%d(SB), %s", broadcast, 16*i, w.r(13-i))
	}
}

// count adds the bits of the 64-bit lanes of register x to register acc. It spoils x and t.
func (a *asm) count(w width, pop bool, x, t, acc int) {
	if pop {
		a.op("VPOPCNTQ Z%d, Z%d\nVPADDQ Z%d, Z%d, Z%d", x, x, x, acc, acc)
		return
	}
	and := and(w)
	a.op("%s %s, %s, %s\nVPSRLW $4, %s, %s\n%s %s, %s, %s", and, w.r(x), w.r(14), w.r(t), w.r(x), w.r(x), and, w.r(x), w.r(14), w.r(x))
	a.op("VPSHUFB %s, %s, %s\nVPSHUFB %s, %s, %s", w.r(t), w.r(13), w.r(t), w.r(x), w.r(13), w.r(x))
	a.op("VPADDB %s, %s, %s\nVPSADBW %s, %s, %s\nVPADDQ %s, %s, %s", w.r(x), w.r(t), w.r(x), w.r(12), w.r(x), w.r(x), w.r(x), w.r(acc), w.r(acc))
}

func and(w width) string {
	if w.wide() {
		return "VPANDQ"
	}
	return "VPAND"
}

// binary writes hamming and andOr. The sums are below 2^32, so the 64-bit lanes can be added up as 32-bit lanes.
func (a *asm) binary(w width, name, op string, pop bool) {
	k := rowKernel{name: op + name, doc: fmt.Sprintf("bits counted %d bytes at a time", w.bytes), two: op == "andOr"}
	k.setup = func() {
		a.op("MOVQ args_dim(DI), CX\nANDL $%d, CX", w.bytes-1)
		if w.wide() {
			a.op("MOVQ $1, BX\nSHLQ CX, BX\nDECQ BX\nKMOVQ BX, K1")
		} else {
			a.op("LEAQ lastBytes<>(SB), AX\nVMOVDQU (AX)(CX*1), Y15")
		}
		if !pop {
			a.tables(w, 1)
			a.zero(w, 12)
		}
	}
	k.body = func() {
		a.zero(w, 0, 1, 2, 3, 4, 5, 6, 7)
		a.op("XORL AX, AX\nMOVQ args_dim(DI), BX")
		a.label("line")
		a.op("CMPQ BX, $%d\nJLT tail", w.bytes)
		a.binaryStep(w, op, pop, false)
		a.op("ADDQ $%d, AX\nSUBQ $%d, BX\nJMP line", w.bytes, w.bytes)
		a.label("tail")
		a.op("TESTQ BX, BX\nJZ sum")
		if !w.wide() {
			a.op("LEAQ -32(AX)(BX*1), AX") // the last 32 bytes; those done before are masked away
		}
		a.binaryStep(w, op, pop, true)
		a.label("sum")
		a.sum4(w, false, 0, 8)
		if k.two {
			a.sum4(w, false, 4, 8)
			a.op("VMOVDQA X4, X1")
		}
	}
	a.rows(k)
}

func (a *asm) binaryStep(w width, op string, pop, tail bool) {
	load := func(mem string, dst int) {
		switch {
		case tail && w.wide():
			a.op("VMOVDQU8.Z %s, K1, %s", mem, w.r(dst))
		case tail:
			a.op("VPAND %s, Y15, %s", mem, w.r(dst))
		case w.wide():
			a.op("VMOVDQU64 %s, %s", mem, w.r(dst))
		default:
			a.op("VMOVDQU %s, %s", mem, w.r(dst))
		}
	}
	xor, or := "VPXOR", "VPOR"
	if w.wide() {
		xor, or = "VPXORQ", "VPORQ"
	}
	load("(SI)(AX*1)", 8)
	for i := range 4 {
		load(fmt.Sprintf("(R%d)(AX*1)", 8+i), 9)
		if op == "hamming" {
			a.op("%s %s, %s, %s", xor, w.r(9), w.r(8), w.r(9))
			a.count(w, pop, 9, 10, i)
			continue
		}
		a.op("%s %s, %s, %s", or, w.r(9), w.r(8), w.r(11))
		a.op("%s %s, %s, %s", and(w), w.r(9), w.r(8), w.r(9))
		a.count(w, pop, 9, 10, i)
		a.count(w, pop, 11, 10, 4+i)
	}
}

// bits4 counts the bits that a row shares with each of four planes. Bits are counted by byte; where the machine can count,
// VPDPBUSD weighs and adds the counts up, else the tables of the planes weigh the bits, and a byte holds the at most 8*15 of
// all planes.
func (a *asm) bits4(w width, name string, pop bool) {
	lanes := w.bytes / 8
	a.rows(rowKernel{
		name: "bits4" + name, doc: "bits that rows share with the bit planes of a query",
		setup: func() {
			a.op("MOVQ args_dim(DI), CX\nSHRQ $3, CX\nANDL $%d, CX", lanes-1)
			if w.wide() {
				a.op("MOVL $1, BX\nSHLL CX, BX\nDECL BX\nKMOVW BX, K1")
			} else {
				a.op("SHLQ $3, CX\nLEAQ lastBytes<>(SB), AX\nNEGQ CX\nVMOVDQU 32(AX)(CX*1), Y15\nVPCMPEQD Y0, Y0, Y0\nVPXOR Y0, Y15, Y15") // the first lanes
			}
			if !pop {
				a.tables(w, 4)
				return
			}
			for p := range 4 {
				a.op("MOVL $0x%08x, BX\nVPBROADCASTD BX, Z%d", 0x01010101<<p, 24+p)
			}
		},
		body: func() {
			a.zero(w, 0, 1, 2, 3)
			if pop {
				a.zero(w, 4, 5, 6, 7)
			}
			a.op("XORL AX, AX\nMOVQ args_dim(DI), BX\nLEAQ (SI)(BX*2), R14")
			a.label("line")
			a.op("CMPQ BX, $%d\nJLT tail", w.bytes)
			a.bits4Step(w, pop, false)
			a.op("ADDQ $%d, AX\nSUBQ $%d, BX\nJMP line", w.bytes, w.bytes)
			a.label("tail")
			a.op("TESTQ BX, BX\nJZ sum")
			a.bits4Step(w, pop, true)
			a.label("sum")
			if pop {
				for i := range 4 {
					a.op("VPADDD Z%d, Z%d, Z%d", 4+i, i, i)
				}
			}
			a.sum4(w, false, 0, 4)
		},
	})
}

// bits4Step counts at AX. Plane p starts p*dim bytes into the query: SI, SI+dim, R14, R14+dim.
func (a *asm) bits4Step(w width, pop, tail bool) {
	load := func(mem string, dst int) {
		switch {
		case tail && w.wide():
			a.op("VMOVDQU64.Z %s, K1, Z%d", mem, dst)
		case tail:
			a.op("VPMASKMOVQ %s, Y15, Y%d", mem, dst)
		case w.wide():
			a.op("VMOVDQU64 %s, Z%d", mem, dst)
		default:
			a.op("VMOVDQU %s, Y%d", mem, dst)
		}
	}
	if pop {
		a.bits4Pop(load)
		return
	}
	for i := range 4 {
		load(fmt.Sprintf("(R%d)(AX*1)", 8+i), 4)
		for p := range 4 {
			a.plane(p, func(mem string) { load(mem, 5) })
			a.op("%s %s, %s, %s", and(w), w.r(5), w.r(4), w.r(5))
			a.op("%s %s, %s, %s\nVPSRLW $4, %s, %s\n%s %s, %s, %s", and(w), w.r(5), w.r(14), w.r(6), w.r(5), w.r(5), and(w), w.r(5), w.r(14), w.r(5))
			a.op("VPSHUFB %s, %s, %s\nVPSHUFB %s, %s, %s", w.r(6), w.r(13-p), w.r(6), w.r(5), w.r(13-p), w.r(5))
			if p == 0 {
				a.op("VPADDB %s, %s, %s", w.r(6), w.r(5), w.r(7))
			} else {
				a.op("VPADDB %s, %s, %s\nVPADDB %s, %s, %s", w.r(6), w.r(5), w.r(5), w.r(5), w.r(7), w.r(7))
			}
		}
		a.zero(w, 5)
		a.op("VPSADBW %s, %s, %s\nVPADDQ %s, %s, %s", w.r(5), w.r(7), w.r(7), w.r(7), w.r(i), w.r(i))
	}
}

func (a *asm) bits4Pop(load func(mem string, dst int)) {
	for p := range 4 {
		a.plane(p, func(mem string) { load(mem, 16+p) })
	}
	for i := range 4 {
		load(fmt.Sprintf("(R%d)(AX*1)", 8+i), 20)
		for p := range 4 {
			a.op("VPANDQ Z20, Z%d, Z21\nVPOPCNTB Z21, Z21\nVPDPBUSD Z%d, Z21, Z%d", 16+p, 24+p, i+p/2*4)
		}
	}
}

// plane calls load with the address of plane p at AX. R12, the stride, is also the size of a plane.
func (a *asm) plane(p int, load func(mem string)) {
	switch p {
	case 0:
		load("(SI)(AX*1)")
	case 2:
		load("(R14)(AX*1)")
	case 1:
		a.op("ADDQ R12, AX")
		load("(SI)(AX*1)")
		a.op("SUBQ R12, AX")
	case 3:
		a.op("ADDQ R12, AX")
		load("(R14)(AX*1)")
		a.op("SUBQ R12, AX")
	}
}
