package main

import "fmt"

// elem is how the components of raw vectors are stored.
type elem struct {
	name string
	size int
}

var elems = []elem{{"F32", 4}, {"F16", 2}, {"BF16", 2}, {"I8", 1}}

// readAhead is how far in front of a block's rows the next ones are asked for, in bytes. The processor's own prefetch stops at
// pages of 4 KiB and is confused by four rows at once; from 4 to 16 KiB all distances do.
const readAhead = 4096

// raws writes the kernels on raw vectors: 3 operations, 4 kinds of components, 2 widths, each for rows anywhere and for rows
// that follow each other, and the decoders.
func raws(a *asm) {
	ones := make([]byte, 64)
	for i := range 32 {
		ones[32+i] = 0xff
	}
	a.bytes("lastLanes", ones) // a load that starts r lanes of 4 bytes into it is a mask of the last r of 8 lanes
	for _, w := range []width{avx2, avx512} {
		for _, e := range elems {
			for _, op := range []string{"L2", "IP", "IPNorm"} {
				a.raw(w, e, op, 0)
				a.raw(w, e, op, readAhead)
			}
			if e.name != "F32" {
				a.decode(w, e)
			}
		}
	}
}

// load converts the lanes of one register at mem into floats. mask is empty or names K1.
func (a *asm) load(w width, e elem, mem, mask string, dst int) {
	z := ""
	if mask != "" {
		z, mask = ".Z", mask+", "
	}
	switch e.name {
	case "F32":
		a.op("VMOVUPS%s %s, %s%s", z, mem, mask, w.r(dst))
	case "F16":
		a.op("VCVTPH2PS%s %s, %s%s", z, mem, mask, w.r(dst))
	case "BF16":
		a.op("VPMOVZXWD%s %s, %s%s\nVPSLLD $16, %s, %s", z, mem, mask, w.r(dst), w.r(dst), w.r(dst))
	case "I8":
		a.op("VPMOVSXBD%s %s, %s%s\nVCVTDQ2PS %s, %s", z, mem, mask, w.r(dst), w.r(dst), w.r(dst))
	}
}

// raw writes one kernel. AX counts the components done, BX those left. Accumulators are registers 0 to 7: of the rows for
// even and odd steps, or of products and squares. With ahead, it reads so many bytes ahead of the rows.
func (a *asm) raw(w width, e elem, op string, ahead int) {
	lanes := w.bytes / 4
	k := rowKernel{name: "raw" + op + e.name + w.name, two: op == "IPNorm"}
	k.doc = fmt.Sprintf("%s of rows of %s, %d components at a time", op, e.name, lanes)
	if ahead > 0 {
		k.name = "block" + op + e.name + w.name
		k.doc += fmt.Sprintf(", reading %d bytes ahead", ahead)
	}
	k.setup = func() {
		a.op("MOVQ args_dim(DI), CX\nANDL $%d, CX", lanes-1)
		if w.wide() {
			a.op("MOVL $1, BX\nSHLL CX, BX\nDECL BX\nKMOVW BX, K1")
		} else {
			a.op("LEAQ lastLanes<>(SB), AX\nVMOVUPS (AX)(CX*4), Y15")
		}
	}
	k.body = func() {
		a.zero(w, 0, 1, 2, 3, 4, 5, 6, 7)
		a.op("XORL AX, AX\nMOVQ args_dim(DI), BX")
		if !k.two {
			a.label("two")
			a.op("CMPQ BX, $%d\nJLT one", 2*lanes)
			a.ahead(e, ahead, 2*lanes)
			a.step(w, e, op, 0, 0, "")
			a.step(w, e, op, lanes, 4, "")
			a.op("ADDQ $%d, AX\nSUBQ $%d, BX\nJMP two", 2*lanes, 2*lanes)
		}
		a.label("one")
		a.op("CMPQ BX, $%d\nJLT tail", lanes)
		a.ahead(e, ahead, lanes)
		a.step(w, e, op, 0, 0, "")
		a.op("ADDQ $%d, AX\nSUBQ $%d, BX", lanes, lanes)
		if k.two {
			a.op("JMP one")
		}
		a.label("tail")
		a.op("TESTQ BX, BX\nJZ sum")
		if !w.wide() {
			a.op("LEAQ -8(AX)(BX*1), AX") // the last 8 components; those done before are masked away
		}
		a.step(w, e, op, 0, 4, "K1")
		a.label("sum")
		if k.two {
			a.sum4(w, true, 0, 8)
			a.sum4(w, true, 4, 8)
			a.op("VMOVAPS X4, X1")
			return
		}
		for i := range 4 {
			a.op("VADDPS %s, %s, %s", w.r(i+4), w.r(i), w.r(i))
		}
		a.sum4(w, true, 0, 8)
	}
	a.rows(k)
}

// ahead asks for the cache lines that lie dist bytes behind the next count components of four rows.
func (a *asm) ahead(e elem, dist, count int) {
	for off := 0; dist > 0 && off < count*e.size; off += 64 {
		for i := range 4 {
			a.op("PREFETCHT0 %d(R%d)(AX*%d)", dist+off, 8+i, e.size)
		}
	}
}

// step adds the components at AX+off of four rows to the accumulators from acc on; tail says that only some lanes count.
func (a *asm) step(w width, e elem, op string, off, acc int, tail string) {
	mask := tail
	if !w.wide() {
		mask = ""
	}
	q := func(dst int) {
		a.load(w, elems[0], fmt.Sprintf("%d(SI)(AX*4)", off*4), mask, dst)
		if tail != "" && !w.wide() {
			a.op("VANDPS Y15, %s, %s", w.r(dst), w.r(dst))
		}
	}
	q(8)
	for i := range 4 {
		mem := fmt.Sprintf("%d(R%d)(AX*%d)", off*e.size, 8+i, e.size)
		x := 9 + i
		if e.name == "F32" && tail == "" && op != "IPNorm" { // the row straight from memory
			if op == "L2" {
				a.op("VSUBPS %s, %s, %s\nVFMADD231PS %s, %s, %s", mem, w.r(8), w.r(x), w.r(x), w.r(x), w.r(acc+i))
			} else {
				a.op("VFMADD231PS %s, %s, %s", mem, w.r(8), w.r(acc+i))
			}
			continue
		}
		a.load(w, e, mem, mask, x)
		if tail != "" && !w.wide() {
			a.op("VANDPS Y15, %s, %s", w.r(x), w.r(x))
		}
		switch op {
		case "L2":
			a.op("VSUBPS %s, %s, %s\nVFMADD231PS %s, %s, %s", w.r(x), w.r(8), w.r(x), w.r(x), w.r(x), w.r(acc+i))
		case "IP":
			a.op("VFMADD231PS %s, %s, %s", w.r(x), w.r(8), w.r(acc+i))
		case "IPNorm":
			a.op("VFMADD231PS %s, %s, %s\nVFMADD231PS %s, %s, %s", w.r(x), w.r(8), w.r(i), w.r(x), w.r(x), w.r(4+i))
		}
	}
}

// decode writes the function that turns components into floats.
func (a *asm) decode(w width, e elem) {
	lanes := w.bytes / 4
	a.fun("decode"+e.name+w.name, fmt.Sprintf("floats of %s, %d at a time", e.name, lanes))
	a.op("MOVQ args_base(DI), SI\nMOVQ args_dim(DI), CX\nMOVQ args_out(DI), R15\nXORL AX, AX")
	a.label("one")
	a.op("CMPQ CX, $%d\nJLT tail", lanes)
	mem := fmt.Sprintf("(SI)(AX*%d)", e.size)
	a.load(w, e, mem, "", 0)
	a.op("VMOVUPS %s, (R15)(AX*4)\nADDQ $%d, AX\nSUBQ $%d, CX\nJMP one", w.r(0), lanes, lanes)
	a.label("tail")
	a.op("TESTQ CX, CX\nJZ done")
	if w.wide() {
		a.op("MOVL $1, BX\nSHLL CX, BX\nDECL BX\nKMOVW BX, K1")
		a.load(w, e, mem, "K1", 0)
		a.op("VMOVUPS Z0, K1, (R15)(AX*4)")
	} else {
		a.op("LEAQ -8(AX)(CX*1), AX") // the last 8 components, some of them again
		a.load(w, e, mem, "", 0)
		a.op("VMOVUPS Y0, (R15)(AX*4)")
	}
	a.label("done")
	a.op("VZEROUPPER\nRET")
}
