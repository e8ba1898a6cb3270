//go:build amd64 && !purego

package kernel

import "golang.org/x/sys/cpu"

// levels returns the tiers of amd64. Each is the one before with faster functions for what its instructions add:
//
//   - avx2: AVX2, FMA, F16C (Haswell, Zen)
//   - avx512: AVX-512 F, BW, DQ, VL (Skylake)
//   - avx512vnni: and VNNI (Cascade Lake)
//   - avx512icl: and VBMI, VPOPCNTDQ, BITALG (Ice Lake, Zen 4)
func levels() []level {
	return []level{
		{"avx2", []string{"avx2", "fma", "f16c"}, addAVX2},
		{"avx512", []string{"avx512f", "avx512bw", "avx512dq", "avx512vl"}, addAVX512},
		{"avx512vnni", []string{"avx512vnni"}, addVNNI},
		{"avx512icl", []string{"avx512vbmi", "avx512vpopcntdq", "avx512bitalg"}, addICL},
	}
}

// features returns what this machine has of what the tiers need, by name.
func features() map[string]bool {
	x := &cpu.X86
	return map[string]bool{
		"avx2": x.HasAVX2, "fma": x.HasFMA, "f16c": x.HasF16C,
		"avx512f": x.HasAVX512F, "avx512bw": x.HasAVX512BW, "avx512dq": x.HasAVX512DQ, "avx512vl": x.HasAVX512VL,
		"avx512vnni": x.HasAVX512VNNI, "avx512vbmi": x.HasAVX512VBMI, "avx512vpopcntdq": x.HasAVX512VPOPCNTDQ,
		"avx512bitalg": x.HasAVX512BITALG,
	}
}

func addAVX2(t *table) {
	for o, ks := range [numOps][Bit]kernelFunc{
		{rawL2F32AVX2, rawL2F16AVX2, rawL2BF16AVX2, rawL2I8AVX2},
		{rawIPF32AVX2, rawIPF16AVX2, rawIPBF16AVX2, rawIPI8AVX2},
		{rawIPNormF32AVX2, rawIPNormF16AVX2, rawIPNormBF16AVX2, rawIPNormI8AVX2},
	} {
		for e, k := range ks {
			t.raw[o][e] = from(8, k, t.raw[o][e])
		}
	}
	for o, ks := range [numOps][Bit]kernelFunc{
		{blockL2F32AVX2, blockL2F16AVX2, blockL2BF16AVX2, blockL2I8AVX2},
		{blockIPF32AVX2, blockIPF16AVX2, blockIPBF16AVX2, blockIPI8AVX2},
		{blockIPNormF32AVX2, blockIPNormF16AVX2, blockIPNormBF16AVX2, blockIPNormI8AVX2},
	} {
		for e, k := range ks {
			t.block[o][e] = from(8, k, t.block[o][e])
		}
	}
	for e, k := range [Bit]kernelFunc{nil, decodeF16AVX2, decodeBF16AVX2, decodeI8AVX2} {
		t.decode[e] = from(8, k, t.decode[e])
	}
	for o, k := range [numI8]kernelFunc{i8L2AVX2, i8IPAVX2, i8IPNormAVX2} {
		t.i8[o] = from(16, k, t.i8[o])
	}
	t.sq8, t.u4, t.bits4 = sq8AVX2, u4AVX2, bits4AVX2
	t.hamming, t.andOr = from(32, hammingAVX2, t.hamming), from(32, andOrAVX2, t.andOr)
	t.prefetch = prefetchAMD64
	t.pq4, t.pq4TableL2, t.pq4TableIP = pq4AVX2, pq4TableL2AVX2, pq4TableIPAVX2
	t.tableSpan, t.tableBytes = tableSpanAVX2, tableBytesAVX2
	t.filterI32 = whole(8, 4, filterI32AVX2, t.filterI32)
	t.filterLess = whole(8, 4, filterLessAVX2, t.filterLess)
	t.filterGreater = whole(8, 4, filterGreaterAVX2, t.filterGreater)
	t.filterU16 = whole(16, 2, filterU16AVX2, t.filterU16)
	t.pq4Wide = pq4InGroups(t.pq4)
	t.tile = from(8, pairs(tileAVX2), t.tile)
}

func addAVX512(t *table) {
	t.raw = [numOps][Bit]kernelFunc{
		{rawL2F32AVX512, rawL2F16AVX512, rawL2BF16AVX512, rawL2I8AVX512},
		{rawIPF32AVX512, rawIPF16AVX512, rawIPBF16AVX512, rawIPI8AVX512},
		{rawIPNormF32AVX512, rawIPNormF16AVX512, rawIPNormBF16AVX512, rawIPNormI8AVX512},
	}
	t.block = [numOps][Bit]kernelFunc{
		{blockL2F32AVX512, blockL2F16AVX512, blockL2BF16AVX512, blockL2I8AVX512},
		{blockIPF32AVX512, blockIPF16AVX512, blockIPBF16AVX512, blockIPI8AVX512},
		{blockIPNormF32AVX512, blockIPNormF16AVX512, blockIPNormBF16AVX512, blockIPNormI8AVX512},
	}
	t.decode = [Bit]kernelFunc{nil, decodeF16AVX512, decodeBF16AVX512, decodeI8AVX512}
	t.i8 = [numI8]kernelFunc{i8L2AVX512, i8IPAVX512, i8IPNormAVX512}
	t.sq8, t.u4, t.bits4 = sq8AVX512, u4AVX512, bits4AVX512
	t.hamming, t.andOr = hammingAVX512, andOrAVX512
	t.pq4, t.pq4TableL2, t.pq4TableIP = pq4AVX512, pq4TableL2AVX512, pq4TableIPAVX512
	t.pq4Wide = pq4InGroups(t.pq4)
	t.filterI32, t.filterLess, t.filterGreater = filterI32AVX512, filterLessAVX512, filterGreaterAVX512
	t.filterU16, t.tile = filterU16AVX512, tileAVX512
}

func addVNNI(t *table) {
	t.i8 = [numI8]kernelFunc{i8L2VNNI, i8IPVNNI, i8IPNormVNNI}
	t.sq8, t.u4 = sq8VNNI, u4VNNI
}

func addICL(t *table) {
	t.bits4, t.hamming, t.andOr = bits4POPCNT, hammingPOPCNT, andOrPOPCNT
	t.pq4, t.pq4Wide = pq4VBMI, pq4WideVBMI
}
