//go:build amd64 && !purego

#include "textflag.h"

// SI query, DX codes, R12 stride, R13 ids, R14 ids left, R15 w, DI results. X14 holds the bias in each lane.
#define SQ8ARGS \
	MOVQ q+0(FP), SI \
	MOVQ codes+8(FP), DX \
	MOVQ stride+16(FP), R12 \
	MOVQ ids+24(FP), R13 \
	MOVQ n+32(FP), CX \
	MOVQ w+40(FP), BX \
	MOVQ out+56(FP), DI \
	VPBROADCASTD bias+48(FP), X14

// Points R8 to R11 at the next four codes and sets AX to 0.
#define SQ8ROWS \
	MOVL 0(R13), R8 \
	MOVL 4(R13), R9 \
	MOVL 8(R13), R10 \
	MOVL 12(R13), R11 \
	IMULQ R12, R8 \
	IMULQ R12, R9 \
	IMULQ R12, R10 \
	IMULQ R12, R11 \
	ADDQ DX, R8 \
	ADDQ DX, R9 \
	ADDQ DX, R10 \
	ADDQ DX, R11 \
	XORQ AX, AX

// Sums the lanes of Y0 to Y3 into the four lanes of X0 and doubles them.
#define SQ8REDUCE \
	VPHADDD Y1, Y0, Y0 \
	VPHADDD Y3, Y2, Y2 \
	VPHADDD Y2, Y0, Y0 \
	VEXTRACTI128 $1, Y0, X1 \
	VPADDD X1, X0, X0 \
	VPADDD X0, X0, X0 \
	VPSUBD X0, X14, X0

#define SQ8WEIGHTS \
	MOVL 0(R13), R8 \
	MOVL 4(R13), R9 \
	MOVL 8(R13), R10 \
	MOVL 12(R13), R11 \
	VMOVD (BX)(R8*4), X1 \
	VPINSRD $1, (BX)(R9*4), X1, X1 \
	VPINSRD $2, (BX)(R10*4), X1, X1 \
	VPINSRD $3, (BX)(R11*4), X1, X1 \
	VPADDD X1, X0, X0

#define FOLDINT512(z, y, ty) \
	VEXTRACTI64X4 $1, z, ty \
	VPADDD ty, y, y

// func sq8AVX512(q *int8, codes *byte, stride int, ids *uint32, n int, w *int32, bias int32, out *int32)
TEXT ·sq8AVX512(SB), NOSPLIT, $0-64
	SQ8ARGS

zgroup:
	SQ8ROWS
	VPXORD Z0, Z0, Z0
	VPXORD Z1, Z1, Z1
	VPXORD Z2, Z2, Z2
	VPXORD Z3, Z3, Z3

zline:
	VMOVDQU32 (SI)(AX*1), Z8
	VMOVDQU32 (R8)(AX*1), Z4
	VMOVDQU32 (R9)(AX*1), Z5
	VMOVDQU32 (R10)(AX*1), Z6
	VMOVDQU32 (R11)(AX*1), Z7
	VPDPBUSD Z8, Z4, Z0
	VPDPBUSD Z8, Z5, Z1
	VPDPBUSD Z8, Z6, Z2
	VPDPBUSD Z8, Z7, Z3
	ADDQ $64, AX
	CMPQ AX, R12
	JLT  zline
	FOLDINT512(Z0, Y0, Y4)
	FOLDINT512(Z1, Y1, Y5)
	FOLDINT512(Z2, Y2, Y6)
	FOLDINT512(Z3, Y3, Y7)
	SQ8REDUCE
	TESTQ BX, BX
	JZ    zstore
	SQ8WEIGHTS

zstore:
	VMOVDQU X0, (DI)
	ADDQ $16, DI
	ADDQ $16, R13
	SUBQ $4, CX
	JG   zgroup
	VZEROUPPER
	RET

#define SQ8STEP256(row, t, acc) \
	VPMOVZXBW (row)(AX*1), t \
	VPMADDWD t, Y8, t \
	VPADDD t, acc, acc

// func sq8AVX2(q *int8, codes *byte, stride int, ids *uint32, n int, w *int32, bias int32, out *int32)
TEXT ·sq8AVX2(SB), NOSPLIT, $0-64
	SQ8ARGS

ygroup:
	SQ8ROWS
	VPXOR Y0, Y0, Y0
	VPXOR Y1, Y1, Y1
	VPXOR Y2, Y2, Y2
	VPXOR Y3, Y3, Y3

yline:
	VPMOVSXBW (SI)(AX*1), Y8
	SQ8STEP256(R8, Y4, Y0)
	SQ8STEP256(R9, Y5, Y1)
	SQ8STEP256(R10, Y6, Y2)
	SQ8STEP256(R11, Y7, Y3)
	ADDQ $16, AX
	CMPQ AX, R12
	JLT  yline
	SQ8REDUCE
	TESTQ BX, BX
	JZ    ystore
	SQ8WEIGHTS

ystore:
	VMOVDQU X0, (DI)
	ADDQ $16, DI
	ADDQ $16, R13
	SUBQ $4, CX
	JG   ygroup
	VZEROUPPER
	RET

// func prefetchLines(p unsafe.Pointer, stride int, ids *uint32, n, lines int)
TEXT ·prefetchLines(SB), NOSPLIT, $0-40
	MOVQ p+0(FP), DX
	MOVQ stride+8(FP), R12
	MOVQ ids+16(FP), R13
	MOVQ n+24(FP), CX
	MOVQ lines+32(FP), BX

prow:
	MOVL  0(R13), R8
	IMULQ R12, R8
	ADDQ  DX, R8
	MOVQ  BX, AX

pline:
	PREFETCHT0 (R8)
	ADDQ $64, R8
	DECQ AX
	JG   pline
	ADDQ $4, R13
	DECQ CX
	JG   prow
	RET
