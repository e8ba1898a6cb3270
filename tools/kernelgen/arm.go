package main

import (
	"fmt"
	"regexp"
	"strings"
)

// arm collects the text of one file of arm64 assembly.
//
// Registers of every kernel: R0 arguments, R1 query, R2 base, R3 stride, R4 ids or list, R5 rows left, R6 results, R7
// second results or weights, R8 to R11 the rows of a group, R13 to R15 and R19 to R21 free; V28 and V29 masks or
// constants, V30 and V31 what is added to results.
type arm struct {
	asm
}

const armBuild = "//go:build arm64 && !purego\n\n"

// armFiles returns the generated files of arm64 by name.
func armFiles() map[string]string {
	parts := map[string]func(*arm){"raw": armRaws, "codes": armCodes, "bits": armBits, "scan": armScans, "tile": armTile}
	out := map[string]string{}
	stubs := generated + armBuild + "package kernel\n"
	for _, name := range []string{"raw", "codes", "bits", "scan", "tile"} {
		a := &arm{}
		parts[name](a)
		out[name+"_arm64.s"] = generated + armBuild + "#include \"go_asm.h\"\n#include \"textflag.h\"\n" + a.data.String() + a.text.String()
		for _, fn := range a.funcs {
			stubs += fmt.Sprintf("\n//go:noescape\nfunc %s(a *args)\n", fn)
		}
	}
	out["stubs_arm64.go"] = stubs
	return out
}

// fun begins a function of one argument, which it loads into R0.
func (a *arm) fun(name, doc string) {
	a.fn = name
	a.funcs = append(a.funcs, name)
	fmt.Fprintf(&a.text, "\n// %s\n// func %s(a *args)\nTEXT ·%s(SB), NOSPLIT, $0-8\n", doc, name, name)
	a.op("MOVD a+0(FP), R0")
}

// args loads fields of the arguments into registers: "q", 1 loads R1.
func (a *arm) args(fields ...any) {
	for i := 0; i < len(fields); i += 2 {
		a.op("MOVD args_%s(R0), R%d", fields[i], fields[i+1])
	}
}

var armRegister = regexp.MustCompile(`\b([vsdh])(\d+)\b`)

// v writes vector instructions given in Arm's syntax, one per line: in Go's where its assembler has them, else as a word
// with the instruction beside it.
func (a *arm) v(format string, args ...any) {
	for line := range strings.SplitSeq(fmt.Sprintf(format, args...), "\n") {
		line = strings.TrimSpace(line)
		name, rest, _ := strings.Cut(line, " ")
		if goName, ok := armInGo[name]; ok {
			a.op("%s %s", goName, goOperands(rest))
			continue
		}
		a.op("WORD $0x%08x // %s", armWord(line), line)
	}
}

// armWord encodes an instruction: the word for registers 0 from the table, and the registers in the order in which they
// are written.
func armWord(line string) uint32 {
	word, ok := armWords[armRegister.ReplaceAllString(line, "${1}0")]
	if !ok {
		panic("no encoding for " + line)
	}
	shift := []int{0, 5, 16}
	for i, m := range armRegister.FindAllStringSubmatch(line, -1) {
		var r uint32
		fmt.Sscan(m[2], &r)
		word |= r << shift[i]
	}
	return word
}

// armInGo names the instructions that Go's assembler has.
var armInGo = map[string]string{
	"fmla": "VFMLA", "eor": "VEOR", "and": "VAND", "orr": "VORR", "add": "VADD", "sub": "VSUB", "addp": "VADDP", "cnt": "VCNT",
	"tbl": "VTBL", "ushr": "VUSHR", "shl": "VSHL", "uaddw": "VUADDW", "uaddw2": "VUADDW2", "addv": "VADDV", "ushll": "VUSHLL",
	"ushll2": "VUSHLL2",
}

var armArrangement = regexp.MustCompile(`\bv(\d+)\.(\d+)([bhsd])`)

// goOperands turns "v0.4s, v1.4s, #3" into "$3, V1.S4, V0.S4".
func goOperands(operands string) string {
	parts := strings.Split(operands, ", ")
	out := make([]string, len(parts))
	for i, p := range parts {
		p = armArrangement.ReplaceAllStringFunc(p, func(r string) string {
			m := armArrangement.FindStringSubmatch(r)
			return "V" + m[1] + "." + strings.ToUpper(m[3]) + m[2]
		})
		p = armRegister.ReplaceAllString(p, "V$2") // a scalar
		p = strings.NewReplacer("#", "$", "{", "[", "}", "]").Replace(p)
		out[len(parts)-1-i] = p
	}
	return strings.Join(out, ", ")
}

// zero clears vector registers.
func (a *arm) zero(regs ...int) {
	for _, r := range regs {
		a.op("VEOR V%d.B16, V%d.B16, V%d.B16", r, r, r)
	}
}

// sum4 leaves the sums of the 32-bit lanes of registers r to r+3 in the lanes of register r.
func (a *arm) sum4(float bool, r int) {
	plus := "addp"
	if float {
		plus = "faddp"
	}
	a.v("%s v%d.4s, v%d.4s, v%d.4s", plus, r, r, r+1)
	a.v("%s v%d.4s, v%d.4s, v%d.4s", plus, r+2, r+2, r+3)
	a.v("%s v%d.4s, v%d.4s, v%d.4s", plus, r, r, r+2)
}

// lastMask declares a mask of size bytes for each number of last bytes that count: a load that starts r bytes into it has
// its last r bytes set.
func (a *arm) lastMask(name string, size int) {
	mask := make([]byte, 2*size)
	copy(mask[size:], fill(size, 0xff))
	a.bytes(name, mask)
}
