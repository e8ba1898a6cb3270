package main

import "fmt"

// codes writes the kernels on integer codes, SQ8 and U4, and those on signed bytes.
func codes(a *asm) {
	a.bytes("lowHalves", fill(64, 0x0f))
	a.bytes("wordOnes", repeat(64, 1, 0))
	for _, v := range []struct {
		w    width
		name string
		vnni bool
	}{{avx2, "AVX2", false}, {avx512, "AVX512", false}, {avx512, "VNNI", true}} {
		a.sq8(v.w, v.name, v.vnni)
		a.u4(v.w, v.name, v.vnni)
		for _, op := range []string{"L2", "IP", "IPNorm"} {
			a.i8(v.w, v.name, op, v.vnni)
		}
	}
	a.prefetch()
}

func fill(n int, b byte) []byte { return repeat(n, b) }

func repeat(n int, pattern ...byte) []byte {
	out := make([]byte, n)
	for i := range out {
		out[i] = pattern[i%len(pattern)]
	}
	return out
}

// finishCode turns the sums in registers 0 to 3 into w + bias - 2*sum in X0.
func (a *asm) finishCode(w width) {
	a.sum4(w, false, 0, 4)
	a.op("VPADDD X0, X0, X0\nVPSUBD X0, X15, X0\nVPBROADCASTD args_bias(DI), X1\nVPADDD X1, X0, X0")
}

// sq8 multiplies bytes. Without VPDPBUSD they are widened to words, because sums of two products of an unsigned and a signed
// byte do not fit the words that VPMADDUBSW makes.
func (a *asm) sq8(w width, name string, vnni bool) {
	doc := "inner products of signed bytes and codes, widened to words"
	if vnni {
		doc = "inner products of signed bytes and codes, 64 bytes at a time"
	}
	a.rows(rowKernel{name: "sq8" + name, doc: doc, weights: true, body: func() {
		a.op("XORL AX, AX\nMOVQ args_dim(DI), R14")
		a.zero(w, 0, 1, 2, 3)
		a.label("line")
		if vnni {
			a.op("VMOVDQU32 (SI)(AX*1), Z8")
			for i := range 4 {
				a.op("VMOVDQU32 (R%d)(AX*1), Z%d", 8+i, 4+i)
			}
			for i := range 4 {
				a.op("VPDPBUSD Z8, Z%d, Z%d", 4+i, i)
			}
			a.op("ADDQ $64, AX")
		} else {
			a.op("VPMOVSXBW (SI)(AX*1), %s", w.r(8))
			for i := range 4 {
				a.op("VPMOVZXBW (R%d)(AX*1), %s", 8+i, w.r(4+i))
				a.op("VPMADDWD %s, %s, %s\nVPADDD %s, %s, %s", w.r(4+i), w.r(8), w.r(4+i), w.r(4+i), w.r(i), w.r(i))
			}
			a.op("ADDQ $%d, AX", w.bytes/2)
		}
		a.op("CMPQ AX, R14\nJLT line")
		a.finishCode(w)
	}})
}

// u4 multiplies the low halves of 64 bytes with one line of the query and the high halves with the next. Two products of a
// number below 16 and a signed byte fit a word, as do four. VPDPBUSD has room for high halves that are not shifted: their sums
// are 16 times too large until the end.
func (a *asm) u4(w width, name string, vnni bool) {
	a.rows(rowKernel{
		name: "u4" + name, doc: "inner products of signed bytes and 4-bit codes", weights: true,
		setup: func() {
			a.op("VMOVDQU lowHalves<>(SB), Y14\nVMOVDQU wordOnes<>(SB), Y13")
			if w.wide() {
				a.op("VBROADCASTI64X4 lowHalves<>(SB), Z14\nVBROADCASTI64X4 wordOnes<>(SB), Z13")
			}
		},
		body: func() {
			a.op("XORL AX, AX\nMOVQ SI, R14")
			a.zero(w, 0, 1, 2, 3)
			if vnni {
				a.zero(w, 4, 5, 6, 7)
			}
			a.label("line")
			if w.wide() {
				a.op("VMOVDQU32 (R14), Z8\nVMOVDQU32 64(R14), Z9")
				a.u4Step(w, 0, vnni)
			} else {
				a.op("VMOVDQU (R14), Y8\nVMOVDQU 64(R14), Y9")
				a.u4Step(w, 0, vnni)
				a.op("VMOVDQU 32(R14), Y8\nVMOVDQU 96(R14), Y9")
				a.u4Step(w, 32, vnni)
			}
			a.op("ADDQ $128, R14\nADDQ $64, AX\nCMPQ AX, args_dim(DI)\nJLT line")
			for i := 0; i < 4 && vnni; i++ {
				a.op("VPSRAD $4, Z%d, Z%d\nVPADDD Z%d, Z%d, Z%d", 4+i, 4+i, 4+i, i, i)
			}
			a.finishCode(w)
		},
	})
}

func (a *asm) u4Step(w width, off int, vnni bool) {
	and, mov := "VPAND", "VMOVDQU"
	if w.wide() {
		and, mov = "VPANDD", "VMOVDQU32"
	}
	for i := range 4 {
		if vnni {
			a.op("VMOVDQU32 %d(R%d)(AX*1), Z11\nVPANDD Z11, Z14, Z10\nVPANDND Z11, Z14, Z11", off, 8+i)
			a.op("VPDPBUSD Z8, Z10, Z%d\nVPDPBUSD Z9, Z11, Z%d", i, 4+i)
			continue
		}
		low, high := w.r(4), w.r(5)
		a.op("%s %d(R%d)(AX*1), %s", mov, off, 8+i, high)
		a.op("%s %s, %s, %s\nVPSRLW $4, %s, %s\n%s %s, %s, %s", and, high, w.r(14), low, high, high, and, high, w.r(14), high)
		a.op("VPMADDUBSW %s, %s, %s\nVPMADDUBSW %s, %s, %s", w.r(8), low, low, w.r(9), high, high)
		a.op("VPADDW %s, %s, %s\nVPMADDWD %s, %s, %s\nVPADDD %s, %s, %s", low, high, low, w.r(13), low, low, low, w.r(i), w.r(i))
	}
}

// i8 works on bytes widened to words: the difference of two signed bytes does not fit a byte.
func (a *asm) i8(w width, name, op string, vnni bool) {
	lanes := w.bytes / 2
	k := rowKernel{name: "i8" + op + name, doc: "exact " + op + " of signed bytes, widened to words", two: op == "IPNorm"}
	if w.wide() {
		k.setup = func() { a.op("MOVQ args_dim(DI), CX\nANDL $31, CX\nMOVL $1, BX\nSHLL CX, BX\nDECL BX\nKMOVD BX, K1") }
	} else {
		k.setup = func() {
			a.op("MOVQ args_dim(DI), CX\nANDL $15, CX\nLEAQ lastWords<>(SB), AX\nVMOVDQU (AX)(CX*2), Y15")
		}
	}
	k.body = func() {
		a.zero(w, 0, 1, 2, 3, 4, 5, 6, 7)
		a.op("XORL AX, AX\nMOVQ args_dim(DI), BX")
		a.label("step")
		a.op("CMPQ BX, $%d\nJLT tail", lanes)
		a.i8Step(w, op, vnni, false)
		a.op("ADDQ $%d, AX\nSUBQ $%d, BX\nJMP step", lanes, lanes)
		a.label("tail")
		a.op("TESTQ BX, BX\nJZ sum")
		if !w.wide() {
			a.op("LEAQ -16(AX)(BX*1), AX")
		}
		a.i8Step(w, op, vnni, true)
		a.label("sum")
		a.sum4(w, false, 0, 8)
		if k.two {
			a.sum4(w, false, 4, 8)
			a.op("VMOVDQA X4, X1")
		}
	}
	if name == "AVX2" && op == "L2" {
		mask := make([]byte, 64)
		copy(mask[32:], fill(32, 0xff))
		a.bytes("lastWords", mask)
	}
	a.rows(k)
}

func (a *asm) i8Step(w width, op string, vnni, tail bool) {
	load := func(mem string, dst int) {
		switch {
		case tail && w.wide():
			a.op("VPMOVSXBW.Z %s, K1, %s", mem, w.r(dst))
		case tail:
			a.op("VPMOVSXBW %s, %s\nVPAND Y15, %s, %s", mem, w.r(dst), w.r(dst), w.r(dst))
		default:
			a.op("VPMOVSXBW %s, %s", mem, w.r(dst))
		}
	}
	muladd := func(x, y, t, acc int) {
		if vnni {
			a.op("VPDPWSSD %s, %s, %s", w.r(x), w.r(y), w.r(acc))
			return
		}
		a.op("VPMADDWD %s, %s, %s\nVPADDD %s, %s, %s", w.r(x), w.r(y), w.r(t), w.r(t), w.r(acc), w.r(acc))
	}
	load("(SI)(AX*1)", 8)
	for i := range 4 {
		load(fmt.Sprintf("(R%d)(AX*1)", 8+i), 9)
		switch op {
		case "L2":
			a.op("VPSUBW %s, %s, %s", w.r(9), w.r(8), w.r(9))
			muladd(9, 9, 9, i)
		case "IP":
			muladd(9, 8, 9, i)
		case "IPNorm":
			muladd(9, 8, 10, i)
			muladd(9, 9, 9, 4+i)
		}
	}
}

// prefetch asks for the first dim lines of each row, by ids or, without them, of the one at base.
func (a *asm) prefetch() {
	a.fun("prefetchAMD64", "asks for the first lines of rows")
	a.op("MOVQ args_base(DI), DX\nMOVQ args_stride(DI), R12\nMOVQ args_ids(DI), R13\nMOVQ args_n(DI), CX\nMOVQ args_dim(DI), BX")
	a.op("MOVQ DX, R8\nTESTQ R13, R13\nJZ lines")
	a.label("row")
	a.op("MOVL (R13), R8\nIMULQ R12, R8\nADDQ DX, R8")
	a.label("lines")
	a.op("MOVQ BX, AX")
	a.label("line")
	a.op("PREFETCHT0 (R8)\nADDQ $64, R8\nDECQ AX\nJG line\nADDQ $4, R13\nDECQ CX\nJG row\nRET")
}
