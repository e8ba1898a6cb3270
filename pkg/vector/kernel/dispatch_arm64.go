//go:build arm64 && !purego

package kernel

import "golang.org/x/sys/cpu"

// levels returns the tiers of arm64. Each is the one before with faster functions for what its instructions add:
//
//   - neon: what every 64-bit Arm processor has
//   - neon-dot: and SDOT and UDOT (Cortex-A55 and A75, Neoverse N1, Apple M1)
func levels() []level {
	return []level{
		{"neon", []string{"asimd"}, addNEON},
		{"neon-dot", []string{"asimddp"}, addDOT},
	}
}

// features returns what this machine has of what the tiers need, by name.
func features() map[string]bool {
	return map[string]bool{"asimd": cpu.ARM64.HasASIMD, "asimddp": cpu.ARM64.HasASIMDDP}
}

func addNEON(t *table) {
	for o, ks := range [numOps][Bit]kernelFunc{
		{rawL2F32NEON, rawL2F16NEON, rawL2BF16NEON, rawL2I8NEON},
		{rawIPF32NEON, rawIPF16NEON, rawIPBF16NEON, rawIPI8NEON},
		{rawIPNormF32NEON, rawIPNormF16NEON, rawIPNormBF16NEON, rawIPNormI8NEON},
	} {
		for e, k := range ks {
			t.raw[o][e] = from(8, k, t.raw[o][e])
		}
	}
	for e, k := range [Bit]kernelFunc{nil, decodeF16NEON, decodeBF16NEON, decodeI8NEON} {
		if k != nil {
			t.decode[e] = from(8, k, t.decode[e])
		}
	}
	t.addI8([numI8]kernelFunc{i8L2NEON, i8IPNEON, i8IPNormNEON})
	t.sq8, t.u4, t.bits4 = sq8NEON, u4NEON, bits4NEON
	t.hamming, t.andOr = from(16, hammingNEON, t.hamming), from(16, andOrNEON, t.andOr)
	t.prefetch = prefetchARM64
	t.pq4, t.pq4TableL2, t.pq4TableIP = pq4NEON, pq4TableL2NEON, pq4TableIPNEON
	t.pq4Wide = pq4InGroups(t.pq4)
	t.tableSpan, t.tableBytes = tableSpanNEON, tableBytesNEON
	t.filterI32 = whole(4, 4, filterI32NEON, t.filterI32)
	t.filterLess = whole(4, 4, filterLessNEON, t.filterLess)
	t.filterGreater = whole(4, 4, filterGreaterNEON, t.filterGreater)
	t.filterU16 = whole(8, 2, filterU16NEON, t.filterU16)
	t.tile = from(4, tileNEON, t.tile)
}

func addDOT(t *table) {
	t.addI8([numI8]kernelFunc{i8L2DOT, i8IPDOT, i8IPNormDOT})
	t.sq8, t.u4 = sq8DOT, u4DOT
}

// addI8 takes over kernels of signed bytes for rows of at least 16; the reference keeps the shorter ones.
func (t *table) addI8(ks [numI8]kernelFunc) {
	for o, k := range ks {
		t.i8[o] = from(16, k, generic().i8[o])
	}
}
