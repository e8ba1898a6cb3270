//go:build amd64 && !purego

#include "textflag.h"

// func insertWide(items *uint64, n int, it uint64) int
// DI items, CX n, R10 the new item, AX its place.
TEXT ·insertWide(SB), NOSPLIT, $0-32
	MOVQ items+0(FP), DI
	MOVQ n+8(FP), CX
	MOVQ it+16(FP), R10
	VPBROADCASTQ R10, Z0
	XORQ AX, AX

scan: // whole groups of items below the new one are passed
	CMPQ AX, CX
	JGE  end
	VPCMPUQ $6, (DI)(AX*8), Z0, K1
	KMOVB K1, DX
	CMPL DX, $0xff
	JNE  inside
	ADDQ $8, AX
	JMP  scan

inside:
	NOTL DX
	BSFL DX, DX
	ADDQ DX, AX

end: // what lies behind n may have been below by chance
	CMPQ AX, CX
	CMOVQGT CX, AX

move: // from the end, eight at a time
	LEAQ -8(CX), R9
	CMPQ R9, AX
	JLT  rest
	VMOVDQU64 (DI)(R9*8), Z1
	VMOVDQU64 Z1, 8(DI)(R9*8)
	MOVQ R9, CX
	JMP  move

rest: // and the fewer than eight next to the new one's place
	SUBQ AX, CX
	MOVL $1, DX
	SHLL CX, DX
	DECL DX
	KMOVB DX, K2
	VMOVDQU64.Z (DI)(AX*8), K2, Z1
	VMOVDQU64 Z1, K2, 8(DI)(AX*8)
	MOVQ R10, (DI)(AX*8)
	VZEROUPPER
	MOVQ AX, ret+24(FP)
	RET
